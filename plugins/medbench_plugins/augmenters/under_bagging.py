"""Under-bagging: several networks, each on as many rows of every class as the rarest one has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.plain_augmenters import Balanced


def _check(self: UnderBagging | FeatureUnderBagging) -> None:
    """Raise :class:`medbench.UsageError` where a field is out of its range."""
    if not 1 <= self.bags <= 50:
        raise medbench.UsageError(f"{self.name}.bags: got {self.bags}; give a number from 1 to 50.")


def _fit(
    self: UnderBagging | FeatureUnderBagging, train: medbench.Samples, context: medbench.Context
) -> medbench.TrainingSet:
    """Return `train` and its bags; raises as ``check`` and :func:`draw_bags` do."""
    self.check()
    return medbench.TrainingSet(train, bags=draw_bags(train, self.bags, context.seed("bags")))


@dataclass(frozen=True)
class UnderBagging:
    """The mean of several networks, each trained on all rows of the rarest class and as many of every other one.

    Balance by leaving out instead of drawing again, and several draws so that little is left out of all of them. The
    networks share the steps of one, so what it gains over `balanced` is not gained by training longer.

    Attributes:
        bags: How many networks, 1 to 50.

    Source:
        EasyEnsemble, Liu, Wu and Zhou, IEEE Trans. SMC B 39 (2009), 10.1109/TSMCB.2008.2007853, algorithm 1, and the
        balanced bagging of imbalanced-learn, whose bags are drawn alike. Deliberate differences: one network a bag
        instead of boosted stumps, any number of classes, and rows drawn by patient, see :func:`draw_bags`.
    """

    name: str = "under-bagging"
    bags: int = 5

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"bags"})
    summary: ClassVar[str] = "several networks, each on as many images of every class as the rarest one has"
    control: ClassVar[medbench.Augmenter] = Balanced()  # one network, every class drawn equally often

    check = _check
    fit = _fit


@dataclass(frozen=True)
class FeatureUnderBagging:
    """Under-bagging of a refitted head behind one encoder.

    Attributes:
        bags: How many heads, 1 to 50.
    """

    name: str = "feature-under-bagging"
    bags: int = 5

    space: ClassVar[Literal["features"]] = "features"
    gives: ClassVar[frozenset[str]] = frozenset({"bags"})
    summary: ClassVar[str] = "several heads, each on as many features of every class as the rarest one has"
    control: ClassVar[medbench.Augmenter] = FeatureNone()  # one head, every class drawn equally often

    check = _check
    fit = _fit


def draw_bags(samples: medbench.Samples, n_bags: int, seed: int) -> tuple[np.ndarray, ...]:
    """Draw as many rows of each class as the rarest one has, anew for each bag and without replacement within it.

    Whole groups are drawn in random order until a class has enough; of the last one, as many rows as are still wanted.
    So a bag leaves whole patients out, and the bags differ in whom they know. All rows of the rarest class are in
    every bag; a class without rows is in none.

    Args:
        samples: Rows without a label are left out.
        n_bags: At least 1.
        seed: Of the draws.

    Returns:
        ``int64 (m,)`` row numbers for each bag, ascending.

    Raises:
        medbench.DataError: If no row has a label.
    """
    present = [k for k, count in enumerate(samples.class_counts.tolist()) if count]
    if not present:
        raise medbench.DataError(
            f"labels: none of the {len(samples)} training rows has one, so no class can be drawn; check the labels."
        )
    rng = np.random.default_rng(seed)
    fewest = int(samples.class_counts[present].min())
    own = [np.flatnonzero(samples.labels == k) for k in present]
    group_of = [np.unique(samples.groups[rows], return_inverse=True)[1] for rows in own]
    bags = []
    for _ in range(n_bags):
        drawn = []
        for rows, groups in zip(own, group_of, strict=True):
            rank = rng.permutation(int(groups.max()) + 1)[groups]
            by_rank = np.lexsort((rng.permutation(len(rows)), rank))  # groups in random order, and rows within them
            drawn.append(rows[by_rank[:fewest]])
        bags.append(np.sort(np.concatenate(drawn)))
    return tuple(bags)
