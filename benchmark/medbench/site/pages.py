"""Pages from templates that escape everything; the policy in their head forbids what could still slip through."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from medbench import __version__
from medbench.site import protocol_pages, svg
from medbench.site.downloads import FORMATS
from medbench.site.order_entries import APART, DataSet, percent, recipe, table_line
from medbench.site.read_entries import Published
from medbench.site.safe_texts import safe_link, safe_text, slug
from medbench.statistics.verdicts import WORDS, GivenWord
from medbench.tables.wording import SYNTHETIC
from medbench.text import counted, duration, points

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
SCRIPT = "tables.js"
"""The one script of a site, the report's own: it sorts and filters tables that are marked for it."""
UNPROVEN = "no cell was run again, so invented predictions are not ruled out"
TIERS = {
    "claimed": "The numbers are the submitter's; they are shown, never ranked.",
    "recomputed": "Every number was computed again from the submitted predictions and our labels; ranked. Predictions "
    "can be invented, or mixed with labels: only a rerun, the next tier, rules that out.",
    "reproduced": "One cell that its author could not choose was trained again by a maintainer, and agreed; ranked.",
    "withdrawn": "Taken back; kept with its history, never ranked.",
}
RECENT = 10


def index(entries: Sequence[Published], sets: Sequence[DataSet], head: str, *, has_bundles: bool = True) -> str:
    """Return the first page.

    Args:
        entries: All of them.
        sets: Their data sets.
        head: SHA-256 of the ledger's last row; "" where nothing is published.
        has_bundles: Whether the site holds the bundles themselves.
    """
    titles = {p.entry["id"]: p.entry["method"]["title"] for p in entries}
    events = sorted((row for p in entries for row in p.history.rows), key=lambda row: -row.row)
    tiers = {tier: sum(p.history.tier == tier for p in entries) for tier in TIERS}
    return _render("index.html", root="", sets=sets, titles=titles, events=events[:RECENT], tiers=tiers,
                   entries=len(entries), rows=len(events), head=head, has_bundle=has_bundles)  # fmt: skip


def protocols_page(entries: Sequence[Published]) -> str:
    """Return the page that explains every protocol which a board of the entries stands on."""
    return _render("protocols.html", root="", protocols=protocol_pages.explain_protocols(entries))


def data_page(of_set: DataSet, *, has_bundles: bool = True) -> str:
    """Return the page of a data set.

    Args:
        of_set: What it shows.
        has_bundles: Whether the site holds the bundles themselves.
    """
    tables = [*(ranking.standings for ranking in of_set.rankings), *of_set.apart.values()]
    reach = svg.axis_reach(s.line.span for table in tables for s in table)
    return _render("data.html", root="../", set=of_set, reach=reach, phantom_said=SYNTHETIC, has_bundle=has_bundles)


def entry_page(published: Published, *, has_bundle: bool) -> str:
    """Return the page of an entry.

    Args:
        published: What it shows.
        has_bundle: Whether the site holds the bundle itself.
    """
    entry = published.entry
    boards = [(board, [table_line(row) for row in board["rows"]]) for board in entry["boards"]]
    spans = [*(of_row.span for _, rows in boards for of_row in rows)]
    return _render("entry.html", root="../", entry=entry, history=published.history, boards=boards,
                   reach=svg.axis_reach(spans), has_bundle=has_bundle)  # fmt: skip


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("medbench.site"),
        autoescape=True,
        finalize=_finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"link": safe_link, "slug": slug, "recipe": recipe, "points": _points,
                            "percent": percent, "duration": duration, "drawn": svg.place_range}  # fmt: skip
    environment.filters |= {"counted": counted, "protocol_anchor": protocol_pages.anchor, "place": _place}
    environment.globals |= {"unproven": UNPROVEN, "policy": POLICY, "script": SCRIPT, "design": protocol_pages.design,
                            "designs": protocol_pages.designs, "words": WORDS, "tiers_said": TIERS, "apart_said": APART,
                            "forms": FORMATS, "version": __version__}  # fmt: skip
    return environment


def _finalize(value: Any) -> Any:
    """Pass every text that a template prints through :func:`safe_text`; what a macro made is text of ours already."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return safe_text(value)
    return value


def _place(word: GivenWord) -> int:
    """Return where a word stands in a column that is sorted from the best to the worst."""
    return [*WORDS].index(word)


def _points(share: float | None) -> str:
    return "" if share is None else points(share)


def facts(entry: Mapping[str, Any]) -> str:
    """Return the JSON values that a site offers of an entry, every text of it fit to be shown.

    Each board says its own folds, since an official cut has none of those that the study asked for.
    """
    import json

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {safe_text(key): clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [clean(inner) for inner in value]
        return safe_text(value) if isinstance(value, str) else value

    asked = entry["study"]["folds"]
    boards = [board | {"folds": protocol_pages.folds(board["protocol"], asked)} for board in entry["boards"]]
    return (
        json.dumps(clean({**entry, "boards": boards}), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        + "\n"
    )
