"""Boards as plain numbers, unrounded: what a bundle claims, what a verifier compares, what an entry shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medbench.boards.board import Board, Row
from medbench.boards.fair_gains import FairGain
from medbench.boards.yardstick_results import YardstickResult
from medbench.publishing.bundle.allowed_texts import keep_allowed
from medbench.statistics.gain_intervals import Interval
from medbench.tables.wording import yardstick

EXACT = 1e-9
"""How far two numbers may be apart that are the same: other machines round sums otherwise."""


def board_numbers(board: Board) -> dict[str, Any]:
    """Return a board as JSON values; shares from 0 to 1, null where a number is not defined."""
    source = board.source
    return {
        "dataset": source["dataset"],
        "phantom": board.is_phantom,
        "data": source["data"],
        "protocol": board.protocol,
        "leaks": list(board.leaks),
        "classifier": board.classifier,
        "unit": board.unit,
        "patients": source["patients"],
        "images": source["images"],
        "classes": list(source["classes"]),
        "class_patients": list(source["class_patients"]),
        "looks": board.looks,
        "device": keep_allowed(board.device),
        "rows": [_row(row) for row in board.all_rows],
        "yardsticks": [_yardstick(of_it) for of_it in board.yardsticks],
        "check": None if (at := board.check) is None else {
            "augmenter": at.arm.augmenter, "classifier": at.arm.classifier, "steps": at.steps, **_gain(at.gain),
        },
    }  # fmt: skip


def _row(row: Row) -> dict[str, Any]:
    s, verdict = row.scores, row.judged.verdict if row.judged else None
    return {
        "augmenter": row.arm.augmenter,
        "classifier": row.arm.classifier,
        "control": row.arm.control or None,
        "control_classifier": row.arm.over or None,
        "plain": row.arm.plain,
        "depth": row.depth,
        "planned": row.planned,
        "done": row.done,
        "failed": row.failed,
        "skipped": row.skipped,
        "balanced_accuracy": _number(s.balanced_accuracy) if s else None,
        "argmax_balanced_accuracy": _number(s.argmax_balanced_accuracy) if s else None,
        "accuracy": _number(s.accuracy) if s else None,
        "auroc": _number(s.auroc) if s else None,
        "macro_f1": _number(s.macro_f1) if s else None,
        "recalls": [_number(r) for r in s.recalls.tolist()] if s else None,
        **_gain(row.gain),
        "gain_auroc": _number(row.judged.auroc) if row.judged else None,
        **_ends(row.judged.auroc_range if row.judged else None, "gain_auroc"),
        **_fair(row.fair),
        "word": (verdict.word or None) if verdict else None,
        "withheld": (keep_allowed(verdict.withheld) or None) if verdict else None,
        "marks": row.marks,
        "seconds": float(row.seconds),
        "peak_mb": float(row.peak_mb),
        "made": float(row.made),
        "scores": {name: float(value) for name, value in row.scores_of_made.items() if math.isfinite(value)},
    }


def _fair(fair: FairGain | None) -> dict[str, float | None]:
    """Return what a row reaches and gains at a fair threshold; nothing where that is not known, as in older bundles."""
    if fair is None:
        return {}
    return {
        "balanced_accuracy_fair_threshold": _number(fair.balanced_accuracy),
        "gain_fair_threshold": _number(fair.gain.value) if fair.gain else None,
        **_ends(fair.gain, "gain_fair_threshold"),
    }


def _yardstick(of_it: YardstickResult) -> dict[str, Any]:
    title, caption = yardstick(of_it)
    s = of_it.scores
    return {
        "kind": of_it.kind,
        "title": keep_allowed(title),
        "caption": keep_allowed(caption),
        "planned": of_it.planned,
        "done": of_it.done,
        "failed": of_it.failed,
        "trainings": of_it.trainings,
        "balanced_accuracy": _number(s.balanced_accuracy) if s else None,
        "auroc": _number(s.auroc) if s else None,
        **_gain(of_it.gain),
        "seconds": float(of_it.seconds),
    }


def _gain(gain: Interval | None) -> dict[str, float | None]:
    return {"gain": _number(gain.value) if gain else None, **_ends(gain, "gain")}


def _ends(of_it: Interval | None, name: str) -> dict[str, float | None]:
    return {
        f"{name}_low": _number(of_it.low) if of_it else None,
        f"{name}_high": _number(of_it.high) if of_it else None,
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


TEXTS = ("title", "caption")
"""Fields of yardsticks that hold a sentence of ours, which may be put otherwise by another version."""
FAIR = (
    "balanced_accuracy_fair_threshold",
    "gain_fair_threshold",
    "gain_fair_threshold_low",
    "gain_fair_threshold_high",
)
RULED = (*FAIR, "gain_low", "gain_high", "gain_auroc_low", "gain_auroc_high", "word", "withheld", "depth")
"""Fields that follow from the rules for intervals and verdicts, which another version may have otherwise."""


def across_versions(board: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every version finds in a board, to compare two: no sentences, and nothing that follows from rules.

    Rows are in the order of their names: boards order them by their intervals.
    """

    def bare(part: Any) -> Any:
        if isinstance(part, dict):
            if "marks" in part:  # what is poor follows from rules too
                part = {**part, "marks": str(part["marks"]).replace("g", "")}
            return {key: bool(value) if key in TEXTS else value for key, value in part.items() if key not in RULED}
        return part

    found = {key: [bare(part) for part in value] if isinstance(value, list) else value for key, value in board.items()}
    if isinstance(rows := found.get("rows"), list):
        found["rows"] = sorted(rows, key=lambda row: (str(row.get("augmenter")), str(row.get("classifier"))))
    return found | ({"check": bare(found["check"])} if isinstance(found.get("check"), dict) else {})


def difference(ours: Any, theirs: Any, field: str = "") -> tuple[str, Any, Any] | None:
    """Return the first field in which two JSON values differ, with both values; None where they are the same.

    Numbers with a fraction may differ by EXACT.
    """
    if isinstance(ours, float) and isinstance(theirs, int | float) and not isinstance(theirs, bool):
        return None if abs(ours - theirs) <= EXACT * max(1.0, abs(ours)) else (field, ours, theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys([*ours, *theirs]):
            inner = f"{field}.{key}" if field else str(key)
            if key not in ours or key not in theirs:
                return inner, ours.get(key), theirs.get(key)
            if found := difference(ours[key], theirs[key], inner):
                return found
        return None
    if isinstance(ours, Sequence) and isinstance(theirs, Sequence) and not isinstance(ours, str):
        if len(ours) != len(theirs):
            return f"{field} (number of)", len(ours), len(theirs)
        pairs = enumerate(zip(ours, theirs, strict=True))
        return next((d for n, (a, b) in pairs if (d := difference(a, b, f"{field}[{n}]"))), None)
    return None if ours == theirs else (field, ours, theirs)
