"""Reports: nothing of others runs in them, nothing leaves them, and they say what the boards say."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import itertools
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from _contact_sheet import contact_sheet
from _hostile_texts import PAYLOADS, everywhere
from _synthetic_store import SyntheticRun
from medbench import sealed_records
from medbench.analyses.inflation import Inflation, Step
from medbench.analyses.learning_curves import Curve, LearningCurve, OfArm, Point, Worth
from medbench.boards.build import boards
from medbench.cli import cli
from medbench.errors import UsageError
from medbench.interfaces import Card
from medbench.planning.arm_names import arm_name, branch_name
from medbench.planning.arms import Arm
from medbench.planning.study_schema import InflationTable
from medbench.registry import plugins
from medbench.report import section_generators
from medbench.report.bibtex import of_recipes, references, unique
from medbench.report.inputs import Material, gather
from medbench.report.report import Report, report
from medbench.report.shown_files import read_learning_curves, read_loss_curves
from medbench.report.write_html import page
from medbench.report.write_paper import latex, markdown
from medbench.statistics.verdicts import WORDS
from medbench.tables.answer import answer_of
from medbench.tables.blocks import Heading, Picture, placeless
from medbench.tables.board_values import board_rows
from medbench.text import clean, points

VOID = {"wbr", "meta", "img", "source", "input", "br", "link"}
STAGE = "a" * 64


class Seen(HTMLParser):
    """What stands in a page: elements with their attributes, and the text of each."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(content.decode())
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a tag."""
        return [attributes for name, attributes in self.elements if name == tag]


def harmless(content: bytes) -> Seen:
    """Parse a page; fail if anything in it could run, load or lead away."""
    seen = Seen(content)
    assert {tag for tag, _ in seen.elements} <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "header",
        "h1",
        "p",
        "nav",
        "ol",
        "li",
        "main",
        "section",
        "h2",
        "h3",
        "ul",
        "pre",
        "code",
        "figure",
        "div",
        "picture",
        "source",
        "img",
        "figcaption",
        "table",
        "caption",
        "span",
        "wbr",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "footer",
        "script",
        "details",
        "summary",
        "dl",
        "dt",
        "dd",
        "strong",
        "svg",
        "path",
        "circle",
    }
    assert len(seen.of("script")) == len(seen.of("style")) == 1
    for tag, attributes in seen.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("style", "action", "formaction", "srcdoc", "autofocus", "xlink:href")
            if name == "href":
                assert re.fullmatch(r"#[a-z0-9-]+", value or ""), value
            if name in ("src", "srcset"):
                assert re.fullmatch(r"data:image/(png|svg\+xml);base64,[A-Za-z0-9+/=]+", value or "")
    (policy,) = (m["content"] or "" for m in seen.of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(hashlib.sha256(seen.texts[tag][0].encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    return seen


def arm(recipe: str) -> str:
    """Return how a page names a method."""
    return arm_name(Arm(recipe, "net", ""))


def made_of(run: SyntheticRun, **more: Any) -> Material:
    return gather(run.store, run.record(**more))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    return SyntheticRun(tmp_path_factory.mktemp("run"), patients=60, folds=5, repeats=3).fill()


@pytest.fixture(scope="module")
def whole(run: SyntheticRun) -> bytes:
    return page(report(made_of(run)))


def with_stage(
    run: SyntheticRun, *, name: str = "acgan", curve: str = "step,part,loss\n1,all,2.0\n2,all,1.5\n"
) -> Path:
    """Leave a fitted stage in a store, with a curve and with a sheet whose metadata name a folder."""
    folder = run.store.stage_place(STAGE)
    folder.mkdir(parents=True)
    record = {"key": STAGE, "stage": name, "fitted_on": 40, "cost": {"seconds": 5.0}, "facts": {}, "stages": {}}
    (folder / "stage.json").write_text(json.dumps(record))
    (folder / "acgan-curves.csv").write_text(curve)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("where", "/home/somebody/secret")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "acgan-samples.png", pnginfo=notes)
    return folder


# -- what stands there ------------------------------------------------------------------------------------------------


def test_a_board_says_what_the_leaderboard_says(run: SyntheticRun, whole: bytes) -> None:
    expected = {
        row["augmenter"]: row
        for board in boards(run.store, run.record())
        for row in board_rows(board)
        if not row["yardstick"]
    }

    table = [row for row in harmless(whole).rows if len(row) == 8]
    steps = {name: branch_name(Arm(name, "net", run.tree[name])) for name in expected}
    shown = {name: row for name, step in steps.items() for row in table if row[0].removesuffix(" (reference)") == step}

    assert set(shown) == set(run.tree)
    for name, row in expected.items():
        title, gain, span, verdict, accuracy, auroc, over, _ = shown[name]
        assert float(accuracy) == pytest.approx(row["balanced_accuracy"], abs=0.051)
        assert float(auroc) == pytest.approx(row["auroc"], abs=0.00051)
        assert over == (arm(row["control"]) if row["control"] else "")
        assert verdict == (WORDS[row["verdict"]].text if row["control"] else "")
        assert title.endswith("(reference)") == (not row["control"])
        if row["control"]:
            printed = (float(gain), *map(float, span.split(" to ")))
            assert printed == pytest.approx((row["gain"], row["gain_low"], row["gain_high"]), abs=0.051)


def test_recalls_and_counts_are_those_of_the_predictions(tmp_path: Path) -> None:
    """By hand: one fold's decisions of one arm, counted from its file."""
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=1, tree={"balanced": ""}).fill({"balanced": 0.7})
    counts, recalled = np.zeros((2, 2)), []
    for stored in run.store.rows():
        p = stored.predictions()
        for label, decided in zip(p.labels, p.probabilities.argmax(1), strict=True):
            counts[label, decided] += 1
    recalled = [f"{100 * counts[k, k] / counts[k].sum():.1f}" for k in (0, 1)]

    rows = harmless(page(report(made_of(run)))).rows

    assert [arm("balanced"), *recalled] in rows
    assert [f"{arm('balanced')}: no", *(f"{n:g}" for n in counts[0])] in rows
    assert [f"{arm('balanced')}: yes", *(f"{n:g}" for n in counts[1])] in rows


