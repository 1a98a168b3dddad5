"""A board as a tree in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from medbench.boards.board import Board, Row
from medbench.boards.yardstick_results import YardstickResult
from medbench.planning.arm_names import arm_name
from medbench.protocols.protocol import protocol
from medbench.tables.board_blocks import board_blocks
from medbench.tables.board_notes import board_notes
from medbench.tables.board_values import board_rows
from medbench.tables.board_wide_table import wide_part
from medbench.tables.document import Document, write
from medbench.tables.wording import auroc_share, range_of, yardstick
from medbench.tables.writers.terminal import in_two_parts, name_column, under
from medbench.text import WIDTH, clean, counted, cut, duration, pad, points

NAME_WIDTH = 26
TIME_AT = 74


def render(board_list: Sequence[Board], form: str, *, wide: bool = False, plain: bool = False) -> str:
    """Write boards in one of FORMATS.

    Args:
        board_list: What to write.
        form: Member of FORMATS.
        wide: More columns in the formats that are read by people.
        plain: Draw the tree in ASCII.
    """
    return write([board_document(board, wide=wide, plain=plain) for board in board_list], form)


def board_document(board: Board, *, wide: bool, plain: bool) -> Document:
    """Return a board as what every format is written from.

    Args:
        board: What to write.
        wide: More columns in the formats that are read by people.
        plain: Draw the tree in ASCII.
    """
    return Document(
        lambda: _lines(board, wide, plain), lambda: board_blocks(board, wide=wide), lambda: board_rows(board)
    )


def _lines(board: Board, wide: bool, plain: bool) -> list[str]:
    lines = [*heading(board), "", *_grid(board, plain), *under(board_notes(board))]
    return [*lines, "", *wide_part(board, "-" if plain else "─")] if wide else lines


def heading(board: Board) -> list[str]:
    """Return the lines above a board: data set and patients, classifier and design."""
    source = board.source
    rare, count = _rarest(board)
    numbers = f"{counted(source['patients'], 'patient')} ({count:,} {rare}), {counted(source['images'], 'image')}"
    if source["patients"] == source["images"]:
        each = ", one a patient" if _unit(board) == "patients" else ""
        numbers = f"{counted(source['images'], 'image')}{each} ({count:,} {rare})"
    size = board.study.budget.size
    return [
        *in_two_parts(clean(source["dataset"]), numbers, indent="  "),
        *in_two_parts(f"{clean(board.classifier)}{f', {size} px' if size else ''}", _design(board), indent="  "),
    ]


def _design(board: Board) -> str:
    rule, study = protocol(board.protocol), board.study
    repeats = counted(study.repeats, "repeat")
    parts = f"official cut x {repeats}"
    if rule.name != "official":
        parts = f"{counted(study.folds, 'fold')} x {repeats} by {_by(board)}"
    cells = board.rows[0].planned if board.rows else 0
    cut_down = f", train={rule.train}" if rule.train else ""
    cut_down += f", {100 * rule.share:g} % of the patients" if rule.share < 1 else ""
    cut_down += f", {counted(rule.patients, 'patient')}" if rule.patients else ""
    return f"{parts}{cut_down}, {min((row.settled for row in board.rows), default=0)} of {cells} done"


def _grid(board: Board, plain: bool) -> list[str]:
    device = "CPU" if board.device == "CPU" else "GPU"
    lines = [_line(" arm, under its control", "bal.acc", "AUROC", "gain", "95 % range", "verdict", device)]
    for row in board.rows:
        alone, name = name_column(f" {branch(row, plain)}{arm_name(row.arm)}", NAME_WIDTH)
        lines += alone
        lines.append(_line(name, *_numbers(row), duration(row.seconds), row.marks))
    if board.yardsticks:
        lines.append(cut(f" yardsticks, against {arm_name(board.yardsticks[0].control)}", WIDTH))
        lines += [_line(*_yardstick(of_it), "") for of_it in board.yardsticks]
    return lines


# One parameter per column of the board.
def _line(name: str, accuracy: str, auroc: str, gain: str, span: str, verdict: str, time: str, marks: str = "") -> str:
    said = f"{span:<14} {verdict}"  # a long range takes the room of a verdict that is not there
    start = f"{pad(name, NAME_WIDTH)}{accuracy:>7} {auroc:>5}{gain:>6}  {said}"
    end = f" {time:>3}{' ' * (len(marks) == 1)}{marks}" if time else ""
    return pad(cut(start, WIDTH - len(end)), min(TIME_AT, WIDTH - len(end))) + end


def _yardstick(of_it: YardstickResult) -> tuple[str, str, str, str, str, str]:
    """Return the cells of a yardstick: a remark where an arm has its verdict."""
    title, remark = yardstick(of_it)
    name = f"   {title}"
    if of_it.failed:
        return name, "", "", "", f"{of_it.failed} of {of_it.planned} failed", ""
    if of_it.scores is None:
        return name, "", "", "", f"{of_it.done} of {of_it.planned} done", "" if of_it.kind == "average" else remark
    scores = f"{100 * of_it.scores.balanced_accuracy:.1f}", auroc_share(of_it.scores.auroc)
    if of_it.gain is None:
        return name, *scores, "", "", remark
    return name, *scores, points(of_it.gain.value), range_of(of_it.gain), remark


def _numbers(row: Row) -> tuple[str, str, str, str, str]:
    verdict = "control" if not row.arm.control and not row.arm.plain else ""
    if row.judged is not None:
        verdict = row.judged.verdict.word
    if row.failed:
        share = f"{row.failed}/{row.planned} "
        kind = row.kinds[0] if len(row.kinds) == 1 else "failed"
        verdict = share + (kind if len(share + kind) <= 13 else "failed")
    if row.skipped:
        return "", "", "", "skipped", verdict
    if row.scores is None:
        return "", "", "", f"{row.done} of {row.planned} done", verdict
    scores = f"{100 * row.scores.balanced_accuracy:.1f}", auroc_share(row.scores.auroc)
    if row.gain is None:
        return *scores, "", "", verdict
    return *scores, points(row.gain.value), range_of(row.gain), verdict


def branch(row: Row, plain: bool) -> str:
    """Draw the branches of the tree before a row's name."""
    if not row.depth:
        return ""
    corner, tee, bar = ("`- ", "|- ", "|  ") if plain else ("└ ", "├ ", "│ ")
    blank = " " * len(bar)
    stems = "".join(blank if last else bar for last in row.last[1:-1])
    return stems + (corner if row.last[-1] else tee)


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
