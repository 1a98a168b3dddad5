"""Ellipses and rods added to a drawn plane, with soft edges."""

from __future__ import annotations

import numpy as np

Point = tuple[float, float]
"""x and y in pixels."""


def ellipse(
    plane: np.ndarray, centre: Point, axes: tuple[float, float], value: float, tilt: float = 0.0, soft: float = 1.2
) -> None:
    """Add `value` inside an ellipse; `axes` are its half axes across and down."""
    a, b = axes
    part, u, v = around(plane, centre, tilt, max(a, b) + 2 * soft + 2)
    part += value * coverage((np.hypot(u / a, v / b) - 1) * min(a, b), soft)


def rod(
    plane: np.ndarray,
    start: Point,
    end: Point,
    radius: float,
    value: float,
    taper: float = 0.0,
) -> None:
    """Add `value` inside a rod with round ends; `taper` 1 makes it pointed at its end."""
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    tilt = float(np.arctan2(y1 - y0, x1 - x0))
    part, u, v = around(plane, ((x0 + x1) / 2, (y0 + y1) / 2), tilt, length / 2 + radius + 3)
    thick = radius * (1 - taper * np.clip(u / max(length, 1e-6) + 0.5, 0, 1))
    part += value * coverage(np.hypot(np.maximum(np.abs(u) - length / 2, 0), v) - thick, 0.8)


def around(plane: np.ndarray, centre: Point, tilt: float, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the part of the plane around a point, to be changed in place, and its coordinates on a tilted cross."""
    x, y = centre
    top, left = max(0, int(y - reach)), max(0, int(x - reach))
    part = plane[top : max(top, int(y + reach) + 1), left : max(left, int(x + reach) + 1)]
    dy = np.arange(top, top + part.shape[0], dtype=np.float32)[:, None] - np.float32(y)
    dx = np.arange(left, left + part.shape[1], dtype=np.float32)[None] - np.float32(x)
    c, s = float(np.cos(tilt)), float(np.sin(tilt))
    return part, dx * c + dy * s, dy * c - dx * s


def coverage(distance: np.ndarray, softness: float = 1.2) -> np.ndarray:
    """Turn a distance to an outline, negative inside, into coverage 0 to 1."""
    return np.clip(0.5 - distance / (2 * softness), 0, 1)
