"""Radiographs of limbs drawn from geometry: long bones with joints, soft tissue, and a fracture or a lesion in a bone.

Attenuation is added up in a plane and shown as a negative: bone is bright. Nothing here knows about files,
labels or data sets, so that what is learned on one drawn data set can be tried on another. Nothing is measured from
patients. Lines that are no fracture (growth plates, nutrient canals, implants) are drawn without regard to findings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from medbench_datasets.phantoms.limb_bones import LAYOUTS, Bone
from medbench_datasets.phantoms.limb_exposure import expose
from medbench_datasets.phantoms.shapes import rod

Corners = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax in pixels."""

UNSEEN = 0.1  # of the pictures of a broken bone show no break: the view hides it
_SIDE = 224  # mean of the longer side in pixels
_MARROW = 0.78  # part of the marrow's path that does not absorb


@dataclass(frozen=True)
class Limb:
    """One person's limb, seen in all pictures of a study.

    Attributes:
        part: What is shown, a name of :data:`LAYOUTS`.
        bones: Where the bones lie, the side of the picture being 1 and its middle 0.
        density: Attenuation of bone.
        cortex: Thickness of the compact bone, as a part of the radius.
        tissue: How far soft tissue reaches, in radii of the bones.
        bulk: Attenuation of soft tissue.
        is_growing: Whether the ends of the bones have growth plates.
        has_implant: Whether a screw lies in a bone.
        mirror: -1 for a left limb, else 1.
    """

    part: str
    bones: tuple[Bone, ...]
    density: float
    cortex: float
    tissue: float
    bulk: float
    is_growing: bool
    has_implant: bool
    mirror: int


@dataclass(frozen=True)
class Finding:
    """What is wrong with a bone; lengths in radii of that bone.

    Attributes:
        kind: A break of the whole bone, or a round lesion in it.
        bone: Position in the bones of the limb.
        place: Where along the bone, 0 to 1.
        slope: Of the line of the break: along over across.
        teeth: Height of its zigzag.
        gap: Width of the break; negative where the ends are driven into each other.
        step: Shift of the part beyond the break across the bone.
        bend: Angle of that part in radians.
        size: Radius of a lesion.
        contrast: Of a lesion: negative is lytic, positive sclerotic.
    """

    kind: Literal["fracture", "lesion"]
    bone: int
    place: float
    slope: float
    teeth: float
    gap: float
    step: float
    bend: float
    size: float
    contrast: float


def new_limb(rng: np.random.Generator, part: str) -> Limb:
    """Draw a person's limb.

    Args:
        rng: Source of randomness.
        part: A name of :data:`LAYOUTS`.
    """
    thick = rng.normal(1, 0.08)
    bones = tuple(
        Bone(
            x0=bone.x0 + rng.normal(0, 0.006),
            y0=bone.y0 + rng.normal(0, 0.006),
            x1=bone.x1 + rng.normal(0, 0.006),
            y1=bone.y1 + rng.normal(0, 0.006),
            radius=bone.radius * thick * rng.normal(1, 0.05),
            near=bone.near * rng.normal(1, 0.1),
            far=bone.far * rng.normal(1, 0.1),
            bow=rng.normal(0, 0.02),
        )
        for bone in LAYOUTS[part]
    )
    return Limb(
        part,
        bones,
        density=rng.uniform(0.28, 0.56),
        cortex=rng.uniform(0.22, 0.5),
        tissue=rng.uniform(2.0, 3.6),
        bulk=rng.uniform(0.2, 0.4),
        is_growing=bool(rng.random() < 0.15),
        has_implant=bool(rng.random() < 0.06),
        mirror=int(rng.choice((-1, 1))),
    )


