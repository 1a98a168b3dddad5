"""Pages from templates that escape everything; the policy in their head forbids what could still slip through."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jinja2
from markupsafe import Markup

from medbench import __version__
from medbench.errors import UsageError
from medbench.glossary import TERMS
from medbench.planning.arm_names import short
from medbench.publishing.stored_words import in_plain_nouns
from medbench.registry.descriptions import GENERATORS, METHODS
from medbench.registry.display_names import classifier_name, method_name, recall_names
from medbench.registry.recipes import parse
from medbench.registry.score_facts import in_order, score_facts
from medbench.site import citations, plots, protocol_pages, svg
from medbench.site.data_cards import data_modality, data_name
from medbench.site.downloads import FORMATS
from medbench.site.entry_answers import answer_of_entry, answer_of_table
from medbench.site.order_entries import (
    NOT_RANKED,
    DataSet,
    Line,
    Standing,
    is_practice,
    knows_patients,
    leading_arm,
    percent,
    requested_arms,
    table_line,
    unit_of,
)
from medbench.site.read_entries import Published
from medbench.site.remeasured import Remeasured
from medbench.site.results import Method, Result, counts_of_words, current_results, grid_of, methods_of
from medbench.site.safe_texts import safe_link, safe_text, slug
from medbench.site.stored_sentences import notes
from medbench.statistics.verdicts import WORDS, GivenWord
from medbench.tables.board_notes import UNKNOWN_PATIENTS
from medbench.tables.wording import SYNTHETIC
from medbench.text import counted, duration, listed, points

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
SCRIPT = "tables.js"
"""The report's own script: it sorts and filters tables that are marked for it."""
FILTERS = "site.js"
"""The other script of a site: it searches and filters the first page, and copies what is marked for it."""
MENU = (("how", "How it works"), ("glossary", "Glossary"), ("submit", "Submit"), ("cite", "Cite"),
        ("download", "Download"))  # fmt: skip
"""Pages of their own: file and name."""
SITE_SAID = "https://ADDRESS-OF-THIS-SITE/"
"""Stands for the address in what is to be copied, where the site was made without ``--url``."""
UNPROVEN = "not repeated: inventions are not ruled out"
TIERS = {
    "claimed": "The numbers are the submitter's; they are shown, never ranked.",
    "recomputed": "Every number was calculated again from the submitted predictions and our labels. Training was not "
    "repeated, so the predictions themselves are not verified.",
    "reproduced": "One training run that its author could not choose was repeated by a maintainer, and agreed.",
    "withdrawn": "Taken back; kept with its history, never ranked.",
}
CLASSES: Mapping[str, str] = {"better": "better", "threshold": "threshold", "same": "same", "can't tell": "unsure",
                              "worse": "worse", "": "none"}  # fmt: skip
"""How a verdict is styled."""
RECENT = 10


@dataclass(frozen=True)
class Current:
    """An entry in force, as the first page lists it."""

    published: Published
    datasets: tuple[str, ...]
    words: Mapping[str, int]
    facets: tuple[Mapping[str, str], ...] = field(repr=False)


@dataclass(frozen=True)
class ShownBoard:
    """A table of an entry as its page shows it.

    Attributes:
        number: Within the entry, from 0.
        board: Its JSON values.
        rows: Its methods.
        answer: Sentences above the table; empty where nothing was compared.
        warnings: Sentences that begin with Warning; what a table above on the same data set says is left out.
        notes: All other sentences.
        badge: What its badge says.
        tier: In force; claimed where this table was not recomputed.
    """

    number: int
    board: Mapping[str, Any] = field(repr=False)
    rows: tuple[Line, ...]
    answer: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    badge: str
    tier: str

    @property
    def has_fair(self) -> bool:
        """Whether a method has a gain at a fair threshold."""
        return any(row.fair for row in self.rows)

    @property
    def without_fair(self) -> str:
        """Say once which gains have none at a fair threshold beside them; "" where all have, and where it leaks."""
        compared = [row for row in self.rows if row.span is not None and not self.board["leaks"]]
        missing = [row.name for row in compared if not row.fair]
        names = "" if len(missing) == len(compared) else f" of {listed(missing)}"
        return f"Gain{names} at a fair threshold: not stored in the bundle." if missing else ""

    @property
    def is_practice(self) -> bool:
        """Whether it is of a practice run."""
        return is_practice(self.board)

    @property
    def knows_patients(self) -> bool:
        """Whether its data set tells patients apart."""
        return knows_patients(self.board)


