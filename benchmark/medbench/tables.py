"""Leaderboards as text: the tree in 80 columns, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Sequence
from typing import Any

from medbench.leaderboard import Board, Row, table
from medbench.matrix import Arm
from medbench.protocols import protocol
from medbench.recipes import parse
from medbench.verdicts import ESTIMAND, PHANTOM, answer, looks, reasons, what_helps

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
        return to_csv([row for board in board_list for row in _values(board)])
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
        name = f" {_branch(row, plain)}{arm_name(row.arm)}"
        if columns(name) >= NAME_WIDTH:
            lines.append(cut(name, WIDTH))
            name = ""
        lines.append(_line(name, *_numbers(row), _time(row.seconds)))
    return lines


def _line(name: str, accuracy: str, auroc: str, gain: str, span: str, verdict: str, time: str) -> str:
    said = f"{span:<14} {verdict}"  # a long range takes the room of a verdict that is not there
    return f"{pad(name, NAME_WIDTH)}{accuracy:>7} {auroc:>5}{gain:>6}  {said:<28} {time:>4}"


def short(text: str) -> str:
    """Write ``hybrid[generator=reacgan]`` as ``hybrid (reacgan)``."""
    spec = parse(text)
    values = ", ".join(value for _, value in spec.parameters)
    return clean(f"{spec.name} ({values})" if values else spec.name)


def arm_name(arm: Arm) -> str:
    """Write the augmenter, and the classifier where that claims something itself and so is not the board's."""
    return f"{short(arm.augmenter)} / {short(arm.classifier)}" if arm.over else short(arm.augmenter)


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
    scores = f"{100 * row.scores.balanced_accuracy:.1f}", _auroc(row.scores.auroc)
    if row.gain is None:
        return *scores, "", "", verdict
    span = f"{100 * row.gain.low:+z.1f} to {100 * row.gain.high:+z.1f}"
    return *scores, f"{100 * row.gain.value:+z.1f}", span, verdict


def _footer(board: Board) -> list[str]:
    return [line for sentence in _sentences(board) for line in (wrapped(sentence) if sentence else [""])]


def _sentences(board: Board) -> list[str]:
    """Return what stands under a board; an empty one parts the yardsticks from the rest."""
    first = f"chance {100 / len(board.source['classes']):.1f}"
    if board.plain is not None and board.plain.scores is not None:
        s = board.plain.scores
        first += (
            f"    {short(board.plain.arm.augmenter)}: {100 * s.argmax_balanced_accuracy:.1f} by argmax, "
            f"{100 * s.balanced_accuracy:.1f} with the threshold moved, AUROC {_auroc(s.auroc)}"
        )
    said = [first, ""]
    if board.leaks:
        said.append(f"PROTOCOL {board.protocol} LEAKS by design, never ranked: {', '.join(board.leaks)}")
    said += _answers(board)
    said += reasons(board.evidence)
    if board.is_phantom:
        said.append(PHANTOM)
    if board.unit == "image" and board.source["patients"] != board.source["images"]:
        said.append("Scored by image; all images of a patient are drawn together.")
    compared = max((row.gain.comparisons for row in board.rows if row.gain), default=0)
    said.append(f"{looks(compared, board.looks)}. {f'{ESTIMAND} ' if compared else ''}Untuned defaults.")
    for row in board.rows:
        name = arm_name(row.arm)
        if row.failed:
            stands_in = "counted with its control's predictions" if row.scores else "so it is not scored"
            said.append(f"{name}: {row.failed} of {row.planned} {', '.join(row.kinds)}, {stands_in}.")
        if row.collapsed[0]:
            of = f"{row.collapsed[0]} of {row.collapsed[1]}"
            said.append(f"{name}: {of} generators collapsed: a class's samples are nearly one picture.")
        if row.superseded:
            said.append(f"{name}: {row.superseded} older results of other code or budget, not shown.")
        said += [f"skipped {name} / {short(board.classifier)}: {reason}" for reason in row.reasons]
    said += [f"skipped {short(s.augmenter)} / {short(s.classifier)}: {s.reason}" for s in board.skipped]
    return said + [f"! {warning}" for warning in board.warnings]


def _answers(board: Board) -> list[str]:
    """Answer for every arm that was asked for and has a verdict, then say what helps."""
    judged = [(row, row.judged) for row in board.rows if row.judged is not None]
    said = []
    for row, of_row in judged:
        if row.arm.asked and not of_row.verdict.withheld:
            control = row.arm.control if not row.arm.over else f"{row.arm.control} / {row.arm.over}"
            said.append(
                answer(
                    of_row.verdict,
                    of_row.gain,
                    of_row.evidence,
                    arm=arm_name(row.arm),
                    control=" / ".join(short(part) for part in control.split(" / ")),
                    worth=board.study.worth,
                    auroc=of_row.auroc,
                )
            )
    better = [(arm_name(row.arm), j.verdict, j.gain) for row, j in judged if j.gain is not None]
    if helps := what_helps(better):
        said.append(helps)
    return said


