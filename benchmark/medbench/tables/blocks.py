"""Blocks that tables and reports are made of before a writer gives them a format: tables, sentences, figures.

Every text that enters a block through a function of this module is cleaned there, so no writer has to think of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from medbench.text import clean

LONGEST = 4000
"""Characters of a text of others that are shown; the rest is cut."""
_PLACES = re.compile(
    r"(?<![\w:/.<])(?:~/|[A-Za-z]:\\|/(?:home|root|tmp|var|mnt|media|data|work|Users|usr|opt|srv|scratch)\b)[^\s'\",;)<>]*"
)

_NUMBER = re.compile(r"[<>]?[+-]?[\d,.]+(?: (?:%|s|min|h)|[smh])?|[+-]?[\d.]+ \([^()]*\)|n/a|\.\d+")


def text_of(text: object) -> str:
    """Clean a text, cut it to LONGEST characters, and leave the folders of this machine out of it."""
    cleaned = clean(str(text))
    return placeless(cleaned if len(cleaned) <= LONGEST else f"{cleaned[: LONGEST - 3]}...")


def placeless(text: str) -> str:
    """Leave the folders of this machine out of a text; a path keeps its last part."""
    return _PLACES.sub(lambda found: "(path)/" + re.split(r"[/\\]", found.group().rstrip("/\\"))[-1], text)


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What is shown.
        order: What the column is sorted by; None stands last.
        depth: How deep it stands in a tree.
        kind: A word that styles the cell: a verdict, or empty.
        title: What a page shows when it is pointed at, as the recipe behind a name; may be empty.
        span: Low end, gain and high end in points, which a page draws as a bar; None where nothing is drawn.
    """

    text: str
    order: float | str | None = None
    depth: int = 0
    kind: str = ""
    title: str = ""
    span: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: One sentence that says what it shows; may be empty.
        columns: Titles; the first column names the rows.
        rows: As many cells each as there are columns.
        sortable: Whether a page offers to sort and filter it.
        label: A short name without blanks, unique in a report.
        numeric: Whether each column holds numbers; empty where :func:`numeric_columns` finds out.
        band: Points on both sides of 0 that are not relevant, for the bars of its cells.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sortable: bool = False
    label: str = ""
    numeric: tuple[bool, ...] = ()
    band: float = 0.0


@dataclass(frozen=True)
class Picture:
    """A figure or a sheet of images.

    Attributes:
        alt: What it says, for those who do not see it.
        caption: Stands below it.
        form: "svg" or "png".
        light: Bytes of the file.
        dark: The same for a dark page; empty where one serves both.
        narrow: Both again for the width of a phone; empty where one serves all widths.
    """

    alt: str
    caption: str
    form: str
    light: bytes
    dark: bytes = b""
    narrow: tuple[bytes, bytes] | tuple[()] = ()


@dataclass(frozen=True)
class Sheet:
    """Images in rows, each under its own name.

    Attributes:
        caption: Stands below it.
        rows: Name and bytes of a PNG file of each row.
    """

    caption: str
    rows: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Sentences:
    """Sentences, each a line of its own where `is_list`."""

    texts: tuple[str, ...]
    is_list: bool = False


@dataclass(frozen=True)
class Notes:
    """Sentences under a table, a line each; empty ones are left out."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Heading:
    """A heading: of a document (level 0), of a section (1), or below it (2, 3)."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Source:
    """Text that is to be copied as it is: BibTeX."""

    text: str
    language: str = "bibtex"


Block = Table | Picture | Sheet | Sentences | Notes | Heading | Source


@dataclass(frozen=True)
class Fold:
    """Blocks that a page shows when they are asked for; other formats show them as they are."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Section:
    """A section; `name` is unique and serves as its anchor."""

    name: str
    title: str
    blocks: tuple[Block | Fold, ...]


def say(*texts: object, is_list: bool = False) -> Sentences:
    """Return cleaned sentences; empty ones are left out."""
    return Sentences(tuple(cleaned for text in texts if (cleaned := text_of(text).strip())), is_list)


def fold(title: object, *blocks: Block) -> Fold:
    """Return blocks that a page shows when they are asked for, without sentences that turned out to say nothing."""
    return Fold(text_of(title), tuple(b for b in blocks if not isinstance(b, Sentences) or b.texts))


def heading(text: object) -> Heading:
    """Return a cleaned heading."""
    return Heading(text_of(text))


# One keyword per attribute of a cell.
def cell(
    value: Any,
    order: float | str | None = None,
    *,
    depth: int = 0,
    kind: str = "",
    title: str = "",
    span: tuple[float, float, float] | None = None,
) -> Cell:
    """Return a cleaned cell; it is sorted by its text where nothing else is given.

    Args:
        value: None is an empty cell.
        order: What it is sorted by.
        depth: How deep it stands in a tree.
        kind: Of a verdict.
        title: What a page shows when it is pointed at.
        span: Low end, gain and high end in points, drawn as a bar.
    """
    text = "" if value is None else text_of(value)
    if isinstance(order, str):
        order = text_of(order)
    if isinstance(order, float) and order != order:
        order = None
    return Cell(text, order if order is not None else (text or None), depth, text_of(kind), text_of(title), span)


def table(
    caption: object,
    columns: Sequence[object],
    rows: Iterable[Sequence[Cell | object]],
    *,
    label: str,
    sortable: bool = False,
    band: float = 0.0,
) -> Table:
    """Return a cleaned table; values that are no cells become one.

    Raises:
        ValueError: If a row has not as many cells as there are columns.
    """
    made = tuple(tuple(c if isinstance(c, Cell) else cell(c) for c in row) for row in rows)
    if any(len(row) != len(columns) for row in made):
        raise ValueError(f"a row of {label} has not {len(columns)} cells")
    return Table(text_of(caption), tuple(map(text_of, columns)), made, sortable, label, band=band)


def grid(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    numeric: Sequence[bool],
    caption: str = "",
    label: str = "",
) -> Table:
    """Return a table of texts as they are, but for what a terminal obeys.

    Args:
        columns: Titles.
        rows: As many texts each as there are columns.
        numeric: Whether each column holds numbers.
        caption: Stands above it; may be empty.
        label: What LaTeX refers to it by; empty without a caption.
    """
    cells = tuple(tuple(c if isinstance(c, Cell) else Cell(clean(c)) for c in row) for row in rows)
    return Table(clean(caption), tuple(map(clean, columns)), cells, numeric=tuple(numeric), label=label)


def notes(texts: Iterable[str]) -> Notes:
    """Return sentences as they are, but for what a terminal obeys."""
    return Notes(tuple(clean(text) for text in texts if text))


def numeric_columns(table: Table) -> list[bool]:
    """Return for each column whether it holds numbers, which stand at the right."""
    if table.numeric:
        return list(table.numeric)
    found = []
    for column in range(len(table.columns)):
        cells = [row[column] for row in table.rows if row[column].text]
        numbers = sum(isinstance(c.order, float) or _NUMBER.fullmatch(c.text) is not None for c in cells)
        found.append(2 * numbers > len(cells))
    return found
