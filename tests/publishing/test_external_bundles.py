"""Bundles of external tests: both data sets are checked, and what is wrong with either is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from _bundles import Edit, Members, ToyRun, in_bytes, in_json, sealed, spoilt, trial_of
from medbench.data.external_test import with_test_set
from medbench.protocols.protocol import protocol
from medbench.publishing.bundle.read_bundle import read_bundle
from medbench.publishing.entries.publish import publish_entry
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import our_data
from medbench.publishing.verify.outcome import checks_json, entry_json
from medbench.publishing.verify.verify_bundle import Verified
from medbench.site.build import build

TEXT = "external[test=other,patients=10]"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield ToyRun(tmp_path_factory.mktemp("toys") / "runs", protocols=[TEXT, "patients"], repeats=2)


@pytest.fixture(scope="module")
def members(run: ToyRun) -> Members:
    return run.members()


def test_it_is_recomputed_and_its_entry_says_what_was_tested(run: ToyRun, members: Members, tmp_path: Path) -> None:
    path = tmp_path / "a.medbench.zip"
    path.write_bytes(sealed(members))
    report = run.judge(path.read_bytes(), tmp_path / "check")
    entry = entry_json(read_bundle(path), report, None)
    place = publish_entry(path, Verified(tuple(checks_json(report)), entry, None), tmp_path / "published")
    build(tmp_path / "published", tmp_path / "site")
    page = (tmp_path / "site" / "entries" / f"{place.name}.html").read_text()

    assert report.tier == "recomputed", report.checks
    assert [c.detail for c in report.checks if c.name == "data set"] == [
        "phantom:toy: the same bytes as here", "phantom:other: the same bytes as here",
    ]  # fmt: skip
    assert {board["protocol"] for board in report.boards} == {TEXT, "patients"}
    assert "tested on other, trained twice" in page
    assert "10 training patients, tested on other" in page
    assert "External test" in (tmp_path / "site" / "protocols.html").read_text()


def rows_swapped(data: bytes) -> bytes:
    head, first, second, *rest = data.splitlines(keepends=True)
    return b"".join([head, second, first, *rest])


def classes_swapped(data: bytes) -> bytes:
    head, *rows = data.decode().splitlines()
    turned = [",".join([cells[0], cells[2], cells[1]]) for cells in (row.split(",") for row in rows)]
    return "\n".join([head, *turned, ""]).encode()


def edit_tested(**change: object) -> Edit:
    return in_json("plan.json", lambda v: v["sources"][0]["tests"]["other"].update(change))


def forget_tested(plan: Any) -> None:
    del plan["sources"][0]["tests"]


def test_what_is_wrong_with_either_data_set_is_found(run: ToyRun, members: Members, tmp_path: Path) -> None:
    mine = f"predictions/{trial_of(members, augmenter='adds', protocol=TEXT)['spec']['id']}.csv"
    cases: list[tuple[str, Edit]] = [
        ("MB923", in_bytes(mine, rows_swapped)),
        ("MB930", in_bytes(mine, classes_swapped)),
        ("MB930", in_bytes(mine.replace("predictions", "validation"), classes_swapped)),
        ("MB926: phantom:other: images are 48 here, 47 in the bundle", edit_tested(images=47)),
        ("MB922", edit_tested(data="0" * 64)),  # ids of training runs hold the fingerprints of both
        ("MB920: .*other lets nothing be published", edit_tested(publish="nothing", dataset="other")),
        ("MB920: .*the data sets that phantom:toy is tested on", in_json("plan.json", forget_tested)),
        ("MB920: .*has no partner", edit_tested(classes=["no", "maybe"])),
    ]  # fmt: skip
    for number, (said, edit) in enumerate(cases):
        with pytest.raises(Refused, match=said):
            run.judge(spoilt(members, edit), tmp_path / str(number))


def test_images_in_both_sets_are_joined_where_pixels_are_not_at_hand(run: ToyRun, tmp_path: Path) -> None:
    rule = protocol(TEXT)
    our_data.save(run.sources, tmp_path)
    (kept,) = our_data.load(tmp_path).values()
    here, there = (with_test_set(one, rule) for one in (run.sources["phantom:toy"], kept))

    assert kept.folder is None
    assert here.data == there.data
    for column in ("ids", "patients", "groups", "labels", "parts"):
        assert (getattr(here.samples, column) == getattr(there.samples, column)).all()
