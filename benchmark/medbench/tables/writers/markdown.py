"""Blocks as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from medbench.tables.blocks import Block, Heading, Notes, Picture, Sentences, Source, Table, numeric_columns
from medbench.text import clean

INDENT = "\u2003"
"""An em space, since Markdown drops the others; a level of the tree."""
_MARKS = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"})


def markdown(blocks: Iterable[Block]) -> str:
    """Write blocks as Markdown with an empty line between two of them; of a figure only what it shows."""
    return "\n\n".join("\n".join(_lines(block)) for block in blocks)


def escape_markdown(text: str) -> str:
    """Write a text so that Markdown shows it as it is."""
    return clean(text).translate(_MARKS)


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        text = escape_markdown(block.text)
        yield f"**{text}**" if block.level > 2 else f"{'#' * (block.level + 1)} {text}"
    elif isinstance(block, Sentences):
        for text in block.texts:
            yield f"- {escape_markdown(text)}" if block.is_list else f"{escape_markdown(text)}\n"
    elif isinstance(block, Notes):
        yield from (f"{escape_markdown(text)}  " for text in block.texts)  # two blanks end a line
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Source):
        fence = "`" * max([3, *(1 + len(run) for run in re.findall("`+", block.text))])
        yield from (f"{fence}{block.language}", block.text, fence)
    elif isinstance(block, Picture):
        yield f"*Figure, in the page: {escape_markdown(block.alt)}*"


def _table(block: Table) -> Iterator[str]:
    if block.caption:
        yield from (escape_markdown(block.caption), "")
    yield f"| {' | '.join(map(escape_markdown, block.columns))} |"
    numeric = numeric_columns(block)
    if not block.numeric:
        numeric[0] = False  # it names the rows
    yield f"| {' | '.join('---:' if is_number else '---' for is_number in numeric)} |"
    for row in block.rows:
        yield "| " + " | ".join(INDENT * cell.depth + escape_markdown(cell.text) for cell in row) + " |"