def new_finding(rng: np.random.Generator, limb: Limb, kind: Literal["fracture", "lesion"]) -> Finding:
    """Draw a finding in one of the thicker bones of a limb, at a place that every view shows."""
    places = [
        (i, t)
        for i, bone in enumerate(limb.bones)
        for t in np.linspace(0.2, 0.8, 25)
        if bone.length > 4 * bone.radius and np.abs(bone.at(t)).max() < 0.33
    ]
    weights = np.array([limb.bones[i].radius ** 2 for i, _ in places])
    bone, place = places[int(rng.choice(len(places), p=weights / weights.sum()))]
    return Finding(
        kind,
        bone,
        float(place),
        slope=float(rng.normal(0, 0.5)),
        teeth=float(rng.uniform(0.1, 0.35)),
        gap=float(rng.uniform(0.7, 1.6) * (1 if rng.random() < 0.55 else -1)),
        step=float(rng.choice((-1, 1)) * rng.uniform(1.0, 2.2)),
        bend=float(rng.choice((-1, 1)) * np.deg2rad(rng.uniform(18, 40))),
        size=float(rng.uniform(1.3, 2.0)),
        contrast=float(rng.choice((-1, 1)) * rng.uniform(0.6, 0.9)),
    )


def draw(limb: Limb, finding: Finding | None, rng: np.random.Generator) -> tuple[np.ndarray, Corners | None]:
    """Draw one picture.

    Args:
        limb: What to show.
        finding: What is wrong with it, or None.
        rng: Source of randomness for view, exposure and noise. It is used alike with and without a finding.

    Returns:
        The radiograph, ``float32 (height, width)`` in [0, 1], and the box around the finding where it can be seen.
    """
    height = int(_SIDE * rng.uniform(0.85, 1.15))
    width = int(height * rng.uniform(0.72, 1.0))
    turn, zoom, narrow = np.deg2rad(rng.normal(0, 5)), height * rng.uniform(0.9, 1.05), rng.uniform(0.85, 1.0)
    middle = np.array([width, height]) / 2 + rng.normal(0, 0.02, 2) * height
    shown, is_seen = rng.uniform(0.7, 1.0), rng.random() >= UNSEEN

    cross = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * zoom
    ends = [  # of each bone, in pixels
        np.array([[bone.x0, bone.y0], [bone.x1, bone.y1]]) * (limb.mirror * narrow, 1) @ cross.T + middle
        for bone in limb.bones
    ]
    whole = np.zeros((height, width), dtype=np.float32)
    flesh, change = np.zeros_like(whole), np.zeros_like(whole)
    for i, (bone, (start, end)) in enumerate(zip(limb.bones, ends, strict=True)):
        alone = np.zeros_like(whole) if finding is not None and is_seen and finding.bone == i else None
        at = _Placed(bone, start, end, bone.radius * zoom)
        _add_bone(whole if alone is None else alone, flesh, limb, at, None, shown)
        if alone is not None:
            whole += alone
            _add_bone(change, flesh, limb, at, finding, shown)
            change -= alone
    bones = limb.density * _texture(rng, height, width)
    intact = limb.bulk * flesh + bones * whole
    _add_canals(intact, limb, ends, zoom, rng)
    if limb.has_implant:
        _add_implant(intact, limb, ends, zoom)
    box = None
    if finding is not None and is_seen:
        (start, end), reach = ends[finding.bone], 2.8 * limb.bones[finding.bone].radius * zoom
        x, y = start + finding.place * (end - start)
        box = (max(0.0, x - reach), max(0.0, y - reach), min(float(width), x + reach), min(float(height), y + reach))
    return expose(intact + bones * change, intact, rng), box


