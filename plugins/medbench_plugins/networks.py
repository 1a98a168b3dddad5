"""Small networks of our own, for machines without a GPU, and a wrapper that resizes.

Import this module inside ``fit``: it needs torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import medbench

SIZES = (32, 64, 96, 128, 160, 192, 224, 256)


class SmallCNN(nn.Module):
    """Four 3-wide convolutions of stride 2, each with twice the channels of the one before.

    Measured on BreastMNIST at 32 pixels (600 steps of 32, 3 seeds, AUROC): batch norms .89, group norms .82; a second
    convolution a stage costs twice the time and gained nothing.

    Args:
        in_channels: Channels of an image.
        n_classes: Logits.
        width: Channels of the first stage; the last one has eight times as many.
        spatial_dims: 2 or 3.
    """

    def __init__(self, in_channels: int, n_classes: int, *, width: int = 16, spatial_dims: int = 2) -> None:
        super().__init__()
        conv = (nn.Conv2d, nn.Conv3d)[spatial_dims - 2]
        norm = (nn.BatchNorm2d, nn.BatchNorm3d)[spatial_dims - 2]
        layers: list[nn.Module] = []
        for stage in range(4):
            out = width * 2**stage
            layers += [conv(in_channels, out, 3, 2, 1, bias=False), norm(out), nn.ReLU(inplace=True)]
            in_channels = out
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(in_channels, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, n_classes)`` of images ``(B, in_channels, *spatial)``."""
        x = self.features(x).flatten(2).mean(2)  # (B, 8 * width)
        return self.head(x)


class StandardisedLinear(nn.Module):
    """A linear layer on standardised features; maps are averaged over their positions first.

    Args:
        mean: ``float64 (d,)`` taken from each feature.
        deviation: ``float64 (d,)`` above 0 that each is divided by.
        n_classes: Logits.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: np.ndarray, deviation: np.ndarray, n_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("deviation", torch.from_numpy(deviation).float())
        self.head = nn.Linear(len(mean), n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, n_classes)`` of features ``(B, d)`` or ``(B, d, *spatial)``."""
        x = x.reshape(*x.shape[:2], -1).mean(2)  # (B, d)
        return self.head((x - self.mean) / self.deviation)


class Resized(nn.Module):
    """A network behind a bilinear (3-D: trilinear) resize of its images to `size` pixels along every axis."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of the resized images."""
        size = [self.size] * (x.ndim - 2)
        mode = "bilinear" if x.ndim == 4 else "trilinear"
        return self.network(F.interpolate(x, size, mode=mode, align_corners=False))


def least_size(build: Callable[[int], nn.Module], shape: tuple[int, ...], *, named: str) -> int:
    """Find the least size, at or above that of the images, which a network can be trained with.

    Args:
        build: Makes the network for images of so many pixels along every axis.
        shape: ``(channels, *spatial)`` of an image.
        named: What an error calls the network.

    Raises:
        medbench.UsageError: If no size up to 256 will do.
    """
    channels, own = shape[0], max(shape[1:])
    sizes = sorted({own, -(-own // 32) * 32, *(size for size in SIZES if size > own)})
    with torch.random.fork_rng([]), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about layers without elements: such a size is refused a moment later
        for size in sizes:
            try:
                logits = build(size).train()(torch.zeros(2, channels, *[size] * (len(shape) - 1)))
            except (RuntimeError, AssertionError, ValueError, TypeError, IndexError):
                continue  # each library has its own way to say that an image is too small
            if isinstance(logits, torch.Tensor) and logits.ndim == 2:
                return size
    raise medbench.UsageError(f"{named} gives no class scores for images of {shape}; choose another network")
