"""Training without new images: as it is, or with every class drawn equally often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

import medbench


@dataclass(frozen=True)
class Unchanged:
    """The training samples as they are; the footer of every table."""

    name: str = "none"

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset()
    control: ClassVar[None] = None
    summary: ClassVar[str] = "training as it is"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` and nothing else."""
        return medbench.TrainingSet(train)


@dataclass(frozen=True)
class Balanced:
    """Every class drawn equally often: the root of the tree of controls, since every other arm does so too."""

    name: str = "balanced"

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling"})
    control: ClassVar[None] = None
    summary: ClassVar[str] = "every class drawn equally often"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with class-balanced sampling."""
        return medbench.TrainingSet(train, sampling=balanced_sampling(train))


def balanced_sampling(samples: medbench.Samples) -> np.ndarray:
    """Return the probability of each row under which all classes that have rows are equally likely.

    Returns:
        ``float64 (n,)`` summing to 1; rows of a class are equally likely, unlabelled rows are never drawn.

    Raises:
        medbench.DataError: If no row has a label.
    """
    counts = samples.class_counts
    present = np.count_nonzero(counts)
    if not present:
        raise medbench.DataError(
            f"labels: none of the {len(samples)} training rows has one, so no class can be drawn; check the labels."
        )
    weights = 1 / (present * np.maximum(counts, 1))
    return np.where(samples.labels >= 0, weights[samples.labels], 0.0)
