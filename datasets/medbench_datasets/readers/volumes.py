"""From a volume as stored to a cube of bytes: find the brain, crop, standardise, resize, quantise.

All functions work for two and three spatial axes. Nothing is learned from other patients.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

BAND = 16  # outputs of an axis that are computed at once when a volume is resized


def foreground(voxels: np.ndarray) -> np.ndarray:
    """Tell the brain from what a skull-stripping tool left around it.

    The background is the commonest value on the outer faces: 0 in most files, about -3.6 in files that were z-scored
    after the skull was stripped.

    Args:
        voxels: ``float32 (*spatial)``.

    Returns:
        ``bool (*spatial)``. All True where no value makes up a twentieth of the faces: then nothing was stripped.
    """
    faces = np.concatenate([voxels.take(at, axis).ravel() for axis in range(voxels.ndim) for at in (0, -1)])
    values, counts = np.unique(faces, return_counts=True)
    if counts.max() < 0.05 * faces.size:
        return np.ones(voxels.shape, dtype=bool)
    background = values[counts.argmax()]
    tolerance = 1e-6 * max(1.0, float(np.ptp(voxels)))  # resampled files: the last digits of a constant vary
    inside = np.empty(voxels.shape, dtype=bool)
    for at, plane in enumerate(voxels):  # by planes: no second volume of floats
        inside[at] = np.abs(plane - background) > tolerance
    return inside


def bounding_box(inside: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box with all True voxels of ``bool (*spatial)``; the whole array where there is none."""
    box = []
    for axis in range(inside.ndim):
        hit = np.flatnonzero(inside.any(axis=tuple(a for a in range(inside.ndim) if a != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, inside.shape[axis]))
    return tuple(box)


def standardise(voxels: np.ndarray, inside: np.ndarray, *, low: float, high: float) -> np.ndarray:
    """Map voxels to grey levels by their z-score among the voxels inside.

    Args:
        voxels: ``float32 (*spatial)``.
        inside: ``bool (*spatial)``, at least one True.
        low: z-score that becomes 1; lower ones are clipped.
        high: z-score that becomes 255; higher ones are clipped.

    Returns:
        ``float64 (*spatial)``: 0 outside, 1 to 255 inside, so that the background is the same in every file.
    """
    values = voxels[inside].astype(np.float64)
    deviation = values.std()
    z = values  # one array all the way: a volume of float64 is large
    z -= values.mean()
    z /= deviation if deviation > 0 else 1.0
    z.clip(low, high, out=z)
    z -= low
    z /= high - low
    z *= 254
    z += 1
    levels = np.zeros(voxels.shape)
    levels[inside] = z
    return levels


def fit_image(levels: np.ndarray, spacing_mm: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """Resize to `size` along every axis, keeping proportions in millimetres, and pad the shorter axes with 0.

    Args:
        levels: ``float64 (*spatial)`` in [0, 255].
        spacing_mm: Length of a voxel along each axis.
        size: Voxels along every axis of the result.

    Returns:
        ``uint8 (size, ...)``.
    """
    shape = _shape_within(levels.shape, spacing_mm, size)
    return _centre(np.rint(resample(levels, shape)).clip(0, 255).astype(np.uint8), size)


def fit_labels(labels: np.ndarray, spacing_mm: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """Resize a segmentation as :func:`fit_image` resizes its image: every voxel gets the label that fills most of it.

    Returns:
        ``uint8 (size, ...)`` with no label that `labels` does not have.
    """
    shape = _shape_within(labels.shape, spacing_mm, size)
    best, share = np.zeros(shape, dtype=np.uint8), np.full(shape, -1.0)
    for label in np.unique(labels):  # ties go to the lower label, background first
        filled = resample((labels == label).astype(np.float64), shape)
        wins = filled > share + 1e-9
        best[wins], share[wins] = label, filled[wins]
    return _centre(best, size)


def resample(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resize with a triangle filter, as wide as an output voxel when shrinking: linear, without aliasing.

    Args:
        array: ``float64 (*spatial)``.
        shape: Lengths wanted.

    Returns:
        ``float64`` of that shape. In float64 since bytes are rounded from it: the last digits of single-precision
        products depend on the processor, and one flipped byte changes a data set's fingerprint.
    """
    for axis, n in enumerate(shape):
        if n == array.shape[axis]:
            continue
        first = np.moveaxis(array, axis, 0)
        flat = np.ascontiguousarray(first).reshape(len(first), -1)
        result = np.empty((n, flat.shape[1]))
        for to, of, weights in _bands(len(flat), n):  # where others are 0: the same sums to the bit
            np.matmul(weights, flat[of], out=result[to])
        array = np.moveaxis(result.reshape(n, *first.shape[1:]), 0, axis)
    return array


@functools.lru_cache(maxsize=256)
def _bands(n_in: int, n_out: int) -> tuple[tuple[slice, slice, np.ndarray], ...]:
    """Return weights in bands: which outputs, of which inputs alone they are made, and by ``float64`` of both."""
    weights = _triangles(n_in, n_out)
    bands = []
    for start in range(0, n_out, BAND):
        rows = weights[start : start + BAND]
        read = np.flatnonzero(rows.any(0))
        first, last = int(read[0]), int(read[-1]) + 1
        bands.append((slice(start, start + len(rows)), slice(first, last), rows[:, first:last].copy()))
    return tuple(bands)


def _triangles(n_in: int, n_out: int) -> np.ndarray:
    scale = n_in / n_out
    centres = (np.arange(n_out)[:, None] + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(n_in)[None] - centres) / max(1.0, scale))  # (n_out, n_in)
    return weights / weights.sum(axis=1, keepdims=True)


def _shape_within(shape: Sequence[int], spacing_mm: Sequence[float] | np.ndarray, size: int) -> tuple[int, ...]:
    lengths_mm = [n * mm for n, mm in zip(shape, spacing_mm, strict=True)]
    return tuple(min(size, max(1, round(size * mm / max(lengths_mm)))) for mm in lengths_mm)


def _centre(array: np.ndarray, size: int) -> np.ndarray:
    return np.pad(array, [((size - n) // 2, size - n - (size - n) // 2) for n in array.shape])
