"""Two arms against each other: whose range it is, what is said beside it, and what the command refuses."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from _synthetic_store import SKILL, SyntheticRun
from medbench.analyses.compare import ArmPair, compare, compare_all
from medbench.boards.board import Row
from medbench.cli.compare import compare as command
from medbench.errors import UsageError
from medbench.statistics.auroc_interval import auroc_interval
from medbench.statistics.cross_checks import corrected_t, fold_gains
from medbench.statistics.gain_intervals import intervals
from medbench.statistics.patient_scores import score
from medbench.store.predictions import PredictionReader
from medbench.store.trial_files import read_predictions
from medbench.tables.compare import render, render_gains, values
from medbench.tables.document import FORMATS
from medbench.text import columns

Compare = Callable[..., Result]
BREAK = r"\allowbreak{}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    filled = SyntheticRun(tmp_path_factory.mktemp("full")).fill()
    filled.save()
    return filled


@pytest.fixture
def asked(run: SyntheticRun) -> Compare:
    def call(*words: object, results: Path = run.root) -> Result:
        return CliRunner().invoke(command, [*map(str, words), "--results", str(results)], standalone_mode=False)

    return call


def one(run: SyntheticRun, a: str, b: str, *, in_detail: bool = False) -> ArmPair:
    (found,) = compare(run.store, run.record(), a, b, in_detail=in_detail)
    return found


def rows(run: SyntheticRun) -> dict[str, Row]:
    (board,) = run.boards()
    return {row.arm.augmenter: row for row in board.rows}


def test_what_waits_for_the_primary_comparison_has_no_word_either_way_round(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, primary="hybrid").fill()

    assert one(run, "hybrid", "geometric").judged.verdict.word == "can't tell"
    for pair in (("geometric", "balanced"), ("balanced", "geometric")):
        verdict = one(run, *pair).judged.verdict
        assert verdict.word == ""
        assert "only once the primary comparison is decided" in verdict.withheld


def test_an_arm_over_its_own_control_has_the_range_and_word_of_the_board(run: SyntheticRun) -> None:
    found, on_board = one(run, "hybrid", "geometric"), rows(run)["hybrid"].judged

    assert on_board is not None
    assert found.judged == on_board


def test_the_other_way_round_is_the_mirror_image(run: SyntheticRun) -> None:
    for a, b in (("hybrid", "geometric"), ("hybrid", "mixup")):
        there, back = one(run, a, b).judged, one(run, b, a).judged
        assert there.gain is not None
        assert back.gain is not None
        assert (there.gain.value, there.gain.low, there.gain.high) == pytest.approx(
            (-back.gain.value, -back.gain.high, -back.gain.low)
        )
        assert there.auroc == pytest.approx(-back.auroc)
    assert (one(run, "geometric", "mixup").judged.verdict.word, one(run, "mixup", "geometric").judged.verdict.word) == (
        "better", "worse",
    )  # fmt: skip


def test_another_pair_is_one_more_comparison_of_the_family(run: SyntheticRun) -> None:
    found, on_board = one(run, "hybrid", "mixup").judged.gain, rows(run)
    scores = {name: row.scores for name, row in on_board.items()}
    a, b = scores["hybrid"], scores["mixup"]

    assert found is not None
    assert a is not None
    assert b is not None
    d = (a.correct - b.correct).mean(0)
    assert found.value == pytest.approx(np.mean([d[a.labels == k].mean() for k in (0, 1)]))
    alone = intervals({"it": (a, b)}, folds=5)["it"]
    assert found.standard_error == pytest.approx(alone.standard_error)
    assert (found.comparisons, alone.comparisons) == (4, 1)
    for row in on_board.values():
        assert row.gain is None or found.critical >= row.gain.critical > alone.critical


def test_what_was_scored_before_widens_the_range_of_any_pair(tmp_path: Path) -> None:
    few = SyntheticRun(tmp_path / "few").fill()
    many = SyntheticRun(tmp_path / "many").fill()
    for steps in range(30):
        many.fill({f"hybrid[steps={steps}]": 0.5}, left_out={f"hybrid[steps={steps}]": many.cells[1:]})

    narrow, wide = (one(run, "hybrid", "mixup").judged.gain for run in (few, many))
    assert narrow is not None
    assert wide is not None
    assert (narrow.comparisons, wide.comparisons) == (4, 34)
    assert wide.critical > narrow.critical
    (board,) = many.boards()
    assert (board.unseen, board.looks) == (30, 34)


def test_auroc_and_details_are_those_of_the_cells(run: SyntheticRun) -> None:
    found = one(run, "hybrid", "mixup", in_detail=True)
    cells = found.arm.cells, found.other.cells
    expected = auroc_interval(*(score(of_arm, 2) for of_arm in cells), folds=5)

    assert found.auroc == expected
    assert expected is not None
    assert found.judged.auroc == pytest.approx(expected.value)
    d = found.details
    assert d is not None
    assert set(cells[0]) == set(run.cells)
    assert d.corrected == corrected_t(fold_gains(*cells, 2), ratio=d.ratio, worth=0.02)
    assert d.ratio == pytest.approx(18 / 65, abs=0.01)  # 90 patients, 18 tested, nine tenths of the rest trained on
    gain = found.judged.gain
    assert gain is not None
    assert np.mean(d.by_repeat) == pytest.approx(gain.value)
    differ = [np.mean(u.probabilities.argmax(1) != cells[1][c].probabilities.argmax(1)) for c, u in cells[0].items()]
    assert d.disagree == pytest.approx(np.mean(differ))
    assert 0.1 < d.overlap < 0.3  # a fifth by chance
    assert (d.spread.folds, d.spread.generators, d.spread.seeds, d.together) == (None, None, None, False)


def test_seeds_show_their_spread_only_where_they_are_drawn_apart(tmp_path: Path) -> None:
    pixels = SyntheticRun(tmp_path / "a", seeds=3, tree={"balanced": "", "hybrid": "balanced"}).fill(
        {"balanced": 0.6, "hybrid": 0.7}
    )
    fitted = SyntheticRun(tmp_path / "b", seeds=3, tree={"balanced": "", "hybrid": "balanced"}).fill(
        {"balanced": 0.6, "hybrid": 0.7}, stages={"k" * 64: "s"}
    )
    apart, together = (one(r, "hybrid", "balanced", in_detail=True).details for r in (pixels, fitted))

    assert apart is not None
    assert together is not None
    assert apart.spread.seeds is not None
    assert apart.spread.folds is not None
    assert (together.spread.seeds, together.spread.generators, together.together) == (None, None, True)


def test_without_the_size_of_training_sets_the_corrected_t_says_nothing(run: SyntheticRun, tmp_path: Path) -> None:
    found = one(run, "hybrid", "mixup", in_detail=True)
    official = SyntheticRun(tmp_path, protocols=["official"]).fill()

    d = one(official, "hybrid", "mixup", in_detail=True).details
    assert found.details is not None
    assert found.details.corrected is not None
    assert d is not None
    assert (d.corrected, np.isnan(d.overlap)) == (None, True)
    text = render(compare(official.store, official.record(), "hybrid", "mixup", in_detail=True), "table")
    assert "says nothing here: one test part for all repeats" in " ".join(text.split())
    assert "tested together" not in text


def test_incomplete_arms_have_no_gain_and_no_verdict(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path).fill(left_out={"hybrid": [(0, 0, 0), (1, 2, 0), (2, 4, 0)]})
    found = one(run, "hybrid", "mixup")

    assert found.judged.gain is None
    assert found.auroc is None
    assert found.cost_ratio is None
    assert found.judged.verdict.withheld == "12 of 15 training runs done, so no verdict yet."
    text = render([found], "table")
    assert "12 of 15 training runs done, so no verdict yet." in text
    assert "12 of 15 done" in text
    assert one(run, "geometric", "mixup").judged.verdict.word == "better"


def test_a_failed_cell_counts_with_its_controls_predictions_and_many_withhold_the_word(tmp_path: Path) -> None:
    every_cell = SyntheticRun(tmp_path / "x").cells
    run = SyntheticRun(tmp_path).fill({**SKILL, "mixup": 0.6}, failed={"mixup": every_cell[:14]})
    found = one(run, "mixup", "hybrid").judged
    near = one(run, "mixup", "balanced").judged

    assert found.evidence.failures == "14 of 15 diverged"
    assert found.gain is not None
    assert {found.verdict.withheld, near.verdict.withheld} == {
        "14 of 15 diverged, more than one training run in 10, so no verdict."
    }
    assert "mixup: 14 of 15 diverged, counted with the predictions of the method above it." in " ".join(
        render([one(run, "mixup", "hybrid")], "table").split()
    )


def test_a_root_that_failed_has_nothing_to_stand_in(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path).fill(failed={"balanced": [(0, 0, 0)]})
    found = one(run, "hybrid", "balanced").judged

    assert found.gain is None
    assert found.verdict.withheld == ("class balancing: 1 of 15 diverged and no other method stands in, so no verdict.")


def test_a_leaky_protocol_gives_numbers_and_never_a_word(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, protocols=["images"]).fill()
    found = one(run, "hybrid", "mixup", in_detail=True)

    assert found.judged.gain is not None
    assert found.judged.verdict.word == ""
    assert found.details is not None
    assert found.details.corrected is None
    assert values(found)["verdict"] is None
    for form in ("table", "md", "latex"):
        text = " ".join(render([found], form).split())
        assert "better" not in text.replace("better / within", "")
        assert "Leaky protocol, so no verdict: images of one patient in training and test." in text.replace(BREAK, "")


def test_every_board_where_both_stand_is_compared(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, datasets=("ddti", "x"), networks=("a", "b")).fill()
    record = run.record()
    record["arms"]["x"] = [arm for arm in record["arms"]["x"] if arm["augmenter"] != "mixup"]

    found = compare(run.store, record, "hybrid", "mixup")
    named = compare(run.store, run.record(), "hybrid / b", "geometric / b")
    assert [(v.board.source["dataset"], v.board.classifier) for v in found] == [("ddti", "a"), ("ddti", "b")]
    assert [(v.board.source["dataset"], v.board.classifier) for v in named] == [("ddti", "b"), ("x", "b")]


def test_names_are_those_of_tables_too(tmp_path: Path) -> None:
    tree = {"balanced": "", "hybrid[generator=reacgan]": "balanced"}
    run = SyntheticRun(tmp_path, tree=tree).fill({"balanced": 0.6, "hybrid[generator=reacgan]": 0.8})

    for name in ("hybrid[generator=reacgan]", "hybrid (reacgan)", "hybrid (reacgan) / net"):
        assert one(run, name, "balanced").arm.arm.augmenter == "hybrid[generator=reacgan]"
    with pytest.raises(UsageError, match=r"called 'hybird'.*there are: balanced, hybrid\[generator=reacgan\]\."):
        one(run, "hybird", "balanced")


def test_only_asked_cells_stay_in_memory(run: SyntheticRun) -> None:
    (board,) = run.boards(keep=[("hybrid", "net")])

    assert {row.arm.augmenter: len(row.cells) for row in board.rows if row.cells} == {"hybrid": 15}


def test_many_predictions_are_read_as_one_by_one(run: SyntheticRun) -> None:
    rows = list(run.store.rows("ddti"))
    reader = PredictionReader()
    together = reader.read(rows)

    assert len(together) == len(rows) == 60
    for row, found in zip(rows, together, strict=True):
        alone = read_predictions(row)
        for field in dataclasses.fields(alone):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(alone, field.name))
    assert all(one.patients is other.patients for one, other in zip(reader.read(rows), together, strict=True))
    assert reader.read([]) == []


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_table_fits_and_says_gain_range_word_cost_and_looks(asked: Compare) -> None:
    text = asked("geometric", "balanced", "--details").output

    assert max(map(columns, text.splitlines())) <= 80
    answer = "points for rotations, flips, zoom compared with class balancing (95 % CI +"
    for part in (answer, "balanced accuracy", "AUROC", "time alone", "1 times", "verdict",
                 "4 methods were tried on these splits so far.", "P by this test", "Nadeau and Bengio"):  # fmt: skip
        assert part in " ".join(text.split()), part
    assert "P by this test" not in asked("geometric", "balanced").output
    assert asked("geometric", "balanced", "--details", "--plain").output.isascii()


@pytest.mark.parametrize("form", FORMATS)
def test_all_formats_hold_the_numbers_of_the_table(asked: Compare, run: SyntheticRun, form: str) -> None:
    text = asked("hybrid", "mixup", "--format", form).output
    row = values(one(run, "hybrid", "mixup"))

    if form == "json":
        assert json.loads(text) == [row]
    elif form == "csv":
        (listed,) = csv.DictReader(io.StringIO(text))
        assert (listed["gain"], listed["verdict"]) == (str(row["gain"]), row["verdict"])
    elif form != "table":
        assert str(row["gain"]) in text
        assert str(row["auroc_gain_high"]) in text
    else:
        assert f"{row['gain']:+.1f}" in text


@pytest.mark.parametrize("form", FORMATS)
def test_without_names_every_gain_over_its_own_control_is_shown(asked: Compare, run: SyntheticRun, form: str) -> None:
    text = asked("--format", form).output

    is_for_programs = form in ("csv", "json")
    for recipe, name in (("geometric", "rotations, flips, zoom"), ("hybrid", "hybrid: AC-GAN images")):
        assert (recipe if is_for_programs else name) in text.replace(BREAK, "")
    if form == "json":
        found = {row["arm"]: (row["over"], row["gain"], row["gain_low"]) for row in json.loads(text)}
        assert found == {
            name: (row.arm.control, round(100 * row.gain.value, 2), round(100 * row.gain.low, 2))
            for name, row in rows(run).items()
            if row.gain
        }
    if form == "table":
        assert max(map(columns, text.splitlines())) <= 80
        names = ("class balancing", "rotations, flips, zoom", "hybrid: AC-GAN images", "mixup")
        stems = (" ", " ├ ", " │ └ ", " └ ")
        lines = [line for line in text.splitlines() if line.startswith(stems) and any(name in line for name in names)]
        tree = [line for line in lines if "compared with" not in line]
        assert [line.startswith(f"{stem}{name}") for stem, name, line in zip(stems, names, tree, strict=True)] == [
            True
        ] * 4


def test_nothing_compared_is_said_and_not_drawn(tmp_path: Path, asked: Compare) -> None:
    run = SyntheticRun(tmp_path, tree={"balanced": ""}).fill({"balanced": 0.6})

    assert compare_all(run.boards()) == []
    assert "Nothing is compared yet" in render_gains(run.boards(), "table")
    drawn = asked("--plot", tmp_path / "x.svg", results=run.save())
    assert isinstance(drawn.exception, UsageError)
    assert not (tmp_path / "x.svg").exists()


def test_a_figure_is_written_in_each_format(asked: Compare, tmp_path: Path) -> None:
    for name, start in (("a.svg", b"<?xml"), ("b.png", b"\x89PNG"), ("c.pdf", b"%PDF")):
        done = asked("--plot", tmp_path / name)
        assert done.exception is None
        assert (tmp_path / name).read_bytes().startswith(start)
    asked("hybrid", "mixup", "--plot", tmp_path / "two.svg")
    drawn = (tmp_path / "two.svg").read_text()
    assert "; compared with mixup<" in drawn
    assert ">hybrid: AC-GAN images<" in drawn


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("hybrid",), "hybrid with what? Give two methods"),
        (("hybrid", "hybrid"), "both names mean hybrid / net; give two different arms."),
        (
            ("hybird", "mixup"),
            "no method of synthetic is called 'hybird' (did you mean 'hybrid'?); there are: balanced, ",
        ),
        (("hybrid / nte", "mixup"), "no method of synthetic is called 'hybrid / nte' (did you mean 'hybrid / net'?)"),
        (("--details",), "--details belongs to two methods"),
        (("hybrid", "mixup", "--plot", "gains.gif"), "gains.gif: a figure is written as svg, png, pdf"),
        (("hybrid", "mixup", "--study", "other"), "no run of other here; there are: synthetic."),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(asked: Compare, words: tuple[str, ...], says: str) -> None:
    error = asked(*words).exception

    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert says in str(error)
    assert "\n" not in str(error)


def test_arms_that_share_no_board_are_refused(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, networks=("a", "b")).fill()

    with pytest.raises(UsageError, match="stand on no board together"):
        compare(run.store, run.record(), "hybrid / a", "mixup / b")


def test_a_store_without_runs_is_named(tmp_path: Path, asked: Compare) -> None:
    error = asked("a", "b", results=tmp_path / "nowhere").exception

    assert "no results here yet" in str(error)
    assert os.listdir(tmp_path) == []
