"""How alike two pictures are up to what hides a copy: noise, blur, contrast, mirroring, quarter turns, small shifts."""

from __future__ import annotations

import numpy as np

SIDE = 32
SHIFT = 4
"""Pixels at SIDE that a copy may be moved by along each axis."""
FINE, COARSE = 0.7, 4.0
"""Standard deviations in pixels at SIDE of the two Gaussians whose difference is looked at."""
CROP = SIDE - 2 * SHIFT
CANDIDATES = 8
BLOCK = 64


def find_most_alike(made: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how alike each picture is to the training picture most like it, and which one that is.

    Pictures become 32 x 32 and lose what is finer than a pixel there (noise, blur) and what is common to all pictures
    of an organ (coarse light and shade). Two are compared by the correlation of what is left, under the eight ways to
    mirror and turn a square; the CANDIDATES most alike are then compared under shifts too. Volumes are averaged along
    their last axis.

    Args:
        made: ``uint8 (n, channels, *spatial)``.
        train: ``uint8 (m, channels, *spatial)``, m at least 1.

    Returns:
        ``float64 (n,)`` correlations in -1 to 1, 1 for a copy, and ``int64 (n,)`` row numbers in `train`.
    """
    known = views(train)
    flat = _unit(known.reshape(len(known), -1))  # (m, SIDE * SIDE)
    likeness, which = np.empty(len(made)), np.empty(len(made), dtype=np.int64)
    for start in range(0, len(made), BLOCK):
        part = slice(start, min(start + BLOCK, len(made)))
        likeness[part], which[part] = _nearest(views(made[part]), known, flat)
    return likeness, which


def views(x: np.ndarray) -> np.ndarray:
    """Return what is compared of ``uint8 (n, channels, *spatial)``: ``float32 (n, SIDE, SIDE)``."""
    plane = x.mean(1, dtype=np.float32)
    if plane.ndim == 4:
        plane = plane.mean(3)
    small = _shrink_matrix(plane.shape[1]) @ plane @ _shrink_matrix(plane.shape[2]).T  # (n, SIDE, SIDE)
    fine, coarse = _blur_matrix(FINE), _blur_matrix(COARSE)
    return np.asarray(fine @ small @ fine.T - coarse @ small @ coarse.T, dtype=np.float32)


def _nearest(made: np.ndarray, known: np.ndarray, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n, tried = len(made), min(CANDIDATES, len(known))
    turned = np.stack([view for k in range(4) for view in _with_mirror(np.rot90(made, k, axes=(1, 2)))], axis=1)
    alike = _unit(turned.reshape(n * 8, -1)) @ flat.T
    alike = alike.reshape(n, 8, len(known))
    way = alike.argmax(1)  # (n, m)
    order = np.argsort(-np.take_along_axis(alike, way[:, None], axis=1)[:, 0], axis=1, kind="stable")[:, :tried]
    inner = slice(SHIFT, SIDE - SHIFT)
    ways = np.take_along_axis(way, order, axis=1)  # (n, tried)
    crops = _unit(turned[np.arange(n)[:, None], ways][:, :, inner, inner].reshape(n, tried, -1))
    best = np.empty((n, tried))
    for column in range(tried):
        moved = np.lib.stride_tricks.sliding_window_view(known[order[:, column]], (CROP, CROP), axis=(1, 2))
        windows = _unit(moved.reshape(n, (2 * SHIFT + 1) ** 2, -1))
        best[:, column] = np.einsum("nwp,np->nw", windows, crops[:, column]).max(1)
    pick = best.argmax(1)
    rows = np.arange(n)
    return best[rows, pick], order[rows, pick]


def _with_mirror(view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return view, view[:, :, ::-1]


def _unit(rows: np.ndarray) -> np.ndarray:
    """Return rows of mean 0 and length 1; a row without any contrast becomes zeros."""
    rows = rows - rows.mean(-1, keepdims=True)
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.where(length > 1e-3, rows / np.maximum(length, 1e-3), 0).astype(np.float32)


def _shrink_matrix(size: int) -> np.ndarray:
    """Return ``float32 (SIDE, size)``: averages over equal parts of an axis, fractions of pixels counted."""
    edges = np.arange(SIDE + 1) * size / SIDE
    pixels = np.arange(size)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.maximum(shared, 0) * SIDE / size).astype(np.float32)


def _blur_matrix(sigma: float) -> np.ndarray:
    """Return ``float32 (SIDE, SIDE)``: a Gaussian along an axis, its weights summing to 1 at the border too."""
    apart = np.arange(SIDE)[:, None] - np.arange(SIDE)
    weights = np.exp(-(apart**2) / (2 * sigma**2))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
