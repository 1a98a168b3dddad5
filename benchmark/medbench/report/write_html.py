"""A report as one page that needs no network: figures, style and script are in it, and nothing else may run.

Everything is escaped by the template engine. The three files of medbench's own, style, script and the attributes that
are built here, are the only ones that are not; the page's policy names the first two by their hash.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from medbench.report.report import Report
from medbench.statistics.verdicts import WORDS
from medbench.tables.blocks import Block, Cell, numeric_columns
from medbench.tables.writers.latex_text import pieces

DEEPEST = 6
UNBROKEN = 24  # characters of a word that phones show in one line
LONG = 40  # characters of a cell that is given room


def page(report: Report) -> bytes:
    """Write a report as HTML; the same report gives the same bytes."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup, escape

    def attributes(cell: Cell, number: bool) -> Markup:
        names = [f"d{min(cell.depth, DEEPEST)}"] if cell.depth else []
        names += [word for word, style in WORDS.items() if word == cell.kind and style.colour]
        if not number:
            names += ["text", "long"] if len(cell.text) > LONG else ["text"]
        made = Markup("")
        if names:
            made += Markup(' class="{}"').format(" ".join(names))
        if cell.order is not None:
            made += Markup(' data-order="{}"').format(escape(_order(cell.order)))
        if isinstance(cell.order, float):
            made += Markup(" data-number")
        return made

    def breakable(text: str) -> Markup:
        words = (Markup("<wbr>").join(pieces(w) if len(w) > UNBROKEN else [w]) for w in text.split(" "))
        return Markup(" ").join(words)

    style, script = _own("page.css"), _own("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_own("page.html")).render(
        report=report,
        style=Markup(style),  # noqa: S704  a file of this package
        script=Markup(script),  # noqa: S704  likewise
        style_hash=_hash(style),
        script_hash=_hash(script),
        kind_of=_kind_of,
        uri=_uri,
        numeric_columns=numeric_columns,
        attributes=attributes,
        breakable=breakable,
    )
    return text.encode("utf-8", "replace")


def _own(name: str) -> str:
    return resources.files("medbench.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the hash of an inline element's text as a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _kind_of(block: Block) -> str:
    return type(block).__name__


def _uri(form: str, content: bytes) -> str:
    kind = {"svg": "image/svg+xml", "png": "image/png"}[form]
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _order(order: float | str) -> str:
    return order.lower() if isinstance(order, str) else f"{order:.10g}"
