"""Published figures beside a rerun: what is matched, what is measured, what every table says."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from medbench.analyses.published_figures import Comparison, compare, is_about, measure
from medbench.boards.board import Board, Row
from medbench.boards.gains import Judged
from medbench.errors import UsageError
from medbench.planning import study as studies
from medbench.planning.arms import Arm
from medbench.planning.study import Study
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.patient_scores import ArmScores, score
from medbench.statistics.pool_images_by_patient import units
from medbench.statistics.verdicts import Evidence, Verdict
from medbench.tables.document import FORMATS
from medbench.tables.published_figures import CAVEAT, render
from medbench.tables.writers.terminal import Screen
from medbench.text import columns
from medbench.trial.trial import Predictions

SEEDS = st.integers(0, 2**32)
LABELS = np.array([0] * 6 + [1] * 2)
NAMES = np.array([f"p{i}" for i in range(8)])


def scores(right: str = "11111111") -> ArmScores:
    """Return scores of eight patients with one image each; a 0 is a wrong decision."""
    good = np.array([c == "1" for c in right])
    p = np.eye(2)[np.where(good, LABELS, 1 - LABELS)]
    return score({(0, 0, 0): units(Predictions(NAMES, NAMES, LABELS, p), [0.5, 0.5], by_patient=True)}, 2)


def row(augmenter: str, classifier: str = "net", **more: Any) -> Row:
    values: dict[str, Any] = {"planned": 4, "done": 4, "failed": 0, "scores": scores(), **more}
    return Row(Arm(augmenter, classifier), 0, (True,), **values)


def board(asked: Study, protocol: str, *rows: Row, dataset: str = "phantom:ddti", plain: Row | None = None) -> Board:
    source = {
        "dataset": dataset, "classes": ["no", "HGG"], "class_patients": [6, 2], "patients": 8, "images": 8,
        "unit": "patient", "notes": [],
    }  # fmt: skip
    evidence = Evidence(2, 1, 2, 2, rare=2, patients=8)
    return Board(source, protocol, (), "net", asked, rows, plain, (), "patient", 1, evidence, "CPU")


def published(**more: Any) -> dict[str, Any]:
    return {"arm": "wgan", "classifier": "net", "metric": "accuracy", "value": 0.97, "source": "a paper", **more}


def asked(*figures: dict[str, Any], **more: Any) -> Study:
    values = {"name": "rerun", "datasets": ["ddti"], "protocols": ["augment-first", "patients"], **more}
    return studies.build({**values, "published": list(figures)})


def compared(*figures: dict[str, Any], own: Row | None = None, honest: Row | None = None) -> Comparison:
    a = asked(*(figures or (published(),)))
    return compare([
        board(a, "augment-first", own or row("wgan")),
        board(a, "patients", honest or row("wgan", scores=scores("11111100"))),
    ])  # fmt: skip


def test_a_score_stands_beside_that_of_real_images_at_equal_numbers() -> None:
    figures = [published(metric=metric, value=value, classifier="") for metric, value in
               (("inception-score", 1.1263), ("inception-score-floor", 1.4298))]  # fmt: skip
    made = row("wgan", scores_of_made={"inception-score": 1.0876, "inception-score-floor": 1.9545})
    text = render(compared(*figures, own=made, honest=made), "table")

    assert "inception-score" not in text
    assert " ".join(text.split()).count("inception score, real images 1.4298 1.954") == 1
    assert (
        "Inception score of WGAN images, at equal numbers: 1.09, and 1.95 of real images; published 1.1263 and 1.4298."
    ) in " ".join(text.split())
    assert "at equal numbers:" not in render(compared(*figures), "table")


def test_failed_cells_of_an_arm_are_said_beside_its_figures() -> None:
    found = compared(honest=row("wgan", planned=15, done=13, failed=2, kinds=("diverged",)))

    assert found.lines[0].honest.failed == "2 of 15 diverged"
    assert found.lines[0].rerun.failed == ""
    text = " ".join(render(found, "table").split())
    assert (
        "honest: WGAN images with net: 2 of 15 diverged, counted with the predictions of the method above it." in text
    )


# -- what is counted ---------------------------------------------------------------------------------------------------


@given(seed=SEEDS, n=st.integers(4, 80), k=st.integers(2, 4), by_patient=st.booleans())
@settings(max_examples=60, deadline=None)
def test_accuracy_counts_images_by_argmax_as_scikit_learn_does(seed: int, n: int, k: int, by_patient: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, k, n))
    patients = np.array([f"p{label}-{i // 3}" for i, label in enumerate(labels)])
    p = rng.dirichlet(np.ones(k), n)
    frequencies = rng.dirichlet(np.ones(k))  # a correction moves decisions; accuracy is of what was predicted
    folds = np.array([hash_of(name) % 2 for name in patients])
    cells = {
        (0, f, 0): units(Predictions(ids(n)[folds == f], patients[folds == f], labels[folds == f], p[folds == f]),
                         frequencies, by_patient=by_patient)
        for f in (0, 1) if (folds == f).any()
    }  # fmt: skip
    found = score(cells, k)

    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, p.argmax(1)))
    np.testing.assert_array_equal(found.decisions, metrics.confusion_matrix(labels, p.argmax(1), labels=range(k)))


def hash_of(text: str) -> int:
    return sum(text.encode())


def ids(n: int) -> np.ndarray:
    return np.array([f"i{i:03d}" for i in range(n)])


def test_seeds_and_repeats_are_averaged() -> None:
    cells = {}
    for repeat, seed, wrong in ((0, 0, 0), (0, 1, 2), (1, 0, 4), (1, 1, 6)):
        p = np.eye(2)[np.where(np.arange(8) < wrong, 1 - LABELS, LABELS)]
        cells[repeat, 0, seed] = units(Predictions(NAMES, NAMES, LABELS, p), [0.5, 0.5], by_patient=False)

    assert score(cells, 2).accuracy == pytest.approx(1 - (0 + 2 + 4 + 6) / 4 / 8)
    assert score(cells, 2).decisions.sum() == 8


def test_scores_without_images_have_no_accuracy() -> None:
    assert np.isnan(dataclasses.replace(scores(), decisions=np.zeros((0, 0))).accuracy)


def test_measures_are_the_study_s_own() -> None:
    found = row("wgan", scores=scores("11111001"))
    where = board(asked(published()), "patients", found)

    assert measure("accuracy", where, found) == pytest.approx(6 / 8)
    assert measure("recall-HGG", where, found) == pytest.approx(1 / 2)
    assert measure("recall-hgg", where, found) == pytest.approx(1 / 2)
    assert measure("recall-no", where, found) == pytest.approx(5 / 6)
    assert measure("balanced-accuracy", where, found) == pytest.approx((1 / 2 + 5 / 6) / 2)
    assert measure("recall-LGG", where, found) is None
    assert measure("inception-score", where, found) is None
    assert measure("accuracy", where, row("wgan", scores=None)) is None


def test_scores_of_made_rows_stand_beside_published_ones() -> None:
    found = row("dcgan", scores_of_made={"kid": 0.25, "kid-floor": 0.01})
    a = asked(published(arm="dcgan", classifier="", metric="kid", value=0.5))
    (line,) = compare([board(a, "patients", found)]).lines

    assert line.honest.value == 0.25
    assert line.gain is None  # it is no classifier's figure
    assert line.inflation is None
    assert measure("kid-floor", board(a, "patients", found), found) == 0.01


# -- what is matched ---------------------------------------------------------------------------------------------------


def test_three_columns_hold_the_leaky_and_the_honest_protocol() -> None:
    (line,) = compared().lines

    assert line.published.value == 0.97
    assert line.rerun.value == 1.0
    assert line.honest.value == pytest.approx(6 / 8)
    assert line.honest.balanced == pytest.approx((6 / 6 + 0 / 2) / 2)
    assert line.inflation == pytest.approx(1 - 1 / 2)  # of balanced accuracy: both of the rare class were missed
    assert (line.rerun.constant, line.honest.constant) == (6 / 8, 6 / 8)
    assert line.is_control


def test_the_gain_is_the_honest_boards_over_the_arms_own_control() -> None:
    gain = Interval(0.031, 0.02, -0.017, 0.081, -0.01, 0.07, 30, 1e-4, 1e-5, 3, 2.5)
    evidence = Evidence(5, 3, 4, 4, rare=40, patients=100)
    honest = row("wgan", judged=Judged(gain, 0.01, evidence, Verdict("can't tell")))
    honest = dataclasses.replace(honest, arm=Arm("wgan", "net", control="copies"))
    found = compared(honest=honest)

    assert found.lines[0].gain == gain
    assert not found.lines[0].is_control
    assert "+3.1 (-1.7 to +8.1)" in render(found, "table")
    assert json.loads(render(found, "json"))[0]["verdict"] == "can't tell"


def test_the_order_of_protocols_does_not_say_which_is_honest() -> None:
    a = asked(published(), protocols=["patients", "select-on-test"])
    found = compare([board(a, "patients", row("wgan")), board(a, "select-on-test", row("wgan"))])

    assert (found.own, found.honest) == ("select-on-test", "patients")


@pytest.mark.parametrize("missing", ["augment-first", "patients"])
def test_a_protocol_that_was_not_asked_for_leaves_its_column_empty(missing: str) -> None:
    left = next(p for p in ("augment-first", "patients") if p != missing)
    a = asked(published(), protocols=[left])
    (line,) = compare([board(a, left, row("wgan"))]).lines

    assert (line.rerun.why, line.honest.why) == (("not run", "") if missing == "augment-first" else ("", "not run"))


def test_the_plain_arm_counts_too() -> None:
    a = asked(published(arm="none"))
    (line,) = compare([board(a, "patients", row("balanced"), plain=row("none"))]).lines

    assert line.honest.value == 1.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"scores": None, "done": 1}, "1 of 4"),
        ({"scores": None, "done": 0, "failed": 4}, "failed"),
        ({"scores": None, "done": 0, "skipped": 4}, "skipped"),
    ],
)
def test_a_row_without_a_number_says_why(change: dict[str, Any], why: str) -> None:
    (line,) = compared(honest=row("wgan", **change)).lines

    assert (line.honest.value, line.honest.why) == (None, why)
    assert (line.gain, line.inflation) == (None, None)
    assert why in render(compared(honest=row("wgan", **change)), "table")


def test_what_was_run_with_other_parameters_is_named() -> None:
    figures = published(), published(metric="recall-HGG")
    found = compared(*figures, own=row("wgan[ratio=2]", "net"), honest=row("wgan", "net[head=narrow]"))
    text = " ".join(render(found, "table").split())

    assert found.lines[0].rerun.value == 1.0
    assert text.count("rerun: WGAN images was run as WGAN images (ratio=2).") == 1
    assert text.count("honest: net was run as net (head=narrow).") == 1


def test_a_row_that_another_figure_is_about_stands_for_no_other() -> None:
    figures = published(arm="changed[changes=hflip]"), published(arm="changed[changes=shear]")
    (first, second) = compared(*figures, honest=row("changed[changes=shear]")).lines

    assert (first.honest.why, second.honest.value) == ("not run", 1.0)


def test_two_rows_of_one_name_are_not_guessed_between() -> None:
    a = asked(published())
    (line,) = compare([board(a, "patients", row("wgan[ratio=2]"), row("wgan[ratio=3]"))]).lines

    assert line.honest.why == "not run"


def test_a_figure_with_parameters_matches_only_itself() -> None:
    (line,) = compared(published(arm="wgan[ratio=2]")).lines

    assert (line.rerun.why, line.honest.why) == ("not run", "not run")


def test_parameters_inside_a_recipe_that_a_figure_names_do_not_hide_its_row() -> None:
    """`pretrained-on` without and with another augmenter are two arms; the head of its network makes no third."""
    a = asked(published(classifier="pre[net=vgg]"), published(classifier="pre[net=vgg,on=mura]"))
    rows = row("wgan", "pre[net=vgg[head=narrow]]"), row("wgan", "pre[net=vgg[head=narrow],on=mura]")
    found = compare([board(a, "patients", *rows)])

    assert [line.honest.ran[1] for line in found.lines] == [r.arm.classifier for r in rows]


def test_a_network_of_another_width_stands_for_that_of_a_figure_and_one_without_its_source_does_not() -> None:
    a = asked(published(classifier="unet[width=64,source=brats[slices=50]]"))
    rows = row("wgan", "unet[width=8,source=brats[slices=2]]"), row("wgan", "unet[width=64]")
    found = compare([board(a, "patients", *rows)])

    assert [line.honest.ran[1] for line in found.lines] == ["unet[width=8,source=brats[slices=2]]"]


@pytest.mark.parametrize(
    ("asked_of", "run_on", "is_its_own"),
    [
        ("slices[modalities=flair]", "phantom:slices[modalities=flair,slices=50]", True),
        ("slices[modalities=flair]", "slices[modalities=t1ce]", False),
        ("slices[modalities=flair]", "slices", False),
        ("slices", "slices[modalities=t1ce]", True),
        ("", "slices", True),
    ],
)
def test_a_figure_stands_beside_data_with_all_the_parameters_that_it_names(
    asked_of: str, run_on: str, is_its_own: bool
) -> None:
    [figure] = asked(published(dataset=asked_of)).published

    assert is_about(figure, {"dataset": run_on, "classes": ["a", "b"]}) is is_its_own


def test_a_figure_of_another_data_set_is_left_out() -> None:
    assert not compared(published(dataset="vindr")).lines
    assert compared(published(dataset="ddti")).lines
    assert "about these data" in render(compared(published(dataset="vindr")), "table")


def test_a_study_without_published_figures_is_told_so() -> None:
    with pytest.raises(UsageError, match="published"):
        compare([board(asked(), "patients", row("wgan"))])


# -- what a study's file may say ---------------------------------------------------------------------------------------

ONE = '[[published]]\narm = "none"\nmetric = "accuracy"\nsource = "x"\nvalue = 0.7\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ONE + ONE.replace("0.7", "70"), ":6:3: published: accuracy is a share from 0 to 1, got 70"),
        (ONE + ONE.replace("value", "vlaue"), ":10:1: unknown key 'published.vlaue' (did you mean 'value'?)"),
        (ONE + "[[published]]\narm = 'x'\nmetric = 'm'\n", ":6:3: published.source is missing"),
        (ONE.replace("0.7", "'a'"), ":5:1: published.value = 'a' (str): input should be a valid number"),
        (ONE.replace("0.7", "nan"), ":5:1: published.value = nan"),
        ("published = 3\n", ":1:1: published is a list of tables; write [[published]]"),
        ("[published]\narm = 'x'\n", ":1:2: published is a list of tables"),
        (ONE + "[budget]\nstps = 1\n", ":7:1: unknown key 'budget.stps'"),
    ],
)
def test_a_fault_of_a_published_table_names_line_and_key(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        studies.read(tmp_path / "s.toml")

    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_study_written_and_read_is_the_same(tmp_path: Path) -> None:
    before = asked(published(), published(value=None, note='"quoted"\nlines', metric="inception-score"))
    (tmp_path / "s.toml").write_text(studies.to_toml(before))

    assert studies.read(tmp_path / "s.toml") == before


def test_a_score_may_be_above_one() -> None:
    assert asked(published(metric="inception-score", value=1.4)).published[0].value == 1.4


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_table_says_whose_figures_these_are(form: str) -> None:
    text = " ".join(render(compared(), form).split())

    assert CAVEAT.split(":")[0] in text.replace("\\", "")
    assert "97" in text
    assert "a paper" in text


def test_drawn_images_are_named_and_real_ones_are_not() -> None:
    a = asked(published())
    drawn = render(compare([board(a, "patients", row("wgan"))]), "table")
    real = render(compare([board(a, "patients", row("wgan"), dataset="ddti")]), "table")

    assert "Synthetic test images: the result says nothing about patients." in " ".join(drawn.split())
    assert "SYNTHETIC images" in drawn
    assert "synthetic" not in real.lower()


def test_what_was_not_found_and_what_was_not_computed_are_said() -> None:
    text = render(compared(published(value=None), published(metric="inception-score", value=1.4298)), "table")

    assert "not found" in text
    assert "not computed" in text
    assert "1.4298" in text


@pytest.mark.parametrize("form", FORMATS)
def test_a_figure_is_quoted_with_all_its_digits(form: str) -> None:
    text = render(compared(published(value=0.9185), published(metric="inception-score", value=1.42985)), form)

    assert "91.85" in text
    assert "1.42985" in text


def test_numbers_are_in_percent_and_scores_are_not() -> None:
    rows = list(csv.DictReader(io.StringIO(render(compared(published(), published(metric="fid", value=12.5)), "csv"))))

    assert [r["published"] for r in rows] == ["97.0", "12.5"]
    assert [r["honest"] for r in rows] == ["75.0", ""]
    assert rows[0]["inflation"] == "50.0"
    assert (rows[0]["rerun_balanced_accuracy"], rows[0]["honest_balanced_accuracy"]) == ("100.0", "50.0")
    assert json.loads(render(compared(), "json"))[0]["rerun"] == 100.0


@given(
    arm=st.from_regex(r"[a-z][a-z0-9-]{0,60}(\[a=[a-z]{1,60}\])?", fullmatch=True),
    text=st.text(min_size=1, max_size=90),
    value=st.none() | st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_a_table(arm: str, text: str, value: float | None) -> None:
    figure = published(arm=arm, source=text, note=text, value=value)
    found = compared(figure, own=row(arm), honest=row(arm))

    for plain in (True, False):
        shown = render(found, "table", screen=Screen(plain=plain))
        assert max(map(columns, shown.split("\n"))) <= 80, shown
        assert not plain or shown.isascii()
    for form in FORMATS:
        assert not [c for c in render(found, form) if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]


def test_another_mix_of_classes_is_no_inflation() -> None:
    """A constant answer scores as the classes are mixed: more synthetic images of the rare one, and it falls."""
    labels = np.array([0] * 6 + [1] * 6)
    names = np.array([f"p{i}" for i in range(12)])
    constant = np.tile([1.0, 0.0], (12, 1))
    pool = {(0, 0, 0): units(Predictions(names, names, labels, constant), [0.5, 0.5], by_patient=True)}
    found = compared(own=row("wgan", scores=score(pool, 2)), honest=row("wgan", scores=scores("11111100")))
    (line,) = found.lines

    assert (line.rerun.value, line.honest.value) == (1 / 2, 6 / 8)
    assert line.inflation == 0
    text = render(found, "table")
    assert text.count("always the") == 1
    assert "50.0" in text
    assert "75.0" in text


def test_the_rerun_has_an_interval_and_the_claim_what_is_left() -> None:
    gain = Interval(0.031, 0.02, -0.017, 0.081, -0.01, 0.07, 30, 1e-4, 1e-5, 3, 2.5)
    judged = Judged(gain, 0.01, Evidence(5, 3, 4, 4, rare=40, patients=100), Verdict("can't tell"))
    figures = published(), published(arm="none", value=0.7)
    a = asked(*figures, inflation={"arm": "wgan", "against": "none", "remove": ["images"]})
    weak, good = row("none", scores=scores("11111100")), row("wgan")
    fair = dataclasses.replace(row("wgan", judged=judged), arm=Arm("wgan", "net", control="copies"))
    found = compare([board(a, "augment-first", weak, good), board(a, "patients", weak, fair)])

    assert found.lines[0].rerun.interval == pytest.approx(tuple(stats.binomtest(8, 8).proportion_ci(method="wilson")))
    text = " ".join(render(found, "table").split())
    assert "rerun 95 % CI 67.6 to 100.0" in text
    assert (
        "The gain of WGAN images over no augmentation: published +27.0 points of accuracy; in balanced accuracy +50.0 "
        "in our rerun of its own order and +50.0 in the honest test. What is left compared with the method above it: "
        "+3.1 (-1.7 to +8.1): inconclusive."
    ) in text
    unfinished = compare([board(a, "augment-first", weak, good), board(a, "patients", weak, row("wgan", done=1))])
    assert "what is left cannot be said" in " ".join(render(unfinished, "table").split())


def test_where_patients_are_not_known_no_column_is_called_honest() -> None:
    one = board(asked(published()), "patients", row("wgan"))
    one.source.update(unit="image")
    text = render(compare([one]), "table")

    assert "honest" not in text.replace("by an honest one", "")
    assert "Patients are not known" in " ".join(text.split())


@pytest.mark.parametrize("device", ["CPU", "NVIDIA H200"])
def test_two_methods_are_put_beside_each_other_by_what_they_cost(device: str) -> None:
    a = asked(published(), cost={"arm": "hybrid", "against": "wgan", "claim": "less overhead (abstract)"})
    rows = row("hybrid", seconds=3000.0, made=10_712.0), row("wgan", seconds=2400.0, made=10_713.0)
    found = compare([dataclasses.replace(board(a, "patients", *rows), device=device)])
    unit = "seconds of computing" if device == "CPU" else "GPU-seconds (NVIDIA H200)"

    assert (
        f"Cost with net, all training runs and generators: hybrid: AC-GAN images 3,000 {unit} with 10,712 images "
        f"added; WGAN images 2,400 {unit} with 10,713 images added: 1.25 times as much. "
        "Published: less overhead (abstract)."
    ) in " ".join(render(found, "table").split())
    assert not compare([board(asked(published()), "patients", *rows)]).costs


def test_where_no_figure_was_found_the_rows_stand_under_each_other() -> None:
    gain = Interval(0.031, 0.02, -0.017, 0.081, -0.01, 0.07, 30, 1e-4, 1e-5, 3, 2.5)
    judged = Judged(gain, 0.01, Evidence(5, 3, 4, 4, rare=40, patients=100), Verdict("can't tell"))
    chosen = Arm("wgan", "pre[source=x,augmenter=a]", control="wgan", over="pre[source=x]")
    rows = row("wgan"), dataclasses.replace(row("wgan", judged=judged), arm=chosen, depth=1)
    found = compare([board(asked(published(value=None)), "patients", *rows)])
    text = render(found, "table")

    assert "No figure was found published" in text
    assert "published,  " not in text
    assert "not found" not in text
    assert "+3.1 (-1.7 to +8.1)" in text
    assert not compare([board(asked(published()), "patients", *rows)]).chain


# -- commands ----------------------------------------------------------------------------------------------------------

TOY = """
name = "toy-rerun"
datasets = ["phantom:toy"]
augmenters = ["adds"]
classifiers = ["mean"]
protocols = ["augment-first", "patients"]
folds = 2
repeats = 1

[[published]]
dataset = "toy"
arm = "adds"
classifier = "mean"
metric = "accuracy"
value = 0.99
source = "a toy paper"
"""


def test_a_run_of_such_a_study_ends_in_its_three_columns(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}
    toys = ["--plugins-dir", str(Path(__file__).parents[1] / "toys"), "-p", "no:medbench.scores", "-p",
            "no:medbench.extractors"]  # fmt: skip

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "medbench", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)

    ran = call("run", "toy.toml", *toys, "--executor", "forks")
    shown = call("leaderboard", "toy-rerun", "--against", "published", "--format", "json")
    (line,) = json.loads(shown.stdout)

    assert ran.returncode == 0, ran.stderr
    assert "toy-rerun: published, rerun by its own protocol" in ran.stdout
    assert " 99 " in ran.stdout
    assert (line["published"], line["rerun_protocol"], line["honest_protocol"]) == (99.0, "augment-first", "patients")
    assert line["rerun_status"] == line["honest_status"] == "done"
    assert 0 <= line["honest"] <= 100
    assert json.loads(call("run", "toy.toml", *toys, "--format", "json").stdout)  # one document, the boards
