"""Every comparison of every entry that is in force, and the grid of methods and data sets that they fill.

A result is one method compared with the method above it, on one data set, with one classifier, under one protocol that
leaks nothing. Withdrawn and replaced entries have none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medbench.errors import UsageError
from medbench.registry.display_names import (
    GENERATORS,
    METHODS,
    OF_GENERATORS,
    classifier_name,
)
from medbench.registry.recipes import parse
from medbench.site import protocol_pages
from medbench.site.data_cards import NOT_STATED, data_modality, data_name
from medbench.site.order_entries import Line, is_practice, requested_arms, table_line
from medbench.site.read_entries import Published
from medbench.site.safe_texts import slug
from medbench.statistics.verdicts import WORDS

NO_WORD = "no verdict"
WITHOUT = "without a verdict"
_TIERS = ("reproduced", "recomputed", "claimed")


@dataclass(frozen=True)
class Result:
    """One comparison.

    Attributes:
        published: Its entry.
        number: Of its table within the entry, from 0.
        board: The table's JSON values.
        line: The method as tables show it.
        asked: Whether the study asked for it; others came along as references.
        tier: In force.
        images: Mean number of real images that a training run learned from; None where the bundle does not say.
    """

    published: Published
    number: int
    board: Mapping[str, Any] = field(repr=False)
    line: Line
    asked: bool
    tier: str
    images: float | None

    @property
    def is_synthetic(self) -> bool:
        """Whether the images were drawn by medbench."""
        return bool(self.board["phantom"])

    @property
    def is_practice(self) -> bool:
        """Whether it is of a practice run, so that no verdict was possible."""
        return is_practice(self.board)

    @property
    def link(self) -> str:
        """Where it stands, from the folder of the site."""
        return f"entries/{self.published.entry['id']}.html#board-{self.number + 1}"

    @property
    def dimensions(self) -> str:
        """``2-D``, ``3-D``, or "" where the bundle does not say."""
        found = self.published.dimensions.get(self.board["dataset"])
        return f"{found}-D" if found else ""

    @property
    def facets(self) -> dict[str, str]:
        """What pages filter by, as people read it."""
        word = self.line.word
        return {
            "modality": data_modality(self.board["dataset"]) or NOT_STATED,
            "dimensions": self.dimensions or "not known",
            "classifier": classifier_name(self.board["classifier"]),
            "verdict": WORDS[word].text if word else NO_WORD,
            "tier": self.tier,
        }

    @property
    def why(self) -> str:
        """Two words for a verdict that is withheld; "" where there is one."""
        if self.line.word:
            return ""
        return "practice run" if self.is_practice else self.line.short_why or NO_WORD

    @property
    def place(self) -> tuple[Any, ...]:
        """What sorts results of one cell of the grid: the best supported first."""
        size = self.images if self.images is not None else math.inf
        return (
            _TIERS.index(self.tier), not self.line.word, -size, *protocol_pages.place(self.board["protocol"])[3:],
            _reversed(self.published.date), self.published.entry["id"], self.number,
        )  # fmt: skip


@dataclass(frozen=True)
class Method:
    """A method with what it is compared with: a row of the grid and a page.

    Attributes:
        name: What people read.
        control: Name of the method it is compared with.
        recipe: What commands call it.
        slug: File name of its page.
        results: All of it, the best supported first.
    """

    name: str
    control: str
    recipe: str
    slug: str
    results: tuple[Result, ...] = field(repr=False)


@dataclass(frozen=True)
class Grid:
    """Methods and data sets, and which results stand where they meet.

    Attributes:
        methods: Rows, in the order in which methods build on each other.
        datasets: Columns: how results call them, real ones before synthetic ones.
        cells: For a row and column, one result a classifier, the best supported first.
        more: For a row and column, how many further results there are.
    """

    methods: tuple[Method, ...]
    datasets: tuple[str, ...]
    cells: Mapping[tuple[str, str], tuple[Result, ...]] = field(repr=False)
    more: Mapping[tuple[str, str], int] = field(repr=False)

    @property
    def shown(self) -> list[Result]:
        """Every result that stands in a cell, row by row."""
        return [r for m in self.methods for d in self.datasets for r in self.cells.get((m.slug, d), ())]


def current_results(entries: Iterable[Published]) -> list[Result]:
    """Return every comparison that has a gain, of entries in force and protocols that leak nothing."""
    found = []
    for published in entries:
        if not published.is_current:
            continue
        for number, board in enumerate(published.entry["boards"]):
            if board["leaks"]:
                continue
            asked = requested_arms(published, board)
            tier = published.history.tier if board["recomputed"] else "claimed"
            images = published.training.get((board["dataset"], board["protocol"]))
            found += [
                Result(published, number, board, table_line(row), any(row is one for one in asked), tier, images)
                for row in board["rows"]
                if row["control"] is not None and not row["plain"] and row["gain"] is not None
            ]
    return found


def methods_of(results: Iterable[Result]) -> list[Method]:
    """Sort results by method, in the order in which methods build on each other."""
    found: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        found.setdefault((result.line.recipe, result.line.name, result.line.control), []).append(result)
    methods = [
        Method(name, control, recipe, slug(f"{recipe} over {control}"), tuple(sorted(of_it, key=lambda r: r.place)))
        for (recipe, name, control), of_it in found.items()
    ]
    return sorted(methods, key=lambda m: (_order(m.recipe), m.name, m.control))


def grid_of(methods: Sequence[Method]) -> Grid:
    """Arrange results as methods and data sets."""
    datasets = {r.board["dataset"]: r.board["phantom"] for m in methods for r in m.results}
    cells: dict[tuple[str, str], tuple[Result, ...]] = {}
    more: dict[tuple[str, str], int] = {}
    for method in methods:
        for dataset in datasets:
            here = [r for r in method.results if r.board["dataset"] == dataset]
            first: dict[str, Result] = {}
            for result in here:
                first.setdefault(result.board["classifier"], result)
            if first:
                cells[method.slug, dataset] = tuple(first.values())
                more[method.slug, dataset] = len(here) - len(first)
    columns = sorted(datasets, key=lambda name: (datasets[name], data_name(name).casefold(), name))
    return Grid(tuple(methods), tuple(columns), cells, more)


def counts_of_words(results: Iterable[Result]) -> dict[str, int]:
    """Count verdicts as people read them, from better to worse; results without one last."""
    words = [WORDS[r.line.word].text if r.line.word else WITHOUT for r in results]
    return {word: n for word in (*(w.text for w in WORDS.values()), WITHOUT) if (n := words.count(word))}


def _order(recipe: str) -> int:
    """Place a method among those that medbench names; others come last."""
    known = (*METHODS, *OF_GENERATORS)
    try:
        spec = parse(recipe.partition(" / ")[0])
    except UsageError:
        return 2 * len(known)
    generator = dict(spec.parameters).get("generator", "")
    copied = generator.partition("[")[0] == "resample" or (generator and generator not in GENERATORS)
    return 2 * known.index(spec.name) + (not copied) if spec.name in known else 2 * len(known)


def _reversed(date: str) -> tuple[int, ...]:
    """Sort dates with the newest first."""
    return tuple(-int(part) for part in date.split("-"))
