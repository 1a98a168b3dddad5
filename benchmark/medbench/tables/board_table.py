"""A board in a terminal: the answer, the tree of methods, why there is no verdict, and the weightiest warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from medbench.boards.board import Board, Row
from medbench.boards.training_runs import count_runs
from medbench.boards.yardstick_results import YardstickResult
from medbench.planning.arm_names import arm_name, branch_name
from medbench.protocols.protocol import EvaluationProtocol, protocol
from medbench.registry.display_names import classifier_name
from medbench.statistics.verdicts import WORDS, failures
from medbench.tables.answer import NextStep, answer_of
from medbench.tables.board_blocks import board_blocks
from medbench.tables.board_notes import guessing, knows_patients, mark_notes, name_of_data
from medbench.tables.board_values import board_rows
from medbench.tables.board_wide_table import wide_part
from medbench.tables.document import Document, write
from medbench.tables.wording import auroc_share, range_of, yardstick
from medbench.tables.writers.terminal import PIPE, Screen, draw_table, in_two_parts, under
from medbench.text import clean, columns, counted, duration, of_class, pad, points, wrapped

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {"better": "bold green", "threshold": "yellow", "same": "cyan", "can't tell": "dim", "worse": "bold red"}
"""Style of a verdict on a terminal; the word stands there too."""
TITLES = {
    "accuracy": "balanced\naccuracy",
    "auroc": "AUROC",
    "gain": "gain over the method\nabove it, points\n(95 % CI)",
    "verdict": "verdict",
    "time": "time",
    "marks": "",
}
ALWAYS = ("accuracy", "auroc", "time")
NUMBERS = ("accuracy", "auroc", "time")
NARROWEST = 12
"""Columns that a name keeps beside the branches of its tree."""
NEXT, STEP_GAP = " Next:  ", 3
ROOMY = 100
"""Columns from which verdicts have a column of their own."""


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
    lines = [*heading(board, screen), "", *map(screen.bold, under(said, screen.width))]
    lines += [*under(filter(None, [found.training]), screen.width), ""]
    lines += draw_table(_grid(board, screen), screen)
    random = guessing(board)
    further = [text for text in found.notes if text != random]
    more = f"{counted(len(further), 'more note')}: medbench leaderboard --wide; words: medbench glossary"
    last = further if wide or not further else [more]
    notes = [random, *found.why_no_verdict, *found.warnings, *mark_notes(board), *last]
    lines += ["", *under(filter(None, notes), screen.width)]
    return [*lines, "", *wide_part(board, "-" if screen.plain else "─")] if wide else lines


def heading(board: Board, screen: Screen = PIPE) -> list[str]:
    """Return the lines above a board: data set and patients, classifier and design."""
    source = board.source
    rare = of_class(*_rarest(board))
    numbers = f"{counted(source['patients'], 'patient')} ({rare}), {counted(source['images'], 'image')}"
    if source["patients"] == source["images"]:
        each = ", one a patient" if _unit(board) == "patients" else ""
        numbers = f"{counted(source['images'], 'image')}{each} ({rare})"
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
    if rule.has_one_cut:
        parts = f"{'external test' if rule.is_external else 'official split'}, {counted(study.repeats, 'repeat')}"
    else:
        times = f", repeated {study.repeats} times" if study.repeats > 1 else ""
        parts = f"{study.folds}-fold cross-validation by {split_by(board)}{times}"
    cut_down = f", train={rule.train}" if rule.train else ""
    cut_down += f", {100 * rule.share:g} % of the patients" if rule.share < 1 else ""
    cut_down += f", {counted(rule.patients, 'training patient')}" if rule.patients else ""
    cut_down += dropped_text(rule, board.source)
    cut_down += ", corrupted images tested too" if rule.corrupted else ""
    if board.leaks:
        cut_down += f" ({clean(board.protocol)})"
    return parts + cut_down


def dropped_text(rule: EvaluationProtocol, source: Mapping[str, Any]) -> str:
    """Say which training images of an official split are left out since its test part has them too; "" for none.

    Args:
        rule: The protocol.
        source: Facts of the data set, as a board holds them.
    """
    if rule.overlap != "drop":
        return ""
    overlap = source.get("overlap") or {}
    if not overlap:
        return ", without training images that the test part has too"
    number = f"{overlap['dropped']:,} of {counted(overlap['trained'], 'training image')}"
    return f", without {number} that the test part has too" if overlap["dropped"] else ""


def _progress(board: Board) -> str:
    runs = count_runs([board])
    if runs.settled < runs.planned:
        return f"{runs.settled:,} of {counted(runs.planned, 'training run')} done"
    left_out = f", {runs.skipped:,} left out" if runs.skipped else ""
    return f"{counted(runs.planned - runs.skipped, 'training run')} finished{left_out}"


@dataclass(frozen=True)
class _Line:
    """What stands in a row: the name with what is drawn before its first and further lines, and the other cells."""

    name: str
    stem: str = " "
    further: str = " "
    accuracy: str = ""
    auroc: str = ""
    gain: str = ""
    verdict: str = ""
    below: str = ""
    time: str = ""
    marks: str = ""
    style: str = ""
    is_asked: bool = False

    def name_in(self, width: int) -> str:
        """Break the name into lines, each behind its part of the tree; a deep tree is drawn in."""
        most = max(1, width - NARROWEST)
        stem, further = self.stem[-most:], self.further[-most:]
        parts = [line[1:] for line in wrapped(self.name, width - max(len(stem), len(further)) + 1)] or [""]
        return "\n".join(f"{further if number else stem}{part}" for number, part in enumerate(parts))


def _grid(board: Board, screen: Screen) -> Table:
    from rich.table import Table
    from rich.text import Text

    lines = [_line(row, screen) for row in board.all_rows]
    if board.yardsticks:
        lines.append(_Line(f"for scale, compared with {arm_name(board.yardsticks[0].control)}"))
        lines += map(_yardstick, board.yardsticks)
    titles = dict(TITLES)
    if screen.width < ROOMY and any(line.verdict for line in lines):  # a verdict stands below its gain
        titles["gain"] += f", {titles.pop('verdict')}"
        lines = [replace(line, below=line.verdict, verdict="") for line in lines]
    shown = [
        (field, title, max(len(part) for part in title.split("\n")))
        for field, title in titles.items()
        if field in ALWAYS or any(getattr(line, field) for line in lines)
    ]
    widths = [max([least, *(columns(getattr(line, field)) for line in lines)]) for field, _, least in shown]
    room = screen.width - sum(widths) - len(widths) - 1
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold" if screen.colour else "")
    table.add_column(" method", no_wrap=True)
    for (field, title, _), width in zip(shown, widths, strict=True):
        side: Literal["left", "right"] = "right" if field in NUMBERS else "left"
        table.add_column(title, justify=side, min_width=width, max_width=width, overflow="fold", vertical="top")
    for line in lines:
        cells = [Text(getattr(line, field)) for field, _, _ in shown]
        for (field, _, _), text, width in zip(shown, cells, widths, strict=True):
            if field == "gain" and line.below:
                below = "".join(f"\n {part}" for part in wrapped(line.below, width - 1))
                text.append(below, style=line.style if screen.colour else "")
            elif field == "verdict" and screen.colour:
                text.stylize(line.style)
        table.add_row(Text(line.name_in(room), style="bold" if screen.colour and line.is_asked else ""), *cells)
    return table


def _line(row: Row, screen: Screen) -> _Line:
    word = row.judged.verdict.word if row.judged is not None else ""
    failed = failures(row.failed, row.planned, row.kinds) if row.failed else ""
    is_reference = not row.arm.control and not row.arm.plain
    scores = row.scores if not row.skipped else None
    stem = branch(row, screen.plain)
    return _Line(
        f"{branch_name(row.arm)}{' (reference)' if is_reference else ''}",
        f" {stem}",
        f" {_beside(row, screen.plain)}",
        f"{100 * scores.balanced_accuracy:.1f}" if scores else "",
        auroc_share(scores.auroc) if scores else "",
        _gain(row),
        "; ".join(filter(None, (failed, WORDS[word].text if word else ""))),
        time=duration(row.seconds),
        marks=row.marks,
        style=COLOURS.get(word, ""),
        is_asked=row.arm.asked,
    )


def _yardstick(of_it: YardstickResult) -> _Line:
    """Return the row of a yardstick: a remark where a method has its verdict."""
    title, remark = yardstick(of_it)
    line = _Line(title, "   ", "   ")
    if of_it.failed:
        return replace(line, gain=f"{of_it.failed} of {of_it.planned} failed")
    if of_it.scores is None:
        verdict = "" if of_it.kind == "average" else remark
        return replace(line, gain=f"{of_it.done} of {of_it.planned} done", verdict=verdict)
    scores = f"{100 * of_it.scores.balanced_accuracy:.1f}", auroc_share(of_it.scores.auroc)
    gain = f"{points(of_it.gain.value):>6} ({range_of(of_it.gain)})" if of_it.gain is not None else ""
    return replace(line, accuracy=scores[0], auroc=scores[1], gain=gain, verdict=remark)


def _gain(row: Row) -> str:
    if row.skipped:
        return "left out"
    if row.scores is None:
        return "no score" if row.complete else f"{row.settled} of {row.planned} done"
    return f"{points(row.gain.value):>6} ({range_of(row.gain)})" if row.gain is not None else ""


def _beside(row: Row, plain: bool) -> str:
    """Draw what goes on beside the further lines of a row's name."""
    if not row.depth:
        return "  "
    bar = "|  " if plain else "│ "
    return "".join(" " * len(bar) if last else bar for last in row.last[1:]) + "  "


