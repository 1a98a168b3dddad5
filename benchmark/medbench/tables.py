"""Leaderboards as text: the tree in 80 columns, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import csv
import io
import json
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Any

from medbench.leaderboard import Board, Row, table
from medbench.recipes import parse

WIDTH = 80
NAME_WIDTH = 26
FORMATS = ("table", "md", "csv", "json", "latex")


def render(board_list: Sequence[Board], form: str, *, wide: bool = False, plain: bool = False) -> str:
    """Write boards in one of FORMATS.

    Args:
        board_list: What to write.
        form: Member of FORMATS.
        wide: More columns in the formats that are read by people.
        plain: Draw the tree in ASCII.
    """
    if form == "json":
        return json.dumps([row for board in board_list for row in table(board)], indent=1, ensure_ascii=False)
    if form == "csv":
        return _csv([row for board in board_list for row in table(board)])
    if form in ("md", "latex"):
        return "\n\n".join((_markdown if form == "md" else _latex)(board, wide) for board in board_list)
    return "\n\n".join(_text(board, wide, plain) for board in board_list)


def clean(text: str) -> str:
    """Drop control and formatting characters, so that a name cannot steer a terminal."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf"))


def _text(board: Board, wide: bool, plain: bool) -> str:
    source = board.source
    rare, count = _rarest(board)
    unit = "patients" if source["unit"] == "patient" else "images"
    rule = "-" if plain else "─"
    cells = board.rows[0].planned if board.rows else 0
    done = min((row.done + row.failed for row in board.rows), default=0)
    design = f"{board.study.folds} folds x {board.study.repeats} repeats by {_by(board)}, {done} of {cells} done"
    if board.protocol.startswith("official"):
        design = f"official cut x {board.study.repeats} repeats, {done} of {cells} done"
    numbers = f"{source['patients']:,} patients ({count:,} {rare})"
    if source["unit"] == "image" or source["patients"] == source["images"]:
        numbers = f"{source['images']:,} {unit} ({count:,} {rare})"
    else:
        numbers += f", {source['images']:,} images"
    size = board.study.budget.size
    lines = [
        _two(clean(source["dataset"]), numbers),
        _two(f"{clean(board.classifier)}{f', {size} px' if size else ''}", design),
    ]
    if board.leaks:
        lines.append(f"PROTOCOL {board.protocol} LEAKS by design, never ranked: {', '.join(board.leaks)}")
    lines += ["", *_grid(board, plain), *_footer(board)]
    if wide:
        lines += ["", *_wide(board, rule)]
    return "\n".join(line.rstrip() for line in lines)


def _grid(board: Board, plain: bool) -> list[str]:
    device = "CPU" if board.device == "CPU" else "GPU"
    lines = [_line(" arm, under its control", "bal.acc", "AUROC", "gain", "95 % range", "verdict", device)]
    for row in board.rows:
        name = f" {_branch(row, plain)}{_short(row.arm.augmenter)}"
        if len(name) >= NAME_WIDTH:
            lines.append(name[:WIDTH])
            name = ""
        lines.append(_line(name, *_numbers(row), _time(row.seconds)))
    return lines


def _line(name: str, accuracy: str, auroc: str, gain: str, span: str, verdict: str, time: str) -> str:
    return f"{name:<{NAME_WIDTH}}{accuracy:>7} {auroc:>5} {gain:>5}  {span:<14} {verdict:<13} {time:>4}"


def _short(text: str) -> str:
    """Write ``hybrid[generator=reacgan]`` as ``hybrid (reacgan)``."""
    spec = parse(text)
    values = ", ".join(value for _, value in spec.parameters)
    return clean(f"{spec.name} ({values})" if values else spec.name)


def _numbers(row: Row) -> tuple[str, str, str, str, str]:
    verdict = "control" if not row.arm.control and not row.arm.plain else ""
    if row.failed:
        verdict = f"{row.failed}/{row.planned} {row.kinds[0] if len(row.kinds) == 1 else 'failed'}"
    if row.scores is None:
        return "", "", "", f"{row.done} of {row.planned} done", verdict
    scores = f"{100 * row.scores.balanced_accuracy:.1f}", _auroc(row.scores.auroc)
    if row.gain is None:
        return *scores, "", "", verdict
    span = f"{100 * row.gain.low:+.1f} to {100 * row.gain.high:+.1f}"
    return *scores, f"{100 * row.gain.value:+.1f}", span, verdict


