"""Kernel inception distance, over all classes at once and class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class KID:
    """Squared maximum mean discrepancy of synthetic and held-out features under a cubic kernel; lower is better.

    It is unbiased at any number of rows, so it may be a little below 0. All pairs of rows are used. That is what the
    usual mean over random subsets estimates, whatever the size of the subsets, without their noise: here is no subset
    size to choose, where the usual 1000 refuses fewer rows.

    Source:
        Binkowski et al., ICLR 2018, arXiv 1801.01401, section 3 and equation 4 of Gretton et al., JMLR 13 (2012) 723.
    """

    name: ClassVar[str] = "kid"
    summary: ClassVar[str] = "kernel inception distance, unbiased; lower is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where either has fewer than two."""
        return kernel_distance(held_out, synthetic)


@dataclass(frozen=True)
class KIDByClass:
    """:class:`KID` within each class, then the mean over classes; lower is better.

    A generator that mixes up its classes is found here and not by a score over all classes at once.

    Source:
        As for :class:`KID`.
    """

    name: ClassVar[str] = "kid-by-class"
    each_class: ClassVar[bool] = True
    spread: ClassVar[bool] = True
    summary: ClassVar[str] = "kernel inception distance within each class, then their mean; lower is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows of one class; NaN where either has fewer than two."""
        return kernel_distance(held_out, synthetic)


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the unbiased squared MMD of ``float64 (n, d)`` and ``(m, d)`` under ``(x . y / d + 1) ** 3``.

    NaN where n or m is below 2.
    """
    n, m, d = len(a), len(b), a.shape[1]
    if n < 2 or m < 2:
        return float("nan")

    def within(x: np.ndarray) -> float:  # the mean over pairs of two different rows
        kernel = (x @ x.T / d + 1) ** 3
        return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))

    return within(a) + within(b) - 2 * float(((a @ b.T / d + 1) ** 3).mean())
