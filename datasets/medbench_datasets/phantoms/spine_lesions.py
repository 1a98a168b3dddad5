"""What can go wrong with a drawn spine, as changes of its geometry or as something added to it, and where it is.

Looks follow the descriptions in Nguyen et al. 2021 (arXiv:2106.12930); a radiologist would not be fooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medbench_datasets.phantoms.shapes import ellipse, rod
from medbench_datasets.phantoms.spine_drawing import (
    Body,
    Spine,
    View,
    draw_sacrum,
    draw_surroundings,
    draw_vertebra,
    expose,
    lay_out,
)

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Finding:
    """A lesion of a person.

    Attributes:
        lesion: Its name.
        level: Number of the vertebra, from the top, that it is at or below.
        grade: 0 is mild, 1 severe.
        side: -1 or 1.
    """

    lesion: str
    level: int
    grade: float
    side: int


def draw(
    spine: Spine, view: View, findings: Sequence[Finding], rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[str, Corners]]]:
    """Draw one radiograph of a person with these findings.

    Returns:
        ``float32 (height, width)`` in [0, 1], bone bright; and lesion, (xmin, ymin, xmax, ymax) in pixels for each box.
    """
    n = len(spine.heights)
    scale, gaps, slip = np.ones((n, 2)), np.ones(n), np.zeros(n)
    for finding in findings:
        if finding.lesion == "Vertebral collapse":
            lost = 0.42 + 0.23 * finding.grade
            scale[finding.level] *= (
                (1 - lost, 1 - 0.25 * lost) if view == "lateral" else (1 - 0.8 * lost, 1 - 0.65 * lost)
            )
        elif finding.lesion == "Disc space narrowing":
            gaps[finding.level] *= 0.38 - 0.26 * finding.grade
        elif finding.lesion == "Spondylolysthesis":
            slip[: finding.level + 1] -= (0.4 + 0.35 * finding.grade) if view == "lateral" else 0.25 * finding.side
    bodies = lay_out(spine, view, scale, gaps, slip)
    plane = draw_surroundings(spine, view, rng)
    for body in bodies:
        draw_vertebra(plane, spine, body, view)
    if spine.region == "lumbar":
        draw_sacrum(plane, spine, bodies[-1], view)
    _wear(plane, spine, bodies, rng)
    boxes = [(f.lesion, box) for f in findings for box in _add(plane, spine, bodies, view, f, rng)]
    shown = expose(plane, rng)
    if view == "lateral" and rng.random() < 0.5:  # facing right
        shown = shown[:, ::-1]
        boxes = [(lesion, (spine.width - x1, y0, spine.width - x0, y1)) for lesion, (x0, y0, x1, y1) in boxes]
    limits = (spine.width, spine.height) * 2
    cut = [(lesion, tuple(float(np.clip(c, 0, m)) for c, m in zip(box, limits, strict=True))) for lesion, box in boxes]
    return shown, [(lesion, (b[0], b[1], b[2], b[3])) for lesion, b in cut if b[2] - b[0] > 2 and b[3] - b[1] > 2]


def _wear(plane: np.ndarray, spine: Spine, bodies: list[Body], rng: np.random.Generator) -> None:
    """Blunt some corners of anybody's spine, so that not every uneven edge is an osteophyte."""
    for _ in range(rng.integers(0, 3)):
        body, side, end = bodies[rng.integers(len(bodies))], int(rng.choice((-1, 1))), int(rng.choice((-1, 1)))
        _spur(plane, 0.7 * spine.density, body, side, end, rng.uniform(0.02, 0.1) * body.a)


def _add(
    plane: np.ndarray, spine: Spine, bodies: list[Body], view: View, finding: Finding, rng: np.random.Generator
) -> list[Corners]:
    """Draw what a finding adds to the plane and return its boxes."""
    body = bodies[finding.level]
    bone = spine.density
    if finding.lesion == "Vertebral collapse":
        ellipse(plane, (body.x, body.y), (0.85 * body.a, 0.7 * body.h), 0.22 * bone, body.tilt, 2.0)  # compacted
        return [_around(body, body.a, body.h)]
    if finding.lesion == "Disc space narrowing":
        y = body.h + body.gap / 2
        for v in (y - body.gap / 2 - 1.5, y + body.gap / 2 + 1.5):  # sclerotic end plates
            rod(plane, body.place(-0.8 * body.a, v), body.place(0.8 * body.a, v), 1.6, 0.3 * bone)
        return [_around(body, body.a, body.gap / 2 + 4, v=y)]
    if finding.lesion == "Spondylolysthesis":
        return [_around(body, 1.2 * body.a, body.h + body.gap, v=body.h)]
    if finding.lesion == "Foraminal stenosis":
        u, y = (1.18 * body.a, body.h * 0.9) if view == "lateral" else (finding.side * 1.15 * body.a, body.h)
        ellipse(
            plane, body.place(u, y), (0.3 * body.a, 0.5 * body.h), (0.5 + 0.3 * finding.grade) * bone, body.tilt, 2.0
        )
        return [_around(body, 0.4 * body.a, 0.65 * body.h, u=u, v=y)]
    if finding.lesion == "Osteophytes":
        return [box for spur in _spurs(bodies, view, finding, rng) for box in [_spur(plane, bone, *spur)]]
    if finding.lesion == "Surgical implant":
        return [_implant(plane, bodies, view, finding)]
    return [_other(plane, bone, body, finding)]


