"""What every GAN of features does around its game: check, fit, restore, sample. Needs no torch to be imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

import medbench
from medbench_plugins.gan_recipes import check_fields
from medbench_plugins.rows import shaped

if TYPE_CHECKING:
    from medbench_plugins.feature_gan import DenseGame, DenseGenerator, Settings

    class Recipe(Settings, Protocol):
        """A recipe that says what game it plays."""

        def game(self) -> DenseGame: ...


LONGEST = 65_536  # numbers in a row: a dense layer of 512 then has 34 million weights


def fit_dense_gan(recipe: Recipe, train: medbench.Samples, context: medbench.Context) -> MadeRows:
    """Train on the labelled rows of `train`; leave ``NAME-curves.csv`` in the folder.

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
    empty = [name for name, count in zip(train.classes, train.class_counts, strict=True) if not count]
    if empty:
        raise medbench.Skip(f"{recipe.name} cannot learn a class without training rows: {', '.join(empty)}")
    from medbench_plugins.feature_gan import relative_diversity, train_dense_gan

    network, names, curves = train_dense_gan(recipe, recipe.game(), train, context)
    path = context.folder / f"{recipe.name}-curves.csv"
    np.savetxt(path, curves, fmt="%.5f", delimiter=",", header=",".join(names), comments="")
    return MadeRows(network, train.x[:0], relative_diversity(network, train, context.seed("diversity")))


def restore_dense_gan(recipe: Recipe, state: medbench.State, train: medbench.Samples) -> MadeRows:
    """Rebuild the sampler from its ``state()``.

    Raises:
        medbench.StoreError: If the state belongs to other rows or another configuration.
    """
    import torch

    from medbench_plugins.feature_gan import build_generator

    with torch.random.fork_rng(devices=[]):  # the first weights are replaced; drawing them moves no generator on
        network = build_generator(recipe, train).eval().requires_grad_(False)
    own = network.state_dict()
    shapes = {name: tuple(value.shape) for name, value in own.items()}
    if {name: array.shape for name, array in state.items() if name != "diversity"} != shapes:
        raise medbench.StoreError(
            f"{recipe.name}: the stored weights do not fit rows of {train.x.shape[1:]} in {len(train.classes)} classes "
            "under this configuration; fit the generator again."
        )
    for name, value in own.items():
        value.copy_(torch.from_numpy(np.array(state[name])))
    return MadeRows(network, train.x[:0], np.array(state["diversity"]))


@dataclass(frozen=True, eq=False)
class MadeRows:
    """Draws from a fitted generator, on the CPU wherever the fit ran.

    Attributes:
        network: The averaged generator, on the CPU, in evaluation mode.
        like: No rows, in the dtype and shape of the training rows.
        diversity: ``float64 (n_classes,)`` mean distance between two made rows of a class over that between two real
            ones; near 0 is a collapse, NaN a class with fewer than two real rows.
    """

    network: DenseGenerator
    like: np.ndarray
    diversity: np.ndarray

    @property
    def facts(self) -> dict[str, float]:
        """Numbers worth logging: the diversity of the average class and of the worst."""
        known = self.diversity[np.isfinite(self.diversity)]
        return {"diversity": float(known.mean()), "diversity_lowest": float(known.min())} if len(known) else {}

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one row a label.

        Args:
            labels: ``int64 (n,)``.
            seed: The same seed gives the same rows.

        Returns:
            ``(n, ...)`` in the dtype and shape of the training rows.
        """
        from medbench_plugins.feature_gan import draw

        return shaped(draw(self.network, labels, seed), self.like)

    def state(self) -> medbench.State:
        """Return weights and buffers by name, and the diversity."""
        return {
            **{name: value.numpy() for name, value in self.network.state_dict().items()},
            "diversity": self.diversity,
        }
