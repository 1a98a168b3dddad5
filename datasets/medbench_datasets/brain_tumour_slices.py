"""Which axial slices of a volume to show, and how."""

from __future__ import annotations

import numpy as np


def slice_positions(inside: np.ndarray, n: int) -> list[int]:
    """Choose `n` axial positions evenly over the extent of what is inside.

    An extent of fewer than `n` slices is widened to both sides first, so that no slice comes twice where the volume has
    as many.

    Args:
        inside: ``bool (X, Y, Z)``; where nothing is, the whole volume counts.
        n: Positions wanted.

    Returns:
        Positions along Z, from low to high.
    """
    filled = np.flatnonzero(inside.any(axis=(0, 1)))
    depth = inside.shape[2]
    start, stop = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, depth)
    if stop - start < n:
        start = max(0, min(start - (n - stop + start) // 2, depth - n))
        stop = min(depth, start + n)
    return [int(start + (k + 0.5) * (stop - start) / n) for k in range(n)]


def as_picture(plane: np.ndarray) -> np.ndarray:
    """Turn ``(X, Y)`` in RAS order into ``(H, W)`` as radiologists look: front up, the patient's right on the left."""
    return plane[::-1, ::-1].T
