"""The intervals of gains in macro AUROC, by the formula of balanced accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medbench.statistics.gain_intervals import MOST_SHARED, Interval, rarest
from medbench.statistics.patient_scores import ArmScores
from medbench.statistics.student_t import two_sided
from medbench.statistics.variances import between_patients, between_trainings, degrees, of_one_draw, part_taken_off


def auroc_interval(arm: ArmScores, control: ArmScores, *, folds: int, overlap: float = 0.0) -> Interval | None:
    """Compute the interval of one gain in macro AUROC; see :func:`auroc_intervals`."""
    return auroc_intervals({"": (arm, control)}, folds=folds, overlap=overlap)[""]


def auroc_intervals(
    pairs: Mapping[str, tuple[ArmScores, ArmScores]], *, folds: int, overlap: float = 0.0
) -> dict[str, Interval | None]:
    """Compute the interval of every gain in macro AUROC, each by itself; None where no fold holds every class.

    AUROC is taken inside folds, since scores of two folds come from two models; patients are drawn inside their class
    of each fold. The same formula as for balanced accuracy, with the placements of DeLong et al. (Biometrics 1988).

    Args:
        pairs: Arm and control of each comparison, by a name.
        folds: K; 1 for an official cut.
        overlap: Of an official cut: the part of the training patients that two repeats share, 0 to 1.

    Raises:
        ValueError: If an arm and its control were not tested on the same units with the same repeats.
    """
    for arm, control in pairs.values():
        if arm.auroc_moves.shape != control.auroc_moves.shape or not np.array_equal(arm.names, control.names):
            raise ValueError("an arm and its control were tested on different patients")
    found: dict[str, Interval | None] = dict.fromkeys(pairs)
    known = {name: both for name, both in pairs.items() if np.isfinite(both[0].aurocs).any() and rarest(both[0]) > 1}
    if not known:
        return found
    gains, moved, draws = {}, {}, []
    for name, (arm, control) in known.items():
        there = np.isfinite(arm.aurocs)
        gains[name], moved[name] = (arm.aurocs - control.aurocs)[there], (arm.auroc_moves - control.auroc_moves)[there]
        draws.append(of_one_draw(gains[name], moved[name], part_taken_off(folds, len(known))))
    repeats = len(next(iter(gains.values())))
    of_trainings, of_draws = between_trainings(
        np.array(draws), repeats, folds, overlap if overlap <= MOST_SHARED else 0.0
    )
    for (name, (arm, control)), trainings in zip(known.items(), of_trainings.tolist(), strict=True):
        rare, value = rarest(arm) - 1, arm.auroc - control.auroc
        patients = between_patients(moved[name], folds)
        shown = trainings if trainings == trainings else 0.0
        df = degrees(patients, shown, rare, of_draws, folds)
        error, t = float(np.sqrt(patients + shown)), two_sided(df)
        low, high = max(-1.0, value - t * error), min(1.0, value + t * error)
        found[name] = Interval(value, error, low, high, low, high, df, patients, trainings, 1, t)
    return found
