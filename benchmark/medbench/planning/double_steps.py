"""Twice the steps: whether the gain of a board's best arm outlives a longer training.

The best arm is known only once the board is, so this is planned in a second step: the arm whose range has the largest
lower end, and its own control, with everything else as it was. Generators keep their budget and are not fitted again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medbench.boards.cells import find, score_all
from medbench.boards.gains import Key
from medbench.planning.arms import Arm, Checked
from medbench.planning.matrix import Plan, expand
from medbench.planning.study import Study
from medbench.registry.plugins import Catalogue
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


def doubled(study: Study) -> Study:
    """Return a study at twice the steps, without yardsticks."""
    budget = study.budget.model_copy(update={"steps": 2 * study.budget.steps})
    return study.model_copy(update={"budget": budget, "yardsticks": False, "check_steps": False})


def plan_check(plan: Plan, checked: Sequence[Checked], catalogue: Catalogue) -> Plan:
    """Plan the trials of the chosen arms and their controls at twice the steps.

    Args:
        plan: Of the study.
        checked: Which arm of which board; at least one.
        catalogue: What is registered.
    """
    whole = expand(doubled(plan.study), catalogue, plan.sources)
    wanted = set()
    for chosen in checked:
        for arm in whole.arms[chosen.dataset]:
            if arm.key == chosen.key:
                wanted |= {(chosen.dataset, chosen.protocol, *key) for key in (arm.key, arm.control_key)}
    trials = tuple(t for t in whole.trials if (t.dataset, t.protocol, t.augmenter, t.classifier) in wanted)
    stages_of = {t.id: whole.stages_of[t.id] for t in trials}
    needed = {key for keys in stages_of.values() for key in keys}
    stages = {key: stage for key, stage in whole.stages.items() if key in needed}
    return dataclasses.replace(whole, trials=trials, stages=stages, stages_of=stages_of)


def check(
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
