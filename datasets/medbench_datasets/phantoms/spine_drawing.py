"""Spine radiographs drawn from geometry: vertebrae along a curve, what surrounds them, and how they are exposed.

Attenuation is added up in a plane, blurred, given noise, and shown as a negative: bone is bright. Nothing here knows
about files or labels; lesions are in :mod:`medbench_datasets.phantoms.spine_lesions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from medbench_datasets.phantoms.shapes import around, coverage, ellipse, rod

View = Literal["frontal", "lateral"]


@dataclass(frozen=True, eq=False)
class Spine:
    """One person's anatomy, shared by the images of a study; lengths in pixels.

    Attributes:
        region: Lumbar or cervical.
        height: Of the picture.
        width: Of the picture.
        heights: Of each vertebral body, top to bottom.
        gaps: Of the disc below each body.
        half_width: Of the uppermost body; those below widen.
        bend: Amplitudes of the frontal and the lateral curve.
        density: Attenuation of bone.
        bulk: Attenuation of soft tissue.
    """

    region: Literal["lumbar", "cervical"]
    height: int
    width: int
    heights: np.ndarray
    gaps: np.ndarray
    half_width: float
    bend: tuple[float, float]
    density: float
    bulk: float


@dataclass(frozen=True)
class Body:
    """A vertebral body in the picture.

    Attributes:
        x: Centre in pixels.
        y: Centre in pixels.
        tilt: In radians.
        a: Half width.
        left: Half height at the left (lateral view: front) edge.
        right: Half height at the right (back) edge.
        gap: Height of the disc below.
    """

    x: float
    y: float
    tilt: float
    a: float
    left: float
    right: float
    gap: float

    @property
    def h(self) -> float:
        """Mean half height."""
        return (self.left + self.right) / 2

    def place(self, u: float, v: float) -> tuple[float, float]:
        """Turn coordinates across (u) and down (v) the body into pixels."""
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        return self.x + u * c - v * s, self.y + u * s + v * c


def new_spine(rng: np.random.Generator) -> Spine:
    """Draw a person; three in four are seen at the lumbar spine."""
    lumbar = rng.random() < 0.75
    height, width = int(rng.integers(296, 345)), int(rng.integers(212, 257))
    n = 6 if lumbar else 7
    pitch = height * (0.80 if lumbar else 0.64) / n * np.linspace(0.92, 1.08, n) * rng.normal(1, 0.02)
    disc = rng.normal(0.27, 0.012) + rng.normal(0, 0.014, n)  # share of the disc
    return Spine(
        region="lumbar" if lumbar else "cervical",
        height=height,
        width=width,
        heights=pitch * (1 - disc),
        gaps=pitch * disc,
        half_width=(0.122 if lumbar else 0.1) * width * rng.normal(1, 0.05),
        bend=(rng.normal(0, 0.03) * width, rng.normal(0.07, 0.02) * width),
        density=rng.normal(0.36, 0.03),
        bulk=rng.normal(0.5, 0.05),
    )


def lay_out(spine: Spine, view: View, scale: np.ndarray, gap_scale: np.ndarray, slip: np.ndarray) -> list[Body]:
    """Put the vertebral bodies along the spine's curve.

    Args:
        scale: ``float64 (n, 2)`` factors of each body's height at its left and right edge.
        gap_scale: ``float64 (n,)`` factors of the disc below each body.
        slip: ``float64 (n,)`` shift of each body across the spine, in half widths.
    """
    bend = spine.bend[0] if view == "frontal" else -spine.bend[1]
    turns = 1.3 if view == "frontal" else 1.0
    middle = spine.width * (0.5 if view == "frontal" else 0.44)
    y = spine.height * (0.03 if spine.region == "lumbar" else 0.17)
    bodies = []
    for i, (whole, gap) in enumerate(zip(spine.heights, spine.gaps * gap_scale, strict=True)):
        left, right = whole / 2 * scale[i]
        a = spine.half_width * (1 + 0.035 * i) * (1 if view == "frontal" else 0.88)
        centre = y + (left + right) / 2
        phase = np.pi * turns * (centre / spine.height - 0.05)
        slope = bend * np.cos(phase) * np.pi * turns / spine.height
        bodies.append(Body(middle + bend * np.sin(phase) + slip[i] * a, centre, -np.arctan(slope), a, left, right, gap))
        y += (left + right + gap) / np.sqrt(1 + slope**2)
    return bodies


def draw_surroundings(spine: Spine, view: View, rng: np.random.Generator) -> np.ndarray:
    """Return the attenuation of everything but the vertebrae, ``float32 (height, width)``."""
    rows, columns = (spine.height + 1) // 2, (spine.width + 1) // 2  # half the resolution is enough, and is fast
    y = (np.arange(rows, dtype=np.float32) / rows)[:, None]
    x = (np.arange(columns, dtype=np.float32) / columns)[None] - (0.5 if view == "frontal" else 0.47)
    coarse = _torso(spine, view, x, y, rng) if spine.region == "lumbar" else _neck(spine, view, x, y, rng)
    coarse += zoom(rng.normal(0, 0.035, (7, 5)).astype(np.float32), (rows / 7, columns / 5), order=1)
    plane = np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)[: spine.height, : spine.width]
    plane[:-1] = (plane[:-1] + plane[1:]) / 2
    plane[:, :-1] = (plane[:, :-1] + plane[:, 1:]) / 2
    return plane


def _torso(spine: Spine, view: View, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    frontal = view == "frontal"
    wide = rng.normal(0.75, 0.06)
    plane = spine.bulk * np.sqrt(np.clip(1 - (x / wide) ** 2, 0, 1)) * (0.85 + 0.35 * y)
    dome = rng.normal(0.12, 0.05) + (0.5 * x**2 if frontal else 0.35 * np.clip(x + 0.2, 0, 1))
    plane -= 0.2 * coverage((y - dome) * 150, 5) * (np.clip((np.abs(x) - 0.08) * 20, 0, 1) if frontal else 1)  # lung
    for i in range(3 if frontal else 2):  # ribs
        start = 0.03 + 0.12 * i + rng.normal(0, 0.01)
        line = start + (0.28 * np.abs(x) + 0.5 * x**2 if frontal else -0.4 * x)
        reach = (np.abs(x) > 0.13) & (np.abs(x) < 0.5 - 0.09 * i) if frontal else np.abs(x) < 0.5
        plane += 0.1 * coverage((np.abs(y - line) - 0.011) * 150, 0.8) * reach
    edge = rng.normal(0.8, 0.02)
    low = np.s_[int(0.7 * len(y)) :]  # iliac crests
    side = np.abs(x) if frontal else x + 0.35
    wing = np.hypot((side - 0.47) / 0.3, (y[low] - edge - 0.17) / 0.2) - 1
    plane[low] += 0.16 * coverage(wing * 25, 1) + 0.1 * np.exp(-((wing * 22) ** 2))
    for _ in range(rng.integers(3, 8)):  # bowel gas
        cx, cy = rng.uniform(-0.45, 0.45 if frontal else -0.1), rng.uniform(0.35, 0.95)
        a, b = rng.uniform(0.02, 0.06, 2)
        plane -= rng.uniform(0.04, 0.13) * np.exp(-(((x - cx) / a) ** 2)) * np.exp(-(((y - cy) / b) ** 2))
    return plane


def _neck(spine: Spine, view: View, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    half = rng.normal(0.34, 0.02) + np.clip(y - 0.74, 0, 1)
    plane = 0.72 * spine.bulk * np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    plane += 0.5 * spine.bulk * np.clip((y - 0.78) / 0.2, 0, 1)  # shoulders
    if view == "frontal":
        jaw = np.hypot(x / 0.36, (y + 0.02) / 0.2) - 1
        plane += 0.3 * coverage(jaw * 25, 1.5) + 0.12 * np.exp(-((jaw * 20) ** 2))
        plane -= 0.1 * np.exp(-((x / 0.05) ** 2)) * np.clip(y * 2 - 0.4, 0, 1)  # airway
    else:
        skull = np.hypot((x - 0.12) / 0.48, (y + 0.14) / 0.27) - 1
        plane += 0.28 * coverage(skull * 30, 1.5) + 0.12 * np.exp(-((skull * 25) ** 2))
        jaw = np.hypot((x + 0.33) / 0.2, (y - 0.17 - 0.35 * (x + 0.33)) / 0.055) - 1
        plane += 0.2 * coverage(jaw * 8, 0.6) + 0.08 * np.exp(-((jaw * 6) ** 2))
        plane -= 0.13 * np.exp(-(((x + 0.27 - 0.05 * y) / 0.035) ** 2)) * np.clip(y * 8 - 1.6, 0, 1)  # airway
    return plane


def draw_vertebra(plane: np.ndarray, spine: Spine, body: Body, view: View) -> None:
    """Add one vertebra: body with bright rim and end plates, and its processes."""
    a, h, bone = body.a, body.h, spine.density
    part, u, v = around(plane, body.place(0, 0), body.tilt, float(np.hypot(a, h)) + 6)
    half_height = body.left + (body.right - body.left) * (u + a) / (2 * a)
    waist = a * (0.93 + 0.07 * np.clip(v / h, -1, 1) ** 2)
    across, along = np.abs(u) - waist, np.abs(v) - half_height
    outline = np.maximum(across, along)
    cover = coverage(outline)
    rim = np.exp(-(((along + 1.2) / 1.5) ** 2)) + 0.6 * np.exp(-(((across + 1.2) / 1.5) ** 2))
    part += bone * cover * (0.6 + 0.4 * np.clip(rim, 0, 1))
    if view == "frontal":
        for side in (-1, 1):
            ellipse(plane, body.place(side * 0.58 * a, -0.25 * h), (0.15 * a, 0.28 * h), 0.35 * bone)
            rod(
                plane,
                body.place(side * 0.9 * a, -0.2 * h),
                body.place(side * 1.55 * a, -0.35 * h),
                0.14 * h,
                0.3 * bone,
            )
        ellipse(plane, body.place(0, 0.45 * h), (0.1 * a, 0.45 * h), 0.4 * bone)
    else:
        reach = 2.3 if spine.region == "lumbar" else 2.0
        rod(plane, body.place(0.95 * a, -0.35 * h), body.place(1.4 * a, -0.3 * h), 0.26 * h, 0.5 * bone)
        ellipse(plane, body.place(1.55 * a, 0.25 * h), (0.2 * a, 0.95 * h), 0.42 * bone, body.tilt - 0.25)
        rod(plane, body.place(1.7 * a, 0.35 * h), body.place(reach * a, 0.85 * h), 0.3 * h, 0.35 * bone)


def draw_sacrum(plane: np.ndarray, spine: Spine, last: Body, view: View) -> None:
    """Add what carries the lowest lumbar disc."""
    y = last.h + last.gap
    tilt = last.tilt + (0.0 if view == "frontal" else -0.45)
    part, u, v = around(plane, last.place(0, y), tilt, 3 * last.a)
    narrow = np.clip(last.a * (1.15 - 0.3 * v / last.a), 1, None)
    cover = coverage(np.maximum(np.abs(u) - narrow, -v))
    part += spine.density * cover * (0.5 + 0.4 * np.exp(-(((v - 1) / 1.6) ** 2)))


def expose(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the radiograph of an examination, ``float32`` in [0, 1]: exposure, noise, collimation and lead letter."""
    plane = gaussian_filter(plane, rng.uniform(0.5, 0.9), truncate=3)
    low, high = np.quantile(plane[::4, ::4], (0.01, 0.995))
    noise = rng.standard_normal(plane.shape, dtype=np.float32)
    plane += noise * np.exp(0.5 * plane) * rng.uniform(0.012, 0.03)  # dense: fewer photons, more noise
    shown = np.clip((plane - low) / (high - low), 0, 1.3) ** rng.uniform(0.85, 1.35)
    shown *= rng.uniform(0.75, 0.95)
    if rng.random() < 0.4:
        sides = rng.integers(2, 14, 4)
        shutter = np.full_like(shown, 0.02)
        inner = np.s_[sides[0] : -sides[1], sides[2] : -sides[3]]
        shutter[inner] = shown[inner]
        shown = shutter
    if rng.random() < 0.6:
        _mark(shown, rng)
    return np.clip(shown, 0, 1)


def _mark(shown: np.ndarray, rng: np.random.Generator) -> None:
    """Add a lead letter, L or R, in a corner."""
    x = int(rng.integers(16, 30) + rng.integers(2) * (shown.shape[1] - 46))
    y = int(rng.integers(18, 60))
    strokes = [((0, 0), (0, 12))]
    strokes += [((0, 12), (7, 12))] if rng.random() < 0.5 else [((0, 0), (6, 3)), ((6, 3), (0, 6)), ((2, 6), (7, 12))]
    for (x0, y0), (x1, y1) in strokes:
        rod(shown, (x + x0, y + y0), (x + x1, y + y1), 0.9, 0.8)
