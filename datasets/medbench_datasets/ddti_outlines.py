"""Outlines of nodules as DDTI stores them: JSON in an XML element, some of it cut off."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from medbench import DataError

Polygon = tuple[tuple[float, float], ...]  # at least three points (x, y)

_POINT = re.compile(r'\{\s*"x":\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*,\s*"y":\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*\}')
_OUTSIDE = 0.25  # part of the frame by which a hand may slip over its edge; one real outline does by a tenth


@dataclass(frozen=True)
class Outline:
    """What is drawn on one image.

    Attributes:
        polygons: Closed curves in pixels, kept within the frame.
        is_complete: False where the text was cut off, so that the last curve or further ones may be missing.
        n_arrows: Arrows, which outline nothing.
        leaves_frame: Whether points were moved to the edge of the frame.
    """

    polygons: tuple[Polygon, ...] = ()
    is_complete: bool = True
    n_arrows: int = 0
    leaves_frame: bool = False


def read_outline(text: str, *, where: str, frame: tuple[int, int]) -> Outline:
    """Read the outlines of an image.

    Args:
        text: ``[{"points": [{"x": 1, "y": 2}, ...], "annotation": {}, "regionType": "freehand"}, ...]``. Where it is
            cut off, the complete points are kept.
        where: Names file and mark in messages.
        frame: Width and height of the image.

    Raises:
        DataError: For other JSON, for a curve of fewer than three points, and for points far outside of the frame.
    """
    if not text:
        return Outline()
    try:
        regions = json.loads(text)
    except (ValueError, RecursionError):
        cut = [_POINT.findall(part) for part in text.split('"points"')]
        curves = [[(float(x), float(y)) for x, y in part] for part in cut]
        polygons, leaves_frame = _keep_inside([curve for curve in curves if len(curve) >= 3], where, frame)
        return Outline(polygons, False, 0, leaves_frame)

    curves = []
    n_arrows = 0
    for region in regions if isinstance(regions, list) else [{}]:
        points = _points(region, where)
        if region.get("regionType") == "arrow":
            n_arrows += 1
        elif len(points) < 3:
            raise DataError(f"{where}: an outline has {len(points)} points, expected at least 3; mend or remove it")
        else:
            curves.append(points)
    polygons, leaves_frame = _keep_inside(curves, where, frame)
    return Outline(polygons, True, n_arrows, leaves_frame)


def _points(region: Any, where: str) -> list[tuple[float, float]]:
    try:
        points = [(point["x"], point["y"]) for point in region["points"]]
    except (TypeError, KeyError):
        points = [("", "")]
    if any(type(value) not in (int, float) for point in points for value in point):
        raise DataError(f"{where}: svg is not a list of regions with points x and y; fetch the file again")
    return points


def _keep_inside(
    curves: list[list[tuple[float, float]]], where: str, frame: tuple[int, int]
) -> tuple[tuple[Polygon, ...], bool]:
    """Move points that lie a little outside to the edge; refuse those that lie farther out."""
    right, bottom = frame[0] - 1, frame[1] - 1
    slack = _OUTSIDE * max(frame)
    for x, y in (point for curve in curves for point in curve):
        # Not `x < -slack or ...`: NaN must not pass, and an integer may be too long for a float.
        if not (-slack <= x <= right + slack and -slack <= y <= bottom + slack) or math.isnan(x + y):
            raise DataError(
                f"{where}: an outline lies outside of the image of {frame[0]} x {frame[1]}; mend the outline or fetch "
                "the picture again"
            )
    polygons = tuple(tuple((min(max(x, 0), right), min(max(y, 0), bottom)) for x, y in curve) for curve in curves)
    return polygons, any(polygon != tuple(curve) for polygon, curve in zip(polygons, curves, strict=True))
