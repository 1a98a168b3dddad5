"""The stored trials of each arm of a board, and the scores of each arm over all its trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from medbench.boards.board_plan import BoardPlan
from medbench.boards.gains import Key, Tally
from medbench.planning.arms import Arm
from medbench.planning.seed_block import BLOCK, SEEDS
from medbench.planning.study import Study
from medbench.statistics.patient_scores import ArmScores, Cell, score
from medbench.statistics.pool_images_by_patient import Units, labels_agree, units_of
from medbench.store.predictions import PredictionReader
from medbench.store.trial_files import Stored
from medbench.trial.trial import Predictions


@dataclass
class ArmTrials:
    """The stored trials of one arm of a plan.

    Attributes:
        cells: Those with a result.
        failed: Those that failed for good.
        skipped: Those that cannot be run, as recipe and data do not fit.
        superseded: Number of further trials, of other code or another budget.
    """

    cells: dict[Cell, Stored] = field(default_factory=dict)
    failed: dict[Cell, Stored] = field(default_factory=dict)
    skipped: dict[Cell, Stored] = field(default_factory=dict)
    superseded: int = 0

    @property
    def finished(self) -> int:
        """Cells from which nothing more is expected."""
        return len(self.cells) + len(self.failed) + len(self.skipped)

    @property
    def failure_kinds(self) -> tuple[str, ...]:
        """Kinds of the failures, each once."""
        return tuple(sorted({s.failure.kind for s in self.failed.values() if s.failure}))

    def tally(self, planned: int) -> Tally:
        """Count the cells for the sentences around a verdict."""
        kinds = self.failure_kinds
        n_failed = len(self.failed)
        kind = kinds[0] if len(kinds) == 1 else "failed"
        return Tally(planned, len(self.cells) + n_failed, n_failed, kind, len(self.skipped))


@dataclass(frozen=True, eq=False)
class BoardScores:
    """The trials and scores of all arms of a board.

    Attributes:
        trials: By arm.
        by_patient: Whether patients are scored, and not images.
        tested: Units of every cell that has some, by arm; a failed cell holds its control's.
        scores: Of complete arms.
    """

    trials: Mapping[Key, ArmTrials]
    by_patient: bool
    tested: Mapping[Key, Mapping[Cell, Units]]
    scores: Mapping[Key, ArmScores]


def find_trials(arm: Arm, rows: Iterable[Stored], study: Study, folds: int, cells: Sequence[Cell]) -> ArmTrials:
    """Pick the trials of an arm that belong to the plan; those of other code or budget are counted, never mixed in."""
    result = ArmTrials()
    planned = set(cells)
    for row in rows:
        t = row.trial
        if (t.augmenter, t.classifier, t.folds) != (arm.augmenter, arm.classifier, folds):
            continue
        if (t.arm, t.budget) != (arm.made_by, study.spending):
            result.superseded += 1
        elif t.stage_seed == t.seed and (cell := (t.repeat, t.fold, t.seed)) in planned:
            by_status = {"done": result.cells, "failed": result.failed, "skipped": result.skipped}
            if row.status in by_status:  # one that the machine interrupted is to be run again, and is no row until then
                by_status[row.status][cell] = row
    return result


def find_trials_of_arms(plan: BoardPlan, rows: Iterable[Stored]) -> dict[Key, ArmTrials]:
    """Pick the trials of every arm of a board, as :func:`find_trials` does, in one walk over what is stored."""
    of_arms: dict[Key, list[Stored]] = {}
    for row in rows:
        of_arms.setdefault((row.trial.augmenter, row.trial.classifier), []).append(row)
    return {
        arm.key: find_trials(arm, of_arms.get(arm.key, ()), plan.study, plan.folds, plan.cells) for arm in plan.arms
    }


def find_seed_block(arm: Arm, rows: Iterable[Stored], study: Study, folds: int) -> dict[tuple[int, int], Stored]:
    """Pick the finished trials of an arm's seed block, by generator seed and classifier seed."""
    found = {}
    for row in rows:
        t = row.trial
        of_arm = (t.augmenter, t.classifier, t.arm, t.budget) == (*arm.key, arm.made_by, study.spending)
        of_block = (t.folds, t.repeat, t.fold) == (folds, *BLOCK) and t.seed in SEEDS and t.stage_seed in SEEDS
        if of_arm and of_block and row.status == "done":
            found[t.stage_seed, t.seed] = row
    return found


def score_arms(
    plan: BoardPlan, trials: Mapping[Key, ArmTrials], arms: Sequence[Arm], *, by_patient: bool | None = None
) -> BoardScores:
    """Score every arm that has all its cells; a failed cell takes its control's predictions (intention to treat).

    Args:
        plan: The board.
        trials: By arm.
        arms: Controls before what stands on them.
        by_patient: Score patients; None does where they are the data set's unit, the protocol is honest and every
            patient has one label over all that was tested.
    """
    wanted = plan.rule.is_honest and plan.source["unit"] == "patient" if by_patient is None else by_patient
    reader, tests = PredictionReader(), dict[tuple[int, bytes], Predictions]()
    planned, complete = set(plan.cells), dict[Key, ArmScores]()
    tested: dict[Key, dict[Cell, Units]] = {}
    with ThreadPoolExecutor(1) as ahead:  # reads what the next arms predicted while this one is scored
        read = {arm.key: ahead.submit(reader.read, list(trials[arm.key].cells.values())) for arm in arms}
        try:
            for arm in arms:
                of_arm, predicted = trials[arm.key], read.pop(arm.key).result()
                tests |= {(id(p.patients), p.labels.tobytes()): p for p in predicted}  # most were tested on the same
                frequencies = [stored.frequencies for stored in of_arm.cells.values()]
                of_cells = units_of(predicted, frequencies, by_patient=wanted)
                tested[arm.key] = dict(zip(of_arm.cells, of_cells, strict=True))
                for cell in of_arm.failed:
                    if cell in tested.get(arm.control_key, {}):
                        tested[arm.key][cell] = tested[arm.control_key][cell]
                if set(tested[arm.key]) == planned:
                    complete[arm.key] = score(tested[arm.key], plan.n_classes)
        finally:
            ahead.shutdown(cancel_futures=True)
    if by_patient is None and wanted and tests:
        patients, labels = (
            np.concatenate([getattr(p, name) for p in tests.values()]) for name in ("patients", "labels")
        )
        if not labels_agree(patients, labels):
            return score_arms(plan, trials, arms, by_patient=False)
    return BoardScores(trials, wanted, tested, complete)
