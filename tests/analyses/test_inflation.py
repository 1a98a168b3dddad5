"""Staircases: what is run, what each row says, and that no row is invented."""

from __future__ import annotations

import csv
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medbench.analyses.inflation import BEST_OF, CAUSES, REMOVED, Inflation, find_inflations
from medbench.boards.board import Board, Row
from medbench.boards.gains import Judged
from medbench.cli.leaderboard import leaderboard
from medbench.errors import UsageError
from medbench.planning import study as studies
from medbench.planning.arms import Arm
from medbench.planning.leak_staircase import arms_under, compared_arms, staircase
from medbench.planning.study import Study
from medbench.plots import inflation as figure
from medbench.plots import style
from medbench.protocols.protocol import LEAKY, protocol
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.patient_scores import score
from medbench.statistics.pool_images_by_patient import units
from medbench.statistics.verdicts import Evidence, Verdict
from medbench.tables.document import FORMATS
from medbench.tables.inflation import render, rows, values
from medbench.tables.writers.terminal import Screen
from medbench.text import columns
from medbench.trial.trial import Predictions

LABELS = np.array([0] * 6 + [1] * 4)
NAMES = np.array([f"p{i}" for i in range(10)])
REMOVE = ["synthetic-scored", "copies", "images"]


def asked(**more: Any) -> Study:
    figures = [
        {"arm": "hybrid", "classifier": "net", "metric": "accuracy", "value": 0.99, "source": "a paper, table 2"},
        {"arm": "none", "classifier": "net", "metric": "accuracy", "value": 0.70, "source": "a paper, table 2"},
    ]
    values = {
        "name": "rerun", "datasets": ["ddti"], "classifiers": ["net", "other"], "published": figures,
        "augmenters": ["none", "hybrid"], "inflation": {"arm": "hybrid", "remove": REMOVE, "note": "Our reading."},
    }  # fmt: skip
    return studies.build({**values, **more})


def same(kind: str, text: str) -> str:
    return text


def scores(right: int) -> Any:
    """Return scores of ten patients with one image each of which the first `right` are decided rightly."""
    p = np.eye(2)[np.where(np.arange(10) < right, LABELS, 1 - LABELS)]
    return score({(0, 0, 0): units(Predictions(NAMES, NAMES, LABELS, p), [0.5, 0.5], by_patient=True)}, 2)


def row(augmenter: str, right: int | None, control: str = "", **more: Any) -> Row:
    values: dict[str, Any] = {"planned": 2, "done": 2, "failed": 0, "scores": None if right is None else scores(right)}
    return Row(Arm(augmenter, "net", control=control, board="net"), 0, (True,), **{**values, **more})


EVIDENCE = Evidence(5, 3, 2, 2, rare=40, patients=100)


def boards(
    study: Study, arm: list[int | None], against: list[int | None], dataset: str = "phantom:ddti"
) -> list[Board]:
    source = {"dataset": dataset, "classes": ["no", "yes"], "class_patients": [6, 4], "patients": 10, "images": 10}
    gain = Interval(0.003, 0.02, -0.051, 0.057, -0.04, 0.05, 30, 1e-4, 1e-5, 3, 2.5)
    judged = Judged(gain, 0.01, EVIDENCE, Verdict("can't tell"))
    made = []
    for text, of_arm, of_other in zip(study.protocols, arm, against, strict=True):
        honest = protocol(text).is_honest
        tree = [row("balanced", 6), row("copies", 7, "balanced")] if honest else []
        mine = row("hybrid", of_arm, "copies" if honest else "", judged=judged if honest else None)
        plain = row("none", of_other)
        made.append(Board(source, text, (), "net", study, (*tree, mine), plain, (), "patient", 1, EVIDENCE, "CPU"))
    return made


def found(arm: list[int | None] | None = None, against: list[int | None] | None = None, **more: Any) -> Inflation:
    study = staircase(asked(**more), same)
    return find_inflations(boards(study, arm or [10, 9, 8, 7], against or [7, 7, 7, 7]))[0]


# -- what is run -------------------------------------------------------------------------------------------------------


