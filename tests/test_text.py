"""Numbers with their nouns."""

from __future__ import annotations

import pytest

import medbench
from medbench.text import counted, of_class, wrapped


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


def test_a_class_called_like_a_number_is_not_read_as_one() -> None:
    assert (of_class(1200, "benign"), of_class(8, "3"), of_class(8, "2b")) == (
        "1,200 benign", "8 of class 3", "8 of class 2b"
    )  # fmt: skip


def test_plugins_may_count_too() -> None:
    assert medbench.counted is counted


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("recall of micro_calcification_cluster, %", ["recall of", "micro_", "calcification_", "cluster, %"]),
        ("recall of non-small-cell-carcinoma, %", ["recall of", "non-small-cell-", "carcinoma, %"]),
        ("recall of adenocarcinomatosis, %", ["recall of", "adenocarcinomato", "sis, %"]),
        ("a/very/long/path/to/somewhere", ["a/very/long/", "path/to/", "somewhere"]),
    ],
)
def test_long_words_are_broken_at_their_joints(text: str, lines: list[str]) -> None:
    assert [line[1:] for line in wrapped(text, 17)] == lines
