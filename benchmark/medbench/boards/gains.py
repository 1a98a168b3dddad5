"""What each arm of a board gains over its control, and the word for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medbench.planning.arms import Arm
from medbench.statistics.gain_intervals import Interval, intervals, rarest
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
        evidence: What it rests on.
        verdict: The word, or why there is none.
    """

    gain: Interval | None
    auroc: float
    evidence: Evidence
    verdict: Verdict


@dataclass(frozen=True)
class Tally:
    """Cells of an arm: planned, settled (done, or failed for good), failed, and the kind of the failures."""

    planned: int
    settled: int
    failed: int = 0
    kind: str = "failed"


@dataclass(frozen=True)
class Design:
    """What all comparisons of a board have in common.

    Attributes:
        folds: K; 1 for an official cut.
        repeats: Partitions, or training draws of an official cut.
        worth: Points of balanced accuracy that matter, fixed before the run.
        rare: Patients of the rarest class as planned, for arms that are not complete.
        unit: What is drawn: "patients" or "images".
        leaks: Of the protocol.
        unseen: Configurations once scored on these folds that the board does not show; each widens the ranges.
    """

    folds: int
    repeats: int
    worth: float
    rare: int
    unit: str
    leaks: tuple[str, ...] = ()
    unseen: int = 0


def compare_with_controls(
    arms: Sequence[Arm], scored: Mapping[Key, ArmScores], tallies: Mapping[Key, Tally], design: Design
) -> dict[Key, Judged]:
    """Compare every arm that has a control with it.

    Arms that were tested on the same images are one family, whose ranges hold jointly; one that is still to be done
    counts already, so that no range is shorter before a run ends than after it. A leaky protocol that scores
    synthetic images tests each arm on other ones: these have no gain.

    Args:
        arms: Of the board.
        scored: Complete arms.
        tallies: Of every arm.
        design: Of the board.
    """
    gains = _gains(arms, scored, _count_unfinished(arms, tallies), design)
    return {arm.key: _comparison(arm, scored, tallies, gains.get(arm.key), design) for arm in arms if arm.control}


def _count_unfinished(arms: Sequence[Arm], tallies: Mapping[Key, Tally]) -> int:
    """Count the comparisons that are planned and lack a training run."""

    def is_unfinished(key: Key) -> bool:
        return key in tallies and tallies[key].settled < tallies[key].planned

    return sum(bool(arm.control) and (is_unfinished(arm.key) or is_unfinished(arm.control_key)) for arm in arms)


def _gains(
    arms: Sequence[Arm], scored: Mapping[Key, ArmScores], unfinished: int, design: Design
) -> dict[Key, Interval]:
    pairs = {
        arm.key: (scored[arm.key], scored[arm.control_key])
        for arm in arms
        if arm.control and arm.key in scored and arm.control_key in scored
    }
    families: dict[tuple[str, ...], dict[str, tuple[ArmScores, ArmScores]]] = {}
    keys = {" / ".join(key): key for key in pairs}
    for name, key in keys.items():
        tested, of_control = (tuple(scores.names.tolist()) for scores in pairs[key])
        if tested == of_control:
            families.setdefault(tested, {})[name] = pairs[key]
    return {
        keys[name]: gain
        for family in families.values()
        for name, gain in intervals(family, folds=design.folds, unseen=design.unseen + unfinished).items()
    }


def _comparison(
    arm: Arm,
    scored: Mapping[Key, ArmScores],
    tallies: Mapping[Key, Tally],
    gain: Interval | None,
    design: Design,
) -> Judged:
    scores, of_control = scored.get(arm.key), scored.get(arm.control_key)
    tally = tallies[arm.key]
    control = tallies.get(arm.control_key, tally)
    evidence = Evidence(
        design.folds,
        design.repeats,
        planned=tally.planned,
        settled=min(tally.settled, control.settled),
        rare=design.rare if scores is None else rarest(scores),
        patients=0 if scores is None else len(set(scores.clusters.tolist())),
        failed=tally.failed,
        unit=design.unit,
        leaks=design.leaks,
        kind=tally.kind,
        control_failed=control.failed if arm.control_key in tallies else 0,
    )
    if scores is None or of_control is None:
        return Judged(gain, float("nan"), evidence, judge(gain, evidence, worth=design.worth, auroc=float("nan")))
    auroc = scores.auroc - of_control.auroc
    verdict = judge(gain, evidence, worth=design.worth, auroc=auroc)
    if verdict.word == "same" and np.array_equal(scores.correct, of_control.correct):
        verdict = replace(verdict, note=IDENTICAL)
    return Judged(gain, auroc, evidence, verdict)