def test_every_step_lacks_one_leak_more_and_the_last_none() -> None:
    study = staircase(asked(), same)

    assert study.protocols == [
        "patients[leak=synthetic-scored/copies/images]", "patients[leak=copies/images]", "patients[leak=images]",
        "patients",
    ]  # fmt: skip
    assert study.name == "rerun-inflation"
    assert (study.augmenters, study.classifiers) == (["none", "hybrid"], ["net"])
    assert staircase(study, same).name == study.name


def test_a_choice_on_the_scored_images_is_a_step_of_its_own() -> None:
    table = {"arm": "hybrid", "remove": REMOVE, "best_of": ["hybrid[ratio=2]", "hybrid"]}
    study = staircase(asked(inflation=table), same)
    more = [row("hybrid[ratio=2]", 10, "copies"), row("hybrid[ratio=2]", None, "copies")]
    arms = [row.arm for row in (row("balanced", 6), row("copies", 7, "balanced"), row("hybrid", 9, "copies"), more[0])]

    assert study.augmenters == ["none", "hybrid", "hybrid[ratio=2]"]
    plain = Arm("none", "net", plain=True)
    assert [a.augmenter for a in arms_under(study, study.protocols[0], [plain, *arms])] == [
        "none", "hybrid", "hybrid[ratio=2]",
    ]  # fmt: skip
    assert [a.augmenter for a in arms_under(study, study.protocols[1], [plain, *arms])] == ["none", "hybrid"]
    assert "hybrid[ratio=2]" not in [a.augmenter for a in arms_under(study, "patients", [plain, *arms])]
    made = boards(study, [8, 7, 6, 5], [7, 7, 7, 7])
    first, *others = made
    (whole,) = find_inflations([replace(first, rows=(*first.rows, more[0])), *others])
    assert [(step.leak, step.number, step.arm) for step in (whole.own, *whole.steps)] == [
        ("", 0, 1.0), (BEST_OF, 1, 0.8), ("synthetic-scored", 2, 0.7), ("copies", 3, 0.6), ("images", 4, 0.5),
    ]  # fmt: skip
    (part,) = find_inflations([replace(first, rows=(*first.rows, more[1])), *others])
    assert part.own.arm is None


def test_what_stands_above_the_other_numbers_alone_is_not_run() -> None:
    study = staircase(asked(inflation={"arm": "hybrid", "remove": REMOVE, "best_of": ["hybrid[ratio=2]"]}), same)
    arms = [
        Arm("none", "net", plain=True, asked=False), Arm("balanced", "net", asked=False),
        Arm("copies", "net", control="balanced", asked=False), Arm("hybrid", "net", control="copies"),
        Arm("copies[ratio=2]", "net", control="balanced", asked=False),
        Arm("hybrid[ratio=2]", "net", control="copies[ratio=2]"),
    ]  # fmt: skip

    assert [arm.augmenter for arm in arms_under(study, "patients", arms)] == ["none", "balanced", "copies", "hybrid"]


@given(st.permutations([name for name in LEAKY if name != "synthetic-scored"]))
@settings(max_examples=20, deadline=None)
def test_leaks_may_be_taken_away_in_any_order(order: list[str]) -> None:
    study = staircase(asked(inflation={"arm": "hybrid", "remove": ["synthetic-scored", *order]}), same)

    taken = [protocol(text).switches for text in study.protocols]

    assert [one - other for one, other in itertools.pairwise(taken)] == [
        {name} for name in ("synthetic-scored", *order)
    ]


def test_controls_run_under_the_honest_protocol_only() -> None:
    study = staircase(asked(), same)
    arms = [Arm("none", "net", plain=True), Arm("balanced", "net"), Arm("hybrid", "net", control="balanced")]

    assert [arm.augmenter for arm in arms_under(study, study.protocols[0], arms)] == ["none", "hybrid"]
    assert arms_under(study, "patients", arms) == arms
    assert arms_under(asked(), study.protocols[0], arms) == arms


