"""What the pages of a site say to somebody who has never seen medbench, and where it leads."""

from __future__ import annotations

import copy
import dataclasses
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from site_speed import entry, store

from medbench.cli.site import site as command
from medbench.glossary import TERMS
from medbench.planning.study_schema import PublishedTable
from medbench.publishing.stored_words import in_plain_nouns
from medbench.site import pages, plots
from medbench.site.build import Settings, build
from medbench.site.data_cards import known_cards
from medbench.site.feed import NAMESPACE, feed
from medbench.site.order_entries import data_sets
from medbench.site.protocol_pages import left_out_text
from medbench.site.read_entries import Published, read_entries
from medbench.site.remeasured import remeasured
from medbench.site.results import current_results, grid_of, methods_of
from medbench.site.stored_sentences import in_plain_words, notes
from medbench.tables.board_notes import UNKNOWN_PATIENTS

SHIPPED = Path(__file__).parents[2] / "results" / "published"
OLD_WORDS = re.compile(
    r"\b(arms?|rehearsal|phantoms?(?!:)|trials?|looks|cells?|can't tell|made (images|rows)|controls?|placebo|"
    r"(?<!told )apart)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shipped") / "site"
    build(SHIPPED, out, Settings(address="https://example.org/medbench/"))
    return out


@pytest.fixture(scope="module")
def entries() -> list[Published]:
    return read_entries(SHIPPED)


def text_of(path: Path) -> str:
    """Return what people read: no attributes, no code, no head."""
    text = path.read_text(encoding="utf-8").partition("</head>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<code.*?</code>|<[^>]*>", " ", text, flags=re.DOTALL))


def html_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_pages_speak_plain_words(shipped: Path, site: Path) -> None:
    for path in (*sorted(shipped.rglob("*.html")), *sorted(site.rglob("*.html"))):
        text = text_of(path)
        if path.name == "glossary.html":
            text = re.sub(r"Also called: [^.]*\.", "", text)
        assert not OLD_WORDS.findall(text), (path, OLD_WORDS.findall(text))


def test_images_are_counted_where_patients_are_not_told_apart(shipped: Path) -> None:
    breast, thyroid = (
        text_of(shipped / "data" / f"{name}.html") for name in ("medmnist", "phantom--ddti--benign-malignant")
    )

    assert not re.search(r"Patients \d", breast)
    assert "Images 780" in breast
    assert "malignant (images) 210" in breast
    assert "Patients 180 Images 243" in thyroid
    assert "780 patients" not in text_of(shipped / "index.html")


def test_protocols_stand_in_their_natural_order_one_row_each(shipped: Path, entries: list[Published]) -> None:
    wanted = ["50 training images", "100 training images", "300 training images", "all training images"]
    key = next(p.entry["id"] for p in entries if p.is_current and p.entry["study"]["name"] == "small-data")

    index = re.findall(r'data-label="Trained on">(\d+ [^<]*|all [^<]*)<', html_of(shipped / "index.html"))
    of_data = re.findall(
        r"#protocol-[^\"]*\">(\d+ [^<]*|all [^<]*)</a></span></td>", html_of(shipped / "data/medmnist.html")
    )
    headings = re.findall(r"</a>: ([^<]*)</h2>", html_of(shipped / "entries" / f"{key}.html"))

    assert headings[0].startswith(f"{wanted[-1]}, without those that the test part has too")
    assert [*headings[:0:-1], wanted[-1]] == wanted  # an entry's page begins with what the answer is about
    assert index == wanted[:-1]  # all training images are the same in each repeat, so nothing there has a verdict
    answer = html_of(shipped / "entries" / f"{key}.html").partition('<p class="answer">')[2]
    assert answer.startswith("In all 4 tables together (50, 100, 300 and all training images) none of 12 comparisons ")
    assert of_data[:4] == wanted


