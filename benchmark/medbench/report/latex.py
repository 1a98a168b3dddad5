r"""Texts and tables of a report as LaTeX that stays inside its margins, whatever the texts of others hold.

Widths are those of Computer Modern and a little more, in em of the size that tables are set in, since only an engine
knows the font of the document. A table that fits keeps its natural columns; in one that does not, texts are broken into
lines, and one with too many columns is cut into several under the same first column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from medbench.report.blocks import Cell, Table, numeric_columns
from medbench.tables.latex import escape_latex, with_minus

ROOM = 41.0
r"""What a line of an article holds, in em of ``\footnotesize``: 345 pt / 8 pt, and a little less."""
GAP = 0.6  # em between two columns: twice \tabcolsep
COMFORT = 5.0  # em that a column is given, if it has as much to say, before a table is cut
STEP, DEEPEST = 0.8, 6  # em of a level of the tree, and levels that are told apart
WHOLE, PIECE = 16, 8  # a longer word without a place to break is broken into pieces
_PLACES = re.compile(r"(?<=[:/_=;@\])}|+-])(?=[^\s:/_=,.;@\])}|+-])|(?<=[,.])(?=[^\W\d])|(?=[\[({])|(?<=[\[({])")
LETTER, UNKNOWN = 110, 550  # hundredths of an em of a letter with an accent, and of [U+4E2D]
TITLE, CAPTION, CELL = 40.0, 400.0, 200.0  # em of a title, a heading or a caption, and a cell: a row fits on a page
CHARACTER = (
    r"\def\medbenchcharacter#1#2{\ifcsname u8:\detokenize{#1}\endcsname\else"
    r"\expandafter\def\csname u8:\detokenize{#1}\endcsname{[U+#2]}\fi}"
)
"""Defines a character under the name by which inputenc calls it, unless it is defined."""
_BEYOND = re.compile(r"[^\x00-\u017f\u2212]")
_RUNS = re.compile(r"[\x00-\u017f\u2212]+|.", re.DOTALL)  # what has no width that we know stands alone
_SHORT = 12  # a word as short as this is never broken
_WIDTHS = {  # hundredths of an em, of ecrm0800
    c: width
    for width, found in {
        30: "!',.:;[]`il|", 32: "fj", 35: "-", 36: " ", 38: "I", 41: "()rt", 42: "s", 47: "cez", 50: "?", 55: "J",
        53: '"$*/0123456789\\ago{}', 56: "kqvxy", 59: "Sbdhnpu", 65: "Z^~", 66: "L", 69: "F", 72: "EP", 75: "B",
        77: "CTw", 78: "R", 80: "AHNUVXY", 81: "D", 83: "&+<=>@GKOQ_\u2212", 89: "#%m", 97: "M", 109: "W",
    }.items()
    for c in found
}  # fmt: skip


def tex(text: str, room: float | None = None) -> str:
    """Write a text so that LaTeX shows it as it is, and may break its long words.

    A minus sign before a number becomes one. Characters that the engine may not know are left to :func:`characters`.

    Args:
        text: Without control characters.
        room: Where it is wider than so many em, its end is left out.
    """
    kept = _cut_text(with_minus(text), room) if room else with_minus(text)
    words = [r"\allowbreak{}".join(map(escape_latex, pieces(word))) for word in kept.split(" ")]
    return " ".join(words)


def pieces(word: str) -> list[str]:
    """Return the parts of a word that may stand on lines of their own: behind punctuation, at last anywhere."""
    if len(word) <= _SHORT and not _BEYOND.search(word):
        return [word]
    found = []
    for part in _PLACES.split(word):
        for run in _RUNS.findall(part):
            size = len(run) if len(run) <= WHOLE else PIECE
            found += [run[start : start + size] for start in range(0, len(run), size)]
    return found


def characters(text: str) -> Iterator[str]:
    r"""Yield a line for each character beyond ASCII in `text`: what to show where the engine does not know it.

    An engine of 8 bits, as pdfLaTeX, stops at such a character. Those it knows, from inputenc or from a package of the
    document, stay as they are, and engines that read Unicode never use what these lines define.
    """
    beyond = sorted({c for c in text if not c.isascii()})
    if beyond:
        yield CHARACTER
    for c in beyond:
        yield rf"\medbenchcharacter{{{c}}}{{{ord(c):04X}}}"


def table(block: Table, stem: str) -> Iterator[str]:
    r"""Yield the lines of a table as longtables, each with a caption and a label; columns without a word are left out.

    Args:
        block: The table.
        stem: What labels start with.
    """
    numeric = numeric_columns(block)
    said = [n for n in range(len(block.columns)) if not n or not block.rows or any(row[n].text for row in block.rows)]
    columns = [_Column(block, number, numeric[number]) for number in said]
    groups = _cut(columns)
    for number, group in enumerate(groups, start=1):
        part = f" Part {number} of {len(groups)}." if len(groups) > 1 else ""
        caption = tex(block.caption, CAPTION) + part
        label = f"{stem}-{block.label}{f'-{number}' if part else ''}"
        heads = " & ".join(tex(block.columns[column.number], TITLE) for column in group) + r" \\"
        yield rf"\begin{{longtable}}{{@{{}}{''.join(_specification(group))}@{{}}}}"
        yield rf"\caption[]{{{caption}}}\label{{{label}}} \\"
        yield from (r"\toprule", heads, r"\midrule \endfirsthead")
        yield from (r"\toprule", heads, r"\midrule \endhead", r"\bottomrule \endfoot")
        for row in block.rows:
            yield " & ".join(_cell(row[column.number]) for column in group) + r" \\"
        yield r"\end{longtable}"


class _Column:
    """What is known of a column: how wide it would be, with its title and without, and how narrow it can be."""

    def __init__(self, block: Table, number: int, numeric: bool) -> None:
        cells = [row[number] for row in block.rows]
        title = _cut_text(with_minus(block.columns[number]), TITLE)
        texts = [_cut_text(with_minus(cell.text), CELL) for cell in cells]
        indents = [_indent(cell) for cell in cells]
        self.number, self.numeric = number, numeric
        self.wish = max([ems(title), *(i + ems(text) for i, text in zip(indents, texts, strict=True))])
        self.comfort = max(i + ems(text) for i, text in zip([0.0, *indents], ["", *texts], strict=True))
        self.least = max([_longest(title), *(i + _longest(text) for i, text in zip(indents, texts, strict=True))])


def ems(text: str) -> float:
    """Return about how wide a text is, in em, rather more than less."""
    return 0.0105 * sum(_WIDTHS.get(c, UNKNOWN if _BEYOND.match(c) else LETTER) for c in text)


def _cut_text(text: str, width: float) -> str:
    ends = [n for n, taken in enumerate(accumulate(map(ems, text)), start=1) if taken > width]
    return f"{text[: ends[0] - 1]}..." if ends else text


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
