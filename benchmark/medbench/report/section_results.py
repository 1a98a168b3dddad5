"""The sections that say what came out: boards with their yardsticks, gains, and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from medbench.analyses.across_datasets import across
from medbench.boards.board import Board, Row
from medbench.planning.arm_names import arm_name, branch_name, control_name
from medbench.plots import cost
from medbench.plots.forest import forest
from medbench.registry.display_names import classifier_name, method_name
from medbench.report.figures import figure
from medbench.report.inputs import Material
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import WORDS, Word
from medbench.tables.answer import answer_of
from medbench.tables.blocks import Block, Cell, Fold, Section, Table, cell, fold, heading, say, table
from medbench.tables.board_notes import (
    count_patients,
    mark_notes,
    name_of_data,
    name_of_source,
    rare_recalls,
    without_fair_gain,
    without_number,
)
from medbench.tables.board_table import design_of
from medbench.tables.compare import gain_forests
from medbench.tables.forest import Forest
from medbench.tables.wording import auroc_share, gain_and_range, metric_text, range_of, yardstick
from medbench.text import duration, points

COLUMNS = ("method", "gain", "95 % CI", "balanced accuracy, %", "AUROC", "compared with", "time")
VERDICT, MARKS, FAIR = "verdict", "marks", "gain at a fair threshold (95 % CI)"
NOT_RUN = "the method it would be compared with was not run"


def title_of(board: Board) -> str:
    """Name a board: data set, classifier, design; a leaky protocol comes first."""
    leaky = "LEAKY: " if board.leaks else ""
    return f"{leaky}{name_of_data(board)}, {classifier_name(board.classifier)}, {design_of(board)}"


def leaderboards(material: Material) -> Section:
    """Write every board as a table that keeps its tree, with its sentences and yardsticks below."""
    blocks: list[Block | Fold] = []
    for number, part in enumerate(material.parts, start=1):
        board = part.board
        blocks.append(heading(title_of(board)))
        source, size = board.source, board.study.budget.size
        caption = (
            f"{count_patients(source)}"
            f"{f' of {size} pixels a side' if size else ''}. Gain: balanced accuracy of a method minus that of the "
            "method above it, in percentage points. Bars: 95 % CI; gray band: "
            f"differences below {board.study.worth:g} points, which count as not relevant."
        )
        if any(row.fair is not None and row.fair.gain is not None for row in part.rows):
            caption += (
                " At a fair threshold: the same with the decision threshold learnt alike for every method on watched "
                "patients; the verdict is on the gain as declared."
            )
        blocks.append(_board_table(part.rows, caption, label=f"board-{number}", worth=board.study.worth))
        further = [*_metrics(part.rows, board, number), *_yardsticks(board, number)]
        found = answer_of(board)
        # What the headline says of an only board, and of every board that it answers for, is not said again.
        above = [] if material.shown == [part] else [*found.why_no_verdict, *found.warnings]
        said = rare_recalls(board) if part in material.shown else []
        under = [note for note in mark_notes(board) if note not in said]
        blocks.append(say(*above, *under, *without_fair_gain(board), is_list=True))
        blocks.append(fold("How to read these numbers, and more notes", say(*found.notes, is_list=True), *further))
    blocks += _across(material)
    return Section("leaderboard", "Results", tuple(blocks))


def _board_table(rows: Sequence[Row], caption: str, *, label: str, worth: float) -> Table:
    """Write the rows of a board; the columns of verdicts, fair gains and marks stand there if a row has one."""
    written, words, marks = [_board_row(row) for row in rows], [_word(row) for row in rows], [row.marks for row in rows]
    columns, fair = list(COLUMNS), [_fair(row) for row in rows]
    if any(gain.text for gain in fair):
        columns.insert(3, FAIR)
        written = [[*row[:3], gain, *row[3:]] for row, gain in zip(written, fair, strict=True)]
    if any(word.text for word in words):
        columns.insert(3, VERDICT)
        written = [[*row[:3], word, *row[3:]] for row, word in zip(written, words, strict=True)]
    if any(marks):
        columns.append(MARKS)
        written = [[*row, cell(mark)] for row, mark in zip(written, marks, strict=True)]
    return table(caption, columns, written, label=label, sortable=True, band=worth)


def _board_row(row: Row) -> list[Cell]:
    scores = row.scores
    return [
        cell(name_of(row), arm_name(row.arm), depth=row.depth, title=recipe_of(row)),
        *gain_cells(row.gain, instead(row), word_of(row)),
        cell(f"{100 * scores.balanced_accuracy:.1f}", float(scores.balanced_accuracy)) if scores else cell(None),
        cell(auroc_share(scores.auroc), float(scores.auroc)) if scores else cell(None),
        cell(control_name(row.arm)),
        cell(duration(row.seconds), row.seconds),
    ]


def name_of(row: Row) -> str:
    """Name a method as a step of the tree; one at the top is the reference."""
    is_reference = not row.arm.control and not row.arm.plain
    return f"{branch_name(row.arm)} (reference)" if is_reference else branch_name(row.arm)


def instead(row: Row) -> str:
    """Say in a few words why a method has no gain; "" for one that needs none."""
    if row.skipped:
        return "left out"
    if not row.complete:
        return f"{row.done} of {row.planned} training runs done"
    if row.judged is None and row.arm.control:
        return NOT_RUN
    return "no gain" if row.judged is not None and not row.failed else ""


def gain_cells(gain: Interval | None, instead: str = "", word: str = "") -> list[Cell]:
    """Write a gain, and its interval with a bar.

    Args:
        gain: None where there is none.
        instead: What stands in its place.
        word: The verdict, which colours the bar.
    """
    if gain is None:
        return [cell(None), cell(instead or None)]
    low, value, high = (100 * v for v in (gain.low, gain.value, gain.high))
    return [cell(points(gain.value), value), cell(range_of(gain), value, kind=word, span=(low, value, high))]


def recipe_of(row: Row) -> str:
    """Write a method as commands and files do."""
    return f"{row.arm.augmenter}, classifier {row.arm.classifier}" if row.arm.over else row.arm.augmenter


def _fair(row: Row) -> Cell:
    """Write the gain at a fair threshold with its interval, and its bar beside that of the gain."""
    gain = row.fair.gain if row.fair is not None and row.gain is not None else None
    if gain is None:
        return cell(None)
    low, value, high = (100 * v for v in (gain.low, gain.value, gain.high))
    return cell(gain_and_range(gain), value, span=(low, value, high))


def _word(row: Row) -> Cell:
    """Write the verdict, or what failed."""
    if row.failed:
        return cell(f"{row.failed} of {row.planned} {row.kinds[0] if len(row.kinds) == 1 else 'failed'}")
    word = word_of(row)
    return cell(WORDS[word].text, kind=word) if word else cell(None)


def word_of(row: Row) -> Word:
    """Return the verdict on a method; "" without one."""
    return row.judged.verdict.word if row.judged is not None and not row.failed else ""


def _metrics(rows: Sequence[Row], board: Board, number: int) -> Iterator[Block]:
    """Yield the metrics that plugins added, and what gave no number."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    if names:
        listed = [
            [arm_name(row.arm), *(_metric(row.metrics.get(name)) for name in names)] for row in rows if row.metrics
        ]
        caption = f"Metrics of plugins, by {board.unit}, mean over the training runs."
        yield table(caption, ("method", *names), listed, label=f"metrics-{number}")
    if missing := without_number([board]):
        yield say(*missing, is_list=True)


