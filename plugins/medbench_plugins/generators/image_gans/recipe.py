"""What every GAN's recipe does around its game: check, fit, restore, sample. Imports no torch.

The functions are used as methods, ``fit = recipe.fit_gan``: shared without a base class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

import medbench
from medbench_plugins.generators.checks import check_images
from medbench_plugins.generators.diversity import diversity_facts
from medbench_plugins.generators.settings import steps_to_take
from medbench_plugins.selection.judges import Discriminator, make_judge

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medbench_plugins.generators.image_gans.loop import Game, GANRecipe
    from medbench_plugins.generators.image_gans.networks import GeneratorNetwork, OneAClass, Pool

    class Recipe(GANRecipe, Protocol):
        """A recipe that builds the game it plays."""

        def check(self) -> None: ...
        def game(self) -> Game: ...


def fit_gan(recipe: Recipe, train: medbench.Samples, context: medbench.Context) -> ImageSampler:
    """Train on the labelled rows of `train`; leave ``NAME-curves.csv`` and ``NAME-samples.png`` in the folder.

    Args:
        recipe: Checked here.
        train: ``uint8 (n, channels, *spatial)`` with two or three spatial axes, of 12 pixels at least.
        context: Budget, device, seeds and folder.

    Raises:
        medbench.UsageError: If a field is out of its range.
        medbench.Skip: If the rows are no pixels, or a class has no row.
        medbench.Diverged: If a loss or a weight is not finite.
    """
    recipe.check()
    check_images(recipe, train)
    from medbench_plugins.contact_sheet import write_contact_sheet
    from medbench_plugins.generators.image_gans.loop import shows_changed_images, train_gan
    from medbench_plugins.generators.image_gans.networks import OneAClass, Pool
    from medbench_plugins.generators.image_gans.write_curves import write_curves

    game = recipe.game()
    fits = train_gan(recipe, game, train, context)
    own = fits[0].network
    network = own if game.split == "conditional" else OneAClass([fit.network for fit in fits]).eval()
    diversity = np.concatenate([fit.diversity[-1][1] for fit in fits])
    checkpoint = np.array([(fit.kept, bool(fit.distances)) for fit in fits]) if game.checkpoint == "kid" else None
    augmented = shows_changed_images(game, train, steps_to_take(recipe, context.budget) // len(fits))
    moments = [len(fit.network.networks) for fit in fits if isinstance(fit.network, Pool)]
    sampler = ImageSampler(network, diversity, _judge(game, fits[0].discriminator), checkpoint, augmented, moments)
    write_curves(context.folder / f"{recipe.name}-curves.csv", fits)
    write_contact_sheet(context.folder / f"{recipe.name}-samples.png", train, sampler, seed=context.seed("picture"))
    return sampler


def restore_gan(recipe: Recipe, state: medbench.State, train: medbench.Samples) -> ImageSampler:
    """Rebuild the sampler from its ``state()``.

    Raises:
        medbench.StoreError: If the state belongs to other images or another configuration.
    """
    import torch

    shape = train.x.shape[1:]
    with torch.random.fork_rng(devices=[]):  # the first weights are replaced; drawing them moves no generator on
        game = recipe.game()
        moments = state["moments"].tolist() if "moments" in state else [1] * len(train.classes)
        moments = moments if game.pool > 1 else []
        network = game.sampler_network(shape, len(train.classes), moments).eval().requires_grad_(False)
        judge = _judge(game, game.discriminator(shape, len(train.classes)))
    own = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    own |= judge.tensors() if judge is not None else {}
    checkpoint = state.get("checkpoint") if game.checkpoint == "kid" else None
    beside = {"augmented", *["checkpoint"] * (checkpoint is not None), *["moments"] * bool(moments)}
    fill_tensors(own, {name: a for name, a in state.items() if name not in beside}, recipe.name, train)
    return ImageSampler(network, np.array(state["diversity"]), judge, checkpoint, "augmented" in state, moments)


def fill_tensors(
    own: Mapping[str, torch.Tensor],
    state: medbench.State,
    name: str,
    train: medbench.Samples,
    *,
    beside: tuple[str, ...] = ("shape", "diversity"),
) -> None:
    """Overwrite the tensors of networks built for rows like those of `train` with those of a ``state()``.

    Args:
        own: The networks' tensors by the names they have in `state`.
        state: Has these and the arrays named by `beside`, and nothing else.
        name: Of the recipe, for the message.
        train: What the generator was fitted on.
        beside: Names of arrays that are no tensors; a "shape" among them is that of a row.

    Raises:
        medbench.StoreError: If the state belongs to other networks.
    """
    import torch

    shape = train.x.shape[1:]
    same = (
        set(state) == {*own, *beside}
        and ("shape" not in beside or tuple(state["shape"]) == shape)
        and all(state[key].shape == tuple(value.shape) for key, value in own.items())
    )
    if not same:
        raise medbench.StoreError(
            f"{name}: the stored weights do not fit rows of {shape} in {len(train.classes)} classes "
            "under this configuration; fit the generator again."
        )
    for key, value in own.items():
        value.copy_(torch.from_numpy(np.array(state[key])))


def _judge(game: Game, discriminator: nn.Module | None) -> Discriminator | None:
    """Return a discriminator that knows all classes as a judge of images; None for one of another kind."""
    if game.split != "conditional" or discriminator is None:
        return None
    temperature = getattr(game.objective, "temperature", 1.0)
    return make_judge(discriminator, lambda x: x.astype(np.float32) / 127.5 - 1, temperature=temperature)


@dataclass(frozen=True, eq=False)
class ImageSampler:
    """Draws from a fitted generator.

    Sampling happens on the CPU wherever the fit ran, so that a stored generator gives the same images everywhere.

    Attributes:
        network: The averaged generator, on the CPU, in evaluation mode.
        diversity: ``float64 (n_classes,)`` mean distance between two samples of a class over that between two of its
            real images; near 0 is a collapse, NaN a class with fewer than two real images. A single number, over all
            images, where one network ignores the labels.
        judge: The discriminator, on the CPU; None where it is given no classes.
        checkpoint: ``int64 (networks, 2)``, steps behind the weights that were kept, and 1 where they were chosen by
            KID, 0 where there were too few images to choose by; None where the last ones are kept anyway.
        augmented: Whether the discriminator was shown changed images.
        moments: Of each network, from how many moments of its training it draws; empty where from the last alone.
    """

    network: GeneratorNetwork | Pool | OneAClass
    diversity: np.ndarray
    judge: Discriminator | None = None
    checkpoint: np.ndarray | None = None
    augmented: bool = False
    moments: Sequence[int] = ()

    @property
    def facts(self) -> dict[str, float]:
        """Numbers to log: diversity, which weights were kept, and whether the discriminator saw changed images."""
        facts = {**diversity_facts(self.diversity), "augmented": float(self.augmented)}
        if self.checkpoint is None:
            return facts
        step, chosen = self.checkpoint.mean(0).tolist()
        return {**facts, "checkpoint_step": step, "checkpoint_chosen": chosen}

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one image a label, ``uint8 (n, channels, *spatial)``; the same seed gives the same."""
        from medbench_plugins.generators.image_gans.loop import draw

        return draw(self.network, labels, seed)

    def state(self) -> medbench.State:
        """Return weights and buffers by name, those of the judge behind "judge.", the shape of a row, the diversity."""
        weights = {**self.network.state_dict(), **(self.judge.tensors() if self.judge is not None else {})}.items()
        arrays = {name: np.ascontiguousarray(value.numpy()) for name, value in weights if value.is_floating_point()}
        shape = np.array([self.network.channels, *self.network.spatial], dtype=np.int64)
        chosen = {} if self.checkpoint is None else {"checkpoint": self.checkpoint}
        chosen |= {"augmented": np.ones(1)} if self.augmented else {}
        chosen |= {"moments": np.array(self.moments, dtype=np.int64)} if self.moments else {}
        return {**arrays, **chosen, "shape": shape, "diversity": self.diversity}
