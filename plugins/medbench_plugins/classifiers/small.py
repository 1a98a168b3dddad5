"""A small network of our own, for machines without a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import medbench


@dataclass(frozen=True)
class SmallCNN:
    """Eight convolutions with batch norms in four stages, in 2-D or 3-D as the images are.

    Attributes:
        width: Channels of the first stage; 16 makes 0.3 million parameters in 2-D.
        lr: Peak learning rate.
        pretrained: File of weights to begin from, safetensors or a PyTorch checkpoint.
    """

    width: int = 16
    lr: float = 3e-3
    pretrained: Path | None = None
    name: ClassVar[str] = "small-cnn"
    summary: ClassVar[str] = "small 2-D or 3-D network of our own, for machines without a GPU"
    takes: ClassVar[frozenset[str]] = frozenset({"2d", "3d", "samples", "transform", "sampling", "loss"})

    def __post_init__(self) -> None:
        if self.width < 1:
            raise medbench.UsageError(f"small-cnn: width is {self.width}; give at least 1")

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> medbench.Predictor:
        """Train the network; see :func:`medbench_plugins.training.fit_network`."""
        from medbench_plugins import networks, training, weights

        samples = training_set.samples
        channels, n_classes, dimensions = samples.x.shape[1], len(samples.classes), samples.x.ndim - 2
        build, facts = weights.beginning(
            lambda: networks.SmallCNN(channels, n_classes, width=self.width, spatial_dims=dimensions),
            pretrained=self.pretrained,
            start=start,
        )
        return training.fit_network(build, training_set, validation, context, lr=self.lr, facts=facts)
