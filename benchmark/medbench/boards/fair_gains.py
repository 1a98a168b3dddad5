"""What each method of a board reaches and gains at a threshold that is learnt alike for all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medbench.boards.arm_trials import BoardScores
from medbench.boards.board_plan import BoardPlan
from medbench.boards.gains import Design, Judged, Key, Tally, family_gains
from medbench.planning.arms import Arm
from medbench.statistics.fair_threshold import at_fair_thresholds
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.patient_scores import ArmScores, Cell, score
from medbench.statistics.pool_images_by_patient import Units, labels_agree, units_of
from medbench.store.predictions import PredictionReader
from medbench.store.trial_files import WATCHED


@dataclass(frozen=True)
class FairGain:
    """A method at fair thresholds.

    Attributes:
        balanced_accuracy: 0 to 1.
        gain: Over the method above it, which has a fair threshold too; None for a root.
    """

    balanced_accuracy: float
    gain: Interval | None


def fair_gains(
    plan: BoardPlan, scored: BoardScores, tallies: Mapping[Key, Tally], design: Design, keys: Collection[Key]
) -> dict[Key, FairGain]:
    """Score arms at thresholds learnt from the patients that were watched in all their training runs.

    Args:
        plan: The board, of an honest protocol.
        scored: Its arms.
        tallies: Of every arm.
        design: Of the board.
        keys: Arms that are wanted; the methods above them are scored too.

    Returns:
        Those that can be scored: of complete arms whose training runs all stored what they predict for the watched.
    """
    arms = {arm.key: arm for arm in plan.arms}
    wanted = set(keys) | {arms[key].control_key for key in keys if key in arms}
    fair = _score_fairly(plan, scored, wanted)
    compared = [arm for arm in plan.arms if arm.control and {arm.key, arm.control_key} <= set(fair)]
    gains = family_gains(compared, fair, tallies, design)
    return {key: FairGain(found.balanced_accuracy, gains.get(key)) for key, found in fair.items() if key in keys}


def moved(judged: Mapping[Key, Judged]) -> list[Key]:
    """Return the arms with a verdict of better, whose gain may be a moved threshold."""
    return [key for key, of_it in judged.items() if of_it.verdict.word == "better"]


def _score_fairly(plan: BoardPlan, scored: BoardScores, wanted: Collection[Key]) -> dict[Key, ArmScores]:
    reader = PredictionReader()
    units: dict[Key, dict[Cell, Units]] = {}
    found: dict[Key, ArmScores] = {}
    needed = _with_those_above(plan.arms, wanted, scored)
    for arm in (arm for arm in plan.arms if arm.key in needed):
        own = {cell: scored.tested[arm.key][cell] for cell in scored.trials[arm.key].cells}
        units[arm.key] = at_fair_thresholds(own, _read_watched(arm, scored, reader))
        for cell in scored.trials[arm.key].failed if units[arm.key] or not own else ():
            if cell in units.get(arm.control_key, {}):
                units[arm.key][cell] = units[arm.control_key][cell]
        if arm.key in wanted and set(units[arm.key]) == set(plan.cells):
            found[arm.key] = score(units[arm.key], plan.n_classes)
    return found


def _with_those_above(arms: Sequence[Arm], wanted: Collection[Key], scored: BoardScores) -> set[Key]:
    """Return arms, and those above an arm with failed training runs, which take its place there."""
    of_key = {arm.key: arm for arm in arms}
    needed: set[Key] = set()
    for key in wanted:
        while key in of_key and key in scored.scores and key not in needed:
            needed.add(key)
            if not scored.trials[key].failed:
                break
            key = of_key[key].control_key
    return needed


def _read_watched(arm: Arm, scored: BoardScores, reader: PredictionReader) -> dict[Cell, Units]:
    """Return what was watched in every training run of an arm; empty where one did not store it."""
    cells = scored.trials[arm.key].cells
    if not cells or not all(stored.has_watched for stored in cells.values()):
        return {}
    predicted = reader.read(list(cells.values()), WATCHED)
    patients, labels = (np.concatenate([getattr(p, name) for p in predicted]) for name in ("patients", "labels"))
    if scored.by_patient and not labels_agree(patients, labels):
        return {}
    of_cells = units_of(predicted, [stored.frequencies for stored in cells.values()], by_patient=scored.by_patient)
    return dict(zip(cells, of_cells, strict=True))