def _metric(value: float | None) -> Cell:
    return cell(metric_text(value), value)


def _yardsticks(board: Board, number: int) -> Iterator[Block]:
    if not board.yardsticks:
        return
    rows = []
    for of_it in board.yardsticks:
        title, remark = yardstick(of_it)
        s, g = of_it.scores, of_it.gain
        numbers = [f"{100 * s.balanced_accuracy:.1f}", auroc_share(s.auroc)] if s else ["", ""]
        if of_it.failed:
            remark = f"{of_it.failed} of {of_it.planned} failed"
        elif s is None:
            remark = f"{of_it.done} of {of_it.planned} done"
        rows.append([title, *numbers, *gain_cells(g), remark])
    yield table(
        f"To compare gains with: further training runs of {arm_name(board.yardsticks[0].control)}, each compared with "
        "it, with the 95 % CI of one comparison. They are no methods and get no verdict.",
        ("what was done", "balanced accuracy, %", "AUROC", "gain", "95 % CI", "what it shows"),
        rows,
        label=f"yardsticks-{number}",
        band=board.study.worth,
    )


def _across(material: Material) -> Iterator[Block]:
    for number, one in enumerate(across(material.boards), start=1):
        yield heading("All data sets")
        names = [name_of_source(case.source) for case in one.cases]
        rows = []
        for arm in one.arms:
            listed = [cell(" / ".join(method_name(part) for part in arm.split(" / ")), title=arm)]
            for case in one.cases:
                judged = case.judged.get(arm)
                gain = judged.gain if judged else None
                word = judged.verdict.word if judged else ""
                text = WORDS[word].text if word else case.missing.get(arm, "")
                listed.append(cell(f"{points(gain.value)} {text}" if gain else text))
            rows.append(listed)
        caption = f"Gain of each method over the method above it in points, with the verdict, protocol {one.protocol}."
        yield table(caption, ("method", *names), rows, label=f"across-{number}")


