"""Gains on corrupted test images: one for every corruption and method, mean over five severities.

The decisions of a patient or image are averaged over the severities and seeds, and compared like those on clean images.
All corruptions and methods of a table are one family: their intervals hold jointly, so a word is wrong in at most one
table in twenty. A second family asks of each gain whether it differs from the one on clean images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from medbench.boards.board import Board, Row
from medbench.planning.arms import Arm
from medbench.protocols.corruptions import corruptions_of
from medbench.protocols.protocol import protocol
from medbench.statistics.auroc_interval import auroc_intervals
from medbench.statistics.gain_intervals import Interval, intervals
from medbench.statistics.patient_scores import ArmScores, Cell, average_networks, score
from medbench.statistics.pool_images_by_patient import units_of
from medbench.statistics.verdicts import Verdict, judge
from medbench.store.corrupted import read_corrupted
from medbench.store.trial_files import Stored

Key = tuple[str, str]


@dataclass(frozen=True)
class CorruptedGain:
    """A method under one corruption.

    Attributes:
        kind: Member of :data:`.CORRUPTIONS`.
        arm: The method.
        balanced_accuracy: Mean over severities, 0 to 1.
        above: That of the method above it; None where there is none.
        gain: Over the method above it; None where there is none.
        verdict: Its word; None likewise.
        further: By how much the gain is larger than the one on clean images; None likewise.
    """

    kind: str
    arm: Arm
    balanced_accuracy: float
    above: float | None = None
    gain: Interval | None = None
    verdict: Verdict | None = None
    further: Interval | None = None


@dataclass(frozen=True)
class Corruptions:
    """What one board says of corrupted test images.

    Attributes:
        board: The board, with its numbers on clean images.
        kinds: In the order of :data:`.CORRUPTIONS`.
        rows: By kind, in the order of the board; methods whose training runs are not all there are left out.
        comparisons: Size of the family.
    """

    board: Board
    kinds: tuple[str, ...]
    rows: Mapping[str, Sequence[CorruptedGain]]
    comparisons: int

    @property
    def compared(self) -> list[Row]:
        """Rows of the board that are compared with another one here."""
        known = {one.arm.key for of_kind in self.rows.values() for one in of_kind if one.gain is not None}
        return [row for row in self.board.rows if row.arm.key in known]

    def of_arm(self, key: Key) -> list[CorruptedGain]:
        """Return a method under every corruption."""
        return [one for of_kind in self.rows.values() for one in of_kind if one.arm.key == key]


def find_corruptions(boards: Sequence[Board]) -> list[Corruptions]:
    """Score every board whose protocol asks for corrupted test images.

    Args:
        boards: With the trials of all methods kept in their rows.

    Raises:
        StoreError: If a file of predictions is missing or damaged.
    """
    asked = [board for board in boards if protocol(board.protocol).corrupted]
    return [_of_board(board) for board in asked]


def _of_board(board: Board) -> Corruptions:
    kinds = corruptions_of(protocol(board.protocol).corrupted, int(board.source["dimensions"]))
    scores = {row.arm.key: dict(_scores(row, board, kinds)) for row in board.all_rows if row.scores is not None}
    clean = {row.arm.key: row.scores for row in board.all_rows if row.scores is not None}
    rows = [row for row in board.all_rows if scores.get(row.arm.key)]
    pairs, further = dict[str, tuple[ArmScores, ArmScores]](), dict[str, tuple[ArmScores, ArmScores]]()
    for row in rows:
        key, above = row.arm.key, row.arm.control_key
        for kind in kinds if row.arm.control and scores.get(above) else ():
            pairs[_name(kind, key)] = scores[key][kind], scores[above][kind]
            further[_name(kind, key)] = _less(scores[key][kind], clean[key]), _less(scores[above][kind], clean[above])
    folds, overlap = board.evidence.folds, board.evidence.overlap
    unfinished = sum(bool(row.arm.control) and row.scores is None for row in board.rows)
    others = (board.unseen + unfinished) * len(kinds)
    gains = intervals(pairs, folds=folds, overlap=overlap, unseen=others)
    larger = intervals(further, folds=folds, overlap=overlap, unseen=others)
    aurocs = auroc_intervals(pairs, folds=folds, overlap=overlap) if any(g.low > 0 for g in gains.values()) else {}
    found: dict[str, list[CorruptedGain]] = {kind: [] for kind in kinds}
    for kind in kinds:
        for row in rows:
            name, own = _name(kind, row.arm.key), scores[row.arm.key][kind]
            one = CorruptedGain(kind, row.arm, own.balanced_accuracy)
            if name in gains:
                other = pairs[name][1]
                verdict = judge(
                    gains[name], row.judged.evidence if row.judged else board.evidence, worth=board.study.worth,
                    auroc=own.auroc - other.auroc, auroc_range=aurocs.get(name),
                )  # fmt: skip
                one = replace(
                    one, above=other.balanced_accuracy, gain=gains[name], verdict=verdict, further=larger[name]
                )
            found[kind].append(one)
    return Corruptions(board, kinds, found, len(pairs) + others)


def _scores(row: Row, board: Board, kinds: Sequence[str]) -> Iterator[tuple[str, ArmScores]]:
    """Yield the scores of a method for each kind, mean over severities; a failed cell holds those of its control."""
    trials = _with_stand_ins(row, board)
    if set(trials) != set(row.cells):
        return
    read = {cell: (stored, stored.predictions()) for cell, stored in trials.items()}
    corrupted = {cell: read_corrupted(stored, p.ids) for cell, (stored, p) in read.items()}
    for kind in kinds:
        severities = sorted({s for of_cell in corrupted.values() for k, s in of_cell if k == kind})
        of_severity = []
        for severity in severities:
            predicted = [replace(p, probabilities=corrupted[c][kind, severity]) for c, (_, p) in read.items()]
            frequencies = [stored.frequencies for stored, _ in read.values()]
            cells = dict(zip(read, units_of(predicted, frequencies, by_patient=board.unit == "patient"), strict=True))
            of_severity.append(score(cells, len(board.source["classes"])))
        yield kind, average_networks(of_severity)


def _with_stand_ins(row: Row, board: Board) -> Mapping[Cell, Stored]:
    by_key = {other.arm.key: other for other in board.all_rows}
    trials, seen = dict(row.trials), {row.arm.key}
    above = by_key.get(row.arm.control_key)
    while row.failed and above is not None and above.arm.key not in seen:
        trials = {**above.trials, **trials}
        seen.add(above.arm.key)
        above = by_key.get(above.arm.control_key)
    return {cell: trials[cell] for cell in row.cells if cell in trials}


def _less(corrupted: ArmScores, clean: ArmScores) -> ArmScores:
    """Return scores whose gain is the gain on corrupted images less that on clean ones."""
    return replace(corrupted, correct=corrupted.correct - clean.correct)


def _name(kind: str, key: Key) -> str:
    return " / ".join((kind, *key))
