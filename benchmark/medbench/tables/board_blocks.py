"""A board as blocks for Markdown and LaTeX: the columns that people read, and its notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medbench.boards.board import Board
from medbench.tables.blocks import Block, Heading, grid, notes
from medbench.tables.board_notes import board_notes, without_number
from medbench.tables.board_values import board_rows, metric_key
from medbench.text import clean

TEXTS = ("augmenter", "control", "verdict", "marks")
"""Columns that hold words, not numbers."""
COLUMNS = {
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
"""Title by key of a flat row."""
COUNTS = {
    "done": "done",
    "failed": "failed",
    "skipped": "skipped",
    "planned": "planned",
    "made_images": "made images",
    "peak_mb": "peak MB",
}


def board_blocks(board: Board, *, wide: bool) -> Iterator[Block]:
    """Yield a heading, the table and its notes.

    Args:
        board: What to write.
        wide: Recalls, precisions, further measures, metrics and scores of generators too.
    """
    titles = _columns(board, wide)
    rows = [[_text(row.get(key)) for key in titles] for row in map(_for_people, board_rows(board))]
    yield Heading(", ".join(map(clean, (board.source["dataset"], board.classifier, board.protocol))))
    yield grid(tuple(titles.values()), rows, numeric=[key not in TEXTS for key in titles])
    yield notes([*board_notes(board), *(without_number([board]) if wide else ())])


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    """Return a flat row as people read it: a yardstick by its title, with its remark."""
    if not row.get("yardstick"):
        return row
    return {**row, "augmenter": row["yardstick_title"], "verdict": row["yardstick_caption"]}


def _columns(board: Board, wide: bool) -> dict[str, str]:
    titles = dict(COLUMNS)
    if any(row.marks for row in board.rows):
        titles["marks"] = "marks"
    if wide:
        classes = board.source["classes"]
        titles |= {"macro_f1": "macro-F1", "balanced_accuracy_argmax": "bal. acc. by argmax"}
        titles |= {f"{measure}_{name}": f"{measure} {name}" for measure in ("recall", "precision") for name in classes}
        titles |= {"auprc": "AUPRC", "mcc": "MCC", "brier": "Brier", "calibration_slope": "calibration slope"}
        titles |= COUNTS
        titles |= {metric_key(name): name for row in board.all_rows for name in row.metrics}
        titles |= {f"score_{name}": name for row in board.rows for name in row.scores_of_made if ":" not in name}
    return titles


def _text(value: Any) -> str:
    return "" if value is None else str(value)
