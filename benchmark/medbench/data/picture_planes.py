"""Pictures made comparable: planes at a common size, their blur, and their flips and quarter turns."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

SIDE = 48  # pixels a side at which pictures are compared; smaller ones at their own size
BLUR = 1.5  # pixels, standard deviation of the blur that detail is measured against
FLAT = 1.0  # gray levels: a picture that varies less shows nothing one could recognise
BATCH = 256  # pictures at a time: pixels may be a memory map larger than memory


def comparable_planes(pixels: np.ndarray) -> np.ndarray:
    """Return what of each picture is compared: ``float32 (n, planes, side, side)``, one plane or three of a volume."""
    n, spatial = len(pixels), pixels.shape[2:]
    side = min(SIDE, *(length - length % 4 for length in spatial[-2:])) or min(spatial[-2:])
    solid = len(spatial) == 3
    quarter, last = spatial[0] // 4, spatial[0] - 1
    # A mirrored volume has the same planes: of an even number, both in the middle count.
    first, second = [quarter, last // 2, last - quarter], [quarter, spatial[0] // 2, last - quarter]
    views = np.empty((n, 3 if solid else 1, side, side), dtype=np.float32)
    for start in range(0, n, BATCH):
        rows = slice(start, start + BATCH)
        if solid:
            part = (pixels[rows][:, :, first].mean(1, dtype=np.float32) + pixels[rows][:, :, second].mean(1)) / 2
        else:
            part = pixels[rows].mean(1, dtype=np.float32)[:, None]
        views[rows] = resize(part.astype(np.float32), side)
    return views


def resize(pictures: np.ndarray, side: int) -> np.ndarray:
    """Shrink or enlarge ``float32 (..., h, w)`` to ``(..., side, side)`` by the mean over each new pixel's area."""
    height, width = pictures.shape[-2:]
    return area_weights(height, side) @ pictures @ area_weights(width, side).T


@functools.lru_cache(maxsize=64)
def area_weights(length: int, side: int) -> np.ndarray:
    """Return ``float32 (side, length)``: the share of each old pixel in each new one; not to be written to."""
    edges = np.linspace(0, length, side + 1)
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    share = np.maximum(overlap, 0)
    return (share / share.sum(1, keepdims=True)).astype(np.float32)


def blur(views: np.ndarray) -> np.ndarray:
    side = views.shape[-1]
    distance = np.arange(side)[:, None] - np.arange(side)[None]
    weights = np.exp(-(distance**2) / (2 * BLUR**2))
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return weights @ views @ weights.T


def normalise(views: np.ndarray) -> np.ndarray:
    """Return views with mean 0 and length 1; all 0 where they vary by less than FLAT."""
    centred = views - views.mean((1, 2, 3), keepdims=True)
    length = np.sqrt((centred**2).sum((1, 2, 3), keepdims=True))
    varies = length >= FLAT * np.sqrt(centred[0].size) if len(views) else length > 0
    return np.where(varies, centred / np.maximum(length, 1e-12), 0).astype(np.float32)


def whole_and_detail(views: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows that show something, and :func:`normalise` of those and of their detail, the view less its blur.

    Args:
        views: ``float32 (n, planes, side, side)``, as :func:`comparable_planes` gives them.

    Returns:
        ``int64 (m,)``, and twice ``float32 (m, planes, side, side)``. A picture without contrast, in itself or in its
        detail, is left out.
    """
    whole, detail = np.empty_like(views), np.empty_like(views)
    seen: list[np.ndarray] = []
    m = 0
    for start in range(0, len(views), BATCH):
        part = views[start : start + BATCH]
        one, other = normalise(part), normalise(part - blur(part))
        shown = np.flatnonzero(one.any((1, 2, 3)) & other.any((1, 2, 3)))
        whole[m : m + len(shown)], detail[m : m + len(shown)] = one[shown], other[shown]
        seen.append(start + shown)
        m += len(shown)
    return np.concatenate([np.zeros(0, dtype=np.int64), *seen]), whole[:m], detail[:m]


def flips_and_turns(views: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``(..., planes, side, side)`` under the eight flips and quarter turns, volumes also mirrored in depth."""
    for stack in (views, views[..., ::-1, :, :]) if views.shape[-3] > 1 else (views,):
        for mirrored in (stack, stack[..., ::-1]):
            for quarter in range(4):
                yield np.rot90(mirrored, quarter, axes=(-2, -1))
