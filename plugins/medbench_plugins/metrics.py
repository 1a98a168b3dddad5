"""Metrics of predictions, by scikit-learn; each is named by its function, and higher is better for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

import medbench


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean recall over the classes that occur in `labels`; the class with the highest probability is predicted."""
    from sklearn.metrics import recall_score

    present = np.unique(labels)
    predicted = probabilities.argmax(1)
    return float(recall_score(labels, predicted, labels=present, average="macro", zero_division=0))


def macro_auroc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over classes of the area under the ROC curve of that class against the rest.

    Classes without a positive or without a negative are left out; NaN where none is left.
    """
    from sklearn.metrics import roc_auc_score

    return _over_classes(roc_auc_score, labels, probabilities)


def auprc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over classes of the average precision of that class against the rest.

    With two classes the first counts as much as the second. Classes as in :func:`macro_auroc`.
    """
    from sklearn.metrics import average_precision_score

    return _over_classes(average_precision_score, labels, probabilities)


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean F1 over the classes that occur in `labels`; 0 for a class that is never predicted."""
    from sklearn.metrics import f1_score

    present = np.unique(labels)
    return float(f1_score(labels, probabilities.argmax(1), labels=present, average="macro", zero_division=0))


def mcc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Matthews' correlation of labels and predictions over all classes, -1 to 1; 0 where either is constant.

    Source:
        Gorodkin, Comput. Biol. Chem. 28 (2004) 367, for more than two classes.
    """
    from sklearn.metrics import matthews_corrcoef

    predicted = probabilities.argmax(1)
    return float(matthews_corrcoef(labels, predicted)) if len(np.union1d(labels, predicted)) > 1 else 0.0


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Minus the mean squared distance of the probabilities from the truth, -2 to 0, so that higher is better.

    Source:
        Brier, Monthly Weather Review 78 (1950) 1, in its original form: summed over all classes.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return -float(((probabilities - truth) ** 2).sum(1).mean())


@medbench.hookimpl
def register_metrics() -> Iterable[medbench.Metric]:
    """Return the built-in metrics, the primary one first."""
    return (balanced_accuracy, macro_auroc, macro_f1, auprc, mcc, brier)


def _over_classes(
    area: Callable[[np.ndarray, np.ndarray], float], labels: np.ndarray, probabilities: np.ndarray
) -> float:
    rests = [(labels == k, probabilities[:, k]) for k in range(probabilities.shape[1])]
    areas = [area(positive, scores) for positive, scores in rests if positive.any() and not positive.all()]
    return float(np.mean(areas)) if areas else float("nan")
