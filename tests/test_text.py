"""Numbers with their nouns, and the count of a run's progress."""

from __future__ import annotations

import pytest

import medbench
from medbench.api.terminal_progress import Display
from medbench.text import counted


@pytest.mark.parametrize(
    ("number", "noun", "verb", "said"),
    [
        (1, "image", "", "1 image"),
        (0, "image", "", "0 images"),
        (1200, "image", "", "1,200 images"),
        (2, "study", "", "2 studies"),
        (2, "display", "", "2 displays"),
        (1, "case", "have", "1 case has"),
        (2, "case", "have", "2 cases have"),
        (1, "file", "are", "1 file is"),
        (1, "image", "carry", "1 image carries"),
        (1, "patient", "share", "1 patient shares"),
        (3, "patient", "share", "3 patients share"),
    ],
)
def test_a_number_stands_with_its_noun(number: int, noun: str, verb: str, said: str) -> None:
    assert counted(number, noun, verb) == said


def test_plugins_may_count_too() -> None:
    assert medbench.counted is counted


def test_a_second_plan_is_counted_from_its_start(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        for plan, trials in (("study", 3), ("check", 2)):
            display.planned(stages=0, trials=trials, hits=0)
            for number in range(trials):
                display.started(f"{plan}{number}", plan, "trial")
                display.finished(f"{plan}{number}", "done", "")
    said = capsys.readouterr().err

    assert "3 trials and 0 generators to fit" in said
    assert [line.split(",")[0] for line in said.splitlines() if line.startswith("[")] == [
        "[1/3", "[2/3", "[3/3", "[1/2", "[2/2"
    ]  # fmt: skip
