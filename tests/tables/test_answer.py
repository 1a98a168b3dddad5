"""The answer of a board: the question, what came out, why there is no verdict, warnings, and what comes next."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from _board_rows import board, judged, row, scores
from medbench.boards.board import Board, Row
from medbench.data.audit_findings import PARTS
from medbench.statistics.verdicts import Evidence
from medbench.tables.answer import MOST_WARNINGS, Answer, answer_of, next_steps
from medbench.tables.board_notes import UNKNOWN_PATIENTS, mark_notes
from medbench.tables.board_table import render, step_lines
from medbench.tables.wording import SYNTHETIC, still_improving
from medbench.tables.writers.terminal import Screen
from medbench.text import columns

PRACTICE = "Practice run, so no verdict: a verdict needs 5-fold cross-validation repeated 3 times"
SHORT = {"folds": 3, "repeats": 1, "planned": 3, "settled": 3}
BETTER, WORSE, SAME, UNCLEAR = (
    (0.181, 0.056, 0.307),
    (-0.089, -0.16, -0.018),
    (0.002, -0.015, 0.019),
    (0.014, -0.051, 0.079),
)


def one(gain: tuple[float, float, float], name: str = "geometric", control: str = "balanced", **more: Any) -> Row:
    return row(name, control=control, gain=gain, **more)


def of(*rows: Row, **more: Any) -> Answer:
    return answer_of(board(row("balanced"), *rows, **more))


def short(*rows: Row, **more: Any) -> Board:
    """A practice run: 3 folds once."""
    return board(row("balanced", planned=3, done=3), *rows, evidence=Evidence(3, 1, 3, 3, 52, 298), **more)


def in_short(gain: tuple[float, float, float], name: str = "geometric", control: str = "balanced", **more: Any) -> Row:
    return one(gain, name, control, planned=3, done=3, evidence=SHORT, **more)


@pytest.mark.parametrize(
    ("gain", "auroc", "sentence"),
    [
        (
            BETTER,
            0.051,
            "Yes: +18.1 points for rotations, flips, zoom compared with class balancing (95 % CI +5.6 to +30.7); AUROC "
            "rises too (+.051).",
        ),
        (
            WORSE,
            -0.02,
            "Worse: rotations, flips, zoom 8.9 points lower than class balancing (95 % CI -16.0 to -1.8).",
        ),
        (
            SAME,
            0.0,
            "No relevant difference: rotations, flips, zoom within 2 points of class balancing (95 % CI -1.5 to +1.9).",
        ),
        (
            BETTER,
            -0.004,
            "Only the decision threshold moved with rotations, flips, zoom, compared with class balancing: balanced "
            "accuracy +18.1 points (95 % CI +5.6 to +30.7), AUROC -.004.",
        ),
        (
            UNCLEAR,
            0.01,
            "Inconclusive: +1.4 points for rotations, flips, zoom compared with class balancing (95 % CI -5.1 to "
            "+7.9). This design can detect a gain of",
        ),
    ],
)
def test_one_method_is_answered_with_its_verdict_and_nothing_is_said_twice(
    gain: tuple[float, float, float], auroc: float, sentence: str
) -> None:
    found = of(one(gain, auroc=auroc))

    assert found.question == 'Does "rotations, flips, zoom" help? Thyroid ultrasound, net'
    assert found.badges == ()
    assert found.sentence.startswith(sentence)
    assert found.largest == ""  # the answer says it
    assert found.why_no_verdict == ()
    assert not [note for note in found.notes if "compared with" in note]


def test_of_several_methods_those_that_help_are_named_the_surest_first() -> None:
    found = of(one(BETTER), one((0.1, 0.09, 0.11), "mixup"), one(UNCLEAR, "cutmix"))

    assert found.question == "Which of 3 methods helps? Thyroid ultrasound, net"
    assert found.sentence == (
        "What helps: mixup, +10.0 (+9.0 to +11.0); rotations, flips, zoom, +18.1 (+5.6 to +30.7)."
    )
    assert found.largest == ""
    assert [note.split(":")[0] for note in found.notes if "compared with" in note] == ["Yes", "Yes", "Inconclusive"]


def test_where_none_helps_the_verdicts_are_counted_and_the_largest_effect_is_told() -> None:
    found = of(one(WORSE), one(UNCLEAR, "mixup"), one(UNCLEAR, "cutmix"))

    assert found.sentence == (
        "None of 3 methods was shown to be better than the method above it (1 worse, 2 inconclusive): rotations, "
        "flips, zoom -8.9 (-16.0 to -1.8), mixup +1.4 (-5.1 to +7.9), CutMix +1.4 (-5.1 to +7.9) compared with class "
        "balancing (points, 95 % CI)."
    )
    assert found.largest == ""  # the answer says it
    assert of(one(UNCLEAR), one(UNCLEAR, "mixup")).largest == ""  # no interval leaves 0 out


def test_two_methods_are_both_named_in_the_question() -> None:
    found = of(one(UNCLEAR), one(UNCLEAR, "mixup"))

    assert found.question == 'Do "rotations, flips, zoom" and "mixup" help? Thyroid ultrasound, net'


def test_what_was_not_asked_for_is_no_answer_and_may_be_the_largest_effect() -> None:
    found = of(one(BETTER, asked=False), one(UNCLEAR, "hybrid", "geometric"))

    assert found.question == 'Does "hybrid: AC-GAN images" help? Thyroid ultrasound, net'
    assert found.sentence.startswith("Inconclusive: +1.4 points for hybrid: AC-GAN images compared with rotations")
    assert found.largest.startswith("Largest difference: +18.1 points for rotations, flips, zoom compared with class")


def test_a_method_on_top_of_copies_is_compared_with_what_those_were_added_to_as_well() -> None:
    copied = row("copies", control="geometric", gain=UNCLEAR, asked=False)
    generated = row("hybrid", control="copies", gain=UNCLEAR, scores=scores(2, 0.534))
    found = of(one(BETTER, asked=False), copied, generated)

    assert "Without the copies, compared with rotations, flips, zoom: +3.4 (no interval)." in found.sentence


def test_no_augmentation_is_named_where_it_scored_highest() -> None:
    best, last = (
        answer_of(board(row("balanced"), one(WORSE), plain=row("none", scores=scores(2, v)))) for v in (0.7, 0.4)
    )

    assert best.warnings == ("No augmentation scored highest here, 70.0 %; it has no interval.",)
    assert last.warnings == ()


def test_a_practice_run_has_numbers_and_says_what_a_verdict_needs() -> None:
    found = answer_of(short(in_short(UNCLEAR)))

    assert found.badges == ("PRACTICE RUN",)
    assert found.sentence == (
        "No verdict (practice run): +1.4 points for rotations, flips, zoom compared with class balancing (95 % CI -5.1 "
        "to +7.9, AUROC +.010)."
    )
    assert found.largest == ""
    assert found.why_no_verdict == (f"{PRACTICE} (--folds 5 --repeats 3).",)
    several = answer_of(short(in_short(UNCLEAR), in_short(WORSE, "mixup")))
    assert several.sentence == (
        "No verdict (practice run): rotations, flips, zoom +1.4 (-5.1 to +7.9), mixup -8.9 (-16.0 to -1.8) compared "
        "with class balancing (points, 95 % CI)."
    )
    assert several.largest == ""


def test_copies_are_never_the_largest_difference_and_poor_images_are_said_beside_their_gain() -> None:
    copied = row("copies", control="geometric", gain=WORSE, asked=False)
    poor = {"coverage": 0.02, "coverage-floor": 0.97}
    generated = row("hybrid", control="copies", gain=UNCLEAR, scores_of_made=poor)
    found = of(one(UNCLEAR, asked=False), copied, generated)

    assert found.sentence.endswith(" The generated images are poor (g).")
    assert found.largest.startswith("Also: +1.4 points for rotations, flips, zoom compared with class balancing (95 %")


def test_a_leaky_protocol_is_named_by_what_it_leaks() -> None:
    leaks = ("copy", "same-patient")
    evidence = Evidence(5, 3, 15, 15, 52, 298, leaks=leaks)
    found = of(one(BETTER, evidence={"leaks": leaks}), leaks=leaks, protocol="augment-first", evidence=evidence)

    assert found.badges == ("LEAKY",)
    assert found.sentence.startswith("No verdict: +18.1 points for rotations, flips, zoom")
    assert found.why_no_verdict == (
        "Leaky protocol, so no verdict: copies of test images in training, images of one patient in training and test.",
    )


def test_an_incomplete_run_says_how_far_it_is() -> None:
    evidence = Evidence(5, 3, 15, 12, 52, 298)
    found = of(one(BETTER, done=12, scores=None), evidence=evidence)

    assert found.sentence == "No answer yet: 27 of 30 training runs are done."
    assert found.why_no_verdict == ("12 of 15 training runs done, so no verdict yet.",)


def test_where_nothing_is_compared_that_is_the_answer() -> None:
    assert of().question == "How good is it? Thyroid ultrasound, net"
    assert of().sentence == "No answer: nothing that was asked for is compared with another method here."
    failed = of(one(BETTER, done=0, failed=15, kinds=("resources",), scores=None))
    assert failed.sentence == "No answer: rotations, flips, zoom or the method above it has no score."
    assert failed.warnings == ("rotations, flips, zoom: 15 of 15 failed (resources), so it has no score.",)
    other_images = one(BETTER)
    assert other_images.judged is not None
    other_images = dataclasses.replace(other_images, judged=dataclasses.replace(other_images.judged, gain=None))
    assert of(other_images).sentence == (
        "No answer: rotations, flips, zoom and the method above it were tested on different images."
    )


def test_failures_of_one_method_are_why_that_one_has_no_verdict() -> None:
    found = of(
        one(BETTER, done=10, failed=5, kinds=("diverged",)), one(UNCLEAR, "mixup", evidence={"control_failed": 5})
    )

    assert found.why_no_verdict == (
        "rotations, flips, zoom: 5 of 15 diverged, more than one training run in 10, so no verdict.",
        "mixup: 5 of 15 training runs of the method it is compared with failed, so no verdict.",
    )
    unknown = of(one(BETTER, auroc=float("nan")))
    assert unknown.why_no_verdict == (
        "rotations, flips, zoom: No fold holds every class, so AUROC is unknown: no verdict.",
    )


@pytest.mark.parametrize("number", [0, 1, 2, 5])
@pytest.mark.parametrize("drawn", [True, False])
def test_at_most_two_warnings_and_that_images_are_synthetic_counts_for_none(number: int, drawn: bool) -> None:
    name = "phantom:ddti" if drawn else "ddti"
    said = tuple(f"{name}: reason {n} for doubt: medbench audit {name}" for n in range(number))
    found = of(one(UNCLEAR), source={"dataset": name}, warnings=said)

    all_of_it = [f"Warning: reason {n} for doubt." for n in range(number)]
    assert found.warnings == (*[SYNTHETIC] * drawn, *all_of_it[:MOST_WARNINGS])
    assert list(found.notes[: max(0, number - MOST_WARNINGS)]) == all_of_it[MOST_WARNINGS:]
    assert (found.badges == ("SYNTHETIC DATA",)) == drawn
    text = " ".join(
        render([board(row("balanced"), one(UNCLEAR), source={"dataset": name}, warnings=said)], "table").split()
    )
    assert text.count("Warning: ") == min(number, MOST_WARNINGS)


def test_what_comes_next_fits_what_was_run() -> None:
    warned = ("phantom:ddti: brightness alone predicts the class: medbench audit phantom:ddti",)
    practice = short(in_short(UNCLEAR), source={"dataset": "phantom:ddti"}, warnings=warned)
    whole, waiting = board(row("balanced"), one(UNCLEAR)), board(row("balanced"), one(UNCLEAR, done=3, scores=None))

    def commands(one_board: Board, **more: str) -> list[str]:
        return [step.command for step in next_steps([one_board], **more)]

    assert commands(practice) == ["medbench report", "medbench init FOLDER", "medbench audit phantom:ddti"]
    assert commands(whole) == ["medbench report", "medbench bundle"]
    assert commands(whole, plugins=("my plugins",)) == [
        "medbench report --plugins-dir 'my plugins'",
        "medbench bundle --plugins-dir 'my plugins'",
    ]
    assert commands(whole, name="mine") == ["medbench report mine", "medbench bundle mine"]
    assert commands(waiting) == ["medbench run ...", "medbench report"]
    assert commands(dataclasses.replace(whole, leaks=("copy",))) == ["medbench report"]
    own = board(row("balanced"), warnings=("folder[patient=a b]: too few",), source={"dataset": "folder[patient=a b]"})
    assert "medbench audit 'folder[patient=a b]' --data FOLDER" in commands(own)


@pytest.mark.parametrize("width", [80, 120])
def test_a_command_that_comes_next_is_never_broken(width: int) -> None:
    long = "folder[patient=(?i)(?:^|[/_. ,-])(?:p|pat|patient|case|subject)[-_ ]?([0-9]+)]"
    own = board(row("balanced"), warnings=(f"{long}: too few",), source={"dataset": long})
    lines = step_lines(next_steps([own]), Screen(width))

    assert lines[0].startswith(" Next:  medbench report ")
    assert [line.strip() for line in lines if "audit" in line] == [f"medbench audit '{long}' --data FOLDER"]
    assert [line for line in lines if columns(line) > width and "audit" not in line] == []
    assert [line[len(" Next:  ") :].startswith("medbench") for line in lines] == [True, True, False, True][: len(lines)]


def test_answer_table_reason_warnings_in_this_order_and_the_rest_behind_a_flag() -> None:
    warned = ("phantom:ddti: brightness alone predicts the class",)
    text = render([short(in_short(UNCLEAR), source={"dataset": "phantom:ddti"}, warnings=warned)], "table")
    parts = (
        "No verdict (practice run): +1.4",
        " method ",
        " └ + rotations",
        "Guessing gives",
        "Practice run",
        SYNTHETIC,
        "Warning: ",
        " 2 more notes: ",
    )

    assert [text.count(part) for part in parts] == [1] * len(parts)
    assert sorted(parts, key=text.index) == list(parts)
    assert text.rstrip().endswith(" 2 more notes: medbench leaderboard --wide; words: medbench glossary")


def test_a_set_that_does_not_know_its_patients_says_so_first() -> None:
    unknown = {"patients": 349, "notes": ["Nothing says which images show the same patient: each image counts."]}
    found = answer_of(short(in_short(UNCLEAR), source=unknown, warnings=("ddti: w",)))

    assert found.warnings == (UNKNOWN_PATIENTS, "Warning: w.")
    known = answer_of(short(in_short(UNCLEAR), source={"patients": 349}))
    assert UNKNOWN_PATIENTS not in known.warnings


def test_what_is_wrong_with_the_data_is_said_before_what_it_gives_away() -> None:
    said = (
        "toy: mean brightness alone predicts the class with AUROC .78: medbench audit toy",
        "toy: 4 pairs of nearly equal pictures stand under different labels: medbench audit toy",
        "toy: official[overlap=drop] trains without 255 of 2,870 images, which share a patient",
        f"toy: {PARTS}: image size alone tells training from test images of one class with AUROC .9",
    )
    shown = answer_of(board(row("balanced"), row("geometric", control="balanced"), warnings=said)).warnings

    own = [text for text in shown if text.startswith("Warning: ")]
    assert ["brightness" in text for text in own[:3]] == [False] * 3
    assert "AUROC .9." in " ".join(own)


def test_recalls_of_rare_classes_and_a_family_beyond_the_table_are_said_below_it() -> None:
    gain = judged({"gain": UNCLEAR}).gain
    assert gain is not None
    rows = row("balanced", 3), row("mixup", 3, control="balanced", gain=UNCLEAR)
    rare = {"class_patients": [80, 40, 7]}
    text = "\n".join(mark_notes(dataclasses.replace(board(*rows, classes=("a", "b", "df"), source=rare))))

    assert "Recall of df (7 patients) and its gain over the method above it, no interval: mixup " in text
    assert "Recall of a " not in text
    assert ("Intervals allow for" in text) == (gain.comparisons > 1)


@pytest.mark.parametrize("form", ["table", "markdown", "latex"])
def test_a_verdict_of_networks_that_were_barely_trained_says_so_above_the_table(form: str) -> None:
    whole = board(row("balanced"), one(BETTER, auroc=0.051))
    few = whole.study.model_copy(update={"budget": whole.study.budget.model_copy(update={"steps": 60})})
    said = "Networks were barely trained (60 steps): this shows that everything works, not which method helps."
    text = " ".join(render([dataclasses.replace(whole, study=few)], form).split())

    assert "Yes: +18.1 points" in text
    assert said in text
    assert text.index(said) < text.index("AUROC", text.index(said))
    assert said not in " ".join(render([whole], form).split())


def test_training_twice_as_long_is_not_proposed_once_it_was_done() -> None:
    assert "--check-steps" in still_improving(["mixup"])
    assert still_improving(["mixup"], checked=True).endswith(
        "mixup still improved at its end in more than half of the folds."
    )