def test_leaky_protocols_come_last_and_say_so(tmp_path: Path) -> None:
    value = entry(0, boards=2, arms=3)
    value["boards"][0] |= {"protocol": "augment-first", "leaks": ["copy"]}
    value["boards"][1] |= {"dataset": value["boards"][0]["dataset"]}
    value["study"]["protocols"] = ["augment-first", "patients"]
    key = store(tmp_path / "published", value)
    build(tmp_path / "published", tmp_path / "site")
    of_entry = html_of(tmp_path / "site" / "entries" / f"{key}.html")
    (of_data,) = (tmp_path / "site" / "data").glob("*.html")

    headings = re.findall(r'<h2 id="(board-\d)">(.*?)</h2>', of_entry)
    assert [name for name, _ in headings] == ["board-2", "board-1"]  # links keep leading to the table they named
    assert ["LEAKY" in text for _, text in headings] == [False, True]
    assert re.findall(r"<h2 id=\"[^\"]*\">([^<]*)</h2>", html_of(of_data))[-1] == "Not ranked: LEAKY protocols"
    assert re.findall(r"<h2 [^>]*>([^<]*)</h2>", html_of(tmp_path / "site" / "protocols.html")) == [
        "Split by patient", "LEAKY: images generated before the split",
    ]  # fmt: skip
    assert not [r for r in current_results(read_entries(tmp_path / "published")) if r.board["leaks"]]


def test_the_grid_holds_entries_in_force_and_each_cell_leads_to_its_table(
    shipped: Path, entries: list[Published]
) -> None:
    results = current_results(entries)
    grid = grid_of(methods_of(results))
    index = html_of(shipped / "index.html")
    gone = {p.entry["id"] for p in entries if not p.is_current}

    assert gone
    assert not gone & {r.published.entry["id"] for r in results}
    assert sum(grid.more.values()) + len(grid.shown) == len(results) == 23
    assert grid.datasets == ("medmnist", "phantom:ddti:benign-malignant")  # real images first
    for result in grid.shown:
        file, _, anchor = result.link.partition("#")
        gain = result.line.numbers[2]
        shown = gain if result.is_synthetic else f"<b>{gain}</b>"  # nothing of drawn images stands out
        assert f'href="{result.link}">{shown}' in index
        assert f'id="{anchor}"' in html_of(shipped / file)
    shown = {r.board["protocol"] for r in grid.shown if r.board["dataset"] == "medmnist"}
    assert shown == {"official[overlap=drop,patients=300]"}  # most training images of those with a verdict


def test_a_cell_shows_the_best_supported_result_of_a_classifier(entries: list[Published]) -> None:
    (quick,) = [p for p in entries if p.is_current and p.entry["study"]["name"] == "quickstart"]
    judged = copy.deepcopy(dict(quick.entry))
    judged["id"] = "f" * 16
    for row in judged["boards"][0]["rows"]:
        row |= {"withheld": None, "word": "better" if row["gain"] else None}
    other = dataclasses.replace(quick, entry=judged)
    grid = grid_of(methods_of(current_results([quick, other])))

    assert {r.published.entry["id"] for r in grid.shown} == {"f" * 16}  # a verdict before a practice run
    assert set(grid.more.values()) == {1}


def test_practice_runs_and_unknown_patients_keep_their_names(entries: list[Published], tmp_path: Path) -> None:
    (one,) = (p for p in entries if p.entry["study"]["name"] == "quickstart" and p.is_current)
    board = dict(one.entry["boards"][0], phantom=False, dataset="ours", unit="patient")
    practice = next(text for text in map(in_plain_words, board["sentences"]) if text.startswith("Practice run"))
    few = "Only 7 patients in the rarest class, so no verdict: it needs 20."
    board |= {
        "sentences": [few, practice, UNKNOWN_PATIENTS],
        "rows": [dict(row, withheld=few if row["withheld"] else row["withheld"]) for row in board["rows"]],
    }
    environment = one.entry["environment"] | {"plugins": [{"name": "ours", "distribution": "", "version": ""}]}
    made = dataclasses.replace(one, entry=one.entry | {"boards": [board], "environment": environment})
    first, page = pages.index([made], []), pages.entry_page(made, has_bundle=True)

    assert "Not known yet: no entry compares methods on real images." in first
    assert "of practice runs on real images are not counted." in first
    assert ">practice run<" in first
    assert re.search(r"<a [^>]*><b>", first.partition('id="plots"')[0].partition("<tbody")[2]) is None
    assert few in page
    assert practice in page
    assert UNKNOWN_PATIENTS in page.partition("<table")[0]
    assert f"{board['images']} images, patients not known" in page
    assert "all training images" in page
    assert "--data FOLDER --plugins-dir PLUGINS" in page


