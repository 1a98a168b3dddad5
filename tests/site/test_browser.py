"""Reports and published pages in a real browser: no network is asked, nothing of others runs, all is reached."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from _hostile_texts import PAYLOADS, everywhere, hostile
from _synthetic_store import SyntheticRun
from medbench.report.figures import sheet
from medbench.report.inputs import gather
from medbench.report.report import Report, report
from medbench.report.write_html import page as written
from medbench.site import pages
from medbench.site.order_entries import data_sets
from medbench.site.read_entries import read_entries
from medbench.tables.blocks import Section, Table, table
from medbench.text import clean

SIZES = [(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")]
ACTIVE = """(page, own) => [...page.querySelectorAll("*")].flatMap((e) => {
  const ours = (e) => e.tagName === "SCRIPT" && (e.hasAttribute("src")
    ? /^(\\.\\.\\/)?(tables|site)\\.js$/.test(e.getAttribute("src")) && !e.textContent : e.textContent === own);
  const found = [];
  if (["SCRIPT", "IFRAME", "OBJECT", "EMBED", "FORM", "BASE", "AUDIO", "VIDEO", "FRAME", "MATH", "PORTAL"]
      .includes(e.tagName.toUpperCase()) && !ours(e)) found.push(e.outerHTML);
  for (const a of e.attributes) {
    const value = a.value.replace(/[\\s\\u0000-\\u001f]/g, "").toLowerCase();
    if (a.name.startsWith("on") || ["style", "srcdoc", "autofocus", "formaction"].includes(a.name)) found.push(a.name);
    const leads = ["href", "src", "action", "xlink:href"].includes(a.name);
    if (leads && /^(javascript|vbscript|data:(?!image\\/))/.test(value)) found.push(a.value);
    if (a.name === "http-equiv" && value === "refresh") found.push("refresh");
  }
  return found;
})"""
CONTRASTS = """() => {
  const rgb = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const linear = (v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  const light = (c) => { const [r, g, b] = c.map(linear); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] === 1) return c; if (c[3] > 0) throw new Error("half transparent"); } return [255, 255, 255, 1]; };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || ["SCRIPT", "STYLE"].includes(e.tagName) || !e.getClientRects().length)
      continue;
    const [one, other] = [light(rgb(getComputedStyle(e).color).slice(0, 3)), light(ground(e).slice(0, 3))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push([ratio, e.tagName + "." + e.className, walker.currentNode.textContent.slice(0, 40)]);
  }
  return found;
}"""
REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
  .filter((e) => e.checkVisibility()).map((e, n) => { e.dataset.at = n; return n; })"""
