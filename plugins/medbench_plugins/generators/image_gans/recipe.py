"""What every GAN's recipe does around its game: check, fit, restore, sample. Needs no torch to be imported.

The functions are used as methods, ``fit = gan_recipes.fit_gan``: shared without a base class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import medbench
from medbench_plugins.selection.judges import Discriminator, judge_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medbench_plugins.generators.image_gans.loop import Game, Settings
    from medbench_plugins.generators.image_gans.networks import GeneratorNetwork, OneAClass

    class Recipe(Settings, Protocol):
        """A recipe that says what game it plays."""

        def check(self) -> None: ...
        def game(self) -> Game: ...


# Every field a GAN's or the diffusion's recipe may have, with its range. NaN lies in none.
LIMITS: dict[str, tuple[float, float]] = {
    "width": (1, 512),
    "latent": (1, 4096),
    "steps": (1, 10_000_000),
    "batch": (2, 65_536),
    "batch_3d": (2, 65_536),
    "critic_steps": (1, 100),
    "lr_g": (0, math.inf),
    "lr_d": (0, math.inf),
    "beta1": (0, 0.9999),
    "beta2": (0, 0.999999),
    "ema": (0, 1),
    "class_weight": (0, math.inf),
    "embedding": (1, 65_536),
    "rank": (1, 65_536),
    "made_class_weight": (0, math.inf),
    "blur": (0, 100),
    "pull": (0, 100),
    "margin": (0, 1),
    "temperature": (0.01, 100),
    "clip": (1e-6, 100),
    "penalty": (1e-6, 1e6),
    "hidden": (1, 65_536),
    "levels": (0, 8),
    "lr": (0, math.inf),
    "timesteps": (2, 10_000),
    "sampling_steps": (1, 10_000),
    "guidance": (0, 100),
    "drop": (0, 0.99),
}


COLLAPSED = 0.2
"""A worst class with less diversity than this is a collapse: its samples lie less than a fifth as far apart as its real
images. A convention, not a measurement; fits on the phantoms that were fine had 0.74 and more."""


def fit_gan(recipe: Recipe, train: medbench.Samples, context: medbench.Context) -> MadeImages:
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
    check_rows(recipe, train)
    from medbench_plugins.contact_sheet import write_contact_sheet
    from medbench_plugins.generators.image_gans.loop import train_gan, write_curves
    from medbench_plugins.generators.image_gans.networks import OneAClass

    game = recipe.game()
    fits = train_gan(recipe, game, train, context)
    own = fits[0].network
    network = own if game.split == "conditional" else OneAClass([fit.network for fit in fits]).eval()
    diversity = np.concatenate([fit.diversity[-1][1] for fit in fits])
    checkpoint = np.array([(fit.kept, bool(fit.kids)) for fit in fits]) if game.checkpoint == "kid" else None
    sampler = MadeImages(network, diversity, _judge(game, fits[0].discriminator), checkpoint)
    write_curves(context.folder / f"{recipe.name}-curves.csv", fits)
    write_contact_sheet(context.folder / f"{recipe.name}-samples.png", train, sampler, seed=context.seed("picture"))
    return sampler


def restore_gan(recipe: Recipe, state: medbench.State, train: medbench.Samples) -> MadeImages:
    """Rebuild the sampler from its ``state()``.

    Raises:
        medbench.StoreError: If the state belongs to other images or another configuration.
    """
    import torch

    shape = train.x.shape[1:]
    with torch.random.fork_rng(devices=[]):  # the first weights are replaced; drawing them moves no generator on
        game = recipe.game()
        network = game.sampler_network(shape, len(train.classes)).eval().requires_grad_(False)
        judge = _judge(game, game.discriminator(shape, len(train.classes)))
    own = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    own |= judge.tensors() if judge is not None else {}
    checkpoint = state.get("checkpoint") if game.checkpoint == "kid" else None
    fill_tensors(
        own,
        {name: a for name, a in state.items() if name != "checkpoint" or checkpoint is None},
        recipe.name,
        train,
    )
    return MadeImages(network, np.array(state["diversity"]), judge, checkpoint)


def fill_tensors(own: Mapping[str, torch.Tensor], state: medbench.State, name: str, train: medbench.Samples) -> None:
    """Overwrite the tensors of networks built for rows like those of `train` with those of a ``state()``.

    Args:
        own: The networks' tensors by the names they have in `state`.
        state: Has these, the shape of a row, the diversity, and nothing else.
        name: Of the recipe, for the message.
        train: What the generator was fitted on.

    Raises:
        medbench.StoreError: If the state belongs to other networks.
    """
    import torch

    shape = train.x.shape[1:]
    same = (
        tuple(state.get("shape", ())) == shape
        and set(state) == {*own, "shape", "diversity"}
        and all(state[key].shape == tuple(value.shape) for key, value in own.items())
    )
    if not same:
        raise medbench.StoreError(
            f"{name}: the stored weights do not fit rows of {shape} in {len(train.classes)} classes "
            "under this configuration; fit the generator again."
        )
    for key, value in own.items():
        value.copy_(torch.from_numpy(np.array(state[key])))


def facts_of(diversity: np.ndarray) -> dict[str, float]:
    """Return the mean and the least of ``diversity (n_classes,)``, and whether that is a collapse (1) or not (0).

    Classes without one are left out.
    """
    known = diversity[np.isfinite(diversity)]
    if not len(known):
        return {}
    lowest = float(known.min())
    return {"diversity": float(known.mean()), "diversity_lowest": lowest, "collapsed": float(lowest < COLLAPSED)}


def check_fields(recipe: Any) -> None:
    """Raise :class:`medbench.UsageError` where a field of a GAN's recipe is out of its range."""
    for field, (low, high) in LIMITS.items():
        value = getattr(recipe, field, low)
        if not low <= value <= high:
            raise medbench.UsageError(f"{recipe.name}.{field}: got {value:g}; give a number from {low:g} to {high:g}.")
    checkpoint = getattr(recipe, "checkpoint", "last")
    if checkpoint not in ("last", "kid"):
        raise medbench.UsageError(f"{recipe.name}.checkpoint: {checkpoint!r} is unknown; use last or kid.")


