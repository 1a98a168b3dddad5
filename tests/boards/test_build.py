"""Boards from stored results: the tree, what counts, what is left out, and how it is written."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medbench.boards.board import Board, Row
from medbench.boards.build import boards
from medbench.identity.identity import digest
from medbench.interfaces import Budget
from medbench.planning.arm_names import arm_name
from medbench.planning.arms import Arm, Skipped
from medbench.planning.study import Study
from medbench.statistics.verdicts import WORDS, Verdict
from medbench.store.store import Store
from medbench.store.trial_files import Failure, write_result
from medbench.tables.board_notes import moved_thresholds
from medbench.tables.board_table import render
from medbench.tables.board_values import board_rows
from medbench.tables.document import FORMATS
from medbench.tables.writers.terminal import Screen
from medbench.text import columns
from medbench.trial.trial import Predictions, Result, Trial

N = 48  # patients, a third of them of class 1
LABELS = np.array([0, 0, 1] * (N // 3))
NAMES = np.array([f"p{i:02d}" for i in range(N)])
VERDICTS = ("better", "worse", "same", "can't tell", "threshold", "inconclusive", "Inconclusive", "relevant difference")

BREAK = r"\allowbreak{}"


class Lab:
    """A store, and a plan's record of what ought to be in it."""

    def __init__(self, root: Path, **study: Any) -> None:
        self.store = Store(root / "runs")
        values: dict[str, Any] = {"folds": 2, "repeats": 1, **study}
        self.study = Study(datasets=["ddti"], augmenters=["x"], classifiers=["net"], **values)
        self.arms: list[Arm] = []
        self.skipped: list[Skipped] = []
        self.warnings: list[str] = []
        self.source: dict[str, Any] = {
            "dataset": "ddti", "data": "d" * 64, "images": N, "patients": N, "class_patients": [32, 16],
            "classes": ["no", "yes"], "dimensions": 2, "notes": [], "unit": "patient", "publish": "nothing",
        }  # fmt: skip
        self.labels, self.patients = LABELS, NAMES

    def arm(self, name: str, control: str = "", *, plain: bool = False, made_by: str = "v1") -> None:
        self.arms.append(Arm(name, "net", control, plain=plain, made_by=made_by))

    def trial(
        self, name: str, repeat: int = 0, fold: int = 0, seed: int = 0, made_by: str = "v1", **more: Any
    ) -> Trial:
        protocol = self.study.protocols[0]
        folds = 1 if protocol.startswith("official") else self.study.folds
        trial = Trial("ddti", protocol, repeat, fold, folds, seed, seed, name, "net", self.study.spending,
                      data="d" * 64, arm=made_by)  # fmt: skip
        trial = dataclasses.replace(trial, **more)
        return dataclasses.replace(trial, id=digest(trial.to_json()))

    def put(
        self,
        trial: Trial,
        right: float,
        *,
        stages: Sequence[str] = (),
        p: np.ndarray | None = None,
        watched: bool = False,
    ) -> Path:
        """Store a result that decides about a share `right` of each class rightly, or with the probabilities `p`.

        With `watched`, what is not tested was watched, and predicted as `p` has it.
        """
        part = np.flatnonzero(np.arange(N) // 3 % trial.folds == (trial.fold + trial.repeat) % trial.folds)
        labels = self.labels[part]
        good = np.zeros(len(part), dtype=bool)
        for k in np.unique(labels):
            of_class = np.flatnonzero(labels == k)
            good[of_class[: round(right * len(of_class))]] = True
        shown = np.where(good, labels, (labels + 1) % len(self.source["classes"]))
        certain = 0.7 * np.eye(len(self.source["classes"]))[shown] + 0.3 / len(self.source["classes"])
        result = Result(
            trial, ids=NAMES[part], patients=self.patients[part], labels=labels,
            probabilities=certain if p is None else p[part],
            frequencies=np.full(len(self.source["classes"]), 1 / len(self.source["classes"])),
            classes=tuple(self.source["classes"]), metrics={}, leaks=(),
            cost={"seconds": 2.0, "peak_mb": 100.0, "device": "cpu"}, stages=dict.fromkeys(stages, "s"),
            counts={"made": 10},
        )  # fmt: skip
        if watched and p is not None:
            rest = np.setdiff1d(np.arange(N), part)
            of_rest = Predictions(NAMES[rest], self.patients[rest], self.labels[rest], p[rest])
            result = dataclasses.replace(result, watched=of_rest, counts={"made": 10, "test": len(part),
                                                                        "validation": len(rest)})  # fmt: skip
        job = self.store.job_folder(trial.id)
        write_result(job, result, {})
        return self.store.accept(job, self.store.place(trial))

    def fail(self, trial: Trial, kind: str = "diverged", message: str = "the loss is nan at step 3.") -> None:
        self.store.accept_failure(self.store.job_folder(trial.id), trial, Failure(kind, message))

    def run(
        self, name: str, right: float, *, stages: Sequence[str] = (), but: Sequence[tuple[int, int, int]] = ()
    ) -> None:
        folds = 1 if self.study.protocols[0].startswith("official") else self.study.folds
        for repeat in range(self.study.repeats):
            for fold in range(folds):
                for seed in range(self.study.seeds):
                    if (repeat, fold, seed) not in but:
                        self.put(self.trial(name, repeat, fold, seed), right, stages=stages)

    def boards(self, *, wide: bool = False) -> list[Board]:
        record = {
            "study": self.study.model_dump(), "sources": [self.source], "warnings": self.warnings,
            "arms": {self.source["dataset"]: [dataclasses.asdict(a) for a in self.arms]},
            "skipped": [dataclasses.asdict(s) for s in self.skipped],
        }  # fmt: skip
        return boards(self.store, json.loads(json.dumps(record)), wide=wide)

    def board(self) -> Board:
        (board,) = self.boards()
        return board

    def text(self, form: str = "table", **more: Any) -> str:
        return render(self.boards(), form, **more)

    def row(self, name: str) -> Row:
        (row,) = (r for r in self.board().rows if r.arm.augmenter == name)
        return row


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def accuracy(row: Row) -> float:
    assert row.scores is not None
    return row.scores.balanced_accuracy


def test_controls_stand_above_and_the_better_lower_end_first(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("weak", "balanced")
    lab.arm("geometric", "balanced")
    lab.arm("hybrid", "geometric")
    lab.arm("none", plain=True)
    for name, right in (("balanced", 0.5), ("weak", 0.6), ("geometric", 0.8), ("hybrid", 0.9), ("none", 0.4)):
        lab.run(name, right)
    board = lab.board()

    assert [(r.arm.augmenter, r.depth) for r in board.rows] == [
        ("balanced", 0), ("geometric", 1), ("hybrid", 2), ("weak", 1),
    ]  # fmt: skip
    assert board.plain is not None
    assert board.plain.arm.augmenter == "none"
    assert board.rows[0].gain is None
    values = {row.arm.augmenter: row.gain.value for row in board.rows if row.gain}
    assert values["hybrid"] == pytest.approx(accuracy(lab.row("hybrid")) - accuracy(lab.row("geometric")))
    lines = lab.text().splitlines()
    assert [line[:14].rstrip() for line in lines if line.startswith((" class", " ├", " │", " └"))] == [
        " class balanci", " ├ + rotations", " │ └ hybrid: A", " └ weak",
    ]  # fmt: skip
    assert " No augmentation: " in lab.text(wide=True)


def test_what_stands_on_the_plain_arm_is_shown_as_a_root_with_its_gain(lab: Lab) -> None:
    lab.arm("class-weight", "none")
    lab.arm("none", plain=True)
    lab.run("none", 0.5)
    lab.run("class-weight", 0.7)

    assert lab.row("class-weight").depth == 0
    assert lab.row("class-weight").gain is not None
    assert " class-weighted loss " in lab.text()


def test_an_arm_without_its_control_in_the_plan_is_a_root_without_a_gain(lab: Lab) -> None:
    lab.arm("hybrid", "geometric")
    lab.run("hybrid", 0.7)

    assert lab.row("hybrid").depth == 0
    assert lab.row("hybrid").gain is None
    assert board_rows(lab.board())[0]["verdict"] is None


def test_no_gain_before_every_planned_cell_is_done(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("hybrid", "balanced")
    lab.run("balanced", 0.5)
    lab.put(lab.trial("hybrid"), 0.9)

    row = lab.row("hybrid")
    assert (row.done, row.planned, row.complete, row.scores, row.gain) == (1, 2, False, None, None)
    assert "1 of 2 training runs done, so no verdict yet." in lab.text()
    assert re.search(r"hybrid: AC-GAN images +1 of 2 done", lab.text())
    assert "3 of 4 training runs done\n" in lab.text()  # the head says how far the run is

    lab.put(lab.trial("hybrid", fold=1), 0.9)
    assert lab.row("hybrid").gain is not None
    assert "no verdict yet" not in lab.text()


def test_no_gain_over_an_incomplete_control(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("hybrid", "balanced")
    lab.run("hybrid", 0.9)
    lab.put(lab.trial("balanced"), 0.5)

    assert lab.row("hybrid").scores is not None
    assert lab.row("hybrid").gain is None


def test_an_empty_store_makes_a_table_of_nothing_done(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("hybrid", "balanced")
    lab.arm("none", plain=True)

    for form in FORMATS:
        assert "hybrid" in lab.text(form, wide=True)
    assert "No answer yet: 0 of 6 training runs are done." in lab.text()
    assert "0 of 2 training runs done, so no verdict yet." in lab.text()


def test_a_failed_cell_counts_with_its_controls_predictions(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("hybrid", "balanced")
    lab.run("balanced", 0.5)
    lab.run("hybrid", 1.0, but=[(0, 1, 0)])
    lab.fail(lab.trial("hybrid", fold=1))

    row = lab.row("hybrid")
    assert (row.done, row.failed, row.complete) == (1, 1, True)
    assert accuracy(row) == pytest.approx(0.75)
    assert row.gain is not None
    assert row.gain.value == pytest.approx(0.25)
    said = " ".join(lab.text().split())
    assert "hybrid: AC-GAN images: 1 of 2 diverged; they count with the predictions of the method above it." in said
    assert "hybrid: AC-GAN images: 1 of 2 diverged, more than one training run in 10, so no verdict." in said


def test_failures_hand_down_the_predictions_of_the_nearest_control_that_has_them(lab: Lab) -> None:
    for name, control in (("balanced", ""), ("geometric", "balanced"), ("hybrid", "geometric"), ("more", "hybrid")):
        lab.arm(name, control)
    lab.run("balanced", 0.5)
    for name in ("geometric", "hybrid", "more"):
        lab.put(lab.trial(name), 1.0)
        lab.fail(lab.trial(name, fold=1))

    assert [accuracy(lab.row(n)) for n in ("balanced", "geometric", "hybrid", "more")] == [0.5, 0.75, 0.75, 0.75]


def test_a_failed_root_leaves_nothing_to_stand_on(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("geometric", "balanced")
    lab.arm("hybrid", "geometric")
    lab.run("balanced", 0.5, but=[(0, 1, 0)])
    lab.run("geometric", 0.6, but=[(0, 1, 0)])
    lab.run("hybrid", 0.7)
    lab.fail(lab.trial("balanced", fold=1))
    lab.fail(lab.trial("geometric", fold=1))

    assert [lab.row(n).scores is None for n in ("balanced", "geometric", "hybrid")] == [True, True, False]
    assert lab.row("hybrid").gain is None
    assert "rotations, flips, zoom: 1 of 2 diverged, so it has no score." in lab.text()
    assert re.search(r"rotations, flips, zoom +no score +1 of 2 diverged", lab.text(screen=Screen(120)))
    said = " ".join(lab.text().split())
    assert "No answer: rotations, flips, zoom and hybrid: AC-GAN images or the method above it" in said


def test_a_method_that_was_left_out_is_counted_as_that_and_not_as_one_of_another_table(lab: Lab) -> None:
    lab.arm("balanced")
    for name, right in (("hybrid", 0.7), ("mixup", 0.6)):
        lab.arm(name, "balanced")
        lab.run(name, right)
    lab.arm("acgan", "balanced")
    lab.run("balanced", 0.5)
    for fold in range(2):
        lab.fail(lab.trial("acgan", fold=fold), "skip", "a class has one image only")
    text = " ".join(lab.text().split())

    assert "6 training runs finished, 2 left out" in text
    assert "Intervals allow for 3 comparisons, 1 of them without a gain here." in text
    lab.run("cutmix", 0.6)  # of another run
    assert "Intervals allow for 4 comparisons, 1 of them without a gain here, 1 of them not in this table" in " ".join(
        lab.text().split()
    )


def test_a_table_names_what_another_network_lacks_nowhere(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arms.append(Arm("balanced", "frozen", "", made_by="v1"))
    lab.skipped.append(Skipped("ddti", "mixup", "frozen", "frozen does not take the transform that mixup gives"))
    said = {board.classifier: [s.augmenter for s in board.skipped] for board in lab.boards()}

    assert said == {"net": [], "frozen": ["mixup"]}


def test_what_makes_no_sense_is_skipped_and_not_scored_as_its_control(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("hybrid", "balanced")
    lab.run("balanced", 0.5)
    for fold in range(2):
        lab.fail(lab.trial("hybrid", fold=fold), "skip", "a class has one image only")

    row = lab.row("hybrid")
    assert (row.failed, row.skipped, row.complete, row.scores, row.gain) == (0, 2, True, None, None)
    assert "Left out, hybrid: AC-GAN images with net: a class has one image only." in lab.text()
    assert "diverged" not in lab.text()
    flat = {r["augmenter"]: r for r in json.loads(lab.text("json"))}
    assert (flat["hybrid"]["skipped"], flat["hybrid"]["skip_reasons"]) == (2, "a class has one image only")
    assert flat["hybrid"]["verdict_withheld"] == "2 of 2 training runs were left out, so no verdict."


def test_a_combination_left_out_of_the_plan_is_named(lab: Lab) -> None:
    lab.arm("balanced")
    lab.run("balanced", 0.5)
    lab.skipped.append(Skipped("ddti", "mixup", "net", "net does not take the transform that mixup gives"))
    lab.skipped.append(Skipped("other", "cutmix", "net", "of another data set"))

    assert "mixup gives" in " ".join(lab.text().split())
    assert "cutmix" not in lab.text()


def test_results_of_other_code_or_budget_are_counted_and_never_mixed_in(lab: Lab) -> None:
    lab.arm("balanced")
    lab.put(lab.trial("balanced", fold=0), 0.5)
    newer = lab.put(lab.trial("balanced", fold=1, made_by="v2"), 1.0)
    lab.put(lab.trial("balanced", fold=1, budget=Budget(steps=7)), 1.0)
    os.utime(newer, (2e9, 2e9))

    row = lab.row("balanced")
    assert (row.done, row.superseded, row.scores) == (1, 2, None)


def test_the_code_that_was_planned_is_shown_not_the_newest_files(lab: Lab) -> None:
    lab.arm("balanced", made_by="v1")
    lab.run("balanced", 0.5)
    for fold in range(2):
        newer = lab.put(lab.trial("balanced", fold=fold, made_by="v2"), 1.0)
        os.utime(newer, (2e9, 2e9))

    assert accuracy(lab.row("balanced")) == 0.5
    lab.arms[0] = dataclasses.replace(lab.arms[0], made_by="v2")
    assert accuracy(lab.row("balanced")) == 1.0
    lab.arms[0] = dataclasses.replace(lab.arms[0], made_by="v3")
    assert lab.row("balanced").scores is None
    assert lab.row("balanced").superseded == 4


def test_other_data_and_other_folds_are_another_table(lab: Lab) -> None:
    lab.arm("balanced")
    lab.run("balanced", 0.5)
    lab.put(lab.trial("balanced", data="e" * 64), 1.0)
    lab.put(lab.trial("balanced", folds=4), 1.0)

    assert lab.row("balanced").superseded == 0
    assert accuracy(lab.row("balanced")) == 0.5


def test_cost_is_the_arms_own_trials_and_every_stage_once(lab: Lab) -> None:
    for key, seconds, inner in (("a", 100.0, {}), ("b", 10.0, {"a" * 16: "s"}), ("c", 1.0, {"a" * 16: "s"})):
        folder = lab.store.stage_place(key * 16)
        folder.mkdir(parents=True)
        record = {"cost": {"seconds": seconds}, "stages": inner}
        (folder / "stage.json").write_text(json.dumps(record))
    lab.arm("balanced")
    lab.arm("one", "balanced")
    lab.arm("both", "balanced")
    lab.run("balanced", 0.5)
    lab.run("one", 0.5, stages=["b" * 16])
    lab.run("both", 0.5, stages=["a" * 16, "b" * 16, "c" * 16])

    assert [lab.row(n).seconds for n in ("balanced", "one", "both")] == [4.0, 4.0 + 110.0, 4.0 + 111.0]


def test_looks_are_all_configurations_ever_scored_here(lab: Lab) -> None:
    lab.arm("balanced")
    lab.run("balanced", 0.5)
    for text in ("hybrid[generator_steps=500]", "hybrid[generator_steps=800]"):
        lab.put(lab.trial(text), 0.5)
    lab.put(lab.trial("balanced", budget=Budget(steps=7)), 0.5)
    lab.put(lab.trial("elsewhere", data="e" * 64), 0.5)
    lab.fail(lab.trial("broken"))

    assert lab.board().looks == 4
    assert "4 methods were tried on these splits so far." in " ".join(lab.text(wide=True).split())


@pytest.mark.parametrize("form", ["table", "md", "latex"])
def test_a_leaky_protocol_says_so_and_is_never_ranked(tmp_path: Path, form: str) -> None:
    lab = Lab(tmp_path, protocols=["augment-first"])
    lab.arm("balanced")
    for name, right in (("worst", 0.2), ("middle", 0.6), ("best", 0.9)):
        lab.arm(name, "balanced")
        lab.run(name, right)
    lab.run("balanced", 0.5)
    text = lab.text(form)

    assert [r.arm.augmenter for r in lab.board().rows] == ["balanced", "worst", "middle", "best"]  # as planned
    said = " ".join(text.replace(BREAK, "").split())
    assert "LEAKY, no verdict: Thyroid ultrasound" in said
    assert (
        "Leaky protocol, so no verdict: copies of test images in training, a scaler, encoder or generator learned from "
        "test images, images of one patient in training and test, generated images are tested."
    ) in said
    assert lab.board().unit == "image"
    assert form != "table" or max(map(columns, text.splitlines())) <= 80
    assert form != "table" or "by image" in text
    assert json.loads(lab.text("json"))[0]["leaks"] == "copy, fitted-on-test, same-patient, synthetic-scored"


@pytest.mark.parametrize("form", FORMATS)
def test_honest_boards_stand_before_leaky_ones_in_the_order_of_the_study(tmp_path: Path, form: str) -> None:
    lab = Lab(tmp_path, protocols=["augment-first", "patients", "images", "patients[share=0.5]"])
    lab.arm("balanced")
    built = lab.boards()

    assert [board.protocol for board in built] == ["patients", "patients[share=0.5]", "augment-first", "images"]
    assert [bool(board.leaks) for board in built] == [False, False, True, True]
    text = lab.text(form)
    if form in ("table", "md"):
        leaky = [line.startswith(("LEAKY, no verdict: ", "### LEAKY, no verdict: ")) for line in text.split("\n")]
        headed = [
            is_leaky
            for is_leaky, line in zip(leaky, text.split("\n"), strict=True)
            if line.removeprefix("### ").removeprefix("LEAKY, no verdict: ").startswith("Thyroid ultrasound")
            and (form == "table" or line.startswith("###"))
        ]
        assert headed[:1] == [False]
        assert headed == sorted(headed)
        assert sum(leaky) == 2


def test_where_labels_of_a_patient_differ_images_are_scored_and_patients_drawn(lab: Lab) -> None:
    lab.source |= {"patients": N // 3, "class_patients": [16, 16]}
    lab.patients = np.repeat(NAMES[::3], 3)
    lab.arm("balanced")
    lab.arm("hybrid", "balanced")
    lab.put(lab.trial("hybrid"), 0.9)  # half of the cells must do to see it
    lab.run("balanced", 0.5)

    assert lab.board().unit == "image"
    scores = lab.row("balanced").scores
    assert scores is not None
    assert len(scores.names) == N
    assert len(set(scores.clusters)) == N // 3
    assert "Scored by image; all images of a patient are drawn together." in lab.text(wide=True)
    assert "Only 16 patients in the rarest class, so no verdict: it needs 20." in lab.text()


def test_a_patient_with_two_labels_in_any_fold_makes_images_the_unit(lab: Lab) -> None:
    lab.source |= {"patients": N - 1}
    lab.patients = np.where(NAMES == "p05", "p04", NAMES)  # p04 is in fold 1 only, labels 0 and 1
    lab.arm("balanced")
    lab.arm("hybrid", "balanced")
    lab.put(lab.trial("balanced"), 0.5)  # fold 0 alone: all labels agree
    assert lab.board().unit == "patient"

    lab.run("hybrid", 0.5)
    assert lab.board().unit == "image"


def test_synthetic_images_practice_runs_and_few_patients_are_called_so_word_for_word(lab: Lab) -> None:
    lab.source |= {"dataset": "phantom:ddti"}
    for fold in range(2):
        lab.put(lab.trial("balanced", fold=fold, dataset="phantom:ddti"), 0.5)
    lab.arm("balanced")
    for form in ("table", "md", "latex"):
        text = " ".join(lab.text(form).split())

        assert "Thyroid ultrasound (SYNTHETIC images)" in text
        assert "Synthetic test images: the result says nothing about patients." in text
        assert (
            "Practice run, so no verdict: a verdict needs 5-fold cross-validation repeated 3 times (--folds 5 "
            "--repeats 3)."
        ) in text.replace(BREAK, "").replace("-{}-", "--")
        assert "Only 16 patients in the rarest class, so no verdict: it needs 20." in text


@pytest.mark.parametrize(
    ("folds", "repeats", "protocol", "rehearsal"),
    [(5, 3, "patients", False), (5, 2, "patients", True), (4, 9, "patients", True), (2, 3, "official", False),
     (5, 1, "official", True)],
)  # fmt: skip
def test_less_than_five_folds_and_three_repeats_is_a_practice_run(
    tmp_path: Path, folds: int, repeats: int, protocol: str, rehearsal: bool
) -> None:
    lab = Lab(tmp_path, folds=folds, repeats=repeats, protocols=[protocol])
    lab.source |= {"class_patients": [100, 20]}
    lab.arm("balanced")

    assert lab.board().evidence.is_rehearsal == rehearsal
    assert ("Practice run, so no verdict" in lab.text()) == rehearsal
    assert "rarest class" not in lab.text()
    assert "synthetic" not in lab.text().lower()


@pytest.mark.parametrize("form", FORMATS)
def test_no_verdict_is_printed_before_it_is_earned(lab: Lab, form: str) -> None:
    lab.arm("balanced")
    lab.run("balanced", 0.1)
    for name, right in (("geometric", 1.0), ("equal", 0.1), ("poor", 0.0)):
        lab.arm(name, "balanced")
        lab.run(name, right)
    text = " ".join(lab.text(form, wide=form != "table").split())  # a wide table explains its columns in these words

    # A fair threshold is a column; the verdict of that name reads otherwise.
    words = [WORDS[word].text if word == "threshold" else word for word in VERDICTS]
    assert not [word for word in words if word in text]
    assert {row["verdict"] for row in board_rows(lab.board())} == {"control", None}


def test_a_warning_stands_under_its_own_data_set_only(lab: Lab) -> None:
    lab.warnings += ["ddti: a test fold has 4 patients", "ddti:tirads: a test fold has 2 patients"]
    lab.arm("balanced")

    assert lab.board().warnings == ("ddti: a test fold has 4 patients",)


def full(lab: Lab) -> Lab:
    lab.arm("balanced")
    lab.arm("hybrid[generator=acgan[steps=500],fill=balance]", "balanced")
    lab.arm("partly", "balanced")
    lab.arm("none", plain=True)
    lab.run("balanced", 0.52)
    lab.run("hybrid[generator=acgan[steps=500],fill=balance]", 0.77)
    lab.put(lab.trial("partly"), 0.9)
    lab.run("none", 0.4)
    return lab


def test_all_formats_hold_the_numbers_of_the_table(lab: Lab) -> None:
    full(lab)
    rows = {str(row["augmenter"]): row for row in board_rows(lab.board())}
    shown = json.loads(lab.text("json"))
    sheet = list(csv.DictReader(io.StringIO(lab.text("csv"))))

    assert shown == list(rows.values())
    assert [r["augmenter"] for r in sheet] == list(rows)
    keys = ("balanced_accuracy", "auroc", "gain", "gain_low", "gain_high", "macro_f1", "recall_yes", "done", "planned")
    for row in sheet:
        for key in keys:
            value = rows[row["augmenter"]][key]
            assert row[key] == ("" if value is None else str(value))
    markdown = {
        line.split(" | ")[0].removeprefix("| ").strip(): line.removesuffix(" |").split(" | ")[2:6]
        for line in lab.text("md").splitlines() if line.startswith("| ")
    }  # fmt: skip
    latex = {
        line.split(" & ")[0].rsplit("em}", 1)[-1].strip(): line.split(" & ")[2:6]
        for line in lab.text("latex").replace(BREAK, "").replace("$-$", "-").replace("{[}", "[").splitlines()
        if " & " in line
    }
    assert lab.text("latex").count(r"\begin{longtable}") == 1
    for row in lab.board().all_rows:
        cells = [""] * 4
        if row.scores is not None:
            cells[:2] = [f"{100 * row.scores.balanced_accuracy:.1f}", f"{row.scores.auroc:.3f}".removeprefix("0")]
        if row.gain is not None:
            value, low, high = (f"{100 * v:+.1f}" for v in (row.gain.value, row.gain.low, row.gain.high))
            cells[2:] = [value, f"{low} to {high}"]
        name = arm_name(row.arm) + (" [i]" if row.arm.augmenter == "partly" else "")
        assert markdown[name.replace("[", r"\[").replace("]", r"\]")] == cells
        assert latex[name.replace("]", "{]}")] == cells
    hybrid = lab.row("hybrid[generator=acgan[steps=500],fill=balance]")
    assert hybrid.gain is not None
    printed = next(line for line in lab.text().splitlines() if f"{100 * hybrid.gain.value:+.1f} (" in line)
    assert f"{100 * accuracy(hybrid):.1f}" in printed
    assert f"{100 * hybrid.gain.low:+.1f} to {100 * hybrid.gain.high:+.1f}" in printed


def test_json_is_strict_where_a_class_was_never_tested(lab: Lab) -> None:
    lab.source |= {"classes": ["no", "yes", "rare"], "class_patients": [32, 16, 0]}
    lab.arm("balanced")
    lab.run("balanced", 0.5)

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    (row,) = json.loads(lab.text("json"), parse_constant=refuse)
    assert (row["auroc"], row["recall_rare"], row["balanced_accuracy"]) == (None, None, 50.0)
    assert "n/a" in lab.text(wide=True)
    assert "nan" not in lab.text(wide=True)


def test_a_gain_of_nothing_has_no_minus_sign(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("same-again", "balanced")
    lab.run("balanced", 0.5)
    lab.run("same-again", 0.5)

    for form in FORMATS:
        assert "-0.0" not in lab.text(form, wide=True)
    assert "+0.0" in lab.text()
    assert "-0.0" not in tiny_loss(lab)


def tiny_loss(lab: Lab) -> str:
    board = lab.board()
    rows = [
        dataclasses.replace(
            r,
            judged=r.judged
            and dataclasses.replace(r.judged, gain=r.gain and dataclasses.replace(r.gain, value=-1e-17)),
        )
        for r in board.rows
    ]
    return "".join(render([dataclasses.replace(board, rows=tuple(rows))], form) for form in FORMATS)


def put_with_shift(lab: Lab, name: str, shift: float, *, watched: bool = True, but: int | None = None) -> None:
    """Store an arm whose scores are those of any other, but for the threshold."""
    odds = np.random.default_rng(0).standard_normal(N) + 4 * (LABELS - 0.5) + shift
    p = 1 / (1 + np.exp(-odds))
    for repeat in range(lab.study.repeats):
        for fold in range(lab.study.folds):
            if fold != but:
                lab.put(lab.trial(name, repeat, fold), 0, p=np.stack([1 - p, p], axis=1), watched=watched)


def test_a_gain_that_is_a_moved_threshold_is_none_at_a_fair_one(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("geometric", "balanced")
    put_with_shift(lab, "balanced", -4.0)
    put_with_shift(lab, "geometric", 0.0)
    (board,) = lab.boards(wide=True)
    row = next(row for row in board.rows if row.arm.augmenter == "geometric")
    values = next(value for value in board_rows(board) if value["augmenter"] == "geometric")
    judged = row.judged
    assert judged is not None
    better = dataclasses.replace(row, judged=dataclasses.replace(judged, verdict=Verdict("better")))

    assert row.gain is not None
    assert row.gain.value > 0.3
    assert row.fair is not None
    assert row.fair.gain is not None
    assert abs(row.fair.gain.value) < 0.05
    assert row.fair.gain.low < 0 < row.fair.gain.high
    assert values["gain_fair_threshold"] == round(100 * row.fair.gain.value, 2) + 0.0
    said = moved_thresholds(dataclasses.replace(board, rows=(better,)))
    assert [text[:38] for text in said] == ["About all of the gain of rotations, fl"]
    assert " at a threshold learnt on watched patients (AUROC +.000)." in said[0]
    assert moved_thresholds(board) == []
    assert "gain at a fair" in render([board], "table", wide=True)
    head = next(line for line in render([board], "md").splitlines() if line.startswith("| method"))
    assert "| verdict | gain at a fair threshold, points | 95 % CI at a fair threshold |" in head


def test_a_failed_training_run_takes_the_fair_threshold_of_the_method_above(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("geometric", "balanced")
    put_with_shift(lab, "balanced", -2.0)
    put_with_shift(lab, "geometric", -2.0, but=1)
    lab.fail(lab.trial("geometric", fold=1))
    (board,) = lab.boards(wide=True)

    fair = [row.fair for row in board.rows]
    assert fair[1] is not None
    assert fair[1].gain is not None
    assert fair[0] is not None
    assert abs(fair[1].balanced_accuracy - fair[0].balanced_accuracy) < 0.05


def test_results_of_before_have_no_fair_threshold(lab: Lab) -> None:
    lab.arm("balanced")
    lab.arm("geometric", "balanced")
    put_with_shift(lab, "balanced", -4.0)
    put_with_shift(lab, "geometric", 0.0, watched=False)
    (board,) = lab.boards(wide=True)
    values = {value["augmenter"]: value for value in board_rows(board)}

    assert values["balanced"]["balanced_accuracy_fair_threshold"] is not None
    assert values["geometric"]["balanced_accuracy_fair_threshold"] is None
    assert values["geometric"]["gain_fair_threshold"] is None
    said = "Gain at a fair threshold: not stored, as results of before hold no predictions for watched patients."
    assert " ".join(render([board], "table", wide=True).split()).count(said) == 1
    assert render([board], "md").count(said) == 1
    assert "gain at a fair threshold, points" not in render([board], "md")


def test_a_declared_positive_class_heads_the_wide_table(tmp_path: Path) -> None:
    lab = Lab(tmp_path, positive="no")
    lab.arm("balanced")
    put_with_shift(lab, "balanced", 0.0)
    (board,) = lab.boards(wide=True)
    text = " ".join(render([board], "table", wide=True).split())
    values = board_rows(board)[0]

    assert (
        "Positive: no, as the study declares. Sensitivity: the share of no found; specificity: the share of yes" in text
    )
    assert "sensitivity at 90 % specificity" in re.sub(" +", " ", text) or "Sensitivity at a specificity" in text
    assert values["sensitivity_at_95_specificity_low"] < values["sensitivity_at_95_specificity"] <= 100
    assert values["sensitivity_at_95_specificity"] <= values["sensitivity_at_90_specificity"]
