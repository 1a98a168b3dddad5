"""Leaderboards as text: the tree in 80 columns, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Sequence
from typing import Any

from medbench.leaderboard import Board, Row, table
from medbench.protocols import protocol
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
        rows = [row for board in board_list for row in _values(board)]
        return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
    if form == "csv":
        return _csv([row for board in board_list for row in _values(board)])
    if form in ("md", "latex"):
        return "\n\n".join((_markdown if form == "md" else _latex)(board, wide) for board in board_list)
    return "\n\n".join(_text(board, wide, plain) for board in board_list)


def clean(text: str) -> str:
    """Drop control and formatting characters and halves of characters, so that a name cannot steer a terminal."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))


def columns(text: str) -> int:
    """Count the columns a text takes on a terminal: two for a wide character, none for a combining one."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def cut(text: str, width: int) -> str:
    """Return as much of a text as `width` columns hold."""
    end = len(text)
    while columns(text[:end]) > width:
        end -= 1
    return text[:end]


def pad(text: str, width: int) -> str:
    """Fill a text up to `width` columns; a minus sign aligns it to the right, as a negative width."""
    return text + " " * (width - columns(text)) if width > 0 else " " * (-width - columns(text)) + text


def _values(board: Board) -> list[dict[str, Any]]:
    return [
        {clean(key): clean(value) if isinstance(value, str) else value for key, value in row.items()}
        for row in table(board)
    ]


def _text(board: Board, wide: bool, plain: bool) -> str:
    source = board.source
    rare, count = _rarest(board)
    rule = "-" if plain else "─"
    numbers = f"{source['patients']:,} patients ({count:,} {rare}), {source['images']:,} images"
    if source["patients"] == source["images"]:
        each = ", one a patient" if _unit(board) == "patients" else ""
        numbers = f"{source['images']:,} images{each} ({count:,} {rare})"
    size = board.study.budget.size
    lines = [
        *_two(clean(source["dataset"]), numbers),
        *_two(f"{clean(board.classifier)}{f', {size} px' if size else ''}", _design(board)),
    ]
    lines += ["", *_grid(board, plain), *_footer(board)]
    if wide:
        lines += ["", *_wide(board, rule)]
    return "\n".join(line.rstrip() for line in lines)


def _design(board: Board) -> str:
    rule, study = protocol(board.protocol), board.study
    parts = f"official cut x {study.repeats} repeats"
    if rule.name != "official":
        parts = f"{study.folds} folds x {study.repeats} repeats by {_by(board)}"
    cells = board.rows[0].planned if board.rows else 0
    cut_down = f", train={rule.train}" if rule.train else ""
    return f"{parts}{cut_down}, {min((row.settled for row in board.rows), default=0)} of {cells} done"


def _grid(board: Board, plain: bool) -> list[str]:
    device = "CPU" if board.device == "CPU" else "GPU"
    lines = [_line(" arm, under its control", "bal.acc", "AUROC", "gain", "95 % range", "verdict", device)]
    for row in board.rows:
        name = f" {_branch(row, plain)}{_short(row.arm.augmenter)}"
        if columns(name) >= NAME_WIDTH:
            lines.append(cut(name, WIDTH))
            name = ""
        lines.append(_line(name, *_numbers(row), _time(row.seconds)))
    return lines


def _line(name: str, accuracy: str, auroc: str, gain: str, span: str, verdict: str, time: str) -> str:
    said = f"{span:<14} {verdict}"  # a long range takes the room of a verdict that is not there
    return f"{pad(name, NAME_WIDTH)}{accuracy:>7} {auroc:>5}{gain:>6}  {said:<28} {time:>4}"


def _short(text: str) -> str:
    """Write ``hybrid[generator=reacgan]`` as ``hybrid (reacgan)``."""
    spec = parse(text)
    values = ", ".join(value for _, value in spec.parameters)
    return clean(f"{spec.name} ({values})" if values else spec.name)


def _numbers(row: Row) -> tuple[str, str, str, str, str]:
    verdict = "control" if not row.arm.control and not row.arm.plain else ""
    if row.failed:
        share = f"{row.failed}/{row.planned} "
        kind = row.kinds[0] if len(row.kinds) == 1 else "failed"
        verdict = share + (kind if len(share + kind) <= 13 else "failed")
    if row.skipped:
        return "", "", "", "skipped", verdict
    if row.scores is None:
        return "", "", "", f"{row.done} of {row.planned} done", verdict
    scores = f"{100 * row.scores.balanced_accuracy:.1f}", _auroc(row.scores.auroc)
    if row.gain is None:
        return *scores, "", "", verdict
    span = f"{100 * row.gain.low:+z.1f} to {100 * row.gain.high:+z.1f}"
    return *scores, f"{100 * row.gain.value:+z.1f}", span, verdict


def _footer(board: Board) -> list[str]:
    return [line for sentence in _sentences(board) for line in (_wrap(sentence) if sentence else [""])]


def _sentences(board: Board) -> list[str]:
    """Return what stands under a board; an empty one parts the yardsticks from the rest."""
    first = f"chance {100 / len(board.source['classes']):.1f}"
    if board.plain is not None and board.plain.scores is not None:
        s = board.plain.scores
        first += (
            f"    {_short(board.plain.arm.augmenter)}: {100 * s.argmax_balanced_accuracy:.1f} by argmax, "
            f"{100 * s.balanced_accuracy:.1f} with the threshold moved, AUROC {_auroc(s.auroc)}"
        )
    said = [first, ""]
    if board.leaks:
        said.append(f"PROTOCOL {board.protocol} LEAKS by design, never ranked: {', '.join(board.leaks)}")
    if incomplete := [row for row in board.rows if not row.complete]:
        row = min(incomplete, key=lambda row: row.settled)
        said.append(f"{row.settled} of {row.planned} cells done: no verdict yet.")
    rarest = _rarest(board)[1]
    if rarest < 20:
        said.append(f"{rarest} {_unit(board)} of the rarest class: numbers, no verdict.")
    if board.is_rehearsal:
        cells = "3 repeats" if protocol(board.protocol).name == "official" else "5 folds x 3 repeats"
        said.append(f"REHEARSAL: a verdict takes at least {cells}.")
    if board.is_phantom:
        said.append("PHANTOM DATA: this shows that medbench works, nothing about patients. Yours: medbench init FOLDER")
    if board.unit == "image" and board.source["patients"] != board.source["images"]:
        said.append("Scored by image; all images of a patient are drawn together.")
    said.append(
        f"Ranges: bootstrap of the same {_unit(board)} for arm and control, each range for itself. "
        f"Untuned defaults. {board.looks} configurations were ever scored on these folds."
    )
    for row in board.rows:
        name = _short(row.arm.augmenter)
        if row.failed:
            stands_in = "counted with its control's predictions" if row.scores else "so it is not scored"
            said.append(f"{name}: {row.failed} of {row.planned} {', '.join(row.kinds)}, {stands_in}.")
        if row.superseded:
            said.append(f"{name}: {row.superseded} older results of other code or budget, not shown.")
        said += [f"skipped {name} / {_short(board.classifier)}: {reason}" for reason in row.reasons]
    said += [f"skipped {_short(s.augmenter)} / {_short(s.classifier)}: {s.reason}" for s in board.skipped]
    return said + [f"! {warning}" for warning in board.warnings]


def _wide(board: Board, rule: str) -> list[str]:
    classes = [clean(c) for c in board.source["classes"]]
    short = [c if columns(c) <= 11 else f"{cut(c, 10)}." for c in classes]
    lines = [
        f" more numbers {rule * 20}",
        f"{' arm':<30}{'macro-F1':>9}{'argmax':>8}{'cells':>9}{'made':>8}{'peak MB':>9}",
    ]
    rows = [*board.rows, *([board.plain] if board.plain else [])]
    names = [pad(f" {cut(clean(row.arm.augmenter), 28)}", 30) for row in rows]
    for row, name in zip(rows, names, strict=True):
        f1 = f"{100 * row.scores.macro_f1:.1f}" if row.scores else ""
        argmax = f"{100 * row.scores.argmax_balanced_accuracy:.1f}" if row.scores else ""
        cells = f"{row.done}/{row.planned}"
        lines.append(f"{name}{f1:>9}{argmax:>8}{cells:>9}{row.made:>8.0f}{row.peak_mb:>9.0f}")
    for start in range(0, len(short), 4):
        part = range(start, min(start + 4, len(short)))
        lines += ["", f"{' recall, %':<30}" + "".join(pad(short[k], -12) for k in part)]
        for row, name in zip(rows, names, strict=True):
            if row.scores is not None:
                recalls = [float(row.scores.recalls[k]) for k in part]
                lines.append(name + "".join(f"{100 * r:>12.1f}" if r == r else f"{'n/a':>12}" for r in recalls))
    return lines


def _markdown(board: Board, wide: bool) -> str:
    titles = _columns(wide)
    lines = [
        f"### {_md(board.source['dataset'])}, {_md(board.classifier)}, {_md(board.protocol)}",
        "",
        "| " + " | ".join(titles.values()) + " |",
        "| " + " | ".join("---" if key == "augmenter" else "---:" for key in titles) + " |",
    ]
    lines += ["| " + " | ".join(_md(_cell(row[key])) for key in titles) + " |" for row in _values(board)]
    return "\n".join([*lines, "", *(f"{_md(sentence)}  " for sentence in _sentences(board) if sentence)])


def _latex(board: Board, wide: bool) -> str:
    titles = _columns(wide)
    body = [" & ".join(_tex(_cell(row[key])) for key in titles) + r" \\" for row in _values(board)]
    return "\n".join(
        [
            f"% {clean(board.source['dataset'])}, {clean(board.classifier)}, {clean(board.protocol)}",
            rf"\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}",
            r"\toprule",
            " & ".join(_tex(title) for title in titles.values()) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\footnotesize",
            *(_tex(clean(sentence)) for sentence in _sentences(board) if sentence),
        ]
    )


def _columns(wide: bool) -> dict[str, str]:
    titles = {
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
        titles |= {
            "macro_f1": "macro-F1",
            "balanced_accuracy_argmax": "bal. acc. by argmax",
            "done": "done",
            "failed": "failed",
            "skipped": "skipped",
            "planned": "planned",
            "made_images": "made images",
            "peak_mb": "peak MB",
        }
    return titles


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    # A spreadsheet runs what starts like a formula; a quote before it makes it text.
    formula = ("=", "+", "-", "@", "\t", "\r")
    writer.writerows(
        {k: f"'{v}" if isinstance(v, str) and v.startswith(formula) else v for k, v in row.items()} for row in rows
    )
    return out.getvalue().rstrip("\n")


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


_MD = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"})


def _md(text: str) -> str:
    return clean(text).translate(_MD)


_TEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
)


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


def _unit(board: Board) -> str:
    """Name what is drawn; where every image is a patient of its own, nobody said who is who."""
    alone = board.source["unit"] == "image" and board.source["patients"] == board.source["images"]
    return "images" if alone else "patients"


def _by(board: Board) -> str:
    by_image = protocol(board.protocol).name in ("images", "augment-first") or _unit(board) == "images"
    return "image" if by_image else "patient"


def _two(left: str, right: str) -> list[str]:
    if columns(left) + columns(right) + 2 <= WIDTH:
        return [left + pad(right, columns(left) - WIDTH)]
    return [cut(left, WIDTH), *(f" {line}" for line in _wrap(right, WIDTH - 2))]


def _wrap(text: str, width: int = WIDTH - 1) -> list[str]:
    """Break a sentence into lines with a blank before each; what is wide counts twice."""
    lines = [""]
    for word in clean(text).split(" "):
        while columns(word) >= width:
            head = cut(word, width - 1)
            lines.append(f" {head}")
            word = word[len(head) :]
        if columns(lines[-1]) + columns(word) + 1 > width:
            lines.append("")
        lines[-1] += f" {word}"
    return [f" {line.strip()}" for line in lines if line.strip()]


def _auroc(value: float) -> str:
    text = f"{value:.3f}"
    return text.removeprefix("0") if value == value else "n/a"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f}s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.0f}h"
