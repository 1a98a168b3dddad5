"""What every GAN of features does around its game: check, fit, restore, sample. Imports no torch.

The functions are used as methods, ``fit = fit_gan_of_vectors``: shared without a base class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import medbench
from medbench_plugins.generators.checks import check_classes, check_fields
from medbench_plugins.generators.diversity import diversity_facts
from medbench_plugins.generators.image_gans.recipe import fill_tensors
from medbench_plugins.generators.settings import GANSettings
from medbench_plugins.row_vectors import as_rows_like, as_vectors
from medbench_plugins.selection.judges import Discriminator, make_judge

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medbench_plugins.generators.feature_gans.loop import DenseGame, RowGenerator


class Recipe(GANSettings, Protocol):
    """A recipe that builds the game it plays."""

    def game(self) -> DenseGame: ...


LONGEST = 65_536  # numbers in a row: a dense layer of 512 then has 34 million weights


def fit_gan_of_vectors(recipe: Recipe, train: medbench.Samples, context: medbench.Context) -> RowSampler:
    """Train dense networks on the labelled rows of `train`; leave ``NAME-curves.csv`` in the folder.

    Args:
        recipe: Checked here.
        train: ``float32 (n, ...)`` features of any shape, or ``uint8`` pixels: every row is one vector.
        context: Budget, device, seeds and folder.

    Raises:
        medbench.UsageError: If a field is out of its range.
        medbench.Skip: If a class has no row, or the rows are too long for dense networks.
        medbench.Diverged: If a loss or a weight is not finite.
    """
    check_fields(recipe)
    length = int(np.prod(train.x.shape[1:]))
    if length > LONGEST:
        raise medbench.Skip(f"{recipe.name} has dense networks for rows of up to {LONGEST:,} numbers, got {length:,}")
    return _fit(recipe, train, context)


def fit_gan_of_maps(recipe: Recipe, train: medbench.Samples, context: medbench.Context) -> RowSampler:
    """Do what :func:`fit_gan_of_vectors` does by convolutional networks for maps ``(n, d, *spatial)`` of any length.

    Raises:
        medbench.UsageError: If a field is out of its range.
        medbench.Skip: If the rows are no maps of two or three axes, or a class has no row.
        medbench.Diverged: If a loss or a weight is not finite.
    """
    check_fields(recipe)
    if train.x.ndim not in (4, 5):
        raise medbench.Skip(f"{recipe.name} draws maps of features, got rows of shape {train.x.shape[1:]}")
    return _fit(recipe, train, context)


def fit_gan_of_either(recipe: Recipe, train: medbench.Samples, context: medbench.Context) -> RowSampler:
    """Fit on maps where the rows are maps, else on vectors; raises as either does."""
    fit = fit_gan_of_maps if train.x.ndim in (4, 5) else fit_gan_of_vectors
    return fit(recipe, train, context)


def _fit(recipe: Recipe, train: medbench.Samples, context: medbench.Context) -> RowSampler:
    check_classes(recipe, train)
    from medbench_plugins.generators.feature_gans.loop import relative_diversity, train_dense_gan

    network, discriminator, losses = train_dense_gan(recipe, recipe.game(), train, context)
    path, curves = context.folder / f"{recipe.name}-curves.csv", losses.values.cpu().numpy()
    np.savetxt(path, curves, fmt="%.5f", delimiter=",", header=",".join(losses.names), comments="")
    diversity = relative_diversity(network, train, context.seed("diversity"))
    return RowSampler(network, train.x[:0], diversity, _judge(network, discriminator))


def restore_gan_of_rows(recipe: Recipe, state: medbench.State, train: medbench.Samples) -> RowSampler:
    """Rebuild the sampler from its ``state()``.

    Raises:
        medbench.StoreError: If the state belongs to other rows or another configuration.
    """
    import torch

    from medbench_plugins.generators.feature_gans.loop import build_generator

    with torch.random.fork_rng(devices=[]):  # the first weights are replaced; drawing them moves no generator on
        game = recipe.game()
        network: Any = build_generator(game, train)
        discriminator = game.discriminator(train.x.shape[1:], len(train.classes))
    network.eval().requires_grad_(False)
    judge = _judge(network, discriminator)
    own = {**_floats(network), **(judge.tensors() if judge is not None else {})}
    fill_tensors(own, state, recipe.name, train, beside=("diversity",))
    return RowSampler(network, train.x[:0], np.array(state["diversity"]), _judge(network, discriminator))


def _floats(network: RowGenerator) -> dict[str, torch.Tensor]:
    """Return the floating tensors by name; a batch norm's counter says nothing of what is drawn."""
    return {name: value for name, value in network.state_dict().items() if value.is_floating_point()}


def _judge(network: RowGenerator, discriminator: nn.Module) -> Discriminator | None:
    """Return the discriminator as a judge of rows in the units of the training rows."""
    location, scale = network.location.numpy(), network.scale.numpy()
    return make_judge(discriminator, lambda x: ((as_vectors(x) - location) / scale).astype(np.float32))


@dataclass(frozen=True, eq=False)
class RowSampler:
    """Draws from a fitted generator, on the CPU wherever the fit ran.

    Attributes:
        network: The averaged generator, on the CPU, in evaluation mode.
        like: No rows, in the dtype and shape of the training rows.
        diversity: ``float64 (n_classes,)`` mean distance between two synthetic rows of a class over that between two
            real ones; near 0 is a collapse, NaN a class with fewer than two real rows.
        judge: The discriminator, on the CPU; None where it is given no classes.
    """

    network: RowGenerator
    like: np.ndarray
    diversity: np.ndarray
    judge: Discriminator | None = None

    @property
    def facts(self) -> dict[str, float]:
        """Numbers to log: diversity, see :func:`medbench_plugins.generators.diversity.diversity_facts`."""
        return diversity_facts(self.diversity)

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one row a label, ``(n, ...)`` in dtype and shape of the training rows; the same seed gives the same."""
        from medbench_plugins.generators.feature_gans.loop import draw

        return as_rows_like(draw(self.network, labels, seed), self.like)

    def state(self) -> medbench.State:
        """Return weights and buffers by name, those of the judge behind "judge.", and the diversity."""
        tensors = {**_floats(self.network), **(self.judge.tensors() if self.judge is not None else {})}
        return {
            **{name: value.numpy() for name, value in tensors.items()},
            "diversity": self.diversity,
        }
