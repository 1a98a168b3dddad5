"""The interval of a gain: patients and training draws, jointly over the comparisons of a board.

The estimand is the expected gain in balanced accuracy when this classifier, at this budget, is trained on so many
patients drawn like these. One interval answers for it::

    d_i     correct of the arm less correct of its control for unit i, mean over repeats and seeds
    gain    mean over classes of the class means of d
    V_pat   variance of the gain under the bootstrap of patients within their class
    V_train variance of the gain between repeats / repeats
    V_both  variance of what moves a patient from repeat to repeat, patients apart, / repeats: it is in V_pat and in
            V_train alike, and a variance of patients and trainings together counts it once
    a       allowance for training sets that share patients: 1 / (K - 1), or R V_both / V_pat, at most 1, where that is
            more: a learner that changes its mind on many patients when it is trained again
    SE^2    folds: V_pat + a max(0, V_pat - V_both) + max(0, V_train - V_both)
            an official cut: V_pat + T (1/R + o / (1 - o)), T = max(0, R V_train - R V_both), see :mod:`.variances`:
            o is the part of the training patients that two of R draws share

with Student's t. V_pat is never below what one more patient of each class would make it. Over folds its degrees of
freedom are n = patients of the rarest class - 1. An official cut has few training draws and much of its variance from
them, so theirs count too (Satterthwaite). The allowance is taken of what a patient keeps from repeat to repeat; it is
no theorem. ``docs/benchmarks/simulated_null.py`` measures what all this is worth. Jointly over a family: max-t under
the same draws of patients for every comparison (Westfall and Young 1993), brought to the degrees of freedom of each.

Source:
    The decomposition is that of readers and cases: Gallas, Academic Radiology 13 (2006); Hillis, Statistics in Medicine
    26 (2007), for the degrees of freedom. Trainings take the place of readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medbench.statistics.max_t import max_t, same_level
from medbench.statistics.patient_scores import ArmScores
from medbench.statistics.student_t import two_sided
from medbench.statistics.variances import (
    between_patients,
    between_trainings,
    degrees,
    influence_of,
    of_one_draw,
    part_taken_off,
    patients_of_classes,
    smallest_variance,
)

MOST_SHARED = 0.8
"""Of the training patients of two draws of an official cut. Where more are the same, as where all are trained on and
only the watched tenth differs, nothing shows what other patients would have taught: the range is one for these."""


@dataclass(frozen=True)
class Interval:
    """A gain of balanced accuracy, 0 to 1, with its ranges and what they are made of.

    Attributes:
        value: Arm less control.
        standard_error: Square root of `between_patients` + `between_trainings`.
        low: Lower end of the range that holds jointly over the family; what tables print and verdicts are read off.
            No end is beyond -1 or 1, as with a few patients it would be.
        high: Its upper end.
        low_single: Lower end of the range of this comparison by itself.
        high_single: Its upper end.
        df: Degrees of freedom: patients of the rarest class less one; on an official cut fewer, for few training draws.
        between_patients: V_pat with the allowance for shared training sets.
        between_trainings: What repeats show beyond what is in V_pat; on an official cut with what all draws share. NaN
            for one repeat, where it cannot be told and is left out.
        comparisons: Size of the family.
        critical: Standard errors from `value` to `low`.
    """

    value: float
    standard_error: float
    low: float
    high: float
    low_single: float
    high_single: float
    df: int
    between_patients: float
    between_trainings: float
    comparisons: int
    critical: float


def intervals(
    pairs: Mapping[str, tuple[ArmScores, ArmScores]], *, folds: int, overlap: float = 0.0, unseen: int = 0
) -> dict[str, Interval]:
    """Compute the interval of every comparison of a family.

    Args:
        pairs: Arm and control of each comparison, by a name that stays the same: it seeds the draws of V_train.
        folds: K; 1 for an official cut.
        overlap: Of an official cut: the part of the training patients that two repeats share, 0 to 1. Above
            :data:`MOST_SHARED` the ranges are for these training patients.
        unseen: Comparisons once made on these folds whose scores are not at hand. They widen the ranges as
            comparisons that have nothing in common with the others would.

    Raises:
        ValueError: If the comparisons were not all made on the same units with the same repeats.
    """
    if not pairs:
        return {}
    first = next(iter(pairs.values()))[0]
    for name, both in pairs.items():
        for scores in both:
            if not np.array_equal(scores.names, first.names) or scores.correct.shape != first.correct.shape:
                raise ValueError(f"{name}: every arm of a family is tested on the same patients, equally often")
    moved = {name: influence_of(*both) for name, both in pairs.items()}  # (repeats, clusters) each
    influence = np.stack([m.mean(0) for m in moved.values()], axis=1)  # (clusters, comparisons)
    df = rarest(first) - 1
    least = smallest_variance(first.clusters, first.labels)
    patients = np.array([max(least, between_patients(m, folds)) for m in moved.values()])
    of_repeats = {name: _by_repeat(*both) for name, both in pairs.items()}
    part = part_taken_off(folds, len(pairs))
    draws = np.array([of_one_draw(of_repeats[name], moved[name], part) for name in pairs])
    trainings, of_draws = between_trainings(draws, len(first.correct), folds, overlap if overlap <= MOST_SHARED else 0)
    shown = np.nan_to_num(trainings)
    errors = np.sqrt(patients + shown)
    joint = two_sided(df) if df > 0 else float("inf")
    if df > 0 and len(pairs) + unseen > 1:
        joint = max(joint, max_t(influence, patients, shown, list(pairs), unseen, df))
    found = {}
    for j, name in enumerate(pairs):
        value, error = float(of_repeats[name].mean()), float(errors[j])
        own = degrees(patients[j], shown[j], df, of_draws, folds)
        single = two_sided(own) if df > 0 else joint
        critical = max(single, same_level(joint, df, own)) if df > 0 else joint
        half, half_single = (c * error if error else 0.0 for c in (critical, single))
        found[name] = Interval(
            value,
            error,
            max(-1.0, value - half),
            min(1.0, value + half),
            max(-1.0, value - half_single),
            min(1.0, value + half_single),
            own,
            float(patients[j]),
            float(trainings[j]),
            len(pairs) + unseen,
            critical,
        )
    return found


def rarest(scores: ArmScores) -> int:
    """Return the number of patients of the class that fewest patients have, among those tested."""
    return int(patients_of_classes(scores.clusters, scores.labels).min())


def _by_repeat(arm: ArmScores, control: ArmScores) -> np.ndarray:
    """Return ``float64 (repeats,)``: the gain of each repeat."""
    d = arm.correct - control.correct
    return np.mean([d[:, arm.labels == k].mean(1) for k in np.unique(arm.labels)], axis=0)
