"""Small networks of our own, for machines without a GPU, and a wrapper that resizes.

Import this module inside ``fit``: it needs torch.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import medbench

SIZES = (32, 64, 96, 128, 160, 192, 224, 256)
PATCHES = (4, 8, 14, 16, 32)  # of transformers


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


class ConvolutionalHead(nn.Module):
    """Two convolutions with batch norms and max-pools, then two linear layers with dropout between, for maps.

    Args:
        mean: ``float64 (d,)`` taken from each channel.
        deviation: ``float64 (d,)`` above 0 that each is divided by.
        n_classes: Logits.
        spatial: Positions along each axis; one that has a single position is not pooled.
        width: Channels of both convolutions.
        hidden: Units between the linear layers.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self,
        mean: np.ndarray,
        deviation: np.ndarray,
        n_classes: int,
        *,
        spatial: tuple[int, ...],
        width: int,
        hidden: int,
    ) -> None:
        super().__init__()
        conv = (nn.Conv2d, nn.Conv3d)[len(spatial) - 2]
        norm = (nn.BatchNorm2d, nn.BatchNorm3d)[len(spatial) - 2]
        pool = (nn.MaxPool2d, nn.MaxPool3d)[len(spatial) - 2]
        per_channel = (-1, *[1] * len(spatial))
        self.register_buffer("mean", torch.from_numpy(mean).float().view(per_channel))
        self.register_buffer("deviation", torch.from_numpy(deviation).float().view(per_channel))
        layers: list[nn.Module] = []
        channels, left = len(mean), spatial
        for _ in range(2):
            layers += [conv(channels, width, 3, padding=1, bias=False), norm(width), nn.ReLU(inplace=True)]
            layers += [pool(2, ceil_mode=True)]
            channels, left = width, tuple(-(-side // 2) for side in left)
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Linear(width * math.prod(left), hidden)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(hidden, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, n_classes)`` of maps ``(B, d, *spatial)``."""
        x = self.features((x - self.mean) / self.deviation)
        return self.head(self.dropout(F.relu(self.hidden(x.flatten(1)))))


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


def normalise_inputs(
    network: nn.Module, channels: int, *, mean: Sequence[float], deviation: Sequence[float]
) -> nn.Module:
    """Have `network` see images in the units that its weights were trained in, and return it.

    Args:
        network: Of three channels; of `channels` where these are others than 1 and 3. It keeps its names: what is added
            is no part of its state.
        channels: Of the images, which lie in [-1, 1]. One is shown as three equal ones; of other numbers each is
            normalised by the mean over colours.
        mean: Of each colour, in [0, 1].
        deviation: Likewise.
    """
    of_colours = torch.tensor([*mean]), torch.tensor([*deviation])
    centre, width = of_colours if channels in (1, 3) else (values.mean(0, keepdim=True) for values in of_colours)
    network.add_module("to_statistics", _Scaled(0.5 / width, (0.5 - centre) / width))
    network.register_forward_pre_hook(_to_statistics)
    return network


class _Scaled(nn.Module):
    """``x (B, 1 or C, *spatial)`` times a factor plus a term, a pair a channel."""

    factor: torch.Tensor
    term: torch.Tensor

    def __init__(self, factor: torch.Tensor, term: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor, persistent=False)
        self.register_buffer("term", term, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        over_pixels = (-1, *[1] * (x.ndim - 2))
        return x * self.factor.view(over_pixels) + self.term.view(over_pixels)


def _to_statistics(network: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    scaled: Any = network.to_statistics  # of the copy that is called, where there are several
    return (scaled(given[0]), *given[1:])


def find_least_size(build: Callable[[int], nn.Module], shape: tuple[int, ...], *, what: str) -> int:
    """Find the least size, at or above that of the images, at which a network can be trained and sees all of them.

    Strides without padding leave the last rows and columns out: of 28 pixels, patches of 16 are one patch. Then the
    next size is taken at which every row and column counts, such as the next multiple of the patch.

    Args:
        build: Makes the network for images of so many pixels along every axis.
        shape: ``(channels, *spatial)`` of an image.
        what: Name of the network in an error.

    Raises:
        medbench.UsageError: If no size up to 256 will do.
    """
    channels, own, d = shape[0], max(shape[1:]), len(shape) - 1
    sizes = sorted({own, -(-own // 32) * 32, *(size for size in SIZES if size > own)})
    with torch.random.fork_rng([]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about layers without elements: such a size is refused a moment later
        for size in sizes:
            if (network := _trainable(build, channels, size, d)) is None:
                continue
            if depends_on_all_pixels(network, (channels, *[size] * d)):
                return size
            likely = sorted({size + 1, *(-(-size // patch) * patch for patch in PATCHES)})
            for more in (*likely, *range(size + 2, size + 33)):
                network = _trainable(build, channels, more, d)
                if network is not None and depends_on_all_pixels(network, (channels, *[more] * d)):
                    return more
    raise medbench.UsageError(f"{what} gives no class scores for images of {shape}; choose another network")


def _trainable(build: Callable[[int], nn.Module], channels: int, size: int, d: int) -> nn.Module | None:
    """Return the network for images of this size where it gives logits in training."""
    try:
        network = build(size).train()
        with torch.no_grad():
            logits = network(torch.zeros(2, channels, *[size] * d))
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError):
        return None  # each library has its own way to say that an image is too small
    return network if isinstance(logits, torch.Tensor) and logits.ndim == 2 else None


def depends_on_all_pixels(network: nn.Module, shape: tuple[int, ...]) -> bool:
    """Return whether the first and the last position along every axis of an image change the logits.

    Args:
        network: With random weights; those that are all 0, as some last layers begin, are changed.
        shape: ``(channels, *spatial)``.
    """
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.enable_grad():
        logits = network.eval()(x)
        (slope,) = torch.autograd.grad(logits.square().sum(), x)
    edges = [slope.select(axis, place) for axis in range(2, x.ndim) for place in (0, -1)]
    return all(bool(edge.any()) for edge in edges)
