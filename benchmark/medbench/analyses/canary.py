"""The canary: on drawn images whose labels are noise, what does medbench itself report?

Three things must hold. Under the honest protocol no arm tells the classes apart, and no leak is named: the joint range
of every arm's AUROC holds .5. Each leak that a protocol can have is named in every trial where it is planted, and
those that put copies of what is scored into training lift the AUROC of the same arm, by the same cuts, seeds and
steps: so the data, the network and the steps can show a leak. And a weak leak, one patient in ten with a picture in
both parts of a cut, is found by the audit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medbench.boards.board import Board
from medbench.data.audit_duplicates import find_duplicates
from medbench.data.audit_official_cut import groups_across_cut
from medbench.data.groups import link_groups
from medbench.planning.study import Study
from medbench.protocols.protocol import protocol
from medbench.protocols.protocol_text import with_leaks
from medbench.samples import Samples
from medbench.statistics.auroc_interval import auroc_interval
from medbench.statistics.patient_scores import ArmScores
from medbench.statistics.student_t import two_sided

SHARE = 0.1  # of the patients of a part: the planted leak
LEAKY_AUROC = 0.8  # what a leak that pays must reach at least where nothing can be learnt
PAYING = ("synthetic-scored", "copies")
"""Switches of a protocol that must pay: under them nearly every scored image has a copy of itself in training."""
NAMES = {
    "synthetic-scored": "synthetic-scored",
    "copies": "copy",
    "fitted-on-all": "fitted-on-test",
    "images": "same-patient",
    "steps": "unequal-steps",
    "selection": "selected-on-test",
}
"""What must be found where a switch is on, by the name in :data:`medbench.protocols.leaks.LEAKS`.

The switches of one part alone are not planted: the canary's arm is one of pixels, with no scaler and no encoder."""