def index(
    entries: Sequence[Published], sets: Sequence[DataSet], *, has_bundles: bool = True, address: str = "",
    found: Sequence[Remeasured] = (),
) -> str:  # fmt: skip
    """Return the first page.

    Args:
        entries: All of them.
        sets: Their data sets.
        has_bundles: Whether the site holds the bundles themselves.
        address: Of the site, with a slash at its end; "" where it is not known.
        found: Published figures that entries measured again.
    """
    titles = {p.entry["id"]: p.entry["method"]["title"] for p in entries}
    events = sorted((row for p in entries for row in p.history.rows), key=lambda row: -row.row)
    results = current_results(entries)
    grid = grid_of(methods_of(results))
    drawn = (plots.against_time(grid.shown), plots.against_images(results), plots.against_published(found))
    current = sorted((p for p in entries if p.is_current), key=lambda p: -p.history.rows[0].row)
    shown_sets = [one for one in sets if one.rankings or set(one.unranked) - {"withdrawn"}]
    return _render("index.html", address=address, sets=shown_sets, titles=titles, events=events[:RECENT], grid=grid,
                   plots=drawn, headline=headline(entries), current=[_current(p, results) for p in current],
                   old=[p for p in entries if not p.is_current], has_bundle=has_bundles)  # fmt: skip


def headline(entries: Sequence[Published]) -> str:
    """Answer whether methods help, from what is known of real images."""
    results = current_results(entries)
    patients = [r for r in results if not r.is_synthetic]
    real = [r for r in patients if not r.is_practice]
    drawn, practice = len(results) - len(patients), len(patients) - len(real)
    rest = f" {counted(drawn, 'comparison')} on synthetic images say nothing about patients." if drawn else ""
    rest += f" {counted(practice, 'comparison')} of practice runs on real images are not counted." if practice else ""
    if not real:
        return f"Not known yet: no entry compares methods on real images.{rest}"
    where = f"{counted(len(real), 'comparison')} on {counted(len({r.board['dataset'] for r in real}), 'real data set')}"
    better, worse = (sum(r.line.word == word for r in real) for word in ("better", "worse"))
    counts = listed([f"{n} {word}" for word, n in counts_of_words(real).items()])
    if better:
        return f"Sometimes: of {where}, {better} showed a gain ({counts}).{rest}"
    lost = "none was worse" if not worse else f"{worse} {'was' if worse == 1 else 'were'} worse"
    return f"Not shown so far: in {where} no method was shown to be better than another, and {lost} ({counts}).{rest}"


def count_sentence(results: Sequence[Result]) -> str:
    """Say how many comparisons have which verdict: ``5 comparisons: 2 better and 3 inconclusive.``."""
    if not results:
        return ""
    words = [f"{n} {word}" for word, n in counts_of_words(results).items()]
    return f"{counted(len(results), 'comparison')}: {listed(words)}."


def _current(published: Published, results: Sequence[Result]) -> Current:
    mine = [r for r in results if r.published is published]
    datasets = tuple(dict.fromkeys(board["dataset"] for board in published.entry["boards"]))
    facets = tuple(dict(pairs) for pairs in dict.fromkeys(tuple(r.facets.items()) for r in mine))
    return Current(published, datasets, counts_of_words(mine), facets)


def protocols_page(entries: Sequence[Published], *, address: str = "") -> str:
    """Return the page that explains every protocol which a table of the entries stands on."""
    return _render("protocols.html", address=address, protocols=protocol_pages.explain_protocols(entries))


def data_page(of_set: DataSet, *, has_bundles: bool = True, address: str = "") -> str:
    """Return the page of a data set.

    Args:
        of_set: What it shows.
        has_bundles: Whether the site holds the bundles themselves.
        address: Of the site, with a slash at its end; "" where it is not known.
    """
    tables = [*(ranking.standings for ranking in of_set.rankings), *of_set.unranked.values()]
    reach = svg.axis_reach(s.line.span for table in tables for s in table)
    alike = itertools.groupby(of_set.rankings, key=lambda ranking: (ranking.data, ranking.unit))
    entries = {s.published.entry["id"]: s.published for table in tables for s in table}
    results = [r for r in current_results(entries.values()) if r.board["dataset"] == of_set.name]
    cards = [known for p in entries.values() if (known := p.entry.get("cards", {}).get(of_set.name))]
    return _render("data.html", root="../", address=address, set=of_set, reach=reach, has_bundle=has_bundles,
                   card=cards[-1] if cards else None,
                   rankings=[list(found) for _, found in alike], answer=count_sentence(results))  # fmt: skip


