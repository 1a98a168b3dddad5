"""Lines of a terminal with WIDTH columns: headings of two parts, sentences, and names too long for their column."""

from __future__ import annotations

from collections.abc import Iterable

from medbench.text import WIDTH, columns, cut, pad, wrapped


def in_two_parts(left: str, right: str, *, indent: str = " ") -> list[str]:
    """Return a heading as one line, or as two parts below each other where it is wider than a terminal.

    Args:
        left: Starts the line.
        right: Ends it.
        indent: Before the second part where it stands below.
    """
    if columns(left) + columns(right) + 2 <= WIDTH:
        return [left + pad(right, columns(left) - WIDTH)]
    first = [line.removeprefix(" ") for line in wrapped(left, WIDTH)]
    return [*first, *(f"{indent}{line.removeprefix(' ')}" for line in wrapped(right, WIDTH - len(indent)))]


def under(sentences: Iterable[str]) -> list[str]:
    """Return the sentences under a table, broken into lines; an empty one is an empty line."""
    return [line for sentence in sentences for line in (wrapped(sentence) if sentence else [""])]


def name_column(name: str, width: int) -> tuple[list[str], str]:
    """Return the lines that a name takes alone, and what stands in its column: nothing where it is as wide as that."""
    return ([], name) if columns(name) < width else ([cut(name, WIDTH)], "")


def joined(lines: Iterable[str], *, plain: bool = False) -> str:
    """Return lines as one text without blanks at their ends.

    Args:
        lines: From top to bottom.
        plain: Write a question mark for what is not ASCII.
    """
    text = "\n".join(line.rstrip() for line in lines)
    return text.encode("ascii", "replace").decode() if plain else text
