"""What stands behind one comparison: a published test, folds, repeats, seeds. None of it makes a word of a table."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medbench.boards.board import Board, Row
from medbench.planning.seed_block import SEEDS
from medbench.statistics.cross_checks import (
    CorrectedT,
    Spread,
    corrected_t,
    fold_gains,
    fold_overlap,
    share_tested,
    spread,
    spread_with_block,
)
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units


@dataclass(frozen=True)
class Details:
    """Details of an arm against another one.

    Attributes:
        corrected: Nadeau and Bengio's corrected t-test; None where it says nothing: an official cut, a leaky protocol,
            or training sets of unknown size.
        ratio: Patients tested by patients trained on, mean over cells; NaN where it is unknown.
        by_repeat: Gain of each repeat in balanced accuracy, 0 to 1.
        overlap: Share of the patients tested together who are together in another repeat as well; NaN for one repeat
            and for an official cut.
        spread: Standard deviations by what was drawn again.
        together: Generators and classifiers take the same seed and no seed block was run, so their parts cannot be told
            apart.
        block: The seed block of both is complete.
        disagree: Share of the units that the two decide differently, mean over cells.
    """

    corrected: CorrectedT | None
    ratio: float
    by_repeat: tuple[float, ...]
    overlap: float
    spread: Spread
    together: bool
    block: bool
    disagree: float


def details(board: Board, arm: Row, other: Row) -> Details | None:
    """Work out the details of one comparison.

    Args:
        board: Where both stand.
        arm: With its cells kept, as :func:`medbench.boards.build.boards` does on demand.
        other: Likewise.

    Returns:
        None where one of them is incomplete, or where they were tested on different patients.
    """
    if arm.scores is None or other.scores is None or not alike(arm.cells, other.cells):
        return None
    gains = fold_gains(arm.cells, other.cells, len(board.source["classes"]))
    folds = len({fold for _, fold in gains})
    ratio = _ratio(board.source, other)
    by_seed = np.stack(list(gains.values()))  # (folds of all repeats, seeds)
    block = _block_gains(arm, other, len(board.source["classes"]))
    together = block is None and any(trial.stages for row in (arm, other) for trial in row.trials.values())
    if block is not None:
        apart = spread_with_block(by_seed, block)
    else:
        apart = spread(by_seed[:, :, None] if together else by_seed[:, None, :])
    return Details(
        None
        if board.leaks or not np.isfinite(ratio)
        else corrected_t(gains, ratio=ratio, worth=board.study.worth / 100),
        ratio,
        tuple(_by_repeat(arm, other)),
        fold_overlap(_folds(arm.cells)) if folds > 1 else float("nan"),
        apart,
        together,
        block is not None,
        float(np.mean([np.mean(_decisions(u) != _decisions(other.cells[cell])) for cell, u in arm.cells.items()])),
    )


def alike(one: Mapping[Cell, Units], other: Mapping[Cell, Units]) -> bool:
    """Say whether two arms were tested in the same cells on the same units."""
    return set(one) == set(other) and all(np.array_equal(u.names, other[c].names) for c, u in one.items())


def _block_gains(arm: Row, other: Row, n_classes: int) -> np.ndarray | None:
    """Return ``float64 (generators, classifiers)`` gains of the seed block; None where it is not complete."""
    pairs = list(itertools.product(SEEDS, SEEDS))
    if set(pairs) - set(arm.block) or set(pairs) - set(other.block):
        return None
    gains = fold_gains(
        {(0, place, 0): arm.block[pair] for place, pair in enumerate(pairs)},
        {(0, place, 0): other.block[pair] for place, pair in enumerate(pairs)},
        n_classes,
    )
    return np.concatenate(list(gains.values())).reshape(len(SEEDS), len(SEEDS))


def _decisions(units: Units) -> np.ndarray:
    return units.probabilities.argmax(1)


def _by_repeat(arm: Row, other: Row) -> list[float]:
    assert arm.scores is not None
    assert other.scores is not None
    d, labels = arm.scores.correct - other.scores.correct, arm.scores.labels  # (repeats, units)
    return [float(np.mean([row[labels == k].mean() for k in np.unique(labels)])) for row in d]


def _folds(cells: Mapping[Cell, Units]) -> np.ndarray:
    """Return ``int64 (repeats, patients)``: the fold each patient was tested in."""
    of_repeat: dict[int, dict[str, int]] = {}
    for (repeat, fold, _), units in sorted(cells.items()):
        of_repeat.setdefault(repeat, {}).update(dict.fromkeys(units.clusters.tolist(), fold))
    return np.array([[fold for _, fold in sorted(folds.items())] for _, folds in sorted(of_repeat.items())])


def _ratio(source: Mapping[str, Any], row: Row) -> float:
    """Return patients tested by patients trained on, validation left out.

    A result counts the images it was trained on, not their patients: these are taken to have as many images as the
    others that were not tested.
    """
    tested, trained = [], []
    for cell, trial in row.trials.items():
        patients = len(set(row.cells[cell].clusters.tolist()))
        left = source["images"] - trial.counts.get("test", 0), source["patients"] - patients
        if not trial.counts.get("real") or min(left) < 1:
            return float("nan")
        tested.append(patients)
        trained.append(trial.counts["real"] * left[1] / left[0])
    return share_tested(tested, trained) if tested else float("nan")
