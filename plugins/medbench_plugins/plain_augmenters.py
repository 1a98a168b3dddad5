"""The two augmenters that others are built on: training as it is, and with every class drawn equally often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import medbench


@dataclass(frozen=True)
class Unchanged:
    """The training samples as they are; shown beside the tree of every table."""

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
    """Every class drawn equally often: the reference at the top, since every other method does so too."""

    name: str = "balanced"

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling"})
    control: ClassVar[None] = None
    summary: ClassVar[str] = "every class drawn equally often"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with class-balanced sampling."""
        return medbench.TrainingSet(train, sampling=medbench.balanced_sampling(train))
