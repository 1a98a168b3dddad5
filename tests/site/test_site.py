"""Pages of published entries: what they rank and refuse, and that no text of an entry becomes a part of a page."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "docs" / "benchmarks"))

from site_speed import add, board, entry, store

from _hostile_texts import PAYLOADS, hostile
from medbench.errors import UsageError
from medbench.publishing.refusals import Refused
from medbench.site import downloads, pages, svg
from medbench.site.build import Settings, build
from medbench.site.order_entries import data_sets, leading_arm, requested_arms
from medbench.site.protocol_pages import explain_protocols
from medbench.site.read_entries import Published, _requested_arms, read_entries
from medbench.site.safe_texts import LONGEST, safe_link, safe_text, slug

SHIPPED = Path(__file__).parents[2] / "results" / "published"
COUNT = 12  # of conftest: number 3 is claimed, 5 withdrawn, 7 leaky, 1 and 8 reproduced
VOID = {"meta", "link", "br", "img", "input", "hr"}
ACTIVE = {"script", "iframe", "object", "embed", "form", "input", "button", "base", "style", "audio", "video", "source"}


class Page(HTMLParser):
    """The elements of a page with their attributes, the open ones of each, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError("a declaration")

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "published"))


def numbered(published: Path) -> dict[int, Published]:
    return {int(p.entry["method"]["title"].split()[-1]): p for p in read_entries(published)}