def _spurs(
    bodies: list[Body], view: View, finding: Finding, rng: np.random.Generator
) -> list[tuple[Body, int, int, float]]:
    """Choose the corners that carry a spur: body, side, end, length."""
    corners = [(i, side, end) for i in range(len(bodies)) for side in (-1, 1) for end in (-1, 1)]
    if view == "lateral":
        corners = [corner for corner in corners if corner[1] == -1]  # at the front; the back is hidden
    near = np.array([0.55 ** abs(i - finding.level) for i, _, _ in corners])
    count = min(len(corners), 2 + round(3 * finding.grade))
    chosen = rng.choice(len(corners), count, replace=False, p=near / near.sum())
    length = 0.24 + 0.28 * finding.grade
    return [(bodies[corners[k][0]], *corners[k][1:], length * bodies[corners[k][0]].a) for k in sorted(chosen)]


def _spur(plane: np.ndarray, bone: float, body: Body, side: int, end: int, length: float) -> Corners:
    edge = body.left if side < 0 else body.right
    root = body.place(side * 0.9 * body.a, end * (edge - 2))
    tip = body.place(side * (body.a + length), end * (edge + 1.5))
    rod(plane, root, tip, 3.4, 0.7 * bone, taper=0.55)
    (x0, y0), (x1, y1) = root, tip
    return min(x0, x1) - 4, min(y0, y1) - 5, max(x0, x1) + 4, max(y0, y1) + 5


def _implant(plane: np.ndarray, bodies: list[Body], view: View, finding: Finding) -> Corners:
    """Draw two rods and their screws over two to four levels."""
    first = max(0, finding.level - 1 - round(finding.grade))
    held = bodies[first : finding.level + 2]
    sides = (-0.62, 0.62) if view == "frontal" else (1.35, 1.5)
    for u in sides:
        heads = [body.place(u * body.a, -0.2 * body.h) for body in held]
        for head, body in zip(heads, held, strict=True):
            inward = body.place((0.3 * u if view == "frontal" else -0.35) * body.a, -0.1 * body.h)
            rod(plane, head, inward, 2.0, 0.55)
            ellipse(plane, head, (3.6, 3.6), 0.4)
        for start, end in pairwise(heads):
            rod(plane, start, end, 2.2, 0.7)
    reach = 0.8 if view == "frontal" else 1.7
    points = [body.place(u * body.a, v * body.h) for body in held for u in (-reach, reach) for v in (-0.6, 0.4)]
    if view == "lateral":
        points = [body.place(u * body.a, v * body.h) for body in held for u in (-0.4, 1.7) for v in (-0.6, 0.4)]
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _other(plane: np.ndarray, bone: float, body: Body, finding: Finding) -> Corners:
    """Draw an island of dense bone in the body, or bone that bridges the disc below it."""
    if finding.grade < 0.5:
        r = (0.3 + 0.3 * finding.grade) * body.h + 2
        ellipse(plane, body.place(finding.side * 0.35 * body.a, 0.1 * body.h), (r, r), 0.6 * bone, 0, 2.0)
        return _around(body, r + 2, r + 2, u=finding.side * 0.35 * body.a, v=0.1 * body.h)
    u = finding.side * body.a
    rod(plane, body.place(u, 0.3 * body.h), body.place(u, 1.7 * body.h + body.gap), 4.0, 0.6 * bone)
    return _around(body, 6, 0.8 * body.h + body.gap, u=u, v=body.h + body.gap / 2)


def _around(body: Body, half_u: float, half_v: float, *, u: float = 0.0, v: float = 0.0) -> Corners:
    """Return the upright box around a tilted one."""
    points = [body.place(u + p * half_u, v + q * half_v) for p in (-1, 1) for q in (-1, 1)]
    xs, ys = zip(*points, strict=True)
    return float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))
