"""Steps are fitted to a time limit, and plan says hours of every device and memory."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from medbench.cli import cli
from medbench.errors import UsageError
from medbench.planning.calibration import JobCost, keep_costs
from medbench.planning.time_forecast import seconds_of
from medbench.store.store import Store

DATA = "phantom:ddti:benign-malignant"
METHODS = ("none", "balanced", "geometric")
STUDY = ["-d", DATA, "-a", "geometric", "--no-yardsticks", "--workers", "1"]
LONG = [*STUDY, "--budget", "steps=1000,batch=8,size=32"]


def cost(method: str, device: str = "cpu", per_step: float = 1.0, data: str = "", gpu_mb: float = 0.0) -> JobCost:
    return JobCost(
        device, "trial", f"{method}/small-cnn", data, DATA, 8, 1, "exact", 1, 0.0, per_step, 2048.0, "2026-01-01",
        size=32, peak_gpu_mb=gpu_mb,
    )  # fmt: skip


def medbench(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def joined(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_steps_fit_what_a_step_costs_equally_in_all_methods() -> None:
    keep_costs(map(cost, METHODS))
    two_hours = medbench("plan", *LONG, "--time-limit", "2h")  # 45 runs; 6,480 s are counted on
    a_day = medbench("plan", *LONG, "--time-limit", "1d", "--json")

    assert (
        "Steps were fitted to a limit of 2 h, equally in all methods: 140 training steps in place of 1,000."
        in joined(two_hours)
    )
    assert "About 1 h 45 min with 1 training run at a time" in joined(two_hours)
    assert json.loads(a_day.output)["steps"] == {"steps": 1000, "generator_steps": 5000}
    assert json.loads(a_day.output)["fitted"]["limit_s"] == 86400


@pytest.mark.parametrize(
    ("limit", "options", "would"),
    [
        ("1h", [], "what would fit: --repeats 2, --time-limit 84m"),
        ("20m", [], "what would fit: --folds 3 --repeats 1, --time-limit 84m"),
        ("100s", [], "the longest of them alone too long"),
        ("20m", ["-c", "vgg16"], "measure it with `medbench calibrate`"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(limit: str, options: list[str], would: str) -> None:
    keep_costs(map(cost, METHODS))
    refused = medbench("plan", *LONG, *options, "--time-limit", limit)

    assert isinstance(refused.exception, UsageError)
    assert would in str(refused.exception)


def test_parts_of_a_run_have_no_limit_in_common() -> None:
    for words in (["run", "--shard", "1/2"], ["plan", "--sbatch", "2"]):
        with pytest.raises(UsageError, match="--time-limit"):
            CliRunner().invoke(cli, [*words, *LONG, "--time-limit", "2h"], catch_exceptions=False)


@pytest.mark.parametrize("text", ["5", "2 hours", "h", "-1h", "1e3s", "0s", ""])
def test_a_time_has_its_unit(text: str) -> None:
    with pytest.raises(UsageError, match="--time-limit"):
        seconds_of(text)
    assert [seconds_of(t) for t in ("2h", "1h30m", "45 min", "1.5h", "1d")] == [7200, 5400, 2700, 5400, 86400]


def test_a_run_is_fitted_says_so_and_goes_on_with_the_same_steps(tmp_path: Path) -> None:
    command = [*STUDY, "--budget", "steps=400,batch=8,size=32", "--folds", "2", "--repeats", "1"]
    first = medbench("run", *command, "--time-limit", "30s")
    record = json.loads(next((tmp_path / "results/runs/.plans").glob("*.json")).read_text())
    study = record["study"]
    keep_costs([cost(name, per_step=1e-6, data=record["sources"][0]["data"]) for name in METHODS])
    again = medbench("run", *command, "--time-limit", "30s")
    other = joined(medbench("plan", *command, "--time-limit", "1d"))
    medbench("report")
    steps = study["budget"]["steps"]
    said = f"Steps were fitted to a limit of 30 s, equally in all methods: {steps} training steps in place of 400."

    assert first.exit_code == 0, first.output
    assert steps < 400
    assert steps % 10 == 0
    assert study["fitted"] == {"limit_s": 30.0, "steps": 400, "generator_steps": 5000, "by": "guess"}
    assert joined(first).index(said) < joined(first).index("training runs done")
    assert joined(first).count(said) == 2  # before the first training run, and below the table
    assert "They are those that this run began with." in joined(again)
    assert "6 stored before" in again.output
    assert f"6 stored training runs of the same methods are not used: they had {steps} training steps." in other
    assert "not used" not in joined(again)
    assert said in (tmp_path / "report.html").read_text()
    stored = [row for source in record["sources"] for row in Store(tmp_path / "results/runs").rows(source["dataset"])]
    assert {row.trial.budget.steps for row in stored} == {steps}


def test_plan_says_hours_of_each_device_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_costs([*map(cost, METHODS), *(cost(name, "NVIDIA Toy", 0.1, gpu_mb=3072.0) for name in METHODS)])
    on_cpu = joined(medbench("plan", *LONG))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    on_gpu = joined(medbench("plan", *LONG[:-4], *LONG[-2:], "--device", "cuda", "--workers-per-gpu", "2"))

    assert "About 12 h 30 min with 1 training run at a time: 12 core-hours." in on_cpu
    assert "All of it on the other device that was measured: 1.2 GPU-hours (NVIDIA Toy)." in on_cpu
    assert "Memory: at most 2.0 GB a training run." in on_cpu
    assert "About 19 min with 4 training runs at a time: 0.62 GPU-hours." in on_gpu
    assert "Memory: at most 2.0 GB a training run, 8.0 GB for all at a time; 3.0 GB of GPU memory" in on_gpu


@pytest.mark.parametrize(
    ("executor", "device", "hours"),
    [
        ("slurm", "auto", "1.2 device-hours"),
        ("slurm", "cpu", "12 core-hours"),
        ("slurm[at_a_time=8]", "cuda", "1.2 GPU-hours"),
        ("ray[address=auto,gpus=0.5]", "cuda", "0.62 GPU-hours"),
    ],
)
def test_jobs_that_get_a_device_each_count_whole(
    monkeypatch: pytest.MonkeyPatch, executor: str, device: str, hours: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    keep_costs([*map(cost, METHODS), *(cost(name, "NVIDIA Toy", 0.1, gpu_mb=3072.0) for name in METHODS)])
    said = joined(medbench("plan", *LONG[:-4], *LONG[-2:], "--executor", executor, "--device", device))

    assert f" at a time: {hours}" in said


def test_training_runs_at_twice_the_steps_are_counted_and_timed() -> None:
    guessed = [joined(medbench("plan", *LONG, "--repeats", "1", *more)) for more in ([], ["--check-steps"])]
    keep_costs(map(cost, METHODS))
    timed = [joined(medbench("plan", *LONG, "--repeats", "1", *more)) for more in ([], ["--check-steps"])]

    assert "15 training runs. Nothing" in timed[0]
    assert "15 training runs and 10 at last for --check-steps. Nothing" in timed[1]
    assert "About 4 h 10 min with 1 training run at a time: 4.2 core-hours." in timed[0]
    assert "About 9 h 43 min with 1 training run at a time: 9.7 core-hours." in timed[1]  # 10 runs of 2,000 s more
    assert "At least about 60 s" in guessed[0]
    assert "At least about 2 min" in guessed[1]


@pytest.mark.parametrize(
    ("measured", "asked", "device", "says", "limit", "steps", "hours"),
    [  # for 45 runs; of the limit .6 is counted on, or .9
        ("exact", "fast", "cpu", "", "3h", 210, "12 h 30 min"),
        ("fast", "exact", "cpu", "", "3h", 210, "12 h 30 min"),
        ("exact", "portable", "cpu", "with numerics exact", "370min", 120, "30 h 00 min"),  # 2.4 times as long
        ("portable", "exact", "cpu", "with numerics portable", "2h", 230, "5 h 12 min"),
        ("exact", "fast", "cuda", "with numerics exact", "3h", 140, "12 h 30 min"),
        ("exact", "portable", "cuda", "with numerics exact", "3h", 140, "12 h 30 min"),
        ("exact", "exact", "cuda", "", "3h", 210, "12 h 30 min"),
    ],
)
def test_what_was_measured_with_other_numerics_goes_before_a_guess_and_is_said(
    monkeypatch: pytest.MonkeyPatch,
    measured: str,
    asked: str,
    device: str,
    says: str,
    limit: str,
    steps: int,
    hours: str,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0" if device == "cuda" else "")
    monkeypatch.setattr("medbench.running.numerics.is_portable_here", lambda: True)
    of = "cpu" if device == "cpu" else "NVIDIA Toy"
    costs: Any = [dataclasses.replace(cost(name, of), numerics=measured) for name in METHODS]
    keep_costs(costs)
    said = joined(medbench("plan", *LONG, "--device", device, "--numerics", asked, "--time-limit", limit))
    forecast = joined(medbench("plan", *LONG, "--device", device, "--numerics", asked))

    assert f"{steps} training steps in place of 1,000." in said
    assert "guess" not in said + forecast
    assert f"About {hours}" in forecast
    assert (f"What a step takes was measured {says};" in said) == bool(says)
    assert (f"Measured {says}; `medbench calibrate` measures it here." in forecast) == bool(says)


def test_a_guess_takes_steps_with_portable_numerics_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medbench.running.numerics.is_portable_here", lambda: True)
    steps = []
    for asked in ("exact", "portable"):
        budget = ["--budget", "steps=100000,batch=8,size=32"]
        said = joined(medbench("plan", *STUDY, *budget, "--numerics", asked, "--time-limit", "1h"))
        found = re.search(r"([0-9,]+) training steps in place of 100,000", said)
        assert found, said
        steps.append(int(found[1].replace(",", "")))

    assert steps[1] == pytest.approx(steps[0] / 2.4, abs=10)  # steps are tens


def test_a_measurement_with_the_numerics_asked_for_goes_before_a_later_one_with_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("medbench.running.numerics.is_portable_here", lambda: True)
    portable: Any = [dataclasses.replace(cost(name, per_step=2.0), numerics="portable") for name in METHODS]
    keep_costs([*portable, *map(cost, METHODS)])

    assert "About 25 h 00 min" in joined(medbench("plan", *LONG, "--numerics", "portable"))


def test_a_gpu_that_was_not_measured_is_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_costs(map(cost, METHODS))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    said = joined(medbench("plan", *LONG, "--device", "cuda"))

    assert "How long it takes on a GPU is not known; `medbench calibrate` measures it here." in said
    assert "All of it on the other device that was measured: 12 core-hours." in said


def test_the_quickstart_is_forecast_on_a_fresh_clone() -> None:
    said = joined(medbench("plan"))

    assert "Measured on another machine on 20" in said
    assert "with 2 training runs at a time" in joined(medbench("plan", "--workers", "2"))
    assert "first guess" not in said