def every_page(site: Path) -> Iterator[tuple[Path, Page]]:
    for path in sorted(site.rglob("*.html")):
        yield path, Page(path.read_text(encoding="utf-8"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_link_of_every_page_leads_somewhere_inside_or_is_marked(site: Path) -> None:
    count, ids = 0, {path: {a["id"] for _, a in page.elements if "id" in a} for path, page in every_page(site)}
    for path, page in every_page(site):
        for tag, attributes in page.elements:
            target = attributes.get("href") or attributes.get("src")
            if target is None:
                continue
            count += 1
            if target.startswith("https://"):
                assert (tag, attributes["rel"]) == ("a", "nofollow noopener ugc")
                continue
            file, _, fragment = unquote(target).partition("#")
            found = (path.parent / file).resolve() if file else path
            assert found.is_file()
            assert found.is_relative_to(site)
            assert not fragment or fragment in ids[found]
    assert count > 10 * COUNT


def test_every_page_forbids_what_it_does_not_need(site: Path) -> None:
    assert sorted(path.name for path in site.rglob("*.js")) == ["site.js", "tables.js"]
    for path, page in every_page(site):
        policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")

        assert policy == pages.POLICY
        assert re.findall(r"script-src ([^;]*)", str(policy)) == ["'self'"]
        root = "../" if path.parent != site else ""
        assert page.of("script") == [{"src": f"{root}{name}.js", "defer": None} for name in ("tables", "site")]
        assert not {tag for tag, _ in page.elements} & (ACTIVE - {"script"})
        assert not [name for _, a in page.elements for name in a if name.startswith("on") or name == "style"]


def test_every_page_can_be_read_without_seeing_it(site: Path) -> None:
    for _, page in every_page(site):
        levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]

        assert page.of("html")[0]["lang"] == "en"
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert max((b - a for a, b in itertools.pairwise(levels)), default=0) <= 1
        assert all(a.get("scope") in ("col", "row") for a in page.of("th"))
        assert all(a.get("alt") for a in page.of("img"))
        for attributes in page.of("svg"):  # an interval stands beside its drawing as text, a plot has a name
            assert attributes.get("aria-hidden") == "true" or (attributes["role"], bool(attributes["aria-label"])) == (
                "img", True
            )  # fmt: skip
        assert page.of("a")[0]["href"] == "#main"
        ids = [a["id"] for _, a in page.elements if "id" in a]
        assert len(ids) == len(set(ids))
        for attributes in page.of("div"):
            if attributes.get("role") == "region":
                assert attributes["tabindex"] == "0"
                assert attributes.get("aria-label") or attributes["aria-labelledby"] in ids


def test_the_same_entries_give_the_same_bytes(published: Path, site: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(published, tmp_path / "elsewhere"))
    build(again, tmp_path / "other")

    assert files_of(tmp_path / "other") == files_of(site)
    assert str(tmp_path).encode() not in b"".join(files_of(tmp_path / "other").values())


def test_only_recomputed_and_reproduced_entries_are_ranked(published: Path) -> None:
    of_number = numbered(published)
    sets = data_sets(of_number.values())
    ranked = [s for of_set in sets for r in of_set.rankings for s in r.standings]
    apart = {key: {s.published.entry["id"] for o in sets for s in o.unranked.get(key, ())} for key in pages.NOT_RANKED}
    keys = {number: p.entry["id"] for number, p in of_number.items()}

    assert apart["claimed"] == {keys[3]}
    assert apart["withdrawn"] == {keys[5]}
    assert apart["leaky"] == {keys[7]}
    assert {s.published.entry["id"] for s in ranked} == {keys[n] for n in keys if n not in (3, 5, 7)}
    assert {s.published.history.tier for s in ranked} == {"recomputed", "reproduced"}
    assert sum(o.boards for o in sets) == 2 * COUNT == len(ranked) + 6


def test_a_board_that_was_not_recomputed_is_claimed_whatever_its_entry_is(copied: Path) -> None:
    (found,) = [p for n, p in numbered(copied).items() if n == 0]
    boards = [found.entry["boards"][0] | {"recomputed": False}, found.entry["boards"][1]]
    changed = dataclasses.replace(found, entry={**found.entry, "boards": boards})
    sets = {of_set.name: of_set for of_set in data_sets([changed])}

    assert not sets[boards[0]["dataset"]].rankings
    assert len(sets[boards[0]["dataset"]].unranked["claimed"]) == 1
    assert len(sets[boards[1]["dataset"]].rankings) == 1


def test_a_table_is_ordered_by_word_then_by_the_low_end(published: Path) -> None:
    for of_set in data_sets(read_entries(published)):
        for ranking in of_set.rankings:
            lines = [s.line.raw for s in ranking.standings]
            words = ["better", "threshold", "same|can't tell", "worse"]
            places = [next(i for i, w in enumerate(words) if row["word"] in w.split("|")) for row in lines]

            assert places == sorted(places)
            for a, b, one, other in zip(lines, lines[1:], places, places[1:], strict=False):
                assert one < other or round(1000 * a["gain_low"]) >= round(1000 * b["gain_low"])


def test_the_arm_that_stands_for_a_board_is_its_surest() -> None:
    import numpy as np

    rows = board(np.random.default_rng(2), "phantom:brain-tumour", arms=12)["rows"]
    better = [row for row in rows if row["word"] == "better"]

    assert len(better) > 1
    assert leading_arm(rows) is max(better, key=lambda row: row["gain_low"])
    assert leading_arm([row for row in rows if row["control"] is None])["augmenter"] == "balanced"  # type: ignore[index]


def test_a_control_stands_for_no_board_where_an_arm_that_was_asked_for_can() -> None:
    import numpy as np

    value = entry(0, boards=1, arms=3)
    control, arm = value["boards"][0]["rows"][:2]
    control |= {"augmenter": "hybrid[generator=resample]"}
    root = dict(control, augmenter="balanced")
    better = board(np.random.default_rng(2), "phantom:brain-tumour", arms=12)["rows"]
    range_of = next(row for row in better if row["word"] == "better")
    control |= {key: range_of[key] for key in range_of if key.startswith("gain") or key == "word"}
    control |= {"control": "balanced"}
    arm |= {"control": control["augmenter"], "word": "can't tell", "gain": 0.0, "gain_low": -0.1, "gain_high": 0.1}
    of_board = value["boards"][0] | {"rows": [root, control, arm]}
    old = Published({**value, "boards": [of_board]}, None, Path())  # type: ignore[arg-type]
    named = frozenset({(control["augmenter"], control["classifier"])})
    planned = dataclasses.replace(old, requested={of_board["dataset"]: named})

    assert leading_arm(of_board["rows"]) is control  # by its range alone
    assert requested_arms(old, of_board) == [arm]
    assert leading_arm(of_board["rows"], requested_arms(old, of_board)) is arm
    assert requested_arms(planned, of_board) == [control]  # the plan says more than the tree
    assert leading_arm(of_board["rows"], requested_arms(planned, of_board)) is control
    assert leading_arm([root, control], []) is control  # nothing that was asked for was compared


def test_the_plan_of_a_bundle_says_what_was_asked_for() -> None:
    shipped = {p.entry["study"]["name"]: p for p in read_entries(SHIPPED)}

    assert shipped["small-data"].requested == {
        "medmnist": {(name, "small-cnn") for name in ("geometric", "hybrid", "reacgan")}
    }
    for of_set in data_sets(shipped.values()):
        standings = [*itertools.chain(*(r.standings for r in of_set.rankings), *of_set.unranked.values())]
        assert standings
        assert {s.line.raw["augmenter"] for s in standings} <= {"geometric", "hybrid", "reacgan"}
        assert all(sum(count for _, count in s.others) <= 2 for s in standings)


@pytest.mark.parametrize("plan", [None, [], {}, {"arms": 3}, {"arms": {"d": 4, "e": [5, {"asked": 1}]}}])
def test_a_plan_that_says_nothing_is_not_asked(plan: Any) -> None:
    assert _requested_arms(plan) == {}


def test_an_official_cut_has_no_folds_on_any_page_or_download(tmp_path: Path) -> None:
    assert build(SHIPPED, tmp_path / "site") == len(list(SHIPPED.glob("*/entry.json")))
    key, *_ = [p.entry["id"] for p in read_entries(SHIPPED) if p.entry["study"]["name"] == "small-data"]
    texts = {path: page.text for path, page in every_page(tmp_path / "site")}
    of_official = [texts[tmp_path / "site" / name] for name in (f"entries/{key}.html", "data/medmnist.html")]
    rows = json.loads((tmp_path / "site" / "all.json").read_bytes())
    facts = json.loads((tmp_path / "site" / "entries" / f"{key}.json").read_bytes())

    for text in (*of_official, texts[tmp_path / "site" / "index.html"]):
        assert "official split, trained 3 times" in text
        assert "5-fold" not in text
    assert "official split, trained 3 times, 1 seed" in of_official[0]
    assert "3-fold cross-validation" in texts[tmp_path / "site" / "data" / "phantom--ddti--benign-malignant.html"]
    assert {(row["protocol"].partition("[")[0], row["folds"]) for row in rows} == {("official", 1), ("patients", 3)}
    assert {row["asked"] for row in rows if row["augmenter"] in ("copies", "balanced", "none")} == {False}
    assert {row["asked"] for row in rows if row["augmenter"] == "hybrid"} == {True}
    assert [board["folds"] for board in facts["boards"]] == [1] * 4


@pytest.mark.parametrize("bundles", [True, False])
def test_every_row_leads_to_its_bundle_its_protocol_and_its_checks(
    published: Path, tmp_path: Path, bundles: bool
) -> None:
    build(published, tmp_path / "site", Settings(bundles=bundles))
    rows = 0
    for path in sorted((tmp_path / "site" / "data").glob("*.html")):
        for row in re.findall(r"<tr role=\"row\">\s*<th scope=\"row\".*?</tr>", path.read_text("utf-8"), re.DOTALL):
            rows += 1
            targets = [a["href"] or "" for a in Page(row).of("a")]
            (key,) = {found for t in targets for found in re.findall(r"entries/([0-9a-f]{16})\.html#board", t)}
            where = f"../bundles/{key}.medbench.zip" if bundles else f"../entries/{key}.html#files"
            assert where in targets
            assert f"../entries/{key}.html#checks" in targets
            assert [t for t in targets if t.startswith("../protocols.html#protocol-")]
    assert rows == 2 * COUNT
    ids = {a["id"] for _, page in every_page(tmp_path / "site") for _, a in page.elements if "id" in a}
    assert {"checks", "files"} < ids


@pytest.mark.parametrize(
    ("text", "said", "of_design"),
    [
        ("patients", "and of near copies, lie on one side", "5-fold cross-validation, repeated 3 times"),
        ("official", "there are no folds", "official split, trained 3 times"),
        ("official[overlap=drop]", "are left out of training", "official split, trained 3 times"),
        ("official[patients=50]", "50 patients are used, classes in their proportion, drawn anew each repeat;",
         "official split, trained 3 times"),
        ("patients[share=0.75]", "75 % of the patients are used", "5-fold cross-validation, repeated 3 times"),
        ("official[train=1000/140]", "1000/140 images are used", "official split, trained 3 times"),
        ("augment-first", "gets no verdict", "5-fold cross-validation, repeated 3 times"),
        ("who knows", "does not know this protocol", "5-fold cross-validation, repeated 3 times"),
    ],
)  # fmt: skip
def test_a_protocol_is_explained(text: str, said: str, of_design: str) -> None:
    value = entry(0, boards=1, arms=3)
    value["boards"][0]["protocol"] = text
    found = Published(value, None, Path())  # type: ignore[arg-type]
    (one,) = explain_protocols([found, found])
    page = Page(pages.protocols_page([found]))

    assert said in " ".join(one.sentences)
    assert (one.designs, one.boards) == ((of_design,), 2)
    assert bool(one.leaks) == (text == "augment-first")
    assert ("It declares no leak." in page.text) == (text != "augment-first" and text != "who knows")
    assert [a.get("id") for a in page.of("h2")] == [one.anchor]
    assert re.fullmatch(r"[a-z0-9_-]+", one.anchor)


def test_pages_say_what_they_show(published: Path, site: Path) -> None:
    of_number = numbered(published)
    how = Page((site / "how.html").read_text(encoding="utf-8"))
    withdrawn, claimed, good = (
        Page((site / "entries" / f"{of_number[n].entry['id']}.html").read_text(encoding="utf-8")) for n in (5, 3, 1)
    )

    assert "labels of these data sets are public" in how.text
    assert "Only the check reproduced stops that" in how.text
    assert "its authors found a mistake" in withdrawn.text
    assert "the submitter's numbers" in claimed.text
    assert "the submitter's numbers" not in good.text
    assert "one training run agreed" in good.text
    assert of_number[1].entry["bundle"]["sha256"] in good.text
    assert all(row.sha256 in good.text for row in of_number[1].history.rows)
    row = of_number[1].entry["boards"][0]["rows"][1]
    assert f"{100 * row['gain']:+.1f} {100 * row['gain_low']:+.1f} to {100 * row['gain_high']:+.1f}" in good.text


@pytest.mark.parametrize("name", ["all", "data/phantom--brain-tumour"])
def test_downloads_agree_in_all_their_forms(published: Path, site: Path, name: str) -> None:
    as_json = json.loads((site / f"{name}.json").read_bytes())
    as_csv = list(csv.DictReader(io.StringIO((site / f"{name}.csv").read_text(encoding="utf-8"))))
    frame = pl.read_parquet(site / f"{name}.parquet")
    wanted = [
        (p.entry["id"], b["dataset"], r["augmenter"], r["gain_low"])
        for p in read_entries(published) for b in p.entry["boards"] for r in b["rows"]
        if name == "all" or b["dataset"] == "phantom:brain-tumour"
    ]  # fmt: skip
    names = ("entry", "dataset", "augmenter", "gain_low")

    assert [tuple(row[k] for k in names) for row in as_json] == wanted
    assert frame.to_dicts() == as_json
    assert len(as_csv) == len(wanted)
    assert [float(r["gain_low"]) if r["gain_low"] else None for r in as_csv] == [w[3] for w in wanted]
    assert {row["tier"] for row in as_json if row["ranked"]} <= {"recomputed", "reproduced"}
    assert not [row for row in as_json if row["ranked"] and (row["leaks"] or not row["word"])]


@pytest.fixture(scope="module")
def victims(published: Path) -> tuple[Published, Published]:
    of_number = numbered(published)
    return of_number[1], of_number[5]  # reproduced and withdrawn


def rendered(found: tuple[Published, ...]) -> list[str]:
    sets = data_sets(found)
    pages_of = [pages.protocols_page(found), *(pages.entry_page(p, has_bundle=True) for p in found)]
    return [pages.index(found, sets), *map(pages.data_page, sets), *pages_of]


@pytest.fixture(scope="module")
def harmless(victims: tuple[Published, Published]) -> list[list[tuple[str, tuple[str, ...]]]]:
    return [Page(text).shape for text in rendered(tuple(hostile(v, "x") for v in victims))]


def test_there_are_sixty_payloads() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 60


@pytest.mark.parametrize("text", PAYLOADS, ids=range(len(PAYLOADS)))
def test_no_text_of_an_entry_becomes_a_part_of_a_page(
    text: str, victims: tuple[Published, Published], harmless: list[list[tuple[str, tuple[str, ...]]]]
) -> None:
    found = tuple(hostile(v, text) for v in victims)
    made = rendered(found)

    assert [Page(page).shape for page in made] == harmless  # element for element, attribute for attribute
    for page in map(Page, made):
        for _, attributes in page.elements:
            target = attributes.get("href") or attributes.get("src") or "x.html"
            assert re.fullmatch(r"[a-z0-9_./#-]+", target)
            assert ".." not in target.removeprefix("../")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", page.text)
    rows = downloads.rows(found)
    for row in csv.DictReader(io.StringIO(downloads.serialise(rows, "csv").decode())):
        assert not row["title"].startswith(("=", "+", "-", "@", "\t", "\r"))
    json.loads(downloads.serialise(rows, "json"))
    json.loads(downloads.facts(found[0].entry))


def test_a_hostile_entry_on_the_disk_is_refused_or_shown_as_text(tmp_path: Path) -> None:
    payload = "<img src=x onerror=alert(1)>"
    for field in ("title", "authors", "licence", "contact", "links"):
        value = entry(0, boards=1, arms=3)
        value["method"][field] = [payload] if field in ("authors", "links") else payload
        store(tmp_path / field, value)
        with pytest.raises(Refused, match=f"method.{field}"):
            build(tmp_path / field, tmp_path / "site")
    value = entry(0, boards=1, arms=3)
    value["boards"][0]["sentences"] = value["flags"] = [payload]
    value["checks"][0]["detail"] = value["study"]["name"] = value["signed_by"] = payload
    key = store(tmp_path / "open", value)
    build(tmp_path / "open", tmp_path / "site")
    page = Page((tmp_path / "site" / "entries" / f"{key}.html").read_text(encoding="utf-8"))

    assert page.text.count(payload) == 5
    assert len(page.of("img")) == 2  # the badges of the table and of the entry


def edit(path: Path, change: Any) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value, sort_keys=True), encoding="utf-8")


