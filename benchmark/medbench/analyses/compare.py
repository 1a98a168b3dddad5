"""Two arms of a run against each other, on every board where both stand.

An arm over its own control has exactly the range of the board. Any other pair is one more comparison of the board's
family, so its range is never shorter than the board's way of counting looks allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medbench.analyses.compare_details import Details, details
from medbench.boards.board import Board, Row
from medbench.boards.build import boards
from medbench.boards.gains import CLOSED, Judged
from medbench.errors import UsageError
from medbench.interfaces import Metric
from medbench.planning.arm_names import arm_name, branch_name, short
from medbench.planning.arms import Arm
from medbench.registry.recipes import did_you_mean, listing
from medbench.statistics.auroc_interval import auroc_interval
from medbench.statistics.gain_intervals import Interval, intervals, rarest
from medbench.statistics.verdicts import Evidence, Verdict, judge
from medbench.store.store import Store


@dataclass(frozen=True, eq=False)
class ArmPair:
    """One arm over another on one board.

    Attributes:
        board: Where they stand.
        arm: The one that may be better.
        other: What it is compared with.
        judged: Gain, and the word for it.
        auroc: Gain in macro AUROC with its range, by itself; None where no fold holds every class, where one of them is
            incomplete, or where their cells were not kept.
        details: None where they were not asked for, or cannot be worked out.
        entry: Id of the published entry whose predictions the other arm's are; empty where both are of one store.
    """

    board: Board
    arm: Row
    other: Row
    judged: Judged
    auroc: Interval | None = None
    details: Details | None = None
    entry: str = ""

    @property
    def cost_ratio(self) -> float | None:
        """Stand-alone seconds of the arm by those of the other; None before both are complete."""
        both = self.arm, self.other
        known = all(row.complete and row.seconds for row in both)
        return self.arm.seconds / self.other.seconds if known else None


def compare(
    store: Store,
    record: Mapping[str, Any],
    one: str,
    other: str,
    *,
    in_detail: bool = False,
    metrics: Sequence[Metric] | None = None,
) -> list[ArmPair]:
    """Compare two arms of a plan on every board where both stand.

    Args:
        store: Where the results are.
        record: As :meth:`medbench.planning.plan.Plan.record` gives it.
        one: Text of an augmenter as boards write it, with `` / classifier`` behind it where that is needed.
        other: Likewise.
        in_detail: Work out the cross-checks as well.
        metrics: Every metric that is registered, for those that plugins added; None leaves them out.

    Raises:
        UsageError: For a name that no arm has, for two names of one arm, and for two arms that share no board.
    """
    arms = [Arm(**arm) for of_data in record["arms"].values() for arm in of_data]
    keep = set()
    for text in (one, other):
        meant = find_arms(arms, text)
        if not meant:
            known = sorted({name for arm in arms for name in (arm.augmenter, " / ".join(arm.key))})
            near = did_you_mean(text, known)
            there = listing(sorted({arm.augmenter for arm in arms}))
            raise UsageError(f"no method of {record['study']['name']} is called {text!r}{near}; there are: {there}.")
        keep |= {arm.key for arm in meant}
    found = []
    for board in boards(store, record, keep=keep, metrics=metrics):
        pair = [_pick(board, text) for text in (one, other)]
        if pair[0] is not None and pair[1] is not None:
            found.append(compare_rows(board, pair[0], pair[1], in_detail=in_detail))
    if not found:
        raise UsageError(f"{one} and {other} stand on no board together; compare arms of one data set and classifier.")
    return found


def compare_all(board_list: Sequence[Board]) -> list[ArmPair]:
    """Return each arm over its own control, in the order of the boards."""
    found = []
    for board in board_list:
        rows = {row.arm.key: row for row in board.all_rows}
        found += [
            ArmPair(board, row, rows[row.arm.control_key], row.judged)
            for row in board.rows
            if row.judged is not None and row.arm.control_key in rows
        ]
    return found


def compare_rows(board: Board, arm: Row, other: Row, *, in_detail: bool = False) -> ArmPair:
    """Compare two rows of a board whose cells were kept.

    Raises:
        UsageError: If both are the same arm.
    """
    if arm.arm.key == other.arm.key:
        raise UsageError(f"both names mean {' / '.join(arm.arm.key)}; give two different arms.")
    more = details(board, arm, other) if in_detail else None
    if arm.judged is not None and arm.arm.control_key == other.arm.key:
        judged, area = arm.judged, _auroc(arm, other, arm.judged.evidence)
    elif other.judged is not None and other.arm.control_key == arm.arm.key:
        area = _auroc(arm, other, other.judged.evidence)
        judged = _reverse(board, other.judged, area)
    else:
        return replace(compare_further(board, arm, other), details=more)
    return ArmPair(board, arm, other, judged, area, more)


def compare_further(board: Board, arm: Row, other: Row) -> ArmPair:
    """Compare two rows as one more comparison of a board's family, whatever the other is to the arm."""
    # Always in one order: draws depend on it in the third digit, and both ways round must agree.
    first, second = sorted((arm, other), key=lambda row: row.arm.key)
    judged = _judge_pair(board, first, second)
    area = _auroc(arm, other, judged.evidence)
    judged = judged if first is arm else _reverse(board, judged, area)
    return ArmPair(board, arm, other, judged, area)


