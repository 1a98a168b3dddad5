"""The words of a table: one function reads them off the printed interval.

*better*: the whole range lies above 0, and AUROC gains too; *threshold*: AUROC does not; *worse*: the whole range lies
below 0; *same*: it lies within ± what is worth having; else *can't tell*. "No difference" is never said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medbench.statistics.intervals import Interval
from medbench.text import counted, printed

FEWEST_RARE = 20
FEWEST_REPEATS = 3
FEWEST_FOLDS = 5
MOST_FAILED = 10
"""One cell in so many may have failed: each holds its control's predictions, so that leaving out bad folds, by bad luck
or on purpose, lifts an arm up to its control there."""

Word = Literal["better", "worse", "same", "can't tell", "threshold", ""]

MARKS: dict[Word, str] = {"better": "+", "worse": "-", "same": "=", "can't tell": ".", "threshold": "t", "": ""}


@dataclass(frozen=True)
class Evidence:
    """What a comparison stands on.

    Attributes:
        folds: K; 1 for an official cut.
        repeats: Partitions, or training draws of an official cut.
        planned: Cells planned.
        settled: Cells done or failed for good, of the arm and of its control, whichever has fewer.
        failed: Cells of the arm that failed for good and hold its control's predictions.
        rare: Patients of the rarest class.
        patients: Patients tested.
        unit: What they are called: "images" where nobody said who is who.
        leaks: What the protocol leaks; never ranked where it leaks anything.
        kind: Kind of the failures: "diverged", "out of memory".
        control_failed: Cells of its control that failed for good and hold predictions of the control's own control.
    """

    folds: int
    repeats: int
    planned: int
    settled: int
    rare: int
    patients: int
    failed: int = 0
    unit: str = "patients"
    leaks: tuple[str, ...] = ()
    kind: str = "failed"
    control_failed: int = 0

    @property
    def is_rehearsal(self) -> bool:
        """Whether there are fewer than 5 folds x 3 repeats, or 3 repeats of an official cut."""
        return self.repeats < FEWEST_REPEATS or 1 < self.folds < FEWEST_FOLDS

    @property
    def failures(self) -> str:
        """``2 of 15 diverged``, or nothing."""
        return f"{self.failed} of {self.planned} {self.kind}" if self.failed else ""


@dataclass(frozen=True)
class Verdict:
    """A word, or why there is none.

    Attributes:
        word: Empty where it is withheld.
        withheld: The sentence that says why; empty where there is a word.
        note: A sentence to stand beside the word; usually empty.
    """

    word: Word
    withheld: str = ""
    note: str = ""

    @property
    def mark(self) -> str:
        """One character for tables of several data sets."""
        return MARKS[self.word]


def judge(interval: Interval | None, evidence: Evidence, *, worth: float, auroc: float) -> Verdict:
    """Read the word off an interval as it is printed, to a tenth of a point.

    Args:
        interval: None while the arm or its control is incomplete.
        evidence: What it stands on.
        worth: Points of balanced accuracy that matter, fixed before the run.
        auroc: Gain in macro AUROC, 0 to 1.
    """
    if why := withheld(evidence):
        return Verdict("", why)
    if interval is None:
        return Verdict("", f"{evidence.settled} of {evidence.planned} cells done: no verdict yet.")
    low, high = printed(interval.low), printed(interval.high)
    if low > 0:
        if auroc != auroc:
            return Verdict("", "No fold holds every class, so AUROC is unknown: numbers, no verdict.")
        small = f"All of the range lies below the {worth:g} points that matter." if high < worth else ""
        return Verdict("better" if auroc > 0 else "threshold", note=small)
    if high < 0:
        return Verdict("worse")
    if -worth <= low and high <= worth:
        if not evidence.failed:
            return Verdict("same")
        # An arm that failed everywhere would be the same as its control to the last digit.
        return Verdict("can't tell", note=f"{evidence.failures}: what its control decided cannot make it the same.")
    return Verdict("can't tell")


def withheld(evidence: Evidence) -> str:
    """Return the weightiest sentence that says why there is no verdict; "" where there may be one."""
    return next(iter(reasons(evidence)), "")


def reasons(evidence: Evidence) -> list[str]:
    """Return every sentence that says why there is no verdict, the weightiest first."""
    e = evidence
    said = []
    if e.leaks:
        said.append(f"The protocol LEAKS by design: {', '.join(e.leaks)}. Numbers, no verdict.")
    if e.settled < e.planned:
        said.append(f"{e.settled} of {e.planned} cells done: no verdict yet.")
    if e.failed and e.failed >= e.planned:
        said.append(f"{e.failures}: no verdict.")
    elif MOST_FAILED * e.failed > e.planned:
        said.append(f"{e.failures}, more than one cell in {MOST_FAILED}: no verdict.")
    if MOST_FAILED * e.control_failed > e.planned:
        said.append(f"{e.control_failed} of {e.planned} cells of its control failed: no verdict.")
    if e.rare < FEWEST_RARE:
        said.append(f"{counted(e.rare, e.unit.removesuffix('s'))} of the rarest class: numbers, no verdict.")
    if e.is_rehearsal:
        cells = f"{FEWEST_REPEATS} repeats" if e.folds == 1 else f"{FEWEST_FOLDS} folds x {FEWEST_REPEATS} repeats"
        said.append(f"REHEARSAL: a verdict takes at least {cells}.")
    return said


IDENTICAL = "It is right and wrong about the very same patients as its control."
