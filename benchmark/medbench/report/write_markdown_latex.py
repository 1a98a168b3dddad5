"""A report as Markdown or LaTeX for papers: sentences, tables and references; figures stay in the page."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medbench.report.blocks import Block, Heading, Picture, Sentences, Source, Table, numeric_columns
from medbench.report.latex import characters, table, tex
from medbench.report.report import Report
from medbench.tables.markup import escape_markdown

INDENT = "\u2003"
"""An em space, since Markdown drops the others; a level of the tree."""
HEADING = 150.0  # em that a heading may take
TOGETHER = r"\par\penalty-100\relax\ifdim\dimexpr\pagegoal-\pagetotal\relax<0.2\textheight\newpage\fi"
"""Ends a page of which less than a fifth is left, so that no heading stands last on it."""


def markdown(report: Report) -> str:
    """Write a report as Markdown."""
    lines = [f"# {escape_markdown(report.title)}"]
    for section in report.sections:
        lines += ["", f"## {escape_markdown(section.title)}"]
        for block in section.blocks:
            lines.append("")
            if isinstance(block, Heading):
                lines.append(f"### {escape_markdown(block.text)}")
            elif isinstance(block, Sentences):
                mark = "- " if block.is_list else ""
                lines += [f"{mark}{escape_markdown(text)}" + ("" if mark else "\n") for text in block.texts]
            elif isinstance(block, Table):
                lines += _markdown_table(block)
            elif isinstance(block, Source):
                fence = "`" * max(3, 1 + _longest_run(block.text, "`"))
                lines += [f"{fence}{block.language}", block.text, fence]
            else:
                lines.append(f"*Figure, in the page: {escape_markdown(block.alt)}*")
    return "\n".join(lines) + "\n"


def _markdown_table(block: Table) -> list[str]:
    lines = [escape_markdown(block.caption), ""]
    lines.append(f"| {' | '.join(map(escape_markdown, block.columns))} |")
    rules = ["---", *("---:" if is_number else "---" for is_number in numeric_columns(block)[1:])]
    lines.append(f"| {' | '.join(rules)} |")
    for row in block.rows:
        cells = [INDENT * cell.depth + escape_markdown(cell.text) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _longest_run(text: str, character: str) -> int:
    longest = run = 0
    for c in text:
        run = run + 1 if c == character else 0
        longest = max(longest, run)
    return longest


def latex(report: Report) -> str:
    r"""Write a report as LaTeX to ``\input``; the first lines say which packages it needs.

    Sections that hold figures only are left out. BibTeX stands at the end, behind percent signs.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", report.title.lower()).strip("-")
    lines: list[str] = []
    for section in report.sections:
        blocks = [block for block in section.blocks if not isinstance(block, Picture)]
        blocks = [b for b, after in zip(blocks, [*blocks[1:], Heading("")], strict=False) if not _is_alone(b, after)]
        if blocks:
            lines += ["", TOGETHER, rf"\section*{{\raggedright {tex(section.title, HEADING)}}}"]
        for block, before in zip(blocks, [Heading(""), *blocks], strict=False):
            if isinstance(block, Heading) and not isinstance(before, Heading):
                lines += ["", TOGETHER]
            lines += ["", *_latex_of(block, stem)]
    body = "\n".join(lines)
    head = [
        f"% {report.title}",
        r"% Needs one column, \usepackage[utf8]{inputenc}, \usepackage[T1]{fontenc} and",
        r"% \usepackage{textcomp,array,booktabs,longtable}. Labels of tables start with " + f"{stem}.",
        r"\begingroup\tolerance=9999\emergencystretch=3em\setlength{\LTcapwidth}{\linewidth}\uchyph=0",
        *characters("".join(line for line in lines if not line.startswith("%"))),
    ]
    return "\n".join(head) + f"\n{body}\n\n" + r"\par\endgroup" + "\n"


def _is_alone(block: Block, after: Block) -> bool:
    return isinstance(block, Heading) and isinstance(after, Heading)


def _latex_of(block: Block, stem: str) -> Iterator[str]:
    if isinstance(block, Heading):
        yield rf"\subsection*{{\raggedright {tex(block.text, HEADING)}}}"
    elif isinstance(block, Sentences) and block.is_list:
        yield r"\begin{itemize}"
        yield from (rf"\item {{}}{tex(text)}" for text in block.texts)
        yield r"\end{itemize}"
    elif isinstance(block, Sentences):
        for text in block.texts:
            yield tex(text)
            yield ""
    elif isinstance(block, Table):
        yield r"{\footnotesize\setlength{\tabcolsep}{0.3em}"
        yield from table(block, stem)
        yield "}"
    elif isinstance(block, Source):
        yield from (f"% {line}" for line in block.text.split("\n"))
