"""What a report says first, and the paragraph of methods: several boards, official cuts, one of a thing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from _synthetic_store import SyntheticRun
from medbench.cli import cli
from medbench.report import headline, section_results
from medbench.report.inputs import gather
from medbench.report.report import Report, report
from medbench.report.section_provenance import without_names
from medbench.report.write_paper import markdown
from medbench.tables import board_notes
from medbench.tables.blocks import Section, Sentences, cell, table
from medbench.tables.wording import by_board

SIZES = ("official[overlap=drop,patients=20]", "official[overlap=drop,patients=30]", "official[overlap=drop]")


def made(
    root: Path, protocols: tuple[str, ...], *, networks: tuple[str, ...] = ("net",), unit: str = "patient", **study: Any
) -> Report:
    """Return the report of a run under several protocols."""
    runs = [SyntheticRun(root, networks=networks, patients=60, protocols=[text], **study).fill() for text in protocols]
    record = runs[0].record()
    record["study"]["protocols"] = list(protocols)
    record["sources"][0]["unit"] = unit
    if len(protocols) > 1:
        record["trained_on"] = [
            {"dataset": "ddti", "protocol": text, "patients": size, "overlap": 0.1}
            for text, size in zip(SIZES, (20.0, 30.0, 40.0), strict=True)
        ]
    return report(gather(runs[0].store, record))


def section(of: Report, name: str) -> Section:
    return next(s for s in of.sections if s.name == name)


def said(of: Section) -> list[tuple[str, ...]]:
    return [block.texts for block in of.blocks if isinstance(block, Sentences)]


def methods(of: Report) -> str:
    return " ".join(said(section(of, "methods"))[0])


def clinician(of: Report) -> tuple[str, ...]:
    return said(section(of, "methods"))[2]


def test_one_sentence_a_method_over_all_sizes_stands_before_the_boards(tmp_path: Path) -> None:
    first = made(tmp_path, SIZES).headline

    assert first is not None
    assert {text.partition(":")[0] for text in first.over_boards} == {
        "rotations, flips, zoom compared with class balancing",
        "hybrid",  # its own name holds a colon
        "mixup compared with class balancing",
    }
    assert all(re.search(r"20.*30.*40 patients", text) for text in first.over_boards)
    assert [one.question for one in first.answers] == ["Which of 3 methods helps? Thyroid ultrasound, net"] * len(SIZES)
    assert first.title == "Report of synthetic"


def test_one_sentence_a_method_over_networks_says_which_word_it_has_with_which(tmp_path: Path) -> None:
    first = made(tmp_path, ("patients",), networks=("net", "vgg16")).headline

    assert first is not None
    assert len(first.over_boards) == 3
    for text in first.over_boards:
        assert re.fullmatch(r".+ compared with [\w, :]+: ([\w' ]+ with (net|VGG-16)(; | and VGG-16)?)+.*\.", text)
        assert "net" in text
        assert "VGG-16" in text


def test_one_board_gives_the_report_its_question(tmp_path: Path) -> None:
    whole = made(tmp_path, ("patients",))
    first = whole.headline

    assert first is not None
    assert whole.title == first.title == "Which of 3 methods helps? Thyroid ultrasound, net"
    assert not first.over_boards
    (one,) = first.answers
    assert one.steps is not None
    assert [row[0].text for row in one.steps.rows][:2] == ["class balancing (reference)", "+ rotations, flips, zoom"]
    assert [name for name, _ in first.tiles] == [
        "patients", "images", "computing time, all runs added up", "failed training runs", "warnings about the data"
    ]  # fmt: skip
    assert dict(first.tiles)["failed training runs"] == "0 of 60"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([("x", "better"), ("y", "better")], "a compared with b: better with x and y."),
        (
            [("x", "better"), ("y", ""), ("z", "worse")],
            "a compared with b: better with x; no verdict with y; worse with z.",
        ),
        ([("x", ""), ("y", "")], "a compared with b: no verdict in any of 2 tables."),
        ([], ""),
    ],
)
def test_words_by_board(words: Any, text: str) -> None:
    assert by_board(words, arm="a", control="b") == text


def test_the_methods_of_an_official_cut_say_what_was_drawn_and_left_out(tmp_path: Path) -> None:
    text = methods(made(tmp_path, SIZES, unit="image"))

    assert "the official split was kept" in text.lower()
    assert "20 or 30 training patients were drawn, classes in their proportion, another draw each repeat" in text
    assert "or all were kept" in text
    assert "whose patient or picture lies in the test part too were left out of training" in text
    assert "bootstrap of the tested patients within classes, plus the variance between repeated trainings" in text
    assert "Satterthwaite" in text
    assert "K folds" not in text
    assert "1/(K-1)" not in text
    assert "60 images (40 no, 20 yes), each counted as a patient of its own" in text
    assert "60 patients" not in text


def test_the_methods_of_folds_say_nothing_of_an_official_cut(tmp_path: Path) -> None:
    text = methods(made(tmp_path, ("patients",)))

    assert "1/(K-1) of the patient variance that stays the same" in text
    assert "official" not in text
    assert "drawn" not in text
    assert "60 images of 60 patients" in text


def test_a_clinician_gets_five_sentences(tmp_path: Path) -> None:
    question, data, how, measure, result = clinician(made(tmp_path, ("patients",)))

    assert "class balancing; rotations, flips, zoom" in question
    assert "Thyroid ultrasound (60 images of 60 patients)" in data
    assert "No image of a tested patient was used in training" in how
    assert "95 % confidence interval" in measure
    assert result.startswith("What helps: ") or result.startswith("No")


@pytest.mark.parametrize(("text", "words"), [
    ("official[train=9/4]", "9/4 training images of the classes in their order were drawn, another draw each repeat"),
    ("patients[share=0.75]", "75 % of the training patients were drawn, another draw each repeat and fold"),
    ("official[patients=1]", "1 training patient was drawn"),
])  # fmt: skip
def test_the_methods_say_how_training_was_cut_down(tmp_path: Path, text: str, words: str) -> None:
    paragraph = methods(made(tmp_path, (text,), repeats=1))

    assert words in paragraph
    unknown = "With one repeat the variance between trainings is not known and was left out."
    assert (unknown in paragraph) == text.startswith("official")


def test_nothing_is_one_of_many(tmp_path: Path) -> None:
    text = markdown(made(tmp_path, ("patients",), repeats=1, folds=2))

    assert "2-fold cross-validation by patient" in text
    assert re.search(r"\| design \| 2 folds, 1 repeat, 1 seed \|", text)
    assert not re.findall(r"(?<![\d.,])1 (?:folds|repeats|seeds|boards|images|patients|comparisons|fits)\b", text)


def test_columns_of_text_stand_at_the_left_in_markdown() -> None:
    rows = [["a", cell("+1.0", 1.0), "better", "b", cell("2m", 120.0)], ["c", cell("", None), "", "", ""]]
    shown = table("Caption.", ("arm", "gain", "verdict", "over", "time"), rows, label="t")
    text = markdown(Report("x", (Section("s", "S", (shown,)),)))

    assert "| --- | ---: | --- | --- | ---: |" in text


def test_what_is_not_done_yet_is_counted_beside_what_failed(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=1)
    run.fill(failed={"mixup": [(0, 0, 0)]}, left_out={"geometric": [(0, 0, 0)]})
    text = markdown(report(gather(run.store, run.record())))

    assert "1 planned training run is not done yet." in text
    assert "| mixup | diverged | the loss is nan at step 3. | 1 |" in text


def written_by_command(run: SyntheticRun, *options: str) -> str:
    """Return what ``medbench report`` writes of a run, as Markdown unless asked otherwise."""
    out = run.root.parent / "out"
    done = CliRunner().invoke(cli, ["report", "--results", str(run.save()), "--out", str(out), *options])
    assert done.exit_code == 0, done.output
    return out.read_text(encoding="utf-8")


def test_a_method_whose_comparison_was_not_run_is_no_reference(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=1, tree={"acgan": "copies", "balanced": ""})
    text = written_by_command(run.fill({"acgan": 0.7, "balanced": 0.6}), "--format", "md")

    row = next(line for line in text.split("\n") if line.startswith("| ") and "not run" in line)
    assert "the method it would be compared with was not run" in row
    assert "reference" not in row


@pytest.mark.parametrize(
    ("limits", "counted", "said"),
    [
        ((0.99, 0.99), (None, None, 60), "cannot tell"),
        ((0.99, 0.9), (0, 30, 30), "0 of 30, cannot tell of 30 others"),
        ((0.9, 0.9), (0, 60, 0), "0 of 60"),
    ],
)
def test_copies_that_cannot_be_told_are_none_in_no_table(
    tmp_path: Path, limits: tuple[float, float], counted: tuple[int | None, ...], said: str
) -> None:
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=1, tree={"copies": "", "hybrid": "copies"})
    run.looked_at = 30
    run.scores_of = lambda trial: (
        {"copies-pixels": 0.0, "copies-limit": limits[trial.fold]} if trial.augmenter == "hybrid" else {}
    )
    text = written_by_command(run.fill({"copies": 0.7, "hybrid": 0.7}), "--format", "md")
    done = CliRunner().invoke(cli, ["leaderboard", "--results", str(run.root), "--format", "json"])
    row = next(row for row in json.loads(done.output) if row["augmenter"] == "hybrid")

    assert (row["copied"], row["copied_of"], row["copied_cannot_tell"]) == counted
    assert f"copies of training images: hybrid: AC-GAN images {said}" in text
    (cell_of_copies,) = re.findall(r"^\| hybrid: AC-GAN images \| ([^|]*) \|$", text, re.MULTILINE)
    assert cell_of_copies == (said if "cannot tell" in said else "0 %")


def test_a_run_whose_trainings_all_failed_is_told_in_a_sentence(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=1, tree={"balanced": "", "mixup": "balanced"})
    cells = [(0, 0, 0), (0, 1, 0)]
    text = re.sub("<[^>]*>", "", written_by_command(run.fill(failed=dict.fromkeys(run.tree, cells))))

    assert "All 4 training runs failed, so there is no result" in text
    assert "the loss is nan at step 3." in text


def test_a_checklist_is_filled_in_and_leaves_the_rest_to_the_author(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=1).fill()
    text = written_by_command(run, "--checklist", "claim2024")

    rows = [[part.strip() for part in line.strip("|").split(" | ")] for line in text.split("\n") if line[:2] == "| "]
    items = {int(row[0]): row[3] for row in rows if row[0].isdigit()}
    assert list(items) == list(range(1, 45))
    assert items[35] == "Thyroid ultrasound: 40 patients, 40 images (no 26, yes 14)."
    assert items[20] == "Patients, near copies kept together."
    for number in (4, 5, 11, 14, 18, 31, 34, 36, 41, 44):
        assert items[number] == "to be filled in by the author"
    assert "Tejani et al." in text
    assert "doi:10.1148/ryai.240300" in text


def test_honest_protocols_stand_before_leaky_ones(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=1, protocols=["images", "patients"])
    protocols = list(run.study.protocols)
    for text in protocols:
        run.study = run.study.model_copy(update={"protocols": [text]})
        run.fill()
    run.study = run.study.model_copy(update={"protocols": protocols})
    text = written_by_command(run, "--format", "md")

    results = text.partition("## Results")[2].partition("\n## ")[0]
    honest, leaky = re.findall(r"^### (.*by (?:patient|image).*)$", results, re.MULTILINE)
    assert honest.startswith("Thyroid ultrasound")
    assert leaky.startswith("LEAKY: Thyroid ultrasound")


@pytest.mark.parametrize(
    ("note", "said"),
    [
        (
            'An official cut: 2,870 images are the part "train", 394 the part "test".',
            'An official cut: 2,870 images are the part "train", 394 the part "test".',
        ),
        (
            "its official cut: 259 of 394 test images have a twin in training, 251 of them pixel for pixel",
            "its official cut: 259 of 394 test images have a twin in training, 251 of them pixel for pixel",
        ),
        ("Columns of table.csv that were not used: 4.", "Columns of table.csv that were not used: 4."),
        ("1 image without an outline (no mask): 17_1.", "1 image without an outline (no mask)."),
        ("2 patients without a label: 17, 18.", "2 patients without a label."),
        ("4 pairs stand under different labels, the first: a/x.jpg, a/y.jpg", "4 pairs stand under different labels."),
    ],
)
def test_a_remark_keeps_its_counts_and_loses_the_names_of_images(note: str, said: str) -> None:
    assert without_names(note, is_phantom=False) == said


def test_recalls_of_rare_classes_stand_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Recall of rare (10 patients) and its gain over the method above it, no interval: mixup 50.0 % (+1.0)."
    for module in (headline, section_results, board_notes):
        monkeypatch.setattr(module, "rare_recalls", lambda board: [said])
    text = " ".join(markdown(made(tmp_path, ("patients",))).split())

    assert text.count("Recall of rare (10 patients)") == 1
