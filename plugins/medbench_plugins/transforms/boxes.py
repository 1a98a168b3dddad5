"""Windows and boxes of a batch, one of its own a row, in images and volumes alike. Needs torch.

Positions are counted in the order of the array's axes; `centre` is measured from the middle of the image, -1 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F

RATIO = math.log(4 / 3)
"""Largest logarithm of the ratio of two sides of a crop, as in torchvision's RandomResizedCrop."""


def enlarge(x: torch.Tensor, size: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Enlarge a window of each row to the whole image, linearly between pixels.

    Args:
        x: ``float32 (B, C, *spatial)`` with d spatial axes.
        size: ``float32 (B, d)`` sides of the window as shares of the image's; above 1 it is reduced.
        centre: ``float32 (B, d)`` middle of the window. What lies outside the image is as its edge.

    Returns:
        Shape, dtype and range of `x`.
    """
    theta = torch.cat([torch.diag_embed(size.flip(1)), centre.flip(1)[..., None]], dim=2)  # last axis first
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_window(
    x: torch.Tensor, generator: torch.Generator, low: torch.Tensor, high: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the window of a random crop for each row.

    Args:
        x: ``float32 (B, C, *spatial)`` with d spatial axes.
        generator: On the device of `x`.
        low: ``float32 (B,)`` least share of the image, above 0.
        high: ``float32 (B,)`` largest share, at most 1; each is drawn uniformly between the two.

    Returns:
        `size` and `centre` for :func:`enlarge`, ``float32 (B, d)`` each; neighbouring axes differ by a ratio of 3/4 to
        4/3, and no side is longer than the image.
    """
    B, d = len(x), x.ndim - 2
    drawn = torch.rand(B, 2 * d, generator=generator, device=x.device)
    share, ratios, place = drawn[:, 0], RATIO * (2 * drawn[:, 1:d] - 1), drawn[:, d:]
    stretch = (F.pad(ratios, (0, 1)) - F.pad(ratios, (1, 0))) / 2  # (B, d), summing to 0
    size = ((low + (high - low) * share)[:, None] ** (1 / d) * stretch.exp()).clamp(max=1)
    return size, (1 - size) * (2 * place - 1)


def cut_boxes(share: torch.Tensor, place: torch.Tensor, spatial: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the edges of boxes in whole pixels, cropped to the image, as CutMix draws them.

    Args:
        share: ``float32 (B,)`` of the image that is no part of the box, before it is cropped.
        place: ``float32 (B, d)`` in [0, 1): where the middle of the box lies.
        spatial: Sides of the image in pixels.

    Returns:
        First pixels and last pixels plus one, ``int64 (B, d)`` each.
    """
    sides = lengths(tuple(spatial), place.device)
    middle = torch.minimum((place * sides).long(), sides - 1)
    half = (0.5 * (1 - share.double())[:, None] ** (1 / len(sides)) * sides).long()
    return (middle - half).clamp(min=0), torch.minimum(middle + half, sides)


@cache
def lengths(spatial: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Return the sides of images as ``int64 (d,)``, copied to a device once: a copy in every step waits for it."""
    return torch.tensor(spatial, device=device)


def inside(low: torch.Tensor, high: torch.Tensor, spatial: Sequence[int]) -> torch.Tensor:
    """Return ``bool (B, 1, *spatial)``: which pixels lie in the box of each row."""
    d = len(spatial)
    within = torch.ones(len(low), *[1] * (d + 1), dtype=torch.bool, device=low.device)
    for axis, side in enumerate(spatial):
        pixel = torch.arange(side, device=low.device)
        there = (pixel >= low[:, axis, None]) & (pixel < high[:, axis, None])  # (B, side)
        within = within & there.view(len(low), 1, *[side if a == axis else 1 for a in range(d)])
    return within


def move_boxes(
    x: torch.Tensor, of: tuple[torch.Tensor, torch.Tensor], to: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Return each row resampled so that its box `of` fills the box `to`; what lies outside that box means nothing.

    Args:
        x: ``float32 (B, C, *spatial)``.
        of: Edges as :func:`cut_boxes` returns them; neither box may be empty.
        to: The same.
    """
    sides = lengths(tuple(x.shape[2:]), x.device)
    (size, centre), (aim, at) = (((h - lo) / sides, (h + lo) / sides - 1) for lo, h in (of, to))
    return enlarge(x, size / aim, centre - at * size / aim)