def gains(material: Material) -> Section | None:
    """Draw the gain of each method with its interval."""
    blocks: list[Block] = []
    for board, panel in zip(material.boards, gain_forests(material.boards), strict=True):
        if panel.bars:
            caption = (
                f"{title_of(board)}. Gain of each method over the method above it, with its simultaneous 95 % CI. The "
                f"gray band holds differences below {panel.worth:g} points, which count as not relevant."
            )
            blocks.append(figure(partial(forest, [replace(panel, title="")]), alt=_forest_alt(panel), caption=caption))
    return Section("gains", "Gains with their intervals", tuple(blocks)) if blocks else None


def _forest_alt(panel: Forest) -> str:
    said = [
        f"{bar.label} {bar.value:+.1f} ({bar.low:+.1f} to {bar.high:+.1f}){f', {bar.word}' if bar.word else ''}"
        for bar in panel.bars
        if bar.value is not None
    ]
    rest = f"; and {len(said) - 12} more, see the results" if len(said) > 12 else ""
    return f"Gains in points with 95 % CI. {'; '.join(said[:12])}{rest}." if said else "No gain is known yet."


def costs(material: Material) -> Section | None:
    """Draw what each method costs against what it gains."""
    blocks: list[Block] = []
    for part in material.parts:
        board = part.board
        spent = [
            cost.Spent(
                arm_name(row.arm),
                row.seconds,
                100 * row.gain.value,
                100 * row.gain.low,
                100 * row.gain.high,
                row.judged.verdict.word if row.judged else "",
            )
            for row in board.rows
            if row.gain is not None and row.seconds > 0
        ]
        if spent:
            said = "; ".join(f"{one.name} {duration(one.seconds)}, {one.gain:+.1f} points" for one in spent[:12])
            caption = (
                f"{title_of(board)}. Time of a method alone on {board.device}, the training of its generators "
                "included, and its gain over the method above it with its 95 % CI."
            )
            drawn = partial(cost.draw, spent, worth=board.study.worth)
            blocks.append(figure(drawn, alt=f"Time and gain of each method. {said}.", caption=caption))
    return Section("cost", "Time against gain", tuple(blocks)) if blocks else None