EDITS = {
    "a gain": lambda v: v["boards"][0]["rows"][1].update(gain=v["boards"][0]["rows"][1]["gain"] + 1e-6),
    "a word": lambda v: v["boards"][0]["rows"][1].update(word="better" if v["tier"] == "x" else "worse"),
    "a title": lambda v: v["method"].update(title="Another"),
    "a tier": lambda v: v.update(tier="claimed"),
    "a version": lambda v: v["environment"].update(python=["3.12.0"]),
    "the id": lambda v: v.update(id="0" * 16),
    "the bundle": lambda v: v["bundle"].update(sha256="0" * 64),
    "a board": lambda v: v["boards"].pop(),
    "a type": lambda v: v["study"].update(folds="5"),
    "a field": lambda v: v.pop("checks"),
    "a number": lambda v: v["boards"][0]["rows"][1].update(gain=True),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edited_entry_is_refused(copied: Path, tmp_path: Path, what: str) -> None:
    of_number = numbered(copied)
    place = of_number[1].folder
    edit(place / "entry.json", EDITS[what])

    with pytest.raises(Refused) as refused:
        build(copied, tmp_path / "site")
    assert refused.value.exit_code == 9
    assert refused.value.code == "MB951"
    assert place.name in refused.value.message
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("text", [b'{"id": 1, "id": 2}', b'{"gain": NaN}', b"[" * 100_000, b"\xff", b"", b"[]"])
def test_an_entry_that_is_no_strict_json_is_refused(copied: Path, tmp_path: Path, text: bytes) -> None:
    next(copied.glob("*/entry.json")).write_bytes(text)

    with pytest.raises(Refused, match=r"MB906|MB951"):
        build(copied, tmp_path / "site")


def test_a_word_that_its_range_does_not_bear_is_refused(tmp_path: Path) -> None:
    value = entry(0, boards=1, arms=4)
    value["boards"][0]["rows"][1] |= {"gain": 0.03, "gain_low": -0.01, "gain_high": 0.07, "word": "better"}
    store(tmp_path / "published", value)

    with pytest.raises(Refused, match=r"MB951.*'better', its range says \"can't tell\""):
        build(tmp_path / "published", tmp_path / "site")


def test_a_changed_bundle_is_refused_with_its_row(copied: Path, tmp_path: Path) -> None:
    found = numbered(copied)[1]
    path = found.folder / "bundle.medbench.zip"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)

    with pytest.raises(Refused, match=rf"row {found.history.rows[0].row} of the ledger|MB90"):
        build(copied, tmp_path / "site")


