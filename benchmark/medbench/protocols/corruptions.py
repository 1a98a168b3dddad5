"""Corruptions of test images: noise, blur and changes of intensity at five severities.

The kinds are those of MedMNIST-C (Di Salvo et al. 2024, arXiv 2406.17536) that make sense for grey and colour images
and for volumes; what they do is written here anew and the parameters of the severities are our own. A corrupted image
depends on the image, its id, the kind and the severity alone: all methods are tested on the same ones.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from medbench.errors import UsageError
from medbench.registry.recipes import did_you_mean, listing

SEVERITIES = (1, 2, 3, 4, 5)
Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""``(image, strength, generator) -> image``, both ``float64 (channels, *spatial)`` in [0, 1], to which it is cut."""


@dataclass(frozen=True)
class Corruption:
    """One kind.

    Attributes:
        name: For people.
        group: Several kinds by one word.
        strengths: Of the five severities.
        unit: What a strength is.
        change: What is done to an image.
        flat: It is made for flat images alone.
    """

    name: str
    group: str
    strengths: tuple[float, float, float, float, float]
    unit: str
    change: Change
    flat: bool = False


def _gaussian_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    return image + strength * rng.standard_normal(image.shape)


def _speckle_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    return image * (1 + strength * rng.standard_normal(image.shape))


def _impulse_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Set a share of the pixels to black or white, in all channels alike."""
    drawn = rng.random(image.shape[1:])
    return np.where(drawn < strength / 2, 0.0, np.where(drawn < strength, 1.0, image))


def _gaussian_blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma = strength * max(image.shape[1:])
    return np.asarray(gaussian_filter(image, (0, *[sigma] * (image.ndim - 1)), mode="nearest"))


def _motion_blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Average over positions along a line at a random angle."""
    from scipy.ndimage import shift

    angle, length = rng.uniform(0, np.pi), strength * max(image.shape[1:])
    steps = np.linspace(-length / 2, length / 2, 2 * int(np.ceil(length)) + 1)
    moved = [shift(image, (0, s * np.sin(angle), s * np.cos(angle)), order=1, mode="nearest") for s in steps]
    return np.asarray(np.mean(moved, axis=0))


