"""Gains on corrupted test images, a block a corruption and a row a method, beside those on clean images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from medbench.analyses.corruptions import CorruptedGain, Corruptions
from medbench.boards.board import Row
from medbench.planning.arm_names import arm_name, branch_name, control_name
from medbench.protocols.corruptions import CORRUPTIONS
from medbench.registry.display_names import classifier_name
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import WORDS, Verdict
from medbench.tables.blocks import Block, Heading, grid, notes
from medbench.tables.board_notes import count_patients, name_of_data
from medbench.tables.board_table import branch, design_of, heading
from medbench.tables.document import Document, write
from medbench.tables.wording import ESTIMAND, SYNTHETIC, barely_trained, range_of
from medbench.tables.writers.terminal import PIPE, Screen, under
from medbench.tables.writers.values import Values, gain_values, percent, verdict_values
from medbench.text import clean, columns, counted, listed, points, printed, wrapped

KIND = "corruption"
"""What rows of this table have under ``kind`` in CSV and JSON."""
TITLES = ("method", "balanced accuracy", "gain", "95 % CI", "verdict", "gain less that on clean images", "95 % CI")
CLEAN = "clean images"
NAME, MORE = 32, 10
"""Columns of a name, and of the last number, on a terminal."""


def render(found: Sequence[Corruptions], form: str, *, screen: Screen = PIPE) -> str:
    """Write gains on corrupted images in one of :data:`medbench.tables.document.FORMATS`, shares in percent."""
    documents = [Document(partial(_lines, one), partial(_blocks, one), partial(values, one)) for one in found]
    return write(documents, form, screen)


def answers(found: Corruptions) -> Iterator[str]:
    """Yield for every method that was asked for on which corruptions it gains more than on clean images."""
    for row in found.compared:
        if not row.arm.asked and any(other.arm.asked for other in found.compared):
            continue
        each = [(one.kind, one.further) for one in found.of_arm(row.arm.key) if one.further is not None]
        larger = [f"{_of_kind(kind)} ({_span(more)})" for kind, more in each if printed(more.low) > 0]
        gain = f"the gain of {arm_name(row.arm)} over {control_name(row.arm)}"
        if larger:
            yield f"{gain[0].upper()}{gain[1:]} is larger than on clean images under {listed(larger)}."
            continue
        kind, most = max(each, key=lambda one: one[1].value)
        yield (
            f"Under no corruption is {gain} larger than on clean images beyond chance; the most is {_of_kind(kind)}, "
            f"{_span(most)}."
        )


def sentences(found: Corruptions) -> Iterator[str]:
    """Yield what stands under the table."""
    board = found.board
    if said := barely_trained(board.study.budget.steps):
        yield said
    if board.is_phantom:
        yield SYNTHETIC
    every = [one.verdict for of_kind in found.rows.values() for one in of_kind if one.verdict is not None]
    yield from dict.fromkeys(verdict.withheld for verdict in every if verdict.withheld)
    yield from dict.fromkeys(verdict.note for verdict in every if verdict.note)
    yield (
        "The same trained classifiers as on clean images; balanced accuracy is the mean over five severities. The last "
        "column is the gain less that on clean images."
    )
    if found.comparisons:
        yield (
            f"Simultaneous 95 % confidence intervals for {counted(found.comparisons, 'comparison')}: every corruption "
            "and method of this table; those on clean images are of the table of gains, and the last column is a "
            f"family of its own. {ESTIMAND}"
        )


def values(found: Corruptions) -> Iterator[Values]:
    """Yield the values of every corruption and method, shares and gains in percent."""
    board = found.board
    for kind in found.kinds:
        for one in found.rows[kind]:
            yield {
                "kind": KIND,
                "dataset": board.source["dataset"],
                "protocol": board.protocol,
                "classifier": one.arm.classifier,
                "augmenter": one.arm.augmenter,
                "control": one.arm.control or None,
                "control_classifier": one.arm.over or None,
                "corruption": kind,
                "balanced_accuracy": percent(one.balanced_accuracy),
                "control_balanced_accuracy": percent(one.above),
                **gain_values(one.gain),
                **verdict_values(one.verdict),
                **gain_values(one.further, "gain_less_clean"),
                "comparisons": found.comparisons,
                "data": board.source["data"],
            }


def _lines(found: Corruptions, screen: Screen) -> Iterator[str]:
    yield from heading(found.board, screen)
    yield ""
    yield from map(screen.bold, under(answers(found), screen.width))
    yield ""
    yield f"{'':{NAME}}{'balanced':>9}  {'gain over the method':<24}{'less that':>{MORE}}"
    yield f"{' method':{NAME}}{'accuracy':>9}  {'above it (95 % CI)':<24}{'on clean':>{MORE}}"
    rows = [row for row in found.board.all_rows if row.scores is not None]
    yield ""
    yield f" {CLEAN}"
    for row in rows:
        judged = row.judged.verdict if row.judged else None
        yield from _line(row, screen, _share(row.scores.balanced_accuracy if row.scores else None), row.gain, judged)
    for kind in found.kinds:
        yield ""
        yield f" {CORRUPTIONS[kind].name}"
        by_key = {one.arm.key: one for one in found.rows[kind]}
        for row in rows:
            if (one := by_key.get(row.arm.key)) is not None:
                yield from _line(row, screen, _share(one.balanced_accuracy), one.gain, one.verdict, one.further)
    yield ""
    yield from under(sentences(found), screen.width)


# One argument per column.
def _line(
    row: Row,
    screen: Screen,
    accuracy: str,
    gain: Interval | None,
    verdict: Verdict | None,
    further: Interval | None = None,
) -> Iterator[str]:
    """Yield a row; its verdict stands below where it has no room."""
    stem = f"   {branch(row, screen.plain)}"
    head, *more = [part[1:] for part in wrapped(branch_name(row.arm), NAME - len(stem))] or [""]
    span = f"{points(gain.value):>6} ({range_of(gain)})" if gain is not None else ""
    last = points(further.value) if further is not None else ""
    word = WORDS[verdict.word].text if verdict is not None and verdict.word else ""
    line = f"{stem + head:<{NAME}}{accuracy:>9}  {span:<24}{last:>{MORE}}"
    beside = f"{line}  {word}" if word else line
    yield (beside if columns(beside) <= screen.width else line).rstrip()
    yield from (f"{'':{len(stem)}}{part}" for part in more)
    if word and columns(beside) > screen.width:
        yield f"{'':{NAME + 11}}{word}"


def _blocks(found: Corruptions) -> Iterator[Block]:
    board = found.board
    yield Heading(clean(f"{name_of_data(board)}, {classifier_name(board.classifier)}: corrupted test images"))
    yield notes((f"{count_patients(board.source)}; {design_of(board)}",))
    yield notes(answers(found))
    clean_rows = [
        CorruptedGain(
            "", row.arm, row.scores.balanced_accuracy, None, row.gain, row.judged.verdict if row.judged else None
        )
        for row in found.board.all_rows
        if row.scores is not None
    ]
    for title, rows in ((CLEAN, clean_rows), *((CORRUPTIONS[kind].name, found.rows[kind]) for kind in found.kinds)):
        yield Heading(clean(title[0].upper() + title[1:]), 3)
        yield grid(TITLES, map(_cells, rows), numeric=[False, True, True, True, False, True, True])
    yield notes(sentences(found))


def _cells(one: CorruptedGain) -> tuple[str, ...]:
    word = WORDS[one.verdict.word].text if one.verdict is not None and one.verdict.word else ""
    gain = (points(one.gain.value), range_of(one.gain)) if one.gain is not None else ("", "")
    further = (points(one.further.value), range_of(one.further)) if one.further is not None else ("", "")
    return arm_name(one.arm), _share(one.balanced_accuracy), *gain, word, *further


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _span(gain: Interval) -> str:
    return f"{points(gain.value)} points, 95 % CI {range_of(gain)}"


def _of_kind(kind: str) -> str:
    return CORRUPTIONS[kind].name
