"""The words of a table: one function reads them off the printed interval, others write the sentences around them.

*better*: the whole range lies above 0, and AUROC gains too; *threshold*: AUROC does not; *worse*: the whole range lies
below 0; *same*: it lies within ± what is worth having; else *can't tell*. "No difference" is never said.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from medbench.forecast import patients_to_see, seen
from medbench.intervals import Interval
from medbench.text import counted

FEWEST_RARE = 20
FEWEST_REPEATS = 3
FEWEST_FOLDS = 5

Word = Literal["better", "worse", "same", "can't tell", "threshold", ""]

MARKS: dict[Word, str] = {"better": "+", "worse": "-", "same": "=", "can't tell": ".", "threshold": "t", "": ""}

PHANTOM = "PHANTOM DATA: this shows that medbench works, nothing about patients. Yours: medbench init FOLDER"
IDENTICAL = "It is right and wrong about the very same patients as its control."
ESTIMAND = "Expected gain over its control, trained on so many such patients."

_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


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
    if e.rare < FEWEST_RARE:
        said.append(f"{counted(e.rare, e.unit.removesuffix('s'))} of the rarest class: numbers, no verdict.")
    if e.is_rehearsal:
        cells = f"{FEWEST_REPEATS} repeats" if e.folds == 1 else f"{FEWEST_FOLDS} folds x {FEWEST_REPEATS} repeats"
        said.append(f"REHEARSAL: a verdict takes at least {cells}.")
    return said


def printed(value: float) -> float:
    """Return a gain in points as tables print it, to one digit."""
    return float(f"{100 * value:.1f}")


def answer(
    verdict: Verdict,
    interval: Interval | None,
    evidence: Evidence,
    *,
    arm: str,
    control: str,
    worth: float,
    auroc: float,
    auroc_range: tuple[float, float] | None = None,
) -> str:
    """Answer "Does ARM help?" in the sentences that belong to a word.

    Args:
        verdict: As :func:`judge` gave it for the same interval, evidence, worth and AUROC.
        interval: None while the arm or its control is incomplete.
        evidence: What it stands on.
        arm: Name to print.
        control: Name to print.
        worth: Points that matter.
        auroc: Gain in macro AUROC, 0 to 1.
        auroc_range: Its range, where that is known.
    """
    if interval is None or verdict.withheld:
        return verdict.withheld
    gain, span = points(interval.value), f"{points(interval.low)} to {points(interval.high)}"
    if verdict.word == "better":
        said = (
            f"Yes: {arm} gains {gain} points over {control} (95 % range {span}), also in AUROC ({auroc_text(auroc)})."
        )
    elif verdict.word == "threshold":
        ends = f" ({auroc_text(auroc_range[0])} to {auroc_text(auroc_range[1])})" if auroc_range else ""
        said = f"{arm} moves the threshold: balanced accuracy {gain}, AUROC {auroc_text(auroc)}{ends}."
    elif verdict.word == "same":
        said = f"No: {arm} is within {worth:g} points of {control} ({span})."
    elif verdict.word == "worse":
        said = f"{arm} costs {abs(printed(interval.value)):.1f} points."
    else:
        said = f"Can't tell. {arm} gains {gain} over {control} ({span}). {sight(interval, evidence, worth=worth)}"
    return f"{said} {verdict.note}".strip()


def sight(interval: Interval, evidence: Evidence, *, worth: float) -> str:
    """Say what the design sees in this comparison and how many patients it takes to see what matters."""
    sees = 100 * seen(interval)
    first = f"This design sees {sees:.1f} points or more"
    if sees <= worth:
        return f"{first}."
    if evidence.folds == 1 and interval.between_trainings > interval.between_patients:
        return f"{first}; most of that is noise of {evidence.repeats} training draws, which more --repeats narrow."
    needed = patients_to_see(worth, sees=sees, patients=evidence.patients)
    return f"{first}; seeing {worth:g} takes about {needed:,} such {evidence.unit}."


def what_helps(found: Sequence[tuple[str, Verdict, Interval]]) -> str:
    """Name the arms that are better, the surest first, by what they gain; "" where none is."""
    better = sorted((f for f in found if f[1].word == "better"), key=lambda f: (-f[2].low, f[0]))
    each = [f"{name}, {points(i.value)} ({points(i.low)} to {points(i.high)})" for name, _, i in better]
    return f"What helps: {'; '.join(each)}." if each else ""


def looks(comparisons: int, configurations: int) -> str:
    """Say over how many comparisons the ranges hold jointly, and how many configurations were ever looked at.

    Args:
        comparisons: Size of the family, as :class:`medbench.intervals.Interval` holds it.
        configurations: Ever scored on these folds in this store, shown or not, controls among them.
    """
    jointly = f"Ranges hold jointly for {comparisons} comparisons" if comparisons != 1 else "One comparison"
    if not comparisons:
        jointly = "Nothing is compared yet"
    plural = "" if configurations == 1 else "s"
    verb = "was" if configurations == 1 else "were"
    return f"{jointly}; {configurations} configuration{plural} {verb} ever scored here"


def cases(datasets: int) -> str:
    """Say that so few data sets are no sample; "" for one, where nothing could be averaged."""
    if datasets < 2:
        return ""
    count = _NUMBERS.get(datasets, str(datasets))
    return f"Not averaged over data sets: {count} are {count} cases, not a sample."


def legend(worth: float, words: Sequence[Word] = ()) -> str:
    """Explain the marks; the one for the threshold only where `words` holds it."""
    said = f"+ better   - worse   = same within {worth:g} points   . can't tell"
    return f"{said}   t threshold" if "threshold" in words else said


def yardstick(kind: Literal["seeds", "fewer", "average"], *, trainings: int = 3, cost: str = "") -> tuple[str, str]:
    """Return the name of a yardstick's row and what stands there instead of a verdict.

    Args:
        kind: The control with other seeds, with three quarters of the patients, or averaged over trainings.
        trainings: How many were averaged.
        cost: What the average cost, as the table writes times: "8m".
    """
    if kind == "seeds":
        return "the same, other seeds", "training noise"
    if kind == "fewer":
        return "3/4 of the patients", "what data buys"
    return f"{trainings} trainings averaged", f"what {cost} buy" if cost else "what time buys"


def at_twice(
    steps: int, before: Interval | None, after: Interval | None, *, arm: str, control: str, settled: int, planned: int
) -> str:
    """Say what became of a gain at twice the steps.

    Args:
        steps: Twice the study's.
        before: The gain at the study's steps.
        after: The gain at twice the steps; None before every training is settled.
        arm: Name to print.
        control: Name to print.
        settled: Trainings from which nothing more is expected.
        planned: Trainings of the check.
    """
    if after is None:
        return f"At {steps:,} steps: {settled} of {planned} trainings of {arm} and {control} settled, no gain yet."
    span = f"{points(after.low)} to {points(after.high)}"
    instead = f" instead of {points(before.value)}" if before is not None else ""
    return f"At {steps:,} steps: {points(after.value)} ({span}){instead}, {arm} over {control}."


def by_size(found: Sequence[tuple[float, Word]], *, arm: str, control: str) -> str:
    """Say at which training sizes an arm has which word, and up to or from which one it helps; "" without any word.

    Args:
        found: Training patients, ascending, and the word there; "" where it was withheld.
        arm: Name to print.
        control: Name to print.
    """
    known = [(f"{size:,.0f}", word) for size, word in found if word]
    if not known:
        return ""
    groups = [(word, [size for size, _ in run]) for word, run in itertools.groupby(known, key=lambda item: item[1])]
    each = "; ".join(f"{word} at {listed(sizes)} patients" for word, sizes in groups)
    said = f"{arm} over {control}: {each}."
    helps = [word == "better" for word, _ in groups]
    if len(known) < len(found) or sum(helps) != 1:
        return said
    if len(groups) == 1:
        return f"{said} It helps at every size looked at."
    if helps[0]:
        return f"{said} Up to {groups[0][1][-1]} patients it helps; from {groups[1][1][0]} on no gain is seen."
    if helps[-1]:
        return f"{said} From {groups[-1][1][0]} patients on it helps; up to {groups[-2][1][-1]} no gain is seen."
    return said


def by_board(found: Sequence[tuple[str, Word]], *, arm: str, control: str) -> str:
    """Say on which boards an arm has which word; "" without any board.

    Args:
        found: Name of the board and the word there; "" where it was withheld.
        arm: Name to print.
        control: Name to print.
    """
    named: dict[str, list[str]] = {}
    for board, word in found:
        named.setdefault(word or "no verdict", []).append(board)
    if list(named) == ["no verdict"]:
        return f"{arm} over {control}: no verdict on any of {len(found)} boards."
    each = "; ".join(f"{word} with {listed(boards)}" for word, boards in named.items())
    return f"{arm} over {control}: {each}." if each else ""


def listed(texts: Sequence[str]) -> str:
    """Write ``50, 100 and 300``."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def still_improving(arms: Sequence[str]) -> str:
    """Name the arms whose validation loss still fell at the end in more than half of the folds; "" for none."""
    if not arms:
        return ""
    each = ", ".join(arms)
    return f"Still improving in more than half of the folds when training ended: {each}. See --check-steps."


def generator_poor(arms: Sequence[tuple[str, str]]) -> str:
    """Explain the mark ``g``: which generators are poor and why; "" for none.

    Args:
        arms: Name and reason of each.
    """
    if not arms:
        return ""
    each = "; ".join(f"{name}: {why}" for name, why in arms)
    return f"g  generator poor, says little about GANs: {each}"


def copies(arms: Sequence[tuple[str, int, int]]) -> str:
    """Say how many made images are copies of training images; "" where none was looked at.

    Args:
        arms: Name, copies and images looked at.
    """
    each = ", ".join(f"{name} {n:,} of {of:,}" for name, n, of in arms if of)
    return f"Made images that are copies of training images: {each}; up to 1 in 100 by chance." if each else ""


def duration(seconds: float) -> str:
    """Write a time as boards do, in at most three digits: ``41m``."""
    if seconds < 100:
        return f"{seconds:.0f}s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.0f}h"


def points(value: float) -> str:
    """Write a gain in points, signed: ``+1.4``."""
    return f"{100 * value:+z.1f}"


def auroc_text(value: float) -> str:
    """Write a gain in AUROC, signed, without the zero before the point: ``+.012``."""
    return f"{value:+z.3f}".replace("0.", ".", 1)
