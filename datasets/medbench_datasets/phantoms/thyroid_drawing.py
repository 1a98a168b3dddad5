"""Draw one view of a neck as B-mode ultrasound would show it: speckle on layered tissue, with one nodule.

Nothing here is measured from patients. The signs of benign and suspicious nodules follow the TI-RADS descriptors (Kwak
et al., Radiology 2011, doi:10.1148/radiol.11110206): hypoechoic, irregular, taller than wide and microcalcifications
against iso- or hyperechoic, cystic or spongiform, smooth, wider than tall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

SCALE = 2  # drawn at half size: a quarter of the time, and speckle of the usual grain


@dataclass(frozen=True)
class Nodule:
    """One nodule, seen in all images of its patient.

    Attributes:
        echo: Echo level relative to the thyroid around it; 1 is isoechoic.
        tallness: Height over width.
        roughness: Amplitude of the irregular margin, as a part of the radius.
        blur: Width of the margin, as a part of the radius.
        calcifications: Number of bright spots.
        cysts: Number of anechoic parts.
        pores: Number of small dark pores of a spongiform nodule.
        halo: Darkness of the rim, 0 to 1.
        radius: Mean radius in drawn pixels.
    """

    echo: float
    tallness: float
    roughness: float
    blur: float
    calcifications: int
    cysts: int
    pores: int
    halo: float
    radius: float


def draw_nodule(rng: np.random.Generator, severity: float, overlap: float) -> Nodule:
    """Draw the signs of a nodule.

    Args:
        rng: Source of randomness.
        severity: 0 for surely benign, 1 for highly suspicious.
        overlap: Standard deviation, on the scale of `severity`, by which every sign strays on its own.
    """
    echo, tall, rough, blur, spots, fluid = np.clip(severity + rng.normal(0, overlap, 6), 0, 1)
    return Nodule(
        echo=float(1.15 - 0.65 * echo + rng.normal(0, 0.05)),
        tallness=float(0.66 + 0.44 * tall),
        roughness=float(0.03 + 0.17 * rough**1.5),
        blur=float(0.08 + 0.12 * blur),
        calcifications=int(rng.poisson(9 * max(0.0, spots - 0.35))),
        cysts=int(rng.integers(1, 4)) if fluid < 0.3 and rng.random() < 0.5 else 0,
        pores=int(rng.integers(8, 20)) if fluid < 0.4 and rng.random() < 0.4 else 0,
        halo=float(rng.uniform(0.1, 0.75) * (1 - 0.7 * blur)),
        radius=float(rng.uniform(19, 36)),
    )


def draw_view(
    rng: np.random.Generator, nodule: Nodule, *, width: int, height: int, lobe: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a scan.

    Args:
        rng: Source of randomness.
        nodule: What to show.
        width: Of the scan in pixels.
        height: Of the scan in pixels.
        lobe: Echo level of the healthy thyroid, about 0.5.

    Returns:
        The scan, ``uint8 (height, width)``, and the margin of the nodule, ``float64 (n, 2)`` as x and y in the scan.
    """
    columns, rows = -(-width // SCALE), -(-height // SCALE)
    y, x = np.ogrid[:rows, :columns]
    y, x = y.astype(np.float32), x.astype(np.float32)
    level = _neck(rng, y, x, lobe)
    squeeze = min(1.0, 0.42 * columns / nodule.radius, 0.26 * rows / nodule.radius)
    a = nodule.radius * squeeze / np.sqrt(nodule.tallness)
    b = nodule.radius * squeeze * np.sqrt(nodule.tallness)
    cx = columns * rng.uniform(0.4, 0.6)
    cy = np.clip(rows * rng.uniform(0.42, 0.58), b + 0.2 * rows, rows - b - 4)
    margin = _margin(rng, nodule.roughness)
    _add_nodule(rng, level, nodule, margin, (cx, cy, a, b), lobe)

    level *= np.exp(_smooth(rng, rows, columns, 9, 14) * 0.22)  # tissue is not uniform
    level *= np.exp(rng.uniform(-1.5, -0.6) * y / rows + 0.18 * _smooth(rng, 1, columns, 1, 10))  # attenuation
    gray = rng.uniform(88, 106) + 44 * np.log(np.maximum(level, 0.03) / 0.5)
    gray += 19 * np.log(_speckle(rng, rows, columns))
    scan = Image.fromarray(np.clip(gray, 6, 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)

    angles = np.linspace(0, 2 * np.pi, len(margin), endpoint=False)
    outline = np.stack([cx + a * margin * np.cos(angles), cy + b * margin * np.sin(angles)], axis=1)
    return np.maximum(np.asarray(scan), 5), outline * SCALE


def _neck(rng: np.random.Generator, y: np.ndarray, x: np.ndarray, lobe: float) -> np.ndarray:
    """Return the echo level ``float32 (rows, columns)`` of layers, thyroid, and often trachea and carotid artery."""
    rows, columns = y.shape[0], x.shape[1]
    # Layers: a profile over depth, bent along the probe.
    wave = sum(rng.uniform(1, 4) * np.sin(2 * np.pi * (x / columns * k + rng.random())) for k in (0.5, 1.1, 2.3))
    bent = np.clip(y - wave * (0.3 + y / rows), 0, rows - 1)
    depth = np.arange(rows)
    top = rows * rng.uniform(0.17, 0.24)
    profile = np.where(depth < top, 0.3, 0.26) * np.ones(rows)
    for place, width, height in zip(
        np.append(rng.uniform(7, top, 5), rng.uniform(0.7 * rows, rows, 4)),
        rng.uniform(0.7, 2.2, 9),
        rng.uniform(0.3, 1.2, 9),
        strict=True,
    ):
        profile += height * np.exp(-(((depth - place) / width) ** 2))
    profile[: rng.integers(4, 7)] = 1.1  # skin
    level = profile.astype(np.float32)[bent.astype(np.intp)]
    level *= np.exp(0.35 * _smooth(rng, rows, columns, 4, 12))  # fibres come and go

    side = rng.choice([-1, 1])
    cx, cy = columns * (0.5 - side * rng.uniform(0, 0.06)), top + rows * 0.32
    across, along = columns * rng.uniform(0.4, 0.62), rows * rng.uniform(0.3, 0.36)
    inside = 1 - ((x - cx) / across) ** 2 - ((bent - cy) / along) ** 2
    thyroid = np.clip(inside * 7, 0, 1)
    level += (lobe - level) * thyroid
    level += (
        0.5 * np.exp(-((inside / 0.05) ** 2)) * (np.abs(bent - cy) > 0.6 * along)
    )  # its capsule, where hit squarely

    if rng.random() < 0.7:  # trachea: a bright arc, fading echoes of it, and shadow
        tx, ty, radius = columns * (0.5 + side * rng.uniform(0.46, 0.6)), rows * rng.uniform(0.36, 0.46), columns * 0.18
        below = y - ty + np.sqrt(np.maximum(radius**2 - (x - tx) ** 2, 0))  # the arc is where this is 0
        air = np.clip((radius - np.abs(x - tx)) / 3, 0, 1) * np.clip(below / 2, 0, 1)
        echoes = 0.04 + 0.5 * np.exp(-np.maximum(below, 0) / 14) * np.sin(below / 2.2) ** 4
        level += (echoes - level) * air
        level += np.exp(-((below / 1.8) ** 2)) * (np.abs(x - tx) < 0.8 * radius)
    if rng.random() < 0.7:  # carotid artery: black, with a bright wall
        ax, ay, radius = columns * (0.5 - side * rng.uniform(0.4, 0.5)), rows * rng.uniform(0.4, 0.65), rows * 0.1
        far = np.hypot(x - ax, (y - ay) * rng.uniform(0.9, 1.3)) / radius
        level += (0.03 - level) * np.clip((1 - far) * 6, 0, 1)
        level += 0.5 * np.exp(-(((far - 1.08) / 0.08) ** 2))
    return level


def _smooth(rng: np.random.Generator, rows: int, columns: int, high: int, wide: int) -> np.ndarray:
    """Return noise ``float32 (rows, columns)`` of about unit variance that changes over `high` and `wide` pixels."""
    coarse = rng.standard_normal((rows // high + 1, columns // wide + 2), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize((columns, rows), Image.Resampling.BICUBIC))


def _margin(rng: np.random.Generator, roughness: float, n: int = 64) -> np.ndarray:
    """Return ``(n,)`` radii around 1: some lobes of every nodule, and spikes where it is irregular."""
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radii = 1 + sum(0.03 * rng.normal() * np.cos(k * angles + rng.uniform(0, 7)) for k in (2, 3))
    for k in range(4, 16):
        radii = radii + roughness * (1.3 / k**0.5) * rng.normal() * np.cos(k * angles + rng.uniform(0, 7)) * 0.5
    return np.clip(radii, 0.6, 1.3)


def _add_nodule(
    rng: np.random.Generator,
    level: np.ndarray,
    nodule: Nodule,
    margin: np.ndarray,
    place: tuple[float, float, float, float],
    lobe: float,
) -> None:
    """Put the nodule into `level`, in place."""
    cx, cy, a, b = place
    rows, columns = level.shape
    y0, y1 = int(max(cy - 1.5 * b, 0)), int(min(cy + 1.5 * b + 1, rows))
    x0, x1 = int(max(cx - 1.5 * a, 0)), int(min(cx + 1.5 * a + 1, columns))
    v = (np.arange(y0, y1)[:, None] - cy) / b
    u = (np.arange(x0, x1)[None] - cx) / a
    turn = np.arctan2(v, u) % (2 * np.pi)
    around = np.interp(turn.ravel(), np.linspace(0, 2 * np.pi, len(margin) + 1), np.append(margin, margin[0]))
    far = np.hypot(u, v) / around.reshape(turn.shape)  # 1 on the margin
    body = lobe * nodule.echo * np.exp(0.22 * _smooth(rng, far.shape[0], far.shape[1], 5, 6))
    scale = max(a, b)
    for _ in range(nodule.cysts):
        px, py, size = *rng.uniform(-0.4, 0.4, 2), rng.uniform(0.25, 0.5)
        fluid = np.hypot(u - px, (v - py) * rng.uniform(0.8, 1.4)) * rng.uniform(0.85, 1.15)
        body += (0.03 - body) * np.clip((size - fluid) * 8, 0, 1)
    for _ in range(nodule.pores):
        px, py = rng.uniform(-0.65, 0.65, 2)
        pore = np.hypot((u - px) * a, (v - py) * b) / rng.uniform(1.2, 2.8)
        body += (0.1 - body) * np.clip(1.5 - pore, 0, 1)
    for _ in range(nodule.calcifications):
        px, py = rng.uniform(-0.6, 0.6, 2)
        body += 1.3 * np.exp(-(((u - px) * a) ** 2 + ((v - py) * b) ** 2) / rng.uniform(0.8, 2.5))
    inside = np.clip((1 - far) / nodule.blur + 0.5, 0, 1)
    rim = np.exp(-(((far - 1.03) * scale / 2.0) ** 2))
    window = level[y0:y1, x0:x1]
    window[...] = (window * (1 - inside) + body * inside) * (1 - nodule.halo * rim)
    below = level[int(cy + 0.9 * b) :, max(int(cx - 0.6 * a), 0) : int(cx + 0.6 * a)]
    fade = np.clip(np.arange(len(below)) / 6, 0, 1)[:, None]
    below *= 1 + fade * (0.6 if nodule.cysts else -0.3 * (nodule.echo < 0.75))  # enhancement behind fluid, or shadow


def _speckle(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return Rayleigh amplitudes with a mean square of 1, their grain wider than high as a linear probe's."""
    field = rng.standard_normal((2, rows + 2, columns + 4), dtype=np.float32)
    field = field[:, :-2] + 1.5 * field[:, 1:-1] + field[:, 2:]
    field = field[..., :-4] + 2 * field[..., 1:-3] + 3 * field[..., 2:-2] + 2 * field[..., 3:-1] + field[..., 4:]
    power = (field**2).sum(0)
    return np.sqrt(power / power.mean()) + 0.03
