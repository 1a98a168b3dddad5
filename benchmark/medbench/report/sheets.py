"""Sheets of samples taken apart into rows, so that each row has a name and a dark page shows no white frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import groupby

import numpy as np

DRAWN = "drawn by medbench"
"""What a row is called whose images stand for real ones in a synthetic data set."""
WHITE = 255
LEAST = 8
"""Pixels that a row of images has at least; thinner ones are lines inside of images."""


def rows_of(png: bytes) -> list[bytes]:
    """Cut a sheet at its white lines into rows of images, each with the white between its images made clear.

    Args:
        png: A sheet, white between the images.

    Returns:
        Files of PNG from top to bottom; one where no white line goes through.
    """
    from PIL import Image

    with Image.open(io.BytesIO(png)) as opened:
        pixels = np.asarray(opened)
    white = (pixels == WHITE).all(axis=tuple(range(1, pixels.ndim)))
    spans, at = [], 0
    for is_gap, run in groupby(white.tolist()):
        size = len(list(run))
        if not is_gap and size >= LEAST:
            spans.append((at, at + size))
        at += size
    return [_clear(pixels[start:end]) for start, end in spans]


def named(png: bytes, classes: Sequence[str], *, generated: str, real: str = "real") -> list[tuple[str, bytes]] | None:
    """Name the rows of a sheet that has two a class: real images, and below them what a generator made.

    Args:
        png: A sheet.
        classes: Their names.
        generated: What the second rows hold: "generated" or "copied".
        real: What the first rows hold: "real", or :data:`DRAWN`.

    Returns:
        Name and file of each row; None where the sheet has another number of rows, so that nobody knows their names.
    """
    names = [f"{name}, {kind}" for name in classes for kind in (real, generated)]
    rows = rows_of(png)
    return list(zip(names, rows, strict=True)) if len(rows) == len(names) else None


def _clear(pixels: np.ndarray) -> bytes:
    """Return rows of pixels as PNG whose columns of white alone are clear."""
    from PIL import Image

    gaps = (pixels == WHITE).all(axis=(0, *range(2, pixels.ndim)))
    colours = pixels if pixels.ndim == 3 else pixels[..., None]
    opaque = np.broadcast_to(np.where(gaps, 0, 255).astype(np.uint8)[None, :, None], (*pixels.shape[:2], 1))
    ends = np.flatnonzero(~gaps)
    kept = np.concatenate([colours[..., :3], opaque], axis=2)[:, : ends[-1] + 1 if len(ends) else None]
    out = io.BytesIO()
    Image.fromarray(kept, mode="LA" if kept.shape[2] == 2 else "RGBA").save(out, format="PNG", optimize=True)
    return out.getvalue()
