"""Features of a volume from an extractor of pictures: slices along each axis, their features averaged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

import medbench
from medbench_plugins.extractors.timm_features import TimmFeatures


@dataclass(frozen=True)
class Slices:
    """What an extractor of 2-D images sees in evenly spaced slices of a volume, averaged over the slices of each axis.

    Three means, one an axis, stand side by side: a feature means the same in each, but anatomy differs with the axis.

    Attributes:
        extractor: Of 2-D images.
        slices: Of each axis, 1 or more: at ``(k + 1) / (slices + 1)`` of its length, so none is at the border.
    """

    extractor: medbench.Extractor = field(default_factory=TimmFeatures)
    slices: int = 3
    name: ClassVar[str] = "slices"
    summary: ClassVar[str] = "an extractor of 2-D images on slices of volumes: slices[extractor=timm-features]"
    takes: ClassVar[frozenset[str]] = frozenset({"3d"})
    kept: ClassVar[bool] = True

    @property
    def facts(self) -> dict[str, Any]:
        """Those of the extractor."""
        return dict(getattr(self.extractor, "facts", {}))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where there is no slice, or the extractor is trained or of volumes."""
        if self.slices < 1:
            raise medbench.UsageError(f"{self.name}.slices: got {self.slices}; give 1 or more.")
        if hasattr(self.extractor, "fit") or "2d" not in getattr(self.extractor, "takes", ("2d",)):
            raise medbench.UsageError(
                f"{self.name}.extractor: {self.extractor.name} is not a fixed extractor of 2-D images; give "
                "timm-features, for example."
            )

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, 3 * d)`` of ``uint8 (n, channels, depth, height, width)``.

        Raises:
            medbench.Skip: For images that are no volumes, or that the extractor does not take.
        """
        self.check()
        if x.ndim != 5:
            raise medbench.Skip(f"{self.name} takes volumes, not images of shape {x.shape[1:]}")
        means = []
        for axis in (2, 3, 4):
            places = [(k + 1) * x.shape[axis] // (self.slices + 1) for k in range(self.slices)]
            pictures = np.moveaxis(x.take(places, axis=axis), axis, 1)  # (n, slices, channels, a, b)
            seen = self.extractor.features(np.ascontiguousarray(pictures.reshape(-1, *pictures.shape[2:])))
            means.append(seen.reshape(len(x), self.slices, -1).mean(1) if len(x) else seen)
        return np.concatenate(means, axis=1)
