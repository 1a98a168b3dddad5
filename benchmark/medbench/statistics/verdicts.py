"""Verdicts: the rule that gives a comparison its word, and how each word is shown.

*better*: the whole range lies above 0; *threshold*: so it does, and the whole range of the gain in AUROC lies below
what is worth having; *worse*: the whole range lies below 0; *same*: it lies within ± what is worth having; else *can't
tell*. "No difference" is never said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

from medbench.glossary import TERMS
from medbench.statistics.gain_intervals import MOST_SHARED, Interval
from medbench.text import auroc_text, counted, printed

FEWEST_RARE = 20
FEWEST_REPEATS = 3
FEWEST_FOLDS = 5
MOST_FAILED = 10
"""One cell in so many may have failed: each holds its control's predictions, so that leaving out bad folds, by bad luck
or on purpose, lifts an arm up to its control there."""

GivenWord = Literal["better", "worse", "same", "can't tell", "threshold"]
Word = Literal[GivenWord, ""]
"""A word, or "" where it is withheld."""


@dataclass(frozen=True)
class WordStyle:
    """How one word is shown wherever it stands.

    Attributes:
        text: What people read.
        mark: One character for tables of several data sets.
        colour: In figures, as ``#rrggbb``, of Okabe and Ito (2008): told apart with every common kind of colour
            blindness. "" where nothing stands out. The word always stands beside it.
        rank: 0 for the best; words of one rank are ordered by the lower end of their range.
        meaning: One sentence for readers of a page.
    """

    text: str
    mark: str
    colour: str
    rank: int
    meaning: str


WORDS: Mapping[GivenWord, WordStyle] = {
    "better": WordStyle("better", "+", "#0072b2", 0, TERMS["better"].meaning),
    "threshold": WordStyle(
        "only the decision threshold moved", "t", "#e69f00", 1, TERMS["only the decision threshold moved"].meaning
    ),
    "same": WordStyle("no relevant difference", "=", "#009e73", 2, TERMS["no relevant difference"].meaning),
    "can't tell": WordStyle("inconclusive", ".", "", 2, TERMS["inconclusive"].meaning),
    "worse": WordStyle("worse", "-", "#d55e00", 3, TERMS["worse"].meaning),
}
"""Every word as results store it, from the best to the worst, and how people read it."""
IDENTICAL = "It is right and wrong about the very same patients as the method it is compared with."
LEAK_NAMES: Mapping[str, str] = {
    "copy": "copies of test images in training",
    "fitted-on-test": "a scaler, encoder or generator learned from test images",
    "same-patient": "images of one patient in training and test",
    "synthetic-scored": "generated images are tested",
    "unequal-steps": "more training steps than the method above it",
    "selected-on-test": "the best epoch was chosen on test images",
}
"""What a leak is, by what protocols call it."""


@dataclass(frozen=True)
class Evidence:
    """What a comparison rests on.

    Attributes:
        folds: K; 1 for an official cut.
        repeats: Partitions, or training draws of an official cut.
        planned: Cells planned.
        settled: Cells that are done or failed for good, of the arm or of its control, whichever has fewer.
        failed: Cells of the arm that failed for good and hold its control's predictions.
        rare: Patients of the rarest class.
        patients: Patients tested.
        unit: What they are called: "images" where patients are unknown.
        leaks: What the protocol leaks; never ranked where it leaks anything.
        kind: Kind of the failures: "diverged", "resources"; "failed" where they differ.
        control_failed: Cells of its control that failed for good and hold predictions of the control's own control.
        overlap: Of an official cut: the part of the training patients that two repeats share, 0 to 1.
        skipped: Cells that make no sense and were left out, of the arm or of its control, whichever has more.
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
    overlap: float = 0.0
    skipped: int = 0

    @property
    def unsettled(self) -> str:
        """Why there is no gain yet, or never will be: ``12 of 15 done``; "" where every cell is settled."""
        if self.settled >= self.planned:
            return ""
        if self.settled + self.skipped >= self.planned:
            return f"{self.skipped} of {self.planned} left out"
        return f"{self.settled} of {self.planned} done"

    @property
    def is_rehearsal(self) -> bool:
        """Whether there are fewer than 5 folds x 3 repeats, or 3 repeats of an official cut."""
        return self.repeats < FEWEST_REPEATS or 1 < self.folds < FEWEST_FOLDS

    @property
    def failures(self) -> str:
        """``2 of 15 diverged``, or nothing."""
        return failures(self.failed, self.planned, (self.kind,)) if self.failed else ""


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
        return WORDS[self.word].mark if self.word else ""


def failures(failed: int, planned: int, kinds: Sequence[str]) -> str:
    """Say how many training runs failed and how: ``2 of 15 diverged``, ``2 of 15 failed (data, resources)``."""
    how = kinds[0] if len(kinds) == 1 and kinds[0] in ("diverged", "failed") else f"failed ({', '.join(kinds)})"
    return f"{failed:,} of {planned:,} {how}"


