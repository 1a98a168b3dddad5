"""A report as one page that needs no network: figures, style and script are in it, and nothing else may run.

Everything is escaped by the template engine. The files of medbench's own, style, script, the bars and the attributes
that are built here, are the only ones that are not; the page's policy names the first two by their hash.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from medbench.report import interval_bars
from medbench.report.report import Report
from medbench.report.term_links import TermLinks, breakable
from medbench.statistics.verdicts import WORDS
from medbench.tables.blocks import Cell, Table, numeric_columns

if TYPE_CHECKING:
    from markupsafe import Markup

DEEPEST = 6
LONG = 40  # characters of a cell that is given room


def page(report: Report) -> bytes:
    """Write a report as HTML; the same report gives the same bytes."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style, script = _own("page.css"), _own("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_own("page.html")).render(
        report=report,
        style=Markup(style),  # noqa: S704  a file of this package
        script=Markup(script),  # noqa: S704  likewise
        style_hash=_hash(style),
        script_hash=_hash(script),
        kind_of=lambda block: type(block).__name__,
        uri=_uri,
        numeric_columns=numeric_columns,
        attributes=_attributes,
        bar=_bar,
        reach=_reach,
        breakable=breakable,
        terms=TermLinks(report.words),
    )
    return text.encode("utf-8", "replace")


def _attributes(cell: Cell, number: bool, column: str) -> Markup:
    """Return the attributes of a cell; `column` is shown beside it where a row is a card."""
    from markupsafe import Markup

    names = [f"d{min(cell.depth, DEEPEST)}"] if cell.depth else []
    names += [word for word, style in WORDS.items() if word == cell.kind and style.colour]
    if not number:
        names += ["text", "long"] if len(cell.text) > LONG else ["text"]
    made = Markup(' class="{}"').format(" ".join(names)) if names else Markup("")
    if column:
        made += Markup(' data-label="{}"').format(column)
    if cell.title:
        made += Markup(' title="{}"').format(cell.title)
    if cell.order is not None:
        made += Markup(' data-order="{}"').format(_order(cell.order))
    if isinstance(cell.order, float):
        made += Markup(" data-number")
    return made


def _reach(table: Table) -> float:
    return interval_bars.reach(cell.span for row in table.rows for cell in row)


def _bar(cell: Cell, points: float, band: float) -> Markup:
    from markupsafe import Markup

    return Markup(interval_bars.bar(cell.span, points, band)) if cell.span else Markup("")  # noqa: S704  numbers


def _own(name: str) -> str:
    return resources.files("medbench.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the hash of an inline element's text as a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _uri(form: str, content: bytes) -> str:
    kind = {"svg": "image/svg+xml", "png": "image/png"}[form]
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _order(order: float | str) -> str:
    return order.lower() if isinstance(order, str) else f"{order:.10g}"