def _contrast(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    mean = image.mean()
    return mean + strength * (image - mean)


def _brightness(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    return image + strength


def _gamma(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Raise to a power or to its inverse, by a coin."""
    return np.asarray(image ** (strength if rng.random() < 0.5 else 1 / strength))


def _pixelation(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Average over blocks: a part of the resolution along each axis is left."""
    for axis in range(1, image.ndim):
        side = image.shape[axis]
        blocks = np.arange(side) * max(1, round(strength * side)) // side
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        sums = np.add.reduceat(image, starts, axis=axis)
        sizes = np.diff(np.append(starts, side)).reshape([-1 if a == axis else 1 for a in range(image.ndim)])
        image = np.take(sums / sizes, blocks, axis=axis)
    return image


def _jpeg(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Write and read as JPEG: three channels as colours, others one by one."""
    from PIL import Image

    pixels = np.round(255 * image).astype(np.uint8)
    parts = [pixels.transpose(1, 2, 0)] if len(pixels) == 3 else list(pixels)
    read = []
    for part in parts:
        buffer = io.BytesIO()
        Image.fromarray(part).save(buffer, "JPEG", quality=int(strength))
        read.append(np.asarray(Image.open(buffer), dtype=np.float64) / 255)
    return read[0].transpose(2, 0, 1) if len(pixels) == 3 else np.stack(read)


def _bias_field(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Multiply with a smooth field, a polynomial of second degree, as an uneven coil or exposure does."""
    axes = np.meshgrid(*[np.linspace(-1, 1, side) for side in image.shape[1:]], indexing="ij")
    terms = [*axes, *[a * b for i, a in enumerate(axes) for b in axes[i:]]]
    field = np.tensordot(rng.uniform(-1, 1, len(terms)), np.stack(terms), 1)
    most = np.abs(field).max()
    return image * np.exp(strength * field / (most or 1.0))


CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian-noise": Corruption("Gaussian noise", "noise", (0.04, 0.08, 0.12, 0.18, 0.26),
                                 "standard deviation, of the range of values", _gaussian_noise),
    "speckle-noise": Corruption("speckle noise", "noise", (0.1, 0.2, 0.3, 0.45, 0.6),
                                "standard deviation, of the value itself", _speckle_noise),
    "impulse-noise": Corruption("black and white pixels", "noise", (0.01, 0.03, 0.06, 0.1, 0.17),
                                "share of the pixels", _impulse_noise),
    "gaussian-blur": Corruption("Gaussian blur", "blur", (0.016, 0.024, 0.034, 0.046, 0.06),
                                "standard deviation, of the side", _gaussian_blur),
    "motion-blur": Corruption("motion blur", "blur", (0.05, 0.09, 0.14, 0.2, 0.28),
                              "length, of the side", _motion_blur, flat=True),
    "contrast-down": Corruption("lower contrast", "contrast", (0.75, 0.6, 0.45, 0.3, 0.2), "factor", _contrast),
    "contrast-up": Corruption("higher contrast", "contrast", (1.25, 1.5, 1.9, 2.4, 3.0), "factor", _contrast),
    "brightness-down": Corruption("darker", "brightness", (-0.05, -0.1, -0.16, -0.23, -0.32),
                                  "added, of the range of values", _brightness),
    "brightness-up": Corruption("brighter", "brightness", (0.05, 0.1, 0.16, 0.23, 0.32),
                                "added, of the range of values", _brightness),
    "gamma": Corruption("gamma", "intensity", (1.25, 1.5, 1.9, 2.4, 3.0), "exponent, or its inverse", _gamma),
    "pixelation": Corruption("pixelation", "digital", (0.75, 0.6, 0.45, 0.32, 0.22),
                             "part of the resolution that is left", _pixelation),
    "jpeg": Corruption("JPEG", "digital", (50, 30, 20, 12, 6), "quality, of 100", _jpeg, flat=True),
    "bias-field": Corruption("uneven brightness (bias field)", "intensity", (0.2, 0.35, 0.5, 0.7, 0.95),
                             "logarithm of the largest factor", _bias_field),
}  # fmt: skip
"""Every kind by the name that a protocol takes."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    group: tuple(kind for kind, one in CORRUPTIONS.items() if one.group == group)
    for group in dict.fromkeys(one.group for one in CORRUPTIONS.values())
}
ALL = "all"


def corruptions_of(text: str, dimensions: int = 2) -> tuple[str, ...]:
    """Return the kinds that ``all``, ``noise/blur`` or ``gamma/jpeg`` means for flat images or volumes.

    Args:
        text: Kinds and groups with slashes, or "all"; "" for none.
        dimensions: Spatial axes.

    Raises:
        UsageError: For an unknown kind, and where no kind that is named is made for volumes.
    """
    named = dict.fromkeys(filter(None, text.split("/")))
    wanted: dict[str, None] = {}
    for name in named:
        if name not in CORRUPTIONS and name not in GROUPS and name != ALL:
            known = [ALL, *GROUPS, *(kind for kind in CORRUPTIONS if kind not in GROUPS)]
            raise UsageError(
                f"corrupted={text}: no corruption is named {name!r}{did_you_mean(name, known)}; there are: "
                f"{listing(known, len(known))}."
            )
        wanted |= dict.fromkeys(CORRUPTIONS if name == ALL else GROUPS.get(name, (name,)))
    found = tuple(kind for kind in CORRUPTIONS if kind in wanted and (dimensions == 2 or not CORRUPTIONS[kind].flat))
    if named and not found:
        raise UsageError(f"corrupted={text}: is made for flat images; the images here are volumes.")
    return found


def corrupt(x: np.ndarray, ids: np.ndarray, kind: str, severity: int) -> np.ndarray:
    """Corrupt images, each by draws of its own that depend on its id, the kind and the severity alone.

    Args:
        x: ``uint8 (n, channels, *spatial)``.
        ids: ``str (n,)``.
        kind: Member of CORRUPTIONS.
        severity: Member of SEVERITIES.

    Returns:
        ``uint8``, of the same shape.
    """
    of_kind = CORRUPTIONS[kind]
    strength = of_kind.strengths[severity - 1]
    changed = np.empty(x.shape, dtype=np.uint8)
    for row, (image, name) in enumerate(zip(x, ids.tolist(), strict=True)):
        seed = int.from_bytes(hashlib.sha256(f"corruption|{kind}|{severity}|{name}".encode()).digest()[:8], "big")
        values = of_kind.change(image / 255.0, strength, np.random.default_rng(seed))
        changed[row] = np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return changed
