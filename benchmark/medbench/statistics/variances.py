"""The variance of a gain: between patients, between trainings, the part in both, and degrees of freedom."""

from __future__ import annotations

import numpy as np

from medbench.statistics.patient_scores import ArmScores

PRIOR = 4.0
"""Degrees of freedom for which the mean of a family counts in the variance between the draws of each comparison."""


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


def allowance(folds: int, unstable: float) -> float:
    """Return the allowance for training sets that share patients, as a share of what patients keep; 0 without folds.

    All repeats learn from the same patients, and no number of them shows what others would have taught. How much that
    is shows in how unstable the learner is: one that decides many patients otherwise when it is trained on other four
    fifths of these would do so after other patients too. 1 / (K - 1), or `unstable` where that is more, 1 at most.

    In simulated tables least squares needed .2 to .4 of what patients keep and small networks .9 to 1, with `unstable`
    .3 to .4 and 1.2; one learner retrained by chance keeps nothing, and needs none.

    Args:
        folds: K; 1 for an official cut.
        unstable: What one training moves patients by, one by one, over V_pat: R V_both / V_pat; 0 where nobody knows.
    """
    return 0.0 if folds == 1 else max(1 / (folds - 1), min(1.0, unstable))


def between_patients(moved: np.ndarray, folds: int) -> float:
    """Return V_pat and its allowance.

    One repeat does not show what patients keep, so all they vary by is taken for it.

    Args:
        moved: ``float64 (repeats, clusters)`` as :func:`influence_of` gives it.
        folds: K; 1 for an official cut, which has no allowance.
    """
    patients, both = float((moved.mean(0) ** 2).sum()), _both(moved)
    unstable = len(moved) * both / patients if patients else 0.0
    return patients + allowance(folds, unstable) * max(0.0, patients - both)


def of_one_draw(of_repeats: np.ndarray, moved: np.ndarray, part: float) -> float:
    """Return T, by how much one training draw varies beyond what patients move apart; NaN for one repeat.

    Args:
        of_repeats: ``float64 (repeats,)`` gains.
        moved: ``float64 (repeats, clusters)`` as :func:`influence_of` gives it.
        part: Of V_both that is taken off, see :func:`part_taken_off`.
    """
    n = len(of_repeats)
    return max(0.0, float(of_repeats.var(ddof=1)) - part * n * _both(moved)) if n > 1 else float("nan")


def part_taken_off(folds: int, comparisons: int) -> float:
    """Return how much of V_both, which is in V_pat already, is taken off what repeats vary by.

    All over folds. On an official cut nothing of one comparison by itself: so few draws often vary less than V_both by
    chance, and no family is there to say so.
    """
    return 1.0 if folds > 1 else 1 - 1 / comparisons


def between_trainings(draws: np.ndarray, repeats: int, folds: int, overlap: float) -> tuple[np.ndarray, float]:
    """Return the variance that trainings add to that of patients, of every comparison of a family.

    Over folds, T / R. On an official cut two of R draws share the part `o` of their patients. To first order a gain is
    a sum over those who were trained on, so two draws correlate by `o`, T shows 1 - `o` of what one draw varies by, and
    the mean of R varies by T (1/R + o / (1 - o)): what all draws share no further draw takes away. Few draws show T
    badly, so it is drawn towards the family's mean, which counts as :data:`PRIOR` degrees of freedom, less where the
    family is small.

    Args:
        draws: ``float64 (comparisons,)``: T of each as :func:`of_one_draw` gives it.
        repeats: R.
        folds: K; 1 for an official cut.
        overlap: o, 0 to below 1.

    Returns:
        ``float64 (comparisons,)``, NaN for one repeat; and the degrees of freedom of each on an official cut.

    Source:
        Nadeau and Bengio, Machine Learning 52 (2003), whose correlation of two draws is here the overlap of their
        training patients. Moderation: Smyth, Statistical Applications in Genetics and Molecular Biology 3 (2004).
    """
    if folds > 1:
        return draws / repeats, float(repeats - 1)
    prior = PRIOR * (1 - 1 / len(draws))
    moderated = (prior * draws.mean() + (repeats - 1) * draws) / (prior + repeats - 1) if repeats > 1 else draws
    return moderated * (1 / repeats + overlap / (1 - overlap)), prior + repeats - 1


def smallest_variance(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Return what V_pat is at least: one patient of each class counts as decided otherwise, where none was.

    Two arms that decide alike have a variance of 0 between these patients, not between those to come.

    Args:
        clusters: ``str (n,)`` patient of each unit.
        labels: ``int64 (n,)`` class of each unit.
    """
    counts = patients_of_classes(clusters, labels)
    return float((1 / (counts + 2.0) ** 2).sum()) / len(counts) ** 2


def patients_of_classes(clusters: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``int64 (classes,)``: patients of every class that is there."""
    pairs = np.unique(np.stack([np.unique(clusters, return_inverse=True)[1], labels]), axis=1)
    return np.unique(pairs[1], return_counts=True)[1]


def _both(moved: np.ndarray) -> float:
    """Return V_both, what moves patients from repeat to repeat one by one; 0 for one repeat, where nobody can tell."""
    n = len(moved)
    return float(((moved - moved.mean(0)) ** 2).sum()) / (n * (n - 1)) if n > 1 else 0.0


def degrees(patients: float, trainings: float, rare: int, of_draws: float, folds: int) -> int:
    """Return the degrees of freedom; those of few training draws count on an official cut (Satterthwaite).

    Args:
        patients: Variance between patients.
        trainings: Variance between trainings.
        rare: Degrees of freedom of the former.
        of_draws: Degrees of freedom of the latter.
        folds: K; 1 for an official cut.
    """
    if folds > 1 or not trainings or rare < 1:
        return rare
    total = patients + trainings
    # Shares, since squares of variances of identical arms would vanish.
    own = 1 / ((patients / total) ** 2 / rare + (trainings / total) ** 2 / of_draws)
    return max(1, min(rare, int(own + 1e-9)))
