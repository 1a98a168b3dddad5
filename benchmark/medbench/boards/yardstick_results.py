"""What the yardsticks of a board gave: further trainings of its control, each with a gain and a range of its own.

The ranges are those of one comparison: nothing is chosen among yardsticks, so they belong to no family.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medbench.boards.cells import Found, find
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.planning.yardsticks import FEWEST, Yardsticks
from medbench.statistics.intervals import Interval, intervals
from medbench.statistics.patient_scores import ArmScores, Cell, score, units
from medbench.store.stage_costs import FittedStages
from medbench.store.trial_files import Stored
from medbench.trial.trial import Predictions

Kind = Literal["seeds", "fewer", "average"]


@dataclass(frozen=True, eq=False)
class Measured:
    """One yardstick.

    Attributes:
        kind: The control with other seeds, on fewer patients, or averaged over trainings.
        control: The control they are measured against.
        planned: Trainings it needs besides the control's own.
        done: Those with a result.
        failed: Those that failed for good; with any, or one that makes no sense, there are no scores.
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
class Ground:
    """What the yardsticks of a board are measured on.

    Attributes:
        study: What was asked.
        rows: Stored trials of the data set, of every protocol.
        folds: K; 1 for an official cut.
        n_classes: Of the data set.
        by_patient: As the board scores.
        control: Trials of the control.
        scores: Of the control; None before it is complete.
        once: Seconds of one training of the control over all cells.
        dearest: Seconds of the board's dearest arm; None before every arm is complete.
        stages: Costs of fitted stages.
    """

    study: Study
    rows: Sequence[Stored]
    folds: int
    n_classes: int
    by_patient: bool
    control: Found
    scores: ArmScores | None
    once: float
    dearest: float | None
    stages: FittedStages


def measured(planned: Yardsticks, root: Arm, ground: Ground) -> tuple[Measured, ...]:
    """Score the yardsticks of one board."""
    own = [row for row in ground.rows if row.trial.protocol == planned.protocol]
    less = [row for row in ground.rows if row.trial.protocol == planned.fewer]
    others = _found(root, own, ground, planned.others)
    fewer = _found(root, less, ground, range(planned.seeds))
    return (
        _one("seeds", root, others, _cells(ground, planned.others), ground),
        _one("fewer", root, fewer, _cells(ground, range(planned.seeds)), ground),
        _average(planned, root, own, ground),
    )


def trials(planned: Yardsticks, root: Arm, ground: Ground) -> tuple[int, int, int]:
    """Count the trials of the yardsticks of one board, each once: planned, done, failed."""
    own = [row for row in ground.rows if row.trial.protocol == planned.protocol]
    less = [row for row in ground.rows if row.trial.protocol == planned.fewer]
    both = (_found(root, own, ground, planned.more), _found(root, less, ground, range(planned.seeds)))
    n = len(_cells(ground, planned.more)) + len(_cells(ground, range(planned.seeds)))
    return n, sum(len(f.cells) for f in both), sum(len(f.failed) for f in both)


def _cells(ground: Ground, seeds: Sequence[int]) -> list[Cell]:
    return [(r, f, s) for r in range(ground.study.repeats) for f in range(ground.folds) for s in seeds]


def _found(root: Arm, rows: Sequence[Stored], ground: Ground, seeds: Sequence[int]) -> Found:
    return find(root, rows, ground.study, ground.folds, _cells(ground, seeds))


def _one(kind: Kind, root: Arm, found: Found, cells: Sequence[Cell], ground: Ground) -> Measured:
    scores = None
    if set(found.cells) == set(cells):
        made = {
            cell: units(stored.predictions(), stored.frequencies, by_patient=ground.by_patient)
            for cell, stored in found.cells.items()
        }
        scores = score(made, ground.n_classes)
    return Measured(
        kind,
        root,
        planned=len(cells),
        done=len(found.cells),
        failed=len(found.failed) + len(found.skipped),
        kinds=_kinds(found),
        seconds=_seconds(found.cells.values(), ground),
        scores=scores,
        gain=_gain(scores, ground),
    )


def _average(planned: Yardsticks, root: Arm, rows: Sequence[Stored], ground: Ground) -> Measured:
    """Average the probabilities of as many trainings as the dearest arm's time pays for."""
    extra = [seed for seed in planned.averaged if seed >= planned.seeds]
    more = _found(root, rows, ground, extra)
    needed = _cells(ground, extra)
    number = planned.trainings
    if ground.dearest is not None and ground.once > 0:
        number = max(FEWEST, min(number, int(ground.dearest / ground.once)))
    stored = {**ground.control.cells, **more.cells}
    used = [stored[cell] for cell in _cells(ground, planned.averaged[:number]) if cell in stored]
    scores = None
    is_done = set(more.cells) == set(needed) and len(used) == len(_cells(ground, planned.averaged[:number]))
    if is_done and ground.dearest is not None:
        made = {}
        for repeat, fold, _ in _cells(ground, [0]):
            of_cell = [stored[repeat, fold, seed] for seed in planned.averaged[:number]]
            mean = mean_of([one.predictions() for one in of_cell])
            made[repeat, fold, 0] = units(mean, of_cell[0].frequencies, by_patient=ground.by_patient)
        scores = score(made, ground.n_classes)
    return Measured(
        "average",
        root,
        planned=len(needed),
        done=len(more.cells),
        failed=len(more.failed) + len(more.skipped),
        kinds=_kinds(more),
        trainings=number,
        seconds=_seconds(used, ground),
        scores=scores,
        gain=_gain(scores, ground),
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
    return Predictions(first.ids, first.patients, first.labels, mean)


def _gain(scores: ArmScores | None, ground: Ground) -> Interval | None:
    if scores is None or ground.scores is None:
        return None
    pairs: Mapping[str, tuple[ArmScores, ArmScores]] = {"yardstick": (scores, ground.scores)}
    return intervals(pairs, folds=ground.folds)["yardstick"]


def _kinds(found: Found) -> tuple[str, ...]:
    failures = (*found.failed.values(), *found.skipped.values())
    return tuple(sorted({s.failure.kind for s in failures if s.failure}))


def _seconds(rows: Iterable[Stored], ground: Ground) -> float:
    used = list(rows)
    return sum(float(s.cost["seconds"]) for s in used) + ground.stages.seconds({k for s in used for k in s.stages})