@pytest.mark.parametrize(
    ("name", "document"),
    [
        *(("claims", value) for value in (5, [], {}, {"boards": 5}, {"boards": [{}]}, {"boards": [{"rows": 5}]})),
        ("environment", []),
        ("environment", "medbench python platforms"),
    ],
)
def test_documents_of_a_bundle_that_are_none_are_refused(tmp_path: Path, name: str, document: object) -> None:
    """Nobody verified this bundle: its author wrote entry and ledger by hand."""
    store(tmp_path / "published", entry(0, arms=2), **{name: document})

    with pytest.raises(Refused, match=rf"MB909: .*{name}\.json"):
        build(tmp_path / "published", tmp_path / "site")


@pytest.mark.parametrize("number", [1, 4, COUNT])
@pytest.mark.parametrize("how", ["changed", "removed", "swapped", "cut off", "twice"])
def test_a_broken_ledger_is_refused_with_its_row(copied: Path, tmp_path: Path, number: int, how: str) -> None:
    path = copied / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    at, row = number - 1, number
    if how == "changed":
        lines[at] = lines[at].replace(b"recomputed", b"reproduced").replace(b"claimed", b"recomputed")
    elif how == "removed":
        del lines[at]
    elif how == "swapped":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    elif how == "cut off":
        lines = [*lines[:at], lines[at][:-1]]
    else:
        lines.insert(at, lines[at])
        row = number + 1
    path.write_bytes(b"".join(lines))

    with pytest.raises(Refused, match=rf"MB950.*row {row}\b") as refused:
        build(copied, tmp_path / "site")
    assert refused.value.exit_code == 9


