"""Blocks as a fragment of HTML for a notebook: no style sheet, no script, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from medbench.tables.blocks import Block, Heading, Notes, Sentences, Table, numeric_columns


def html(blocks: Iterable[Block]) -> str:
    """Write headings, sentences and tables; pictures and sources are left out."""
    return "\n".join(line for block in blocks for line in _lines(block))


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"<h3>{escape(block.text)}</h3>"  # below a notebook's own sections, without a level left out
    elif isinstance(block, Sentences) and block.is_list:
        yield f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in block.texts)}</ul>"
    elif isinstance(block, Sentences | Notes):
        yield from (f"<p>{escape(text)}</p>" for text in block.texts if text)
    elif isinstance(block, Table):
        yield from _table(block)


def _table(block: Table) -> Iterator[str]:
    sides = ["right" if is_number else "left" for is_number in numeric_columns(block)]
    yield "<table>"
    if block.caption:
        yield f"<caption>{escape(block.caption)}</caption>"
    heads = [
        f'<th style="text-align:{s};padding:0 .5em">{escape(c)}</th>' for s, c in zip(sides, block.columns, strict=True)
    ]
    yield f"<thead><tr>{''.join(heads)}</tr></thead><tbody>"
    for row in block.rows:
        cells = zip(sides, row, strict=True)
        made = (
            f'<td style="text-align:{s};padding:0 .5em 0 {c.depth + 0.5}em">{escape(c.text)}</td>' for s, c in cells
        )
        yield f"<tr>{''.join(made)}</tr>"
    yield "</tbody></table>"