def as_bytes(picture: np.ndarray) -> np.ndarray:
    """Turn gray levels in [0, 1] into ``uint8``."""
    return np.rint(picture * 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class _Placed:
    """A bone in the picture: its ends ``float64 (2,)`` and its radius in pixels."""

    bone: Bone
    start: np.ndarray
    end: np.ndarray
    radius: float


def _add_bone(
    plane: np.ndarray, flesh: np.ndarray, limb: Limb, at: _Placed, finding: Finding | None, shown: float
) -> None:
    """Add a bone to `plane`, and keep in `flesh` the thicker soft tissue at every pixel."""
    bone, start, end, radius = at.bone, at.start, at.end, at.radius
    length = float(np.hypot(*(end - start)))
    along = (end - start) / length
    reach = radius * limb.tissue * 1.3 + (0.5 * length if finding else 0)
    low, high = np.maximum(np.minimum(start, end) - reach, 0), np.maximum(np.maximum(start, end) + reach, 0)
    window = np.s_[int(low[1]) : int(high[1]) + 1, int(low[0]) : int(high[0]) + 1]
    plane, flesh = plane[window], flesh[window]  # views: what is added here is added to the whole
    y, x = np.ogrid[: plane.shape[0], : plane.shape[1]]
    dx = (x + int(low[0])).astype(np.float32) - np.float32(start[0])
    dy = (y + int(low[1])).astype(np.float32) - np.float32(start[1])
    u, v = dx * along[0] + dy * along[1], dy * along[0] - dx * along[1]  # along and across the bone
    v = v - bone.bow * length * 4 * np.clip(u / length, 0, 1) * (1 - np.clip(u / length, 0, 1))
    past = np.maximum(np.maximum(-u, u - length), 0)
    np.maximum(flesh, _chord(radius * limb.tissue, v, 0.8 * past) / radius / limb.tissue, out=flesh)
    if finding is None or finding.kind == "lesion":
        body = _tube(u, v, length, radius, limb, bone)
        if finding is not None:
            far = np.hypot(u - finding.place * length, v - 0.2 * radius) / (finding.size * radius)
            body *= 1 + finding.contrast * np.clip((1.1 - far) * 4, 0, 1)
        plane += body
        return
    zigzag = np.abs(v / (0.8 * radius) % 2 - 1) - 0.5
    line = finding.place * length + finding.slope * v + finding.teeth * radius * zigzag
    half = finding.gap * radius / 2
    beyond = v - shown * (finding.step * radius + np.tan(finding.bend) * (u - finding.place * length))
    plane += _tube(u, v, length, radius, limb, bone) * np.clip(line - half - u + 0.5, 0, 1)
    plane += _tube(u, beyond, length, radius, limb, bone) * np.clip(u - line - half + 0.5, 0, 1)


def _tube(u: np.ndarray, v: np.ndarray, length: float, radius: float, limb: Limb, bone: Bone) -> np.ndarray:
    """Return the path of a ray through compact bone, for a tube with thicker, spongy ends; 1 is a solid radius."""
    t = u / length
    past = 1.6 * np.maximum(np.maximum(-u, u - length), 0)
    at_ends = bone.near * np.exp(-((t / 0.14) ** 2)) + bone.far * np.exp(-(((1 - t) / 0.14) ** 2))
    outer = radius * (1 + at_ends)
    inner = outer - radius * limb.cortex / (1 + 2 * at_ends)
    body = (_chord(outer, v, past) - _MARROW * _chord(inner, v, past)) / radius
    if limb.is_growing and length > 5 * radius:
        for plate in (0.1, 0.9):
            body *= 1 - 0.45 * np.exp(-(((u - plate * length) / 1.3) ** 2))
    return body


def _chord(radius: np.ndarray | float, v: np.ndarray, past: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(radius**2 - v**2 - past**2, 0))


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return the unevenness of bone, ``float32 (height, width)`` around 1."""
    grain = rng.standard_normal((height // 3 + 1, width // 3 + 1), dtype=np.float32)
    return 1 + 0.08 * np.repeat(np.repeat(grain, 3, axis=0), 3, axis=1)[:height, :width]


def _add_canals(plane: np.ndarray, limb: Limb, ends: list[np.ndarray], zoom: float, rng: np.random.Generator) -> None:
    """Let vessels enter some bones: thin oblique lines that do not cross the bone."""
    for bone, (start, end) in zip(limb.bones, ends, strict=True):
        place, side, is_there = rng.uniform(0.3, 0.6), rng.choice((-1, 1)), rng.random() < 0.25
        if not is_there or bone.length < 6 * bone.radius:
            continue
        along = (end - start) / np.hypot(*(end - start))
        across = side * bone.radius * zoom * np.array([-along[1], along[0]])
        entry = start + place * (end - start) + 0.9 * across
        inside = entry + 1.6 * bone.radius * zoom * along - 0.8 * across
        rod(plane, tuple(entry), tuple(inside), 0.7, -0.1 * limb.density)


def _add_implant(plane: np.ndarray, limb: Limb, ends: list[np.ndarray], zoom: float) -> None:
    """Put a screw across the thickest bone, near its middle."""
    bone = int(np.argmax([b.radius for b in limb.bones]))
    start, end = ends[bone]
    along = (end - start) / np.hypot(*(end - start))
    reach = 1.2 * limb.bones[bone].radius * zoom * np.array([-along[1], along[0]])
    middle = start + 0.5 * (end - start)
    rod(plane, tuple(middle - reach), tuple(middle + reach), 1.6, 1.2)