def test_every_word_is_explained_and_every_page_links_its_words(shipped: Path) -> None:
    glossary = html_of(shipped / "glossary.html")

    for term in TERMS.values():
        assert f'<dt id="{term.anchor}">' in glossary
    for name in ("index", "how", "submit", "download"):
        assert 'class="term"' in html_of(shipped / f"{name}.html")
    for folder in ("data", "entries", "methods"):
        for path in (shipped / folder).glob("*.html"):
            assert "glossary.html#gain" in html_of(path), path


def test_recipes_stand_in_titles_and_names_in_tables(shipped: Path) -> None:
    text = text_of(shipped / "index.html")

    assert "hybrid: copied images" in text
    assert "hybrid[" not in text
    assert 'title="hybrid[generator=resample]"' in html_of(shipped / "index.html")


def test_an_entry_begins_with_the_answer(shipped: Path, entries: list[Published]) -> None:
    current = {p.entry["study"]["name"]: p.entry["id"] for p in entries if p.is_current}
    small, quick = (text_of(shipped / "entries" / f"{current[name]}.html") for name in ("small-data", "quickstart"))

    assert "None of 3 methods was shown to be better than the method above it (3 inconclusive): " in small
    answer = re.search(r"No verdict[^:]*: \+5\.9 points for hybrid: AC-GAN images", quick)
    assert answer
    assert (
        answer.start() < quick.index("Practice run, so no verdict: a verdict needs 5-fold") < quick.index("Small CNN")
    )
    assert "Warning: image brightness alone predicts the class with AUROC .65." in quick


def test_sentences_of_today_are_shown_as_they_are() -> None:
    said = ["hybrid: AC-GAN images: 0 of 4 collapsed.", "Guessing gives 50.0 % balanced accuracy.", "Warning: w."]

    assert notes(said, {"hybrid": "hybrid: AC-GAN images"}) == [said[2], *said[:2]]


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("REHEARSAL: a verdict takes at least 3 repeats.", "Practice run, so no verdict: a verdict needs 3 repeats."),
        ("! x: the nearest training picture alone reaches AUROC .61: medbench audit x",
         "Warning: simply taking the label of the most similar training image gives AUROC .61."),
        ("Can't tell. reacgan gains +5.5 over copies (-20.7 to +31.7). This design sees 29.9 points or more; seeing 2 "
         "takes about 8,700 such images.",
         "reacgan over copies: a gain of 29.9 points or more can be detected (80 % power). Detecting a 2-point gain "
         "would need about 8,700 images."),
        ("chance 50.0    none: 65.0 by argmax", ""),
        ("geometric costs 3.1 points.", ""),
        ("2 of 15 cells done: no verdict yet.", "2 of 15 training runs done: no verdict yet."),
        ("A sentence of today.", "A sentence of today."),
    ],
)  # fmt: skip
def test_stored_sentences_are_put_in_the_words_of_today(stored: str, said: str) -> None:
    assert in_plain_words(stored) == said


def test_names_in_stored_sentences_are_those_of_the_table() -> None:
    (said,) = notes(
        [
            "Made images that are copies of training images: hybrid (resample) 4 of 4, hybrid 0 of 4; up to 1 in 100 "
            "by chance."
        ],
        {"hybrid": "hybrid: AC-GAN images", "hybrid (resample)": "hybrid: copied images", "copies": "copied images"},
    )

    assert said == (
        "Generated images that are copies of training images: hybrid: copied images 4 of 4, hybrid: AC-GAN images 0 of "
        "4; up to 1 in 100 may be so by chance."
    )
    assert in_plain_nouns("1 boards, 5 arms on phantom:ddti, none / small-cnn r0 f1 s0") == (
        "1 table, 5 methods on phantom:ddti, none / small-cnn, repeat 0, fold 1, seed 0"
    )