def test_the_answer_is_the_boards(run: SyntheticRun, whole: bytes) -> None:
    (board,) = boards(run.store, run.record())
    said = answer_of(board)

    seen = harmless(whole)
    assert said.sentence in seen.texts["p"]
    assert seen.texts["h1"] == [said.question]
    assert set(said.warnings) <= set(seen.texts["p"])
    assert set(said.notes) <= set(seen.texts["li"])


def test_a_page_can_be_read_without_seeing_it(whole: bytes) -> None:
    seen = harmless(whole)
    ids = [a["id"] for _, a in seen.elements if "id" in a]
    levels = [int(tag[1]) for tag, _ in seen.elements if re.fullmatch(r"h[1-6]", tag)]

    assert len(set(ids)) == len(ids)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert {(a["href"] or "#")[1:] for a in seen.of("a")} <= set(ids)
    assert {"main", "nav", "header", "footer"} <= {tag for tag, _ in seen.elements}
    assert seen.of("html") == [{"lang": "en"}]
    assert len([a for a in seen.of("p") if a.get("class") == "caption"]) == len(seen.of("table")) > 4
    assert {a["aria-labelledby"] for a in seen.of("table")} <= set(ids)
    assert all(a.get("scope") in ("row", "col") for a in seen.of("th"))
    assert all(re.search(r"\d", a["alt"] or "") for a in seen.of("img"))  # a finding has a number in it
    assert all(a.get("aria-labelledby") or a.get("aria-label") for a in seen.of("section") + seen.of("nav"))
    assert seen.elements[[tag for tag, _ in seen.elements].index("body") + 1] == (
        "a",
        {"class": "skip", "href": "#answer"},
    )


