"""The placebo of every generator: real training images of the class, unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import medbench


@dataclass(frozen=True)
class Resample:
    """Draws real training images of the requested class; costs nothing and is never stored."""

    name: str = "resample"

    stored: ClassVar[bool] = False
    summary: ClassVar[str] = "real training images of the class: the placebo of every generator"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> RealImages:
        """Return a sampler over `train`."""
        return RealImages(train)

    def restore(self, state: medbench.State, train: medbench.Samples) -> RealImages:
        """Return a sampler over `train`."""
        return RealImages(train)


@dataclass(frozen=True, eq=False)
class RealImages:
    """Draws from the real rows of `train`."""

    train: medbench.Samples

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one real image a label, every image of a class equally often up to one.

        Args:
            labels: ``int64 (n,)``.
            seed: Of the shuffles.

        Returns:
            ``(n, channels, *spatial)`` in the dtype of the training samples.

        Raises:
            medbench.Skip: If a requested class has no real training image.
        """
        return np.asarray(self.train.x[self.rows(labels, seed)])

    def sources(self, labels: np.ndarray, seed: int) -> list[tuple[str, ...]]:
        """Return the id of the image that ``sample`` gives for each label."""
        return [(str(name),) for name in self.train.ids[self.rows(labels, seed)]]

    def rows(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return the row numbers ``int64 (n,)`` of what ``sample`` gives; raises as that does."""
        rng = np.random.default_rng(seed)
        labels = np.asarray(labels)
        rows = np.empty(len(labels), dtype=np.int64)
        is_real = self.train.is_real
        for label in np.unique(labels):
            own = np.flatnonzero(is_real & (self.train.labels == label))
            if not len(own):
                raise medbench.Skip(f"class {self.train.classes[label]!r} has no training image to draw from")
            places = np.flatnonzero(labels == label)
            rounds = -(-len(places) // len(own))
            # Whole shuffled rounds: as a placebo it must not favour some images over others.
            rows[places] = np.concatenate([rng.permutation(own) for _ in range(rounds)])[: len(places)]
        return rows

    def state(self) -> medbench.State:
        """Return nothing: the training samples are all there is."""
        return {}
