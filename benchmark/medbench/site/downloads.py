"""What the tables stand on, a row an arm, as CSV, JSON and parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medbench.publishing.bundle.board_numbers import FAIR
from medbench.site import protocol_pages
from medbench.site.order_entries import requested_arms
from medbench.site.read_entries import Published
from medbench.site.safe_texts import safe_text
from medbench.tables.writers.values import to_csv

FORMATS = ("csv", "json", "parquet")

_TEXT = ("entry", "title", "authors", "tier", "dataset", "data", "protocol", "leaks", "unit", "classifier",
         "augmenter", "control", "control_classifier", "word", "withheld", "marks", "bundle_sha256")  # fmt: skip
_FLAG = ("ranked", "phantom", "recomputed", "plain", "asked")
_COUNT = ("folds", "repeats", "seeds", "patients", "images", "looks", "planned", "done", "failed", "skipped")
_NUMBER = ("worth", "balanced_accuracy", "argmax_balanced_accuracy", "accuracy", "auroc", "macro_f1", "gain",
           "gain_low", "gain_high", "gain_auroc", *FAIR, "seconds", "peak_mb", "made")  # fmt: skip
COLUMNS = (*_TEXT, *_FLAG, *_COUNT, *_NUMBER)
"""Columns of every download. Shares lie between 0 and 1, gains are differences of shares; `folds` is 1 for an official
cut, `asked` is false for the controls of what was asked for; `seconds`, `peak_mb` and `made` are what the submitter's
machine said."""


def rows(entries: Iterable[Published]) -> list[dict[str, Any]]:
    """Return every arm of every board under COLUMNS, in the order of entries, boards and rows."""
    found = []
    for published in entries:
        entry, history = published.entry, published.history
        of_entry = {
            "entry": entry["id"],
            "title": entry["method"]["title"],
            "authors": "; ".join(entry["method"]["authors"]),
            "tier": history.tier,
            "bundle_sha256": entry["bundle"]["sha256"],
            **{key: entry["study"][key] for key in ("folds", "repeats", "seeds", "worth")},
        }
        for board in entry["boards"]:
            ranked = history.is_ranked and board["recomputed"] and not board["leaks"]
            asked = requested_arms(published, board)
            here = {
                "leaks": "; ".join(board["leaks"]),
                "folds": protocol_pages.folds(board["protocol"], entry["study"]["folds"]),
            }
            of_board = of_entry | board | here
            for row in board["rows"]:
                is_asked = any(row is one for one in asked)
                merged = of_board | row | {"ranked": ranked and bool(row["word"]), "asked": is_asked}
                found.append(
                    {name: _value(name, merged[name] if name not in FAIR else merged.get(name)) for name in COLUMNS}
                )
    return found


def serialise(found: Sequence[dict[str, Any]], form: str) -> bytes:
    """Return rows as the bytes of a file in one of FORMATS."""
    if form == "csv":
        return f"{to_csv(found) if found else ','.join(COLUMNS)}\n".encode()
    if form == "json":
        lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in found)
        return ("[\n" + ",\n".join(lines) + "\n]\n").encode()
    import polars as pl

    schema = {name: _type(pl, name) for name in COLUMNS}
    out = io.BytesIO()
    pl.DataFrame(list(found), schema=schema, orient="row").write_parquet(out, compression="zstd")
    return out.getvalue()


def _value(name: str, value: Any) -> Any:
    if name in _TEXT:
        return None if value is None else safe_text(value)
    return float(value) if name in _NUMBER and value is not None else value


def _type(pl: Any, name: str) -> Any:
    if name in _TEXT:
        return pl.String
    return pl.Boolean if name in _FLAG else pl.Int64 if name in _COUNT else pl.Float64


def facts(entry: Mapping[str, Any]) -> str:
    """Return the JSON values that a site offers of an entry, every text of it fit to be shown.

    Each board says its own folds, since an official split has none of those that the study asked for.
    """

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {safe_text(key): clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [clean(inner) for inner in value]
        return safe_text(value) if isinstance(value, str) else value

    asked = entry["study"]["folds"]
    boards = [board | {"folds": protocol_pages.folds(board["protocol"], asked)} for board in entry["boards"]]
    return (
        json.dumps(clean({**entry, "boards": boards}), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        + "\n"
    )
