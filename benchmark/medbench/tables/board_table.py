"""A board in a terminal: the answer, the tree of methods, why there is no verdict, and at most two warnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from medbench.boards.board import Board, Row
from medbench.boards.yardstick_results import YardstickResult
from medbench.planning.arm_names import arm_name, branch_name
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import classifier_name
from medbench.statistics.verdicts import WORDS
from medbench.tables.answer import NextStep, answer_of
from medbench.tables.board_blocks import board_blocks
from medbench.tables.board_notes import mark_notes, name_of_data
from medbench.tables.board_values import board_rows
from medbench.tables.board_wide_table import wide_part
from medbench.tables.document import Document, write
from medbench.tables.wording import auroc_share, range_of, yardstick
from medbench.tables.writers.terminal import PIPE, Screen, draw_table, in_two_parts, under
from medbench.text import clean, columns, counted, duration, pad, points

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

COLOURS = {"better": "bold green", "threshold": "yellow", "same": "cyan", "can't tell": "dim", "worse": "bold red"}
"""Style of a verdict on a terminal; the word stands there too."""


def render(board_list: Sequence[Board], form: str, *, wide: bool = False, screen: Screen = PIPE) -> str:
    """Write boards in one of FORMATS.

    Args:
        board_list: What to write.
        form: Member of FORMATS.
        wide: More columns and every note in the formats that are read by people.
        screen: What a terminal can show; 80 columns without colour by default.
    """
    return write([board_document(board, wide=wide) for board in board_list], form, screen)


def board_document(board: Board, *, wide: bool) -> Document:
    """Return a board as what every format is written from.

    Args:
        board: What to write.
        wide: More columns and every note in the formats that are read by people.
    """
    return Document(
        lambda screen: _lines(board, wide, screen), lambda: board_blocks(board, wide=wide), lambda: board_rows(board)
    )


def _lines(board: Board, wide: bool, screen: Screen) -> list[str]:
    found = answer_of(board)
    said = [found.sentence, *([found.largest] if found.largest else [])]
    lines = [*heading(board, screen), "", *map(screen.bold, under(said, screen.width)), ""]
    lines += draw_table(_grid(board, screen), screen)
    folded = "" if wide or not found.notes else f"{counted(len(found.notes), 'more note')}: medbench leaderboard --wide"
    notes = [*found.why_no_verdict, *found.warnings, *mark_notes(board), *(found.notes if wide else [folded])]
    lines += ["", *under(filter(None, notes), screen.width)]
    return [*lines, "", *wide_part(board, "-" if screen.plain else "─")] if wide else lines


def heading(board: Board, screen: Screen = PIPE) -> list[str]:
    """Return the lines above a board: data set and patients, classifier and design."""
    source = board.source
    rare, count = _rarest(board)
    numbers = f"{counted(source['patients'], 'patient')} ({count:,} {rare}), {counted(source['images'], 'image')}"
    if source["patients"] == source["images"]:
        each = ", one a patient" if _unit(board) == "patients" else ""
        numbers = f"{counted(source['images'], 'image')}{each} ({count:,} {rare})"
    size = board.study.budget.size
    network = f"{classifier_name(board.classifier)}{f', {size} px' if size else ''}"
    leaky = "LEAKY, no verdict: " if board.leaks else ""
    return [
        *in_two_parts(f"{leaky}{name_of_data(board)}", numbers, indent="  ", width=screen.width),
        *in_two_parts(f"{network}, {design_of(board)}", _progress(board), indent="  ", width=screen.width),
    ]


def design_of(board: Board) -> str:
    """Say how a board's numbers came about: ``5-fold cross-validation by patient, repeated 3 times``."""
    rule, study = protocol(board.protocol), board.study
    if rule.name == "official":
        parts = f"official split, {counted(study.repeats, 'repeat')}"
    else:
        times = f", repeated {study.repeats} times" if study.repeats > 1 else ""
        parts = f"{study.folds}-fold cross-validation by {_by(board)}{times}"
    cut_down = f", train={rule.train}" if rule.train else ""
    cut_down += f", {100 * rule.share:g} % of the patients" if rule.share < 1 else ""
    cut_down += f", {counted(rule.patients, 'training patient')}" if rule.patients else ""
    if board.leaks:
        cut_down += f" ({clean(board.protocol)})"
    return parts + cut_down


def _progress(board: Board) -> str:
    done = sum(row.settled for row in board.all_rows)
    planned = sum(row.planned for row in board.all_rows)
    if done < planned:
        return f"{done} of {counted(planned, 'training run')} done"
    return f"{counted(planned, 'training run')} finished"


