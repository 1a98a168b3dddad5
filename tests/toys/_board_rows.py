"""Boards made by hand, row by row, without a store: numbers are those of the arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from medbench.boards.board import Board, Row
from medbench.boards.gains import Judged
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.patient_scores import ArmScores
from medbench.statistics.verdicts import Evidence, judge

NOTHING = np.zeros(0)


def scores(n_classes: int, value: float = 0.5) -> ArmScores:
    return ArmScores(NOTHING, NOTHING, NOTHING, NOTHING, value, value, value, np.full(n_classes, value), value)


def judged(of_row: dict[str, Any]) -> Judged:
    """Judge a row by its `gain` (value, low, high) and `auroc`; `evidence` replaces fields of 5 folds x 3 repeats."""
    value, low, high = of_row.pop("gain", None) or (-0.123, -0.456, 0.234)
    interval = Interval(value, 0.1, low, high, low, high, 51, 0.01, 0.0, 3, 2.5)
    planned, done, failed = (of_row.get(key, usual) for key, usual in (("planned", 15), ("done", 15), ("failed", 0)))
    kind = of_row.get("kinds", ("failed",))[0]
    evidence = Evidence(5, 3, planned, done + failed, 52, 298, failed, kind=kind)
    evidence, auroc = replace(evidence, **of_row.pop("evidence", {})), of_row.pop("auroc", 0.01)
    complete = interval if done + failed == planned and of_row.get("scores", True) else None
    return Judged(complete, auroc, evidence, judge(complete, evidence, worth=2.0, auroc=auroc))


def row(name: str, n_classes: int = 2, control: str = "", **more: Any) -> Row:
    asked = more.pop("asked", True)
    values: dict[str, Any] = {
        "depth": 1 if control else 0, "last": (True, True) if control else (True,), "planned": 15, "done": 15,
        "failed": 0, "scores": scores(n_classes), "judged": judged(more) if control else None,
        "seconds": 41 * 60.0, "peak_mb": 1e4, "made": 2910.0, **more,
    }  # fmt: skip
    return Row(Arm(name, "net", control, asked=asked), **values)


def board(*rows: Row, classes: tuple[str, ...] = ("no", "yes"), **more: Any) -> Board:
    source = {
        "dataset": "ddti", "data": "d" * 64, "images": 349, "patients": 298, "class_patients": [246, 52] * 50,
        "classes": list(classes), "dimensions": 2, "notes": [], "unit": "patient", "publish": "nothing",
    }  # fmt: skip
    source |= more.pop("source", {})
    source["class_patients"] = source["class_patients"][: len(classes)]
    values: dict[str, Any] = {
        "protocol": "patients", "leaks": (), "classifier": "net", "plain": None, "skipped": (), "unit": "patient",
        "study": Study(datasets=["ddti"], augmenters=["x"], classifiers=["net"]), "looks": 3, "device": "CPU",
        "evidence": Evidence(5, 3, 15, 15, 52, 298), **more,
    }  # fmt: skip
    return Board(source=source, rows=rows or (row("balanced", len(classes)),), **values)
