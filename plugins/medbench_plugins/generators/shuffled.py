"""A placebo: real training images under labels that were shuffled among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

import medbench
from medbench_plugins.generators.resample import RealImages


@dataclass(frozen=True)
class ShuffledLabels:
    """Draws real training images of any class as those of the requested class; costs nothing and is never stored.

    The labels are shuffled once, so that each class keeps its number of images and an image keeps its wrong label.
    What it gains over its control is what label noise gains; samples that do no better carry nothing of the class.
    """

    name: str = "shuffled-labels"

    stored: ClassVar[bool] = False
    summary: ClassVar[str] = "real training images under shuffled labels: a placebo"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> MislabelledImages:
        """Return a sampler over the real, labelled rows of `train`."""
        rows = np.flatnonzero(train.is_real & (train.labels >= 0))
        labels = np.full(len(train), -1, dtype=np.int64)
        labels[rows] = np.random.default_rng(context.seed("shuffle")).permutation(train.labels[rows])
        return MislabelledImages(train, labels)

    def restore(self, state: medbench.State, train: medbench.Samples) -> MislabelledImages:
        """Return the sampler that `state` came from.

        Raises:
            medbench.StoreError: If `state` is that of another number of rows.
        """
        labels = np.array(state["labels"])
        if len(labels) != len(train):
            raise medbench.StoreError(
                f"{self.name}: the stored labels are those of {len(labels)} rows, not of {len(train)}; "
                "fit the generator again."
            )
        return MislabelledImages(train, labels)


@dataclass(frozen=True, eq=False)
class MislabelledImages:
    """Draws from the real rows of `train` by `labels`, ``int64 (n,)``, instead of their own."""

    train: medbench.Samples
    labels: np.ndarray

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one real image a label, drawn as :class:`RealImages` does."""
        return RealImages(replace(self.train, labels=self.labels)).sample(labels, seed)

    def state(self) -> medbench.State:
        """Return the shuffled labels."""
        return {"labels": self.labels}
