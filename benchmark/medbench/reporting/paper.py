"""A report as Markdown or LaTeX for papers: sentences, tables and references; figures stay in the page."""

from __future__ import annotations

from collections.abc import Iterator

from medbench.reporting.blocks import Heading, Sentences, Source, Table
from medbench.reporting.contents import Report
from medbench.tables import escape_latex, escape_markdown

INDENT = "\u2003"
"""An em space, since Markdown drops the others; a level of the tree."""


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


def _markdown_table(table: Table) -> list[str]:
    lines = [escape_markdown(table.caption), ""]
    lines.append(f"| {' | '.join(map(escape_markdown, table.columns))} |")
    lines.append(f"| --- {'| ---: ' * (len(table.columns) - 1)}|")
    for row in table.rows:
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
    r"""Write a report as LaTeX to ``\input``: it needs the packages booktabs and longtable.

    BibTeX stands at the end, behind percent signs.
    """
    lines = [
        f"% {report.title}",
        r"% Needs \usepackage[utf8]{inputenc}, \usepackage[T1]{fontenc}, \usepackage{textcomp,booktabs,longtable}.",
    ]
    for section in report.sections:
        lines += ["", rf"\section*{{{_tex(section.title)}}}"]
        for block in section.blocks:
            lines.append("")
            lines += _latex_of(block)
    return "\n".join(lines) + "\n"


def _latex_of(block: object) -> Iterator[str]:
    if isinstance(block, Heading):
        yield rf"\subsection*{{{_tex(block.text)}}}"
    elif isinstance(block, Sentences) and block.is_list:
        yield r"\begin{itemize}"
        yield from (rf"\item {{}}{_tex(text)}" for text in block.texts)
        yield r"\end{itemize}"
    elif isinstance(block, Sentences):
        for text in block.texts:
            yield _tex(text)
            yield ""
    elif isinstance(block, Table):
        yield from _latex_table(block)
    elif isinstance(block, Source):
        yield from (f"% {line}" for line in block.text.split("\n"))


def _latex_table(table: Table) -> Iterator[str]:
    columns = len(table.columns)
    yield rf"\begin{{longtable}}{{l{'r' * (columns - 1)}}}"
    yield rf"\multicolumn{{{columns}}}{{p{{0.95\linewidth}}}}{{{_tex(table.caption)}}} \\"
    yield r"\toprule"
    yield " & ".join(map(_tex, table.columns)) + r" \\"
    yield r"\midrule \endhead"
    for row in table.rows:
        yield " & ".join(r"\quad " * cell.depth + _tex(cell.text) for cell in row) + r" \\"
    yield r"\bottomrule"
    yield r"\end{longtable}"


def _tex(text: str) -> str:
    # A bracket right behind \\ would be read as its argument.
    return escape_latex(text).replace("[", "{[}").replace("]", "{]}")
