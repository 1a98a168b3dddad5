"""How far an image may be rotated, scaled, sheared and moved. Needs no torch to be imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AffineRanges:
    """Largest amounts of a random affine map; each is drawn uniformly between minus and plus its largest amount.

    Attributes:
        rotation: Angle in degrees, in every plane of axes.
        scale: Relative change of size, the same along all axes.
        shear: Angle in degrees, in every plane of axes.
        translation: Move along each axis, as a fraction of it.
    """

    rotation: float
    scale: float
    shear: float
    translation: float


SAFE = AffineRanges(rotation=15.0, scale=0.15, shear=8.0, translation=0.08)
"""What leaves the anatomy plausible: the defaults of the augmenter ``geometric``."""

FLIP_AXES = {
    2: {"flip_up_down": 0, "flip_left_right": 1},
    3: {"flip_left_right": 0, "flip_front_back": 1, "flip_up_down": 2},
}
"""Spatial axes by number of dimensions: (up-down, left-right) of an image; (left-right, front-back, up-down) of a
volume in RAS orientation."""
