"""Rank correlation of scores with gains, within groups, and its interval when patients are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from medbench.statistics.student_t import LEVEL, quantile

DRAWS = 1000
_FARTHEST = 0.9999  # of a correlation whose Fisher z is still a number


@dataclass(frozen=True, eq=False)
class PairedCell:
    """What was tested in one cell of a method and of the one above it.

    Attributes:
        clusters: ``str (n,)`` patients, in any order.
        labels: ``int64 (n,)``.
        difference: ``float64 (n,)``: 1 where only the method is right, -1 where only the other is, else 0.
        data: What was tested; patients of one text are the same people.
    """

    clusters: np.ndarray
    labels: np.ndarray
    difference: np.ndarray
    data: str


def rank_correlation(scores: np.ndarray, gains: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Correlate ranks within groups: Spearman's correlation where there is one group, ties at their mean rank.

    Ranks are taken in each group, centred there and divided by its size, and pooled; so scores of two data sets are
    never compared with each other.

    Args:
        scores: ``float64 (cells,)``.
        gains: ``float64 (cells, draws)``.
        groups: ``int64 (cells,)``.

    Returns:
        ``float64 (draws,)``; NaN where scores or gains are the same everywhere.

    Source:
        Spearman, American Journal of Psychology 15 (1904); ranks in strata as by van Elteren (1960).
    """
    of_scores, of_gains = np.zeros((len(scores), 1)), np.zeros(gains.shape)
    for group in np.unique(groups):
        rows = groups == group
        of_scores[rows] = _centred_ranks(scores[rows][:, None])
        of_gains[rows] = _centred_ranks(gains[rows])
    together = (of_scores * of_gains).sum(0)
    spread = np.sqrt((of_scores**2).sum() * (of_gains**2).sum(0))
    return np.divide(together, spread, out=np.full(gains.shape[1], np.nan), where=spread > 1e-12)


def cell_gains(cells: Sequence[PairedCell], n_classes: Sequence[int], *, draws: int = DRAWS) -> np.ndarray:
    """Return the gain of every cell: as it was, then with patients drawn again, alike for all cells of a data set.

    Patients are drawn within their class, with replacement.

    Args:
        cells: Of one or several data sets.
        n_classes: Of each cell.
        draws: How often patients are drawn.

    Returns:
        ``float64 (cells, 1 + draws)``, gains in balanced accuracy, -1 to 1. A class that a draw leaves without patients
        in a cell does not count there.
    """
    found = np.zeros((len(cells), 1 + draws))
    weights: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for text in dict.fromkeys(cell.data for cell in cells):
        of_data = [cell for cell in cells if cell.data == text]
        names, first = np.unique(np.concatenate([c.clusters for c in of_data]), return_index=True)
        labels = np.concatenate([c.labels for c in of_data])[first]
        weights[text] = names, _draw(labels, draws)
    for row, (cell, n) in enumerate(zip(cells, n_classes, strict=True)):
        names, drawn = weights[cell.data]
        of_units = drawn[np.searchsorted(names, cell.clusters)]
        recalls = np.full((n, 1 + draws), np.nan)
        for k in range(n):
            rows = cell.labels == k
            total = of_units[rows].sum(0)
            moved = cell.difference[rows] @ of_units[rows]
            np.divide(moved, total, out=recalls[k], where=total > 0)
        counted = np.isfinite(recalls).sum(0)
        found[row] = np.where(counted, np.nansum(recalls, 0) / np.maximum(counted, 1), 0.0)
    return np.round(found, 12)  # equal gains are ties, whatever the order in which they were summed


def noise_of_draws(gains: np.ndarray, groups: np.ndarray) -> float:
    """Return how much wider gains spread when patients are drawn again: the root of the ratio of variances in groups.

    A gain drawn again carries the luck of its patients twice, and ranks divide by the larger spread; so correlations of
    draws vary too little by this factor, 1.4 where gains are luck alone.

    Args:
        gains: ``float64 (cells, 1 + draws)``, as they were in the first column.
        groups: ``int64 (cells,)``.
    """
    squares = np.zeros(gains.shape[1])
    for group in np.unique(groups):
        of_group = gains[groups == group]
        squares += ((of_group - of_group.mean(0)) ** 2).sum(0)
    return float(np.sqrt(max(1.0, squares[1:].mean() / squares[0]))) if squares[0] > 0 else 1.0


def widened(drawn: np.ndarray, gains: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the correlations of draws with their spread widened by :func:`noise_of_draws`: ``float64 (draws,)``."""
    again = np.nan_to_num(drawn)
    return again.mean() + (again - again.mean()) * noise_of_draws(gains, groups)


def joint_ranges(observed: np.ndarray, drawn: np.ndarray, *, df: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % ranges of several correlations that hold together.

    Around what was observed on Fisher's scale, with the standard deviation of the draws and the quantile of their
    largest deviation (max-t), as that of a t distribution. Not the quantiles of the draws, whose correlations lie
    nearer to 0, since gains drawn again are noisier.

    Args:
        observed: ``float64 (scores,)``.
        drawn: ``float64 (scores, draws)``.
        df: Patients of the rarest class less one, at least 1.

    Source:
        Fisher, Metron 1 (1921); Westfall and Young, Resampling-Based Multiple Testing (1993), for the maximum.
    """
    centre, moved = (np.arctanh(np.clip(x, -_FARTHEST, _FARTHEST)) for x in (observed, drawn))
    error = moved.std(1, ddof=1)
    largest = np.abs((moved - moved.mean(1, keepdims=True)) / np.maximum(error, 1e-12)[:, None]).max(0)
    critical = float(np.quantile(largest, LEVEL))
    reach = quantile(min(NormalDist().cdf(critical), 1 - 1e-6), df) * error
    return np.tanh(centre - reach), np.tanh(centre + reach)


def _draw(labels: np.ndarray, draws: int) -> np.ndarray:
    """Return how often each patient counts: ``float64 (patients, 1 + draws)``, once each in the first column."""
    generator = np.random.default_rng(len(labels))
    counts = np.ones((len(labels), 1 + draws))
    for k in np.unique(labels):
        rows = np.flatnonzero(labels == k)
        counts[rows, 1:] = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=draws).T
    return counts


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    """Return mean ranks of each column, centred, divided by their number."""
    n = len(values)
    ranks = np.empty(values.shape)
    for column, of_column in enumerate(values.T):
        ordered = np.sort(of_column)
        below = np.searchsorted(ordered, of_column, "left") + np.searchsorted(ordered, of_column, "right")
        ranks[:, column] = below / 2
    return (ranks - ranks.mean(0)) / n