def _auroc(arm: Row, other: Row, evidence: Evidence) -> Interval | None:
    if arm.scores is None or other.scores is None or not np.array_equal(arm.scores.names, other.scores.names):
        return None
    return auroc_interval(arm.scores, other.scores, folds=evidence.folds, overlap=evidence.overlap)


def find_arms(arms: Sequence[Arm], text: str) -> list[Arm]:
    """Return the arms that a text means, as boards write them: an augmenter, or AUGMENTER / CLASSIFIER."""
    as_shown = text.strip().removeprefix("+ ")
    named = [arm for arm in arms if as_shown in (arm_name(arm), branch_name(arm).removeprefix("+ "))]
    augmenter, _, classifier = (part.strip() for part in text.partition(" / "))
    return named or [
        arm
        for arm in arms
        if augmenter in (arm.augmenter, short(arm.augmenter))
        and classifier in ("", arm.classifier, short(arm.classifier))
    ]


def _pick(board: Board, text: str) -> Row | None:
    """Return the row that a text means on a board: one of the board's own classifier before any other.

    Raises:
        UsageError: If several are meant.
    """
    rows = {row.arm.key: row for row in board.all_rows}
    meant = find_arms([row.arm for row in rows.values()], text)
    own = [arm for arm in meant if arm.classifier == board.classifier] or meant
    if len(own) > 1:
        raise UsageError(f"{text!r} means {listing([' / '.join(arm.key) for arm in own])}; write one of them.")
    return rows[own[0].key] if own else None


def _judge_pair(board: Board, arm: Row, other: Row) -> Judged:
    """Judge two arms of which none is the other's control: a further comparison of the board's family."""
    worst = max(arm, other, key=lambda row: row.failed)
    evidence = Evidence(
        board.evidence.folds,
        board.evidence.repeats,
        planned=arm.planned,
        settled=min(row.done + row.failed for row in (arm, other)),
        rare=board.evidence.rare if arm.scores is None else rarest(arm.scores),
        patients=board.evidence.patients,
        failed=worst.failed,
        unit=board.evidence.unit,
        leaks=board.leaks,
        kind=worst.kinds[0] if len(worst.kinds) == 1 else "failed",
        overlap=board.evidence.overlap,
        skipped=max(arm.skipped, other.skipped),
    )
    interval = _interval(board, arm, other, evidence.folds)
    auroc = arm.scores.auroc - other.scores.auroc if arm.scores and other.scores else float("nan")
    area = _auroc(arm, other, evidence)
    verdict = judge(interval, evidence, worth=board.study.worth, auroc=auroc, auroc_range=area)
    if interval is None and evidence.settled == evidence.planned and not board.leaks:
        lost = arm if arm.scores is None else other
        failed = evidence.failures or "training runs failed"
        verdict = Verdict("", f"{arm_name(lost.arm)}: {failed} and no other method stands in, so no verdict.")
    return Judged(interval, auroc, evidence, verdict, area)


def _interval(board: Board, arm: Row, other: Row, folds: int) -> Interval | None:
    if arm.scores is None or other.scores is None:
        return None
    tested = arm.scores.names.tolist()
    if other.scores.names.tolist() != tested:
        return None
    rows = {row.arm.key: row for row in board.all_rows}
    pairs = {}
    for row in board.rows:
        control = rows.get(row.arm.control_key)
        if row.gain and row.scores and control and control.scores and row.scores.names.tolist() == tested:
            pairs[" / ".join(row.arm.key)] = row.scores, control.scores
    name = " versus ".join(" / ".join(row.arm.key) for row in (arm, other))
    pairs[name] = arm.scores, other.scores
    return intervals(pairs, folds=folds, overlap=board.evidence.overlap, unseen=board.unseen)[name]


def _reverse(board: Board, judged: Judged, area: Interval | None) -> Judged:
    """Return a comparison the other way round, with the interval of its gain in AUROC that way."""
    i = judged.gain
    if i is None:
        return replace(judged, auroc=-judged.auroc)
    ends: dict[str, Any] = {"low": -i.high, "high": -i.low, "low_single": -i.high_single, "high_single": -i.low_single}
    gain = replace(i, value=-i.value, **ends)
    verdict = judge(gain, judged.evidence, worth=board.study.worth, auroc=-judged.auroc, auroc_range=area)
    if judged.verdict == CLOSED:  # either way round
        verdict = CLOSED
    return Judged(gain, -judged.auroc, judged.evidence, verdict, area)
