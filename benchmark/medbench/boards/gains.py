"""What each arm of a board gains over its control, and the word for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medbench.planning.arms import Arm
from medbench.statistics.intervals import Interval, intervals, rarest
from medbench.statistics.patient_scores import ArmScores
from medbench.statistics.verdicts import IDENTICAL, Evidence, Verdict, judge

Key = tuple[str, str]
"""Augmenter and classifier of an arm."""


@dataclass(frozen=True)
class Judged:
    """A comparison with its control.

    Attributes:
        gain: None while one of the two is incomplete, and where they were tested on different images.
        auroc: Gain in macro AUROC, 0 to 1; NaN where it is unknown.
        evidence: What it stands on.
        verdict: The word, or why there is none.
    """

    gain: Interval | None
    auroc: float
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True)
class Tally:
    """Cells of an arm: planned, settled (done, or failed for good), failed, and what the failures are called."""

    planned: int
    settled: int
    failed: int = 0
    kind: str = "failed"


def judged(
    arms: Sequence[Arm],
    scored: Mapping[Key, ArmScores],
    tallies: Mapping[Key, Tally],
    *,
    folds: int,
    repeats: int,
    looks: int,
    on_board: int,
    worth: float,
    rare: int,
    unit: str,
    leaks: tuple[str, ...],
) -> dict[Key, Judged]:
    """Compare every arm of a board that has a control there.

    Arms that were tested on the same images are one family, whose ranges hold jointly; what was scored on these folds
    before and is not on the board widens them. A leaky protocol that scores made images tests each arm on other ones:
    these have no gain.

    Args:
        arms: Of the board.
        scored: Complete arms.
        tallies: Of every arm.
        folds: K; 1 for an official cut.
        repeats: Partitions, or training draws of an official cut.
        looks: Configurations ever scored on these folds.
        on_board: Those of them that the board shows, roots and the plain arm among them.
        worth: Points that matter, fixed before the run.
        rare: Patients of the rarest class as planned, for arms that are not complete.
        unit: What is drawn: "patients" or "images".
        leaks: Of the protocol.
    """
    pairs = {
        arm.key: (scored[arm.key], scored[arm.control_key])
        for arm in arms
        if arm.control and arm.key in scored and arm.control_key in scored
    }
    unseen = max(0, looks - on_board)
    found: dict[Key, Interval] = {}
    for tested in {tuple(a.names.tolist()) for a, c in pairs.values() if a.names.tolist() == c.names.tolist()}:
        family = {k: p for k, p in pairs.items() if all(tuple(s.names.tolist()) == tested for s in p)}
        named = {" / ".join(key): pair for key, pair in family.items()}
        values = intervals(named, folds=folds, unseen=unseen)
        found |= {key: values[" / ".join(key)] for key in family}

    def one(arm: Arm) -> Judged:
        mine, its = scored.get(arm.key), scored.get(arm.control_key)
        tally = tallies[arm.key]
        control = tallies.get(arm.control_key, tally)
        evidence = Evidence(
            folds,
            repeats,
            planned=tally.planned,
            settled=min(tally.settled, control.settled),
            rare=rare if mine is None else rarest(mine),
            patients=0 if mine is None else len(set(mine.clusters.tolist())),
            failed=tally.failed,
            unit=unit,
            leaks=leaks,
            kind=tally.kind,
            control_failed=control.failed if arm.control_key in tallies else 0,
        )
        auroc = mine.auroc - its.auroc if mine is not None and its is not None else float("nan")
        interval = found.get(arm.key)
        verdict = judge(interval, evidence, worth=worth, auroc=auroc)
        if (
            verdict.word == "same"
            and mine is not None
            and its is not None
            and np.array_equal(mine.correct, its.correct)
        ):
            verdict = replace(verdict, note=IDENTICAL)
        return Judged(interval, auroc, evidence, verdict)

    return {arm.key: one(arm) for arm in arms if arm.control}
