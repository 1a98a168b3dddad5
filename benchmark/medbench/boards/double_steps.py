"""A gain at twice the steps: what came out of the further trainings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medbench.boards.cells import find, score_all
from medbench.boards.gains import Key
from medbench.planning.arms import Arm, Checked
from medbench.planning.double_steps import doubled
from medbench.planning.study import Study
from medbench.statistics.intervals import Interval, intervals
from medbench.statistics.patient_scores import Cell
from medbench.store.trial_files import Stored


@dataclass(frozen=True, eq=False)
class Check:
    """A gain at twice the steps.

    Attributes:
        arm: The arm that was best.
        steps: Twice the study's.
        planned: Trainings of the arm and of its control.
        done: Those with a result.
        settled: Those that are done, failed for good, or make no sense.
        failed: Trainings of the arm that failed; each counts with its control's predictions.
        before: The gain at the study's steps.
        gain: The gain at twice the steps, with the range of one comparison; None before all is settled.
    """

    arm: Arm
    steps: int
    planned: int
    done: int
    settled: int
    failed: int
    before: Interval | None
    gain: Interval | None


def score_double_steps(
    chosen: Checked,
    arms: Sequence[Arm],
    rows: Iterable[Stored],
    study: Study,
    before: Mapping[Key, Interval | None],
    *,
    folds: int,
    cells: Sequence[Cell],
    n_classes: int,
    by_patient: bool,
) -> Check:
    """Score the chosen arm and its control at twice the steps.

    Args:
        chosen: What the plan recorded.
        arms: Of the board.
        rows: Stored trials of the board, those at twice the steps among them.
        study: As asked, at its own steps.
        before: Gains on the board.
        folds: K; 1 for an official cut.
        cells: Of the design.
        n_classes: Of the data set.
        by_patient: As the board scores.
    """
    arm = next(a for a in arms if a.key == chosen.key)
    both = [next(a for a in arms if a.key == arm.control_key), arm]
    longer, kept = doubled(study), list(rows)
    found = {a.key: find(a, kept, longer, folds, cells) for a in both}
    predicted = {
        name: {cell: stored.predictions() for cell, stored in of_arm.cells.items()} for name, of_arm in found.items()
    }
    scored = score_all(both, found, predicted, cells, n_classes, by_patient=by_patient)
    gain = None
    if all(a.key in scored for a in both):
        gain = intervals({"check": (scored[arm.key], scored[arm.control_key])}, folds=folds)["check"]
    settled = sum(len(f.cells) + len(f.failed) + len(f.skipped) for f in found.values())
    done = sum(len(f.cells) for f in found.values())
    failed = len(found[arm.key].failed)
    return Check(arm, chosen.steps, 2 * len(cells), done, settled, failed, before.get(chosen.key), gain)
