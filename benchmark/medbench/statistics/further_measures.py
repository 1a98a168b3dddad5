"""Further measures of an arm, for wide tables: by scikit-learn where it has them, from what boards are scored on.

Counts (confusion, precision, Matthews' correlation) are taken over all folds of a repeat at once, whatever needs an
order or a probability inside a fold, since scores of two folds come from two models; then the mean over repeats, seeds
and folds. Probabilities are those that decide: divided by the training frequencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medbench.statistics.class_metrics import confusion_matrix
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units

BINS = 15
STEPS = 50
STEEPEST = 50.0  # a slope beyond it has no finite estimate: the scores part the classes


@dataclass(frozen=True, eq=False)
class Measures:
    """An arm over all its cells.

    Attributes:
        confusion: ``float64 (n_classes, n_classes)``: units by true class and decision, mean over repeats and seeds.
        precisions: ``float64 (n_classes,)``, 0 to 1; NaN for a class that was never decided.
        auprc: Macro average precision, one class against the rest; NaN where no fold holds every class.
        mcc: Matthews' correlation over all classes, -1 to 1 (Gorodkin, Comput. Biol. Chem. 28 (2004) 367).
        brier: Mean squared distance of the probabilities from the truth, 0 to 2 (Brier, Mon. Weather Rev. 78 (1950)).
        calibration_slope: 1 where probabilities are as far from even as they should be, below 1 where too far (Cox,
            Biometrika 45 (1958) 562), mean over classes and folds; NaN where no fold has a finite one.
        calibration_error: Of the class that is decided, 0 to 1: see :func:`calibration_error`; all folds of a repeat at
            once, since a fold has too few units for the bins.
    """

    confusion: np.ndarray
    precisions: np.ndarray
    auprc: float
    mcc: float
    brier: float
    calibration_slope: float
    calibration_error: float = float("nan")


def measures(cells: Mapping[Cell, Units], n_classes: int) -> Measures:
    """Compute the measures of a complete arm.

    Args:
        cells: Units of every cell; a failed cell holds its control's.
        n_classes: Number of classes.
    """
    from sklearn.metrics import matthews_corrcoef, precision_score

    confusions, precisions, correlations, errors = [], [], [], []
    for repeat, seed in sorted({(repeat, seed) for repeat, _, seed in cells}):
        of_seed = [units for (r, _, s), units in sorted(cells.items()) if (r, s) == (repeat, seed)]
        truth = np.concatenate([units.labels for units in of_seed])
        decided = np.concatenate([units.probabilities.argmax(1) for units in of_seed])
        confusions.append(confusion_matrix(truth, decided, n_classes))
        errors.append(calibration_error(truth, np.concatenate([units.probabilities for units in of_seed])))
        precisions.append(
            precision_score(truth, decided, labels=range(n_classes), average=None, zero_division=float("nan"))
        )
        several = len(np.union1d(truth, decided)) > 1
        correlations.append(matthews_corrcoef(truth, decided) if several else 0.0)
    inside = np.array([_inside(units, n_classes) for units in cells.values()])  # (cells, 3)
    auprc, brier, slope = (_mean(column) for column in inside.T)
    by_class = np.array(precisions)
    return Measures(
        np.mean(confusions, axis=0),
        np.array([_mean(column) for column in by_class.T]),
        auprc,
        float(np.mean(correlations)),
        brier,
        slope,
        float(np.mean(errors)),
    )


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return how far the probability of the decided class is from how often it is right, mean over BINS bins.

    Units are put in order of that probability and cut into bins of equal number, as equal as they come; each bin
    counts by its units. Few units give an error even to probabilities that are right: it is compared at equal numbers.

    Args:
        labels: ``int64 (n,)``.
        probabilities: ``float64 (n, n_classes)``.

    Source:
        Nixon et al., "Measuring calibration in deep learning", CVPR workshops 2019, arXiv 1904.01685: adaptive bins.
    """
    if not len(labels):
        return float("nan")
    said, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.array_split(np.argsort(said, kind="stable"), min(BINS, len(labels)))
    return float(sum(abs(said[rows].sum() - right[rows].sum()) for rows in bins) / len(labels))


def calibration_slope(positive: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the slope of a logistic regression of the truth on the log odds; NaN where there is no finite one.

    Args:
        positive: ``bool (n,)``.
        probabilities: ``float64 (n,)`` of being positive.
    """
    p = np.clip(probabilities, 1e-6, 1 - 1e-6)
    odds = np.log(p / (1 - p))
    if positive.all() or not positive.any() or np.ptp(odds) < 1e-9:
        return float("nan")
    x = np.stack([np.ones_like(odds), odds], axis=1)
    weights = np.zeros(2)
    for _ in range(STEPS):  # Newton's method for two numbers; scikit-learn's penalised fit would be drawn towards 0
        fitted = 1 / (1 + np.exp(-np.clip(x @ weights, -500, 500)))
        curvature = (x * (fitted * (1 - fitted))[:, None]).T @ x
        if np.linalg.cond(curvature) > 1e12:
            return float("nan")
        change = np.linalg.solve(curvature, x.T @ (positive - fitted))
        weights = weights + change
        if np.abs(weights[1]) > STEEPEST:
            return float("nan")
        if np.abs(change).max() < 1e-10:
            return float(weights[1])
    return float("nan")


def _inside(units: Units, n_classes: int) -> tuple[float, float, float]:
    """Return macro average precision, the Brier score and the calibration slope of one cell."""
    from sklearn.metrics import average_precision_score

    labels, p = units.labels, units.probabilities
    brier = float(((p - np.eye(n_classes)[labels]) ** 2).sum(1).mean())
    if len(np.unique(labels)) < n_classes:
        return float("nan"), brier, float("nan")
    areas = [average_precision_score(labels == k, p[:, k]) for k in range(n_classes)]
    # Both classes of two have the same slope; of more, the mean of those that have one.
    slopes = [calibration_slope(labels == k, p[:, k]) for k in (range(1, 2) if n_classes == 2 else range(n_classes))]
    return float(np.mean(areas)), brier, _mean(np.array(slopes))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
