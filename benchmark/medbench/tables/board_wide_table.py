"""What ``--wide`` adds under a board's tree: cells, recalls, precisions, measures, scores of synthetic samples."""

from __future__ import annotations

from collections.abc import Sequence

from medbench.boards.board import Board, Row
from medbench.planning.arm_names import arm_name
from medbench.tables.board_notes import without_number
from medbench.tables.wording import auroc_share, metric_text
from medbench.text import clean, columns, cut, pad, wrapped


def wide_part(board: Board, rule: str) -> list[str]:
    """Return the lines under a board's tree, below a ruler drawn with `rule`."""
    classes = [clean(c) for c in board.source["classes"]]
    heads = [c if columns(c) <= 11 else f"{cut(c, 10)}." for c in classes]
    lines = [
        f" more numbers {rule * 20}",
        f"{' method':<30}{'macro-F1':>9}{'by top class':>14}{'runs':>8}{'added':>8}{'peak MB':>9}",
    ]
    rows = board.all_rows
    names = [pad(f" {cut(arm_name(row.arm), 28)}", 30) for row in rows]
    for row, name in zip(rows, names, strict=True):
        f1 = f"{100 * row.scores.macro_f1:.1f}" if row.scores else ""
        argmax = f"{100 * row.scores.argmax_balanced_accuracy:.1f}" if row.scores else ""
        cells = f"{row.done}/{row.planned}"
        lines.append(f"{name}{f1:>9}{argmax:>14}{cells:>8}{row.made:>8.0f}{row.peak_mb:>9.0f}")
    for start in range(0, len(heads), 4):
        part = range(start, min(start + 4, len(heads)))
        lines += ["", f"{' recall, %':<30}" + "".join(pad(heads[k], -12) for k in part)]
        for row, name in zip(rows, names, strict=True):
            if row.scores is not None:
                recalls = [float(row.scores.recalls[k]) for k in part]
                lines.append(name + "".join(f"{100 * r:>12.1f}" if r == r else f"{'n/a':>12}" for r in recalls))
    lines += _measure_lines(rows, names, heads) + _metrics(rows, names) + _generator_score_lines(rows, names)
    said = [line for sentence in without_number([board]) for line in wrapped(sentence)]
    return lines + [""] * bool(said) + said


def _measure_lines(rows: Sequence[Row], names: Sequence[str], heads: Sequence[str]) -> list[str]:
    """Write further measures, and precisions in percent in blocks of four classes."""
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


def _metrics(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Write the metrics that plugins added in blocks of three, in the order in which they are registered."""
    found = list(dict.fromkeys(name for row in rows for name in row.metrics))
    lines = []
    for start in range(0, len(found), 3):
        part = found[start : start + 3]
        lines += ["", pad("" if start else " metrics of plugins", 30) + "".join(_title(name) for name in part)]
        for row, name in zip(rows, names, strict=True):
            if row.metrics:
                lines.append(name + "".join(f"{metric_text(row.metrics.get(m)):>16}" for m in part))
    return lines


def _title(name: str) -> str:
    return pad(cut(clean(name), 15), -16)


def _generator_score_lines(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Write scores of made rows in blocks of three, each with its floor below; those of classes are in reports."""
    found = list(dict.fromkeys(name for row in rows for name in row.scores_of_made if ":" not in name))
    plain = [name for name in found if name.removesuffix("-floor") == name or name[:-6] not in found]
    plain = [name for name in plain if not name.endswith("-spread")]  # what the mark g is read off, in CSV and JSON
    extractors = ", ".join(sorted({row.extractor for row in rows if row.scores_of_made}))
    lines = []
    for start in range(0, len(plain), 3):
        part = plain[start : start + 3]
        title = f" synthetic, {clean(extractors)}" if not start else ""
        lines += ["", pad(cut(title, 30), 30) + "".join(_title(name) for name in part)]
        for row, name in zip(rows, names, strict=True):
            if row.scores_of_made:
                lines.append(name + "".join(f"{_score(row.scores_of_made.get(s)):>16}" for s in part))
                if any(f"{s}-floor" in row.scores_of_made for s in part):
                    floors = (_score(row.scores_of_made.get(f"{s}-floor")) for s in part)
                    lines.append(f"{'   as many real images':<30}" + "".join(f"{value:>16}" for value in floors))
    return lines


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
