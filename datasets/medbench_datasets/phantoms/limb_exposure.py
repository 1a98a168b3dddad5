"""How a drawn limb is exposed: blur, noise, display window, collimation and a lead letter.

As for the drawn spines, but for one thing: the window is that of the limb without its finding. Bones driven into each
other are dense, and a window set by them would darken the whole picture and so tell the class.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from medbench_datasets.phantoms.shapes import rod

_LETTERS = {
    "L": (((0, 0), (0, 12)), ((0, 12), (7, 12))),
    "R": (((0, 0), (0, 12)), ((0, 0), (6, 3)), ((6, 3), (0, 6)), ((2, 6), (7, 12))),
}


def expose(plane: np.ndarray, intact: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the radiograph of an examination, ``float32 (height, width)`` in [0, 1].

    Args:
        plane: Attenuation, ``float32 (height, width)``.
        intact: The same without a finding.
        rng: Source of randomness, used alike whatever the planes hold.
    """
    low, high = np.quantile(intact[::4, ::4], (0.01, 0.995))
    high = low + (high - low) * rng.uniform(0.85, 1.2)
    plane = gaussian_filter(plane, rng.uniform(0.5, 0.9), truncate=3)
    noise = rng.standard_normal(plane.shape, dtype=np.float32)
    plane = plane + noise * np.exp(0.5 * plane) * rng.uniform(0.012, 0.03)  # dense: fewer photons, more noise
    shown = np.clip((plane - low) / (high - low), 0, 1.1) ** rng.uniform(0.75, 1.35)
    shown *= rng.uniform(0.7, 1.0)
    sides = rng.integers(2, 14, 4)
    if rng.random() < 0.4:
        shutter = np.full_like(shown, 0.02)
        inner = np.s_[sides[0] : -sides[1], sides[2] : -sides[3]]
        shutter[inner] = shown[inner]
        shown = shutter
    x, y = rng.uniform(16, 28), rng.uniform(18, 60)
    if rng.random() < 0.5:
        x = shown.shape[1] - x - 7
    if rng.random() < 0.6:
        for (x0, y0), (x1, y1) in _LETTERS["L" if rng.random() < 0.5 else "R"]:
            rod(shown, (x + x0, y + y0), (x + x1, y + y1), 0.9, 0.8)
    return np.clip(shown, 0, 1)
