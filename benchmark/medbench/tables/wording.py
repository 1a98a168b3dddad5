"""The sentences of tables and pages: what stands under a board, beside a word, or where a word is withheld.

No word is decided here; :func:`medbench.statistics.verdicts.judge` reads them off the intervals.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from medbench.boards.double_steps_gain import DoubleStepsResult
from medbench.boards.gains import Judged
from medbench.boards.yardstick_results import YardstickResult
from medbench.planning.arm_names import arm_name, control_name
from medbench.planning.study import BUDGETS
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.power import patients_to_see, smallest_gain_seen
from medbench.statistics.verdicts import WORDS, Evidence, GivenWord, Verdict, Word, is_open
from medbench.text import auroc_text, counted, duration, listed, points, printed

SYNTHETIC = "Synthetic test images: the result says nothing about patients."
ESTIMAND = "The gain expected when training on this many similar patients."


def tuning(tries: int) -> str:
    """Say how methods were tuned: not, or by how many tries within each training part."""
    if tries == 1:
        return "no method was tuned"
    return f"every method was tuned equally, by {tries} tries within each training part"


def computed_otherwise(numerics: str) -> str:
    """Say below a table how its networks computed; "" for exact numerics, which are the default.

    Args:
        numerics: As :class:`medbench.Budget` has it.
    """
    return {
        "portable": "Numerics are portable, not exact: held to what all x86 processors with AVX2 compute alike.",
        "fast": "Numerics are fast, not exact: on a GPU the same training runs give other digits each time.",
    }.get(numerics, "")


FEW_STEPS = BUDGETS["smoke"].steps
"""Training steps up to which networks are called barely trained."""
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def barely_trained(steps: int) -> str:
    """Say above a table that its networks have hardly learned anything; "" where they had time to.

    Args:
        steps: Training steps of a classifier.
    """
    if steps > FEW_STEPS:
        return ""
    return (
        f"Networks were barely trained ({counted(steps, 'step')}): this shows that everything works, not which method "
        "helps."
    )


def range_of(gain: Interval) -> str:
    """Write the ends of a range in points: ``+0.3 to +2.1``."""
    return f"{points(gain.low)} to {points(gain.high)}"


def gain_and_range(gain: Interval) -> str:
    """Write a gain with its range in points: ``+1.2 (+0.3 to +2.1)``."""
    return f"{points(gain.value)} ({range_of(gain)})"


def auroc_share(value: float) -> str:
    """Write an AUROC: ``.802``."""
    return f"{value:.3f}".removeprefix("0") if value == value else "n/a"


def metric_text(value: float | None) -> str:
    """Write a metric of a plugin to four digits; n/a where it gave no number."""
    return "n/a" if value is None else f"{value:.4g}"


def answer(comparison: Judged, *, arm: str, control: str, worth: float) -> str:
    """Answer "Does ARM help?" in the sentences that belong to a word.

    Args:
        comparison: Of the arm with its control; of one that is incomplete, it is said why there is no word.
        arm: Name to print.
        control: Name to print.
        worth: Points that matter.
    """
    verdict, interval, auroc = comparison.verdict, comparison.gain, auroc_text(comparison.auroc)
    if interval is None or verdict.withheld:
        return verdict.withheld
    gain, span = points(interval.value), range_of(interval)
    ends = (comparison.auroc_range.low, comparison.auroc_range.high) if comparison.auroc_range else None
    if verdict.word == "better":
        rises = "" if is_open(ends) else f"; AUROC rises too ({auroc})"
        sentence = f"Yes: {gain} points for {arm} compared with {control} (95 % CI {span}){rises}."
    elif verdict.word == "threshold":
        of_auroc = f" ({auroc_text(ends[0])} to {auroc_text(ends[1])})" if ends else ""
        sentence = (
            f"Only the decision threshold moved with {arm}, compared with {control}: balanced accuracy {gain} points "
            f"(95 % CI {span}), AUROC {auroc}{of_auroc}."
        )
    elif verdict.word == "same":
        sentence = f"No relevant difference: {arm} within {worth:g} points of {control} (95 % CI {span})."
    elif verdict.word == "worse":
        lower = abs(printed(interval.value))
        sentence = f"Worse: {arm} {lower:.1f} points lower than {control} (95 % CI {span})."
    else:
        is_known = interval.standard_error == interval.standard_error  # an entry tells the interval alone
        detects = detectable(interval, comparison.evidence, worth=worth) if is_known else ""
        sentence = f"Inconclusive: {gain} points for {arm} compared with {control} (95 % CI {span}). {detects}"
    return f"{sentence} {verdict.note}".strip()


def detectable(interval: Interval, evidence: Evidence, *, worth: float) -> str:
    """Say what gain the design can detect in this comparison and how many patients a relevant one would need."""
    gain = 100 * smallest_gain_seen(interval)
    first = f"This design can detect a gain of {gain:.1f} points or more (80 % power)"
    if gain <= worth:
        return f"{first}."
    if evidence.folds == 1 and interval.between_trainings > interval.between_patients:
        return (
            f"{first}; most of the uncertainty comes from {evidence.repeats} training draws, which more --repeats "
            "reduce."
        )
    needed = patients_to_see(worth, sees=gain, patients=evidence.patients)
    return f"{first}; detecting a {worth:g}-point gain would need about {needed:,} {evidence.unit}."


def what_helps(found: Sequence[tuple[str, Verdict, Interval]]) -> str:
    """Name the arms that are better, the surest first, by what they gain; "" where none is."""
    better = sorted((f for f in found if f[1].word == "better"), key=lambda f: (-f[2].low, f[0]))
    each = [f"{name}, {gain_and_range(i)}" for name, _, i in better]
    return f"What helps: {'; '.join(each)}." if each else ""


def looks(comparisons: int, configurations: int) -> str:
    """Say over how many comparisons the ranges hold jointly, and how many configurations were ever looked at.

    Args:
        comparisons: Size of the family, as :class:`medbench.statistics.gain_intervals.Interval` holds it.
        configurations: Ever scored on these folds in this store, shown or not, controls among them.
    """
    tried = f"{counted(configurations, 'method', 'were')} tried on these splits so far."
    if not comparisons:
        return f"Nothing is compared yet. {tried}"
    if comparisons == 1:
        return f"95 % confidence interval of one comparison. {tried}"
    return f"Simultaneous 95 % confidence intervals for {comparisons} comparisons (max-t). {tried}"


def cases(datasets: int) -> str:
    """Say that so few data sets are no sample; "" for one, where nothing could be averaged."""
    if datasets < 2:
        return ""
    count = _NUMBERS.get(datasets, str(datasets))
    return f"Not averaged over data sets: {count} are {count} cases, not a sample."


def legend(worth: float, words: Sequence[Word] = ()) -> str:
    """Explain the marks; the one for the threshold only where `words` holds it."""
    shown: list[GivenWord] = ["better", "worse", "same", "can't tell"]
    extent = {"same": f" (within {worth:g} points)"}
    shown += ["threshold"] * ("threshold" in words)
    return "   ".join(f"{WORDS[word].mark} {WORDS[word].text}{extent.get(word, '')}" for word in shown)


def yardstick(of_it: YardstickResult) -> tuple[str, str]:
    """Return the name of a yardstick's row and what stands there instead of a verdict."""
    if of_it.kind == "seeds":
        return "same method, other seeds", "noise of training"
    if of_it.kind == "fewer":
        return "3/4 of the patients", "what data adds"
    return f"{of_it.trainings} networks averaged", f"what {duration(of_it.seconds)} add"