def test_the_same_runs_give_the_same_bytes_and_no_place(tmp_path: Path) -> None:
    made = []
    for name in ("here", "there/deeper"):
        arm = "mixup[weights=/home/anna/net.pt]"
        run = SyntheticRun(tmp_path / name, patients=40, folds=2, repeats=2, tree={"balanced": "", arm: "balanced"})
        run.fill({"balanced": 0.6, arm: 0.9}, stages={STAGE: "s"})
        with_stage(run, name="acgan[start=/home/anna/start.pt]")
        out = report(made_of(run))
        made.append((page(out), markdown(out), latex(out)))

    assert made[0] == made[1]
    for text in (made[0][0].decode(), *made[0][1:]):
        assert str(tmp_path) not in text
        for shown in (text, *map(decoded, re.findall(r"base64,([A-Za-z0-9+/=]+)", text))):
            assert "/tmp" not in shown
            assert "anna" not in shown
        assert "net.pt" in text.replace(r"\allowbreak{}", "")
    drawn = [decoded(uri) for uri in re.findall(r"svg\+xml;base64,([A-Za-z0-9+/=]+)", made[0][0].decode())]
    assert any("net.pt" in svg for svg in drawn)
    assert all(ET.fromstring(svg).tag.endswith("svg") for svg in drawn)


def decoded(uri: str) -> str:
    """Return the bytes of a data URI as text."""
    return base64.b64decode(uri).decode("latin-1")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot read /home/anna/scans/17.png; fix it", "cannot read (path)/17.png; fix it"),
        ("no '/tmp/x y' and C:\\Users\\anna\\a.dcm", "no '(path)/x y' and (path)/a.dcm"),
        ("~/data/b.npz is cut short", "(path)/b.npz is cut short"),
        ("3/4 of the patients, either/or, 5 / 7", "3/4 of the patients, either/or, 5 / 7"),
    ],
)
def test_folders_of_this_machine_are_left_out(text: str, left: str) -> None:
    assert placeless(text) == left


def test_failures_are_counted_without_their_folders(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=2)
    run.fill(failed={"mixup": [(0, 0, 0), (1, 1, 0)]})

    rows = harmless(page(report(made_of(run)))).rows

    assert [arm("mixup"), "diverged", "the loss is nan at step 3.", "2"] in rows


def test_names_of_images_in_remarks_of_a_reader_are_left_out(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=40, folds=2, repeats=1).fill()
    record = run.record()
    record["sources"][0]["notes"] = ["1 image with arrows was left out: patient-7_scan"]

    text = page(report(gather(run.store, record))).decode()

    assert "1 image with arrows was left out." in text
    assert "patient-7_scan" not in text


def test_sizes_and_staircases_have_sections_of_their_own(run: SyntheticRun) -> None:
    """Built by hand: what a run of several sizes, and one under --inflation, hand over."""
    material = made_of(run)
    board = material.boards[0]
    row = next(r for r in board.rows if r.gain is not None)
    points = tuple(
        Point(n, 15, 15, "", 0.7, 0.6, row.judged, Worth(31.0), Worth(-5.0, "<"), Worth(50.0, ">")) for n in (50, 100)
    )
    grown = LearningCurve(
        board.study,
        dict(board.source),
        "patients",
        "net",
        (OfArm(row.arm, points, Curve((50, 100), (0.6, 0.7))),),
        (),
        3,
        "patients",
        60,
        False,
    )
    stairs = Inflation(
        board.study,
        "ddti",
        "net",
        InflationTable(arm="mixup", against="balanced", metric="accuracy", remove=["images"]),
        ("mixup", "balanced"),
        Step("published", 0.9, 0.8),
        Step("its protocol, our rerun", 0.95, 0.8),
        (Step("all images of a patient on one side", 0.81, 0.8, "images", 1),),
        (),
        row.gain,
        None,
        0.0,
        None,
        "",
        2,
        60,
        False,
    )

    made = report(dataclasses.replace(material, learning_curves=(grown,), inflations=(stairs,)))

    named = {section.name: section for section in made.sections}
    assert {"sizes", "inflation"} <= set(named)
    rows = harmless(page(made)).rows
    assert any(
        r[:4] == [f"{arm(row.arm.augmenter)}, compared with {arm(row.arm.control)}", "50", "60.0", "70.0"] for r in rows
    )
    assert ["its protocol, our rerun", "95.0", "80.0", "+15.0"] in rows
    assert [b.form for s in ("sizes", "inflation") for b in named[s].blocks if isinstance(b, Picture)] == ["svg", "svg"]


