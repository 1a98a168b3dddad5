"""Bundles that lie, break or attack: every one is refused or kept from being ranked, quickly and in little memory."""

from __future__ import annotations

import io
import resource
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from _bundles import Members, ToyRun, in_json, sealed, spoilt
from _hostile_contents import CASES, repeated
from _hostile_zips import Make
from medbench.boards.build import boards
from medbench.publishing.bundle import bundle_members, signatures, zip_container
from medbench.publishing.bundle.board_numbers import board_numbers
from medbench.publishing.bundle.read_bundle import read_members
from medbench.publishing.bundle.zip_container import MANIFEST, SIGNATURE
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import check_against_data
from medbench.publishing.verify.outcome import Report
from medbench.publishing.verify.recompute import record_of, store_the_rest
from medbench.store.store import Store

SECONDS, BYTES = 10.0, 512 * 2**20


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield ToyRun(tmp_path_factory.mktemp("toys") / "runs", failed=[1])


@pytest.fixture(scope="module")
def members(run: ToyRun) -> Members:
    return run.members()


@pytest.fixture
def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        file.addfile(tarfile.TarInfo("../evil"))
    return out.getvalue()


def test_a_tar_is_no_bundle(tar: bytes) -> None:
    with pytest.raises(Refused, match=r"MB90[23]"):
        zip_container.find(tar)


# -- signatures -------------------------------------------------------------------------------------------------------

GARBAGE = [b"", b"x", b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n", b"\x00" * 100,
           b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n", b"A" * 20_000]  # fmt: skip


@pytest.mark.parametrize("signature", GARBAGE)
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(Refused, match="MB910"):
        signatures.signer_of(b"{}", signature, None)


needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ada", "eve"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True
        )
    (folder / "allowed").write_text("ada@example.org " + (folder / "ada.pub").read_text())
    (folder / "elsewhere").write_text('ada@example.org namespaces="git" ' + (folder / "ada.pub").read_text())
    (folder / "expired").write_text('ada@example.org valid-before="20200101" ' + (folder / "ada.pub").read_text())
    return {path.name: path for path in folder.iterdir()}


@needs_ssh
def test_a_signature_tells_who_and_nothing_else_passes_for_it(keys: dict[str, Path], members: Members) -> None:
    manifest = bundle_members.manifest_of(members)
    good, eve = (signatures.sign(manifest, keys[name]) for name in ("ada", "eve"))

    assert signatures.signer_of(manifest, good, keys["allowed"].read_text()) == "ada@example.org"
    assert signatures.signer_of(manifest, good, None) == ""
    assert signatures.signer_of(manifest, None, None) is None
    for given, signature, allowed in (
        (manifest, eve, "allowed"), (manifest, None, "allowed"), (manifest + b" ", good, "allowed"),
        (manifest, good, "elsewhere"), (manifest, good, "expired"), (manifest, good.replace(b"\n", b"\r\n"), "allowed"),
    ):  # fmt: skip
        with pytest.raises(Refused, match="MB910"):
            signatures.signer_of(given, signature, keys[allowed].read_text())
    with pytest.raises(Refused, match="MB910"):
        signatures.signer_of(manifest + b" ", good, None)
    path = keys["ada"].with_name("other")
    path.write_bytes(manifest)
    subprocess.run(["ssh-keygen", "-Y", "sign", "-n", "file", "-f", str(keys["ada"]), str(path)], check=True,
                   capture_output=True)  # fmt: skip
    with pytest.raises(Refused, match="MB910"):
        signatures.signer_of(manifest, path.with_name("other.sig").read_bytes(), None)


@needs_ssh
def test_a_signature_of_another_bundle_does_not_fit(keys: dict[str, Path], members: Members) -> None:
    signature = signatures.sign(bundle_members.manifest_of(members), keys["ada"])
    other = spoilt({**members, SIGNATURE: signature}, in_json("method.json", lambda v: v.update(title="Mine now")))
    found = zip_container.find(other)

    with pytest.raises(Refused, match="MB910"):
        signatures.signer_of(
            found[MANIFEST].unpack(MANIFEST), found[SIGNATURE].unpack(SIGNATURE), keys["allowed"].read_text()
        )


# -- all of them ------------------------------------------------------------------------------------------------------


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 150
    assert len({name for name, *_ in CASES}) == len(CASES)


@pytest.mark.filterwarnings("ignore:Duplicate name")  # of zipfile, which cuts a name at its first NUL
@pytest.mark.parametrize(("codes", "make"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_hostile_bundle_is_refused(run: ToyRun, members: Members, codes: str, make: Make, tmp_path: Path) -> None:
    data = make(run, members)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        found = run.judge(data, tmp_path / "check").tier
    except Refused as refused:
        found, said = refused.code, str(refused)
    else:
        said = ""

    assert found in codes.split()
    assert said.isprintable()  # it must not steer a terminal
    assert len(said) < 500
    assert time.monotonic() - started < SECONDS
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < BYTES
    assert {p.name for p in tmp_path.iterdir()} <= {"check"}


def test_a_repeated_prediction_is_flagged_and_held_back(run: ToyRun, members: Members, tmp_path: Path) -> None:
    changed = dict(members)
    repeated(changed)
    in_json("claims.json", lambda v: v.update(boards=[]))(changed)
    data = sealed(changed)
    with pytest.raises(Refused, match="MB930"):
        run.judge(data, tmp_path / "one")
    claims = _claims_of(run, data, tmp_path / "two")
    in_json("claims.json", lambda v: v.update(boards=claims))(changed)
    report = run.judge(sealed(changed), tmp_path / "three")

    assert report.tier == "claimed"
    assert [c.name for c in report.checks if c.outcome == "flagged"] == ["repeated predictions"]
    assert "predicted exactly what another did" in report.flags[0]


def _claims_of(run: ToyRun, data: bytes, folder: Path) -> list[Any]:
    bundle = read_members(data, zip_container.find(data))
    store, report = Store(folder), Report()
    check_against_data._check_trials(bundle, run.sources, run.catalogue, store, report)
    store_the_rest(store, bundle, run.sources)
    return [board_numbers(board) for board in boards(store, record_of(bundle, run.sources, None))]


def test_the_honest_bundle_they_were_made_from_is_accepted(run: ToyRun, members: Members, tmp_path: Path) -> None:
    assert run.judge(sealed(members), tmp_path / "check").tier == "recomputed"
