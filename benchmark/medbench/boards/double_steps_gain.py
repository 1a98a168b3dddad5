"""The result of the check at twice the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medbench.boards.arm_trials import find_trials, score_arms
from medbench.boards.board_plan import BoardPlan
from medbench.planning.arms import Arm, Checked
from medbench.planning.double_steps_trials import with_double_steps
from medbench.statistics.gain_intervals import Interval, intervals
from medbench.store.trial_files import Stored


@dataclass(frozen=True, eq=False)
class DoubleStepsResult:
    """A gain at twice the steps.

    Attributes:
        arm: The arm that was best.
        steps: Twice the study's.
        planned: Trainings of the arm and of its control.
        done: Those with a result.
        settled: Those that are done, failed for good, or cannot be run.
        failed: Trainings of the arm that failed; each counts with its control's predictions.
        before: The gain at the study's steps.
        gain: The gain at twice the steps, with the range of one comparison; None before all are finished.
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
    chosen: Checked, plan: BoardPlan, rows: Sequence[Stored], before: Interval | None, *, by_patient: bool
) -> DoubleStepsResult:
    """Score the chosen arm and its control at twice the steps.

    Args:
        chosen: What the plan recorded.
        plan: The board.
        rows: Stored trials of the board at twice the steps.
        before: The gain on the board.
        by_patient: As the board scores.
    """
    arms = {arm.key: arm for arm in plan.arms}
    arm = arms[chosen.key]
    both = [arms[arm.control_key], arm]
    trials = {a.key: find_trials(a, rows, with_double_steps(plan.study), plan.folds, plan.cells) for a in both}
    scored = score_arms(plan, trials, both, by_patient=by_patient).scores
    gain = None
    if all(a.key in scored for a in both):
        pair = {"check": (scored[arm.key], scored[arm.control_key])}
        gain = intervals(pair, folds=plan.folds, overlap=plan.overlap)["check"]
    return DoubleStepsResult(
        arm,
        chosen.steps,
        planned=2 * len(plan.cells),
        done=sum(len(of_arm.cells) for of_arm in trials.values()),
        settled=sum(of_arm.finished for of_arm in trials.values()),
        failed=len(trials[arm.key].failed),
        before=before,
        gain=gain,
    )
