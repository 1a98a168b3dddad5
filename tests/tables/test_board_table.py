"""Tables as text: 80 columns, and no name that steers a terminal, a spreadsheet, Markdown or LaTeX."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _board_rows import board, row
from medbench.boards.board import Board, Row
from medbench.planning.arms import Arm, Skipped
from medbench.planning.study import Study
from medbench.planning.study_schema import BudgetTable
from medbench.publishing.bundle.board_numbers import across_versions
from medbench.statistics.verdicts import Verdict
from medbench.tables.board_table import render
from medbench.tables.document import FORMATS
from medbench.tables.writers.terminal import Screen
from medbench.text import clean, columns, cut, pad

STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\u200b\u2066\u2028\ud800"


def width(text: str) -> int:
    return max(map(columns, text.split("\n")))


def test_columns_are_those_of_a_terminal() -> None:
    assert columns("spine") == 5
    assert columns("脊椎") == 4
    assert columns("\uff53") == 2
    assert columns(unicodedata.normalize("NFD", "é")) == 1
    assert cut("脊椎x", 3) == "脊"
    assert pad("脊椎", 6) == "脊椎  "
    assert pad("脊椎", -6) == "  脊椎"


LONG = "hybrid[generator=reacgan[steps=1200,variant=projection,width=64],fill=balance,degrees=15,note=abcdefghijk]"
HARD: dict[str, Board] = {
    "long arm names": board(row("balanced"), row(LONG, control="balanced")),
    "deep trees": board(*[row(f"a{d}", control="x", depth=d, last=(True,) * (d + 1)) for d in range(30)]),
    "many classes": board(classes=tuple(f"lesion of kind {k} in the spine" for k in range(40))),
    "wide characters": board(
        row("balanced"), row("mix[note=脊椎脊椎脊椎脊椎脊椎]", control="balanced"),
        classes=("正常な脊椎の画像です", "圧迫骨折のある脊椎の画像"), source={"dataset": "folder:脊椎" + "骨" * 60},
    ),
    "steering characters": board(classes=(f"no{STEERING}", "yes"), source={"dataset": f"ddti{STEERING}"}),
    "long data set names": board(source={"dataset": "folder[" + "x" * 200 + "]"}, classifier="timm[" + "y" * 90 + "]"),
    "all cells failed": board(row("acgan", control="b", done=0, failed=15, kinds=("resources",), scores=None)),
    "failed with a gain": board(row("acgan", control="b", done=1, failed=14, kinds=("diverged",))),
    "mixed failures": board(row("acgan", control="b", done=1, failed=14, kinds=("diverged", "timeout"))),
    "many cells": board(row("acgan", control="b", planned=1500, done=1203, scores=None)),
    "extreme gains": board(row("acgan", control="b", gain=(1.0, -1.0, 1.0))),
    "leaks": board(leaks=("copy", "fitted-on-test", "same-patient", "synthetic-scored"), protocol="augment-first"),
    "many patients": board(source={"images": 1_234_567, "patients": 1_234_566, "class_patients": [1_000_000, 234_566]}),
    "drawn counts": board(protocol="official[train=1000/140/52]"),
    "skips": board(skipped=(Skipped("ddti", LONG, "net", "no " * 60),), warnings=("ddti: " + "z" * 300,)),
    "marks": board(dataclasses.replace(
        row("acgan", control="b", done=12, scores=None, seconds=3600 * 24 * 30),
        arm=Arm("acgan", "net", "b", outside=True),
    )),
    "marks of a failed arm": board(dataclasses.replace(
        row("acgan", control="b", done=13, failed=2, kinds=("diverged",)), arm=Arm("acgan", "net", "b", outside=True)
    )),
    "days": board(row("acgan", seconds=3600 * 24 * 30)),
    "plain": board(plain=row(LONG)),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("plain", [True, False])
def test_a_table_is_80_columns_wide(name: str, plain: bool) -> None:
    text = render([HARD[name]], "table", wide=True, screen=Screen(plain=plain))

    assert width(text) <= 80, max(text.split("\n"), key=columns)
    assert all(line == line.rstrip() for line in text.split("\n"))


def test_marks_stand_behind_the_time_and_are_explained() -> None:
    outside = dataclasses.replace(row("acgan", control="b"), arm=Arm("acgan", "net", "b", outside=True))
    unfinished = row("hybrid", control="b", done=12, scores=None)
    lines = render([board(row("balanced"), outside, unfinished)], "table").split("\n")
    ends = {name: line for line in lines for name in ("balancing", "└ AC-GAN", "└ hybrid") if f" {name}" in line}

    assert [line.rsplit("41 min", 1)[1] for line in ends.values()] == ["", " e", " i"]
    assert [line[:2] for line in lines if line.startswith((" e:", " i:"))] == [" e", " i"]
    assert [r["marks"] for r in json.loads(render([board(outside, unfinished)], "json"))] == ["e", "i"]


@given(names=st.lists(st.text(max_size=40), min_size=2, max_size=5, unique_by=clean), dataset=st.text(max_size=90))
@settings(max_examples=80, deadline=None)
def test_no_name_breaks_a_table(names: list[str], dataset: str) -> None:
    any_board = board(row("balanced", len(names)), classes=tuple(names), source={"dataset": dataset})

    assert width(render([any_board], "table", wide=True)) <= 80
    for form in FORMATS:
        text = render([any_board], form, wide=True)
        assert not [c for c in text if unicodedata.category(c) in ("Cf", "Cs", "Zl", "Zp")]
        assert not [c for c in text if unicodedata.category(c) == "Cc" and c != "\n"]
    assert json.loads(render([any_board], "json"))[0]["balanced_accuracy"] == 50.0
    assert len(list(csv.DictReader(io.StringIO(render([any_board], "csv"), newline="")))) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_no_name_steers_a_terminal(form: str) -> None:
    nasty = board(
        row(f"mix[note={STEERING}]", reasons=(STEERING,), skipped=1, scores=None),
        classes=(f"no{STEERING}", "yes"),
        source={"dataset": f"ddti{STEERING}"},
        classifier=f"timm[model={STEERING}]",
        warnings=(STEERING,),
    )
    text = render([nasty], form, wide=True)

    text.encode()  # halves of characters cannot be printed at all
    assert clean(text) == text.replace("\n", "")
    assert "evil" in text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_a_spreadsheet_is_handed_no_formula(start: str) -> None:
    text = f"{start}HYPERLINK(1)"
    nasty = board(row("mix", control="b", reasons=(text,)), source={"dataset": text})
    (found,) = csv.DictReader(io.StringIO(render([nasty], "csv"), newline=""))

    assert not [v for v in (found["dataset"], found["skip_reasons"]) if v.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert found["gain"] == "-12.3"  # a number stays one


def test_csv_quotes_commas_and_quotes() -> None:
    nasty = board(source={"dataset": 'a,"b",c'}, classes=("x,y", 'z"'))
    (found,) = csv.DictReader(io.StringIO(render([nasty], "csv")))

    assert found["dataset"] == 'a,"b",c'
    assert found["recall_x,y"] == found['recall_z"'] == "50.0"


def test_boards_with_other_classes_share_a_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(render([board(), board(classes=("a", "b", "c"))], "csv"))))

    assert [r["recall_c"] for r in rows] == ["", "50.0"]


def test_latex_is_escaped() -> None:
    text = render([board(row(r"mix[note=50%_a&b#c$d~e^f\g{h}<i>]"))], "latex")
    line = next(line for line in text.split("\n") if line.startswith("mix")).replace(r"\allowbreak{}", "")

    assert line.startswith(
        r"mix (note=50\%\_a\&b\#c\$d\textasciitilde{}e\textasciicircum{}f\textbackslash{}g\{h\}"
        r"\textless{}i\textgreater{}) & "
    )
    assert text.count(r"\begin{") == text.count(r"\end{") == 1


def test_a_wide_board_is_cut_into_parts_that_stay_inside_the_margins_of_latex() -> None:
    names = tuple(f"a class with a name {n}" for n in range(12))
    text = render([board(classes=names)], "latex", wide=True)

    parts = re.findall(r"\\caption\[\]\{.* Part (\d) of (\d)\.\}\\label\{medbench-ddti-net-patients-\d\}", text)
    assert [int(n) for n, _ in parts] == list(range(1, len(parts) + 1))
    assert len(parts) > 1


def test_latex_comments_end_where_their_line_ends() -> None:
    text = render([board(source={"dataset": "ddti\n\\input{x}"})], "latex")

    assert not [line for line in text.split("\n") if line.startswith(r"\input")]


def test_markdown_is_escaped() -> None:
    nasty = "mix[note=a|b<script>`c`*d*[e](javascript:x)]"
    text = render([board(row(nasty), source={"dataset": "# <img src=x>"}, warnings=("<b>bold</b>",))], "md")
    line = next(line for line in text.split("\n") if line.startswith("| mix"))

    assert line.startswith(r"| mix (note=a\|b\<script\>\`c\`\*d\*\[e\](javascript:x)) | ")
    assert "<" not in text.replace(r"\<", "")
    assert text.startswith(r"### \# \<img src=x\>, net, patients")


def test_plain_tables_are_ascii() -> None:
    one = board(row("balanced"), row("hybrid", control="balanced"))
    text = render([one], "table", wide=True, screen=Screen(plain=True))

    assert text.isascii()
    assert "`- hybrid: " in text
    assert "└ hybrid: " in render([one], "table")


def test_further_lines_start_below_the_first_word_and_no_number_is_broken() -> None:
    lines = render([HARD["long arm names"]], "table").split("\n")
    at = next(n for n, line in enumerate(lines) if line.startswith(" └ hybrid: ReACGAN images "))

    assert lines[at].endswith("50.0  .500  -12.3 (-45.6 to +23.4) 41 min")
    assert lines[at + 1].split() == ["(steps=1200,", "inconclusive"]
    assert lines[at + 1].startswith("     (")
    assert "     note=abcdefghijk)" in lines[at + 2 : at + 7]


def test_a_verdict_stands_below_its_gain_and_beside_it_where_there_is_room() -> None:
    text = "only the decision threshold moved"
    moved = row("acgan", control="b", gain=(0.1, 0.05, 0.2))
    assert moved.judged is not None
    moved = dataclasses.replace(moved, judged=dataclasses.replace(moved.judged, verdict=Verdict("threshold")))
    narrow, wide = (render([board(moved)], "table", screen=Screen(width=w)) for w in (80, 120))

    lines = narrow.split("\n")
    at = next(n for n, line in enumerate(lines) if line.startswith(" └ AC-GAN images "))
    assert [lines[at + k] for k in (1, 2)] == [f"{'':34}only the decision", f"{'':34}threshold moved"]
    assert f"(+5.0 to +20.0) {text} 41 min" in wide


@pytest.mark.parametrize("numerics", ["exact", "portable", "fast"])
@pytest.mark.parametrize("form", ["table", "md"])
def test_numerics_that_are_not_the_default_are_named(numerics: Any, form: str) -> None:
    study = Study(datasets=["d"], augmenters=["x"], classifiers=["n"], budget=BudgetTable(numerics=numerics))
    said = " ".join(render([board(study=study)], form, wide=True).split())

    assert (f"Numerics are {numerics}, not exact" in said) == (numerics != "exact")
    assert ("umerics" in said) == (numerics != "exact")


def test_a_wide_terminal_breaks_no_name() -> None:
    one = board(row("balanced"), row("hybrid", control="balanced"))
    text = render([one], "table", screen=Screen(width=120))

    assert " class balancing (reference) " in text
    assert " └ hybrid: AC-GAN images " in text
    assert 80 < width(text) <= 120


def test_names_and_titles_of_the_wide_part_are_never_cut() -> None:
    text = " ".join(render([HARD["long arm names"], HARD["many classes"]], "table", wide=True).split())

    assert "note=abcdefghijk) 50.0 50.0 15/15" in text
    assert "of kind 36 in of kind 37 in of kind 38 in the spine, %" in text


def test_the_head_says_what_was_cut_and_how() -> None:
    study = Study(datasets=["d"], augmenters=["x"], classifiers=["n"], folds=4, repeats=2)
    image = {"unit": "image", "patients": 349}

    def head(*rows: Row, **more: Any) -> str:
        return " ".join(render([board(*rows, study=study, **more)], "table").split("\n\n")[0].split())

    assert "298 patients (52 yes), 349 images" in head()
    assert "4-fold cross-validation by patient, repeated 2 times 15 training runs finished" in head()
    assert "12 of 15 training runs done" in head(row("a", done=12, scores=None))
    assert "349 images (52 yes)" in head(source=image)
    assert "by image" in head(source=image)
    assert "by image" in head(protocol="images")
    assert "by image" in head(protocol="augment-first")
    assert "by patient" in head(protocol="select-on-test")
    assert "official split, 2 repeats" in head(protocol="official")
    assert "train=100/50" in head(protocol="official[train=100/50]")
    assert head(protocol="augment-first", leaks=("copy",)).startswith("LEAKY, no verdict: Thyroid ultrasound")


def test_failures_are_named_by_kind_and_what_stands_in_for_them() -> None:
    text = render([HARD["failed with a gain"]], "table")

    assert "(-45.6 to +23.4) 14 of 15 diverged " in render([HARD["failed with a gain"]], "table", screen=Screen(120))
    said = " ".join(text.split())
    assert "AC-GAN images: 14 of 15 diverged; they count with the predictions of the method above it." in said
    assert "14 of 15 diverged, more than one training run in 10, so no verdict." in said
    assert "14 of 15 failed (diverged, timeout)" in " ".join(render([HARD["mixed failures"]], "table").split())
    one = board(row("a", control="b", done=14, failed=1, kinds=("diverged",), gain=(0.1, 0.05, 0.2)))
    assert "1 of 15 diverged; better" in render([one], "table", screen=Screen(width=100))


def test_costs_are_short_and_have_a_unit() -> None:
    for seconds, shown in (
        (7.4, "7 s"),
        (99.0, "99 s"),
        (240, "4 min"),
        (5999, "100 min"),
        (7200, "2 h"),
        (86_400, "24 h"),
    ):
        assert f"50.0  .500 {shown:>{max(4, len(shown))}}\n" in render([board(row("a", seconds=seconds))], "table")


def test_scores_of_made_rows_stand_beside_their_floors_in_wide_tables_only() -> None:
    made = {"kid": 0.123, "kid-floor": -0.001, "copies": 0.01, "a-score-with-a-long-name": 1.0}
    one = board(row("balanced"), row("acgan", control="balanced", scores_of_made=made, extractor="filters"))

    narrow, wide = (render([one], "table", wide=w) for w in (False, True))
    block = wide[wide.index(" scores of synthetic samples") :].split("\n")

    assert "filters" not in narrow
    assert block[0].endswith(", by features of filters")
    assert [line.split() for line in block[1:3]] == [
        ["KID", "copies", "a-score-with-a-"], [*["lower", "is", "better", "lower", "is", "better"], "long-name"]
    ]  # fmt: skip
    assert block[3].split() == ["AC-GAN", "images", "0.123", "0.01", "1"]
    assert block[4].split() == ["as", "many", "real", "images", "-0.001"]
    assert block[5].startswith(" KID: distance of generated from real images")  # class balancing adds nothing
    assert width(wide) <= 80
    assert "| kid | kid-floor | copies |" in render([one], "md", wide=True)
    assert "kid" not in render([one], "md")
    [root, arm] = json.loads(render([one], "json"))
    assert (arm["score_kid"], arm["score_kid-floor"], arm["extractor"]) == (0.123, -0.001, "filters")
    assert root["extractor"] is None
    assert "score_kid-floor" in render([one], "csv").split("\n")[0].split(",")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("benign", "malignant"), ["sensitivity, %   specificity, %", "Positive: malignant, read off the names"]),
        (("Fracture", "No fracture"), ["Positive: Fracture", "specificity: the share of No fracture called so"]),
        (("glioma", "meningioma"), ["recall of", "its recall is the sensitivity"]),
        (("a", "b", "c"), ["recall of a, %", "Recall: Of a class: the share of its patients"]),
    ],
)
def test_a_wide_table_says_which_class_is_positive(classes: tuple[str, ...], said: list[str]) -> None:
    text = render([board(classes=classes)], "table", wide=True)

    assert all(one in text or one in " ".join(text.split()) for one in said)


def test_a_wide_table_says_what_scores_are_and_which_way_is_better() -> None:
    of_made = {"kid-by-class": 0.1, "kid-by-class-floor": 0.01, "tstr": 0.6, "of-a-plugin": 3.0}
    shown = row("acgan", control="b", scores_of_made=of_made, extractor="x", metrics={"gmean": 0.5})
    text = render([board(shown)], "table", wide=True)

    below = text[text.index("scores of synthetic samples") :]
    assert "KID by class" in below
    assert "lower is better" in below
    assert "trained on generated: train on generated, test on real images" in below
    assert "of-a-plugin: see medbench plugins show of-a-plugin." in below
    assert "as many real images" in below
    assert set(of_made) - {"kid-by-class-floor"} <= {
        key.removeprefix("score_") for key in json.loads(render([board(shown)], "json"))[0]
    }


def test_copies_of_real_images_are_never_called_poor() -> None:
    far = {"kid-by-class": 0.2, "kid-by-class-spread": 0.01}  # 20 times what other patients reach
    shown = row("copies", control="b", scores_of_made=far), row("acgan", control="b", scores_of_made=far)
    text = " ".join(render([board(*shown)], "table", wide=True).split())

    assert [one.marks for one in shown] == ["", "g"]
    assert "g: poor generated images, so this row says little about better ones. AC-GAN" in text
    assert "Copied training images are as far from the test images as poor generated ones" in text
    # As bundles of before have it, and by rules of before.
    before = [{"augmenter": "acgan", "marks": "g"}, {"augmenter": "copies", "marks": "gi"}]
    assert [row["marks"] for row in across_versions({"rows": before})["rows"]] == ["", "i"]


def test_headings_of_classes_are_not_broken_inside_a_word() -> None:
    names = ("microcalcificationcluster", "not_otherwise-specified mass", "none")
    text = render([board(classes=names)], "table", wide=True)

    assert width(text) <= 80
    for piece in ("microcalcificationcluster", "not_otherwise-", "specified mass"):
        assert re.search(rf"(?<!\w){piece}", text), piece


def test_the_head_says_how_many_training_images_an_official_split_goes_without() -> None:
    def head(**facts: Any) -> str:
        one = board(protocol="official[overlap=drop]", source=facts)
        return " ".join(render([one], "table").split())

    assert "official split, 3 repeats, without 44 of 546 training images that the test part has too" in head(
        overlap={"dropped": 44, "trained": 546, "twins": 40, "patients": 4, "tested": 156}
    )
    assert ", without training images that the test part has too" in head()  # a record of before has no numbers
    assert "that the test part has too" not in head(
        overlap={"dropped": 0, "trained": 546, "twins": 0, "patients": 0, "tested": 156}
    )
