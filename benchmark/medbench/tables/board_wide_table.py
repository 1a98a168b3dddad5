"""What ``--wide`` adds under a board's tree: cells, recalls, precisions, measures, scores of synthetic samples."""

from __future__ import annotations

from collections.abc import Sequence

from medbench.boards.board import Board, Row
from medbench.planning.arm_names import arm_name
from medbench.tables.board_notes import without_number
from medbench.tables.wording import auroc_share, metric_text
from medbench.text import clean, columns, pad, wrapped

NAME = 30
"""Columns of the names; a longer one stands on lines of its own."""
CLASS = 12
SCORE = 16


def wide_part(board: Board, rule: str) -> list[str]:
    """Return the lines under a board's tree, below a ruler drawn with `rule`."""
    classes = [clean(c) for c in board.source["classes"]]
    lines = [
        f" more numbers {rule * 20}",
        f"{' method':<{NAME}}{'macro-F1':>9}{'by top class':>14}{'runs':>8}{'added':>8}{'peak MB':>9}",
    ]
    rows = board.all_rows
    names = [arm_name(row.arm) for row in rows]
    for row, name in zip(rows, names, strict=True):
        f1 = f"{100 * row.scores.macro_f1:.1f}" if row.scores else ""
        argmax = f"{100 * row.scores.argmax_balanced_accuracy:.1f}" if row.scores else ""
        runs = f"{row.done}/{row.planned}"
        lines += _line(name, f"{f1:>9}{argmax:>14}{runs:>8}{row.made:>8.0f}{row.peak_mb:>9.0f}")
    for start in range(0, len(classes), 4):
        part = range(start, min(start + 4, len(classes)))
        lines += ["", *_heads(" recall, %", [classes[k] for k in part], CLASS)]
        for row, name in zip(rows, names, strict=True):
            if row.scores is not None:
                lines += _line(name, "".join(_percent(float(row.scores.recalls[k])) for k in part))
    lines += _measure_lines(rows, names, classes) + _metrics(rows, names) + _generator_score_lines(rows, names)
    said = [line for sentence in without_number([board]) for line in wrapped(sentence)]
    return lines + [""] * bool(said) + said


def _line(name: str, cells: str) -> list[str]:
    if columns(name) < NAME - 1:
        return [f"{pad(f' {name}', NAME)}{cells}"]
    return [*wrapped(name), f"{'':{NAME}}{cells}"]


def _heads(first: str, titles: Sequence[str], width: int) -> list[str]:
    """Write the titles of columns, each broken into as many lines as it needs; the last lines of all stand level."""
    parts = [[line[1:] for line in wrapped(title, width)] for title in titles]
    height = max(1, *map(len, parts))
    levels = zip(*([""] * (height - len(part)) + part for part in parts), strict=True)
    leads = [""] * (height - 1) + [first]
    return [pad(lead, NAME) + "".join(pad(t, -width) for t in level) for lead, level in zip(leads, levels, strict=True)]


def _percent(value: float) -> str:
    return f"{100 * value:>{CLASS}.1f}" if value == value else f"{'n/a':>{CLASS}}"


def _measure_lines(rows: Sequence[Row], names: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Write further measures, and precisions in percent in blocks of four classes."""
    known = [(row.measures, name) for row, name in zip(rows, names, strict=True) if row.measures is not None]
    if not known:
        return []
    lines = ["", f"{' ':<{NAME}}{'AUPRC':>9}{'MCC':>8}{'Brier':>9}{'calibration slope':>20}"]
    for m, name in known:
        slope = f"{m.calibration_slope:.2f}" if m.calibration_slope == m.calibration_slope else "n/a"
        lines += _line(name, f"{auroc_share(m.auprc):>9}{m.mcc:>8.3f}{m.brier:>9.3f}{slope:>20}")
    for start in range(0, len(classes), 4):
        part = range(start, min(start + 4, len(classes)))
        lines += ["", *_heads(" precision, %", [classes[k] for k in part], CLASS)]
        for m, name in known:
            lines += _line(name, "".join(_percent(float(m.precisions[k])) for k in part))
    return lines


def _metrics(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Write the metrics that plugins added in blocks of three, in the order in which they are registered."""
    found = list(dict.fromkeys(name for row in rows for name in row.metrics))
    lines = []
    for start in range(0, len(found), 3):
        part = found[start : start + 3]
        lines += ["", *_heads("" if start else " metrics of plugins", part, SCORE)]
        for row, name in zip(rows, names, strict=True):
            if row.metrics:
                lines += _line(name, "".join(f"{metric_text(row.metrics.get(m)):>{SCORE}}" for m in part))
    return lines


def _generator_score_lines(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Write scores of made rows in blocks of three, each with its floor below; those of classes are in reports."""
    found = list(dict.fromkeys(name for row in rows for name in row.scores_of_made if ":" not in name))
    plain = [name for name in found if name.removesuffix("-floor") == name or name[:-6] not in found]
    plain = [name for name in plain if not name.endswith("-spread")]  # what the mark g is read off, in CSV and JSON
    extractors = ", ".join(sorted({row.extractor for row in rows if row.scores_of_made}))
    lines = ["", *wrapped(f"scores of synthetic samples, by features of {extractors}")] if plain else []
    for start in range(0, len(plain), 3):
        part = plain[start : start + 3]
        lines += [*[""] * bool(start), *_heads("", part, SCORE)]
        for row, name in zip(rows, names, strict=True):
            if row.scores_of_made:
                lines += _line(name, "".join(f"{_score(row.scores_of_made.get(s)):>{SCORE}}" for s in part))
                if any(f"{s}-floor" in row.scores_of_made for s in part):
                    floors = (_score(row.scores_of_made.get(f"{s}-floor")) for s in part)
                    lines.append(f"{'   as many real images':<{NAME}}" + "".join(f"{v:>{SCORE}}" for v in floors))
    return lines


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
