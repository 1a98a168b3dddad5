"""A board as plain values by name, for CSV, JSON and the columns of Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from medbench.boards.board import Board, Row
from medbench.boards.yardstick_results import YardstickResult
from medbench.data.audit_official_cut import describe_waivers
from medbench.statistics.absolute_intervals import Ranges
from medbench.statistics.further_measures import Measures
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.patient_scores import ArmScores
from medbench.tables.wording import yardstick
from medbench.tables.writers.values import Values, gain_values, percent, rounded, verdict_values


def board_rows(board: Board) -> list[Values]:
    """Return a row of values for every arm and every yardstick; shares and gains are in percent."""
    return [*(_arm(board, row) for row in board.all_rows), *(_yardstick(board, one) for one in board.yardsticks)]


def metric_key(name: str) -> str:
    """Return the key of a metric that a plugin added: one of its own, whatever columns a board has."""
    return f"metric_{name}"


def _arm(board: Board, row: Row) -> Values:
    s = row.scores
    longer = board.check if board.check is not None and board.check.arm.key == row.arm.key else None
    return {
        "dataset": board.source["dataset"],
        "protocol": board.protocol,
        "classifier": row.arm.classifier,
        "augmenter": row.arm.augmenter,
        "control": row.arm.control or None,
        "control_classifier": row.arm.over or None,
        **_scores(row.scores, row.gain),
        **(verdict_values(row.judged.verdict) if row.judged else _without_verdict(row)),
        "macro_f1": percent(s.macro_f1) if s else None,
        **_fair(row),
        **_measures(row.measures, board.source["classes"]),
        **_ranges(row.ranges, board.source["classes"]),
        **_points(row),
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
        "selection_accepted": percent(row.selection.accepted) if row.selection else None,
        "coverage_before_selection": percent(row.selection.coverage_before) if row.selection else None,
        "coverage_after_selection": percent(row.selection.coverage_after) if row.selection else None,
        "copied": row.copied[0] if row.copied[1] else None,
        "copied_of": row.copied[1] or None,
        "copied_cannot_tell": row.copied[2] if any(row.copied[1:]) else None,
        "extractor": row.extractor or None,
        **{f"score_{name}": _significant(value) for name, value in row.scores_of_made.items()},
        **{metric_key(name): _significant(value) for name, value in row.metrics.items()},
        "unmeasured": "; ".join(f"{name}: {why} ({n})" for name, (why, n) in row.unmeasured.items()) or None,
        "seconds_alone": round(row.seconds, 2),
        "peak_mb": round(row.peak_mb, 1),
        "marks": row.marks or None,
        "still_improving": row.improving[0] if row.improving[1] else None,
        **({"chosen": "; ".join(f"{text} ({n})" for text, n in row.chosen)} if row.chosen else {}),
        "yardstick": None,
        "steps_checked": longer.steps if longer is not None else None,
        **gain_values(longer.gain if longer is not None else None, "gain_checked"),
        "leaks": ", ".join(board.leaks) or None,
        "waived": " ".join(describe_waivers(board.protocol, board.source, board.study.waive)) or None,
        "data": board.source["data"],
    }


def _without_verdict(row: Row) -> Values:
    return {"verdict": "control" if not row.arm.control and not row.arm.plain else None, "verdict_withheld": None}


def _significant(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _scores(s: ArmScores | None, gain: Interval | None) -> Values:
    return {
        "balanced_accuracy": percent(s.balanced_accuracy) if s else None,
        "balanced_accuracy_argmax": percent(s.argmax_balanced_accuracy) if s else None,
        "accuracy": percent(s.accuracy) if s else None,
        "auroc": rounded(s.auroc, 4) if s else None,
        **gain_values(gain),
    }


def _fair(row: Row) -> Values:
    """Return what a row reaches at a threshold learnt on watched patients, wherever measures are."""
    if row.measures is None:
        return {}
    fair = row.fair
    return {
        "balanced_accuracy_fair_threshold": percent(fair.balanced_accuracy) if fair else None,
        **gain_values(fair.gain if fair else None, "gain_fair_threshold"),
    }


def _points(row: Row) -> Values:
    return {
        f"sensitivity_at_{100 * point.specificity:.0f}_specificity{end}": percent(value)
        for point in row.points
        for end, value in (("", point.sensitivity), ("_low", point.low), ("_high", point.high))
    }


def _measures(found: Measures | None, classes: Sequence[str]) -> Values:
    if found is None:
        return {}
    names = ("auprc", "mcc", "brier", "calibration_slope", "calibration_error")
    return {
        **{name: rounded(float(getattr(found, name)), 4) for name in names},
        **{f"precision_{name}": percent(found.precisions[k]) for k, name in enumerate(classes)},
        **{
            f"confusion_{name}_as_{other}": rounded(float(found.confusion[k, j]), 4)
            for k, name in enumerate(classes)
            for j, other in enumerate(classes)
        },
    }


def _ranges(found: Ranges | None, classes: Sequence[str]) -> Values:
    """Return the ends of the intervals of what a row reaches by itself."""
    if found is None:
        return {}
    each = {"balanced_accuracy": found.balanced_accuracy, "auroc": found.auroc}
    each |= {f"recall_{name}": ends for name, ends in zip(classes, found.recalls, strict=True)}
    scales = {name: 4 if name == "auroc" else None for name in each}
    return {
        f"{name}_{end}": rounded(value, 4) if scales[name] else percent(value)
        for name, ends in each.items()
        for end, value in zip(("low", "high"), ends, strict=True)
    }


def _yardstick(board: Board, of_it: YardstickResult) -> Values:
    """Return the values of a yardstick: no verdict, and its name under a key of its own."""
    title, caption = yardstick(of_it)
    return {
        "dataset": board.source["dataset"],
        "protocol": board.protocol,
        "classifier": of_it.control.classifier,
        "augmenter": of_it.control.augmenter,
        "control": of_it.control.augmenter,
        "control_classifier": None,
        **_scores(of_it.scores, of_it.gain),
        "verdict": None,
        "macro_f1": percent(of_it.scores.macro_f1) if of_it.scores else None,
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
