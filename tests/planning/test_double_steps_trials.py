"""Twice the steps: which arm is repeated, with which trials, and the one line a board gets from it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medbench.boards.board import Board
from medbench.boards.build import best, boards
from medbench.data.describe import DatasetDescription
from medbench.identity.identity import digest
from medbench.planning import study
from medbench.planning.arms import Arm, Checked
from medbench.planning.double_steps_trials import plan_double_steps, with_double_steps
from medbench.planning.study import Study
from medbench.planning.trial_matrix import expand
from medbench.registry import plugins
from medbench.samples import Samples
from medbench.store.store import Store
from medbench.store.trial_files import Failure, write_result
from medbench.tables.board_table import render
from medbench.tables.board_values import board_rows
from medbench.text import columns
from medbench.trial.trial import Result, Trial

TOYS = str(Path(__file__).parents[1] / "toys")
N = 60
LABELS = np.array([0, 0, 1] * (N // 3))
NAMES = np.array([f"p{i:02d}" for i in range(N)])
HYBRID = Checked("ddti", "patients", "net", "hybrid", "net", 3000)


class Lab:
    """A store with three arms in a row, at the study's steps and at twice as many."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root / "runs")
        self.study = Study(datasets=["ddti"], augmenters=["x"], classifiers=["net"], folds=2, repeats=2)
        self.arms = [
            Arm("balanced", "net", made_by="v1"),
            Arm("geometric", "net", "balanced", made_by="v1"),
            Arm("hybrid", "net", "geometric", made_by="v1"),
        ]
        self.checked: list[Checked] = []

    def trial(self, name: str, repeat: int, fold: int, *, longer: bool = False, text: str = "patients") -> Trial:
        budget = (with_double_steps(self.study) if longer else self.study).spending
        trial = Trial("ddti", text, repeat, fold, 2, 0, 0, name, "net", budget, "d" * 64, "v1")
        return dataclasses.replace(trial, id=digest(trial.to_json()))

    def put(self, trial: Trial, right: float, improving: float = 0.0) -> None:
        """Store a result that is right for a share of each class: of other patients, the more is right."""
        part = np.flatnonzero((np.arange(N) // 3 + trial.repeat) % 2 == trial.fold)
        good = np.zeros(len(part), dtype=bool)
        for k in (0, 1):
            of_class = np.flatnonzero(LABELS[part] == k)
            good[of_class[: round(right * len(of_class))]] = True
        p = 0.8 * np.eye(2)[np.where(good, LABELS[part], 1 - LABELS[part])] + 0.1
        result = Result(
            trial, ids=NAMES[part], patients=NAMES[part], labels=LABELS[part], probabilities=p,
            frequencies=np.array([0.5, 0.5]), classes=("no", "yes"), metrics={}, leaks=(), stages={},
            cost={"seconds": 1.0, "peak_mb": 1.0, "device": "cpu"}, facts={"still_improving": improving},
        )  # fmt: skip
        job = self.store.job_folder(trial.id)
        write_result(job, result, {})
        self.store.accept(job, self.store.place(trial))

    def run(self, name: str, right: float, *, longer: bool = False, improving: int = 0) -> None:
        for cell in range(4):
            self.put(self.trial(name, cell // 2, cell % 2, longer=longer), right, float(cell < improving))

    def board(self) -> Board:
        source = {
            "dataset": "ddti", "data": "d" * 64, "images": N, "patients": N, "class_patients": [40, 20],
            "classes": ["no", "yes"], "dimensions": 2, "notes": [], "unit": "patient", "publish": "nothing",
        }  # fmt: skip
        record = {
            "study": self.study.model_dump(), "sources": [source], "warnings": [], "skipped": [],
            "arms": {"ddti": [dataclasses.asdict(a) for a in self.arms]},
            "checked": [dataclasses.asdict(c) for c in self.checked],
        }  # fmt: skip
        (board,) = boards(self.store, json.loads(json.dumps(record)))
        return board

    def text(self, *, wide: bool = False) -> str:
        return " ".join(render([self.board()], "table", wide=wide).split())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    for name, right in (("balanced", 0.5), ("geometric", 0.6), ("hybrid", 0.8)):
        lab.run(name, right)
    return lab


def test_the_arm_with_the_largest_lower_end_is_best(lab: Lab) -> None:
    row = best(lab.board())

    assert row is not None
    assert row.arm.augmenter == "hybrid"


def test_no_arm_is_best_before_every_cell_is_done(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run("balanced", 0.5)
    lab.run("geometric", 0.6)

    assert best(lab.board()) is None


def test_the_line_holds_both_gains_over_the_arms_own_control(lab: Lab) -> None:
    lab.checked.append(HYBRID)
    lab.run("geometric", 0.8, longer=True)
    lab.run("hybrid", 0.9, longer=True)
    board = lab.board()

    assert board.check is not None
    assert board.check.gain is not None
    assert board.check.gain.value == pytest.approx(0.1)
    assert board.check.gain.comparisons == 1
    span = f"{100 * board.check.gain.low:+.1f} to {100 * board.check.gain.high:+.1f}"
    assert (
        f"With twice the steps (3,000): +10.0 ({span}) instead of +20.0, hybrid: AC-GAN images compared with "
        "rotations, flips, zoom."
    ) in lab.text()
    assert max(map(columns, render([board], "table").splitlines())) <= 80
    flat = {row["augmenter"]: row for row in board_rows(board)}
    assert (flat["hybrid"]["steps_checked"], flat["hybrid"]["gain_checked"]) == (3000, 10.0)
    assert flat["geometric"]["steps_checked"] is None


def test_the_check_is_no_look_and_supersedes_nothing(lab: Lab) -> None:
    before = lab.board()
    lab.checked.append(HYBRID)
    lab.run("geometric", 0.8, longer=True)
    lab.run("hybrid", 0.9, longer=True)
    after = lab.board()

    assert (before.looks, after.looks) == (3, 3)
    assert [r.superseded for r in after.rows] == [0, 0, 0]
    assert [r.gain for r in after.rows] == [r.gain for r in before.rows]


def test_an_unfinished_check_says_how_far_it_is(lab: Lab) -> None:
    lab.checked.append(HYBRID)
    lab.run("geometric", 0.8, longer=True)

    assert (
        "With twice the steps (3,000): 4 of 8 training runs of hybrid: AC-GAN images and rotations, flips, zoom are "
        "done, no gain yet."
    ) in lab.text()


def test_a_failed_cell_of_the_check_counts_with_its_controls_predictions(lab: Lab) -> None:
    lab.checked.append(HYBRID)
    lab.run("geometric", 0.8, longer=True)
    for cell in range(4):
        trial = lab.trial("hybrid", cell // 2, cell % 2, longer=True)
        if cell:
            lab.put(trial, 1.0)
        else:
            lab.store.accept_failure(lab.store.job_folder(trial.id), trial, Failure("diverged", "nan"))
    found = lab.board().check

    assert found is not None
    assert found.gain is not None
    assert found.gain.value == pytest.approx(0.2 * 3 / 4)
    assert "Of these, 1 training run failed; the predictions of the method above it stand in." in lab.text()


def test_only_the_arm_and_its_control_are_planned_at_twice_the_steps() -> None:
    n = 40
    samples = Samples(
        x=np.zeros((n, 0), np.uint8), labels=(np.arange(n) % 3 == 0).astype(np.int64),
        ids=np.array([f"i{i}" for i in range(n)]), patients=np.array([f"g{i}" for i in range(n)]),
        groups=np.array([f"g{i}" for i in range(n)]), sources=((),) * n, classes=("no", "yes"),
    )  # fmt: skip
    values = {"datasets": ["ddti"], "augmenters": ["hybrid"], "classifiers": ["small-cnn"], "folds": 3, "repeats": 2}
    catalogue = plugins.load()
    plan = expand(
        study.build(values), catalogue, [DatasetDescription("ddti", "d" * 64, None, samples, 2, (), "patient", "no")]
    )
    (arm,) = [a for a in plan.arms["ddti"] if a.augmenter == "hybrid"]

    made = plan_double_steps(plan, [Checked("ddti", "patients", "small-cnn", *arm.key, 3000)], catalogue)

    assert {t.augmenter for t in made.trials} == {"hybrid", arm.control}
    assert {t.budget.steps for t in made.trials} == {3000}
    assert len(made.trials) == 2 * 3 * 2
    assert set(made.stages) <= set(plan.stages)  # generators are not fitted again
    assert set(made.stages) == {key for t in made.trials for key in made.stages_of[t.id]}
    assert made.yardsticks == ()


def test_arms_whose_loss_still_falls_in_more_than_half_of_the_folds_are_named(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    for name, improving in (("balanced", 2), ("geometric", 3), ("hybrid", 4)):
        lab.run(name, 0.5, improving=improving)

    assert [r.improving for r in lab.board().rows] == [(2, 4), (3, 4), (4, 4)]
    assert (
        "Training may have been too short: rotations, flips, zoom, hybrid: AC-GAN images still improved at its end in "
        "more than half of the folds (--check-steps trains the best method twice as long)."
    ) in lab.text(wide=True)


@pytest.mark.slow
def test_a_run_checks_its_steps_and_the_same_command_does_nothing(tmp_path: Path) -> None:
    environment: dict[str, Any] = {
        **os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs"),
    }  # fmt: skip
    run = [sys.executable, "-m", "medbench", "run", "-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds", "2",
           "--repeats", "1", "--plugins-dir", TOYS, "--check-steps", "--executor", "forks",
           "-p", "no:medbench.scores", "-p", "no:medbench.extractors"]  # fmt: skip
    first, second = (
        subprocess.run(run, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True) for _ in range(2)
    )

    assert "4 training runs to do" in first.stderr
    assert "With twice the steps (3,000): " in first.stdout
    assert "instead of" in first.stdout
    assert second.stderr.count("nothing to do") == 2
    assert second.stdout == first.stdout
