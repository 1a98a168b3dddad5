"""How long a plan says it takes, from stored trials, and that its lines fit 80 columns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medbench.data.describe import DatasetDescription
from medbench.planning import study
from medbench.planning.plan import Plan
from medbench.planning.time_forecast import Timing, duration_text, forecast_time
from medbench.planning.trial_matrix import expand
from medbench.registry import plugins
from medbench.samples import Samples
from medbench.store.store import Store
from medbench.store.trial_files import write_result
from medbench.trial.trial import Result, Trial


def a_plan() -> Plan:
    n = 40
    names = np.array([f"g{i}" for i in range(n)])
    samples = Samples(
        x=np.zeros((n, 0), np.uint8), labels=(np.arange(n) % 3 == 0).astype(np.int64), ids=names, patients=names,
        groups=names, sources=((),) * n, classes=("no", "yes"),
    )  # fmt: skip
    asked = {"datasets": ["ddti"], "augmenters": ["hybrid"], "classifiers": ["small-cnn"], "folds": 2, "repeats": 1}
    source = DatasetDescription("ddti", "d" * 64, None, samples, 2, (), "patient", "nothing")
    return expand(study.build({**asked, "companions": False}), plugins.load(), [source])


def put(store: Store, trial: Trial, seconds: float) -> None:
    one = np.array(["a"])
    result = Result(
        trial, ids=one, patients=one, labels=np.array([0]), probabilities=np.array([[1.0, 0.0]]),
        frequencies=np.array([0.5, 0.5]), classes=("no", "yes"), metrics={}, leaks=(), stages={},
        cost={"seconds": seconds, "peak_mb": 1.0, "device": "cpu"},
    )  # fmt: skip
    job = store.job_folder(trial.id)
    write_result(job, result, {})
    store.accept(job, store.place(trial))


def test_what_was_timed_stands_for_what_was_not_and_the_rest_is_counted(tmp_path: Path) -> None:
    plan, store = a_plan(), Store(tmp_path / "runs")
    first = {t.augmenter: t for t in reversed(plan.trials)}
    for name, seconds in (("balanced", 3.0), ("hybrid", 5.0)):
        put(store, first[name], seconds)
    key = next(iter(plan.stages))
    store.stage_place(key).mkdir(parents=True)
    (store.stage_place(key) / "stage.json").write_text(json.dumps({"cost": {"seconds": 100.0}}))
    of = [t.augmenter for t in plan.trials]

    found = forecast_time(plan, store)

    assert found.whole == pytest.approx(3 * of.count("balanced") + 5 * of.count("hybrid") + 100 * len(plan.stages))
    assert found.left == pytest.approx(found.whole - 3 - 5 - 100)
    assert found.unknown == len(of) - of.count("balanced") - of.count("hybrid")
    assert found.timed == 2


def test_nothing_stored_is_nothing_known(tmp_path: Path) -> None:
    plan = a_plan()

    assert forecast_time(plan, None) == Timing(unknown=len(plan.trials) + len(plan.stages))
    assert forecast_time(a_plan(), Store(tmp_path / "runs")).timed == 0


def test_times_are_written_as_people_say_them() -> None:
    assert [duration_text(s) for s in (4, 89, 90, 3000, 3599, 11400)] == [
        "4 s", "89 s", "2 min", "50 min", "1 h 00 min", "3 h 10 min",
    ]  # fmt: skip