def judge(
    interval: Interval | None, evidence: Evidence, *, worth: float, auroc: float, auroc_range: Interval | None = None
) -> Verdict:
    """Read the word off an interval as it is printed, to a tenth of a point.

    Args:
        interval: None while the arm or its control is incomplete.
        evidence: What it rests on.
        worth: Points of balanced accuracy that matter, fixed before the run.
        auroc: Gain in macro AUROC, 0 to 1.
        auroc_range: Its interval, by itself; needed where the range of the gain lies above 0.
    """
    if why := reason_withheld(evidence):
        return Verdict("", why)
    if interval is None:
        return Verdict("", f"{evidence.settled} of {evidence.planned} training runs done, so no verdict yet.")
    ends = None if auroc_range is None else (auroc_range.low, auroc_range.high)
    word = word_of(interval.low, interval.high, worth=worth, auroc=auroc, auroc_ends=ends, failed=evidence.failed)
    if not word:
        return Verdict("", "No fold holds every class, so AUROC is unknown: no verdict.")
    notes = []
    if word == "better" and is_open(ends):
        notes.append(open_auroc(auroc, ends))
    if word in ("better", "threshold") and printed(interval.high) < worth:
        notes.append(f"The whole interval lies below the {worth:g} points that are relevant.")
    if word == "can't tell" and word_of(interval.low, interval.high, worth=worth, auroc=auroc) == "same":
        # An arm that failed everywhere would be the same as its control to the last digit.
        notes.append(f"{evidence.failures}: they count with the predictions of the method it is compared with.")
    return Verdict(word, note=" ".join(notes))


def is_open(auroc_ends: tuple[float, float] | None) -> TypeGuard[tuple[float, float]]:
    """Say whether a gain in AUROC may be none, by its range."""
    return auroc_ends is not None and printed(auroc_ends[0]) <= 0


def open_auroc(auroc: float, ends: tuple[float, float]) -> str:
    """Say that a gain in AUROC may be none."""
    low, high = map(auroc_text, ends)
    return f"The gain in AUROC is open ({auroc_text(auroc)}, 95 % CI {low} to {high})."


def word_of(
    low: float,
    high: float,
    *,
    worth: float,
    auroc: float,
    auroc_ends: tuple[float, float] | None = None,
    failed: int = 0,
) -> Word:
    """Return the word for a range as it is printed, to a tenth of a point; the one rule for words.

    Args:
        low: Lower end of the joint range of the gain in balanced accuracy, -1 to 1.
        high: Its upper end.
        worth: Points of balanced accuracy that matter.
        auroc: Gain in macro AUROC, -1 to 1; NaN where it is unknown.
        auroc_ends: Ends of its range. None where nobody knows them, as in what was published before they counted: then
            its sign decides.
        failed: Cells of the arm that failed for good; with any, nothing is the same.

    Returns:
        "" where the range lies above 0 and the gain in AUROC is unknown.
    """
    low, high = printed(low), printed(high)
    if low > 0:
        if auroc != auroc:
            return ""
        moved_only = auroc <= 0 if auroc_ends is None else printed(auroc_ends[1]) < worth
        return "threshold" if moved_only else "better"
    if high < 0:
        return "worse"
    return "same" if -worth <= low and high <= worth and not failed else "can't tell"


def fails_too_often(failed: int, planned: int) -> bool:
    """Say whether more than one cell in MOST_FAILED failed, so that no word is given."""
    return MOST_FAILED * failed > planned


def reason_withheld(evidence: Evidence) -> str:
    """Return the weightiest sentence that says why there is no verdict; "" where there may be one."""
    return next(iter(reasons(evidence)), "")


def reasons(evidence: Evidence) -> list[str]:
    """Return every sentence that says why there is no verdict, the weightiest first."""
    e = evidence
    found = []
    if e.leaks:
        found.append(f"Leaky protocol, so no verdict: {', '.join(LEAK_NAMES.get(leak, leak) for leak in e.leaks)}.")
    if e.settled + e.skipped < e.planned:
        found.append(f"{e.settled} of {e.planned} training runs done, so no verdict yet.")
    elif e.settled < e.planned:
        found.append(f"{e.skipped} of {e.planned} training runs were left out, so no verdict.")
    if e.failed and e.failed >= e.planned:
        found.append(f"{e.failures}, so no verdict.")
    elif fails_too_often(e.failed, e.planned):
        found.append(f"{e.failures}, more than one training run in {MOST_FAILED}, so no verdict.")
    if fails_too_often(e.control_failed, e.planned):
        of_all = f"{e.control_failed} of {e.planned} training runs"
        found.append(f"{of_all} of the method it is compared with failed, so no verdict.")
    if e.overlap > MOST_SHARED:
        found.append(
            f"All repeats train on the same patients ({e.overlap:.0%} shared), so the interval is for these training "
            "patients alone, and there is no verdict: draw fewer for each (patients=N in the brackets of --protocol)."
        )
    if e.rare < FEWEST_RARE:
        found.append(
            f"Only {counted(e.rare, e.unit.removesuffix('s'))} in the rarest class, so no verdict: it needs "
            f"{FEWEST_RARE}."
        )
    if e.is_rehearsal:
        needed = f"{FEWEST_REPEATS} repeats (--repeats {FEWEST_REPEATS})"
        if e.folds > 1:
            needed = (
                f"{FEWEST_FOLDS}-fold cross-validation repeated {FEWEST_REPEATS} times (--folds {FEWEST_FOLDS} "
                f"--repeats {FEWEST_REPEATS})"
            )
        found.append(f"Practice run, so no verdict: a verdict needs {needed}.")
    return found
