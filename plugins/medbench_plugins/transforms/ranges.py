"""How far images may be changed. Imports no torch."""

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


@dataclass(frozen=True)
class OperationRanges:
    """What each operation does at its full strength; at half of it, half as much.

    Attributes:
        rotate: Degrees, either way, in a random plane of axes.
        shear: Pixels along one axis a pixel along another, either way.
        translate: Fraction of an axis, either way.
        enhance: Distance of the factor of brightness, contrast and sharpness from 1, either way.
        gamma: Factor by which the exponent is multiplied or divided.
        bits: How many of 8 posterize takes away.
        solarize: Share of the gray values, from white downwards, that are inverted.
        noise: Standard deviation as a share of white.
    """

    rotate: float
    shear: float
    translate: float
    enhance: float
    gamma: float
    bits: int
    solarize: float
    noise: float


RANGES = {
    "wide": OperationRanges(
        rotate=135, shear=0.99, translate=1 / 7, enhance=0.99, gamma=3, bits=6, solarize=1, noise=0.2
    ),
    "narrow": OperationRanges(
        rotate=30, shear=0.3, translate=150 / 331, enhance=0.9, gamma=2, bits=4, solarize=1, noise=0.1
    ),
    "safe": OperationRanges(
        rotate=15, shear=0.14, translate=0.08, enhance=0.4, gamma=1.5, bits=3, solarize=0.1, noise=0.05
    ),
}
