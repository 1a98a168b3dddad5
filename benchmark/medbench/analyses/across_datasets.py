"""All data sets of a run side by side: each arm's gain over its own control, one comparison an arm and data set.

Several networks are several views of one question: their decisions are averaged within a fold before anything is
compared, so an arm has one comparison a data set however many networks there are. Nothing is averaged over data sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from medbench.boards.board import Board, Row
from medbench.boards.gains import Design, Judged, Tally, compare_with_controls
from medbench.planning.arms import Arm
from medbench.statistics.patient_scores import average_networks
from medbench.statistics.power import smallest_gain_seen
from medbench.statistics.verdicts import Evidence


@dataclass(frozen=True, eq=False)
class Case:
    """One data set.

    Attributes:
        boards: Its boards, one a network.
        judged: Comparison by arm, the mean of all networks.
        missing: Why an arm has no comparison here, by arm: it does not stand on every network, say.
    """

    boards: tuple[Board, ...]
    judged: Mapping[str, Judged]
    missing: Mapping[str, str]

    @property
    def source(self) -> Mapping[str, Any]:
        """Facts of the data set."""
        return self.boards[0].source

    @property
    def evidence(self) -> Evidence:
        """What its comparisons stand on; the cells of all networks are counted."""
        each = [board.evidence for board in self.boards]
        return replace(each[0], planned=sum(e.planned for e in each), settled=sum(e.settled for e in each))

    @property
    def sees(self) -> float | None:
        """Smallest gain that was seen in every comparison with a power of 80 %, by the standard errors observed."""
        return max((smallest_gain_seen(one.gain) for one in self.judged.values() if one.gain), default=None)


@dataclass(frozen=True, eq=False)
class Across:
    """One honest protocol over all data sets of a run.

    Attributes:
        protocol: Text of the protocol.
        networks: Texts of the classifiers whose decisions are averaged.
        arms: Texts of the arms that have a control, in the order of the first board that has them.
        cases: In the order of the study.
        worth: Points that matter.
    """

    protocol: str
    networks: tuple[str, ...]
    arms: tuple[str, ...]
    cases: tuple[Case, ...]
    worth: float


def across(boards: Sequence[Board]) -> list[Across]:
    """Put the boards of a run side by side, for each honest protocol that two data sets or more were run under.

    Args:
        boards: As :func:`medbench.boards.build.boards` gives them, all of one study.
    """
    found = []
    for protocol in dict.fromkeys(board.protocol for board in boards if not board.leaks):
        mine = [board for board in boards if board.protocol == protocol]
        names = dict.fromkeys(str(board.source["dataset"]) for board in mine)
        if len(names) < 2:
            continue
        cases = tuple(case([board for board in mine if board.source["dataset"] == name]) for name in names)
        arms = dict.fromkeys(arm for one in cases for arm in (*one.judged, *one.missing))
        networks = tuple(dict.fromkeys(board.classifier for board in mine))
        found.append(Across(protocol, networks, tuple(arms), cases, mine[0].study.worth))
    return found


def case(boards: Sequence[Board]) -> Case:
    """Compare every arm of a data set with its own control, averaged over networks.

    With one network these are the comparisons of its board. An arm whose classifier claims something itself is
    compared on its own board only.

    Args:
        boards: Of one data set and protocol, one a network.
    """
    of_one = {
        _own(row.arm): row.judged
        for board in boards
        for row in board.rows
        if row.judged is not None and (len(boards) == 1 or row.arm.classifier != board.classifier)
    }
    if len(boards) == 1:
        return Case(tuple(boards), {_arm(boards[0], row): row.judged for row in boards[0].rows if row.judged}, {})
    rows = [_rows(board) for board in boards]
    names = dict.fromkeys(name for of_board in rows for name in of_board)
    everywhere = [name for name in names if all(name in of_board for of_board in rows)]
    missing = {
        name: f"{sum(name in of_board for of_board in rows)} of {len(boards)} networks"
        for name in names
        if name not in everywhere and any(name in r and r[name].arm.control for r in rows)
    }
    scored, tallies, arms = {}, {}, []
    mean = f"mean of {len(boards)} networks"
    for name in everywhere:
        same = [of_board[name] for of_board in rows]
        first = same[0].arm
        tallies[name, mean] = _together(same)
        scores = [row.scores for row in same]
        known = [one for one in scores if one is not None]
        if len(known) == len(scores):
            try:
                scored[name, mean] = average_networks(known)
            except ValueError:
                missing[name] = "other patients"
                continue
        if first.control in everywhere:
            arms.append(Arm(name, mean, first.control))
        elif first.control:
            missing[name] = "no control"
    first_board, evidence = boards[0], boards[0].evidence
    unseen = max(0, first_board.looks - sum(board.looks - board.unseen for board in boards))
    study = first_board.study
    design = Design(
        evidence.folds,
        evidence.repeats,
        study.worth,
        evidence.rare,
        evidence.unit,
        unseen=unseen,
        overlap=evidence.overlap,
        primary=study.primary.partition(" / ")[0],  # the mean of networks stands for all of them
    )
    compared = compare_with_controls(arms, scored, tallies, design)
    return Case(tuple(boards), {name: one for (name, _), one in compared.items()} | of_one, missing)


def _rows(board: Board) -> dict[str, Row]:
    """Return the rows of the board's own classifier by augmenter, the plain one among them."""
    return {row.arm.augmenter: row for row in board.all_rows if row.arm.classifier == board.classifier}


def _arm(board: Board, row: Row) -> str:
    return row.arm.augmenter if row.arm.classifier == board.classifier else _own(row.arm)


def _own(arm: Arm) -> str:
    return f"{arm.augmenter} / {arm.classifier}"


def _together(rows: Sequence[Row]) -> Tally:
    """Count the cells of all networks."""
    kinds = sorted({kind for row in rows for kind in row.kinds})
    failed = sum(row.failed for row in rows)
    settled = sum(row.done for row in rows) + failed
    kind = kinds[0] if len(kinds) == 1 else "failed"
    return Tally(sum(row.planned for row in rows), settled, failed, kind, sum(row.skipped for row in rows))