# -- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "publish", "card", "asked", "shown"),
    [
        ("ddti", "predictions", None, True, False),
        ("ddti", "nothing", None, True, False),
        ("ddti", "", None, True, False),
        ("ddti", "pictures", None, True, True),
        ("ddti", "pictures", "predictions", True, False),
        ("ddti", "predictions", "pictures", True, False),
        ("ddti", "pictures", "pictures", False, False),
        ("phantom:ddti", "predictions", "predictions", True, True),
        ("phantom:ddti", "predictions", None, False, False),
    ],
)
def test_images_are_shown_only_where_they_may_be(
    tmp_path: Path, dataset: str, publish: str, card: str | None, asked: bool, shown: bool
) -> None:
    run = SyntheticRun(tmp_path, patients=20, folds=2, repeats=1, datasets=(dataset,), tree={"balanced": ""})
    run.fill({"balanced": 0.7}, stages={STAGE: "s"})
    with_stage(run)
    record = run.record()
    record["sources"][0]["publish"] = publish
    known = {dataset: Card("t", "l", "c", "a", card)} if card else {}  # type: ignore[arg-type]

    section = section_generators.samples(gather(run.store, record), known, pictures=asked)

    assert section is not None
    assert any(isinstance(b, Picture) for b in section.blocks) == shown
    content = page(Report("t", (section,)))
    assert (b"data:image/png" in content) == shown
    assert shown or b"shown" in content or b"--no-pictures" in content


def test_rows_of_images_and_lines_of_figures_are_named_for_people(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=20, folds=2, repeats=1, datasets=("phantom:x",), tree={"balanced": ""})
    run.fill({"balanced": 0.7}, stages={STAGE: "s"})
    folder = with_stage(run, curve="step,part,d_source,mine\n1,all,2.0,1.0\n2,all,1.5,0.5\n")
    (folder / "acgan-samples.png").write_bytes(contact_sheet(4))
    next(iter(run.store.rows())).folder.joinpath("copies.png").write_bytes(contact_sheet(2))
    run.save()

    done = CliRunner().invoke(cli, ["report", "--results", str(run.root), "--out", str(tmp_path / "x.html")])

    assert done.exit_code == 0, done.output
    text = (tmp_path / "x.html").read_text()
    rows = [image["alt"] for image in harmless(text.encode()).of("img") if image.get("class") == "sheet"]
    assert rows[:4] == ["no, drawn by medbench", "no, generated", "yes, drawn by medbench", "yes, generated"]
    assert rows[4:] == ["generated, most like a training image", "that training image"]
    drawn = "".join(decoded(uri) for uri in re.findall(r"svg\+xml;base64,([A-Za-z0-9+/=]+)", text))
    assert "critic: real or not" in drawn
    assert "d_source" not in drawn
    assert "mine" in drawn


def test_a_sheet_holds_pixels_and_nothing_else(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=20, folds=2, repeats=1, datasets=("phantom:x",), tree={"balanced": ""})
    run.fill({"balanced": 0.7}, stages={STAGE: "s"})
    folder = with_stage(run)
    (folder / "b-samples.png").write_bytes(b"<svg onload=alert(1)>")  # no picture at all

    section = section_generators.samples(made_of(run), {})

    assert section is not None
    (sheet,) = (b for b in section.blocks if isinstance(b, Picture))
    assert b"secret" not in sheet.light
    with Image.open(io.BytesIO(sheet.light)) as image:
        assert np.array_equal(np.asarray(image), np.arange(64, dtype=np.uint8).reshape(8, 8))


