"""Training sizes: which patients are drawn, what a gain is worth in patients, and what is said of it."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import math
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from medbench.analyses.learning_curves import Curve, LearningCurve, Worth, curve, find_learning_curves, worth
from medbench.boards.board import Board, Row
from medbench.boards.build import boards
from medbench.boards.gains import Judged
from medbench.cli.leaderboard import leaderboard
from medbench.cli.shared_options import read_request, study_options
from medbench.data.describe import DatasetDescription
from medbench.errors import Skip, UsageError
from medbench.interfaces import TrainingSet
from medbench.planning import study as studies
from medbench.planning.arms import Arm, Skipped
from medbench.planning.trial_matrix import expand
from medbench.plots import learning_curves as figure
from medbench.plots import style
from medbench.protocols.folds import Cut
from medbench.protocols.leaks import find_leaks
from medbench.protocols.protocol import protocol
from medbench.protocols.protocol_text import seeded_as, split_size, with_leaks, with_share
from medbench.protocols.subsets import draw_patients
from medbench.registry import plugins
from medbench.samples import Samples
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.patient_scores import score
from medbench.statistics.pool_images_by_patient import units
from medbench.statistics.verdicts import Evidence, Verdict, Word
from medbench.store.store import Store
from medbench.tables.document import FORMATS
from medbench.tables.learning_curves import extra, render, sentences, values
from medbench.tables.wording import by_size
from medbench.tables.writers.terminal import Screen
from medbench.text import columns
from medbench.trial.trial import Predictions


def patients(n: int, *, rare: int = 4, images: int = 2) -> Samples:
    labels = np.repeat(np.arange(n) % rare == 0, images).astype(np.int64)
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


def described(samples: Samples) -> DatasetDescription:
    return DatasetDescription("sizes", "0" * 64, None, samples, 2, (), "patient", "nothing")


def trained_on(text: str, samples: Samples, cut: Cut) -> tuple[Samples, Samples]:
    """Return what a protocol trains on and what it tests."""
    seen: list[Samples] = []

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        seen.append(train)
        return TrainingSet(train), *held_out

    _, _, tested = protocol(text).arrange(samples, cut, prepare)
    return seen[0], tested


# -- who is drawn ------------------------------------------------------------------------------------------------------


@given(
    n=st.integers(12, 90),
    rare=st.integers(2, 6),
    images=st.integers(1, 3),
    share=st.floats(0.1, 1),
    salt=st.text(max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_whole_patients_are_drawn_in_proportion_and_more_hold_fewer(
    n: int, rare: int, images: int, share: float, salt: str
) -> None:
    samples = patients(n, rare=rare, images=images)
    number = max(2, round(share * n))
    drawn = draw_patients(samples, number, salt=salt)
    more = draw_patients(samples, min(n, number + 3), salt=salt)

    groups = set(drawn.groups.tolist())
    assert len(groups) == number
    assert len(drawn) == images * number
    assert groups <= set(more.groups.tolist())
    for k in (0, 1):
        mine, every = (len(set(s.groups[s.labels == k].tolist())) for s in (drawn, samples))
        assert mine >= 1
        assert abs(mine - number * every / n) <= 1.5  # a half for rounding, one for the class that must be there


@pytest.mark.parametrize("name", ["official", "patients"])
def test_sizes_are_tested_on_the_same_patients_and_repeats_draw_others(name: str) -> None:
    samples = patients(120)
    whole, tested = trained_on(name, samples, Cut(0, 3, 0))
    small, tested_too = trained_on(f"{name}[patients=20]", samples, Cut(0, 3, 0))
    other, _ = trained_on(f"{name}[patients=20]", samples, Cut(0, 3, 1))

    assert tested.ids.tolist() == tested_too.ids.tolist()
    assert set(small.groups.tolist()) < set(whole.groups.tolist())
    assert len(set(small.groups.tolist())) == 20
    assert set(small.groups.tolist()) != set(other.groups.tolist())


def test_a_size_that_is_not_there_is_skipped_by_its_reason() -> None:
    with pytest.raises(Skip, match="the training part has 12 patients"):
        draw_patients(patients(12), 13, salt="")
    with pytest.raises(Skip, match="1 patient leaves a class out"):
        draw_patients(patients(12), 1, salt="")


def test_the_text_of_a_size() -> None:
    assert split_size("official[patients=50]") == ("official", 50)
    assert split_size("official[overlap=drop,patients=50]") == ("official[overlap=drop]", 50)
    assert split_size("patients") == ("patients", 0)
    assert seeded_as("official[patients=50]") == "official"  # networks start alike at all sizes
    assert protocol("official[patients=50]").is_honest
    assert protocol(with_share("official[patients=50]", 0.75)).patients == 50
    assert protocol(with_leaks("official[patients=50,overlap=drop]", ["selection"])).patients == 50
    assert protocol(with_leaks("official[patients=50,overlap=drop]", ["selection"])).overlap == "drop"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("official[patients=0]", "is no number of patients"),
        ("official[patients=-3]", "is no number of patients"),
        ("official[patients=50,train=10/20]", "both say how many"),
        ("patients[patients=50,leak=copies]", "draws after the cut"),
        ("patients[overlap=drop]", "only an official cut"),
        ("official[overlap=keep]", "overlap"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        protocol(text)


def test_pictures_of_the_test_part_can_be_left_out_of_training() -> None:
    samples = patients(40)
    across = Samples(**{**vars(samples), "groups": np.where(samples.groups == "g039", "g000", samples.groups)})
    cut = Cut(0, 1, 0)

    def leaks(text: str) -> frozenset[str]:
        made, watched, tested = protocol(text).arrange(across, cut, lambda train, *held: (TrainingSet(train), *held))
        return frozenset(find_leaks(made.samples, watched, tested))

    assert "same-patient" in leaks("official")
    assert not leaks("official[overlap=drop]")
    assert (
        trained_on("official[overlap=drop]", across, cut)[1].ids.tolist()
        == trained_on("official", across, cut)[1].ids.tolist()
    )


def test_the_plan_leaves_a_size_out_and_counts_the_others() -> None:
    samples = patients(100)  # 70 in the training part
    source = described(samples)
    asked = studies.build(
        {
            "datasets": ["sizes"], "augmenters": ["geometric"], "classifiers": ["small-cnn"], "repeats": 2,
            "protocols": ["official[patients=20]", "official[patients=500]", "official"],
        }
    )  # fmt: skip

    plan = expand(asked, plugins.load(), [source])
    record = json.loads(json.dumps(plan.record()))

    fewer = {"official[patients=20,share=0.75]", "official[share=0.75]"}
    assert {t.protocol for t in plan.trials} == {"official[patients=20]", "official", *fewer}
    assert {y.protocol for y in plan.yardsticks} == {"official[patients=20]", "official"}
    assert [(s.protocol, s.augmenter) for s in plan.skipped] == [("official[patients=500]", "")]
    assert "the training part has 6" in plan.skipped[0].reason
    sizes = {t["protocol"]: t["patients"] for t in record["trained_on"]}
    assert sizes["official[patients=20]"] == 20
    assert sizes["official[patients=20,share=0.75]"] == 15
    assert 60 <= sizes["official"] <= 65  # a tenth of 70 watches


def test_a_huge_matrix_of_sizes_is_counted_before_any_is_drawn() -> None:
    asked = studies.build(
        {"datasets": ["sizes"], "augmenters": ["geometric"], "classifiers": ["small-cnn"], "seeds": 100,
         "protocols": ["official[patients=20]"], "repeats": 1000}
    )  # fmt: skip

    with pytest.raises(UsageError, match="training runs"):
        expand(asked, plugins.load(), [described(patients(20_000))], most=1000)


def test_a_run_without_any_of_its_sizes_says_so() -> None:
    asked = studies.build(
        {"datasets": ["sizes"], "augmenters": ["geometric"], "classifiers": ["small-cnn"],
         "protocols": ["official[patients=500]"]}
    )  # fmt: skip

    with pytest.raises(UsageError, match="nothing is left to run: the training part has 6"):
        expand(asked, plugins.load(), [described(patients(100))])


# -- what a gain is worth ----------------------------------------------------------------------------------------------


@given(
    slope=st.floats(0.01, 0.1),
    start=st.floats(0.4, 0.6),
    own=st.integers(0, 3),
    to=st.floats(50, 1000),
)
@settings(max_examples=100, deadline=None)
def test_on_a_straight_curve_the_worth_is_the_closed_form(slope: float, start: float, own: int, to: float) -> None:
    """Where C(n) = a + b log n, a gain g at n is worth n (exp(g / b) - 1) patients."""
    sizes = (50.0, 100.0, 300.0, 1000.0)
    straight = curve([(n, start + slope * math.log(n)) for n in sizes])
    gain = slope * math.log(to / sizes[own])

    found = worth(straight, sizes[own], gain)

    assert not found.beyond or to in (pytest.approx(50), pytest.approx(1000))
    assert found.patients == pytest.approx(sizes[own] * math.expm1(gain / slope), abs=1e-6 * 1000)


@given(
    values=st.lists(st.floats(0.3, 0.9), min_size=2, max_size=6),
    gains=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
    own=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_a_larger_gain_is_never_worth_less_and_no_gain_nothing(
    values: list[float], gains: tuple[float, float], own: int
) -> None:
    sizes = [50.0 * 2**i for i in range(len(values))]
    measured = curve(list(zip(sizes, values, strict=True)))
    at = sizes[min(own, len(sizes) - 1)]
    less, more = sorted(gains)
    one, other = worth(measured, at, less), worth(measured, at, more)

    assert worth(measured, at, 0.0) == Worth(0.0)
    assert one.patients <= other.patients + 1e-9
    assert sizes[0] - 1e-6 <= at + one.patients <= sizes[-1] + 1e-6  # nothing is read outside
    assert (less > 0) <= (one.patients >= 0)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
@settings(max_examples=100, deadline=None)
def test_the_levelled_curve_is_that_of_scikit_learn(values: list[float]) -> None:
    found = curve([(10.0 * (i + 1), v) for i, v in enumerate(values)])

    expected = IsotonicRegression().fit_transform(np.arange(len(values)), values)
    assert found.values == pytest.approx(expected.tolist(), abs=1e-9)
    assert found.levelled == any(later < earlier for earlier, later in itertools.pairwise(values))


def test_beyond_what_was_run_nothing_is_read() -> None:
    measured = Curve((50.0, 100.0), (0.6, 0.7))

    assert worth(measured, 50.0, 0.2) == Worth(50.0, ">")
    assert worth(measured, 100.0, 0.01) == Worth(0.0, ">")
    assert worth(measured, 100.0, -0.2) == Worth(-50.0, "<")
    assert worth(Curve((50.0, 100.0, 200.0), (0.6, 0.6, 0.7)), 50.0, 0.05).patients == pytest.approx(
        100 * math.sqrt(2) - 50
    )
    with pytest.raises(ValueError, match="not in tuple"):
        worth(measured, 70.0, 0.1)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, ""), (Worth(0.0), "0"), (Worth(31.4), "+31"), (Worth(512.0, ">"), ">+510"),
        (Worth(-49.6, "<"), "<-50"), (Worth(1234.0), "+1200"), (Worth(-0.2), "0"), (Worth(0.0, "<"), "<0"),
    ],
)  # fmt: skip
def test_a_worth_is_written_to_two_digits(found: Worth | None, text: str) -> None:
    assert extra(found) == text


SAME = "no relevant difference"


# -- what is said ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["better", "better", "can't tell", "same"],
         f"better at 50 and 100 patients; inconclusive at 300 patients; {SAME} at 1,000 patients. Up to 100 patients "
         "it helps; from 300 on no gain is seen."),
        (["can't tell"] * 4, "inconclusive at 50, 100, 300 and 1,000 patients."),
        (["better"] * 4, "better at 50, 100, 300 and 1,000 patients. It helps at every size that was tried."),
        (["worse", "same", "better", "better"],
         f"worse at 50 patients; {SAME} at 100 patients; better at 300 and 1,000 patients. From 300 patients on it "
         "helps; up to 100 no gain is seen."),
        (["better", "same", "better", "same"],
         f"better at 50 patients; {SAME} at 100 patients; better at 300 patients; {SAME} at 1,000 patients."),
        (["better", "", "same", "same"], f"better at 50 patients; {SAME} at 300 and 1,000 patients."),
        (["same", "better", "same", "same"],
         f"{SAME} at 50 patients; better at 100 patients; {SAME} at 300 and 1,000 patients."),
    ],
)  # fmt: skip
def test_helping_has_an_end_only_where_words_say_so(words: list[Word], said: str) -> None:
    sizes = [50.0, 100.0, 300.0, 1000.0]

    assert by_size(list(zip(sizes, words, strict=True)), arm="a", control="b") == f"a compared with b: {said}"


def test_without_a_word_nothing_is_said() -> None:
    assert by_size([(50.0, ""), (100.0, "")], arm="a", control="b") == ""


# -- from boards to tables ---------------------------------------------------------------------------------------------

N = 40
LABELS = np.array([0, 1] * (N // 2))
NAMES = np.array([f"p{i:02d}" for i in range(N)])
EVIDENCE = Evidence(1, 3, 3, 3, rare=42, patients=156)
SIZES = (50, 100, 300)


def scores(right: int) -> Any:
    """Return scores of forty patients, half of each class, of whom the first `right` are decided rightly."""
    p = np.eye(2)[np.where(np.arange(N) < right, LABELS, 1 - LABELS)]
    return score({(0, 0, 0): units(Predictions(NAMES, NAMES, LABELS, p), [0.5, 0.5], by_patient=True)}, 2)


def board(size: int, control: int, arm: int, word: Word = "can't tell", **more: Any) -> Board:
    gain = (arm - control) / N
    interval = Interval(gain, 0.01, gain - 0.05, gain + 0.05, gain - 0.04, gain + 0.04, 41, 1e-4, 1e-5, 3, 2.5)
    source = {"dataset": "medmnist", "classes": ["no", "yes"], "class_patients": [20, 20], "data": "0" * 64}
    study = studies.build({"name": "sizes", "protocols": [f"official[patients={n}]" for n in SIZES]})
    values: dict[str, Any] = {"planned": 3, "done": 3, "failed": 0}
    judged = Judged(interval, 0.01, EVIDENCE, Verdict(word, more.get("withheld", "")))
    rows = (
        Row(Arm("balanced", "net", board="net"), 0, (True,), scores=scores(control), **values),
        Row(Arm("geometric", "net", control="balanced", board="net"), 1, (True, True), scores=scores(arm),
            judged=judged, **values),
    )  # fmt: skip
    skipped = (Skipped("medmnist", "", "", "the training part has 562 patients", protocol="official[patients=1000]"),)
    text = f"official[patients={size}]"
    return Board(source, text, (), "net", study, rows, None, skipped, "patient", 2, EVIDENCE, "CPU", trained_on=size)


def grown() -> LearningCurve:
    return find_learning_curves([board(50, 20, 24, "better"), board(100, 24, 26), board(300, 30, 31)])[0]


def test_worths_are_read_off_the_control_s_own_curve() -> None:
    points = grown().arms[0].points

    assert [p.patients for p in points] == [50, 100, 300]
    assert [p.control for p in points] == pytest.approx([0.5, 0.6, 0.75])
    assert [p.arm for p in points] == pytest.approx([0.6, 0.65, 0.775])
    first, second, third = (p.worth for p in points)
    assert first is not None
    assert first.patients == pytest.approx(50)  # the control has .6 at 100
    assert second is not None
    assert second.patients == pytest.approx(100 * (3 ** (1 / 3) - 1))  # a third of the way from log 100 to log 300
    assert third == Worth(0.0, ">")
    assert points[0].low == Worth(pytest.approx(50 * (math.sqrt(2) - 1)))
    assert points[2].low == Worth(pytest.approx(300 * 3 ** (-0.025 / 0.15) - 300))


def test_a_reason_without_a_verdict_names_its_sizes_but_where_it_is_all_of_them() -> None:
    none = {"withheld": "Only 12 patients."}
    some = find_learning_curves([board(50, 20, 24, "", **none), board(100, 24, 26, "", **none), board(300, 30, 31)])
    every = find_learning_curves([board(size, 20, 24, "", **none) for size in SIZES])

    assert "At 50 and 100 patients: Only 12 patients." in list(sentences(some[0]))
    assert "Only 12 patients." in list(sentences(every[0]))


def test_near_copies_among_the_tested_are_counted_each() -> None:
    def united(made: Board) -> Board:
        twins = np.where(NAMES[1] == NAMES, NAMES[0], NAMES)
        rows = (dataclasses.replace(row, scores=dataclasses.replace(row.scores, clusters=twins)) for row in made.rows)
        return dataclasses.replace(made, rows=tuple(rows))  # type: ignore[type-var]

    (growth,) = find_learning_curves([united(board(50, 20, 24)), united(board(100, 24, 26))])
    assert growth.tested == N


def test_a_run_with_one_size_has_no_growth_and_leaky_boards_do_not_count() -> None:
    leaky = Board(**{**vars(board(100, 24, 26)), "leaks": ("selected-on-test",)})

    assert find_learning_curves([board(50, 20, 24)]) == []
    assert find_learning_curves([board(50, 20, 24), leaky]) == []
    assert find_learning_curves([board(50, 20, 24), board(50, 21, 25)]) == []


def test_a_size_that_is_not_done_is_a_row_and_has_no_worth() -> None:
    waiting = board(100, 24, 26)
    judged = Judged(None, float("nan"), EVIDENCE, Verdict("", "1 of 3 training runs done, so no verdict yet."))
    row = Row(waiting.rows[1].arm, 1, (True, True), planned=3, done=1, failed=0, judged=judged)
    unfinished = Board(**{**vars(waiting), "rows": (waiting.rows[0], row)})
    found = find_learning_curves([board(50, 20, 24), unfinished, board(300, 30, 31)])
    text = render(found, "table")

    assert "1 of 3 done" in text
    assert "1 of 3 training runs done, so no verdict yet." in text
    assert found[0].arms[0].points[1].worth is None


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_holds_every_number(form: str) -> None:
    text = render([grown()], form)

    for number in ("50", "100", "300", "60", "+10.0" if form not in ("csv", "json") else "10.0", "better"):
        assert number in text
    if form == "json":
        assert json.loads(text) == list(values(grown()))
    if form == "csv":
        assert [row["worth"] for row in csv.DictReader(io.StringIO(text))] == ["50.0", "44.2", "0.0"]
    if form not in ("csv", "json"):
        said = " ".join(text.split())
        assert "Left out: 1,000 patients; the training part has 562 patients." in said
        assert "not over sizes" in said


def test_the_table_has_80_columns_and_an_ascii_form() -> None:
    text = render([grown()], "table")

    assert max(map(columns, text.splitlines())) <= 80
    assert (
        "rotations, flips, zoom compared with class balancing: better at 50 patients; inconclusive at 100 and 300 "
        "patients."
    ) in " ".join(text.split())
    assert render([grown()], "table", screen=Screen(plain=True)).isascii()
    wide = Board(**{**vars(board(50, 20, 24)), "source": {**board(50, 20, 24).source, "dataset": "胸" * 90}})
    other = Board(**{**vars(board(300, 20, 24)), "source": wide.source})
    assert max(map(columns, render(find_learning_curves([wide, other]), "table").splitlines())) <= 80


def test_a_curve_that_falls_is_levelled_and_the_table_says_so() -> None:
    text = " ".join(
        render(find_learning_curves([board(50, 26, 27), board(100, 24, 26), board(300, 30, 31)]), "table").split()
    )

    assert "Somewhere the curve of class balancing fell with more patients; there it was levelled." in text
    assert "levelled" not in render([grown()], "table")


def test_two_curves_that_would_be_called_alike_are_both_drawn_and_named() -> None:
    def with_copies(size: int, correct: int) -> Board:
        made = board(size, 20, correct)
        judged, values = made.rows[1].judged, {"planned": 3, "done": 3, "failed": 0}
        pairs = (("acgan", "copies"), ("hybrid", "hybrid[generator=resample]"))
        rows = [Row(Arm(control, "net", board="net"), 0, (True,), scores=scores(correct + n), **values)
                for n, (_, control) in enumerate(pairs)]  # fmt: skip
        rows += [Row(Arm(name, "net", control=control, board="net"), 1, (True, True), scores=scores(correct),
                     judged=judged, **values) for name, control in pairs]  # fmt: skip
        return dataclasses.replace(made, rows=tuple(rows))

    growth = find_learning_curves([with_copies(50, 30), with_copies(100, 26), with_copies(300, 34)])[0]
    curves = [axes for axes in figure.draw(growth).axes if axes.get_title(loc="left").startswith("the methods above")]

    assert [line.get_label() for line in curves[0].lines] == ["hybrid: copied images", "copied images"]
    assert "curve of copied images; hybrid: copied images fell" in " ".join(sentences(growth))


@pytest.mark.parametrize("form", style.FORMATS)
def test_the_figure_is_the_same_bytes_again(form: str) -> None:
    first, second = (style.written(figure.draw(grown()), form) for _ in range(2))

    assert first == second
    if form == "svg":
        assert b"rotations, flips, zoom" in first
        assert b"&gt;0" in first


def test_the_command_says_where_there_is_nothing_to_print(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    asked = studies.build({"name": "one", "datasets": ["sizes"], "augmenters": ["geometric"], "yardsticks": False,
                           "classifiers": ["small-cnn"], "protocols": ["official[patients=20]"]})  # fmt: skip
    plan = expand(asked, plugins.load(), [described(patients(100))])
    (store.root / ".plans").mkdir()
    (store.root / ".plans" / "one-00000000.json").write_text(json.dumps(plan.record()))
    ask = ["one", "--results", str(store.root)]

    one = CliRunner().invoke(leaderboard, [*ask, "--table", "growth"])
    both = CliRunner().invoke(leaderboard, [*ask, "--growth", "--inflation"])
    bare = CliRunner().invoke(leaderboard, [*ask, "--plot", "x.svg"])

    assert isinstance(one.exception, UsageError)
    assert "trains on one size only" in str(one.exception)
    assert "give one --table" in str(both.exception)
    assert "add --table inflation or growth" in str(bare.exception)


def test_the_command_prints_and_draws_what_is_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    asked = studies.build({"name": "sizes", "datasets": ["sizes"], "augmenters": ["geometric"], "yardsticks": False,
                           "classifiers": ["small-cnn"],
                           "protocols": ["official[patients=20]", "official[patients=40]"]})  # fmt: skip
    plan = expand(asked, plugins.load(), [described(patients(100))])
    (store.root / ".plans").mkdir()
    (store.root / ".plans" / "sizes-00000000.json").write_text(json.dumps(plan.record()))

    said = CliRunner().invoke(
        leaderboard, ["sizes", "--results", str(store.root), "--table", "growth", "--plot", str(tmp_path / "g.png")]
    )

    assert said.exit_code == 0, said.output
    assert "rotations, flips, zoom, compared with class balancing" in said.output
    assert said.output.count("0 of 3 done") == 2
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    assert [b.trained_on for b in boards(store, plan.record())] == [20, 40]


@pytest.mark.parametrize(
    ("more", "datasets"),
    [
        ([], ["medmnist"]),
        (["--phantom"], ["vindr-spinexr:abnormal"]),
        (["--phantom", "-d", "ddti"], ["ddti"]),
        (["-d", "medmnist[flag=pneumoniamnist]"], ["medmnist[flag=pneumoniamnist]"]),
    ],
)
def test_a_study_says_what_is_drawn_where_its_own_data_cannot_be(more: list[str], datasets: list[str]) -> None:
    @click.command()
    @study_options
    def show(**options: Any) -> None:
        click.echo(json.dumps(read_request(**options).study.datasets))

    said = CliRunner().invoke(show, ["small-data", *more])

    assert json.loads(said.output) == datasets


def test_the_study_trains_on_four_sizes_and_all_and_draws_what_can_be_drawn() -> None:
    catalogue = plugins.load()
    asked = studies.read(catalogue.registered("study", "small-data"))

    assert [split_size(text)[1] for text in asked.protocols] == [50, 100, 300, 1000, 0]
    assert len({split_size(text)[0] for text in asked.protocols}) == 1
    assert asked.repeats >= 3  # what a verdict of an official cut takes
    assert asked.phantom.datasets == ["vindr-spinexr:abnormal"]
    for text in (*asked.datasets, *asked.phantom.datasets):
        catalogue.resolve("dataset", text)
    assert asked.smoke is not None
    assert asked.smoke.controls  # without them nothing is gained over anything
