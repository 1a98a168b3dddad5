"""Leaderboards as text: the tree in 80 columns, Markdown, CSV, JSON, LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from medbench.board import Board, Row
from medbench.board_sentences import arm_name, auroc_share, sentences
from medbench.flat_rows import table
from medbench.latex import escape_latex
from medbench.measured import Measured
from medbench.protocols import protocol
from medbench.text import WIDTH, clean, columns, counted, cut, pad, wrapped
from medbench.verdicts import duration, yardstick

NAME_WIDTH = 26
TIME_AT = 74
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


def _values(board: Board) -> list[dict[str, Any]]:
    return [
        {clean(key): clean(value) if isinstance(value, str) else value for key, value in row.items()}
        for row in table(board)
    ]


def _text(board: Board, wide: bool, plain: bool) -> str:
    rule = "-" if plain else "─"
    lines = [*heading(board), "", *_grid(board, plain), *_footer(board)]
    if wide:
        lines += ["", *_wide(board, rule)]
    return "\n".join(line.rstrip() for line in lines)


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
        *_two(clean(source["dataset"]), numbers),
        *_two(f"{clean(board.classifier)}{f', {size} px' if size else ''}", _design(board)),
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
        name = f" {branch(row, plain)}{arm_name(row.arm)}"
        if columns(name) >= NAME_WIDTH:
            lines.append(cut(name, WIDTH))
            name = ""
        lines.append(_line(name, *_numbers(row), duration(row.seconds), row.marks))
    if board.yardsticks:
        lines.append(cut(f" yardsticks, against {arm_name(board.yardsticks[0].control)}", WIDTH))
        lines += [_line(*_yardstick(of_it), "") for of_it in board.yardsticks]
    return lines


def _line(name: str, accuracy: str, auroc: str, gain: str, span: str, verdict: str, time: str, marks: str = "") -> str:
    said = f"{span:<14} {verdict}"  # a long range takes the room of a verdict that is not there
    start = f"{pad(name, NAME_WIDTH)}{accuracy:>7} {auroc:>5}{gain:>6}  {said}"
    end = f" {time:>3}{' ' * (len(marks) == 1)}{marks}" if time else ""
    return pad(cut(start, WIDTH - len(end)), min(TIME_AT, WIDTH - len(end))) + end


def _yardstick(of_it: Measured) -> tuple[str, str, str, str, str, str]:
    """Return the cells of a yardstick: a remark where an arm has its verdict."""
    title, remark = yardstick(of_it.kind, trainings=of_it.trainings, cost=duration(of_it.seconds))
    name = f"   {title}"
    if of_it.failed:
        return name, "", "", "", f"{of_it.failed} of {of_it.planned} failed", ""
    if of_it.scores is None:
        return name, "", "", "", f"{of_it.done} of {of_it.planned} done", "" if of_it.kind == "average" else remark
    scores = f"{100 * of_it.scores.balanced_accuracy:.1f}", auroc_share(of_it.scores.auroc)
    if of_it.gain is None:
        return name, *scores, "", "", remark
    span = f"{100 * of_it.gain.low:+z.1f} to {100 * of_it.gain.high:+z.1f}"
    return name, *scores, f"{100 * of_it.gain.value:+z.1f}", span, remark


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
    span = f"{100 * row.gain.low:+z.1f} to {100 * row.gain.high:+z.1f}"
    return *scores, f"{100 * row.gain.value:+z.1f}", span, verdict


def _footer(board: Board) -> list[str]:
    return [line for sentence in sentences(board) for line in (wrapped(sentence) if sentence else [""])]


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
    return lines + _measured(rows, names, heads) + _made(rows, names)


def _measured(rows: Sequence[Row], names: Sequence[str], heads: Sequence[str]) -> list[str]:
    """Write further measures, precisions in blocks of four classes, and each arm's confusion matrix in percent."""
    known = [(row.measures, name) for row, name in zip(rows, names, strict=True) if row.measures is not None]
    if not known:
        return []

    def percent(value: float) -> str:
        return f"{100 * value:>12.1f}" if value == value else f"{'n/a':>12}"

    lines = ["", f"{' ':<30}{'AUPRC':>9}{'MCC':>8}{'Brier':>9}{'calibration slope':>20}"]
    for m, name in known:
        slope = f"{m.calibration_slope:.2f}" if m.calibration_slope == m.calibration_slope else "n/a"
        lines.append(f"{name}{auroc_share(m.auprc):>9}{m.mcc:>8.3f}{m.brier:>9.3f}{slope:>20}")
    for start in range(0, len(heads), 4):
        part = range(start, min(start + 4, len(heads)))
        lines += ["", f"{' precision, %':<30}" + "".join(pad(heads[k], -12) for k in part)]
        lines += [name + "".join(percent(float(m.precisions[k])) for k in part) for m, name in known]
    return lines


def _made(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Write scores of made rows in blocks of four, each with its floor behind it."""
    found = list(dict.fromkeys(name for row in rows for name in row.scores_of_made))
    plain = [name for name in found if name.removesuffix("-floor") == name or name[:-6] not in found]
    plain = [name for name in plain if not name.endswith("-spread")]  # what the mark g is read off, in CSV and JSON
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


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a flat row as tables for people show it: a yardstick by its title, with its remark."""
    if not row.get("yardstick"):
        return row
    return {**row, "augmenter": row["yardstick_title"], "verdict": row["yardstick_caption"]}


def _markdown(board: Board, wide: bool) -> str:
    titles = _columns(board, wide)
    lines = [
        "### " + ", ".join(map(escape_markdown, (board.source["dataset"], board.classifier, board.protocol))),
        "",
        "| " + " | ".join(map(escape_markdown, titles.values())) + " |",
        "| " + " | ".join("---" if key == "augmenter" else "---:" for key in titles) + " |",
    ]
    lines += [
        "| " + " | ".join(escape_markdown(_cell(row.get(key))) for key in titles) + " |"
        for row in map(_row, _values(board))
    ]
    return "\n".join([*lines, "", *(f"{escape_markdown(sentence)}  " for sentence in sentences(board) if sentence)])


def _latex(board: Board, wide: bool) -> str:
    titles = _columns(board, wide)
    rows = map(_row, _values(board))
    body = [" & ".join(escape_latex(_cell(row.get(key))) for key in titles) + r" \\" for row in rows]
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
            *(escape_latex(clean(sentence)) for sentence in sentences(board) if sentence),
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
    if any(row.marks for row in board.rows):
        titles["marks"] = "marks"
    if wide:
        titles |= {
            "macro_f1": "macro-F1",
            "balanced_accuracy_argmax": "bal. acc. by argmax",
            **{clean(f"recall_{name}"): clean(f"recall {name}") for name in board.source["classes"]},
            **{clean(f"precision_{name}"): clean(f"precision {name}") for name in board.source["classes"]},
            "auprc": "AUPRC",
            "mcc": "MCC",
            "brier": "Brier",
            "calibration_slope": "calibration slope",
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


def _two(left: str, right: str) -> list[str]:
    if columns(left) + columns(right) + 2 <= WIDTH:
        return [left + pad(right, columns(left) - WIDTH)]
    return [cut(left, WIDTH), *(f" {line}" for line in wrapped(right, WIDTH - 2))]
