r"""Tables as LaTeX that stay inside their margins, whatever the texts of others hold.

A table that fits keeps its natural columns; in one that does not, texts are broken into lines, and one with too many
columns is cut into several under the same first column. Widths are in em of the size that tables are set in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medbench.tables.blocks import Cell, Table, numeric_columns
from medbench.tables.writers.latex_text import cut_to_width, ems, pieces, tex, with_minus

ROOM = 41.0
r"""What a line of an article holds, in em of ``\footnotesize``: 345 pt / 8 pt, and a little less."""
GAP = 0.6  # em between two columns: twice \tabcolsep
COMFORT = 5.0  # em that a column is given, if it has as much to say, before a table is cut
STEP, DEEPEST = 0.8, 6  # em of a level of the tree, and levels that are told apart
TITLE, CAPTION, CELL = 40.0, 400.0, 200.0  # em of a title, a heading or a caption, and a cell: a row fits on a page


def table(block: Table, stem: str) -> Iterator[str]:
    r"""Yield the lines of a table as longtables, each with its caption and label; columns without a text are left out.

    Args:
        block: The table.
        stem: What labels start with.
    """
    numeric = numeric_columns(block)
    filled = [n for n in range(len(block.columns)) if not n or not block.rows or any(row[n].text for row in block.rows)]
    columns = [_Column(block, number, numeric[number]) for number in filled]
    groups = _cut(columns)
    for number, group in enumerate(groups, start=1):
        part = f" Part {number} of {len(groups)}." if len(groups) > 1 else ""
        caption = f"{tex(block.caption, CAPTION)}{part}".lstrip()
        label = rf"\label{{{stem}-{block.label}{f'-{number}' if part else ''}}}" if block.label else ""
        heads = " & ".join(tex(block.columns[column.number], TITLE) for column in group) + r" \\"
        yield rf"\begin{{longtable}}{{@{{}}{''.join(_specification(group))}@{{}}}}"
        if caption:
            yield rf"\caption[]{{{caption}}}{label} \\"
        yield from (r"\toprule", heads, r"\midrule \endfirsthead")
        yield from (r"\toprule", heads, r"\midrule \endhead", r"\bottomrule \endfoot")
        for row in block.rows:
            yield " & ".join(_cell(row[column.number]) for column in group) + r" \\"
        yield r"\end{longtable}"


class _Column:
    """What is known of a column: how wide it would be, with its title and without, and how narrow it can be."""

    def __init__(self, block: Table, number: int, numeric: bool) -> None:
        cells = [row[number] for row in block.rows]
        title = cut_to_width(with_minus(block.columns[number]), TITLE)
        texts = [cut_to_width(with_minus(cell.text), CELL) for cell in cells]
        indents = [_indent(cell) for cell in cells]
        self.number, self.numeric = number, numeric
        self.wish = max([ems(title), *(i + ems(text) for i, text in zip(indents, texts, strict=True))])
        self.comfort = max(i + ems(text) for i, text in zip([0.0, *indents], ["", *texts], strict=True))
        self.least = max([_longest(title), *(i + _longest(text) for i, text in zip(indents, texts, strict=True))])


def _longest(text: str) -> float:
    return max(ems(piece) for word in text.split(" ") for piece in pieces(word) or [""])


def _indent(cell: Cell) -> float:
    return STEP * min(cell.depth, DEEPEST)


def _room(columns: Sequence[_Column]) -> float:
    return ROOM - GAP * (len(columns) - 1)


def _cut(columns: Sequence[_Column]) -> list[list[_Column]]:
    """Cut columns into groups that fit, each with the first column."""
    first, rest = columns[0], columns[1:]
    groups: list[list[_Column]] = [[first]]
    for column in rest:
        tried = [*groups[-1], column]
        if len(groups[-1]) > 1 and sum(max(c.least, min(c.comfort, COMFORT)) for c in tried) > _room(tried):
            groups.append([first, column])
        else:
            groups[-1] = tried
    return groups


def _specification(columns: Sequence[_Column]) -> Iterator[str]:
    if sum(column.wish for column in columns) <= _room(columns):
        yield from ("r" if column.numeric else "l" for column in columns)
        return
    widths = shared([c.wish for c in columns], [c.least for c in columns], _room(columns))
    for column, width in zip(columns, widths, strict=True):
        side = r"\raggedleft" if column.numeric else r"\raggedright"
        share = f"{int(1000 * width / sum(widths)) / 1000:.3f}"  # rounded down
        gaps = rf"\dimexpr\linewidth-{2 * len(columns) - 2}\tabcolsep\relax"
        yield rf">{{{side}\arraybackslash\hspace{{0pt}}}}p{{{share}{gaps}}}"


def shared(wishes: Sequence[float], least: Sequence[float], room: float) -> list[float]:
    """Share a room among columns: none wider than it wishes or narrower than it must, the widest give first.

    Args:
        wishes: What each would take.
        least: What each must have; at most its wish.
        room: To be shared; where the least take more, they are what is returned.
    """
    low, high = 0.0, max(wishes)
    for _ in range(60):
        middle = (low + high) / 2
        if sum(max(m, min(w, middle)) for w, m in zip(wishes, least, strict=True)) > room:
            high = middle
        else:
            low = middle
    return [max(m, min(w, low)) for w, m in zip(wishes, least, strict=True)]


def _cell(cell: Cell) -> str:
    indent = f"{_indent(cell):.1f}em"
    return (rf"\hangindent={indent}\hangafter=1\hspace*{{{indent}}}" if cell.depth else "") + tex(cell.text, CELL)
