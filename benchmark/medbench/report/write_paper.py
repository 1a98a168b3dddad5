"""A report as Markdown or LaTeX for papers: sentences, tables and references; figures stay in the page."""

from __future__ import annotations

from medbench.report import headline
from medbench.report.report import Report
from medbench.tables.blocks import Block, Fold, Heading, Sentences
from medbench.tables.writers import latex as latex_writer
from medbench.tables.writers import markdown as markdown_writer


def markdown(report: Report) -> str:
    """Write a report as Markdown."""
    return markdown_writer.markdown([Heading(report.title, 0), *_blocks(report)]) + "\n"


def latex(report: Report) -> str:
    r"""Write a report as LaTeX to ``\input``; the first lines say which packages it needs.

    Sections that hold figures only are left out. BibTeX stands at the end, behind percent signs.
    """
    return latex_writer.latex(report.title, _blocks(report))


def _blocks(report: Report) -> list[Block]:
    found: list[Block] = []
    if report.headline is not None:
        found += [Heading("The answer", 1), *headline.blocks(report.headline)]
    for section in report.sections:
        found.append(Heading(section.title, 1))
        for block in section.blocks:
            found += [Heading(block.title, 2), *block.blocks] if isinstance(block, Fold) else [block]
    return [block for block in found if not isinstance(block, Sentences) or block.texts]