def test_curves_are_read_and_thinned_without_losing_their_ends(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=20, folds=2, repeats=1, tree={"balanced": ""})
    lines = "".join(f"{i},all,{i / 2},nan\n" for i in range(1, 3201))
    run.fill({"balanced": 0.7}, stages={STAGE: "s"})
    with_stage(run, curve=f"step,part,loss,other\n{lines}x,all,inf,\n")

    (fit,) = made_of(run).parts[0].fits
    (values,) = read_loss_curves(fit)["all"].values()

    assert len(values) == 160
    assert np.allclose(np.array(values)[:, 0] / 2, np.array(values)[:, 1])  # windows keep the line
    assert values[0] == (10.5, 5.25)
    assert fit.fits == 1


def test_learning_curves_are_the_mean_over_cells_that_looked_at_the_same_steps(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=20, folds=3, repeats=1, tree={"balanced": ""})
    run.fill({"balanced": 0.7})
    told = ["4,0.8,\n8,0.4,0.5\n", "4,0.6,0.9\n8,0.2,0.7\n", "5,9,9\n"]
    for stored, lines in zip(sorted(run.store.rows(), key=lambda row: row.trial.cut.fold), told, strict=True):
        (stored.folder / "learning.csv").write_text("step,train_loss,validation_loss\n" + lines)

    material = made_of(run)
    (found,) = material.parts[0].found.values()
    lines = read_learning_curves(found)

    assert list(lines) == ["training loss", "validation loss"]
    assert np.allclose(lines["training loss"], [(4, 0.7), (8, 0.3)])
    assert np.allclose(lines["validation loss"], [(4, 0.9), (8, 0.7)])  # one cell of two tells all of it
    section = section_generators.training(material)
    assert section is not None
    assert any("loss of the classifier" in block.caption for block in section.blocks if isinstance(block, Picture))


def test_a_generator_that_was_fitted_in_its_trial_is_shown_from_there(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, patients=20, folds=2, repeats=1, datasets=("phantom:x",), tree={"balanced": ""})
    run.fill({"balanced": 0.7}, stages={"b" * 64: ""})
    for stored in run.store.rows():
        (stored.folder / "my[gan]-curves.csv").write_text("step,part,loss\n1,all,2.0\n")
        Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(stored.folder / "copies.png")

    (fit,) = made_of(run).parts[0].fits

    assert (fit.name, fit.fits, list(read_loss_curves(fit)["all"])) == ("my[gan]", 2, ["loss"])


# -- hostile texts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_of_others_becomes_part_of_a_page(payload: str) -> None:
    seen = harmless(page(everywhere(payload)))

    shown = clean(payload)
    assert seen.texts["h3"] == [shown]
    assert seen.texts["title"] == seen.texts["h1"] == [shown]
    assert shown.strip() in seen.texts["p"]
    assert seen.rows[0] == [shown, shown]
    assert seen.of("img")[0]["alt"] == shown
    assert len(PAYLOADS) >= 60


def test_texts_of_a_store_and_of_a_plan_stay_texts(tmp_path: Path) -> None:
    bad = "\"'><img src=x onerror=alert(1)></script><script>alert(1)</script>\x1b[2J${7}"
    name = "folder[file=\"'><script>alert(1)</script>]"
    run = SyntheticRun(
        tmp_path,
        patients=40,
        folds=2,
        repeats=1,
        datasets=(name,),
        about=bad,
        published=[{"arm": "mixup", "metric": "accuracy", "value": 0.9, "source": bad, "note": bad}],
    )
    run.fill(stages={STAGE: "s"})
    with_stage(run, name=bad, curve=f'step,part,"{bad.replace(chr(34), "")}"\n1,<b>,2.0\n')
    for path in run.root.rglob("result.json"):
        stored, sums = sealed_records.read(path)
        stored["provenance"] = {
            "medbench": bad,
            "python": bad,
            "plugins": [{"distribution": bad, "version": bad}],
            "recipes": [{"libraries": {bad: bad}}],
        }
        stored["facts"] = {"train_loss": 0.5}
        path.write_text(sealed_records.seal(stored, sums))
    record = run.record(warnings=[f"{name}: {bad}"])
    record["sources"][0] |= {"classes": [bad, "yes"], "notes": [bad]}
    record["skipped"] = [{"dataset": name, "augmenter": "x", "classifier": "net", "reason": bad}]

    made = report(gather(run.store, record))

    seen = harmless(page(made))
    assert any("<script>alert(1)</script>" in text for text in seen.texts["th"])
    assert any("onerror=alert(1)" in text for text in seen.texts["li"])
    assert "<script" not in markdown(made).replace("\\<script", "")


