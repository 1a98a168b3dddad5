"""Results of yardsticks: further trainings of a board's control, each with a gain and a range of its own.

The ranges are those of one comparison: no best one is chosen among yardsticks, so they belong to no family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medbench.boards.arm_trials import ArmTrials, find_trials
from medbench.boards.board_plan import BoardPlan
from medbench.planning.arms import Arm
from medbench.planning.yardsticks import FEWEST, Yardsticks
from medbench.statistics.gain_intervals import Interval, intervals
from medbench.statistics.patient_scores import ArmScores, score
from medbench.statistics.pool_images_by_patient import units
from medbench.store.stage_costs import FittedStages
from medbench.store.trial_files import Stored
from medbench.trial.trial import Predictions

Kind = Literal["seeds", "fewer", "average"]


@dataclass(frozen=True, eq=False)
class YardstickResult:
    """One yardstick.

    Attributes:
        kind: The control with other seeds, on fewer patients, or averaged over trainings.
        control: The control they are measured against.
        planned: Trainings it needs besides the control's own.
        done: Those with a result.
        failed: Those that failed for good; with any, or one that cannot be run, there are no scores.
        kinds: Kinds of the failures.
        trainings: How many are averaged; 1 for the others.
        seconds: What its trainings cost; of an average all of them, the control's own among them.
        scores: None before every training is done.
        gain: Over the control; None while one of the two has no scores.
    """

    kind: Kind
    control: Arm
    planned: int
    done: int
    failed: int = 0
    kinds: tuple[str, ...] = ()
    trainings: int = 1
    seconds: float = 0.0
    scores: ArmScores | None = None
    gain: Interval | None = None


@dataclass(frozen=True, eq=False)
class ControlResults:
    """The control of a board, which its yardsticks are compared with.

    Attributes:
        arm: The control.
        trials: Its trials.
        scores: None before it is complete.
        once: Seconds of one training over all cells.
        dearest: Seconds of the board's dearest arm; None before every arm is complete.
    """

    arm: Arm
    trials: ArmTrials
    scores: ArmScores | None
    once: float
    dearest: float | None


@dataclass(frozen=True, eq=False)
class YardstickScorer:
    """Scores the yardsticks of one board.

    Attributes:
        planned: What the plan recorded.
        plan: The board.
        rows: Stored trials of the data set, of every protocol.
        by_patient: As the board scores.
        control: What yardsticks are compared with.
        stages: Costs of fitted stages.
    """

    planned: Yardsticks
    plan: BoardPlan
    rows: Sequence[Stored]
    by_patient: bool
    control: ControlResults
    stages: FittedStages

    def score(self) -> tuple[YardstickResult, ...]:
        """Score every yardstick."""
        return self._training("seeds", self.planned.others), self._training("fewer", self._own_seeds), self._average()

    def count_trials(self) -> tuple[int, int, int]:
        """Count the trials of all yardsticks, each once: planned, done, failed."""
        both = self._find("seeds", self.planned.more), self._find("fewer", self._own_seeds)
        planned = len(self.plan.cells_of(self.planned.more)) + len(self.plan.cells_of(self._own_seeds))
        return planned, sum(len(t.cells) for t in both), sum(len(t.failed) for t in both)

    @property
    def _own_seeds(self) -> range:
        return range(self.planned.seeds)

    def _find(self, kind: Kind, seeds: range) -> ArmTrials:
        text = self.planned.fewer if kind == "fewer" else self.planned.protocol
        rows = [row for row in self.rows if row.trial.protocol == text]
        return find_trials(self.control.arm, rows, self.plan.study, self.plan.folds, self.plan.cells_of(seeds))

    def _training(self, kind: Kind, seeds: range) -> YardstickResult:
        trials, cells = self._find(kind, seeds), self.plan.cells_of(seeds)
        scores = None
        if set(trials.cells) == set(cells):
            tested = {
                cell: units(stored.predictions(), stored.frequencies, by_patient=self.by_patient)
                for cell, stored in trials.cells.items()
            }
            scores = score(tested, self.plan.n_classes)
        return self._result(kind, trials, len(cells), scores, list(trials.cells.values()))

    def _average(self) -> YardstickResult:
        """Average the probabilities of as many trainings as the dearest arm's time pays for."""
        planned, control, number = self.planned, self.control, self.planned.trainings
        extra = range(planned.seeds, planned.trainings)
        more, cells = self._find("average", extra), self.plan.cells_of(extra)
        if control.dearest is not None and control.once > 0:
            number = max(FEWEST, min(number, int(control.dearest / control.once)))
        seeds = planned.averaged[:number]
        stored = {**control.trials.cells, **more.cells}
        averaged = self.plan.cells_of(seeds)
        used = [stored[cell] for cell in averaged if cell in stored]
        scores = None
        if control.dearest is not None and set(more.cells) == set(cells) and len(used) == len(averaged):
            tested = {}
            for repeat, fold, _ in self.plan.cells_of(range(1)):
                of_cell = [stored[repeat, fold, seed] for seed in seeds]
                mean = mean_of([one.predictions() for one in of_cell])
                tested[repeat, fold, 0] = units(mean, of_cell[0].frequencies, by_patient=self.by_patient)
            scores = score(tested, self.plan.n_classes)
        return self._result("average", more, len(cells), scores, used, trainings=number)

    def _result(
        self,
        kind: Kind,
        trials: ArmTrials,
        planned: int,
        scores: ArmScores | None,
        used: Sequence[Stored],
        *,
        trainings: int = 1,
    ) -> YardstickResult:
        without_result = (*trials.failed.values(), *trials.skipped.values())
        gain = None
        if scores is not None and self.control.scores is not None:
            pair = {"yardstick": (scores, self.control.scores)}
            gain = intervals(pair, folds=self.plan.folds, overlap=self.plan.overlap)["yardstick"]
        return YardstickResult(
            kind,
            self.control.arm,
            planned=planned,
            done=len(trials.cells),
            failed=len(without_result),
            kinds=tuple(sorted({s.failure.kind for s in without_result if s.failure})),
            trainings=trainings,
            seconds=sum(float(s.cost["seconds"]) for s in used)
            + self.stages.seconds({k for s in used for k in s.stages}),
            scores=scores,
            gain=gain,
        )


def mean_of(predictions: Sequence[Predictions]) -> Predictions:
    """Average the probabilities of several trainings, image by image.

    Args:
        predictions: Of the same images in the same order.

    Raises:
        ValueError: If they are not.
    """
    first = predictions[0]
    if any(not np.array_equal(p.ids, first.ids) for p in predictions):
        raise ValueError("trainings that are averaged were tested on different images")
    mean = np.mean([p.probabilities for p in predictions], axis=0)
    return Predictions(first.ids, first.patients, first.labels, mean, first.groups)