def at_twice(check: DoubleStepsResult) -> str:
    """Write a gain at twice the steps, or how far its trainings are."""
    arm, control = arm_name(check.arm), control_name(check.arm)
    if check.gain is None:
        trainings = f"{check.settled} of {check.planned} training runs of {arm} and {control}"
        return f"With twice the steps ({check.steps:,}): {trainings} are done, no gain yet."
    instead = f" instead of {points(check.before.value)}" if check.before is not None else ""
    compared = f"{arm} compared with {control}"
    return f"With twice the steps ({check.steps:,}): {gain_and_range(check.gain)}{instead}, {compared}."


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
    each = "; ".join(f"{WORDS[word].text} at {listed(sizes)} patients" for word, sizes in groups if word)
    sentence = f"{arm} compared with {control}: {each}."
    helps = [word == "better" for word, _ in groups]
    if len(known) < len(found) or sum(helps) != 1:
        return sentence
    if len(groups) == 1:
        return f"{sentence} It helps at every size that was tried."
    if helps[0]:
        return f"{sentence} Up to {groups[0][1][-1]} patients it helps; from {groups[1][1][0]} on no gain is seen."
    if helps[-1]:
        return f"{sentence} From {groups[-1][1][0]} patients on it helps; up to {groups[-2][1][-1]} no gain is seen."
    return sentence


def by_board(found: Sequence[tuple[str, Word]], *, arm: str, control: str) -> str:
    """Say on which boards an arm has which word; "" without any board.

    Args:
        found: Name of the board and the word there; "" where it was withheld.
        arm: Name to print.
        control: Name to print.
    """
    named: dict[str, list[str]] = {}
    for board, word in found:
        named.setdefault(WORDS[word].text if word else "no verdict", []).append(board)
    if list(named) == ["no verdict"]:
        return f"{arm} compared with {control}: no verdict in any of {len(found)} tables."
    each = "; ".join(f"{word} with {listed(boards)}" for word, boards in named.items())
    return f"{arm} compared with {control}: {each}." if each else ""


def still_improving(arms: Sequence[str], *, checked: bool = False) -> str:
    """Name the arms whose validation loss still fell at the end in more than half of the folds; "" for none.

    Args:
        arms: Names.
        checked: Whether the best method was trained twice as long already.
    """
    if not arms:
        return ""
    each = ", ".join(arms)
    how = "" if checked else " (--check-steps trains the best method twice as long)"
    return f"Training may have been too short: {each} still improved at its end in more than half of the folds{how}."


def generator_poor(arms: Sequence[tuple[str, str]]) -> str:
    """Explain the mark ``g``: which generators are poor and why; "" for none.

    Args:
        arms: Name and reason of each.
    """
    if not arms:
        return ""
    each = "; ".join(f"{name}: {why}" for name, why in arms)
    return f"g: poor generated images, so this row says little about better ones. {each}."