def _grid(board: Board, screen: Screen) -> Table:
    from rich.table import Table
    from rich.text import Text

    verdicts = [_verdict(row) for row in board.all_rows]
    has_verdicts = any(text for text, _ in verdicts)
    compared = any(row.arm.control for row in board.rows)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold" if screen.colour else "")
    table.add_column(" method", overflow="fold", min_width=18)
    table.add_column("balanced\naccuracy", justify="right", no_wrap=True)
    table.add_column("AUROC", justify="right", no_wrap=True)
    if compared:
        table.add_column("gain over the method\nabove it, points\n(95 % CI)", min_width=20, overflow="fold")
    if has_verdicts:
        table.add_column("verdict", min_width=12, overflow="fold")
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)

    def add(
        name: Text | str, numbers: Sequence[str], gain: str, verdict: tuple[str, str], time: str, marks: str
    ) -> None:
        word = [Text(verdict[0], style=COLOURS.get(verdict[1], "") if screen.colour else "")] * has_verdicts
        cells = [name, *numbers, *[gain] * compared, *word, time, marks]
        table.add_row(*(Text(c) if isinstance(c, str) else c for c in cells))

    for row, verdict in zip(board.all_rows, verdicts, strict=True):
        add(_name(row, screen), _numbers(row), _gain(row), verdict, duration(row.seconds), row.marks)
    if board.yardsticks:
        add(f" for scale, compared with {arm_name(board.yardsticks[0].control)}", ["", ""], "", ("", ""), "", "")
        for of_it in board.yardsticks:
            title, numbers, gain, remark = _yardstick(of_it)
            add(title, numbers, gain, (remark, "") if has_verdicts else ("", ""), "", "")
    return table


def _name(row: Row, screen: Screen) -> Text:
    from rich.text import Text

    name = branch_name(row.arm)
    is_reference = not row.arm.control and not row.arm.plain
    bold = "bold" if screen.colour and row.arm.asked else ""
    text = Text(f" {branch(row, screen.plain)}").append(name, style=bold)
    return text.append(" (reference)") if is_reference else text


def _yardstick(of_it: YardstickResult) -> tuple[str, list[str], str, str]:
    """Return the cells of a yardstick: a remark where a method has its verdict."""
    title, remark = yardstick(of_it)
    name = f"   {title}"
    if of_it.failed:
        return name, ["", ""], f"{of_it.failed} of {of_it.planned} failed", ""
    if of_it.scores is None:
        return name, ["", ""], f"{of_it.done} of {of_it.planned} done", "" if of_it.kind == "average" else remark
    scores = [f"{100 * of_it.scores.balanced_accuracy:.1f}", auroc_share(of_it.scores.auroc)]
    if of_it.gain is None:
        return name, scores, "", remark
    return name, scores, f"{points(of_it.gain.value):>6} ({range_of(of_it.gain)})", remark


def _verdict(row: Row) -> tuple[str, str]:
    """Return what people read and the word it stands for; failures stand before it."""
    if row.failed:
        return f"{row.failed} of {row.planned} {row.kinds[0] if len(row.kinds) == 1 else 'failed'}", ""
    word = row.judged.verdict.word if row.judged is not None else ""
    return (WORDS[word].text, word) if word else ("", "")


def _numbers(row: Row) -> list[str]:
    if row.scores is None or row.skipped:
        return ["", ""]
    return [f"{100 * row.scores.balanced_accuracy:.1f}", auroc_share(row.scores.auroc)]


def _gain(row: Row) -> str:
    if row.skipped:
        return "left out"
    if row.scores is None:
        return f"{row.done} of {row.planned} done"
    return f"{points(row.gain.value):>6} ({range_of(row.gain)})" if row.gain is not None else ""


def branch(row: Row, plain: bool) -> str:
    """Draw the branches of the tree before a row's name."""
    if not row.depth:
        return ""
    corner, tee, bar = ("`- ", "|- ", "|  ") if plain else ("└ ", "├ ", "│ ")
    blank = " " * len(bar)
    stems = "".join(blank if last else bar for last in row.last[1:-1])
    return stems + (corner if row.last[-1] else tee)


def step_lines(steps: Iterable[NextStep]) -> list[str]:
    """Return the lines that name what may come next, commands below each other."""
    found = list(steps)
    width = max((columns(step.command) for step in found), default=0) + 3
    head = " Next:  "
    lead = [head, *[" " * len(head)] * len(found)]
    return [f"{start}{pad(step.command, width)}{step.purpose}" for start, step in zip(lead, found, strict=False)]


def _rarest(board: Board) -> tuple[str, int]:
    counts = board.source["class_patients"]
    rarest = min(range(len(counts)), key=counts.__getitem__)
    return clean(board.source["classes"][rarest]), int(counts[rarest])


def _unit(board: Board) -> str:
    """Name what is drawn; where every image is a patient of its own, nobody said who is who."""
    alone = board.source["unit"] == "image" and board.source["patients"] == board.source["images"]
    return "images" if alone else "patients"


def _by(board: Board) -> str:
    by_image = protocol(board.protocol).cuts_images or _unit(board) == "images"
    return "image" if by_image else "patient"
