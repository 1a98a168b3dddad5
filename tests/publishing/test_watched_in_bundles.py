"""Bundles hold what was predicted for watched patients, and gains at a fair threshold are computed from it again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from _bundles import TOYS, Members, ToyRun, in_bytes, sealed, spoilt, trial_of
from medbench.boards.build import boards
from medbench.cli import cli
from medbench.publishing.bundle import bundle_members, zip_container
from medbench.publishing.bundle.read_bundle import read_bundle
from medbench.publishing.bundle.zip_container import MANIFEST
from medbench.publishing.entries.publish import publish_entry
from medbench.publishing.refusals import Refused
from medbench.publishing.verify.outcome import checks_json, entry_json
from medbench.publishing.verify.verify_bundle import Verified
from medbench.site.build import build
from medbench.tables.wording import gain_and_range
from medbench.text import points


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield ToyRun(tmp_path_factory.mktemp("toys") / "runs", patients=40, yardsticks=True)


@pytest.fixture(scope="module")
def members(run: ToyRun) -> Members:
    return run.members()


def watched(members: Members) -> str:
    """Return the member of a method that is compared with another."""
    return f"validation/{trial_of(members, augmenter='adds', protocol='patients')['spec']['id']}.csv"


def test_verify_prints_the_gains_at_a_fair_threshold_that_the_author_saw(
    run: ToyRun, members: Members, tmp_path: Path
) -> None:
    (board,) = boards(run.store, run.record, fair=True)
    row = next(row for row in board.rows if row.gain is not None)
    path = tmp_path / "a.medbench.zip"
    path.write_bytes(sealed(members))
    done = CliRunner().invoke(cli, ["verify", str(path), "--plugins-dir", str(TOYS)])
    said = " ".join(done.output.split())
    claims = json.loads(members["claims.json"])["boards"][0]["rows"]

    assert row.fair is not None
    assert row.fair.gain is not None
    assert row.gain is not None
    assert f"{gain_and_range(row.gain)}, at a fair threshold {gain_and_range(row.fair.gain)}" in said
    assert "those for watched patients of 6 of 6 training runs" in said
    assert next(r for r in claims if r["augmenter"] == "adds")["gain_fair_threshold"] == row.fair.gain.value
    seeds = {trial["spec"]["seed"] for trial in json.loads(members["trials.json"])["trials"]}
    assert len(seeds) > 1  # further seeds of the reference need none
    assert sum(name.startswith("validation/") for name in members) == 6


def test_a_bundle_of_before_is_valid_and_says_that_none_is_there(run: ToyRun, tmp_path: Path) -> None:
    old = ToyRun(tmp_path / "runs", patients=40, watched=False)
    report = old.judge(old.bundle(), tmp_path / "check")

    assert report.tier == "recomputed"
    assert not any("fair" in key for row in report.boards[0]["rows"] for key in row)
    assert [c.detail for c in report.checks if "none for watched patients" in c.detail]
    assert not [c for c in report.checks if c.name == "fair threshold"]


@pytest.mark.parametrize("stored", [True, False])
def test_an_entry_s_page_and_downloads_show_both_gains(
    run: ToyRun, members: Members, tmp_path: Path, stored: bool
) -> None:
    made = run if stored else ToyRun(tmp_path / "runs", patients=40, watched=False)
    path = tmp_path / "a.medbench.zip"
    path.write_bytes(sealed(members) if stored else made.bundle())
    report, bundle = made.judge(path.read_bytes(), tmp_path / "check"), read_bundle(path)
    entry = entry_json(bundle, report, None)
    place = publish_entry(path, Verified(tuple(checks_json(report)), entry, None), tmp_path / "published")
    build(tmp_path / "published", tmp_path / "site")
    text = (tmp_path / "site" / "entries" / f"{place.name}.html").read_text()
    rows = json.loads((tmp_path / "site" / "all.json").read_text())
    row = next(row for row in entry["boards"][0]["rows"] if row["augmenter"] == "adds")

    assert ("Gain at a fair threshold, 95&nbsp;% CI" in text) is stored
    assert ("Gain at a fair threshold: not stored in the bundle." in text) is not stored
    assert (f'<small class="inline">{points(row["gain_fair_threshold"])} (' in text) if stored else True
    assert next(r for r in rows if r["augmenter"] == "adds")["gain_fair_threshold"] == row.get("gain_fair_threshold")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("MB911", lambda data: data[:-9]),
        ("MB911", lambda data: data.replace(b"id,p_0,p_1", b"id,p_0")),
        ("MB923", lambda data: data[: data.rindex(b"\n", 0, -1) + 1]),
        ("MB923", lambda data: b"\n".join([data.split(b"\n")[0], *data.split(b"\n")[2:-1], data.split(b"\n")[1], b""])),
        ("MB924", lambda data: re.sub(rb",0\.", b",1.", data, count=1)),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_sentence_that_names_it(
    run: ToyRun, members: Members, tmp_path: Path, code: str, change: object
) -> None:
    name = watched(members)
    with pytest.raises(Refused, match=rf"{code}: {re.escape(name)}"):
        run.judge(spoilt(members, in_bytes(name, change)), tmp_path / "check")  # type: ignore[arg-type]


def test_other_predictions_give_other_gains_and_an_unsealed_change_is_found(
    run: ToyRun, members: Members, tmp_path: Path
) -> None:
    name = watched(members)

    def swap(data: bytes) -> bytes:
        head, *rows, end = data.decode().split("\n")
        turned = [",".join([cells[0], cells[2], cells[1]]) for cells in (row.split(",") for row in rows)]
        return "\n".join([head, *turned, end]).encode()

    with pytest.raises(Refused, match=r"MB930: .*fair_threshold.* of adds / mean is "):
        run.judge(spoilt(members, in_bytes(name, swap)), tmp_path / "check")
    manifest = bundle_members.manifest_of(members)
    for changed in ({**members, name: swap(members[name])}, {n: d for n, d in members.items() if n != name}):
        with pytest.raises(Refused, match=rf"MB907: {re.escape(name)} is "):
            run.judge(zip_container.write({**changed, MANIFEST: manifest}), tmp_path / "again")


def test_a_file_that_no_table_needs_is_refused(run: ToyRun, members: Members, tmp_path: Path) -> None:
    trials = json.loads(members["trials.json"])["trials"]
    other = next(t["spec"]["id"] for t in trials if t["spec"]["seed"] > 0)
    spare = {**members, f"validation/{other}.csv": members[watched(members)]}
    with pytest.raises(Refused, match=rf"MB903: validation/{other}\.csv"):
        run.judge(sealed(spare), tmp_path / "check")
