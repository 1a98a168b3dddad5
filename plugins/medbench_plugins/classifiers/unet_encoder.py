"""The U-Net as a stage: trained to segment, then read at its bottom. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

import medbench
from medbench_plugins.classifiers.blueprint import Blueprint

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class UNetEncoder:
    """A U-Net trained on the masks of the training samples; features are what its bottom holds.

    Attributes:
        spatial: Maps instead of their means.
        width: Channels of the first level.
        lr: Peak learning rate.
        augment: Flip and turn images and masks.
        pretrained: File of weights to begin from.
        before: Another data set with masks, on which the U-Net is trained first. It is not called ``source``: the core
            fits a stage that has a source on that one only.
    """

    spatial: bool = False
    width: int = 16
    lr: float = 1e-3
    augment: bool = True
    pretrained: Path | None = None
    before: medbench.Dataset | None = None
    name: ClassVar[str] = "unet-encoder"

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The training on the other data set, where there is one."""
        if self.before is None:
            return ()
        return (SegmentationPretraining(replace(self, before=None), self.before),)

    def fit(self, train: medbench.Samples, context: medbench.Context) -> UNetEncoding:
        """Train all steps on all rows of `train`, also those without a class, and keep the last averaged weights.

        Raises:
            medbench.Skip: If there are no masks, or none has any foreground.
            medbench.DataError: If the file of weights is that of another network.
            medbench.Diverged: If a loss or a weight is not finite.
        """
        check_masks(train, needed_by="unet-features")
        from medbench_plugins.networks import weights
        from medbench_plugins.training import segmentation_loop

        start = context.fit(self.needs[0], train).state() if self.needs else None
        if start is not None:
            start = {name: array for name, array in start.items() if name != "encoder.threads"}
        build, facts = weights.build_from(
            self._build(train), pretrained=self.pretrained, start=start, head=("final_conv.",)
        )
        network, learnt = segmentation_loop.fit_unet(build, train, context, lr=self.lr, augment=self.augment)
        return UNetEncoding(network.cpu(), self.spatial, context.budget.threads, {**learnt, **facts})

    def restore(self, state: medbench.State, train: medbench.Samples) -> UNetEncoding:
        """Rebuild the encoder from its ``state()``.

        Raises:
            medbench.StoreError: If the state is that of another network.
        """
        network = Blueprint(self._build(train)).restore(state, train.x.shape[1:], what="encoder of unet-features")
        return UNetEncoding(network, self.spatial, int(state["encoder.threads"][0]), {})

    def _build(self, train: medbench.Samples) -> Callable[[], nn.Module]:
        channels, spatial_dims = train.x.shape[1], train.x.ndim - 2

        def build() -> nn.Module:
            from medbench_plugins.networks import unet

            return unet.build_unet(channels, width=self.width, spatial_dims=spatial_dims)

        return build


@dataclass(frozen=True)
class SegmentationPretraining:
    """A U-Net trained on the masks of another data set, all its rows; the weights that another one begins from.

    Attributes:
        encoder: The U-Net, and how it is trained.
        source: The core fits this stage on it, see :mod:`medbench.interfaces`.
    """

    encoder: UNetEncoder
    source: medbench.Dataset
    name: ClassVar[str] = "segmentation-pretraining"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> UNetEncoding:
        """Train all steps on `train`, the source.

        Raises:
            medbench.Skip: If the source has no masks.
        """
        check_masks(train, needed_by=f"unet-features[source={self.source.name}]")
        return self.encoder.fit(train, context)

    def restore(self, state: medbench.State, train: medbench.Samples) -> UNetEncoding:
        """Rebuild what ``fit`` returned from its ``state()``."""
        return self.encoder.restore(state, train)


@dataclass(frozen=True, eq=False)
class UNetEncoding:
    """Turns images into features on the CPU, so that a stored encoder gives the same features everywhere.

    Attributes:
        network: On the CPU, in evaluation mode.
        spatial: Maps instead of their means.
        threads: CPU threads; stored with the weights, since they change bits.
        facts: Facts of the fit; empty once restored.
    """

    network: nn.Module
    spatial: bool
    threads: int
    facts: dict[str, float | str]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Turn pixels ``uint8 (n, channels, *spatial)`` into ``float32 (n, d)`` or ``(n, d, *spatial / 16)``."""
        import torch

        from medbench_plugins.networks import unet

        if not len(x):
            return self(np.zeros((1, *x.shape[1:]), x.dtype))[:0]
        torch.set_num_threads(self.threads)
        return unet.encode(self.network, x, spatial=self.spatial)

    def state(self) -> medbench.State:
        """Return the floating tensors of the network by name, and the number of threads."""
        tensors = self.network.state_dict().items()
        arrays = {name: tensor.numpy() for name, tensor in tensors if tensor.is_floating_point()}
        return {**arrays, "encoder.threads": np.array([self.threads])}


def check_masks(train: medbench.Samples, *, needed_by: str) -> None:
    """Raise :class:`medbench.Skip` where no row of `train` has any foreground."""
    if train.masks is None:
        raise medbench.Skip(f"{needed_by} learns to segment first, and these samples have no masks")
    if not train.masks.any():
        raise medbench.Skip(
            f"{needed_by} learns to segment first, and the masks of these {len(train)} samples have no foreground"
        )
