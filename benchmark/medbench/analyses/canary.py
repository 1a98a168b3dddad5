"""The canary: on drawn images whose labels are noise, what does medbench itself report?

Three things must hold. Under the honest protocol no arm tells the classes apart: the joint range of every arm's AUROC
holds .5. Under a protocol that prepares before it cuts, the accuracy is high all the same, so that the data and the
networks can show a leak. And a weak leak, one patient in ten with a picture in both parts of a cut, is found by the
audit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medbench.analyses.inflation import Inflation
from medbench.boards.board import Board
from medbench.data.audit_duplicates import find_duplicates
from medbench.data.audit_official_cut import groups_across_cut
from medbench.data.groups import link_groups
from medbench.samples import Samples
from medbench.statistics.auroc_interval import auroc_interval
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units
from medbench.statistics.student_t import two_sided

SHARE = 0.1  # of the patients of a part: the planted leak
LEAKY_ACCURACY = 0.85  # what a leak must be worth at least where nothing can be learnt


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
class Canary:
    """What was found.

    Attributes:
        arms: Under the honest protocol.
        missing: Arms without a number, with what became of them.
        leaky: Accuracy under the leaking protocol, 0 to 1; None where it was not computed.
        majority: Accuracy of always answering the commonest class.
        honest: Accuracy of the same arm under the honest protocol.
        planted: Pairs of patients with one picture in both parts.
        found: How many of them the audit found.
        alarms: Pairs of patients that the audit took for one and that were not planted.
    """

    arms: tuple[AtChance, ...]
    missing: tuple[str, ...]
    leaky: float | None
    majority: float | None
    honest: float | None
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
        if self.leaky is None or self.leaky < LEAKY_ACCURACY:
            value = "was not computed" if self.leaky is None else f"is {100 * self.leaky:.1f} %"
            faults.append(f"accuracy under the leaking protocol {value}; {100 * LEAKY_ACCURACY:.0f} % are expected")
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
    complete = [row for row in rows if row.cells and row.scores is not None]
    missing = [
        f"{row.arm.augmenter} ({row.done} of {row.planned} done, {row.failed} failed, {row.skipped} skipped)"
        for row in rows
        if row not in complete
    ]
    found = []
    for row in complete:
        interval = auroc_interval(row.cells, _constant(row.cells), folds=board.evidence.folds)
        if interval is None:
            missing.append(f"{row.arm.augmenter} (no fold holds every class)")
            continue
        # Arms share patients and are far from independent: this many independent ones are the widest case.
        half = two_sided(interval.df, comparisons=len(complete)) * interval.standard_error
        auroc = 0.5 + interval.value
        found.append(AtChance(row.arm.augmenter, auroc, auroc - half, auroc + half))
    return found, missing


def _constant(cells: Mapping[Cell, Units]) -> dict[Cell, Units]:
    """Return the units with equal probabilities for every class, whose AUROC is .5 and moves with no patient."""
    same = {cell: np.full_like(units.probabilities, 1 / units.probabilities.shape[1]) for cell, units in cells.items()}
    return {cell: dataclasses.replace(units, probabilities=same[cell]) for cell, units in cells.items()}


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


def canary(board: Board, inflation: Inflation | None, samples: Samples) -> Canary:
    """Put the three parts together.

    Args:
        board: Of the honest protocol, with the cells of all its rows kept.
        inflation: The staircase of the same study; None where it was not run.
        samples: The images of the study.
    """
    found, missing = at_chance(board)
    planted, found_pairs, alarms = plant(samples)
    return Canary(
        tuple(found),
        tuple(missing),
        inflation.own.arm if inflation else None,
        inflation.majority if inflation else None,
        inflation.steps[-1].arm if inflation and inflation.steps else None,
        planted,
        found_pairs,
        alarms,
    )