@pytest.mark.parametrize(
    ("event", "tier", "why"),
    [
        ("published", "recomputed", "publishes an entry twice"),
        ("corrected", "reproduced", "that nobody reproduced"),
        ("withdrawn", "recomputed", "withdraws an entry, and its tier is recomputed"),
    ],
)
def test_a_row_that_cannot_follow_is_refused(copied: Path, tmp_path: Path, event: str, tier: str, why: str) -> None:
    sha = numbered(copied)[0].entry["bundle"]["sha256"]
    add(copied, sha, event, tier)

    with pytest.raises(Refused, match=rf"row \d+ .*{why}"):
        build(copied, tmp_path / "site")


def test_each_ranked_row_that_nobody_ran_again_says_so(site: Path) -> None:
    rows = [r for path in sorted((site / "data").glob("*.html")) for r in path.read_text(encoding="utf-8").split("<tr")]
    for row in rows:
        recomputed = 'class="tier recomputed"' in row
        assert ("not repeated: inventions are not ruled out" in row) == recomputed
    assert any('class="tier recomputed"' in row for row in rows)
    assert any('class="tier reproduced"' in row for row in rows)


def test_a_word_with_too_many_failed_cells_is_refused(tmp_path: Path) -> None:
    value = entry(0, arms=3)
    row = next(row for row in value["boards"][0]["rows"] if row["word"])
    row |= {"done": 13, "failed": 2}
    store(tmp_path / "published", value)

    with pytest.raises(Refused, match=r"MB951: .*has the word .* and 2 failed cells"):
        build(tmp_path / "published", tmp_path / "site")


