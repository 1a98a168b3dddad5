"""Differentiable augmentation of what a discriminator sees. Imported late, since it needs torch."""

from __future__ import annotations

import torch


def augment_differentiably(x: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
    """Change brightness and contrast, move and cut out, differentiably and without non-deterministic kernels.

    Args:
        x: ``float32 (B, channels, *spatial)`` in [-1, 1].
        noise: On the device of `x`.

    Source:
        Zhao et al. 2020, DiffAugment, arXiv 2006.10738, policy "color,translation,cutout", without saturation,
        which does nothing to a grey image.
    """
    B, d = len(x), x.ndim - 2
    drawn = torch.rand(B, 2 + 2 * d, generator=noise, device=x.device)
    over_pixels = (B, *[1] * (d + 1))
    x = x + (drawn[:, 0].view(over_pixels) - 0.5)
    mean = x.flatten(1).mean(1).view(over_pixels)
    x = (x - mean) * (drawn[:, 1].view(over_pixels) + 0.5) + mean
    outside = torch.ones(over_pixels, dtype=torch.bool, device=x.device)
    for axis in range(d):
        side = x.shape[2 + axis]
        place = torch.arange(side, device=x.device)
        # A move along an axis as a product with a shifted identity: its backward pass is a product too.
        move = ((2 * drawn[:, 2 + axis] - 1) * (side / 8)).round().long()
        shifted = (place[:, None] + move[:, None, None] == place).to(x.dtype)  # (B, from, to)
        x = torch.einsum("bc...i,bij->bc...j", x.movedim(2 + axis, -1), shifted).movedim(-1, 2 + axis)
        start = (drawn[:, 2 + d + axis] * (side + 1)).long() - side // 4
        cut = (place >= start[:, None]) & (place < start[:, None] + side // 2)  # (B, side)
        outside = outside & cut.view(B, 1, *[side if a == axis else 1 for a in range(d)])
    return x * ~outside
