"""AC-GAN of whatever features an encoder gives: from a Gaussian a class, or from noise as it was published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import medbench
from medbench_plugins.generators.dense_acgan import DenseACGAN
from medbench_plugins.generators.map_acgan import MapACGAN
from medbench_plugins.generators.refined_acgan import RefinedACGAN


@dataclass(frozen=True)
class FeatureACGAN:
    """One of three generators.

    Attributes:
        start: "gaussian" takes `refined`, whatever the rows; "noise" takes `dense` or `maps`, as Sahoo and Mehra's.
        refined: Starts as one Gaussian a class.
        dense: For rows that are vectors ``(n, d)``.
        maps: For maps ``(n, d, *spatial)`` of two or three axes.
    """

    name: str = "feature-acgan"
    start: Literal["gaussian", "noise"] = "gaussian"
    refined: medbench.Generator = field(default_factory=RefinedACGAN)
    dense: medbench.Generator = field(default_factory=DenseACGAN)
    maps: medbench.Generator = field(default_factory=MapACGAN)

    stored: ClassVar[bool] = True
    summary: ClassVar[str] = "auxiliary classifier GAN of features: refined-acgan, or from noise by start=noise"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field of any of them is out of its range."""
        if self.start not in ("gaussian", "noise"):
            raise medbench.UsageError(f"{self.name}.start: {self.start!r} is unknown; use gaussian or noise.")
        for generator in (self.refined, self.dense, self.maps):
            if check := getattr(generator, "check", None):
                check()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.Sampler:
        """Fit the one that rows like these are for."""
        return self._for(train).fit(train, context)

    def restore(self, state: medbench.State, train: medbench.Samples) -> medbench.Sampler:
        """Rebuild the sampler from its ``state()``."""
        return self._for(train).restore(state, train)

    def _for(self, train: medbench.Samples) -> medbench.Generator:
        if self.start == "gaussian":
            return self.refined
        return self.maps if train.x.ndim in (4, 5) else self.dense