def test_a_correction_is_shown_and_takes_the_tier_away(copied: Path, tmp_path: Path) -> None:
    found = numbered(copied)[1]
    add(copied, found.entry["bundle"]["sha256"], "corrected", "claimed", detail="the wrong scanner")
    build(copied, tmp_path / "site")
    page = Page((tmp_path / "site" / "entries" / f"{found.entry['id']}.html").read_text(encoding="utf-8"))
    badge = (tmp_path / "site" / "entries" / f"{found.entry['id']}.svg").read_text(encoding="utf-8")

    assert "the wrong scanner" in page.text
    assert "medbench: claimed" in badge
    assert found.entry["id"] not in {r["entry"] for r in json.loads((tmp_path / "site" / "all.json").read_text())
                                     if r["ranked"]}  # fmt: skip


def test_folders_and_ledger_must_know_each_other(copied: Path, tmp_path: Path) -> None:
    gone = next(copied.glob("*/entry.json")).parent
    kept = tmp_path / gone.name
    shutil.move(gone, kept)
    with pytest.raises(Refused, match=rf"row \d+ tells of {gone.name}, which has no folder"):
        build(copied, tmp_path / "site")
    shutil.move(kept, gone)
    shutil.copytree(gone, copied / ("0" * 16))
    with pytest.raises(Refused, match=r"no row of ledger\.jsonl knows it"):
        build(copied, tmp_path / "site")
    shutil.rmtree(copied / ("0" * 16))
    (copied / ".partial").mkdir()  # left behind by a publication that was cut off
    assert build(copied, tmp_path / "site") == COUNT


