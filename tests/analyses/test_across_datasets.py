"""All data sets side by side: one comparison an arm and data set, networks averaged, data sets never."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _synthetic_store import SyntheticRun
from medbench.analyses.across_datasets import across, case
from medbench.boards.board import Board, Row
from medbench.statistics.gain_intervals import intervals
from medbench.statistics.patient_scores import ArmScores, average_networks
from medbench.statistics.power import smallest_gain_seen
from medbench.tables.across_datasets import KIND, render_all
from medbench.tables.board_table import render
from medbench.tables.document import FORMATS
from medbench.text import columns

THREE = ("vindr-spinexr:abnormal", "ddti:benign-malignant", "brain-tumour:HGG-LGG")
TREE = {"balanced": "", "geometric": "balanced", "acgan": "balanced"}
SKILL = {"balanced": 0.6, "geometric": 0.85, "acgan": 0.61}
Make = Callable[..., SyntheticRun]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def call(**more: object) -> SyntheticRun:
        values = {"datasets": THREE, "tree": TREE, "patients": 60, **more}
        return SyntheticRun(tmp_path / f"r{len(list(tmp_path.iterdir()))}", **values)  # type: ignore[arg-type]

    return call


def row(board: Board, name: str) -> Row:
    (found,) = (r for r in board.rows if r.arm.augmenter == name)
    return found


def table_of(run: SyntheticRun, form: str = "table", **more: bool) -> str:
    """Return what stands after the boards."""
    boards = run.boards()
    text, alone = render_all(boards, form, **more), render(boards, form, **more)
    if form == "latex":
        return text.rpartition(r"\subsection")[2]
    assert text.startswith(alone)
    return text.removeprefix(alone).strip("\n")


def test_with_one_network_the_comparisons_are_those_of_the_boards(make: Make) -> None:
    boards = make().fill(SKILL).boards()
    (found,) = across(boards)

    assert (found.networks, found.protocol, len(found.cases)) == (("net",), "patients", 3)
    assert set(found.arms) == {"geometric", "acgan"}
    for one, board in zip(found.cases, boards, strict=True):
        assert one.judged == {name: row(board, name).judged for name in found.arms}
        assert one.sees == max(smallest_gain_seen(r.gain) for r in board.rows if r.gain)


def test_networks_are_averaged_within_a_fold_before_they_are_compared(make: Make) -> None:
    """The mean of two networks, by hand: decisions averaged patient by patient, then one interval over the family."""
    run = make(datasets=THREE[:2], networks=("a", "b")).fill(SKILL)
    boards = run.boards()
    (found,) = across(boards)
    pairs = {}
    for name in ("acgan", "geometric"):
        scores = [[row(b, n).scores for b in boards[:2]] for n in (name, "balanced")]
        mean = [dataclasses.replace(two[0], correct=(two[0].correct + two[1].correct) / 2) for two in scores]  # type: ignore[type-var,union-attr]
        pairs[name] = tuple(mean)
    expected = intervals(pairs, folds=5)  # type: ignore[arg-type]

    for name in pairs:
        gain = found.cases[0].judged[name].gain
        each = [row(b, name).gain for b in boards[:2]]
        assert gain is not None
        assert gain.value == pytest.approx(expected[name].value)
        assert gain.value == pytest.approx(np.mean([g.value for g in each if g]))
        assert gain.standard_error == pytest.approx(expected[name].standard_error)
        assert gain.comparisons == 2  # not four: networks are no further looks
        assert gain.critical == pytest.approx(expected[name].critical, rel=0.02)
        assert gain.standard_error < max(g.standard_error for g in each if g)
    assert found.cases[0].judged["geometric"].verdict.word == "better"


def test_configurations_that_are_not_shown_widen_the_mean_too(make: Make) -> None:
    run = make(datasets=THREE[:2], networks=("a", "b"))
    run.fill(SKILL).fill({"mixup": 0.5, "cutmix": 0.5}, left_out=dict.fromkeys(("mixup", "cutmix"), run.cells[1:]))
    (found,) = across(run.boards())

    gain = found.cases[0].judged["acgan"].gain
    assert gain is not None
    assert gain.comparisons == 2 + 4


def test_an_arm_that_one_network_lacks_has_no_mean(make: Make) -> None:
    run = make(datasets=THREE[:2], networks=("a", "b")).fill(SKILL)
    record = run.record()
    for arms in record["arms"].values():
        arms[:] = [arm for arm in arms if (arm["augmenter"], arm["classifier"]) != ("acgan", "b")]
    run.record = lambda **more: record  # type: ignore[method-assign]
    (found,) = across(run.boards())

    assert "acgan" not in found.cases[0].judged
    assert found.cases[0].missing == {"acgan": "1 of 2 networks"}
    assert "1 of 2 networks" in table_of(run)


def test_failures_and_open_cells_of_all_networks_are_counted(make: Make) -> None:
    run = make(datasets=THREE[:2], networks=("a", "b"))
    run.fill(SKILL, datasets=THREE[:1], failed={"acgan": run.cells[:2]})
    run.fill(SKILL, datasets=THREE[1:2], left_out={"geometric": run.cells[:3]})
    (found,) = across(run.boards())
    first, second = found.cases

    assert first.judged["acgan"].evidence.failures == "4 of 30 diverged"
    assert first.judged["acgan"].gain is not None
    assert second.judged["geometric"].gain is None
    assert second.judged["geometric"].verdict.withheld == "24 of 30 training runs done, so no verdict yet."
    text = " ".join(table_of(run).split())
    assert "4 of 30 diverged" in text
    assert "24 of 30 done" in text
    assert "Thyroid ultrasound, benign or malignant: 24 of 30 training runs done, so no verdict yet." in text
    assert "AC-GAN images, Spine radiographs, abnormal or not: 4 of 30 diverged, " in text


def test_the_table_is_that_of_the_design_page(make: Make) -> None:
    text = table_of(make().fill(SKILL))
    lines = text.splitlines()

    assert lines[0] == " gain over the method above it, points of balanced accuracy, net"
    assert lines[1:3] == [" + better   - worse   = no relevant difference (within 2 points)", " . inconclusive"]
    assert [line.split() for line in lines[4:8]] == [
        ["Thyroid"], ["Spine", "ultrasound,"], ["radiographs,", "benign", "or", "brain-"],
        ["method", "abnormal", "or", "not", "malignant", "tumour:HGG-LGG"],
    ]  # fmt: skip
    assert re.search(r"\n rotations, flips, zoom( +\+\d\d\.\d \+){3}\n", text)
    assert re.search(r"\n AC-GAN images( +[+-]\d\.\d [.=]){3}\n", text)
    assert re.search(r"\n detectable gain( +\d+\.\d){3}\n", text)
    assert re.search(r"\n patients \(rarest\)( +60 \(20\)){3}\n", text)
    assert text.endswith(" Not averaged over data sets: three are three cases, not a sample.")
    assert max(map(columns, lines)) <= 80


@pytest.mark.parametrize(
    ("n", "says"),
    [(2, "two are two cases"), (4, "four are four cases"), (6, "With 6 data sets mean ranks would be legitimate")],
)
def test_the_last_sentence_and_the_blocks_fit_the_number(make: Make, n: int, says: str) -> None:
    text = table_of(make(datasets=[f"set-{i}" for i in range(n)]))

    assert says in " ".join(text.split())
    assert all(f"set-{i}" in text for i in range(n))
    assert text.count(" detectable gain") == (n + 2) // 3
    assert max(map(columns, text.splitlines())) <= 80


def test_one_data_set_and_leaky_protocols_have_no_such_table(make: Make) -> None:
    one, leaky = make(datasets=THREE[:1]), make(protocols=["images"])

    for run in (one.fill(SKILL), leaky.fill(SKILL)):
        boards = run.boards()
        assert across(boards) == []
        for form in FORMATS:
            assert render_all(boards, form) == render(boards, form)


def test_few_patients_and_practice_runs_have_no_marks(make: Make) -> None:
    few, short = make(patients=45).fill(SKILL), make(repeats=1).fill(SKILL)

    for run, why in ((few, "Only 15 patients in the rarest class"), (short, "Practice run")):
        text = table_of(run)
        assert not re.search(r"\d [-+.=](\s|$)", text.partition("patients (rarest)")[0].partition(" method ")[2])
        assert " ".join(text.split()).count(why) == 1  # once for all data sets


def test_programs_get_one_document_with_a_kind(make: Make) -> None:
    run = make(networks=("a", "b")).fill(SKILL)
    boards = run.boards()
    (found,) = across(boards)
    shown = json.loads(render_all(boards, "json"))
    sheet = list(csv.DictReader(io.StringIO(render_all(boards, "csv"))))

    own = [r for r in shown if r.get("kind") == KIND]
    assert [r for r in shown if r.get("kind") != KIND] == json.loads(render(boards, "json"))
    assert len(own) == len([r for r in sheet if r["kind"] == KIND]) == 3 * 2
    for r in own:
        (of_set,) = (c for c in found.cases if c.source["dataset"] == r["dataset"])
        gain = of_set.judged[r["augmenter"]].gain
        assert gain is not None
        assert (r["gain"], r["gain_low"], r["gain_high"]) == tuple(
            round(100 * x, 2) for x in (gain.value, gain.low, gain.high)
        )
        assert r["classifier"] == "a + b"
        assert of_set.sees is not None
        assert r["sees"] == round(100 * of_set.sees, 2)


@pytest.mark.parametrize("form", ["md", "latex"])
def test_documents_hold_the_cells_of_the_table(make: Make, form: str) -> None:
    run = make().fill(SKILL)
    text = table_of(run, form)
    (found,) = across(run.boards())

    for one in found.cases:
        gain = one.judged["geometric"].gain
        assert gain is not None
        assert f"{100 * gain.value:+.1f} +" in text
    assert "Not averaged over data sets: three are three cases, not a sample." in text
    assert "60 (20)" in text


def test_names_that_steer_a_terminal_are_cleaned(make: Make) -> None:
    run = make(
        datasets=("a\x1b[2J:脊椎脊椎脊椎脊椎脊椎", "phantom:" + "x" * 60), tree={"balanced": "", "g" * 60: "balanced"}
    )
    for form in FORMATS:
        text = render_all(run.boards(), form)
        assert "\x1b" not in text
        assert form != "table" or max(map(columns, text.splitlines())) <= 80


@given(seed=st.integers(0, 2**32), n=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_the_mean_of_networks_is_the_mean_of_every_number(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    names, labels = np.array([f"p{i}" for i in range(12)]), np.arange(12) % 2

    def scores(of: np.ndarray = names) -> ArmScores:
        value = rng.random(4)
        return ArmScores(of, of, labels, rng.random((3, 12)), *value[:3], rng.random(2), value[3], rng.random((2, 2)))

    each = [scores() for _ in range(n)]
    mean = average_networks(each)

    for field in dataclasses.fields(mean):
        if field.name not in ("names", "clusters", "labels"):
            expected = np.mean([getattr(one, field.name) for one in each], axis=0)
            np.testing.assert_allclose(getattr(mean, field.name), expected)
    with pytest.raises(ValueError, match="different patients"):
        average_networks([*each, scores(names[::-1])])


def test_an_arm_of_a_classifier_that_claims_something_stays_on_its_own_board(make: Make) -> None:
    run = make(datasets=THREE[:2], networks=("a", "b")).fill(SKILL).fill({"balanced": 0.8}, networks=("c",))
    record = run.record()
    for arms in record["arms"].values():
        arms.append({**arms[0], "classifier": "c", "control": "balanced", "over": "a", "board": "a"})
    run.record = lambda **more: record  # type: ignore[method-assign]
    boards = run.boards()
    (found,) = across(boards)

    expected = next(r.judged for r in boards[0].rows if r.arm.classifier == "c")
    assert expected is not None
    assert expected.gain is not None
    assert found.cases[0].judged["balanced / c"] == expected
    assert case(boards[:1]).judged["balanced / c"] == expected
    assert "class balancing with c" in table_of(run)