def test_the_feed_names_entries_in_force_newest_first(entries: list[Published], site: Path) -> None:
    root = ET.fromstring(feed(entries, "https://example.org/m/"))
    titles = [e.findtext(f"{{{NAMESPACE}}}title") for e in root.iter(f"{{{NAMESPACE}}}entry")]
    ids = [e.text for e in root.iter(f"{{{NAMESPACE}}}id")]

    assert titles == [
        "BreastMNIST: gain against the number of training patients",
        "Quickstart: hybrid on drawn thyroid ultrasound",
    ]
    assert len(set(ids)) == 3
    assert all(str(name).startswith("urn:uuid:") for name in ids)
    assert {e.get("href", "")[:22] for e in root.iter(f"{{{NAMESPACE}}}link")} == {"https://example.org/m/"}
    assert ET.fromstring((site / "feed.atom").read_bytes()).tag == f"{{{NAMESPACE}}}feed"
    assert ET.fromstring(feed([], "")).findtext(f"{{{NAMESPACE}}}updated") == "1970-01-01T00:00:00Z"


def test_a_result_has_a_badge_to_copy_and_an_entry_a_citation(shipped: Path, entries: list[Published]) -> None:
    (quick,) = [p for p in entries if p.is_current and p.entry["study"]["name"] == "quickstart"]
    key = quick.entry["id"]
    badge = ET.fromstring((shipped / "badges" / f"{key}-1.svg").read_bytes())
    page = html_of(shipped / "entries" / f"{key}.html")

    assert badge.get("aria-label") == "medbench recomputed: +5.9 points (-4.5 to +16.4), no verdict"
    assert (
        f"](https://example.org/medbench/badges/{key}-1.svg)](https://example.org/medbench/entries/{key}.html#board-1)"
        in page
    )
    assert f"@misc{{medbench-{key}," in page
    assert f"url = {{https://example.org/medbench/entries/{key}.html}}," in page


def test_links_elsewhere_show_a_preview(shipped: Path, site: Path) -> None:
    with Image.open(shipped / "preview.png") as picture:
        assert picture.size == (1200, 630)
        assert len(picture.convert("RGB").getcolors(maxcolors=1000) or ()) > 2
    assert (shipped / "preview.png").stat().st_size < 60_000
    for path in shipped.rglob("*.html"):
        assert '<meta property="og:image" content="https://example.org/medbench/preview.png">' in html_of(path)
    assert '<meta property="og:image" content="preview.png">' in html_of(site / "index.html")


@pytest.mark.parametrize(
    "url", ["example.org", "ftp://example.org", "https://", "https://example.org/?a=b", "javascript:alert(1)"]
)
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    found = CliRunner().invoke(command, [str(SHIPPED), "-o", str(tmp_path / "site"), "--url", url])

    assert found.exit_code != 0
    assert "no address" in str(found.exception)
    assert not (tmp_path / "site").exists()


def test_plots_hold_every_result_where_it_belongs(entries: list[Published]) -> None:
    results = current_results(entries)
    shown = grid_of(methods_of(results)).shown
    time, images = plots.against_time(shown), plots.against_images(results)

    assert len(time.marks) == len(shown)
    for plot in (time, images):
        assert all(plots.LEFT <= m.x <= plots.RIGHT and plots.TOP <= m.y <= plots.BOTTOM for m in plot.marks)
        assert [tick.is_zero for tick in plot.rows].count(True) == 1
    by_time = sorted(zip(time.marks, shown, strict=True), key=lambda pair: pair[1].line.raw["seconds"])
    assert [m.x for m, _ in by_time] == sorted(m.x for m in time.marks)
    by_gain = sorted(zip(time.marks, shown, strict=True), key=lambda pair: pair[1].line.raw["gain"])
    assert [m.y for m, _ in by_gain] == sorted((m.y for m in time.marks), reverse=True)
    assert len(images.lines) == 3  # three methods of one entry were asked for, at four sizes each
    assert {round(r.images or 0) for r in results if r.board["dataset"] == "medmnist"} >= {51, 107, 321, 533}
    assert not plots.against_time([]).marks


def test_published_figures_stand_beside_what_was_measured(entries: list[Published]) -> None:
    told = [
        PublishedTable(arm="hybrid", metric="balanced-accuracy", value=0.91, source="Table 2"),
        PublishedTable(arm="hybrid", metric="recall-malignant", value=0.9, source="Table 2"),
        PublishedTable(arm="acgan", metric="accuracy", value=0.9, source="Table 2"),
    ]
    found = remeasured(entries, {"quickstart": told})
    drawn = plots.against_published(found)

    assert [(one.name, one.metric, one.published, round(one.here, 3)) for one in found] == [
        ("hybrid: AC-GAN images", "balanced-accuracy", 0.91, 0.804)
    ]
    assert len(drawn.marks) == 1
    assert "published 91.0, here 80.4" in drawn.marks[0].title
    assert not plots.against_published(remeasured(entries, {})).marks
    text = pages.index(entries, data_sets(entries), found=found)
    assert "published 91.0, here 80.4" in text


