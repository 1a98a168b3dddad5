r"""Blocks as LaTeX to ``\input`` into a document of one column; figures are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from medbench.tables.blocks import Block, Heading, Notes, Picture, Sentences, Source, Table
from medbench.tables.writers.latex_table import table
from medbench.tables.writers.latex_text import characters, tex

HEADING = 150.0  # em that a heading may take
TOGETHER = r"\par\penalty-100\relax\ifdim\dimexpr\pagegoal-\pagetotal\relax<0.2\textheight\newpage\fi"
"""Ends a page of which less than a fifth is left, so that no heading stands last on it."""
COMMANDS = {1: "section", 2: "subsection", 3: "subsubsection"}
"""Command by level of a heading."""


def latex(title: str, blocks: Iterable[Block]) -> str:
    r"""Write blocks as LaTeX; the first lines say which packages it needs.

    A heading with nothing below it is left out. BibTeX stands behind percent signs.

    Args:
        title: Stands in the first line; labels start with it.
        blocks: Headings of level 1 to 3, and what stands below them.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    kept = _without_bare_headings([b for b in blocks if not isinstance(b, Picture)])
    lines: list[str] = []
    for block, before in zip(kept, [None, *kept], strict=False):
        together = isinstance(block, Heading) and not isinstance(before, Heading)
        lines += ["", *[TOGETHER] * together, *_lines(block, stem)]
    head = [
        f"% {title}",
        r"% Needs one column, \usepackage[utf8]{inputenc}, \usepackage[T1]{fontenc} and",
        r"% \usepackage{textcomp,array,booktabs,longtable}. Labels of tables start with " + f"{stem}.",
        r"\begingroup\tolerance=9999\emergencystretch=3em\setlength{\LTcapwidth}{\linewidth}\uchyph=0",
        *characters("".join(line for line in lines if not line.startswith("%"))),
    ]
    return "\n".join([*head, *lines]) + "\n\n" + r"\par\endgroup" + "\n"


def _without_bare_headings(blocks: Sequence[Block]) -> list[Block]:
    kept: list[Block] = []
    for block in reversed(blocks):
        after = kept[-1] if kept else Heading("", 0)
        if not (isinstance(block, Heading) and isinstance(after, Heading) and after.level <= block.level):
            kept.append(block)
    return kept[::-1]


def _lines(block: Block, stem: str) -> Iterator[str]:
    if isinstance(block, Heading):
        yield rf"\{COMMANDS[block.level]}*{{\raggedright {tex(block.text, HEADING)}}}"
    elif isinstance(block, Sentences) and block.is_list:
        yield r"\begin{itemize}"
        yield from (rf"\item {{}}{tex(text)}" for text in block.texts)
        yield r"\end{itemize}"
    elif isinstance(block, Sentences):
        for text in block.texts:
            yield tex(text)
            yield ""
    elif isinstance(block, Notes):
        yield r"{\footnotesize"
        yield from (rf"{tex(text)}\par" for text in block.texts)
        yield "}"
    elif isinstance(block, Table):
        yield r"{\footnotesize\setlength{\tabcolsep}{0.3em}"
        yield from table(block, stem)
        yield "}"
    elif isinstance(block, Source):
        yield from (f"% {line}" for line in block.text.split("\n"))
