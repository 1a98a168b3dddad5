"""MONAI's U-Net: how it is built, fed, and read at its bottom. Needs torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HALVINGS = 4  # of MONAI's BasicUNet, and of the study's U-Net
BLOCK = 16  # images at a time where nothing is learnt; fixed, since the size of a block changes bits


def build_unet(channels: int, *, width: int, spatial_dims: int) -> nn.Module:
    """Build MONAI's BasicUNet with one output: pairs of convolutions, four max-pools, and the way back up.

    Batch norms, since an instance norm would give every map of the bottom the same mean, and the mean over its
    positions is what becomes a feature. ReLU, so that features are never negative, as in the study.

    Args:
        channels: Of an image.
        width: Channels of the first level; the bottom has sixteen times as many.
        spatial_dims: 2 or 3.
    """
    from monai.networks.nets import BasicUNet

    levels = [width * 2**level for level in range(HALVINGS + 1)]
    return BasicUNet(
        spatial_dims=spatial_dims,
        in_channels=channels,
        out_channels=1,
        features=(*levels, width),
        act=("relu", {"inplace": True}),
        norm="batch",
    )


def predict_logits(network: Any, x: torch.Tensor) -> torch.Tensor:
    """Return logits of being foreground ``(B, 1, *spatial)`` for ``float32 (B, channels, *spatial)`` in [-1, 1]."""
    logits = network(pad(x))
    for axis, side in enumerate(x.shape[2:], start=2):
        logits = logits.narrow(axis, 0, side)
    return logits


def read_bottom(network: Any, x: torch.Tensor) -> torch.Tensor:
    """Return what the bottom of the U-Net holds: ``(B, 16 * width, *spatial)``, each side a sixteenth, rounded up."""
    x = network.conv_0(pad(x))
    for down in (network.down_1, network.down_2, network.down_3, network.down_4):
        x = down(x)
    return x


def pad(x: torch.Tensor) -> torch.Tensor:
    """Append black to every axis of ``(B, channels, *spatial)`` up to a multiple of 16, which halves evenly."""
    missing = [-side % 2**HALVINGS for side in x.shape[2:]]
    if not any(missing):
        return x
    return F.pad(x, [n for side in reversed(missing) for n in (0, side)], value=-1.0)


@torch.no_grad()
def encode(network: nn.Module, x: np.ndarray, *, spatial: bool) -> np.ndarray:
    """Return the bottom's maps of pixels ``uint8 (n, channels, *spatial)``, or their means, as ``float32`` on the CPU.

    Args:
        network: On the CPU, in evaluation mode.
        x: At least one row.
        spatial: Maps ``(n, d, *spatial / 16)``; else their means ``(n, d)``.
    """
    blocks = []
    for start in range(0, len(x), BLOCK):
        maps = read_bottom(network, to_input(x[start : start + BLOCK], torch.device("cpu")))
        blocks.append(maps.numpy() if spatial else maps.flatten(2).mean(2).numpy())
    return np.concatenate(blocks)


def to_input(x: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return ``uint8 (B, channels, *spatial)`` on the device as ``float32`` in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(x)).to(device).float().div_(127.5).sub_(1)