def test_links_are_not_followed(copied: Path, tmp_path: Path) -> None:
    path = next(copied.glob("*/entry.json"))
    shutil.move(path, tmp_path / "entry.json")
    path.symlink_to(tmp_path / "entry.json")

    with pytest.raises(Refused, match="MB901"):
        build(copied, tmp_path / "site")


def test_a_folder_that_is_no_site_is_left_alone(copied: Path, tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    for where in (out, copied, copied.parent):
        with pytest.raises(UsageError, match="-o"):
            build(copied, where)
    assert files_of(out) == {"letter.txt": b"mine"}


def test_a_site_is_replaced_whole_or_not_at_all(copied: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    build(copied, out)
    (out / "entries" / "old.html").write_text("old")
    before = files_of(out)
    entry_path = next(copied.glob("*/entry.json"))
    good = entry_path.read_bytes()
    edit(entry_path, EDITS["a title"])
    with pytest.raises(Refused):
        build(copied, out)
    assert files_of(out) == before
    entry_path.write_bytes(good)
    build(copied, out, Settings(bundles=False))

    assert not (out / "entries" / "old.html").exists()
    assert not (out / "bundles").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"published", "site"}


def test_nothing_published_is_a_site_too(tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()

    assert build(tmp_path / "published", tmp_path / "site") == 0
    assert "Nothing is published yet" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert pl.read_parquet(tmp_path / "site" / "all.parquet").is_empty()


def test_the_command_ends_with_nine_and_names_the_row(copied: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "medbench", "site", str(copied), "-o", str(tmp_path / "site")]
    good = subprocess.run(run, capture_output=True, text=True, check=False)
    ledger = copied / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b"2026-01-31", b"2025-01-31", 1))
    bad = subprocess.run(run, capture_output=True, text=True, check=False)

    assert (good.returncode, good.stdout) == (0, f"wrote {tmp_path / 'site' / 'index.html'}: {COUNT} entries\n")
    assert bad.returncode == 9
    assert "MB950" in bad.stderr
    assert "row 1 " in bad.stderr