def test_where_the_augmenter_is_the_same_the_networks_are_compared() -> None:
    study = staircase(asked(inflation={"arm": "balanced", "against": "balanced", "remove": ["images"]}), same)
    arms = [Arm("balanced", "other"), Arm("balanced", "net", control="balanced", over="other")]

    assert compared_arms(study, arms) == (arms[1], arms[0])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"arm": "hybrid", "remove": ["copys"]}, "no leak is named 'copys'"),
        ({"arm": "hybrid", "remove": ["copies", "synthetic-scored"]}, "must go before copies"),
        ({"arm": "hybrid", "remove": ["images", "images"]}, "twice"),
        ({"arm": "hybrid", "remove": []}, "remove"),
        ({"arm": "hybrid", "remove": ["images"], "metric": "loss"}, "is none of accuracy"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_name(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked(inflation=table)


def test_a_study_without_a_table_or_an_honest_protocol_has_no_staircase() -> None:
    with pytest.raises(UsageError, match=r"add an \[inflation\] table"):
        staircase(asked(inflation=None), same)
    with pytest.raises(UsageError, match="no honest protocol"):
        staircase(asked(protocols=["images"]), same)
    with pytest.raises(UsageError, match="run the study with --inflation"):
        find_inflations(boards(staircase(asked(), same).model_copy(update={"staircase": False}), [1] * 4, [1] * 4))


def test_a_study_file_keeps_its_table(tmp_path: Path) -> None:
    path = tmp_path / "rerun.toml"
    path.write_text(studies.to_toml(asked()))

    assert studies.read(path) == asked()


# -- what it says ------------------------------------------------------------------------------------------------------


def test_rows_hold_the_measured_values_from_the_published_to_the_own_control() -> None:
    one = found()

    assert [(step.arm, step.against) for _, step in rows(one)] == [
        (0.99, 0.70), (1.0, 0.7), (0.9, 0.7), (0.8, 0.7), (0.7, 0.7),
        (pytest.approx((1 + 1 / 4) / 2), pytest.approx(1 / 2)), (pytest.approx(5 / 8), pytest.approx(5 / 8)),
    ]  # fmt: skip
    assert [step.number for _, step in rows(one)] == [0, 0, 1, 2, 3, 4, 5]
    assert (one.majority, one.commonest) == (0.6, "no")


def test_rows_have_a_standard_error() -> None:
    """That of ten paired differences, as scipy has it: here one of the two is right wherever the other is."""
    one = found()

    for step in (one.own, *one.steps):
        assert step.gain is not None
        apart = np.arange(10) < round(10 * abs(step.gain))
        assert step.error == pytest.approx(stats.sem(apart))
    text = " ".join(render([one], "table").split())
    assert "+30.0 (SE 15.3)" in text
    assert "In this order, the largest part" in text
    assert json.loads(render([one], "json"))[1]["gain_standard_error"] == pytest.approx(15.28, abs=0.01)


def test_the_largest_part_is_the_step_that_takes_most() -> None:
    largest = found([10, 10, 8, 7], [7, 7, 7, 7]).largest

    assert largest is not None
    assert largest[0].leak == "copies"
    assert largest[1] == pytest.approx(0.2)
    assert found([6, 6, 8, 7]).largest is None  # there was no gain to take apart


def test_an_unfinished_row_says_so_and_no_largest_part_is_named() -> None:
    study = staircase(asked(), same)
    made = boards(study, [10, None, 8, 7], [7, 7, 7, 7])
    unfinished = row("hybrid", None, done=1)
    made[1] = Board(**{**vars(made[1]), "rows": (unfinished,)})
    one = find_inflations(made)[0]

    assert one.steps[0].why == "1 of 2 done"
    assert one.steps[0].gain is None
    assert one.largest is None
    assert "1 of 2 done" in render([one], "table")


def test_on_drawn_images_published_figures_are_set_apart() -> None:
    text = render([found()], "table")

    assert "published, on its own data" in text
    assert (
        "Of the +30.0 points that the study's own protocol gives hybrid: AC-GAN images, +0.3 (-5.1 to +5.7) are left "
        "compared with the method above it:"
    ) in " ".join(text.split())
    assert "Synthetic test images: the result says nothing about patients." in " ".join(text.split())
    real = render(find_inflations(boards(staircase(asked(), same), [10, 9, 8, 7], [7] * 4, "ddti")), "table")
    assert "Of the +29.0 points reported for hybrid: AC-GAN images, " in " ".join(real.split())
    assert "inconclusive." in real
    assert "ynthetic" not in real


def test_figures_of_another_data_set_are_not_taken_for_this_ones() -> None:
    study = asked()
    elsewhere = [p.model_copy(update={"dataset": "vindr-spinexr"}) for p in study.published]
    study = staircase(study.model_copy(update={"published": elsewhere}), same)
    one = find_inflations(boards(study, [10, 9, 8, 7], [7] * 4, "ddti"))[0]

    assert (one.published.arm, one.published.against, one.published.why) == (None, None, "other data")
    assert "is of vindr-spinexr, and stands beside that data only." in " ".join(render([one], "table").split())
    assert "reported for" not in render([one], "table")


@pytest.mark.parametrize(
    ("change", "why", "said"),
    [
        ({"classes": ["glioma", "none"]}, "other data", "is of ddti, and stands beside that data only."),
        ({"classifier": "vgg16"}, "other network", "is of VGG-16, and stands beside that network only."),
        ({"classes": ["yes", "no"]}, "", "Source: a paper, table 2"),
        ({"classifier": ""}, "", "Source: a paper, table 2"),
    ],
)
def test_figures_of_other_classes_or_another_network_are_not_taken_for_this_ones(
    change: dict[str, Any], why: str, said: str
) -> None:
    study = asked()
    figures = [p.model_copy(update={"dataset": "ddti", **change}) for p in study.published]
    study = staircase(study.model_copy(update={"published": figures}), same)
    one = find_inflations(boards(study, [10, 9, 8, 7], [7] * 4, "ddti"))[0]
    text = " ".join(render([one], "table").split())

    assert one.published.why == why
    assert (one.published.arm is None) == bool(why)
    assert said in text
    assert ("reported for" in text) == (not why)


def test_of_a_loss_nothing_is_left() -> None:
    study = staircase(asked(), same)
    text = " ".join(render(find_inflations(boards(study, [6, 6, 6, 7], [7] * 4)), "table").split())

    assert "Of the -" not in text
    assert "The study's own protocol gives -10.0 points for hybrid: AC-GAN images: no gain of which something" in text
    assert "Compared with the method above it: +0.3 (-5.1 to +5.7): inconclusive." in text


def test_of_two_figures_the_missing_one_is_named() -> None:
    study = asked()
    study = staircase(study.model_copy(update={"published": study.published[:1]}), same)
    text = " ".join(render(find_inflations(boards(study, [10, 9, 8, 7], [7] * 4, "ddti")), "table").split())

    assert "A published accuracy of no augmentation was not found." in text
    assert "Source: a paper, table 2" in text


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_holds_every_row(form: str) -> None:
    one = found()
    text = render([one], form)

    if form == "json":
        assert json.loads(text) == list(values(one))
    elif form == "csv":
        assert len(list(csv.DictReader(io.StringIO(text)))) == len(rows(one))
    else:
        assert all(title.split(" over ")[0].split(",")[0] in text.replace("\\", "") for title, _ in rows(one))
        assert "5.7" in text


@pytest.mark.parametrize("plain", [False, True])
def test_a_table_is_eighty_columns_wide_whatever_things_are_called(plain: bool) -> None:
    study = asked(name="n" * 90)
    text = render(
        find_inflations(boards(staircase(study, same), [10, 9, 8, 7], [7] * 4, "d" * 100)),
        "table",
        screen=Screen(plain=plain),
    )

    assert max(map(columns, text.splitlines())) <= 80
    assert not plain or text.isascii()


def test_every_leak_has_a_title_and_a_cause() -> None:
    assert set(REMOVED) == set(CAUSES) == {*LEAKY, BEST_OF}


def test_a_figure_is_the_same_bytes_twice_and_names_its_rows() -> None:
    one, other = (style.written(figure.draw(found()), "svg") for _ in range(2))

    assert one == other
    assert b"split before augmenting" in one
    assert style.written(figure.draw(found([10, None, 8, 7])), "png").startswith(b"\x89PNG")


def test_a_figure_is_of_a_staircase_only() -> None:
    result = CliRunner().invoke(leaderboard, ["--plot", "x.svg"])

    assert isinstance(result.exception, UsageError)
    assert "add --table inflation" in str(result.exception)