@dataclass(frozen=True)
class AtChance:
    """What an arm makes of labels that are noise.

    Attributes:
        name: Text of the augmenter.
        auroc: Macro AUROC, 0 to 1; NaN where it is not defined.
        low: Lower end of the range that holds jointly for all arms.
        high: Its upper end.
    """

    name: str
    auroc: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether .5 lies in the range."""
        return self.low <= 0.5 <= self.high


@dataclass(frozen=True)
class PlantedLeak:
    """What one arm shows under one protocol.

    Attributes:
        switch: The leak, one of NAMES; "" for the honest protocol.
        named: Leaks that were found in every trial; under the honest protocol, in any.
        auroc: Macro AUROC, 0 to 1; None where it was not computed.
    """

    switch: str
    named: tuple[str, ...]
    auroc: float | None

    @property
    def faults(self) -> list[str]:
        """Return a sentence for everything that is not as it must be."""
        if not self.switch:
            wrong = [f"without a leak, {', '.join(self.named)} was found"] if self.named else []
            return wrong if self.auroc is not None else [*wrong, "without a leak, there is no AUROC"]
        faults = []
        if NAMES[self.switch] not in self.named:
            faults.append(f"the leak {self.switch} was not found by its name in every training run")
        if self.switch in PAYING and (self.auroc is None or self.auroc < LEAKY_AUROC):
            value = "was not computed" if self.auroc is None else f"is {self.auroc:.3f}"
            faults.append(f"AUROC under the leak {self.switch} {value}; {LEAKY_AUROC:.2f} is expected at least")
        return faults


@dataclass(frozen=True)
class Canary:
    """What was found.

    Attributes:
        arms: Under the honest protocol.
        missing: Arms without a number, with what became of them.
        leaks: One arm under the honest protocol, then under each leak by itself.
        planted: Pairs of patients with one picture in both parts.
        found: How many of them the audit found.
        alarms: Pairs of patients that the audit took for one and that were not planted.
    """

    arms: tuple[AtChance, ...]
    missing: tuple[str, ...]
    leaks: tuple[PlantedLeak, ...]
    planted: int
    found: int
    alarms: int

    @property
    def reach(self) -> float:
        """How far from .5 the widest range allows an AUROC to be: what the canary cannot see."""
        return max((arm.high - arm.auroc for arm in self.arms), default=float("nan"))

    @property
    def faults(self) -> list[str]:
        """Return a sentence for everything that is not as it must be."""
        faults = [
            f"{arm.name}: AUROC {arm.auroc:.3f} on labels that are noise; its joint range, {arm.low:.3f} to "
            f"{arm.high:.3f}, leaves out .5"
            for arm in self.arms
            if not arm.holds
        ]
        faults += [f"{name}: has no number" for name in self.missing]
        faults += [fault for leak in self.leaks for fault in leak.faults]
        if self.found < self.planted:
            faults.append(f"the audit found {self.found} of {self.planted} planted pairs")
        if self.alarms:
            faults.append(f"the audit united {self.alarms} pairs of patients that share nothing")
        return faults


def at_chance(board: Board) -> tuple[list[AtChance], list[str]]:
    """Return every arm's AUROC with its joint range, and the arms that have none.

    Args:
        board: Built with the cells of all its rows kept.
    """
    rows = board.all_rows
    complete = [(row, row.scores) for row in rows if row.scores is not None]
    missing = [
        f"{row.arm.augmenter} ({row.done} of {row.planned} done, {row.failed} failed, {row.skipped} skipped)"
        for row in rows
        if row.scores is None
    ]
    found = []
    for row, scores in complete:
        e = board.evidence
        interval = auroc_interval(scores, _at_chance(scores), folds=e.folds, overlap=e.overlap)
        if interval is None:
            missing.append(f"{row.arm.augmenter} (no fold holds every class)")
            continue
        # Arms share patients and are far from independent: this many independent ones are the widest case.
        half = two_sided(interval.df, comparisons=len(complete)) * interval.standard_error
        auroc = 0.5 + interval.value
        found.append(AtChance(row.arm.augmenter, auroc, auroc - half, auroc + half))
    return found, missing


def _at_chance(scores: ArmScores) -> ArmScores:
    """Return the scores of equal probabilities for every class, whose AUROC is .5 and moves with no patient."""
    aurocs = np.where(np.isfinite(scores.aurocs), 0.5, np.nan)
    return dataclasses.replace(scores, auroc=0.5, aurocs=aurocs, auroc_moves=np.zeros_like(scores.auroc_moves))


def plant(samples: Samples, *, share: float = SHARE) -> tuple[int, int, int]:
    """Cut patients in two, put a picture of some of one part into the other under another name, and audit that.

    The copies are a little brighter, so that no two files or pixels are equal.

    Args:
        samples: Real rows, ``uint8`` pixels.
        share: Of the patients of the test part.

    Returns:
        Pairs planted, pairs found across the cut, and other pairs of patients that were united.
    """
    groups = np.unique(samples.groups)
    test = groups[::2]  # names are in no order that matters
    chosen = test[:: max(1, round(1 / share))]
    rows = [int(np.flatnonzero(samples.groups == group)[0]) for group in chosen]
    brighter = np.clip(samples.x[rows].astype(np.int16) + 12, 0, 255).astype(np.uint8)
    x = np.concatenate([samples.x, brighter])
    declared = [*samples.groups.tolist(), *(f"planted {n}" for n in range(len(rows)))]
    parts = ["test" if group in set(test.tolist()) else "train" for group in samples.groups.tolist()]
    pairs = find_duplicates(x, declared)
    united = link_groups(np.array(declared), [(pair.first, pair.second) for pair in pairs])
    ids = [*samples.ids.tolist(), *(f"planted {n}" for n in range(len(rows)))]
    blocks = groups_across_cut(ids, [*parts, *["train"] * len(rows)], declared, united.tolist())
    found = int(np.sum(united[len(samples) :] == united[rows])) if "duplicate-across-cut" in blocks else 0
    merged = len(set(declared)) - len(set(united.tolist()))
    return len(rows), found, merged - found


def with_each_leak(study: Study) -> Study:
    """Return the study that runs one arm under the honest protocol and under every leak by itself.

    Args:
        study: The canary; its ``[inflation]`` table names the arm.
    """
    assert study.inflation is not None
    honest = next(text for text in study.protocols if protocol(text).is_honest)
    # Synthetic images can be scored only where they are there before the cut.
    leaks = [("synthetic-scored", "copies") if leak == "synthetic-scored" else (leak,) for leak in NAMES]
    changes = {
        "name": f"{study.name}-leaks",
        "augmenters": [study.inflation.arm],
        "protocols": [honest, *(with_leaks(honest, switches) for switches in leaks)],
        "controls": False,
        "inflation": None,
    }
    return study.model_copy(update=changes)


def planted_leaks(boards: Sequence[Board]) -> list[PlantedLeak]:
    """Read what the one arm of :func:`with_each_leak` shows, the honest protocol first.

    Args:
        boards: One a protocol, built with the cells of their rows kept.
    """
    found = []
    for board in boards:
        row = board.all_rows[0]
        switches = protocol(board.protocol).switches
        named = [set(trial.leaks) for trial in row.trials.values()]
        together = (set.intersection if switches else set.union)(*named) if named else set()
        auroc = row.scores.auroc if row.scores is not None and row.failed + row.skipped == 0 else None
        switch = next((leak for leak in NAMES if leak in switches), "")
        found.append(PlantedLeak(switch, tuple(sorted(together)), auroc))
    return sorted(found, key=lambda leak: ["", *NAMES].index(leak.switch))


def canary(board: Board, leaking: Sequence[Board], samples: Samples) -> Canary:
    """Put the three parts together.

    Args:
        board: Of the honest protocol, with the cells of all its rows kept.
        leaking: Of the study made by :func:`with_each_leak`, likewise.
        samples: The images of the study.
    """
    found, missing = at_chance(board)
    planted, found_pairs, alarms = plant(samples)
    leaks = tuple(planted_leaks(leaking))
    return Canary(tuple(found), tuple(missing), leaks, planted, found_pairs, alarms)