def _footer(board: Board) -> list[str]:
    classes = len(board.source["classes"])
    first = f"chance {100 / classes:.1f}"
    if board.plain is not None and board.plain.scores is not None:
        s = board.plain.scores
        first += (
            f"    {board.plain.arm.augmenter}: {100 * s.argmax_balanced_accuracy:.1f} by argmax, "
            f"{100 * s.balanced_accuracy:.1f} with the threshold moved, AUROC {_auroc(s.auroc)}"
        )
    lines = [*_wrap(first), ""]
    _, rarest = _rarest(board)
    incomplete = [row for row in board.rows if not row.complete]
    if incomplete:
        row = incomplete[0]
        lines += _wrap(f"{row.done} of {row.planned} cells done: no verdict yet.")
    if rarest < 20:
        unit = "patients" if board.source["unit"] == "patient" else "images"
        lines += _wrap(f"{rarest} {unit} of the rarest class: numbers, no verdict.")
    if board.is_rehearsal:
        cells = "3 repeats" if board.protocol.startswith("official") else "5 folds x 3 repeats"
        lines += _wrap(f"REHEARSAL: a verdict takes at least {cells}.")
    if board.is_phantom:
        lines += _wrap(
            "PHANTOM DATA: this shows that medbench works, nothing about patients. Yours: medbench init FOLDER"
        )
    lines += _wrap(
        f"Ranges: bootstrap of the same patients for arm and control, each range for itself. "
        f"Untuned defaults. {board.looks} configurations were ever scored on these folds."
    )
    for row in board.rows:
        if row.superseded:
            lines += _wrap(f"{row.arm.augmenter}: {row.superseded} older results of other code or budget, not shown.")
    for skip in board.skipped:
        lines += _wrap(f"skipped {_short(skip.augmenter)} / {_short(skip.classifier)}: {skip.reason}")
    for warning in board.warnings:
        lines += _wrap(f"! {warning}")
    return lines


def _wide(board: Board, rule: str) -> list[str]:
    classes = [clean(c) for c in board.source["classes"]]
    short = [c if len(c) <= 12 else f"{c[:11]}." for c in classes]
    lines = [
        f" more numbers {rule * 20}",
        f"{' arm':<30}{'macro-F1':>9}{'argmax':>8}{'cells':>9}{'made':>8}{'peak MB':>9}",
    ]
    rows = [*board.rows, *([board.plain] if board.plain else [])]
    for row in rows:
        f1 = f"{100 * row.scores.macro_f1:.1f}" if row.scores else ""
        argmax = f"{100 * row.scores.argmax_balanced_accuracy:.1f}" if row.scores else ""
        cells = f"{row.done}/{row.planned}"
        lines.append(
            f" {clean(row.arm.augmenter)[:28]:<29}{f1:>9}{argmax:>8}{cells:>9}{row.made:>8.0f}{row.peak_mb:>9.0f}"
        )
    for start in range(0, len(short), 4):
        part = list(enumerate(short))[start : start + 4]
        lines += ["", f"{' recall, %':<30}" + "".join(f"{name:>12}" for _, name in part)]
        for row in rows:
            if row.scores is not None:
                values = "".join(f"{100 * row.scores.recalls[k]:>12.1f}" for k, _ in part)
                lines.append(f" {clean(row.arm.augmenter)[:28]:<29}{values}")
    return lines


def _markdown(board: Board, wide: bool) -> str:
    columns = _columns(wide)
    head = [f"### {board.source['dataset']}, {board.classifier}, {board.protocol}", ""]
    lines = [
        "| " + " | ".join(columns.values()) + " |",
        "| " + " | ".join("---" if key == "augmenter" else "---:" for key in columns) + " |",
    ]
    for row in table(board):
        cells = [_cell(row.get(key)).replace("|", "\\|").replace("<", "&lt;") for key in columns]
        lines.append("| " + " | ".join(cells) + " |")
    foot = ["", *[f"{line.strip()}  " for line in _footer(board) if line.strip()]]
    return "\n".join([*head, *lines, *foot])


def _latex(board: Board, wide: bool) -> str:
    columns = _columns(wide)
    body = [" & ".join(_tex(_cell(row.get(key))) for key in columns) + r" \\" for row in table(board)]
    return "\n".join(
        [
            rf"% {board.source['dataset']}, {board.classifier}, {board.protocol}",
            rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
            r"\toprule",
            " & ".join(_tex(title) for title in columns.values()) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _columns(wide: bool) -> dict[str, str]:
    columns = {
        "augmenter": "arm",
        "control": "control",
        "balanced_accuracy": "bal. acc.",
        "auroc": "AUROC",
        "gain": "gain",
        "gain_low": "from",
        "gain_high": "to",
        "verdict": "verdict",
        "seconds_alone": "seconds alone",
    }
    if wide:
        columns |= {
            "macro_f1": "macro-F1",
            "balanced_accuracy_argmax": "bal. acc. by argmax",
            "done": "done",
            "failed": "failed",
            "planned": "planned",
            "made_images": "made images",
            "peak_mb": "peak MB",
        }
    return columns


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    # A spreadsheet runs what starts like a formula; a quote before it makes it text.
    writer.writerows({k: f"'{v}" if str(v)[:1] in ("=", "+", "@", "\t") else v for k, v in row.items()} for row in rows)
    return out.getvalue().rstrip("\n")


def _cell(value: Any) -> str:
    return "" if value is None else clean(str(value))


_TEX = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}"})


def _tex(text: str) -> str:
    return text.translate(_TEX)


def _branch(row: Row, plain: bool) -> str:
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


def _by(board: Board) -> str:
    return "image" if board.source["patients"] == board.source["images"] or board.protocol == "images" else "patient"


def _two(left: str, right: str) -> str:
    if len(left) + len(right) + 2 > WIDTH:
        return f"{left}\n  {right}"
    return f"{left}{right:>{WIDTH - len(left)}}"


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(clean(text), WIDTH - 1, initial_indent=" ", subsequent_indent=" ")


def _auroc(value: float) -> str:
    text = f"{value:.3f}"
    return text.removeprefix("0") if value == value else "n/a"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f}s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.0f}h"
