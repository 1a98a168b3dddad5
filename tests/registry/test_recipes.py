"""Recipes as text and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import medbench
from medbench.errors import UsageError
from medbench.registry.describe_recipe import describe
from medbench.registry.plugins import load
from medbench.registry.recipes import configure, parse, spec_of, split_list


@dataclass(frozen=True)
class Example:
    name: str = "example"
    steps: int = 5
    rate: float = 0.5
    fill: Literal["equal", "balance"] = "equal"
    on: bool = False
    file: Path | None = None
    parts: tuple[str, ...] = ("a",)


def nothing(kind: str, name: str) -> object:
    raise UsageError(f"no {kind} {name}")


def test_a_name_with_nested_parameters_is_read() -> None:
    spec = parse("hybrid[generator=acgan[steps=500,width=8],fill=balance]")

    assert spec.name == "hybrid"
    assert spec.parameters == (("generator", "acgan[steps=500,width=8]"), ("fill", "balance"))
    assert str(spec) == "hybrid[generator=acgan[steps=500,width=8],fill=balance]"


@pytest.mark.parametrize("text", ["", "a[b", "a]b", "a[b=1]]", "a[b]", "a[=1]", "a[b=1,b=2]", "a[b=[1]", "-x", "a b"])
def test_what_is_not_a_recipe_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    try:
        spec = parse(text)
    except UsageError:
        return
    assert parse(str(spec)) == spec


def test_values_take_the_types_of_the_fields() -> None:
    made = configure(
        Example(),
        [("steps", "7"), ("rate", "1e-3"), ("fill", "balance"), ("on", "yes"), ("file", "x/y.bin"), ("parts", "b+c")],
        nothing,
    )

    assert made == Example(steps=7, rate=1e-3, fill="balance", on=True, file=Path("x/y.bin"), parts=("b", "c"))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("steps", "1e3", "whole number"),
        ("rate", "fast", "expected a number"),
        ("fill", "balanced", "did you mean 'balance'"),
        ("on", "2", "true or false"),
        ("stesp", "3", "did you mean 'steps'"),
    ],
)
def test_a_wrong_parameter_names_what_is_expected(key: str, value: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        configure(Example(), [(key, value)], nothing)


def test_a_recipe_is_written_with_what_differs_from_the_registered_one() -> None:
    made = Example(steps=9, file=Path("dir/w.bin"), parts=("x", "y"))

    @dataclass(frozen=True)
    class Augmenter(Example):
        space = "pixels"
        gives = frozenset[str]()
        control = None

        def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
            return medbench.TrainingSet(train)

    text = spec_of(Augmenter(steps=9, file=made.file, parts=made.parts), lambda kind, name: Augmenter())

    assert text == "example[steps=9,file=dir/w.bin,parts=x+y]"
    assert configure(Example(), parse(text).parameters, nothing) == made


def test_every_registered_recipe_is_written_by_its_name_and_read_back() -> None:
    catalogue = load(installed=False)
    for kind in ("dataset", "augmenter", "generator", "classifier"):
        for recipe in catalogue.items(kind):
            assert catalogue.spec(recipe) == recipe.name
            assert catalogue.resolve(kind, recipe.name) == recipe


def test_a_nested_recipe_is_resolved_among_its_kind() -> None:
    hybrid = load(installed=False).resolve("augmenter", "hybrid[generator=acgan[steps=7]]")

    assert hybrid.generator.steps == 7
    assert load(installed=False).spec(hybrid) == "hybrid[generator=acgan[steps=7]]"


def test_a_file_counts_by_its_content_and_not_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")

    assert describe(Example(file=tmp_path / "a")) == describe(Example(file=tmp_path / "b"))


def test_a_list_is_split_outside_brackets() -> None:
    assert split_list("a, b[c=1,d=e[f=2,g=3]] ,h") == ["a", "b[c=1,d=e[f=2,g=3]]", "h"]


@dataclass(frozen=True)
class Outer:
    name: str = "outer"
    inner: Example = field(default_factory=Example)


def test_a_nested_dataclass_is_described_whole() -> None:
    assert describe(Outer(inner=Example(steps=6)))["inner"] == {"recipe": "recipe:example", "steps": 6}
