"""The check of metrics catches one that breaks the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medbench
from medbench.testing import CHECKS


def error_rate(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(1) != labels).mean())


def two_classes_only(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float("nan") if probabilities.shape[1] > 2 else 1 - error_rate(labels, probabilities)


def per_class(labels: np.ndarray, probabilities: np.ndarray) -> Any:
    return probabilities.mean(0)


def sorts(labels: np.ndarray, probabilities: np.ndarray) -> float:
    accuracy = 1 - error_rate(labels, probabilities)
    probabilities.sort(0)
    return accuracy


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (error_rate, "higher is better"),
        (two_classes_only, "it gave nan for 3 classes"),
        (per_class, "expected a finite float"),
        (sorts, "changed the labels or probabilities"),
    ],
)
def test_a_metric_that_cheats_is_caught(metric: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["metric"](metric, tmp_path)