FOCUSED = """() => {
  const e = document.activeElement, s = getComputedStyle(e);
  return [e.dataset.at === undefined ? -1 : +e.dataset.at, s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2,
    e.outerHTML.slice(0, 90)];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if found is None:
        pytest.skip("no Chromium is on the PATH")
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


class Visit:
    """A page that is cut off from any network, with what it said and what it asked for."""

    def __init__(self, browser: Any, width: int = 1440, scheme: str = "light", **more: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, **more)
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.context.route("**/*", self._only_files)

    def _only_files(self, route: Any) -> None:
        url = route.request.url
        self.asked.append(url)
        route.continue_() if url.startswith("file:") else route.abort()

    def open(self, path: Path) -> Any:
        self.page.goto(path.as_uri())
        return self.page

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def quiet(self) -> bool:
        """Whether the page said nothing and asked for nothing but files beside it."""
        return not self.said and all(url.startswith("file:") for url in self.asked)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    return SyntheticRun(tmp_path_factory.mktemp("run"), patients=60, folds=5, repeats=3).fill()


@pytest.fixture(scope="module")
def a_report(run: SyntheticRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = report(gather(run.store, run.record()))
    drawn = io.BytesIO()
    Image.fromarray(np.zeros((40, 900), dtype=np.uint8)).save(drawn, format="PNG")
    wide = sheet(drawn.getvalue(), alt="7 images, all black", caption="Real images stand above made ones.")
    samples = Section("samples", "Real and made images", (wide,))
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(written(dataclasses.replace(made, sections=(*made.sections, samples))))
    return path


@pytest.fixture(scope="module")
def documents(a_report: Path, published: Path, site: Path) -> list[Path]:
    """A report, the first page of a site, every data set's, and an entry's page of each tier."""
    of_tier = {p.history.tier: site / "entries" / f"{p.entry['id']}.html" for p in read_entries(published)}
    assert set(of_tier) == set(pages.TIERS)
    others = [site / f"{name}.html" for name in ("how", "glossary", "submit", "cite", "download")]
    a_method = next((site / "methods").glob("*.html"))
    pages_of = [site / "index.html", *sorted((site / "data").glob("*.html")), a_method, *others, *of_tier.values()]
    return [a_report, *pages_of]


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_pages_are_shown_without_asking_anybody(browser: Any, documents: list[Path], width: int, scheme: str) -> None:
    with Visit(browser, width, scheme) as visit:
        for path in documents:
            page = visit.open(path)

            assert visit.quiet(), (path, visit.said, visit.asked)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
            told = page.evaluate(CONTRASTS)
            assert len(told) > 20
            assert [one for one in told if one[0] < 4.5] == [], path
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, ground[4:-1].split(","))) < 150) == (scheme == "dark")


def test_a_request_to_a_network_would_be_seen(browser: Any, tmp_path: Path) -> None:
    """The test above cannot pass by accident."""
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/x.png"><p style="color: #999; background: #aaa">x</p>')
    with Visit(browser) as visit:
        page = visit.open(bad)

        assert not visit.quiet()
        assert page.evaluate(CONTRASTS)[0][0] < 4.5


def test_every_link_of_a_site_is_followed(browser: Any, site: Path) -> None:
    waiting, seen = [site / "index.html"], set[Path]()
    with Visit(browser) as visit:
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            page = visit.open(path)
            links = page.evaluate("[...document.links].map((a) => [a.href, a.rel, a.hasAttribute('download')])")
            for url, rel, is_download in links:
                parts = urlsplit(url)
                if parts.scheme != "file":
                    assert (parts.scheme, rel) == ("https", "nofollow noopener ugc")
                    continue
                target = Path(unquote(parts.path))
                assert target.is_file(), (path, url)
                if not is_download and target.suffix == ".html":
                    waiting.append(target)
        assert seen == set(site.rglob("*.html"))
        page = visit.open(site / "index.html")
        page.locator("td a, th a").first.click()
        assert "/data/" in page.url
        page.locator("th a").first.click()
        assert "/entries/" in page.url
        page.locator(":target").wait_for(state="attached")
        assert page.locator(":target").count() == 1
        page.go_back()
        page.locator("a.home").click()
        assert page.url == (site / "index.html").as_uri()
        assert visit.quiet()


def test_every_section_of_a_report_is_reached_from_its_contents(browser: Any, a_report: Path) -> None:
    with Visit(browser, reduced_motion="reduce") as visit:
        page = visit.open(a_report)
        links = page.locator("nav a")
        assert links.count() == page.locator("main > section:not(#answer)").count() > 8
        for number in range(links.count()):
            link = links.nth(number)
            link.focus()
            page.keyboard.press("Enter")
            assert page.locator(":target h2").text_content() == link.text_content()
            at_the_end = page.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 1")
            assert at_the_end or -1 <= page.locator(":target").bounding_box()["y"] <= 100
        assert visit.quiet()


@pytest.mark.parametrize("width", [360, 1440])
def test_a_keyboard_reaches_everything_and_shows_where_it_is(browser: Any, documents: list[Path], width: int) -> None:
    with Visit(browser, width) as visit:
        for path in documents:
            page = visit.open(path)
            wanted, reached = page.evaluate(REACHABLE), []
            assert len(wanted) > 5
            for _ in range(len(wanted)):
                page.keyboard.press("Tab")
                at, is_seen, what = page.evaluate(FOCUSED)
                reached.append(at)
                assert is_seen, (path, what)
            assert reached == wanted, path

            page.reload()
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.className") == "skip"
            page.keyboard.press("Enter")
            target = page.evaluate("location.hash")
            assert page.locator(target).count() == 1
            page.keyboard.press("Tab")
            place = page.evaluate(f"document.querySelector('{target}').compareDocumentPosition(document.activeElement)")
            assert place & 4, path  # DOCUMENT_POSITION_FOLLOWING: inside it or behind it
            assert visit.quiet()


def test_columns_out_of_sight_are_announced_and_a_phone_shows_cards(browser: Any, tmp_path: Path) -> None:
    columns = [f"column {number}" for number in range(20)]
    wide = table("Caption.", ("method", *columns), [["a", *("value" for _ in columns)]], label="w")
    path = tmp_path / "wide.html"
    path.write_bytes(written(Report("t", (Section("s", "S", (wide,)),))))

    with Visit(browser, 768) as visit:
        assert visit.open(path).locator(".hint").is_visible()
    with Visit(browser, 360) as visit:
        page = visit.open(path)
        assert not page.locator(".hint").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        title = "getComputedStyle(document.querySelector('tbody td'), '::before').content"
        assert page.evaluate(title) == '"column 0"'
        assert visit.quiet()


def test_a_board_is_sorted_and_filtered_by_keyboard(browser: Any, a_report: Path) -> None:
    with Visit(browser) as visit:
        page = visit.open(a_report)
        names = "[...document.querySelector('table[data-sortable]').tBodies[0].rows].filter((r) => !r.hidden)" \
            ".map((r) => r.cells[0].textContent)"  # fmt: skip
        tree = page.evaluate(names)

        page.locator("table[data-sortable] th button").nth(4).focus()  # balanced accuracy
        page.keyboard.press("Enter")
        accuracies = (
            "[...document.querySelectorAll('table[data-sortable] tbody tr')].map((r) => +r.cells[4].textContent)"
        )
        falling = page.evaluate(accuracies)
        assert falling == sorted(falling, reverse=True)
        assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
        page.keyboard.press("Space")
        assert page.evaluate(accuracies) == sorted(falling)
        page.locator("table[data-sortable] th button").first.click()
        assert page.evaluate(names) == sorted(tree, key=lambda name: name.lower().removeprefix("+ "))
        page.locator(".tools input").first.fill("mixup")
        assert page.evaluate(names) == ["+ mixup"]
        assert "1 of 4 rows" in page.locator(".tools output").first.text_content()
        page.locator(".tools input").first.fill("no such arm")
        assert page.evaluate(names) == []
        page.locator(".tools button").first.click()
        assert page.evaluate(names) == tree
        assert visit.quiet()


def test_without_scripts_the_board_is_whole(browser: Any, a_report: Path, run: SyntheticRun) -> None:
    with Visit(browser, java_script_enabled=False) as visit:
        page = visit.open(a_report)

        assert page.locator("table[data-sortable] tbody tr").count() == len(run.tree)
        assert page.locator(".tools").count() == 0


def test_a_table_of_a_site_is_sorted_and_filtered(browser: Any, site: Path) -> None:
    path = max((site / "data").glob("*.html"), key=lambda found: found.read_text("utf-8").count("<tr"))
    with Visit(browser) as visit:
        page = visit.open(path)
        table = page.locator("table[data-sortable]").first
        titles = "(t) => [...t.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.cells[0].dataset.order)"
        numbers = "(t) => [...t.tBodies[0].rows].map((r) => +r.cells[2].dataset.order)"
        before = table.evaluate(titles)
        assert len(before) > 2
        assert page.locator(".tools").count() == page.locator("table[data-sortable]").count()

        table.locator("th button").nth(2).focus()  # the gain
        page.keyboard.press("Enter")
        falling = table.evaluate(numbers)
        assert falling == sorted(falling, reverse=True)
        page.keyboard.press("Enter")
        assert table.evaluate(numbers) == sorted(falling)
        table.locator("th button").nth(3).click()  # the verdict: the best first
        places = table.evaluate("(t) => [...t.tBodies[0].rows].map((r) => +r.cells[3].dataset.order)")
        assert places == sorted(places)
        table.locator("th button").first.click()
        assert table.evaluate(titles) == sorted(before)
        tools = page.locator(".tools").first
        tools.locator("input").fill(before[1])
        assert before[1] in table.evaluate(titles)
        assert len(table.evaluate(titles)) < len(before)
        assert f"of {len(before)} rows" in (tools.locator("output").text_content() or "")
        tools.locator("button").click()
        assert table.evaluate(titles) == before
        assert visit.quiet(), visit.said


def test_the_first_page_is_searched_and_filtered(browser: Any, site: Path) -> None:
    with Visit(browser) as visit:
        page = visit.open(site / "index.html")
        shown = "[...document.querySelectorAll('.grid .result')].filter((e) => e.checkVisibility()).length"
        marks = (
            "[...document.querySelectorAll('.plot .mark')].filter((e) => getComputedStyle(e).display !== 'none').length"
        )
        every, drawn = page.evaluate(shown), page.evaluate(marks)
        assert every > 5
        assert drawn >= every

        page.get_by_label("Verdict", exact=True).select_option("worse")
        only = page.evaluate(shown)
        assert 0 < only < every
        assert page.evaluate(marks) < drawn
        assert f"{only} of {every} results" in (page.locator("#filters output").text_content() or "")
        assert page.locator(".grid .result[data-verdict='worse']:visible").count() == only
        page.get_by_label("Search", exact=True).fill("cutmix")
        assert page.evaluate(shown) <= only
        page.get_by_label("Search", exact=True).fill("no such thing")
        assert page.evaluate(shown) == page.evaluate(marks) == 0
        page.get_by_role("button", name="Reset").first.click()
        assert page.evaluate(shown) == every
        assert page.evaluate(marks) == drawn
        assert visit.quiet(), visit.said


def test_what_is_to_be_copied_is_copied_or_selected(browser: Any, site: Path) -> None:
    with Visit(browser) as visit:
        page = visit.open(next((site / "entries").glob("*.html")))
        page.locator("pre[data-copy]").last.evaluate(
            "(e) => { for (e = e.closest('details'); e; e = null) e.open = true; }"
        )
        button = page.locator("button.copy").last
        button.click()
        # Not wait_for_function: it polls by eval, which the page forbids, once its first look came too early.
        page.locator("button.copy", has_text=re.compile("Copied|Selected")).last.wait_for()
        assert visit.quiet(), visit.said


AXE = os.environ.get("MEDBENCH_AXE", "")
"""Path of axe.min.js, of the npm package axe-core."""


@pytest.mark.skipif(not Path(AXE).is_file(), reason="MEDBENCH_AXE names no axe.min.js")
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (768, "light"), (1440, "light")])
def test_axe_finds_nothing(browser: Any, documents: list[Path], width: int, scheme: str) -> None:
    with Visit(browser, width, scheme, bypass_csp=True) as visit:
        for path in documents:
            page = visit.open(path)
            page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
            page.evaluate(Path(AXE).read_text(encoding="utf-8"))
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            assert [(one["id"], [node["html"] for node in one["nodes"][:3]]) for one in found] == [], path


def test_a_telephone_shows_what_sorts_a_table_of_cards(browser: Any, site: Path) -> None:
    with Visit(browser, 360) as visit:
        page = visit.open(next((site / "data").glob("*.html")))
        button = page.locator("table.cards th button").nth(1)
        button.click()

        assert button.bounding_box()["width"] > 20
        assert page.locator("table.cards th[aria-sort]").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_scripts_the_tables_of_a_site_are_whole(browser: Any, site: Path) -> None:
    with Visit(browser, java_script_enabled=False) as without, Visit(browser) as visit:
        for path in (site / "index.html", *sorted((site / "data").glob("*.html"))):
            rows = [v.open(path).locator("tbody tr").count() for v in (without, visit)]
            assert rows[0] == rows[1] > 0
            assert without.page.locator(".tools, th button").count() == 0
        assert without.quiet()


def test_a_site_runs_no_script_but_its_own(browser: Any, site: Path, tmp_path: Path) -> None:
    bad = Path(shutil.copytree(site, tmp_path / "site")) / "index.html"
    text = bad.read_text("utf-8")
    inline = "<script>document.title = 'hacked'</script><p onclick=x><a href='javascript:1'>x</a>"
    bad.write_text(text.replace("<main", f"{inline}<main"), encoding="utf-8")
    with Visit(browser) as visit:
        page = visit.open(bad)

        assert "hacked" not in page.title()
        assert any("Content Security Policy" in said for said in visit.said)
        assert page.locator(".tools").count() > 0  # ours ran


# -- hostile texts ----------------------------------------------------------------------------------------------------


OWN = resources.files("medbench.report").joinpath("page.js").read_text(encoding="utf-8")
PARSED = (
    f"(texts) => texts.map((text) => ({ACTIVE})(new DOMParser().parseFromString(text, 'text/html'), {json.dumps(OWN)}))"
)


def live(visit: Visit, text: str) -> list[str]:
    """Let the browser run a page with its own policy set aside; return what in it is active and not ours."""
    visit.page.set_content(text, wait_until="domcontentloaded")
    return list(visit.page.evaluate(f"(own) => ({ACTIVE})(document, own)", OWN))


def of_all(payloads: Sequence[str]) -> Report:
    """One report with every text in every field of a section of its own."""
    sections = []
    for number, payload in enumerate(payloads):
        (section,) = everywhere(payload).sections
        name = f"t{number}"
        blocks = tuple(dataclasses.replace(b, label=name) if isinstance(b, Table) else b for b in section.blocks)
        sections.append(Section(f"s{number}" if number else "answer", section.title, blocks))
    return Report(clean(payloads[0]), tuple(sections))


def test_no_text_runs_in_a_report_even_without_its_policy(browser: Any) -> None:
    assert len(PAYLOADS) >= 60
    with Visit(browser, bypass_csp=True) as visit:
        assert live(visit, written(of_all(PAYLOADS)).decode()) == []
        for number in range(0, len(PAYLOADS), 10):  # the script moves what strangers wrote
            visit.page.locator("th button").nth(2 * number).click()
            visit.page.locator(".tools input").nth(number).fill(clean(PAYLOADS[number])[:50])
        assert visit.page.evaluate(f"(own) => ({ACTIVE})(document, own)", OWN) == []
        found = visit.page.evaluate(PARSED, [written(everywhere(payload)).decode() for payload in PAYLOADS])
        assert found == [[]] * len(PAYLOADS)
        assert visit.quiet(), (visit.said, visit.asked)


def test_no_text_runs_in_a_site_even_without_its_policy(browser: Any, published: Path) -> None:
    victims = read_entries(published)[:2]
    found = [hostile(victims[n % 2], payload) for n, payload in enumerate(PAYLOADS)]
    sets = data_sets(found)
    texts = [*(pages.entry_page(one, has_bundle=True) for one in found), *map(pages.data_page, sets)]
    assert len(texts) > len(PAYLOADS)
    with Visit(browser, bypass_csp=True) as visit:
        # The files that lie beside a page are not there, so it must not ask for them.
        for text in (pages.index(found, sets), *texts[::20]):
            alone = text.replace('<link rel="stylesheet"', '<link rel="none"').replace("<img src=", "<img alt=")
            alone, count = re.subn(r'<script src="(\.\./)?(tables|site)\.js" defer></script>', "", alone)
            assert count == 2
            assert live(visit, alone.replace("</body>", f"<script>{OWN}</script></body>")) == []
            for number in range(0, visit.page.locator("th button").count(), 3):  # the script moves what strangers wrote
                visit.page.locator("th button").nth(number).click()
            for number in range(visit.page.locator(".tools input").count()):
                visit.page.locator(".tools input").nth(number).fill(clean(PAYLOADS[number])[:50])
            assert visit.page.evaluate(f"(own) => ({ACTIVE})(document, own)", OWN) == []
        assert visit.page.evaluate(PARSED, texts) == [[]] * len(texts)
        assert visit.quiet(), (visit.said, visit.asked)


def test_what_is_active_would_be_found(browser: Any) -> None:
    """The two tests above cannot pass by accident."""
    bad = [
        "<script>alert(1)</script>", "<p onclick=x>", "<a href=' java\nscript:x'>", "<iframe></iframe>",
        "<script src='https://tables.js'></script>", "<script src='tables.js'>1</script>",
        "<meta http-equiv=Refresh content='9'>", "<svg><script>1</script></svg>", "<img src=x onerror=alert(1)>",
    ]  # fmt: skip
    with Visit(browser, bypass_csp=True) as visit:
        assert all(live(visit, text) for text in bad)
        assert all(visit.page.evaluate(PARSED, bad))
        assert visit.said


@pytest.mark.parametrize("width", [360, 1440])
def test_long_and_strange_texts_do_not_widen_a_page(
    browser: Any, published: Path, site: Path, tmp_path: Path, width: int
) -> None:
    paths = [tmp_path / "report.html"]
    paths[0].write_bytes(written(of_all(PAYLOADS)))
    victim = read_entries(published)[0]
    copied = Path(shutil.copytree(site, tmp_path / "site"))
    longest = sorted(PAYLOADS, key=len)[-8:]
    found = [hostile(victim, payload) for payload in longest]
    for number, one in enumerate(found):
        paths.append(copied / "entries" / f"{number}.html")
        paths[-1].write_text(pages.entry_page(one, has_bundle=True), encoding="utf-8")
        paths.append(copied / "data" / f"{number}.html")
        paths[-1].write_text(pages.data_page(data_sets([one])[0]), encoding="utf-8")
    paths.append(copied / "index.html")
    paths[-1].write_text(pages.index(found, data_sets(found)), encoding="utf-8")

    with Visit(browser, width) as visit:
        for path in paths:
            assert visit.open(path).evaluate("document.documentElement.scrollWidth") <= width, path


# -- what a screen reader is told -------------------------------------------------------------------------------------


def spoken(visit: Visit, path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Return role, name and properties of every node of the accessibility tree, in order."""
    visit.open(path).evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    tree = visit.context.new_cdp_session(visit.page).send("Accessibility.getFullAXTree")["nodes"]
    by_id, order = {node["nodeId"]: node for node in tree}, []
    waiting = [tree[0]["nodeId"]]
    while waiting:
        node = by_id.get(waiting.pop())
        if node is None:
            continue
        waiting += reversed(node.get("childIds", []))
        if not node.get("ignored"):
            properties = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
            order.append((node["role"]["value"], node.get("name", {}).get("value", ""), properties))
    return order


@pytest.mark.parametrize("width", [360, 1440])
def test_a_screen_reader_is_told_what_is_where(browser: Any, documents: list[Path], width: int) -> None:
    with Visit(browser, width) as visit:
        for path in documents:
            told = spoken(visit, path)
            roles = [role for role, _, _ in told]

            levels = [properties["level"] for role, _, properties in told if role == "heading"]
            assert levels[0] == 1
            assert levels.count(1) == 1
            assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), path
            assert [roles.count(role) for role in ("banner", "main", "contentinfo")] == [1, 1, 1]
            for named in ("table", "image", "link", "button", "searchbox", "navigation", "region", "columnheader"):
                assert [one for one in told if one[0] == named and not one[1].strip()] == [], (path, named)
            tables = roles.count("table")
            assert tables == visit.page.locator("table").count()
            assert roles.count("columnheader") > tables or not tables
            assert roles.count("rowheader") > tables or not tables
            regions = [name for role, name, _ in told if role == "region"]
            assert len(regions) == len(set(regions)), path
            assert [one for one in told if one[2].get("focusable") and not one[1].strip()
                    and one[0] not in ("RootWebArea", "main")] == [], path  # fmt: skip
