"""The control of all augmenters of features: the head refitted on real features alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import medbench


@dataclass(frozen=True)
class FeatureNone:
    """The training features with every class drawn equally often.

    It pays for what every method on features has: the encoder's training, and the head's after it.
    """

    name: str = "feature-none"

    space: ClassVar[Literal["features"]] = "features"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling"})
    control: ClassVar[None] = None
    summary: ClassVar[str] = "an encoder and a refitted head, every class drawn equally often"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with class-balanced sampling."""
        return medbench.TrainingSet(train, sampling=medbench.balanced_sampling(train))
