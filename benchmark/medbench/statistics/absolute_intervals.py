"""The intervals of what an arm reaches by itself: balanced accuracy, AUROC, the recall of each class."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from medbench.statistics.auroc_interval import auroc_interval
from medbench.statistics.gain_intervals import intervals
from medbench.statistics.patient_scores import ArmScores

Ends = tuple[float, float]
"""Lower and upper end, 0 to 1; NaN where a number is not defined."""
UNKNOWN: Ends = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Ranges:
    """95 % intervals of one arm, each by itself; ends are cut off at 0 and 1.

    Attributes:
        balanced_accuracy: Of balanced accuracy.
        auroc: Of macro AUROC.
        recalls: Of the recall of each class; of two classes these are sensitivity and specificity.
    """

    balanced_accuracy: Ends
    auroc: Ends
    recalls: tuple[Ends, ...]


def ranges_of(scores: ArmScores, *, folds: int, overlap: float = 0.0) -> Ranges:
    """Compute the intervals by the formula of gains, as gains over an arm that is wrong about everybody.

    So they allow for other patients and other trainings alike. AUROC is held against .5, which no patient moves.

    Args:
        scores: Of a complete arm.
        folds: K; 1 for an official cut.
        overlap: Of an official cut: the part of the training patients that two repeats share, 0 to 1.
    """
    nothing = dataclasses.replace(
        scores,
        correct=np.zeros_like(scores.correct),
        auroc=0.5,
        aurocs=np.where(np.isfinite(scores.aurocs), 0.5, np.nan),
        auroc_moves=np.zeros_like(scores.auroc_moves),
    )
    area = auroc_interval(scores, nothing, folds=folds, overlap=overlap)
    return Ranges(
        _ends(scores, nothing, folds, overlap),
        UNKNOWN if area is None else _cut(0.5 + area.low, 0.5 + area.high),
        tuple(
            _ends(_of_class(scores, k), _of_class(nothing, k), folds, overlap)
            if (scores.labels == k).any()
            else UNKNOWN
            for k in range(len(scores.recalls))
        ),
    )


def _ends(scores: ArmScores, nothing: ArmScores, folds: int, overlap: float) -> Ends:
    found = intervals({"": (scores, nothing)}, folds=folds, overlap=overlap)[""]
    return _cut(found.low_single, found.high_single) if np.isfinite(found.low_single) else UNKNOWN


def _of_class(scores: ArmScores, k: int) -> ArmScores:
    rows = scores.labels == k
    return dataclasses.replace(
        scores,
        names=scores.names[rows],
        clusters=scores.clusters[rows],
        labels=scores.labels[rows],
        correct=scores.correct[:, rows],
    )


def _cut(low: float, high: float) -> Ends:
    return max(0.0, low), min(1.0, high)
