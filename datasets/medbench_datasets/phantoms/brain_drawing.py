"""Draw a skull-stripped brain with a glioma in four MRI contrasts.

Nothing here is measured; the proportions and the order of the gray levels follow what the contrasts show: fluid is dark
on T1 and FLAIR and bright on T2, oedema bright on FLAIR and T2, a leaky barrier bright on T1 with contrast agent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SHAPE = (60, 60, 39)
VOXEL_MM = 4.0  # BraTS has 240 x 240 x 155 voxels of 1 mm: the same field of view in 1/64 of the data

# Gray levels of white matter, gray matter, fluid, solid tumour, necrosis, oedema.
TISSUES = {
    "flair": (380, 500, 130, 700, 430, 760),
    "t1": (880, 660, 260, 600, 380, 690),
    "t1ce": (880, 660, 260, 600, 380, 690),
    "t2": (360, 500, 1000, 760, 940, 720),
}
ENHANCEMENT = 1100  # what a fully leaky barrier adds on t1ce


@dataclass(frozen=True)
class Tumour:
    """What tells a glioma's grade, each a matter of degree and overlapping between grades.

    Attributes:
        radius_mm: Of the solid part.
        enhancement: 0 none, 1 as bright as it gets.
        necrosis: Radius of the dead core as a part of the tumour's.
        oedema: Width of the swelling as a part of the tumour's radius.
        irregularity: How far the outline strays from a ball.
    """

    radius_mm: float
    enhancement: float
    necrosis: float
    oedema: float
    irregularity: float


def draw_tumour(rng: np.random.Generator, *, is_high: bool) -> Tumour:
    """Draw how a glioma looks.

    Most, but not all, of high grade enhance around a dead core and swell widely; most of low grade are homogeneous and
    sharp. One in ten of each enhances as the other does.
    """
    leaky = is_high == bool(rng.random() > 0.1)

    def draw(mean: float, deviation: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, deviation), low, high))

    return Tumour(
        radius_mm=draw(25, 3.5, 16, 33),
        enhancement=draw(1, 0.2, 0.4, 1.5) if leaky else draw(0.06, 0.1, 0, 0.4),
        necrosis=draw(0.5, 0.1, 0.2, 0.75) if is_high else draw(0.15, 0.15, 0, 0.5),
        oedema=draw(0.8, 0.25, 0.1, 1.3) if is_high else draw(0.15, 0.12, 0.05, 0.6),
        irregularity=draw(0.3, 0.08, 0.02, 0.5) if is_high else draw(0.2, 0.08, 0.02, 0.5),
    )


def draw_brain(rng: np.random.Generator, tumour: Tumour) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Draw a brain around a tumour.

    Returns:
        ``int16 (X, Y, Z)`` in RAS order of each modality, 0 outside the brain; and the segmentation ``uint8 (X, Y, Z)``
        as BraTS 2017 to 2020 number it: 1 necrotic and non-enhancing core, 2 oedema, 4 enhancing.
    """
    axes = [(np.arange(n) - (n - 1) / 2) * VOXEL_MM for n in SHAPE]
    at = np.stack(np.meshgrid(*axes, indexing="ij"))  # (3, X, Y, Z) in mm from the centre
    bent = at + np.stack([4 * _noise(rng, 4) for _ in range(3)])
    semi_mm = np.array([66, 86, 63]) * (1 + 0.05 * rng.standard_normal(3))
    radius = ((np.abs(bent) / semi_mm[:, None, None, None]) ** 2.3).sum(0) ** (1 / 2.3)
    fold = _noise(rng, 18)
    inside = radius + 0.012 * fold < 1
    # From here on arrays hold the voxels inside only, (n,): a quarter of the work.
    at, bent, radius, fold = at[:, inside], bent[:, inside], radius[inside], fold[inside]

    def noise(knots: int) -> np.ndarray:
        return _noise(rng, knots)[inside]

    white, gray, fluid = _tissues(bent, radius, fold, ventricles=float(np.exp(0.2 * rng.standard_normal())))
    place = rng.uniform((0.3, -0.5, -0.2), (0.55, 0.55, 0.5)) * semi_mm * (rng.choice((-1, 1)), 1, 1)
    stretch = np.exp(0.15 * rng.standard_normal(3))
    distance_mm = np.sqrt((((at - place[:, None]) / stretch[:, None]) ** 2).sum(0))
    solid, core, swelling = _glioma(distance_mm, white, tumour, noise)
    healthy = 1 - solid - swelling
    weights = np.stack([white * healthy, gray * healthy, fluid * healthy, solid * (1 - core), solid * core, swelling])
    rim = solid * (1 - core) * (1 + 0.35 * noise(12)).clip(0.2, 1.6) * tumour.enhancement
    volumes = {}
    for modality, levels in TISSUES.items():
        contrast = np.array(levels) * (1 + 0.05 * rng.standard_normal(len(levels)))
        image = contrast @ weights
        if modality == "t1ce":
            image += ENHANCEMENT * rim + 250 * _vessels(bent, radius)
        image *= np.exp(0.05 * noise(3) + 0.25 * rng.standard_normal())  # coil sensitivity, scanner gain
        image += 0.035 * image.mean() * rng.standard_normal(len(image))
        volumes[modality] = np.zeros(SHAPE, dtype=np.int16)
        volumes[modality][inside] = image.clip(1, 32000)
    segmentation = np.zeros(SHAPE, dtype=np.uint8)
    segmentation[inside] = np.select([(solid > 0.5) & (rim > 0.3), solid > 0.5, swelling > 0.5], [4, 1, 2])
    return volumes, segmentation


