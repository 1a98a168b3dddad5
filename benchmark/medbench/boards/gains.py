"""What each arm of a board gains over its control, and the word for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medbench.planning.arms import Arm, is_primary
from medbench.statistics.auroc_interval import auroc_intervals
from medbench.statistics.gain_intervals import Interval, intervals, rarest
from medbench.statistics.patient_scores import ArmScores
from medbench.statistics.verdicts import IDENTICAL, Evidence, Verdict, judge
from medbench.text import printed

Key = tuple[str, str]
"""Augmenter and classifier of an arm."""
CLOSED = Verdict("", "No verdict: it is tested only once the primary comparison is decided, which it is not.")


@dataclass(frozen=True)
class Judged:
    """A comparison with its control.

    Attributes:
        gain: None while one of the two is incomplete, and where they were tested on different images.
        auroc: Gain in macro AUROC, 0 to 1; NaN where it is unknown.
        evidence: What it rests on.
        verdict: The word, or why there is none.
        auroc_range: Interval of the gain in macro AUROC, by itself; None where no fold holds every class, and where
            the range of the gain says enough: where it does not lie above 0.
    """

    gain: Interval | None
    auroc: float
    evidence: Evidence
    verdict: Verdict
    auroc_range: Interval | None = None


@dataclass(frozen=True)
class Tally:
    """Cells of an arm: planned, settled (done, or failed for good), failed, the kind of the failures, and left out."""

    planned: int
    settled: int
    failed: int = 0
    kind: str = "failed"
    skipped: int = 0


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
        overlap: Of an official cut: the part of the training patients that two repeats share, 0 to 1.
        primary: Comparison that is tested first and by itself, see :func:`.is_primary`; "" tests all together.
    """

    folds: int
    repeats: int
    worth: float
    rare: int
    unit: str
    leaks: tuple[str, ...] = ()
    unseen: int = 0
    overlap: float = 0.0
    primary: str = ""


def compare_with_controls(
    arms: Sequence[Arm], scored: Mapping[Key, ArmScores], tallies: Mapping[Key, Tally], design: Design
) -> dict[Key, Judged]:
    """Compare every arm that has a control with it.

    Arms that were tested on the same images are one family, whose ranges hold jointly; one that is still to be done
    counts already, so that no range is shorter before a run ends than after it. A leaky protocol that scores
    synthetic images tests each arm on other ones: these have no gain.

    A declared primary comparison is a family of its own, tested first; the others are a family behind it, which gets no
    word before the primary one has: so at most one table in twenty holds a wrong word, as without one.

    Args:
        arms: Of the board.
        scored: Complete arms.
        tallies: Of every arm.
        design: Of the board.
    """
    compared = [arm for arm in arms if arm.control]
    primary = [arm for arm in compared if is_primary(arm, design.primary)]
    others = [arm for arm in compared if arm not in primary]
    gains = family_gains(compared, scored, tallies, design)
    ranges = _auroc_ranges(compared, scored, gains, design)
    found = {
        arm.key: _comparison(arm, scored, tallies, (gains.get(arm.key), ranges.get(arm.key)), design)
        for arm in compared
    }
    if any(found[arm.key].verdict.word in ("", "can't tell") for arm in primary):
        for arm in others:
            if found[arm.key].verdict.word:
                found[arm.key] = replace(found[arm.key], verdict=CLOSED)
    return found


def family_gains(
    arms: Sequence[Arm], scored: Mapping[Key, ArmScores], tallies: Mapping[Key, Tally], design: Design
) -> dict[Key, Interval]:
    """Compute the gains of arms over their controls: the primary comparison by itself, the others jointly."""
    primary = [arm for arm in arms if is_primary(arm, design.primary)]
    others = [arm for arm in arms if arm not in primary]
    gains = _gains(others, scored, _count_unfinished(others, tallies), design)
    return gains | _gains(primary, scored, _count_unfinished(primary, tallies), replace(design, unseen=0))


def _auroc_ranges(
    arms: Sequence[Arm], scored: Mapping[Key, ArmScores], gains: Mapping[Key, Interval], design: Design
) -> Mapping[Key, Interval | None]:
    """Compute the ranges of the gains in AUROC where a word depends on one: where a gain lies above 0."""
    if not any(printed(gain.low) > 0 for gain in gains.values()):
        return {}
    pairs = {" / ".join(a.key): (scored[a.key], scored[a.control_key]) for a in arms if a.key in gains}
    found = auroc_intervals(pairs, folds=design.folds, overlap=design.overlap)
    return {arm.key: found[" / ".join(arm.key)] for arm in arms if arm.key in gains}


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
        for name, gain in intervals(
            family, folds=design.folds, overlap=design.overlap, unseen=design.unseen + unfinished
        ).items()
    }


def _comparison(
    arm: Arm,
    scored: Mapping[Key, ArmScores],
    tallies: Mapping[Key, Tally],
    ranges: tuple[Interval | None, Interval | None],
    design: Design,
) -> Judged:
    """Judge an arm by the ranges of its gain and of its gain in AUROC."""
    gain, auroc_range = ranges
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
        overlap=design.overlap,
        skipped=max(tally.skipped, control.skipped),
    )
    if scores is None or of_control is None:
        return Judged(gain, float("nan"), evidence, judge(gain, evidence, worth=design.worth, auroc=float("nan")))
    auroc = scores.auroc - of_control.auroc
    verdict = judge(gain, evidence, worth=design.worth, auroc=auroc, auroc_range=auroc_range)
    if verdict.word and not tally.failed and np.array_equal(scores.correct, of_control.correct):
        verdict = replace(verdict, note=IDENTICAL)
    return Judged(gain, auroc, evidence, verdict, auroc_range)
