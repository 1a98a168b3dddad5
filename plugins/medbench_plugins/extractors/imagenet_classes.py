"""An extractor that tells the classes of ImageNet apart, with weights that a package holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import medbench
from medbench_plugins.extractors.timm_features import TimmFeatures

MODELS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


@dataclass(frozen=True)
class ImageNetClasses:
    """The features of EfficientNet-Lite and the 1,000 class probabilities it gives; 2-D, one or three channels.

    For the inception score where the weights of the Inception network are not at hand: its numbers are those of another
    network, and stand beside each other only. ``medbench[weights]`` installs the weights; nothing is downloaded.

    Attributes:
        model: efficientnet_lite0, 1 or 2.
        size: Pixels along each axis that images are resized to; None is what the weights were trained at.
    """

    model: str = "efficientnet_lite0"
    size: int | None = None
    name: ClassVar[str] = "imagenet-classes"
    summary: ClassVar[str] = "EfficientNet-Lite with its ImageNet classes, for inception scores without a file"
    takes: ClassVar[frozenset[str]] = frozenset({"2d"})

    def check(self) -> None:
        """Look at model and weights; imports timm.

        Raises:
            medbench.UsageError: If the model is none of the three, or images of this size are too small.
            medbench.ResourceError: If the package is not installed.
        """
        if self.model not in MODELS:
            raise medbench.UsageError(f"{self.name}.model: {self.model!r} is unknown; use {', '.join(MODELS)}.")
        self._inner().check()

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, d)`` of ``uint8 (n, 1 or 3, height, width)``; raises as ``timm-features`` does."""
        return self._inner().features(x)

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, 1000)`` class probabilities, rows summing to 1; raises as ``features``."""
        from scipy.special import softmax

        inner = self._inner()
        features, layer = inner.features(x), inner._trained().network.get_classifier()
        weight, bias = (tensor.detach().double().numpy() for tensor in (layer.weight, layer.bias))
        # Row by row: a product of matrices gives a row other last bits beside other rows.
        logits = np.array([weight @ row + bias for row in features]).reshape(len(x), len(bias))
        return np.asarray(softmax(logits, axis=1))

    def _inner(self) -> TimmFeatures:
        return TimmFeatures(self.model, "imagenet", self.size)
