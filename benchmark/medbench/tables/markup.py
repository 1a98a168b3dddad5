"""Boards in Markdown, LaTeX and CSV, and what keeps a text from being read as any of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from medbench.boards.board import Board
from medbench.tables.board_sentences import sentences, without_number
from medbench.tables.flat_rows import metric_key, table
from medbench.tables.latex import escape_latex
from medbench.text import clean

WORDS = ("augmenter", "control", "verdict", "marks")
"""Columns that hold words, not numbers."""


def values(board: Board) -> list[dict[str, Any]]:
    """Return the flat rows of a board, cleaned of what a terminal obeys."""
    return [
        {clean(key): clean(value) if isinstance(value, str) else value for key, value in row.items()}
        for row in table(board)
    ]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a flat row as tables for people show it: a yardstick by its title, with its remark."""
    if not row.get("yardstick"):
        return row
    return {**row, "augmenter": row["yardstick_title"], "verdict": row["yardstick_caption"]}


def markdown(board: Board, wide: bool) -> str:
    """Write a board as a table of Markdown with its sentences."""
    titles = _columns(board, wide)
    lines = [
        "### " + ", ".join(map(escape_markdown, (board.source["dataset"], board.classifier, board.protocol))),
        "",
        "| " + " | ".join(map(escape_markdown, titles.values())) + " |",
        "| " + " | ".join("---" if key in WORDS else "---:" for key in titles) + " |",
    ]
    lines += [
        "| " + " | ".join(escape_markdown(_cell(row.get(key))) for key in titles) + " |"
        for row in map(_row, values(board))
    ]
    said = [*sentences(board), *(without_number([board]) if wide else ())]
    return "\n".join([*lines, "", *(f"{escape_markdown(sentence)}  " for sentence in said if sentence)])


def latex(board: Board, wide: bool) -> str:
    """Write a board as a ``tabular`` of booktabs with its sentences."""
    titles = _columns(board, wide)
    rows = map(_row, values(board))
    said = [*sentences(board), *(without_number([board]) if wide else ())]
    body = [" & ".join(escape_latex(_cell(row.get(key))) for key in titles) + r" \\" for row in rows]
    return "\n".join(
        [
            f"% {clean(board.source['dataset'])}, {clean(board.classifier)}, {clean(board.protocol)}",
            rf"\begin{{tabular}}{{{''.join('l' if key in WORDS else 'r' for key in titles)}}}",
            r"\toprule",
            " & ".join(escape_latex(title) for title in titles.values()) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\footnotesize",
            *(escape_latex(clean(sentence)) for sentence in said if sentence),
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
        every = [*board.rows, *([board.plain] if board.plain else [])]
        titles |= {clean(metric_key(name)): clean(name) for row in every for name in row.metrics}
        titles |= {f"score_{name}": name for row in board.rows for name in row.scores_of_made if ":" not in name}
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
