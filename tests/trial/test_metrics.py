"""Metrics that misbehave, and what a key of one depends on."""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medbench.trial.metrics import Measurement, measure, measure_key

LABELS, P = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


def force(labels: np.ndarray, probabilities: np.ndarray) -> float:
    probabilities.setflags(write=True)
    probabilities[:] = 0
    labels.setflags(write=True)
    labels[:] = 0
    return 1.0


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (lambda y, p: 0.5, Measurement(0.5)),
        (lambda y, p: 1, Measurement(1.0)),
        (lambda y, p: np.float32(0.5), Measurement(0.5)),
        (lambda y, p: np.array(0.5), Measurement(0.5)),
        (lambda y, p: 1 / 0, Measurement(None, "ZeroDivisionError")),
        (lambda y, p: sys.exit(0), Measurement(None, "Ended")),
        (lambda y, p: p.sum(1), Measurement(None, "gave ndarray, not a number")),
        (lambda y, p: "0.5", Measurement(None, "gave str, not a number")),
        (lambda y, p: True, Measurement(None, "gave bool, not a number")),
        (lambda y, p: None, Measurement(None, "gave NoneType, not a number")),
        (lambda y, p: 1j, Measurement(None, "gave complex, not a number")),
        (lambda y, p: math.nan, Measurement(None, "gave nan")),
        (lambda y, p: -math.inf, Measurement(None, "gave -inf")),
        (
            lambda y, p: [].append(MemoryError) or (_ for _ in ()).throw(MemoryError()),
            Measurement(None, "MemoryError", True),
        ),
        (lambda y, p: p.fill(0), Measurement(None, "ValueError")),
        (force, Measurement(1.0)),
    ],
)
def test_a_metric_gives_a_finite_number_or_a_word_why_not(metric: Any, expected: Measurement) -> None:
    labels, p = LABELS.copy(), P.copy()

    assert measure(metric, labels, p, quiet=True) == expected
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(p, P)


def test_what_was_raised_is_named_by_its_type_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def talks(labels: np.ndarray, probabilities: np.ndarray) -> float:
        print("patient p0001")
        os.environ["MEDBENCH_MEASURED"] = "x"
        os.chdir("/")
        np.seterr(all="raise")
        raise ValueError("patient p0001 in /home/ada")

    before, errors = os.getcwd(), np.geterr()

    assert measure(talks, LABELS, P, quiet=True) == Measurement(None, "ValueError")
    assert capsys.readouterr() == ("", "")
    assert (os.getcwd(), np.geterr()) == (before, errors)
    assert "MEDBENCH_MEASURED" not in os.environ


def test_a_log_says_where_it_was_raised_and_nothing_of_what_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    said = "patient p0001 in /home/ada/scans"

    def speaks(labels: np.ndarray, probabilities: np.ndarray) -> float:
        raise ValueError(said)

    assert measure(speaks, LABELS, P) == Measurement(None, "ValueError")
    log = capsys.readouterr().err
    assert "in speaks" in log
    assert "ValueError" in log
    assert "p0001" not in log
    assert "ada/scans" not in log
    assert str(Path(__file__).parent) not in log


def written(folder: Path, name: str, text: str) -> Callable[..., float]:
    """Import a module anew from a file, as another process would."""
    import importlib

    from medbench.identity import code_reach

    (folder / f"{name}.py").write_text(text)
    for module in (name, f"{name}_part"):
        sys.modules.pop(module, None)
    importlib.invalidate_caches()
    code_reach.forget()
    metric: Callable[..., float] = importlib.import_module(name).metric
    return metric


def test_a_key_follows_the_code_a_metric_reaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "measuring_toy_part.py").write_text("def half():\n    return 0.5\n")
    text = "from measuring_toy_part import half\ndef metric(labels, probabilities):\n    return half()\n"
    first = measure_key(written(tmp_path, "measuring_toy", text))
    again = measure_key(written(tmp_path, "measuring_toy", text))
    other = measure_key(written(tmp_path, "measuring_toy", text.replace("half()", "half() + 1")))
    (tmp_path / "measuring_toy_part.py").write_text("def half():\n    return 0.25\n")
    reached = measure_key(written(tmp_path, "measuring_toy", text))

    assert first == again
    assert len({first, other, reached}) == 3


def test_a_key_tells_metrics_of_one_maker_apart() -> None:
    def made(k: float) -> Callable[..., float]:
        def metric(labels: np.ndarray, probabilities: np.ndarray) -> float:
            return k

        return metric

    def with_default(labels: np.ndarray, probabilities: np.ndarray, k: int = 1) -> float:
        return k

    partly = [functools.partial(with_default, k=k) for k in (1, 2)]
    for each in partly:
        each.__name__ = "partly"  # type: ignore[attr-defined]

    assert measure_key(made(1.0)) == measure_key(made(1.0))
    assert len({measure_key(m) for m in (made(1.0), made(2.0), with_default, *partly)}) == 5


def test_what_has_no_key_costs_nothing() -> None:
    assert measure_key(object()) == ""
