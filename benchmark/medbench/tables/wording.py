"""The sentences of tables and pages: what stands under a board, beside a word, or where a word is withheld.

No word is decided here; :func:`medbench.statistics.verdicts.judge` reads them off the intervals.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from medbench.statistics.intervals import Interval
from medbench.statistics.power import patients_to_see, seen
from medbench.statistics.verdicts import Evidence, Verdict, Word
from medbench.text import auroc_text, listed, points, printed

PHANTOM = "PHANTOM DATA: this shows that medbench works, nothing about patients. Yours: medbench init FOLDER"
ESTIMAND = "Expected gain over its control, trained on so many such patients."
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


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
        comparisons: Size of the family, as :class:`medbench.statistics.intervals.Interval` holds it.
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