def test_badges_are_pictures_without_anything_active(site: Path, published: Path) -> None:
    for found in read_entries(published):
        root = ET.fromstring((site / "entries" / f"{found.entry['id']}.svg").read_bytes())
        said = found.history.tier + (" 2026-02-15" if found.history.tier == "reproduced" else "")

        assert root.get("aria-label") == f"medbench: {said}"
        assert {e.tag.rpartition("}")[2] for e in root.iter()} == {"svg", "title", "rect", "path", "g", "text"}


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_texts_can_be_told_from_their_ground_in_light_and_dark(site: Path) -> None:
    """WCAG 2.2, 1.4.3: contrast of at least 4.5."""
    blocks = re.findall(r":root \{([^}]*)\}", (site / "style.css").read_text(encoding="utf-8"))

    assert len(blocks) == 2
    for block in blocks:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        for ground in ("paper", "raised", "note"):
            for ink in ("ink", "soft", "link", "up", "down", "moved"):
                one, other = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
                assert (one + 0.05) / (other + 0.05) >= 4.5, (ink, ground)


def test_style_loads_nothing(site: Path) -> None:
    style = (site / "style.css").read_text(encoding="utf-8")

    assert "url(" not in style
    assert "@import" not in style


@given(st.text(max_size=300))
def test_shown_text_is_calm_and_stays_as_it_is(text: str) -> None:
    once = safe_text(text)

    assert safe_text(once) == once
    assert len(once) <= LONGEST
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", once)
    assert once.isascii() or not text.isascii()


def test_plain_text_is_shown_unchanged() -> None:
    for text in ("An Ångström, 5 of 3: ±2 (≥ 1 %)", "שלום", "中文 名", " and others"):
        assert safe_text(text) == text
    assert len(safe_text("a" * 5000)) == LONGEST


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), min_size=2, max_size=2, unique=True))
def test_data_sets_have_file_names_of_their_own(names: list[str]) -> None:
    one, other = map(slug, names)

    assert one != other
    assert re.fullmatch(r"[a-z0-9_-]{1,90}", one)


def test_two_names_that_look_alike_have_two_pages() -> None:
    names = ["a:b", "a--b", "a-b", "A:b", "a_b", "a b", f"a-b_{hashlib.sha256(b'A:b').hexdigest()[:16]}"]

    assert len(set(map(slug, names))) == len(names)


def test_only_plain_https_links_may_be_followed() -> None:
    assert safe_link("https://example.org/a?b=c#d") == "https://example.org/a?b=c#d"
    for text in ("http://example.org", "https://a@b.example", 'https://x/"><b>', "javascript:1", "https://a\n", ""):
        assert safe_link(text) is None


def test_a_range_is_drawn_where_it_lies() -> None:
    points = svg.axis_reach([(-1.0, 1.0, 3.0), None, (2.0, 4.0, 7.5)])
    at = svg.place_range((-10.0, 0.0, 5.0), points)

    assert points == 10.0
    assert at == svg.PlacedRange(low=4.0, at=80.0, high=118.0, zero=80.0, cut=False)
    assert svg.place_range((0.0, 5.0, 12.0), points).cut  # type: ignore[union-attr]
    assert svg.place_range(None, points) is None