@given(text=st.text(max_size=60))
@settings(max_examples=80, deadline=None)
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    made = everywhere(text)

    seen = Seen(page(made))
    said = re.sub(r"\r\n?", "\n", clean(text))
    assert seen.texts["h3"] == [said]
    assert len(seen.of("script")) == 1


# -- references -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cited", "author"),
    [
        (
            "Auxiliary GAN for images (Odena, Olah, Shlens, ICML 2017, arXiv 1610.09585).",
            "Odena, Olah, Shlens, ICML 2017, arXiv:1610.09585",
            "{Odena} and {Olah} and {Shlens}",
        ),
        (
            "Trained as Ho, Jain and Abbeel (NeurIPS 2020, arXiv 2006.11239), guided",
            "Ho, Jain and Abbeel, NeurIPS 2020, arXiv:2006.11239",
            "{Ho} and {Jain} and {Abbeel}",
        ),
        (
            "Source:\n  Naeem et al., ICML 2020, arXiv 2002.09797, equation 4.",
            "Naeem et al., ICML 2020, arXiv:2002.09797",
            "{Naeem} and others",
        ),
        (
            "Ledoit and Wolf, J. Multivariate Analysis 88, 2004, doi 10.1016/S0047-259X(03)00096-4, the shrinkage",
            "Ledoit and Wolf, J. Multivariate Analysis 88, 2004, doi:10.1016/S0047-259X(03)00096-4",
            "{Ledoit} and {Wolf}",
        ),
        (
            "A classifier two-sample test, Lopez-Paz and Oquab, ICLR 2017, arXiv 1610.06545, by AUROC.",
            "Lopez-Paz and Oquab, ICLR 2017, arXiv:1610.06545",
            "{Lopez-Paz} and {Oquab}",
        ),
        (
            "Yang et al., MedMNIST v2, Scientific Data 10:41 (2023), doi:10.1038/s41597-022-01721-8",
            "Yang et al., MedMNIST v2, Scientific Data 10:41 (2023), doi:10.1038/s41597-022-01721-8",
            "{Yang} and others",
        ),
    ],
)
def test_references_are_read_off_docstrings(text: str, cited: str, author: str) -> None:
    (found,) = references(text)

    assert found.cited == cited
    assert f"author = {{{author}}}" in found.bibtex
    assert found.bibtex.count("{") == found.bibtex.count("}")


def test_nothing_is_made_up_where_no_source_is_named() -> None:
    assert references("Turns pixels into features. See equation 4 of 2020.") == []


def test_keys_differ_and_a_source_stands_there_once() -> None:
    found = references(
        "Kim et al., 2020, arXiv 2001.00001. Kim et al., 2020, arXiv 2001.00002. Kim et al., 2020, arXiv 2001.00001."
    )

    listed = unique(found)

    assert [one.key for one in listed] == ["kim2020", "kim2020a"]


