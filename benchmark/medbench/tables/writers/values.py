"""Rows of plain values as CSV and JSON, and how numbers become such values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import Verdict
from medbench.text import clean

Values = dict[str, Any]
"""A row: texts, numbers or None by name."""


def percent(value: float | None) -> float | None:
    """Return a share or a gain in percent, to two digits; None for what is no finite number."""
    return rounded(value, 2, 100.0)


def rounded(value: float | None, digits: int, scale: float = 1.0) -> float | None:
    """Return a number times `scale` to so many digits, never -0.0; None for what is no finite number."""
    return None if value is None or not np.isfinite(value) else round(scale * value, digits) + 0.0


def gain_values(gain: Interval | None, key: str = "gain") -> Values:
    """Return a gain and the ends of its range in points, under `key`, ``key_low`` and ``key_high``."""
    ends = (gain.value, gain.low, gain.high) if gain else (None, None, None)
    return {f"{key}{end}": percent(value) for end, value in zip(("", "_low", "_high"), ends, strict=True)}


def verdict_values(verdict: Verdict | None) -> Values:
    """Return the word of a verdict, or the sentence that says why there is none."""
    return {
        "verdict": (verdict.word or None) if verdict else None,
        "verdict_withheld": (verdict.withheld or None) if verdict else None,
    }


def cleaned(rows: Iterable[Values]) -> list[Values]:
    """Return rows without what a terminal obeys."""
    return [{clean(k): clean(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]


def to_json(rows: Iterable[Values]) -> str:
    """Write rows as JSON."""
    return json.dumps(cleaned(rows), indent=1, ensure_ascii=False, allow_nan=False)


def to_csv(rows: Iterable[Values]) -> str:
    """Write rows under the keys of all of them; what a spreadsheet would run as a formula becomes text."""
    rows = cleaned(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    # A spreadsheet runs what starts like a formula; a quote before it makes it text.
    formula = ("=", "+", "-", "@", "\t", "\r")
    writer.writerows(
        {k: f"'{v}" if isinstance(v, str) and v.startswith(formula) else v for k, v in row.items()} for row in rows
    )
    return out.getvalue().rstrip("\n")
