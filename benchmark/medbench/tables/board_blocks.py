"""A board as blocks for Markdown and LaTeX: the columns that people read, and its notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from medbench.boards.board import Board, Row
from medbench.boards.yardstick_results import YardstickResult
from medbench.planning.arm_names import arm_name, control_name
from medbench.registry.display_names import classifier_name
from medbench.statistics.verdicts import WORDS
from medbench.tables.answer import answer_of
from medbench.tables.blocks import Block, Cell, Heading, grid, notes
from medbench.tables.board_notes import mark_notes, name_of_data, without_fair_gain, without_number
from medbench.tables.board_values import board_rows, metric_key
from medbench.tables.wording import auroc_share, range_of, yardstick
from medbench.tables.writers.values import Values
from medbench.text import clean, duration, points

TEXTS = ("augmenter", "control", "verdict")
"""Columns that hold words, not numbers."""
COLUMNS = {
    "augmenter": "method",
    "control": "compared with",
    "balanced_accuracy": "balanced accuracy, %",
    "auroc": "AUROC",
    "gain": "gain, points",
    "interval": "95 % CI",
    "verdict": "verdict",
    "seconds_alone": "time",
}
"""Title by key of a flat row."""
FAIR = {
    "gain_fair_threshold": "gain at a fair threshold, points",
    "interval_fair_threshold": "95 % CI at a fair threshold",
}
"""The same of columns that stand there where a row has such a gain."""
COUNTS = {
    "done": "training runs done",
    "failed": "failed",
    "skipped": "left out",
    "planned": "planned",
    "made_images": "synthetic samples",
    "peak_mb": "peak MB",
}


def board_blocks(board: Board, *, wide: bool) -> Iterator[Block]:
    """Yield a heading, the answer, the table, why there is no verdict, warnings and notes.

    Args:
        board: What to write.
        wide: Recalls, precisions, further measures, metrics and scores of generators too.
    """
    titles, found = _columns(board, wide), answer_of(board)
    of_rows: list[Row | YardstickResult] = [*board.all_rows, *board.yardsticks]
    rows = [_cells(one, values, titles) for one, values in zip(of_rows, board_rows(board), strict=True)]
    leaky = "LEAKY, no verdict: " if board.leaks else ""
    network = classifier_name(board.classifier)
    yield Heading(f"{leaky}{name_of_data(board)}, {network}, {clean(board.protocol)}")
    yield notes([" ".join(filter(None, (found.sentence, found.largest, found.training)))])
    yield grid(
        tuple(titles.values()),
        rows,
        numeric=[key not in TEXTS for key in titles],
        caption=f"{name_of_data(board)}, {network}: gain of each method over the method it is compared with.",
        label=re.sub("[^a-z0-9]+", "-", f"{board.source['dataset']} {board.classifier} {board.protocol}".lower()),
    )
    further = [*without_fair_gain(board), *(without_number([board]) if wide else [])]
    yield notes([*found.why_no_verdict, *found.warnings, *mark_notes(board), *found.notes, *further])


def _cells(row: Row | YardstickResult, values: Values, titles: Mapping[str, str]) -> list[str | Cell]:
    """Return a row's cells as people read them: methods by name, a yardstick by its title and remark."""
    shown = {**values, **_printed(row), "verdict": _verdict(values["verdict"])}
    if isinstance(row, YardstickResult):
        title, remark = yardstick(row)
        shown |= {"control": arm_name(row.control), "verdict": remark}
        return [Cell(clean(title)), *(_text(shown.get(key)) for key in titles if key != "augmenter")]
    shown["control"] = control_name(row.arm)
    marks = f" [{row.marks}]" if row.marks else ""
    first = Cell(f"{arm_name(row.arm)}{marks}", depth=row.depth)
    return [first, *(_text(shown.get(key)) for key in titles if key != "augmenter")]


def _printed(row: Row | YardstickResult) -> dict[str, str | None]:
    """Return the numbers of the main columns as every other table prints them, from unrounded ones."""
    scores, gain = row.scores, row.gain
    fair = row.fair.gain if isinstance(row, Row) and row.fair is not None else None
    return {
        "balanced_accuracy": f"{100 * scores.balanced_accuracy:.1f}" if scores else None,
        "auroc": auroc_share(scores.auroc) if scores else None,
        "gain": points(gain.value) if gain else None,
        "interval": range_of(gain) if gain else None,
        "seconds_alone": duration(row.seconds),
        "gain_fair_threshold": points(fair.value) if fair else None,
        "interval_fair_threshold": range_of(fair) if fair else None,
    }


def _verdict(word: str | None) -> str:
    if word == "control":
        return "reference"
    return WORDS[word].text if word in WORDS else word or ""  # type: ignore[index]


def _columns(board: Board, wide: bool) -> dict[str, str]:
    titles = dict(COLUMNS)
    if any(row.fair is not None and row.fair.gain is not None for row in board.all_rows):
        titles = {key: title for key, title in titles.items() if key != "seconds_alone"} | FAIR
        titles["seconds_alone"] = COLUMNS["seconds_alone"]
    if wide:
        classes = board.source["classes"]
        titles |= {
            "macro_f1": "macro-F1",
            "balanced_accuracy_argmax": "balanced accuracy of the most probable class, %",
            "balanced_accuracy_fair_threshold": "balanced accuracy at a fair threshold, %",
        }
        if not any(row.fair is not None for row in board.all_rows):
            del titles["balanced_accuracy_fair_threshold"]
        titles |= {f"{measure}_{name}": f"{measure} {name}" for measure in ("recall", "precision") for name in classes}
        titles |= {"auprc": "AUPRC", "mcc": "MCC", "brier": "Brier", "calibration_slope": "calibration slope",
                   "calibration_error": "calibration error"}  # fmt: skip
        titles |= COUNTS
        titles |= {metric_key(name): name for row in board.all_rows for name in row.metrics}
        titles |= {f"score_{name}": name for row in board.rows for name in row.scores_of_made if ":" not in name}
    return titles


def _text(value: Any) -> str:
    return "" if value is None else str(value)
