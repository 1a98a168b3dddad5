"""Rows of any shape as plain vectors, and back: what methods of feature space work on."""

from __future__ import annotations

import math

import numpy as np

import medbench


def as_vectors(x: np.ndarray) -> np.ndarray:
    """Return ``x (n, ...)`` of any dtype as ``float64 (n, d)``."""
    return x.reshape(len(x), math.prod(x.shape[1:])).astype(np.float64)


def as_rows_like(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return ``values (m, d)`` in the dtype and row shape of `like`; pixels are rounded and clipped to 0..255."""
    if like.dtype == np.uint8:
        values = np.rint(values).clip(0, 255)
    return values.reshape(len(values), *like.shape[1:]).astype(like.dtype)


def position_means(x: np.ndarray) -> np.ndarray:
    """Return features ``(n, d)`` or maps ``(n, d, *spatial)``, averaged over their positions, as ``float64 (n, d)``."""
    return x.reshape(*x.shape[:2], -1).mean(2, dtype=np.float64)


def feature_units(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column of ``float64 (n, d)``; 1 for a column that is constant.

    Constant but for rounding, that is: dividing by a rounding error would blow up whatever differs in a test row.
    """
    return _units(values.mean(0), values.std(0))


def rows_to_scale_by(samples: medbench.Samples) -> np.ndarray:
    """Return the rows by whose mean and deviation a classifier standardises features ``(m, d, ...)``.

    The real training rows, or all where none is real; a protocol may name others by ``samples.scaled_by``.
    """
    if samples.scaled_by is not None:
        return samples.scaled_by
    return samples.x[samples.is_real] if samples.is_real.any() else samples.x


def channel_units(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation ``float64 (d,)`` of each channel of ``x (n, d, ...)`` over rows and positions."""
    values = x.reshape(*x.shape[:2], -1)
    return _units(values.mean((0, 2), dtype=np.float64), values.std((0, 2), dtype=np.float64))


def _units(mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return mean, np.where(deviation > 1e-6 * np.abs(mean) + 1e-12, deviation, 1.0)