def test_the_first_page_folds_what_is_not_in_force(shipped: Path) -> None:
    text = html_of(shipped / "index.html")
    before, _, after = text.partition("<details><summary>Withdrawn or replaced: 3 entries")

    assert "803145fe5a778364" not in before
    assert "803145fe5a778364" in after
    assert "<details><summary>Recent changes" in after


def test_nothing_published_is_a_whole_site(tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    build(tmp_path / "published", tmp_path / "site")

    for name, _ in pages.MENU:
        assert "<h1>" in html_of(tmp_path / "site" / f"{name}.html")
    assert (tmp_path / "site" / "preview.png").read_bytes()[:4] == b"\x89PNG"


def test_entries_count_the_training_runs_that_verify_counts(shipped: Path, entries: list[Published]) -> None:
    for published in entries:
        (check,) = [c for c in published.entry["checks"] if c["name"] == "completeness"]
        assert check["detail"].startswith(f"{published.runs} of {published.runs} ")
        assert f"Training runs {published.runs:,}, further" in text_of(
            shipped / "entries" / f"{published.entry['id']}.html"
        )


def test_a_data_set_of_a_plugin_has_its_title_and_modality_on_every_page(entries: list[Published]) -> None:
    in_force = next(p for p in entries if p.is_current)
    value = copy.deepcopy(dict(in_force.entry))
    name = "phantom:our-nodules"
    for board in value["boards"]:
        board["dataset"] = name
    card = {"title": "Our nodules", "licence": "CC0", "citation": "", "access": "ask"}
    old = dataclasses.replace(in_force, entry={**value, "cards": {name: card}})
    new = dataclasses.replace(old, entry={**value, "cards": {name: {**card, "modality": "ultrasound"}}})

    for published, taken in ((old, "not stated"), (new, "ultrasound")):
        with known_cards([published]):
            results, (of_set,) = current_results([published]), data_sets([published])
            assert {result.facets["modality"] for result in results} == {taken}
            page = pages.data_page(of_set, has_bundles=True)
            assert re.search("<h1>.*Our nodules .SYNTHETIC images", page)
            assert ("<dt>Images of</dt><dd>ultrasound" in page) == (published is new)
            entry_page = pages.entry_page(published, has_bundle=True).partition("</head>")[2]
            results_part = re.sub(r'(title|href|id)="[^"]*"', "", entry_page.partition('<h2 id="method">')[0])
            assert "our-nodules" not in results_part


def test_a_heading_says_which_training_images_were_left_out(shipped: Path, entries: list[Published]) -> None:
    page = text_of(shipped / "entries" / "3a4e810e292dd11c.html")
    assert "all training images, without those that the test part has too" in page
    (board,) = [b for b in entries[0].entry["boards"] if b["protocol"] == "official[overlap=drop]"]
    said = "x: official[overlap=drop] trains without 44 of 1,546 images, which share a patient or a picture"
    told = {**board, "sentences": [*board["sentences"], said]}
    assert left_out_text(told) == "without those that the test part has too (44 of 1,546 training images)"
    assert left_out_text({**told, "protocol": "official"}) == ""


def test_a_page_of_a_method_says_what_it_does_and_links_its_words(shipped: Path) -> None:
    written = {path.name.partition("_")[0]: html_of(path) for path in (shipped / "methods").glob("*")}

    hybrid = written["hybrid-over-copied-images"]
    assert "Rotations, flips, zoom, and images of an AC-GAN added." in hybrid
    assert 'glossary.html#ac-gan">AC-GAN</a>' in hybrid
    copies = written["hybrid-generator-resample-over-rotations-flips-zoom"]
    assert "The generator: copies of real training images" in copies
    assert 'glossary.html#rotations-flips-zoom">rotations, flips, zoom</a>' in written["geometric-over-class-balancing"]
