"""What a study costs on this machine is measured, kept, and said by plan and run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from medbench.cli import cli
from medbench.interfaces import Budget
from medbench.planning.calibration import FILE, Calibration, Images, JobCost, keep_costs, read_calibration

STUDY = [
    "-d",
    "phantom:ddti:benign-malignant",
    "-a",
    "geometric",
    "--no-yardsticks",
    "--budget",
    "steps=8,batch=8,size=32",
]


def cost(**changes: object) -> JobCost:
    fields = {"device": "cpu", "kind": "trial", "recipe": "none/small-cnn", "data": "d", "dataset": "x", "batch": 8}
    rest = {
        "threads": 1,
        "numerics": "exact",
        "at_a_time": 1,
        "fixed": 2.0,
        "per_step": 0.5,
        "peak_mb": 1.0,
        "measured": "2026-01-01",
    }
    return JobCost(**{**fields, **rest, **changes})  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_a_cost_is_a_start_and_so_much_a_step() -> None:
    known = Calibration([cost(), cost(kind="stage", recipe="acgan", fixed=0.0)])

    def seconds(kind: str, recipe: str, data: str, budget: Budget, device: str = "cpu") -> float | None:
        found = known.find(kind, recipe, Images("x", data, 0), budget, device)
        return None if found is None else found.seconds(budget)

    assert seconds("trial", "none/small-cnn", "d", Budget(steps=10, batch=8)) == 7.0
    assert seconds("stage", "acgan", "d", Budget(generator_steps=4, batch=8)) == 2.0
    assert seconds("trial", "none/small-cnn", "d", Budget(steps=10, batch=16)) is None
    assert seconds("trial", "none/small-cnn", "other", Budget(steps=10, batch=8)) is None
    assert seconds("trial", "none/small-cnn", "", Budget(steps=10, batch=8)) == 7.0  # not decoded: by its name
    assert seconds("trial", "none/small-cnn", "d", Budget(steps=10, batch=8), "gpu") is None


def test_the_later_measurement_counts_and_a_damaged_file_is_none(tmp_path: Path) -> None:
    keep_costs([cost(), cost(recipe="geometric/small-cnn")])
    keep_costs([cost(per_step=1.0)])

    assert sorted(c.per_step for c in read_calibration().costs.values()) == [0.5, 1.0]

    (tmp_path / "cache" / FILE).write_text('[{"device": "cpu"}]')
    assert read_calibration().costs == {}


def test_plan_and_run_say_how_long_a_measured_study_takes(tmp_path: Path) -> None:
    before = CliRunner().invoke(cli, ["plan", *STUDY])
    measured = CliRunner().invoke(cli, ["calibrate", *STUDY, "--workers", "1"])
    after = CliRunner().invoke(cli, ["plan", *STUDY])
    run = CliRunner().invoke(cli, ["run", *STUDY, "--folds", "2", "--repeats", "1", "--workers", "1"])

    assert "as a first guess; `medbench calibrate`" in " ".join(before.output.split())
    assert measured.exit_code == 0, measured.output
    data = "Thyroid ultrasound, benign or malignant (SYNTHETIC images)"
    assert f"rotations, flips, zoom, Small CNN; {data}, 8 images a step, cpu: " in measured.output
    kept = json.loads((tmp_path / "cache" / FILE).read_text())
    assert {row["recipe"] for row in kept} >= {"none/small-cnn", "geometric/small-cnn"}
    assert all(row["fixed"] + row["per_step"] > 0 for row in kept)
    assert "with 2 training runs at a time" in " ".join(after.output.split())
    assert "first guess" not in after.output
    assert "from what such training runs took on this machine" in run.output
    assert not list((tmp_path / "results").rglob("calibrate*"))