def _tissues(
    at: np.ndarray, radius: np.ndarray, fold: np.ndarray, *, ventricles: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shares of white matter, gray matter and fluid, summing to 1."""
    x, y, z = at
    depth, side = 1 - radius, np.abs(x)
    horn = _ball(side - 10 - 0.006 * y**2, y + 4, z - 8 + 0.004 * y**2, (5.5 * ventricles, 34, 8 * ventricles))
    third = _ball(x, y + 2, z + 8, (2.5 * ventricles, 12, 8))
    sulci = _soft(0.16 - np.abs(fold), 0.06) * _soft(0.20 - depth, 0.03)
    fissure = np.exp(-((x / 2.2) ** 2)) * _soft(radius - 0.6, 0.05) * _soft(z + 25, 4)
    fluid = 1 - (1 - horn) * (1 - third) * (1 - 0.8 * sulci) * (1 - 0.9 * fissure)
    cortex = _soft(0.17 + 0.07 * fold - depth, 0.03)
    nuclei = _ball(side - 22, y - 4, z + 2, (8, 18, 11))
    cerebellum = _soft(-28 - z, 2) * _soft(-22 - y, 3) * (0.55 + 0.3 * np.sin(z / 2.6)).clip(0, 1)
    gray = (1 - fluid) * (1 - (1 - cortex) * (1 - 0.8 * nuclei) * (1 - cerebellum))
    return 1 - fluid - gray, gray, fluid


def _glioma(
    distance_mm: np.ndarray, white: np.ndarray, tumour: Tumour, noise: Callable[[int], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the share of solid tumour, the dead part of it, and the share of swelling around it."""
    outline = distance_mm / tumour.radius_mm * np.exp(tumour.irregularity * noise(9))
    solid = _soft(1 - outline, 0.06)
    core = _soft(tumour.necrosis - outline * np.exp(0.2 * noise(10)), 0.06)
    reach = distance_mm / (tumour.radius_mm * (1 + tumour.oedema)) * np.exp(0.3 * noise(7))
    # Oedema runs along white matter and spares the cortex.
    swelling = _soft(1 - reach, 0.06) * (0.15 + 0.85 * white) * (1 - solid)
    return solid, core, swelling


def _vessels(at: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The sagittal sinus and the circle of Willis: bright with contrast agent in everyone."""
    x, y, z = at
    sinus = np.exp(-((x / 3.5) ** 2)) * _soft(radius - 0.9, 0.03) * _soft(z + 10, 4)
    circle = np.exp(-(((np.hypot(x, y - 8) - 13) / 3.5) ** 2) - ((z + 34) / 4) ** 2)
    return sinus + circle


def _noise(rng: np.random.Generator, knots: int) -> np.ndarray:
    """Smooth noise of unit variance: a cubic spline through about `knots` random numbers along the longest axis."""
    noise = rng.standard_normal([round(knots * length / max(SHAPE)) + 3 for length in SHAPE])
    for axis, length in enumerate(SHAPE):
        noise = np.moveaxis(np.tensordot(_spline(noise.shape[axis], length), noise, (1, axis)), 0, axis)
    return (noise - noise.mean()) / noise.std()


def _spline(n_knots: int, length: int) -> np.ndarray:
    """``float64 (length, n_knots)``: what each knot of a cubic B-spline adds to each voxel of a line."""
    place = np.linspace(1, n_knots - 2, length)[:, None]  # one knot beyond each end
    apart = np.abs(place - np.arange(n_knots))
    near, far = 2 / 3 - apart**2 + apart**3 / 2, (2 - apart).clip(0) ** 3 / 6
    return np.where(apart < 1, near, far)


def _soft(inside: np.ndarray, width: float) -> np.ndarray:
    """0 to 1 across an edge where `inside` changes its sign: voxels on an edge hold some of both."""
    return 1 / (1 + np.exp(-(inside / width).clip(-30, 30)))


def _ball(x: np.ndarray, y: np.ndarray, z: np.ndarray, semi_mm: tuple[float, float, float]) -> np.ndarray:
    a, b, c = semi_mm
    return _soft(1 - np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2), 0.15)