def branch(row: Row, plain: bool) -> str:
    """Draw the branches of the tree before a row's name."""
    if not row.depth:
        return ""
    corner, tee, bar = ("`- ", "|- ", "|  ") if plain else ("└ ", "├ ", "│ ")
    blank = " " * len(bar)
    stems = "".join(blank if last else bar for last in row.last[1:-1])
    return stems + (corner if row.last[-1] else tee)


def step_lines(steps: Iterable[NextStep], screen: Screen = PIPE) -> list[str]:
    """Return the lines that name what may come next; a command is never broken, so that it can be pasted."""
    found = list(steps)
    most = screen.width - max((columns(step.purpose) for step in found), default=0) - len(NEXT) - STEP_GAP
    width = max((w for w in (columns(step.command) for step in found) if w <= most), default=0) + STEP_GAP
    lines: list[str] = []
    for step in found:
        lead = " " * len(NEXT) if lines else NEXT
        if columns(step.command) < width:
            lines.append(f"{lead}{pad(step.command, width)}{step.purpose}")
        else:
            lines += [f"{lead}{step.command}", f"{'':{len(NEXT) + width}}{step.purpose}"]
    return lines


def _rarest(board: Board) -> tuple[int, str]:
    counts = board.source["class_patients"]
    rarest = min(range(len(counts)), key=counts.__getitem__)
    return int(counts[rarest]), clean(board.source["classes"][rarest])


def _unit(board: Board) -> str:
    """Name what is drawn; where every image is a patient of its own, nobody said who is who."""
    return "patients" if knows_patients(board.source) else "images"


def split_by(board: Board) -> str:
    """Return what folds keep together: "patient", or "image" where patients are not known or images are cut."""
    by_image = protocol(board.protocol).cuts_images or _unit(board) == "images"
    return "image" if by_image else "patient"