def what_method_is(recipe: str) -> str:
    """Say in a line of plain words what a built-in method does; "" for others."""
    try:
        spec = parse(recipe)
    except UsageError:
        return ""
    generator = dict(spec.parameters).get("generator", "")
    if generator in GENERATORS:
        return f"Images of a generator are added to the real ones. The generator: {GENERATORS[generator]}."
    return f"{METHODS[spec.name][:1].upper()}{METHODS[spec.name][1:]}." if spec.name in METHODS else ""


def method_page(method: Method, *, address: str = "") -> str:
    """Return the page of a method: every result of it, by data set and amount of training data."""

    def place(result: Result) -> tuple[Any, ...]:
        board = result.board
        return data_name(board["dataset"]).casefold(), protocol_pages.place(board["protocol"]), board["classifier"]

    results = sorted(method.results, key=place)
    named = f"{method.name} {method.control}"
    found = [name for name in TERMS if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", named)]
    return _render("method.html", root="../", address=address, method=method, results=results,
                   what_it_is=what_method_is(method.recipe), words_of_name=found,
                   reach=svg.axis_reach(r.line.span for r in results), answer=count_sentence(results))  # fmt: skip


def entry_page(published: Published, *, has_bundle: bool, address: str = "", boards: Sequence[ShownBoard] = ()) -> str:
    """Return the page of an entry.

    Args:
        published: What it shows.
        boards: Its tables, where they are at hand.
        has_bundle: Whether the site holds the bundle itself.
        address: Of the site, with a slash at its end; "" where it is not known.
    """
    entry = published.entry
    boards = boards or shown_boards(published)
    reach = svg.axis_reach(span for shown in boards for row in shown.rows for span in (row.span, row.fair_span))
    whole = answer_of_entry(published, [shown.board for shown in boards])
    return _render("entry.html", root="../", address=address, entry=entry, published=published, boards=boards,
                   whole=whole, history=published.history, reach=reach, has_bundle=has_bundle, site_said=SITE_SAID,
                   is_phantom=all(board["phantom"] for board in entry["boards"]), needs_plugins=_plugin_files(entry),
                   cited=citations.cite_entry(published, address))  # fmt: skip


def _plugin_files(entry: Mapping[str, Any]) -> list[str]:
    """Name the plugins that no installed package brings, so that whoever checks the entry needs their files."""
    return [str(p["name"]) for p in entry["environment"]["plugins"] if not p["distribution"] and not p["version"]]


def shown_boards(published: Published) -> list[ShownBoard]:
    """Return the tables of an entry: honest protocols before leaky ones, the one that trains on most first."""

    def place(item: tuple[int, Mapping[str, Any]]) -> tuple[Any, ...]:
        is_leaky, rule, size, share, text = protocol_pages.place(item[1]["protocol"])
        return bool(item[1]["leaks"]), is_leaky, rule, -size, -share, text

    ordered = sorted(enumerate(published.entry["boards"]), key=place)
    shown, warned = [], set[tuple[str, str]]()
    for number, board in ordered:
        one = _shown(published, number, board)
        fresh = tuple(text for text in one.warnings if (board["dataset"], text) not in warned)
        warned |= {(board["dataset"], text) for text in one.warnings}
        shown.append(replace(one, warnings=fresh))
    return shown


def _shown(published: Published, number: int, board: Mapping[str, Any]) -> ShownBoard:
    lines = tuple(table_line(row) for row in board["rows"])
    names = {_short(line.recipe): line.name for line in lines}
    answer = answer_of_table(published, board)
    said = [text for text in notes(board["sentences"], names) if text not in (*answer, SYNTHETIC, UNKNOWN_PATIENTS)]
    row = leading_arm(board["rows"], requested_arms(published, board))
    leading = table_line(row) if row is not None else None
    tier = published.history.tier if board["recomputed"] or not published.is_current else "claimed"
    told = svg.badge_text(tier, leading.word if leading else "", leading.numbers if leading else ("", "", "", ""))
    warnings = tuple(text for text in said if text.startswith("Warning"))
    return ShownBoard(number, board, lines, tuple(answer), warnings, tuple(said[len(warnings[:2]) :]), told, tier)


def _entries_of(tables: Iterable[Sequence[Standing]]) -> int:
    """Count the entries in force that tables stand in."""
    return len({s.published.entry["id"] for table in tables for s in table if s.published.is_current})


def _short(recipe: str) -> str:
    try:
        return short(recipe)
    except UsageError:
        return recipe


def fixed_page(
    name: str, entries: Sequence[Published], sets: Sequence[DataSet], *, head: str, address: str = ""
) -> str:
    """Return one of the pages of :data:`MENU`.

    Args:
        name: Its file, without the ending.
        entries: All of them.
        sets: Their data sets.
        head: SHA-256 of the ledger's last row; "" where nothing is published.
        address: Of the site, with a slash at its end; "" where it is not known.
    """
    cited = [(p, citations.cite_entry(p, address)) for p in entries if p.is_current] if name == "cite" else []
    tiers = {tier: sum(p.history.tier == tier for p in entries) for tier in TIERS}
    rows = sum(len(p.history.rows) for p in entries)
    return _render(f"{name}.html", here=name, address=address, sets=sets, tiers=tiers, rows=rows, head=head,
                   software=citations.SOFTWARE, cited_entries=cited)  # fmt: skip


def size_of(board: Mapping[str, Any]) -> str:
    """Count a table's patients and images; images alone where the data set does not tell patients apart."""
    images = counted(board["images"], "image")
    if not knows_patients(board):
        return images if board["unit"] == "image" else f"{images}, patients not known"
    return f"{counted(board['patients'], 'patient')}, {images}"


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(name).render({"root": "", "here": "", "summary": SUMMARY, **values})


SUMMARY = "Published, recomputed comparisons of data augmentation methods for medical image classification."


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
    environment.filters |= {"link": safe_link, "slug": slug, "points": _points, "percent": percent,
                            "duration": duration, "drawn": svg.place_range, "counted": _counted,
                            "entries_of": _entries_of}  # fmt: skip
    environment.filters |= {"dataset": data_name, "classifier": classifier_name, "method": method_name,
                            "modality": data_modality, "nouns": in_plain_nouns, "place": _place, "scores": _scores,
                            "recalls": recall_names, "left_out": protocol_pages.left_out_text,
                            "protocol_anchor": protocol_pages.anchor}  # fmt: skip
    environment.globals |= {"unproven": UNPROVEN, "policy": POLICY, "script": SCRIPT, "filters": FILTERS, "menu": MENU,
                            "design": protocol_pages.design, "designs": protocol_pages.designs, "words": WORDS,
                            "training_size": protocol_pages.training_size, "classes": CLASSES, "terms": TERMS,
                            "tiers_said": TIERS, "unranked_said": NOT_RANKED, "forms": FORMATS, "size_of": size_of,
                            "knows_patients": knows_patients, "unit_of": unit_of,
                            "unknown_said": UNKNOWN_PATIENTS,
                            "synthetic_said": SYNTHETIC, "version": __version__}  # fmt: skip
    return environment


def _finalize(value: Any) -> Any:
    """Pass every text that a template prints through :func:`safe_text`; what a macro made is text of ours already."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return safe_text(value)
    return value


def _counted(number: int, noun: str) -> str:
    return counted(number, noun)


def _scores(scores: Mapping[str, float]) -> list[tuple[str, str, float, float | None]]:
    """Return scores of generated images: title, what it is, the number, what as many real images reach."""
    names = in_order([name for name in scores if ":" not in name or name.partition(":")[0] not in scores])
    facts = [(name, score_facts(name)) for name in names]
    return [(one.title, one.text, scores[name], scores.get(f"{name}-floor")) for name, one in facts]


def _place(word: GivenWord) -> int:
    """Return where a word stands in a column that is sorted from the best to the worst."""
    return [*WORDS].index(word)


def _points(share: float | None) -> str:
    return "" if share is None else points(share)
