"""Metrics of classes: confusion matrix, recalls, macro F1, macro AUROC."""

from __future__ import annotations

import numpy as np


def confusion_matrix(labels: np.ndarray, decided: np.ndarray, n_classes: int) -> np.ndarray:
    """Return ``int64 (n_classes, n_classes)``: rows are true classes, columns decisions."""
    return np.bincount(labels * n_classes + decided, minlength=n_classes**2).reshape(n_classes, n_classes)


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
    values = []
    for k in range(probabilities.shape[1]):
        positive = labels == k
        n_positive, n_negative = int(positive.sum()), int((~positive).sum())
        if not n_positive or not n_negative:
            return float("nan")
        _, inverse, counts = np.unique(probabilities[:, k], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
        values.append((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
    return float(np.mean(values))
