"""A small network of our own, for machines without a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import medbench
from medbench_plugins.classifiers import fit_and_cut
from medbench_plugins.classifiers.blueprint import Blueprint
from medbench_plugins.classifiers.rates_to_try import rates_to_try


@dataclass(frozen=True)
class SmallCNN:
    """Four convolutions with batch norms, in 2-D or 3-D as the images are.

    Attributes:
        width: Channels of the first stage; 16 makes 0.1 million parameters in 2-D.
        lr: Peak learning rate.
        pretrained: File of weights to begin from, safetensors or a PyTorch checkpoint; no package holds any.
        trunk: Part of lr at which all layers but the head learn where they begin from pretrained weights; 0.1 unless
            given. Without such weights it is none.
    """

    width: int = 16
    lr: float = 3e-3
    pretrained: Literal["imagenet"] | Path | None = None
    trunk: float | None = None
    name: ClassVar[str] = "small-cnn"
    summary: ClassVar[str] = "small 2-D or 3-D network of our own, for machines without a GPU"
    takes: ClassVar[frozenset[str]] = frozenset(
        {"2d", "3d", "samples", "transform", "sampling", "loss", "bags", "pretrain"}
    )
    tunable = property(rates_to_try)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise medbench.UsageError(f"small-cnn: width is {self.width}; give at least 1")
        fit_and_cut.settle_trunk(self)

    check = fit_and_cut.check
    fit = fit_and_cut.fit
    cut = fit_and_cut.cut
    check_images = fit_and_cut.check_images
    look_at_weights = fit_and_cut.look_at_weights

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for images like these."""
        from medbench_plugins.networks import small

        channels, n_classes, dimensions = samples.x.shape[1], len(samples.classes), samples.x.ndim - 2
        return Blueprint(lambda: small.SmallCNN(channels, n_classes, width=self.width, spatial_dims=dimensions))