def test_the_paragraph_says_what_was_run(run: SyntheticRun) -> None:
    made = report(made_of(run))

    (section,) = (s for s in made.sections if s.name == "methods")
    text = " ".join(getattr(section.blocks[1], "texts", ()))

    assert "60 patients (40 no, 20 yes)" in text
    assert (
        "5-fold cross-validation over patients (all images of a patient, and near copies of them, in the same" in text
    )
    assert "each time with another random split" in text
    assert "Data augmentation was evaluated with medbench" in text
    assert re.search(r"adjusted for the \d+ comparisons of a table by max-t", text)
    assert re.search(r"\d+ training runs of \d+ planned finished", text)
    assert "method above it" not in text
    assert "--folds" not in text
    assert "3 times" in text
    assert f"{run.study.budget.steps:,} steps of {run.study.budget.batch} images" in text
    assert "[menon2021]" in text
    assert "[westfall1993]" in text
    assert any(isinstance(b, Heading) and b.text == "References" for b in section.blocks)


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "name"), [("html", "report.html"), ("md", "report.md"), ("latex", "report.tex")])
def test_the_command_writes_a_file(
    run: SyntheticRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, name: str
) -> None:
    run.save()
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(cli, ["report", "synthetic", "--results", str(run.root), "--format", form])

    assert result.exit_code == 0, result.output
    assert (tmp_path / name).read_bytes()
    assert str(run.root).encode() not in (tmp_path / name).read_bytes()


def test_a_folder_as_target_is_refused(run: SyntheticRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder; give a file to --out"):
        CliRunner().invoke(cli, ["report", "--out", str(tmp_path)], standalone_mode=False, catch_exceptions=False)


def test_a_data_set_whose_plugin_is_not_loaded_is_named_on_the_terminal() -> None:
    from medbench.cli.report import _not_loaded

    record = {
        "sources": [{"dataset": name} for name in ("phantom:ddti", "our-brains[size=32]", "our-brains", "folder")]
    }

    assert _not_loaded(record, plugins.load(installed=False)) == ["our-brains"]


def test_a_run_of_which_every_trial_failed_has_a_report(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, tree={"balanced": "", "geometric": "balanced"}, patients=24, folds=2, repeats=1)
    run.fill({"balanced": 0.6, "geometric": 0.9}, failed={"balanced": run.cells, "geometric": run.cells})
    made = report(gather(run.store, run.record()))

    assert b"diverged" in page(made)
    assert "diverged" in markdown(made)


def test_every_source_of_a_built_in_recipe_has_its_title() -> None:
    catalogue = plugins.load(installed=False)
    found = [
        one
        for kind in ("augmenter", "classifier", "generator", "score")
        for one in of_recipes(catalogue, kind, catalogue.names(kind))
    ]

    assert len(found) > 30
    assert [one.cited for one in found if not one.title and not re.search(r"\. [A-Z].*\. ", one.cited)] == []


def test_the_main_table_has_the_gain_at_a_fair_threshold_beside_the_declared_one(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "new", tree={"balanced": "", "geometric": "balanced"}, watched=True).fill(
        {"balanced": 0.6, "geometric": 0.9}
    )
    (board,) = boards(run.store, run.record(), fair=True)
    row = board.rows[1]
    made = report(gather(run.store, run.record()))
    rows = harmless(page(made)).rows
    head = next(cells for cells in rows if cells[:2] == ["method", "gain"] and len(cells) > 4)
    place = head.index("gain at a fair threshold (95 % CI)")
    shown = next(cells for cells in rows if len(cells) == len(head) and cells[0].startswith("+ rotations"))

    assert row.fair is not None
    assert row.fair.gain is not None
    assert row.gain is not None
    fair = f"{points(row.fair.gain.value)} ({points(row.fair.gain.low)} to {points(row.fair.gain.high)})"
    assert (shown[1], shown[place]) == (points(row.gain.value), fair)
    assert head[place - 1] == "verdict"
    assert fair in markdown(made)
    assert "gain at a fair threshold (95" in latex(made)
    assert "not stored" not in page(made).decode()

    old = SyntheticRun(tmp_path / "old", tree={"balanced": "", "geometric": "balanced"}).fill(
        {"balanced": 0.6, "geometric": 0.9}
    )
    text = page(report(gather(old.store, old.record()))).decode()
    assert "gain at a fair threshold (95 % CI)" not in text
    assert re.sub("<[^>]*>", "", text).count("at a fair threshold: not stored") == 1
