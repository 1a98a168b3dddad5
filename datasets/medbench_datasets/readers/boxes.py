"""Boxes around findings: as text in a record's detail, and painted as a mask."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medbench import DataError


@dataclass(frozen=True)
class Box:
    """A lesion's place in pixels of the stored image, x to the right and y down, and the CSV row it stands in."""

    lesion: str
    row: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return (self.xmax - self.xmin) * (self.ymax - self.ymin)


def as_text(boxes: list[Box]) -> str:
    """Write boxes as ``row:xmin,ymin,xmax,ymax`` with a semicolon between them, for a record's detail."""
    return ";".join(f"{b.row}:{b.xmin:.9g},{b.ymin:.9g},{b.xmax:.9g},{b.ymax:.9g}" for b in boxes)


def from_text(text: str) -> list[tuple[int, np.ndarray]]:
    """Read what :func:`as_text` wrote: the CSV row and ``float64 (4,)`` corners of every box."""
    parts = (part.split(":") for part in text.split(";") if part)
    return [(int(row), np.array([float(c) for c in corners.split(",")])) for row, corners in parts]


def as_mask(text: str, *, height: int, width: int, name: str) -> np.ndarray:
    """Paint boxes; what reaches over the border is cut there.

    Args:
        text: As :func:`as_text` writes it.
        height: Of the stored image.
        width: Of the stored image.
        name: The CSV file, for messages.

    Returns:
        ``uint8 (height, width)``, 1 inside a box.

    Raises:
        DataError: Where a box lies wholly outside the image.
    """
    mask = np.zeros((height, width), dtype=np.uint8)
    for row, (xmin, ymin, xmax, ymax) in from_text(text):
        if xmax <= 0 or ymax <= 0 or xmin >= width or ymin >= height:
            raise DataError(
                f"{name} row {row}: the box {xmin:g}, {ymin:g}, {xmax:g}, {ymax:g} lies outside its image of "
                f"{width} x {height}; correct the row"
            )
        mask[max(0, math.floor(ymin)) : math.ceil(ymax), max(0, math.floor(xmin)) : math.ceil(xmax)] = 1
    return mask
