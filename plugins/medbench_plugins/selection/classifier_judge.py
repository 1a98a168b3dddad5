"""A classifier of real images as a judge of synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import medbench
from medbench_plugins.classifiers.encoder import NetworkEncoding, TrainedEncoder


@dataclass(frozen=True)
class Selector:
    """A classifier trained on the real training rows, classes drawn equally often: a stage, so that it is shared.

    Attributes:
        classifier: One that describes how its network is built, as all built-in ones do.
    """

    classifier: medbench.Classifier
    name: ClassVar[str] = "selector"

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """What the classifier asks for."""
        return tuple(getattr(self.classifier, "needs", ()))

    def fit(self, train: medbench.Samples, context: medbench.Context) -> FittedSelector:
        """Train for the budget's steps, see :class:`medbench_plugins.classifiers.encoder.TrainedEncoder`.

        Raises:
            medbench.Skip: If the classifier does not take rows like these, or its network cannot be cut.
            medbench.Diverged: If a loss or a weight is not finite.
        """
        return FittedSelector(self._encoder(train).fit(train, context))

    def restore(self, state: medbench.State, train: medbench.Samples) -> FittedSelector:
        """Rebuild the selector from its ``state()``.

        Raises:
            medbench.StoreError: If the state is that of another network.
        """
        return FittedSelector(self._encoder(train).restore(state, train))

    def _encoder(self, train: medbench.Samples) -> TrainedEncoder:
        classifier: Any = self.classifier
        kind = f"{train.x.ndim - 2}d" if train.x.dtype == np.uint8 else "features"
        if kind not in classifier.takes:
            shown = {"2d": "2-D images", "3d": "3-D images"}.get(kind, kind)
            raise medbench.Skip(f"a selector {classifier.name} does not take {shown}; give classifier= one that does")
        if not hasattr(classifier, "blueprint"):
            raise medbench.Skip(f"{classifier.name} does not say how its network is built, so it cannot be a selector")
        return TrainedEncoder(classifier)


@dataclass(frozen=True, eq=False)
class FittedSelector:
    """A trained classifier as a judge of images, on the CPU."""

    encoding: NetworkEncoding

    @property
    def facts(self) -> dict[str, float | str]:
        """Facts of the fit; empty once restored."""
        return self.encoding.facts

    def class_probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities ``float64 (n, n_classes)`` of ``x uint8 (n, channels, *spatial)``."""
        import torch

        torch.set_num_threads(self.encoding.threads)  # as many as it was trained with: they change bits
        if not len(x):
            return self.encoding.predictor(np.zeros((1, *x.shape[1:]), x.dtype))[:0]
        return self.encoding.predictor(x)

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return what the last linear layer is given, ``float64 (n, d)``."""
        return self.encoding(x).astype(np.float64)

    def state(self) -> medbench.State:
        """Return the network's floating tensors by name, and the number of threads."""
        return self.encoding.state()
