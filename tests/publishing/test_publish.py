"""Publish again what was claimed, verify without the data, and slips of the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from _bundles import TOYS, ToyRun
from medbench import sealed_records
from medbench.cli.publish import publish as publish_command
from medbench.cli.publish import reproduce as reproduce_command
from medbench.cli.verify import verify as verify_command
from medbench.errors import DataError, UsageError
from medbench.publishing.bundle import zip_container
from medbench.publishing.bundle.read_bundle import read_members
from medbench.publishing.entries import ledger
from medbench.publishing.entries.check_entry import check_entry
from medbench.publishing.entries.entry_files import entries_before
from medbench.publishing.entries.publish import publish_entry
from medbench.publishing.refusals import Refused
from medbench.publishing.verify.verify_bundle import Setup, Verified, verify_bundle
from toys import ToyData


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("MEDBENCH_DATA", raising=False)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set "toy", which is no phantom as far as a bundle knows: it has to be given."""
    folder = tmp_path_factory.mktemp("toy")
    ToyData().phantom(folder, seed=0, patients=24, null=False)
    return folder


@pytest.fixture(scope="module")
def bundle(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = ToyRun(tmp_path_factory.mktemp("toys") / "runs", datasets=["toy"], data=[str(data)])
    path = tmp_path_factory.mktemp("bundle") / "toys.medbench.zip"
    path.write_bytes(made.bundle())
    return path


@pytest.fixture(scope="module")
def claimed(bundle: Path) -> Verified:
    return verify_bundle(bundle, Setup(plugin_folders=[TOYS]))


@pytest.fixture(scope="module")
def recomputed(bundle: Path, data: Path) -> Verified:
    return verify_bundle(bundle, Setup(data=[f"toy={data}"], plugin_folders=[TOYS]))


def call(command: Any, *arguments: object) -> Any:
    return CliRunner().invoke(command, [*map(str, arguments), "--plugins-dir", str(TOYS)])


# -- claimed, then recomputed -----------------------------------------------------------------------------------------


def test_a_claimed_entry_is_published_again_once_it_was_recomputed(
    bundle: Path, claimed: Verified, recomputed: Verified, tmp_path: Path
) -> None:
    assert (claimed.tier, recomputed.tier) == ("claimed", "recomputed")
    folder = tmp_path / "published"
    place = publish_entry(bundle, claimed, folder)
    assert publish_entry(bundle, recomputed, folder) == place

    first, second = ledger.rows(folder / "ledger.jsonl")
    assert (first.event, first.tier) == ("published", "claimed")
    assert (second.event, second.tier, second.entry) == ("published", "recomputed", place.name)
    assert first.entry_sha256 != second.entry_sha256 != ""
    assert json.loads((place / "entry.json").read_text()) == recomputed.entry
    [(dataset, card)] = recomputed.entry["cards"].items()
    assert dataset == recomputed.entry["boards"][0]["dataset"]
    assert set(card) - {"modality"} == {"title", "licence", "citation", "access"}
    assert all(card.values())
    assert (place / "bundle.medbench.zip").read_bytes() == bundle.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == sorted([place.name, "ledger.jsonl"])
    assert check_entry(place, recomputed).endswith("knows the entry as recomputed")
    assert entries_before(folder, "f" * 16) == [(place.name, place / "bundle.medbench.zip")]
    assert entries_before(folder, place.name) == []  # it is no copy of itself
    with pytest.raises(UsageError, match=r"published already; `medbench reproduce"):
        publish_entry(bundle, recomputed, folder)


def test_nothing_else_is_published_twice(bundle: Path, claimed: Verified, recomputed: Verified, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    place = publish_entry(bundle, claimed, folder)
    with pytest.raises(UsageError, match=r"published already, as claimed; give --data FOLDER"):
        publish_entry(bundle, claimed, folder)
    sha = str(recomputed.entry and recomputed.entry["bundle"]["sha256"])
    ledger.append(folder / "ledger.jsonl", ledger.NewRow("corrected", place.name, "claimed", sha))
    with pytest.raises(UsageError, match=r"a correction of \d{4}-\d\d-\d\d made this entry claimed"):
        publish_entry(bundle, recomputed, folder)


def test_a_bundle_that_would_be_claimed_is_published_on_demand_only(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    done = call(publish_command, bundle, "--to", folder)

    assert isinstance(done.exception, DataError)
    assert done.exception.exit_code == 3
    assert "data set could not be checked (give --data FOLDER), so it would be claimed" in str(done.exception)
    assert not folder.exists()
    done = call(publish_command, bundle, "--to", folder, "--as-claimed")
    assert done.exit_code == 0, done.output
    (row,) = ledger.rows(folder / "ledger.jsonl")
    assert row.tier == "claimed"
    done = call(reproduce_command, row.entry[:8], "--to", folder)  # before anything is computed
    assert isinstance(done.exception, UsageError)
    assert "is only claimed" in str(done.exception)
    assert "first recompute it with `medbench publish" in str(done.exception)
    assert len(ledger.rows(folder / "ledger.jsonl")) == 1


# -- verify an entry --------------------------------------------------------------------------------------------------


def test_without_its_data_an_entry_is_compared_as_far_as_can_be(
    bundle: Path, claimed: Verified, recomputed: Verified, tmp_path: Path
) -> None:
    place = publish_entry(bundle, recomputed, tmp_path / "published")
    said = check_entry(place, claimed)

    assert "says what we compute, but not the tables on toy, which could not be recomputed here; the ledger" in said
    assert check_entry(place, recomputed).startswith("entry.json says what we compute; the ledger")
    honest = (place / "entry.json").read_text()
    for change in (
        lambda v: v["boards"][0]["rows"][0].update(auroc=0.999), lambda v: v["boards"].pop(),
        lambda v: v["boards"][0].update(recomputed="yes"), lambda v: v["method"].update(title="Other"),
        lambda v: v.update(tier="reproduced"), lambda v: v.update(tier="claimed"), lambda v: v.update(boards=None),
        lambda v: v["boards"][0].update(recomputed=False), lambda v: v.update(signed_by="ada"),
        lambda v: v["cards"]["toy"].update(licence="another"),
    ):  # fmt: skip
        value = json.loads(honest)
        change(value)
        (place / "entry.json").write_text(json.dumps(value))
        with pytest.raises(Refused, match="MB951"):
            check_entry(place, claimed)


def test_a_flag_that_is_found_must_be_there(
    bundle: Path, claimed: Verified, recomputed: Verified, tmp_path: Path
) -> None:
    place = publish_entry(bundle, recomputed, tmp_path / "published")
    assert claimed.entry is not None

    with pytest.raises(Refused, match=r"MB951: .*flags lack 'predictions occur twice', which we found"):
        check_entry(place, replace(claimed, entry={**claimed.entry, "flags": ["predictions occur twice"]}))


def test_an_honest_claim_stays_one_where_the_data_are(
    bundle: Path, claimed: Verified, recomputed: Verified, tmp_path: Path
) -> None:
    place = publish_entry(bundle, claimed, tmp_path / "published")

    assert "could be recomputed: `medbench publish` with its bundle" in check_entry(place, recomputed)
    assert check_entry(place, claimed).endswith("knows the entry as claimed")


def test_an_entry_is_named_by_the_beginning_of_its_id_and_all_is_said_in_80_columns(
    bundle: Path, recomputed: Verified, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = publish_entry(bundle, recomputed, tmp_path / "published")
    done = call(verify_command, place.name[:6], "--to", place.parent)

    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "but not the tables on toy" in text
    assert text.endswith("knows the entry as recomputed")
    assert max(map(len, done.stdout.splitlines())) <= 80
    none = call(verify_command, "0123", "--to", place.parent).exception
    assert isinstance(none, UsageError)
    assert "no entry of that name: '0123'" in str(none)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abc").write_bytes(b"PK")  # a file of that name is a bundle
    refused = call(verify_command, "abc")
    assert refused.exit_code == 9
    assert refused.output.count("MB90") == 1
    assert max(map(len, refused.output.splitlines())) <= 80


# -- --data -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["nowhere", "toy=nowhere", "other=nowhere"])
def test_a_folder_that_is_not_there_is_an_error_of_the_data(bundle: Path, tmp_path: Path, given: str) -> None:
    folder = given.replace("nowhere", str(tmp_path / "nowhere"))

    with pytest.raises(DataError, match=r"--data .*nowhere: no such folder") as raised:
        verify_bundle(bundle, Setup(data=[folder]))
    assert raised.value.exit_code == 3


def test_a_name_that_no_data_set_of_the_bundle_has_is_a_slip(bundle: Path, data: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no data set of the bundle is named 'tony' \(did you mean 'toy'\?\)"
    ) as raised:
        verify_bundle(bundle, Setup(data=[f"tony={data}"], plugin_folders=[TOYS]))
    assert raised.value.exit_code == 2


def test_what_stands_in_the_environment_is_for_other_bundles_too(bundle: Path, tmp_path: Path) -> None:
    found = verify_bundle(bundle, Setup(standing_data=[f"ddti={tmp_path}"], plugin_folders=[TOYS]))

    assert found.tier == "claimed"


# -- repeated predictions ---------------------------------------------------------------------------------------------


def test_only_the_same_training_under_another_protocol_may_predict_the_same(tmp_path: Path) -> None:
    made = ToyRun(tmp_path / "runs", protocols=["patients", "select-on-test"])
    copied(made, lambda one, other: one.augmenter == other.augmenter)
    assert made.judge(made.bundle(), tmp_path / "check").tier == "recomputed"
    data = made.bundle()
    assert read_members(data, zip_container.find(data)).repeated == ()

    copied(made, lambda one, other: one.augmenter != other.augmenter)
    report = made.judge(made.bundle(), tmp_path / "again")
    (line,) = [check for check in report.checks if check.name == "repeated predictions"]
    assert (line.outcome, report.tier) == ("flagged", "claimed")
    assert "repeat 0, fold 0, seed 0 (patients)" in line.detail
    assert "repeat 0, fold 0, seed 0 (select-on-test)" in line.detail


def copied(made: ToyRun, fits: Any) -> None:
    """Give a trial of the first fold under the first protocol what another predicted under the second."""
    first, second = ([t for t in made.plan.trials if t.protocol == p and t.fold == 0] for p in made.study.protocols)
    one, other = next((a, b) for a in first for b in second if fits(a, b))
    source, target = made.store.place(other), made.store.place(one)
    shutil.copyfile(source / "predictions.parquet", target / "predictions.parquet")
    theirs, mine = (sealed_records.read(folder / "result.json")[0] for folder in (source, target))
    mine |= {key: theirs[key] for key in ("metrics", "frequencies")}
    (target / "result.json").write_text(sealed_records.seal(mine, sealed_records.sums_of_job(target)))