def _judge(game: Game, discriminator: nn.Module | None) -> Discriminator | None:
    """Return a discriminator that knows all classes as a judge of images; None for one of another kind."""
    if game.split != "conditional" or discriminator is None:
        return None
    temperature = getattr(game.objective, "temperature", 1.0)
    return judge_of(discriminator, lambda x: x.astype(np.float32) / 127.5 - 1, temperature=temperature)


def check_rows(recipe: Any, train: medbench.Samples) -> None:
    """Raise :class:`medbench.Skip` where the rows are no images of 12 pixels and more, or a class has none."""
    if train.x.dtype != np.uint8 or train.x.ndim not in (4, 5):
        raise medbench.Skip(
            f"{recipe.name} draws images and volumes, not {train.x.dtype} rows with {train.x.ndim - 1} axes"
        )
    if min(train.x.shape[2:]) < 12:
        raise medbench.Skip(f"{recipe.name} needs 12 pixels along every axis, got {min(train.x.shape[2:])}")
    empty = [name for name, count in zip(train.classes, train.class_counts, strict=True) if not count]
    if empty:
        raise medbench.Skip(f"{recipe.name} cannot learn a class without training images: {', '.join(empty)}")


@dataclass(frozen=True, eq=False)
class MadeImages:
    """Draws from a fitted generator.

    Sampling happens on the CPU wherever the fit ran, so that a stored generator gives the same images everywhere.

    Attributes:
        network: The averaged generator, on the CPU, in evaluation mode.
        diversity: ``float64 (n_classes,)`` mean distance between two samples of a class over that between two of its
            real images; near 0 is a collapse, NaN a class with fewer than two real images. A single number, over all
            images, where one network ignores the labels.
        judge: The discriminator, on the CPU; None where it knows no classes.
        checkpoint: ``int64 (networks, 2)``, steps behind the weights that were kept, and 1 where they were chosen by
            KID, 0 where there were too few images to choose by; None where the last ones are kept anyway.
    """

    network: GeneratorNetwork | OneAClass
    diversity: np.ndarray
    judge: Discriminator | None = None
    checkpoint: np.ndarray | None = None

    @property
    def facts(self) -> dict[str, float]:
        """Numbers worth logging: diversity, see :func:`facts_of`, and which weights were kept."""
        if self.checkpoint is None:
            return facts_of(self.diversity)
        step, chosen = self.checkpoint.mean(0).tolist()
        return {**facts_of(self.diversity), "checkpoint_step": step, "checkpoint_chosen": chosen}

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one image a label.

        Args:
            labels: ``int64 (n,)``.
            seed: The same seed gives the same images.

        Returns:
            ``uint8 (n, channels, *spatial)``.
        """
        from medbench_plugins.generators.image_gans.loop import draw

        return draw(self.network, labels, seed)

    def state(self) -> medbench.State:
        """Return weights and buffers by name, those of the judge behind "judge.", the shape of a row, the diversity."""
        weights = {**self.network.state_dict(), **(self.judge.tensors() if self.judge is not None else {})}.items()
        arrays = {name: np.ascontiguousarray(value.numpy()) for name, value in weights if value.is_floating_point()}
        shape = np.array([self.network.channels, *self.network.spatial], dtype=np.int64)
        chosen = {} if self.checkpoint is None else {"checkpoint": self.checkpoint}
        return {**arrays, **chosen, "shape": shape, "diversity": self.diversity}
