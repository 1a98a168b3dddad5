"""What a table is before it has a format, and how it gets one: the same writers for every analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from medbench.tables.blocks import Block
from medbench.tables.writers.html import html
from medbench.tables.writers.latex import latex
from medbench.tables.writers.markdown import markdown
from medbench.tables.writers.terminal import PIPE, Screen, joined
from medbench.tables.writers.values import Values, to_csv, to_json

FORMATS = ("table", "md", "csv", "json", "latex")


@dataclass(frozen=True)
class Document:
    """One table with its sentences. Each part is made when a format asks for it.

    Attributes:
        lines: For a terminal.
        blocks: For Markdown and LaTeX.
        rows: For CSV and JSON.
    """

    lines: Callable[[Screen], Iterable[str]]
    blocks: Callable[[], Iterable[Block]]
    rows: Callable[[], Iterable[Values]]


def write(documents: Sequence[Document], form: str, screen: Screen = PIPE) -> str:
    """Write documents in one of FORMATS; CSV and JSON stay one list of rows.

    Args:
        documents: What to write.
        form: Member of FORMATS, or "html" for a fragment that a notebook shows.
        screen: What a terminal can show; 80 columns without colour by default.
    """
    if form in ("csv", "json"):
        rows = [row for one in documents for row in one.rows()]
        return to_csv(rows) if form == "csv" else to_json(rows)
    if form == "table":
        return "\n\n".join(joined(one.lines(screen), plain=screen.plain) for one in documents)
    blocks = [block for one in documents for block in one.blocks()]
    if form == "md":
        return markdown(blocks)
    if form == "html":
        return html(blocks)
    return latex("medbench", blocks).rstrip("\n")
