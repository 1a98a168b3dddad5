"""Flat rows: a board as plain values by name, for CSV, JSON and wide tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medbench.boards.board import Board, Row
from medbench.boards.yardstick_results import Measured
from medbench.data.audit_findings import waived
from medbench.statistics.further_measures import Measures
from medbench.statistics.intervals import Interval
from medbench.statistics.patient_scores import ArmScores
from medbench.tables.sentences import yardstick
from medbench.text import duration


def table(board: Board) -> list[dict[str, Any]]:
    """Return a board as flat rows with plain values, for CSV, JSON and wide tables."""
    return [_flat(board, row) for row in board.all_rows] + [_flat_yardstick(board, of_it) for of_it in board.yardsticks]


def _flat(board: Board, row: Row) -> dict[str, Any]:
    s, percent = row.scores, _percent
    longer = board.check if board.check is not None and board.check.arm.key == row.arm.key else None
    at_twice = longer.gain if longer is not None else None
    return {
        "dataset": board.source["dataset"],
        "protocol": board.protocol,
        "classifier": row.arm.classifier,
        "augmenter": row.arm.augmenter,
        "control": row.arm.control or None,
        "control_classifier": row.arm.over or None,
        **_scores(row.scores, row.gain),
        "verdict": _verdict(row),
        "verdict_withheld": row.judged.verdict.withheld or None if row.judged else None,
        "macro_f1": percent(s.macro_f1) if s else None,
        **_flat_measures(row.measures, board.source["classes"]),
        **{f"recall_{name}": percent(s.recalls[k]) if s else None for k, name in enumerate(board.source["classes"])},
        "done": row.done,
        "failed": row.failed,
        "skipped": row.skipped,
        "planned": row.planned,
        "failure_kinds": ", ".join(row.kinds) or None,
        "skip_reasons": "; ".join(row.reasons) or None,
        "scored_by": board.unit,
        "superseded": row.superseded,
        "made_images": round(row.made, 1),
        "generators_collapsed": row.collapsed[0] if row.collapsed[1] else None,
        "copied": row.copied[0] if row.copied[1] else None,
        "copied_of": row.copied[1] or None,
        "extractor": row.extractor or None,
        **{f"score_{name}": _significant(value) for name, value in row.scores_of_made.items()},
        **{metric_key(name): _significant(value) for name, value in row.metrics.items()},
        "unmeasured": "; ".join(f"{name}: {why} ({n})" for name, (why, n) in row.unmeasured.items()) or None,
        "seconds_alone": round(row.seconds, 2),
        "peak_mb": round(row.peak_mb, 1),
        "marks": row.marks or None,
        "still_improving": row.improving[0] if row.improving[1] else None,
        "yardstick": None,
        "steps_checked": longer.steps if longer is not None else None,
        "gain_checked": percent(at_twice.value) if at_twice else None,
        "gain_checked_low": percent(at_twice.low) if at_twice else None,
        "gain_checked_high": percent(at_twice.high) if at_twice else None,
        "leaks": ", ".join(board.leaks) or None,
        "waived": " ".join(waived(board.protocol, board.source, board.study.waive)) or None,
        "data": board.source["data"],
    }


def metric_key(name: str) -> str:
    """Return the key of a metric that a plugin added: one of its own, whatever columns a board has."""
    return f"metric_{name}"


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _scores(s: ArmScores | None, g: Interval | None) -> dict[str, float | None]:
    return {
        "balanced_accuracy": _percent(s.balanced_accuracy) if s else None,
        "balanced_accuracy_argmax": _percent(s.argmax_balanced_accuracy) if s else None,
        "accuracy": _percent(s.accuracy) if s else None,
        "auroc": round(s.auroc, 4) if s and np.isfinite(s.auroc) else None,
        "gain": _percent(g.value) if g else None,
        "gain_low": _percent(g.low) if g else None,
        "gain_high": _percent(g.high) if g else None,
    }


def _flat_measures(found: Measures | None, classes: Sequence[str]) -> dict[str, float | None]:
    if found is None:
        return {}

    def number(value: float) -> float | None:
        return round(float(value), 4) + 0.0 if np.isfinite(value) else None

    names = ("auprc", "mcc", "brier", "calibration_slope")
    return {
        **{name: number(getattr(found, name)) for name in names},
        **{f"precision_{name}": _percent(found.precisions[k]) for k, name in enumerate(classes)},
        **{
            f"confusion_{name}_as_{other}": number(found.confusion[k, j])
            for k, name in enumerate(classes)
            for j, other in enumerate(classes)
        },
    }


def _flat_yardstick(board: Board, of_it: Measured) -> dict[str, Any]:
    """Write a yardstick as a row: no verdict, and the name of the yardstick under its own key."""
    title, caption = yardstick(of_it.kind, trainings=of_it.trainings, cost=duration(of_it.seconds))
    return {
        "dataset": board.source["dataset"],
        "protocol": board.protocol,
        "classifier": of_it.control.classifier,
        "augmenter": of_it.control.augmenter,
        "control": of_it.control.augmenter,
        "control_classifier": None,
        **_scores(of_it.scores, of_it.gain),
        "verdict": None,
        "macro_f1": _percent(of_it.scores.macro_f1) if of_it.scores else None,
        "done": of_it.done,
        "failed": of_it.failed,
        "planned": of_it.planned,
        "failure_kinds": ", ".join(of_it.kinds) or None,
        "scored_by": board.unit,
        "seconds_alone": round(of_it.seconds, 2),
        "yardstick": of_it.kind,
        "yardstick_title": title,
        "yardstick_caption": caption,
        "data": board.source["data"],
    }


def _verdict(row: Row) -> str | None:
    if row.judged is not None:
        return row.judged.verdict.word or None
    return "control" if not row.arm.control and not row.arm.plain else None


def _percent(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(100 * value, 2) + 0.0  # no -0.0
