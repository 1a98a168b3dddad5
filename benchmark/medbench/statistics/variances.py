"""The variance of a gain: between patients, between trainings, the part in both, and degrees of freedom."""

from __future__ import annotations

import numpy as np

from medbench.statistics.patient_scores import ArmScores

SCARCE, MOST = 12.0, 0.6
"""Of the allowance: what is learnt from few patients depends more on who they are, and all repeats learn from the same.

Read off simulated tables with 20 and 51 patients of the rarest class: least squares took 7 and 8, small networks 13.
"""


def influence_of(arm: ArmScores, control: ArmScores) -> np.ndarray:
    """Return ``float64 (repeats, clusters)``: how much each patient moves a repeat's gain, with mean 0 in its stratum.

    The sum of squares of the mean over repeats is the variance of the bootstrap within strata with infinitely many
    draws: exactly where a patient has one label, to first order where a cluster holds several. Patients are in the
    order of their names.
    """
    _, cluster = np.unique(arm.clusters, return_inverse=True)
    classes, label = np.unique(arm.labels, return_inverse=True)
    stratum = np.zeros(cluster.max() + 1, dtype=np.int64)
    np.maximum.at(stratum, cluster, label)
    sizes, of_stratum = np.bincount(label), np.maximum(np.bincount(stratum), 1)
    found = []
    for d in arm.correct - control.correct:
        centred = d - (np.bincount(label, d) / sizes)[label]
        moved = np.bincount(cluster, centred / sizes[label]) / len(classes)
        found.append(moved - (np.bincount(stratum, moved) / of_stratum)[stratum])
    return np.stack(found)


def allowance(folds: int, repeats: int, rare: int) -> float:
    """Return the allowance for training sets that share patients, as a share of what patients keep; 0 without folds.

    1 / (K - 1), or more where few patients of the rarest class are learnt from, see :data:`SCARCE`. One repeat does not
    show what patients keep, so all they vary by is taken for it, and that is enough.
    """
    if folds == 1:
        return 0.0
    return 1 / (folds - 1) if repeats == 1 else max(1 / (folds - 1), min(MOST, SCARCE / rare))


def between_patients(moved: np.ndarray, folds: int, rare: int) -> float:
    """Return V_pat and its allowance.

    Args:
        moved: ``float64 (repeats, clusters)`` as :func:`influence_of` gives it.
        folds: K; 1 for an official cut, which has no allowance.
        rare: Patients of the rarest class.
    """
    patients = float((moved.mean(0) ** 2).sum())
    return patients + allowance(folds, len(moved), rare) * max(0.0, patients - _both(moved))


def between_trainings(of_repeats: np.ndarray, moved: np.ndarray, folds: int) -> float:
    """Return the variance that trainings add to that of patients; NaN for one repeat.

    Args:
        of_repeats: ``float64 (repeats,)`` gains.
        moved: ``float64 (repeats, clusters)`` as :func:`influence_of` gives it.
        folds: K; 1 for an official cut, where nothing is taken off.
    """
    if len(of_repeats) < 2:
        return float("nan")
    trainings = float(of_repeats.var(ddof=1)) / len(of_repeats)
    return trainings if folds == 1 else max(0.0, trainings - _both(moved))


def _both(moved: np.ndarray) -> float:
    """Return V_both, what moves patients from repeat to repeat one by one; 0 for one repeat, where nobody can tell."""
    n = len(moved)
    return float(((moved - moved.mean(0)) ** 2).sum()) / (n * (n - 1)) if n > 1 else 0.0


def degrees(patients: float, trainings: float, rare: int, n_repeats: int, folds: int) -> int:
    """Return the degrees of freedom; those of few training draws count on an official cut (Satterthwaite)."""
    if folds > 1 or not trainings or rare < 1:
        return rare
    total = patients + trainings
    # Shares, since squares of variances of identical arms would vanish.
    own = 1 / ((patients / total) ** 2 / rare + (trainings / total) ** 2 / (n_repeats - 1))
    return max(1, min(rare, int(own + 1e-9)))