def _wide(board: Board, rule: str) -> list[str]:
    classes = [clean(c) for c in board.source["classes"]]
    heads = [c if columns(c) <= 11 else f"{cut(c, 10)}." for c in classes]
    lines = [
        f" more numbers {rule * 20}",
        f"{' arm':<30}{'macro-F1':>9}{'argmax':>8}{'cells':>9}{'made':>8}{'peak MB':>9}",
    ]
    rows = [*board.rows, *([board.plain] if board.plain else [])]
    names = [pad(f" {cut(arm_name(row.arm), 28)}", 30) for row in rows]
    for row, name in zip(rows, names, strict=True):
        f1 = f"{100 * row.scores.macro_f1:.1f}" if row.scores else ""
        argmax = f"{100 * row.scores.argmax_balanced_accuracy:.1f}" if row.scores else ""
        cells = f"{row.done}/{row.planned}"
        lines.append(f"{name}{f1:>9}{argmax:>8}{cells:>9}{row.made:>8.0f}{row.peak_mb:>9.0f}")
    for start in range(0, len(heads), 4):
        part = range(start, min(start + 4, len(heads)))
        lines += ["", f"{' recall, %':<30}" + "".join(pad(heads[k], -12) for k in part)]
        for row, name in zip(rows, names, strict=True):
            if row.scores is not None:
                recalls = [float(row.scores.recalls[k]) for k in part]
                lines.append(name + "".join(f"{100 * r:>12.1f}" if r == r else f"{'n/a':>12}" for r in recalls))
    return lines + _made(rows, names)


def _made(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Write scores of made rows in blocks of four, each with its floor behind it."""
    found = list(dict.fromkeys(name for row in rows for name in row.scores_of_made))
    plain = [name for name in found if name.removesuffix("-floor") == name or name[:-6] not in found]
    extractors = ", ".join(sorted({row.extractor for row in rows if row.scores_of_made}))
    lines = []
    for start in range(0, len(plain), 4):
        part = plain[start : start + 4]
        title = f" made rows, {clean(extractors)}" if not start else ""
        lines += ["", pad(cut(title, 30), 30) + "".join(pad(cut(clean(name), 11), -12) for name in part)]
        for row, name in zip(rows, names, strict=True):
            if row.scores_of_made:
                lines.append(name + "".join(f"{_score(row.scores_of_made.get(s)):>12}" for s in part))
                if any(f"{s}-floor" in row.scores_of_made for s in part):
                    floors = (_score(row.scores_of_made.get(f"{s}-floor")) for s in part)
                    lines.append(f"{'   real rows instead':<30}" + "".join(f"{value:>12}" for value in floors))
    return lines


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _markdown(board: Board, wide: bool) -> str:
    titles = _columns(board, wide)
    lines = [
        "### " + ", ".join(map(escape_markdown, (board.source["dataset"], board.classifier, board.protocol))),
        "",
        "| " + " | ".join(titles.values()) + " |",
        "| " + " | ".join("---" if key == "augmenter" else "---:" for key in titles) + " |",
    ]
    lines += [
        "| " + " | ".join(escape_markdown(_cell(row.get(key))) for key in titles) + " |" for row in _values(board)
    ]
    return "\n".join([*lines, "", *(f"{escape_markdown(sentence)}  " for sentence in _sentences(board) if sentence)])


def _latex(board: Board, wide: bool) -> str:
    titles = _columns(board, wide)
    body = [" & ".join(escape_latex(_cell(row.get(key))) for key in titles) + r" \\" for row in _values(board)]
    return "\n".join(
        [
            f"% {clean(board.source['dataset'])}, {clean(board.classifier)}, {clean(board.protocol)}",
            rf"\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}",
            r"\toprule",
            " & ".join(escape_latex(title) for title in titles.values()) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\footnotesize",
            *(escape_latex(clean(sentence)) for sentence in _sentences(board) if sentence),
        ]
    )


def _columns(board: Board, wide: bool) -> dict[str, str]:
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
        titles |= {f"score_{name}": name for row in board.rows for name in row.scores_of_made}
    return titles


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Write rows under the keys of all of them; what a spreadsheet would run as a formula becomes text."""
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


def escape_markdown(text: str) -> str:
    """Write a text so that Markdown shows it as it is."""
    return clean(text).translate(_MD)


_TEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
)


def escape_latex(text: str) -> str:
    """Write a text so that LaTeX shows it as it is."""
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
    return [cut(left, WIDTH), *(f" {line}" for line in wrapped(right, WIDTH - 2))]


def wrapped(text: str, width: int = WIDTH - 1) -> list[str]:
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
