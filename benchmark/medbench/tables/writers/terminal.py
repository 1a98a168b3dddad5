"""Lines of a terminal: headings of two parts, sentences, tables, and names too long for their column."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medbench.text import WIDTH, columns, pad, wrapped

if TYPE_CHECKING:
    from rich.table import Table

WIDEST = 120
"""Columns; a longer line is hard to follow."""


@dataclass(frozen=True)
class Screen:
    """What lines are written for.

    Attributes:
        width: Columns.
        colour: Whether colours and weights may be used.
        plain: ASCII only.
    """

    width: int = WIDTH
    colour: bool = False
    plain: bool = False

    def bold(self, text: str) -> str:
        """Return a text in bold where that can be shown."""
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text


PIPE = Screen()
"""80 columns, no colour."""


def screen_of(stream: Any, *, plain: bool = False) -> Screen:
    """Return what a stream can show: a terminal its width and colours unless NO_COLOR is set, a pipe 80 columns.

    Args:
        stream: A text stream, as ``sys.stdout``.
        plain: ASCII only, whatever its encoding.
    """
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    no_colour = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "") in ("", "dumb")
    width = WIDTH
    if is_terminal or os.environ.get("COLUMNS", "").isdecimal():
        width = min(WIDEST, max(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))
    return Screen(width, is_terminal and not no_colour, plain or not encoding.startswith("utf"))


def draw_table(table: Table, screen: Screen) -> list[str]:
    """Return the lines of a table of rich; its cells are texts, without markup."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(),
        width=screen.width,
        force_terminal=screen.colour,
        color_system="standard" if screen.colour else None,
        no_color=not screen.colour,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    with console.capture() as found:
        console.print(table)
    return [line.rstrip() for line in found.get().rstrip("\n").split("\n")]


def in_two_parts(left: str, right: str, *, indent: str = " ", width: int = WIDTH) -> list[str]:
    """Return a heading as one line, or as two parts below each other where it is wider than a terminal.

    Args:
        left: Starts the line.
        right: Ends it.
        indent: Before the second part where it stands below.
        width: Columns of the terminal.
    """
    if columns(left) + columns(right) + 2 <= width:
        return [left + pad(right, columns(left) - width)]
    first = [line.removeprefix(" ") for line in wrapped(left, width)]
    return [*first, *(f"{indent}{line.removeprefix(' ')}" for line in wrapped(right, width - len(indent)))]


def under(sentences: Iterable[str], width: int = WIDTH) -> list[str]:
    """Return the sentences under a table, broken into lines; an empty one is an empty line."""
    return [line for sentence in sentences for line in (wrapped(sentence, width - 1) if sentence else [""])]


def name_column(name: str, width: int) -> tuple[list[str], str]:
    """Return the lines that a name takes alone, and what stands in its column: nothing where it is as wide as that."""
    return ([], name) if columns(name) < width else (wrapped(name), "")


def joined(lines: Iterable[str], *, plain: bool = False) -> str:
    """Return lines as one text without blanks at their ends.

    Args:
        lines: From top to bottom.
        plain: Write a question mark for what is not ASCII.
    """
    text = "\n".join(line.rstrip() for line in lines)
    return text.encode("ascii", "replace").decode() if plain else text
