"""Metrics of classes: confusion matrix, recalls, macro F1, macro AUROC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def confusion_matrix(labels: np.ndarray, decided: np.ndarray, n_classes: int) -> np.ndarray:
    """Return ``int64 (n_classes, n_classes)``: rows are true classes, columns decisions."""
    return np.bincount(labels * n_classes + decided, minlength=n_classes**2).reshape(n_classes, n_classes)


def confusion_of_shares(labels: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """Return ``float64 (n_classes, n_classes)`` of decisions that may be shared by tied classes.

    Args:
        labels: ``int64 (n,)``.
        decided: ``float64 (n, n_classes)``, rows that sum to 1.
    """
    n_classes = decided.shape[1]
    if len(labels) == 0:
        return np.zeros((n_classes, n_classes))
    places = (labels[:, None] * n_classes + np.arange(n_classes)).ravel()
    return np.bincount(places, decided.ravel(), n_classes**2).reshape(n_classes, n_classes)


def recalls_of(confusion: np.ndarray) -> np.ndarray:
    """Return ``float64 (n_classes,)``: the share of each class that was decided rightly; NaN for a class not tested."""
    tested = confusion.sum(1)
    return np.where(tested > 0, np.diag(confusion) / np.maximum(tested, 1), np.nan)


def macro_f1(confusion: np.ndarray) -> float:
    """Return the mean of F1 over the classes that were tested; 0 for a class never decided."""
    tested = confusion.sum(1)
    f1 = 2 * np.diag(confusion) / np.maximum(confusion.sum(0) + tested, 1)
    return float(f1[tested > 0].mean())


def macro_auroc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean over classes of the one-against-rest AUROC; NaN where a class is absent.

    The Mann-Whitney statistic with ties counted half. Two classes give the ordinary AUROC.
    """
    return float(macro_aurocs([labels], [probabilities])[0])


def macro_aurocs(labels: Sequence[np.ndarray], probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Return :func:`macro_auroc` of many parts, ``float64 (parts,)``, ranked at once; sums of ranks are exact."""
    return macro_aurocs_and_moves(labels, probabilities)[0]


def macro_aurocs_and_moves(
    labels: Sequence[np.ndarray], probabilities: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return :func:`macro_auroc` of many parts, and how much every unit moves its part's.

    Returns:
        ``float64 (parts,)``, and ``float64 (units,)``, part after part, with mean 0 in every class of a part; 0 where a
        class is absent.

    Source:
        DeLong et al., Biometrics 44 (1988): a unit's share of the other class that it is ordered rightly with. The sum
        of squares is the variance of an AUROC, or of the difference of two, that is theirs.
    """
    sizes = np.array([len(of_part) for of_part in labels])
    part, truth, p = np.repeat(np.arange(len(sizes)), sizes), np.concatenate(labels), np.concatenate(probabilities)
    begins = np.cumsum(sizes) - sizes
    values, moves = np.empty((len(sizes), p.shape[1])), np.zeros(len(p))
    for k in range(p.shape[1]):
        order = np.lexsort((p[:, k], part))
        scores, of_part = p[order, k], part[order]
        starts = np.flatnonzero(np.r_[True, (scores[1:] != scores[:-1]) | (of_part[1:] != of_part[:-1])])
        counts = np.diff(np.r_[starts, len(scores)])
        ranks = np.repeat(starts + counts - (counts - 1) / 2, counts) - begins[of_part]
        positive = truth[order] == k
        n_positive = np.bincount(of_part[positive], minlength=len(sizes))
        n_negative = sizes - n_positive
        sums = np.bincount(of_part[positive], ranks[positive], len(sizes))
        pairs = n_positive * n_negative
        above = sums - n_positive * (n_positive + 1) / 2
        values[:, k] = np.divide(above, pairs, out=np.full(len(sizes), np.nan), where=pairs > 0)
        # Of each unit: positives below it in its part, ties half; the rest of those below it are negatives.
        tied = np.add.reduceat(positive.astype(np.float64), starts)
        below = np.repeat(np.cumsum(tied) - tied / 2, counts) - (np.cumsum(n_positive) - n_positive)[of_part]
        right = np.where(positive, ranks - 0.5 - below, n_positive[of_part] - below)
        own, other = (np.where(positive, a[of_part], b[of_part]) for a, b in
                      ((n_positive, n_negative), (n_negative, n_positive)))  # fmt: skip
        whole = pairs[of_part] > 0
        share = np.divide(right, other, out=np.zeros(len(right)), where=whole)
        # A test fold holds few of a rare class, so that n - 1 in place of n tells.
        spread = np.sqrt(np.maximum(own * (own - 1), 1))
        moves[order] += np.where(whole, (share - values[of_part, k]) / spread, 0.0) / p.shape[1]
    found = values.mean(1)
    moves[np.isnan(found)[part]] = 0.0
    return found, moves
