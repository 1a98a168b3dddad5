"""Yardsticks: which trainings of a control are planned, on what they are tested, and what a board makes of them."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from medbench.boards.board import Board
from medbench.boards.build import boards
from medbench.data.describe import DatasetDescription
from medbench.errors import UsageError
from medbench.identity.identity import digest
from medbench.interfaces import Budget, TrainingSet
from medbench.planning import study
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.planning.trial_matrix import expand
from medbench.planning.yardsticks import Yardsticks, root_of, trainings
from medbench.protocols.folds import Cut
from medbench.protocols.protocol import protocol
from medbench.protocols.protocol_text import seeded_as, with_share
from medbench.protocols.subsets import draw_share
from medbench.registry import plugins
from medbench.samples import Samples
from medbench.statistics.gain_intervals import intervals
from medbench.statistics.patient_scores import score
from medbench.statistics.pool_images_by_patient import units
from medbench.store.store import Store
from medbench.store.trial_files import Failure, write_result
from medbench.tables.board_table import render
from medbench.tables.board_values import board_rows
from medbench.tables.document import FORMATS
from medbench.text import columns
from medbench.trial.trial import Predictions, Result, Trial

N = 60
LABELS = np.array([0, 0, 1] * (N // 3))
NAMES = np.array([f"p{i:02d}" for i in range(N)])
FEWER = "patients[share=0.75]"


def patients(n: int, *, images: int = 2) -> Samples:
    labels = np.repeat(np.arange(n) % 3 == 0, images).astype(np.int64)
    groups = np.repeat([f"g{i:03d}" for i in range(n)], images)
    return Samples(
        x=np.zeros((n * images, 0), np.uint8),
        labels=labels,
        ids=np.array([f"i{i:04d}" for i in range(n * images)]),
        patients=groups,
        groups=groups,
        sources=((),) * (n * images),
        classes=("no", "yes"),
        parts=np.where(np.repeat(np.arange(n), images) < n * 0.7, "train", "test"),
    )


# -- the protocol ------------------------------------------------------------------------------------------------------


@given(
    n=st.integers(30, 90),
    share=st.floats(0.2, 1),
    repeat=st.integers(0, 3),
    name=st.sampled_from(["patients", "official"]),
)
@settings(max_examples=40, deadline=None)
def test_a_share_of_the_patients_is_trained_on_and_the_same_ones_are_tested(
    n: int, share: float, repeat: int, name: str
) -> None:
    samples, cut = patients(n), Cut(0, 3, repeat)
    seen: list[Samples] = []

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        seen.append(train)
        return TrainingSet(train), *held_out

    _, watched, tested = protocol(name).arrange(samples, cut, prepare)
    _, watched_too, tested_too = protocol(f"{name}[share={share}]").arrange(samples, cut, prepare)

    whole, less = (set(s.groups.tolist()) for s in seen)
    assert tested.ids.tolist() == tested_too.ids.tolist()
    assert watched.ids.tolist() == watched_too.ids.tolist()
    assert less <= whole
    assert len(seen[1]) == 2 * len(less)  # groups stay whole
    for k in (0, 1):
        of_class = [len(set(s.groups[s.labels == k].tolist())) for s in seen]
        assert of_class[1] == max(1, round(share * of_class[0]))


def test_another_repeat_draws_other_patients_and_a_larger_share_holds_the_smaller() -> None:
    samples = patients(60)
    draws = [set(draw_share(samples, 0.5, salt=salt).groups.tolist()) for salt in ("0|0", "1|0", "0|1")]
    larger = set(draw_share(samples, 0.75, salt="0|0").groups.tolist())

    assert draws[0] != draws[1] != draws[2] != draws[0]
    assert draws[0] < larger
    assert draw_share(samples, 1, salt="") is samples


def test_the_text_names_the_share_and_seeds_do_not_depend_on_it() -> None:
    assert with_share("patients", 0.75) == FEWER
    assert with_share("official[train=100/40]", 0.75) == "official[train=100/40,share=0.75]"
    assert with_share("patients[share=0.5]", 0.5) == "patients[share=0.25]"
    assert protocol(FEWER).is_honest
    assert seeded_as(FEWER) == "patients"  # initial weights are those of the control
    with pytest.raises(UsageError, match=r"write share=0\.75"):
        protocol("patients[share=0]")


# -- what is planned ---------------------------------------------------------------------------------------------------


def test_the_control_is_the_root_that_most_arms_stand_on() -> None:
    arms = [Arm("lonely", "net"), Arm("a", "net"), Arm("b", "net", "a"), Arm("c", "net", "b"), Arm("d", "net", "none"),
            Arm("none", "net", plain=True), Arm("x", "other")]  # fmt: skip

    assert root_of(arms, "net") == arms[1]
    assert root_of(arms, "other") is None  # nothing is compared there
    assert root_of([Arm("hybrid", "net", "geometric")], "net") is None  # its control is not on the board


def test_as_many_trainings_are_planned_as_the_dearest_generator_pays_for() -> None:
    catalogue = plugins.load()
    plain, gan, classifier = (
        catalogue.resolve(kind, name)
        for kind, name in (("augmenter", "balanced"), ("augmenter", "hybrid"), ("classifier", "small-cnn"))
    )

    def planned(recipe: Any, seeds: int = 1, **budget: int) -> int:
        return trainings(Budget(**budget), [(plain, classifier), (recipe, classifier)], seeds=seeds)

    assert planned(plain) == 2
    assert planned(gan, steps=1500, generator_steps=5000) == 4
    assert planned(gan, steps=100, generator_steps=5000) == 5
    assert planned(plain, seeds=2) == 4  # they are there anyway


def planned_trials(**more: Any) -> tuple[Any, list[Trial]]:
    values: dict[str, Any] = {"folds": 3, "repeats": 2, **more}
    asked = study.build({"datasets": ["ddti"], "augmenters": ["geometric"], "classifiers": ["small-cnn"], **values})
    samples = patients(40)
    source = DatasetDescription("ddti", "d" * 64, None, samples, 2, (), "patient", "nothing")
    made = expand(asked, plugins.load(), [source])
    return made, list(made.trials)


def test_yardsticks_are_planned_last_recorded_and_reuse_seeds_of_the_control() -> None:
    with_them, trials = planned_trials()
    without, arms = planned_trials(yardsticks=False)
    further = trials[len(arms) :]

    assert [t.id for t in trials[: len(arms)]] == [t.id for t in arms]
    assert {(t.augmenter, t.protocol, t.seed) for t in further} == {("balanced", "patients", 1), ("balanced", FEWER, 0)}
    assert len(further) == 2 * 3 * 2
    assert with_them.record()["yardsticks"] == [dataclasses.asdict(y) for y in with_them.yardsticks]
    assert without.record()["yardsticks"] == []
    more_seeds = {t.id for t in planned_trials(yardsticks=False, seeds=2)[1]}
    assert {t.id for t in further if t.protocol == "patients"} <= more_seeds  # the very same trials


def test_a_yardstick_that_is_also_an_arm_of_the_study_is_one_trial() -> None:
    _, trials = planned_trials(protocols=["patients", FEWER])

    assert len({t.id for t in trials}) == len(trials)


@pytest.mark.parametrize(
    "more", [{"controls": False}, {"protocols": ["images"]}, {"augmenters": ["balanced"]}, {"yardsticks": False}]
)
def test_without_controls_honest_cuts_or_comparisons_there_are_none(more: dict[str, Any]) -> None:
    assert planned_trials(**more)[0].yardsticks == ()


# -- what a board makes of them ----------------------------------------------------------------------------------------


class Lab:
    """A store with a control, an arm, and yardsticks whose predictions are drawn; some dearer than others."""

    def __init__(self, root: Path, *, trainings: int = 3, **asked: Any) -> None:
        self.store = Store(root / "runs")
        self.study = Study(datasets=["ddti"], augmenters=["x"], classifiers=["net"], folds=2, repeats=2, **asked)
        self.arms = [Arm("balanced", "net", made_by="v1"), Arm("gan", "net", "balanced", made_by="v1")]
        self.yardsticks = Yardsticks("ddti", "patients", "net", "balanced", "net", FEWER, self.study.seeds, trainings)
        self.rng = np.random.default_rng(0)
        self.predicted: dict[tuple[str, str, int, int, int], Predictions] = {}

    def trial(self, name: str, repeat: int, fold: int, seed: int, text: str = "patients", **more: Any) -> Trial:
        trial = Trial("ddti", text, repeat, fold, 2, seed, seed, name, "net", self.study.spending, "d" * 64, "v1")
        trial = dataclasses.replace(trial, **more)
        return dataclasses.replace(trial, id=digest(trial.to_json()))

    def put(self, trial: Trial, seconds: float) -> None:
        part = np.flatnonzero((np.arange(N) // 3 + trial.repeat) % 2 == trial.fold)
        p = self.rng.dirichlet((1, 1), len(part)) * 0.6 + 0.4 * np.eye(2)[LABELS[part]]
        self.predicted[trial.augmenter, trial.protocol, trial.repeat, trial.fold, trial.seed] = Predictions(
            NAMES[part], NAMES[part], LABELS[part], p
        )
        result = Result(
            trial, ids=NAMES[part], patients=NAMES[part], labels=LABELS[part], probabilities=p,
            frequencies=np.array([0.5, 0.5]), classes=("no", "yes"), metrics={}, leaks=(),
            cost={"seconds": seconds, "peak_mb": 1.0, "device": "cpu"}, stages={},
        )  # fmt: skip
        job = self.store.job_folder(trial.id)
        write_result(job, result, {})
        self.store.accept(job, self.store.place(trial))

    def run(self, name: str, seeds: range, *, seconds: float = 1.0, text: str = "patients") -> None:
        for repeat in range(2):
            for fold in range(2):
                for seed in seeds:
                    self.put(self.trial(name, repeat, fold, seed, text), seconds)

    def all(self, *, dearest: float = 10.0) -> Lab:
        seeds = range(self.study.seeds)
        self.run("balanced", seeds)
        self.run("gan", seeds, seconds=dearest)
        self.run("balanced", self.yardsticks.more)
        self.run("balanced", seeds, text=FEWER)
        return self

    def boards(self, *, yardsticks: bool = True) -> list[Board]:
        source = {
            "dataset": "ddti", "data": "d" * 64, "images": N, "patients": N, "class_patients": [40, 20],
            "classes": ["no", "yes"], "dimensions": 2, "notes": [], "unit": "patient", "publish": "nothing",
        }  # fmt: skip
        record = {
            "study": self.study.model_dump(), "sources": [source], "warnings": [], "skipped": [],
            "arms": {"ddti": [dataclasses.asdict(a) for a in self.arms]},
            "yardsticks": [dataclasses.asdict(self.yardsticks)] if yardsticks else [],
        }  # fmt: skip
        return boards(self.store, json.loads(json.dumps(record)))

    def board(self) -> Board:
        (board,) = self.boards()
        return board


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_each_yardstick_has_a_gain_with_the_range_of_one_comparison(lab: Lab) -> None:
    board = lab.all().board()
    control = board.rows[0].scores
    others = {
        (r, f, s): units(p, [0.5, 0.5], by_patient=True)
        for (name, text, r, f, s), p in lab.predicted.items()
        if (name, text, s) == ("balanced", "patients", 1)
    }

    seeds, fewer, average = board.yardsticks
    assert [y.kind for y in board.yardsticks] == ["seeds", "fewer", "average"]
    assert control is not None
    expected = intervals({"yardstick": (score(others, 2), control)}, folds=2)["yardstick"]
    assert seeds.gain == expected
    assert expected.comparisons == 1
    for one in (fewer, average):
        assert one.scores is not None
        assert one.gain is not None
        assert one.gain.value == pytest.approx(one.scores.balanced_accuracy - control.balanced_accuracy)


def test_an_average_is_over_probabilities_of_trainings_image_by_image(lab: Lab) -> None:
    average = lab.all().board().yardsticks[2]
    expected = []
    for repeat in range(2):
        truth, decided = [], []
        for fold in range(2):
            three = [lab.predicted["balanced", "patients", repeat, fold, seed] for seed in range(3)]
            truth.append(three[0].labels)
            decided.append(np.mean([p.probabilities for p in three], axis=0).argmax(1))
        expected.append(balanced_accuracy_score(np.concatenate(truth), np.concatenate(decided)))

    assert average.trainings == 3
    assert average.scores is not None
    assert average.scores.balanced_accuracy == pytest.approx(np.mean(expected), abs=1e-12)
    assert average.seconds == pytest.approx(3 * 4 * 1.0)


@pytest.mark.parametrize(("dearest", "number"), [(1.0, 2), (2.9, 2), (3.1, 3), (100.0, 4)])
def test_no_more_trainings_are_averaged_than_the_dearest_arm_took(tmp_path: Path, dearest: float, number: int) -> None:
    average = Lab(tmp_path, trainings=4).all(dearest=dearest).board().yardsticks[2]

    assert average.trainings == number
    assert average.seconds == pytest.approx(number * 4)


def test_yardsticks_are_neither_ranked_nor_looks_nor_comparisons(lab: Lab) -> None:
    board = lab.all().board()
    (without,) = lab.boards(yardsticks=False)

    assert [r.arm.augmenter for r in board.rows] == ["balanced", "gan"]
    assert (board.looks, without.looks) == (2, 2)
    assert board.rows[1].gain == without.rows[1].gain
    assert [r.superseded for r in board.rows] == [0, 0]
    assert board.yardstick_trials == (12, 12, 0)


def test_they_stand_below_the_tree_with_a_remark_instead_of_a_verdict(lab: Lab) -> None:
    text = render(lab.all().boards(), "table")
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(" for scale, compared with"))
    below = " ".join(" ".join(lines[start:]).split())

    assert any(line.startswith(" └ gan ") for line in lines[:start])
    assert re.findall("same method, other seeds|3/4 of the patients|3 networks averaged", below) == [
        "same method, other seeds", "3/4 of the patients", "3 networks averaged",
    ]  # fmt: skip
    assert re.findall("noise of training|what data adds|what 12 s add", below) == [
        "noise of training", "what data adds", "what 12 s add",
    ]  # fmt: skip
    assert max(map(columns, lines)) <= 80


def test_every_format_names_them_and_gives_them_no_verdict(lab: Lab) -> None:
    lab.all()
    flat = {row["yardstick"]: row for row in board_rows(lab.board()) if row["yardstick"]}

    assert {key: (row["yardstick_title"], row["verdict"]) for key, row in flat.items()} == {
        "seeds": ("same method, other seeds", None),
        "fewer": ("3/4 of the patients", None),
        "average": ("3 networks averaged", None),
    }
    assert all(row["gain_low"] < row["gain_high"] for row in flat.values())
    for form in FORMATS:
        assert "noise of training" in render(lab.boards(), form)
        assert "3 networks averaged" in render(lab.boards(), form)


def test_incomplete_and_failed_yardsticks_say_so_and_hold_no_number(lab: Lab) -> None:
    lab.run("balanced", range(1))
    lab.run("gan", range(1))
    lab.put(lab.trial("balanced", 0, 0, 1), 1.0)
    broken = lab.trial("balanced", 0, 0, 0, FEWER)
    lab.store.accept_failure(lab.store.job_folder(broken.id), broken, Failure("diverged", "nan"))
    seeds, fewer, average = lab.board().yardsticks
    text = render(lab.boards(), "table", wide=True)

    assert [(y.planned, y.done, y.failed, y.scores) for y in (seeds, fewer, average)] == [
        (4, 1, 0, None), (4, 0, 1, None), (8, 1, 0, None),
    ]  # fmt: skip
    for said in ("1 of 4 done", "1 of 4 failed", "1 of 8 done", "3/4 of the patients: 1 of 4 diverged"):
        assert said in text


def test_an_average_waits_until_the_dearest_arm_is_known(lab: Lab) -> None:
    lab.run("balanced", range(3))

    assert lab.board().yardsticks[2].scores is None
    lab.run("gan", range(1))
    assert lab.board().yardsticks[2].scores is not None


def test_a_study_with_more_seeds_has_its_other_seeds_anyway(tmp_path: Path) -> None:
    board = Lab(tmp_path, seeds=2, trainings=4).all().board()

    assert [(y.planned, y.done) for y in board.yardsticks] == [(8, 8), (8, 8), (8, 8)]
    assert board.yardstick_trials == (16, 16, 0)
    assert board.yardsticks[2].trainings == 4


def test_the_smallest_form_of_a_study_has_none_unless_it_says_so() -> None:
    small = study.shrink(study.build({"datasets": ["x"]}))
    kept = study.shrink(study.build({"datasets": ["x"], "smoke": {"yardsticks": True}}))

    assert (small.yardsticks, kept.yardsticks) == (False, True)
    assert not study.read(plugins.load().registered("study", "quickstart")).yardsticks
