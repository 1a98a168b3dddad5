"""``medbench list``: a line each, filters, JSON, as wide as the terminal and whole in a pipe."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from medbench.cli import list as listing
from medbench.registry import descriptions
from medbench.registry.dataset_facts import FACTS, facts_of
from medbench.registry.plugins import load


def listed(*arguments: str) -> str:
    ended = CliRunner().invoke(listing.list_kind, arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


@pytest.mark.parametrize("kind", listing.KINDS)
def test_every_kind_has_a_line_each_and_as_many_rows_of_json(kind: str) -> None:
    rows = json.loads(listed(kind, "--json"))
    lines = listed(kind).splitlines()

    assert lines[0].split()[:2] == ["name", "what"]
    assert [line.split()[0] for line in lines[1 : len(rows) + 1]] == [row["name"] for row in rows]
    assert all(row["what"] for row in rows)
    assert not any(word in listed(kind) for word in ("made ", " arm ", "rehearsal", "phantom", "placebo"))


def test_facts_tell_data_sets_apart_and_are_those_of_the_recipes() -> None:
    catalogue = load(installed=False)
    rows = {row["name"]: row for row in json.loads(listed("datasets", "--json"))}

    for text, facts in FACTS.items():
        recipe = catalogue.resolve("dataset", text)
        assert rows[text]["what"] == facts.what
        for of_recipe in filter(None, (getattr(recipe, "classes", None), _released(recipe, "classes"))):
            assert len(of_recipe) == facts.classes, text
        if (dimensions := _released(recipe, "dimensions")) is not None:
            assert (dimensions, recipe.card.licence) == (facts.dimensions, facts.licence), text
        assert hasattr(recipe, "fetch") == (facts.get == "download"), text
    assert len({row["what"] for name, row in rows.items() if name.startswith("vindr")}) == 5
    assert sum(name.startswith("medmnist") for name in rows) == 17
    assert set(catalogue.names("dataset")) <= {text.partition("[")[0] for text in FACTS}
    assert facts_of("medmnist[flag=octmnist,resolution=64]") == FACTS["medmnist[flag=octmnist]"]
    assert facts_of("toy") is None


def _released(recipe: object, name: str) -> object:
    return getattr(getattr(recipe, "release", None), name, None)


def test_everything_built_in_is_described_in_plain_words() -> None:
    catalogue = load(installed=False)
    for kind, table in descriptions._TABLES.items():
        assert set(table) == set(catalogue.names(kind))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("datasets", "ultrasound"), ["ddti", "ddti:benign-malignant", "ddti:tirads", "medmnist[flag=breastmnist]"]),
        (("datasets", "--modality", "mri"), ["brain-tumour", "brain-tumour:slices", "source-brain-tumour:slices"]),
        (("datasets", "--3d", "--download", "ct"), [f"medmnist[flag={n}mnist3d]" for n in
                                                    ("organ", "nodule", "adrenal", "fracture")]),
        (("classifiers", "--no-gpu"), ["small-cnn", "frozen"]),
        (("classifiers", "--3d", "resnet"), ["resnet10-3d", "resnet18-3d", "monai"]),
        (("methods", "smote"), ["feature-smote"]),
        (("augmenters", "nothing-like-it"), []),
    ],
)  # fmt: skip
def test_filters_keep_what_fits(arguments: tuple[str, ...], names: list[str]) -> None:
    found = [row["name"] for row in json.loads(listed(*arguments, "--json"))]

    assert set(names) == set(found) if len(names) < 4 or "ultrasound" in arguments else set(names) <= set(found)
    if not names:
        assert "none of 43 fits" in listed(*arguments)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_terminal_is_filled_and_never_overrun(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    shown: list[str] = []
    monkeypatch.setattr(listing.click, "echo", lambda text="": shown.append(text))
    monkeypatch.setattr(listing.sys, "stdout", type("Terminal", (), {"isatty": staticmethod(lambda: True)})())
    monkeypatch.setenv("COLUMNS", str(width))
    rows = listing.list_rows(load(installed=False), "datasets")
    listing.print_rows("datasets", rows, len(rows))
    table = shown[: len(rows) + 1]

    assert max(map(len, table)) <= width
    assert ("licence" in table[0]) == (width == 200)
    assert ("In a wider terminal" in shown[len(rows) + 2]) == (width < 200)
    assert ("classes" in table[0]) == (width > 80)
    assert sum(row.endswith("...") for row in table) <= (30 if width == 60 else 6)


def test_alone_it_says_what_can_be_listed() -> None:
    assert [line.split()[2] for line in listed().splitlines()] == list(listing.KINDS)
