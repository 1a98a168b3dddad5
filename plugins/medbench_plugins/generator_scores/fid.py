"""Frechet distance of synthetic and held-out features; to be read beside its floor only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class FID:
    """Frechet distance between Gaussians fitted to synthetic and to held-out features; lower is better.

    It is biased upwards, by an amount that depends on the number of rows and on the generator: with fewer rows than
    features it is mostly bias. The floor, real training rows at the same number, is what it can be compared with;
    figures of other papers are not. It is a Frechet *inception* distance where the extractor is `inception`.

    Source:
        Heusel et al., NeurIPS 2017, arXiv 1706.08500, equation 6; its bias: Chong and Forsyth, CVPR 2020,
        arXiv 1911.07023.
    """

    name: ClassVar[str] = "fid"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "Frechet distance of features; lower is better, and only beside its floor"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where either has fewer than two."""
        return frechet_distance(held_out, synthetic)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return ``|mean a - mean b|**2 + tr(A + B - 2 (A B)**0.5)`` of ``float64 (n, d)`` and ``(m, d)``.

    A and B are covariances with divisors n - 1 and m - 1. NaN below two rows of either.
    """
    if len(a) < 2 or len(b) < 2:
        return float("nan")
    root_a, root_b = _root(a), _root(b)
    # tr((A B)**0.5) for A = P'P and B = Q'Q is the sum of the singular values of P Q': no complex numbers, and a
    # matrix of at most (rows, rows) where there are fewer rows than features.
    shared = float(np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum())
    apart = float(((a.mean(0) - b.mean(0)) ** 2).sum())
    return max(0.0, apart + float((root_a**2).sum()) + float((root_b**2).sum()) - 2 * shared)


def _root(rows: np.ndarray) -> np.ndarray:
    """Return R ``(min(n, d), d)`` with R'R the covariance of the rows."""
    return np.asarray(np.linalg.qr((rows - rows.mean(0)) / np.sqrt(len(rows) - 1), mode="r"))
