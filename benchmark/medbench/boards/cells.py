"""Cells: which stored trials a plan's arms are made of, and what they score together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from medbench.boards.gains import Key, Tally
from medbench.planning.arms import Arm
from medbench.planning.seed_block import BLOCK, SEEDS
from medbench.planning.study import Study
from medbench.statistics.patient_scores import ArmScores, Cell, Units, labels_agree, score, units
from medbench.store.trial_files import Stored, read_many
from medbench.trial.trial import Predictions


@dataclass
class Found:
    """The trials of one arm that a plan is made of.

    Attributes:
        cells: Those with a result.
        failed: Those that failed for good.
        skipped: Those that turned out to make no sense.
        superseded: How many more there are, made by other code or under another budget.
    """

    cells: dict[Cell, Stored] = field(default_factory=dict)
    failed: dict[Cell, Stored] = field(default_factory=dict)
    skipped: dict[Cell, Stored] = field(default_factory=dict)
    superseded: int = 0


def find(arm: Arm, rows: Iterable[Stored], study: Study, folds: int, cells: Sequence[Cell]) -> Found:
    """Pick the trials of an arm that the plan is made of; those of other code or budget are counted, never mixed in."""
    result = Found()
    wanted = set(cells)
    for row in rows:
        t = row.trial
        if (t.augmenter, t.classifier, t.folds) != (arm.augmenter, arm.classifier, folds):
            continue
        if (t.arm, t.budget) != (arm.made_by, study.spending):
            result.superseded += 1
        elif t.stage_seed == t.seed and (cell := (t.repeat, t.fold, t.seed)) in wanted:
            by_status = {"done": result.cells, "failed": result.failed, "skipped": result.skipped}
            if row.status in by_status:  # one that the machine interrupted is to be run again, and is no row until then
                by_status[row.status][cell] = row
    return result


def find_block(arm: Arm, rows: Iterable[Stored], study: Study, folds: int) -> dict[tuple[int, int], Stored]:
    """Pick the finished trials of an arm's seed block, by generator seed and classifier seed."""
    found = {}
    for row in rows:
        t = row.trial
        mine = (t.augmenter, t.classifier, t.arm, t.budget) == (*arm.key, arm.made_by, study.spending)
        there = (t.folds, t.repeat, t.fold) == (folds, *BLOCK) and t.seed in SEEDS and t.stage_seed in SEEDS
        if mine and there and row.status == "done":
            found[t.stage_seed, t.seed] = row
    return found


def score_all(
    arms: Sequence[Arm],
    found: Mapping[Key, Found],
    predicted: Mapping[Key, Mapping[Cell, Predictions]],
    cells: Sequence[Cell],
    n_classes: int,
    *,
    by_patient: bool,
) -> dict[Key, ArmScores]:
    """Score every complete arm, as :func:`tested_in` and :func:`score_complete` do one after the other."""
    return score_complete(tested_in(arms, found, predicted, by_patient=by_patient), cells, n_classes)


def tested_in(
    arms: Sequence[Arm],
    found: Mapping[Key, Found],
    predicted: Mapping[Key, Mapping[Cell, Predictions]],
    *,
    by_patient: bool,
) -> dict[Key, dict[Cell, Units]]:
    """Put together what each arm was tested on; a failed cell takes its control's predictions (intention to treat)."""
    made: dict[Key, dict[Cell, Units]] = {}
    for arm in arms:  # controls stand before what stands on them
        of_arm = found[arm.key]
        made[arm.key] = {
            cell: units(predictions, of_arm.cells[cell].frequencies, by_patient=by_patient)
            for cell, predictions in predicted[arm.key].items()
        }
        for cell in of_arm.failed:
            if cell in made.get(arm.control_key, {}):
                made[arm.key][cell] = made[arm.control_key][cell]
    return made


def score_complete(
    tested: Mapping[Key, Mapping[Cell, Units]], cells: Sequence[Cell], n_classes: int
) -> dict[Key, ArmScores]:
    """Score every arm that has all its cells."""
    return {key: score(of_arm, n_classes) for key, of_arm in tested.items() if set(of_arm) == set(cells)}


def predictions_of(found: Mapping[Key, Found]) -> dict[Key, dict[Cell, Predictions]]:
    """Read what every arm predicted, an arm at a time."""
    return {
        key: dict(zip(of_arm.cells, read_many(list(of_arm.cells.values())), strict=True))
        for key, of_arm in found.items()
    }


def agree(predicted: Mapping[Key, Mapping[Cell, Predictions]]) -> bool:
    """Say whether every patient has one label over all that was tested, whichever arm tested it."""
    every = [p for of_arm in predicted.values() for p in of_arm.values()]
    if not every:
        return True
    return labels_agree(np.concatenate([p.patients for p in every]), np.concatenate([p.labels for p in every]))


def tally(found: Found, planned: int) -> Tally:
    """Count an arm's cells for the sentences around its verdict."""
    kinds = sorted({s.failure.kind for s in found.failed.values() if s.failure})
    settled = len(found.cells) + len(found.failed)
    return Tally(planned, settled, len(found.failed), kinds[0] if len(kinds) == 1 else "failed")
