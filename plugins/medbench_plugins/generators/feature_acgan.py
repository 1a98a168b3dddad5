"""AC-GAN of whatever features an encoder gives: dense for vectors, convolutional for maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import medbench
from medbench_plugins.generators.dense_acgan import DenseACGAN
from medbench_plugins.generators.map_acgan import MapACGAN


@dataclass(frozen=True)
class FeatureACGAN:
    """One of two generators, by the shape of the rows.

    Attributes:
        dense: For rows that are vectors ``(n, d)``.
        maps: For maps ``(n, d, *spatial)`` of two or three axes.
    """

    name: str = "feature-acgan"
    dense: medbench.Generator = field(default_factory=DenseACGAN)
    maps: medbench.Generator = field(default_factory=MapACGAN)

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "auxiliary classifier GAN of features: dense-acgan for vectors, map-acgan for maps"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field of either is out of its range."""
        for generator in (self.dense, self.maps):
            if check := getattr(generator, "check", None):
                check()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.Sampler:
        """Fit the one that rows like these are for."""
        return self._for(train).fit(train, context)

    def restore(self, state: medbench.State, train: medbench.Samples) -> medbench.Sampler:
        """Rebuild the sampler from its ``state()``."""
        return self._for(train).restore(state, train)

    def _for(self, train: medbench.Samples) -> medbench.Generator:
        return self.maps if train.x.ndim in (4, 5) else self.dense
