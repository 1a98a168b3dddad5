"""Where the bones of a limb lie, for each part of the body that is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bone:
    """A bone between two points; the height of the picture is 1 and its middle 0, x to the right and y down.

    Attributes:
        x0: Of its near end.
        y0: Of its near end.
        x1: Of its far end.
        y1: Of its far end.
        radius: Of its shaft.
        near: How much its near end is thicker, as a part of the radius.
        far: How much its far end is thicker.
        bow: How far its middle is bent aside, as a part of its length.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    radius: float
    near: float = 0.5
    far: float = 0.5
    bow: float = 0.0

    @property
    def length(self) -> float:
        """Distance of its ends."""
        return float(np.hypot(self.x1 - self.x0, self.y1 - self.y0))

    def at(self, t: float) -> np.ndarray:
        """Return the point ``float64 (2,)`` at the part `t` of its length."""
        return np.array([self.x0 + t * (self.x1 - self.x0), self.y0 + t * (self.y1 - self.y0)])


def _chain(x: float, y: float, tilt: float, lengths: tuple[float, ...], radius: float) -> tuple[Bone, ...]:
    """Return bones end to end, upwards and tilted to the side, each thinner than the one below."""
    bones = []
    for length in lengths:
        x1, y1 = x + length * np.sin(tilt), y - length * np.cos(tilt)
        bones.append(Bone(x, y, float(x1), float(y1), radius, 0.45, 0.3))
        x, y = float(x1 + 0.03 * np.sin(tilt)), float(y1 - 0.03 * np.cos(tilt))
        radius *= 0.84
    return tuple(bones)


def _knobs(*places: tuple[float, float], radius: float) -> tuple[Bone, ...]:
    """Return short round bones, such as those of the wrist."""
    return tuple(Bone(x, y - 0.2 * radius, x, y + 0.2 * radius, radius, 0.0, 0.0) for x, y in places)


_HAND = (
    *_chain(-0.13, 0.26, -0.65, (0.15, 0.11, 0.08), 0.022),
    *_chain(-0.075, 0.2, -0.2, (0.21, 0.13, 0.08, 0.06), 0.022),
    *_chain(-0.02, 0.19, -0.04, (0.21, 0.14, 0.09, 0.06), 0.022),
    *_chain(0.035, 0.2, 0.1, (0.19, 0.13, 0.09, 0.06), 0.02),
    *_chain(0.085, 0.23, 0.28, (0.17, 0.1, 0.07, 0.05), 0.019),
    *_knobs((-0.08, 0.27), (-0.02, 0.26), (0.04, 0.28), (-0.05, 0.33), (0.01, 0.33), radius=0.03),
    Bone(-0.05, 0.39, -0.06, 0.8, 0.036, 0.5, 0.0),
    Bone(0.045, 0.4, 0.05, 0.8, 0.028, 0.3, 0.0),
)

LAYOUTS: Mapping[str, tuple[Bone, ...]] = {
    "elbow": (
        Bone(0.0, -0.8, 0.0, -0.02, 0.055, 0.0, 0.7),
        Bone(-0.055, 0.07, -0.075, 0.8, 0.034, 0.35, 0.0),
        Bone(0.05, 0.04, 0.06, 0.8, 0.04, 0.5, 0.0),
    ),
    "finger": _chain(0.0, 0.42, 0.0, (0.34, 0.22, 0.15), 0.05),
    "forearm": (
        Bone(-0.06, -0.42, -0.075, 0.4, 0.034, 0.25, 0.6),
        Bone(0.06, -0.45, 0.065, 0.37, 0.032, 0.6, 0.2),
        *_knobs((-0.09, 0.46), (-0.03, 0.47), (0.04, 0.46), radius=0.032),
    ),
    "hand": _HAND,
    "humerus": (
        Bone(0.0, -0.36, 0.01, 0.38, 0.05, 0.8, 0.7),
        Bone(0.15, -0.42, 0.2, -0.05, 0.04, 0.3, 0.0),
        Bone(-0.03, 0.47, -0.04, 0.8, 0.034, 0.4, 0.0),
        Bone(0.05, 0.46, 0.06, 0.8, 0.036, 0.4, 0.0),
    ),
    "shoulder": (
        Bone(-0.13, -0.12, -0.17, 0.8, 0.055, 0.75, 0.0),
        Bone(0.5, -0.3, -0.02, -0.27, 0.024, 0.2, 0.3),
        Bone(0.01, -0.1, 0.2, 0.36, 0.042, 0.4, 0.0),
        Bone(0.3, -0.12, 0.6, 0.0, 0.018, 0.0, 0.0),
        Bone(0.3, 0.05, 0.6, 0.2, 0.018, 0.0, 0.0),
    ),
    "wrist": (
        Bone(-0.055, -0.8, -0.055, -0.05, 0.045, 0.0, 0.7),
        Bone(0.07, -0.8, 0.07, -0.07, 0.034, 0.0, 0.3),
        *_knobs((-0.1, 0.03), (-0.03, 0.03), (0.05, 0.04), (-0.09, 0.11), (-0.02, 0.11), (0.06, 0.11), radius=0.045),
        *(Bone(x, 0.19, x * 1.7, 0.8, 0.028, 0.4, 0.0) for x in (-0.16, -0.085, -0.02, 0.045, 0.11)),
    ),
    "leg": (
        Bone(0.03, -0.42, 0.02, 0.4, 0.048, 0.7, 0.4),
        Bone(-0.09, -0.36, -0.075, 0.43, 0.024, 0.4, 0.5),
        *_knobs((0.0, 0.49), radius=0.06),
    ),
    "hip": (
        Bone(-0.13, 0.1, -0.15, 0.8, 0.055, 0.4, 0.0),
        Bone(-0.14, 0.1, 0.02, -0.07, 0.05, 0.2, 0.3),
        *_knobs((0.045, -0.09), radius=0.085),
        Bone(0.11, -0.15, 0.34, -0.5, 0.06, 0.5, 0.6),
        Bone(0.12, 0.0, 0.34, 0.3, 0.036, 0.6, 0.3),
        Bone(0.12, -0.06, 0.5, -0.1, 0.032, 0.6, 0.2),
    ),
}
"""Bones by part of the body, the frontal view of a right limb."""
