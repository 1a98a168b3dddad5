"""Precision, recall, density and coverage of synthetic rows against held-out ones, by nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

BLOCK = 2**22
"""Distances held in memory at once: 32 MiB of them."""


@dataclass(frozen=True)
class Precision:
    """Share of synthetic rows within the reach of held-out ones; higher is better, and below 1 for perfect ones.

    Attributes:
        k: Neighbours a ball holds.

    Source:
        Kynkaanniemi et al., NeurIPS 2019, arXiv 1904.06991.
    """

    k: int = 3
    name: ClassVar[str] = "precision"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "share of made rows that look real (k nearest neighbours); higher is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where there are no more than k held-out ones."""
        return precision(held_out, synthetic, self.k)


@dataclass(frozen=True)
class Recall:
    """Share of held-out rows within the reach of synthetic ones; higher is better, and below 1 for perfect ones.

    Attributes:
        k: Neighbours a ball holds.

    Source:
        Kynkaanniemi et al., NeurIPS 2019, arXiv 1904.06991.
    """

    k: int = 3
    name: ClassVar[str] = "recall"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "share of real rows that made ones reach (k nearest neighbours); higher is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where there are no more than k synthetic ones."""
        return recall(held_out, synthetic, self.k)


@dataclass(frozen=True)
class Density:
    """How many balls of held-out rows a synthetic row lies in, over k; about 1 for perfect ones, and may be above.

    Attributes:
        k: Neighbours a ball holds.

    Source:
        Naeem et al., ICML 2020, arXiv 2002.09797.
    """

    k: int = 5
    name: ClassVar[str] = "density"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "how densely made rows lie where real ones do; about 1 is best, rare rows lower it"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where there are no more than k held-out ones."""
        return density(held_out, synthetic, self.k)


@dataclass(frozen=True)
class Coverage:
    """Share of held-out rows with a made one in their ball; higher is better. Copies of training rows score well.

    Attributes:
        k: Neighbours a ball holds.

    Source:
        Naeem et al., ICML 2020, arXiv 2002.09797.
    """

    k: int = 5
    name: ClassVar[str] = "coverage"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "share of real rows with a made one near; higher is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where there are no more than k held-out ones."""
        return coverage(held_out, synthetic, self.k)


def precision(real: np.ndarray, made: np.ndarray, k: int = 3) -> float:
    """Share of synthetic rows that lie in a ball around a real row; below 1 even for two draws of one distribution.

    A ball reaches from a row to its `k`-th nearest neighbour of the same kind, that distance included.

    Args:
        real: ``float64 (n, d)``.
        made: ``float64 (m, d)``.
        k: Neighbours a ball holds, at least 1.

    Returns:
        0 to 1. NaN where `made` is empty or n <= k, since a ball needs k other rows.

    Raises:
        ValueError: If the two have other widths, hold values that are not finite, or k is below 1.

    Source:
        Kynkaanniemi et al., NeurIPS 2019, arXiv 1904.06991, equations 1 and 2.
    """
    real, made = _check_rows(real, made, k)
    if len(real) <= k or not len(made):
        return float("nan")
    reach = radii(real, k)
    inside = [(distances <= reach).any(1).sum() for _, distances in _blocks(made, real)]
    return float(sum(inside) / len(made))


def recall(real: np.ndarray, made: np.ndarray, k: int = 3) -> float:
    """Share of real rows that lie in a ball around a synthetic row: :func:`precision` with the two exchanged.

    Returns:
        0 to 1. NaN where `real` is empty or m <= k.
    """
    return precision(made, real, k)


def density(real: np.ndarray, made: np.ndarray, k: int = 5) -> float:
    """Mean over synthetic rows of the number of balls of real rows they lie in, divided by `k`; may be above 1.

    Arguments and errors are those of :func:`precision`.

    Returns:
        0 to n / k, about 1 for two draws of one distribution. NaN where `made` is empty or n <= k.

    Source:
        Naeem et al., ICML 2020, arXiv 2002.09797, equation 4.
    """
    real, made = _check_rows(real, made, k)
    if len(real) <= k or not len(made):
        return float("nan")
    reach = radii(real, k)
    inside = [(distances <= reach).sum() for _, distances in _blocks(made, real)]
    return float(sum(inside) / (k * len(made)))


def coverage(real: np.ndarray, made: np.ndarray, k: int = 5) -> float:
    """Share of real rows whose ball holds a synthetic row.

    A generator that copies its training rows scores 1: read it beside a copy test.

    Arguments and errors are those of :func:`precision`.

    Returns:
        0 to 1. NaN where `made` is empty or n <= k.

    Source:
        Naeem et al., ICML 2020, arXiv 2002.09797, equation 5.
    """
    real, made = _check_rows(real, made, k)
    if len(real) <= k or not len(made):
        return float("nan")
    return float((nearest(real, made) <= radii(real, k)).mean())


def radii(rows: np.ndarray, k: int) -> np.ndarray:
    """Return the squared distance of each of ``float64 (n, d)`` to its `k`-th nearest other row, ``float64 (n,)``."""
    reach = np.empty(len(rows))
    for part, distances in _blocks(rows, rows):
        distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf  # no row is its own neighbour
        reach[part] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return reach


def nearest(rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the squared distance of each row ``(n, d)`` to the nearest of `among` ``(m, d)``, ``float64 (n,)``."""
    closest = np.empty(len(rows))
    for part, distances in _blocks(rows, among):
        closest[part] = distances.min(1)
    return closest


def _blocks(rows: np.ndarray, others: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield which rows, and their squared distances to all others."""
    from scipy.spatial.distance import cdist

    step = max(1, BLOCK // max(1, len(others)))
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        # Sums of squared differences, pair by pair: the same bits in any block, and exactly 0 for a copy, which
        # the quicker a.a + b.b - 2 a.b does not give.
        yield part, cdist(rows[part], others, "sqeuclidean")


def _check_rows(real: np.ndarray, made: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    real, made = np.asarray(real, dtype=np.float64), np.asarray(made, dtype=np.float64)
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1]:
        raise ValueError(f"rows must be (n, d) and (m, d) of one width, got {real.shape} and {made.shape}")
    if not (np.isfinite(real).all() and np.isfinite(made).all()):
        raise ValueError("features hold values that are not finite")
    return real, made
