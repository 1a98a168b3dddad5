"""One picture of real and synthetic images side by side, so that a person can judge a generator at a glance."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import medbench

TILE = 96  # Least side of a tile in pixels; small images are enlarged without smoothing.
GAP = 4


@medbench.outside_identity
def write_contact_sheet(
    path: Path, train: medbench.Samples, sampler: medbench.Sampler, *, seed: int, columns: int = 10
) -> None:
    """Write a PNG with two rows a class: real images above, samples below, the first channel of each.

    Args:
        path: Where to write.
        train: Real images ``uint8 (n, channels, *spatial)``; volumes show the middle slice of their last axis.
        sampler: What draws the samples.
        seed: Of the samples and of the choice of real images.
        columns: Images a row.
    """
    from PIL import Image

    rng = np.random.default_rng(seed)
    rows = []
    for label in range(len(train.classes)):
        own = rng.permutation(np.flatnonzero(train.labels == label))[:columns]
        made = sampler.sample(np.full(columns, label, dtype=np.int64), seed)
        rows += [[middle_slice(x) for x in train.x[np.sort(own)]], [middle_slice(x) for x in made]]
    Image.fromarray(lay_out(rows, columns=columns)).save(path)


def lay_out(rows: list[list[np.ndarray]], *, columns: int) -> np.ndarray:
    """Lay images out in rows, a wide gap after every second one.

    Args:
        rows: Grey images ``uint8 (height, width)``, all of one shape; a row may have fewer than `columns`.
        columns: Images a row.

    Returns:
        ``uint8 (height, width)``, white between the tiles.
    """
    height, width = rows[0][0].shape
    times = -(-TILE // max(height, width))
    height, width = height * times, width * times
    tops = [GAP + i * (height + GAP) + (i // 2) * 3 * GAP for i in range(len(rows))]
    page = np.full((tops[-1] + height + GAP, GAP + columns * (width + GAP)), 255, dtype=np.uint8)
    for top, row in zip(tops, rows, strict=True):
        for column, image in enumerate(row):
            left = GAP + column * (width + GAP)
            page[top : top + height, left : left + width] = image.repeat(times, axis=0).repeat(times, axis=1)
    return page


def middle_slice(x: np.ndarray) -> np.ndarray:
    """Return the first channel of ``x (channels, *spatial)`` as ``(height, width)``, of a volume its middle slice."""
    first = x[0]
    return first if first.ndim == 2 else np.rot90(first[..., first.shape[-1] // 2])
