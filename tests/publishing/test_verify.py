"""Verify, publish, reproduce: honest bundles are accepted, whatever cannot be checked is said, and rows are added."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from _bundles import METHOD, TOYS, Edit, Members, ToyRun, in_json, replaced, sealed, spoilt
from medbench import sealed_records as seals
from medbench.errors import UsageError
from medbench.interfaces import Budget
from medbench.publishing.bundle import bundle_members, signatures, zip_container
from medbench.publishing.bundle.planned_trials import planned_trials
from medbench.publishing.bundle.predictions_csv import SubmittedPredictions
from medbench.publishing.bundle.read_bundle import read_bundle, read_members
from medbench.publishing.entries import ledger
from medbench.publishing.entries.check_entry import check_entry
from medbench.publishing.entries.publish import publish_entry, replace_entry
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import rerun_cell, sandbox
from medbench.publishing.verify.outcome import checks_json, entry_json
from medbench.publishing.verify.verify_bundle import Setup, Verified, check_lines, verify_bundle
from medbench.store.store import Store
from medbench.trial.trial import Predictions, Trial


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("MEDBENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return ToyRun(tmp_path_factory.mktemp("toys") / "runs", failed=[1])


@pytest.fixture
def bundle(run: ToyRun, tmp_path: Path) -> Path:
    path = tmp_path / "toys.medbench.zip"
    path.write_bytes(run.bundle())
    return path


@pytest.fixture(scope="module")
def found(run: ToyRun, tmp_path_factory: pytest.TempPathFactory) -> Verified:
    """What became of the bundle in a process of its own."""
    path = tmp_path_factory.mktemp("once") / "toys.medbench.zip"
    path.write_bytes(run.bundle())
    before = sorted(path.parent.rglob("*"))
    made = check(path)
    assert sorted(path.parent.rglob("*")) == before
    return made


def here(run: ToyRun, data: bytes, folder: Path) -> Verified:
    """Verify in this process: quick."""
    report = run.judge(data, folder)
    made = entry_json(read_members(data, zip_container.find(data)), report, None)
    return Verified(tuple(checks_json(report)), made, None)


def check(path: Path, **more: Any) -> Verified:
    return verify_bundle(path, Setup(plugin_folders=[TOYS]), **more)


# -- honest bundles ---------------------------------------------------------------------------------------------------


def honest(folder: Path, number: int) -> tuple[ToyRun, bytes]:
    rng = random.Random(number)
    protocols = rng.sample(["patients", "official", "images"], rng.randint(1, 2))
    made = ToyRun(
        folder / "runs", seed=number, failed=rng.sample(range(6), rng.randint(0, 2)), folds=rng.randint(2, 3),
        repeats=rng.randint(1, 2), seeds=rng.randint(1, 2), patients=rng.choice([20, 25, 30]),
        yardsticks=rng.random() < 0.3, protocols=protocols,
        waive=["patient-across-cut"] if "official" in protocols else [],
    )  # fmt: skip
    title = rng.choice(
        ["Über-Augmentierung (2. Versuch)", "数据增强", "Étude nº 3: mélange", "It's «better», isn't it?"]
    )
    return made, made.bundle(replaced(METHOD, title=title, authors=["Ó Súilleabháin", "李明"][: rng.randint(1, 2)]))


def accepted(tmp_path: Path, numbers: range) -> None:
    for number in numbers:
        folder = tmp_path / str(number)
        made, data = honest(folder, number)
        report = made.judge(data, folder / "check")

        assert report.tier == "recomputed", (number, report.checks)
        assert {c.outcome for c in report.checks} == {"ok"}


def test_honest_bundles_are_accepted(cache: Path, tmp_path: Path) -> None:
    accepted(tmp_path, range(3))


@pytest.mark.slow
def test_forty_honest_bundles_are_accepted(cache: Path, tmp_path: Path) -> None:
    accepted(tmp_path, range(3, 43))


def test_other_configurations_on_the_same_folds_widen_the_ranges_of_the_verifier_too(
    run: ToyRun, tmp_path: Path
) -> None:
    shutil.copytree(run.store.root, tmp_path / "runs")
    for number in range(30):
        folder = next((tmp_path / "runs" / "phantom-toy" / "plain-toy--mean" / "patients").glob("r0-f0-*"))
        target = tmp_path / "runs" / "phantom-toy" / f"other-{number}--mean" / "patients" / folder.name
        shutil.copytree(folder, target)
        spec = json.loads((target / "spec.json").read_text())
        (target / "spec.json").write_text(json.dumps(spec | {"augmenter": f"other-{number}"}))
        (record,) = (p for p in target.iterdir() if p.name in ("result.json", "failure.json"))
        record.write_text(seals.seal(seals.read(record)[0], seals.sums_of_job(target)))
    members = bundle_members.members_of(Store(tmp_path / "runs"), run.record, METHOD)
    report = run.judge(sealed(members), tmp_path / "check")
    narrow = run.judge(run.bundle(), tmp_path / "narrow")
    assert report.tier == "recomputed"
    assert report.boards[0]["looks"] == narrow.boards[0]["looks"] + 30
    wide, short = (next(r for r in x.boards[0]["rows"] if r["augmenter"] == "adds") for x in (report, narrow))
    assert wide["gain_high"] - wide["gain_low"] > short["gain_high"] - short["gain_low"]
    forgotten = in_json("plan.json", lambda v: v["unseen"]["phantom:toy"].update(patients=0))
    with pytest.raises(Refused, match="MB930"):
        run.judge(spoilt(members, forgotten), tmp_path / "again")


def test_a_classifier_that_learns_from_another_data_set_is_checked_with_it(cache: Path, tmp_path: Path) -> None:
    made = ToyRun(tmp_path / "runs", classifiers=["before[source=other]"])
    path = tmp_path / "toys.medbench.zip"
    path.write_bytes(made.bundle())
    found = check(path)

    assert found.tier == "recomputed", check_lines(found)
    assert any("before[source=other]" in row["classifier"] for b in found.entry["boards"] for row in b["rows"])  # type: ignore[index]


# -- through the process ----------------------------------------------------------------------------------------------


def test_a_bundle_is_verified_in_a_process_of_its_own(found: Verified) -> None:
    assert found.tier == "recomputed", check_lines(found)
    assert found.entry is not None
    text = "\n".join(check_lines(found))
    assert max(map(len, text.splitlines())) <= 80
    for said in ("ok: 6 of 6 planned training runs, 1 of them failed", "sample ids                ok", "not signed"):
        assert said in text
    assert found.entry["boards"][0]["recomputed"] is True
    assert found.entry["id"] == found.entry["bundle"]["sha256"][:16]


def test_without_the_data_set_it_says_so_and_stays_claimed(run: ToyRun, tmp_path: Path) -> None:
    path = tmp_path / "real.medbench.zip"
    path.write_bytes(_renamed(run))
    found = check(path)

    assert found.tier == "claimed", check_lines(found)
    assert "could not be checked: toy: where is it? Give --data" in " ".join("\n".join(check_lines(found)).split())
    assert found.entry is not None
    assert found.entry["boards"][0]["recomputed"] is False


def _renamed(run: ToyRun) -> bytes:
    """Return the bundle of a run on the real data set: other ids of trials, since its name is part of them."""
    members = run.members()
    text = {name: data.replace(b"phantom:toy", b"toy") for name, data in members.items()}
    plan = json.loads(text["plan.json"])
    fresh = {(t.augmenter, t.fold): t.id for t in planned_trials(plan).values()}
    old = {(t.augmenter, t.fold): t.id for t in run.plan.trials}
    for key, name in old.items():
        text = {m.replace(name, fresh[key]): d.replace(name.encode(), fresh[key].encode()) for m, d in text.items()}
    in_json("claims.json", lambda v: [b.update(phantom=False) for b in v["boards"]] and None)(text)
    in_json("trials.json", lambda v: v["trials"].sort(key=lambda t: t["spec"]["id"]))(text)
    return sealed(text)


def test_without_its_plugin_an_arm_could_not_be_checked(bundle: Path) -> None:
    found = verify_bundle(bundle)

    assert found.tier == "claimed"
    assert any("no data set is named 'toy'" in line for line in [c["detail"] for c in found.checks])


def test_a_refusal_names_its_code_and_both_values(run: ToyRun, tmp_path: Path) -> None:
    path = tmp_path / "x.medbench.zip"
    path.write_bytes(
        spoilt(run.members(), in_json("claims.json", lambda v: v["boards"][0]["rows"][0].update(auroc=0.99)))
    )
    found = check(path)

    assert found.tier == "refused"
    assert found.refused is not None
    assert found.refused.code == "MB930"
    assert "auroc of plain-toy / mean is " in found.refused.message  # predictions of toys change with ids of trials
    assert "the bundle says 0.99" in found.refused.message
    assert "FAILED: MB930" in "\n".join(check_lines(found))


def test_what_takes_too_much_memory_or_time_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "WALL_S", {"read": 0.01, "check": 0.01})
    found = check(bundle)

    assert found.refused is not None
    assert found.refused.code == "MB940"


def test_the_process_cannot_lift_its_bounds() -> None:
    code = (
        "import resource, sys; from medbench.publishing.verify.sandbox import confine; confine('read')\n"
        "try: bytearray(3 * 2**30)\n"
        "except MemoryError: print('memory')\n"
        "try: resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))\n"
        "except (ValueError, PermissionError): print('cpu')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    said = done.stdout.split()
    assert said[0] == "memory"
    assert said[-1] == "False"
    assert "cpu" in said or os.geteuid() == 0  # root may raise them again, and no plugin of a bundle is ever run


@pytest.mark.parametrize("make", ["folder", "fifo", "missing", "large"])
def test_what_is_no_file_is_refused(tmp_path: Path, make: str) -> None:
    path = tmp_path / "x"
    if make == "folder":
        path.mkdir()
    elif make == "fifo":
        os.mkfifo(path)
    elif make == "large":
        with path.open("wb") as file:
            file.truncate(zip_container.PACKED + 1)
    with pytest.raises(Refused, match="MB901"):
        read_bundle(path)


# -- one byte ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_no_byte_of_a_signed_bundle_can_be_changed(run: ToyRun, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    members = run.members()
    manifest = bundle_members.manifest_of(members)
    members |= {zip_container.MANIFEST: manifest, zip_container.SIGNATURE: signatures.sign(manifest, tmp_path / "key")}
    data, rng = zip_container.write(members), random.Random(0)
    found = zip_container.find(data)
    start = data.index(bytes(found[zip_container.SIGNATURE].packed))
    in_signature = set(range(start, start + len(found[zip_container.SIGNATURE].packed)))
    for offset in rng.sample(sorted(set(range(len(data))) - in_signature), 150):  # all of them: one_byte.py
        changed = data[:offset] + bytes([data[offset] ^ (1 << rng.randrange(8))]) + data[offset + 1 :]
        with pytest.raises(Refused):
            read_members(changed, zip_container.find(changed))
    for offset in rng.sample(sorted(in_signature), 12):
        changed = data[:offset] + bytes([data[offset] ^ (1 << rng.randrange(8))]) + data[offset + 1 :]
        with pytest.raises(Refused):
            _signed(changed)


def _signed(data: bytes) -> None:
    bundle = read_members(data, zip_container.find(data))
    signatures.signer_of(bundle.manifest, bundle.signature, None)


# -- publish ----------------------------------------------------------------------------------------------------------


def test_an_entry_holds_what_was_computed_and_the_ledger_knows_it(
    bundle: Path, found: Verified, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    place = publish_entry(bundle, found, folder, date="2026-01-31")

    assert (place / "bundle.medbench.zip").read_bytes() == bundle.read_bytes()
    assert json.loads((place / "entry.json").read_text()) == found.entry
    (row,) = ledger.rows(folder / "ledger.jsonl")
    assert (row.event, row.tier, row.entry) == ("published", "recomputed", place.name)
    assert "chain is whole" in check_entry(place, found)
    with pytest.raises(UsageError, match="published already"):
        publish_entry(bundle, found, folder)
    assert not list(folder.glob(".*"))


def test_an_entry_that_says_something_else_is_refused(bundle: Path, found: Verified, tmp_path: Path) -> None:
    place = publish_entry(bundle, found, tmp_path / "published")
    honest = json.loads((place / "entry.json").read_text())
    for change in (
        lambda v: v.update(tier="reproduced"), lambda v: v["boards"][0]["rows"][0].update(auroc=0.999),
        lambda v: v["method"].update(title="<script>"), lambda v: v.update(signed_by="ada"),
        lambda v: v.update(flags=["x"]),
    ):  # fmt: skip
        value = json.loads(json.dumps(honest))
        change(value)
        (place / "entry.json").write_text(json.dumps(value))
        with pytest.raises(Refused, match="MB951"):
            check_entry(place, found)
    (place / "entry.json").write_text("{" * 100_000)
    with pytest.raises(Refused, match="MB951"):
        check_entry(place, found)


def other_words(members: Members) -> None:
    """Put what withholds a word otherwise, as another version may."""

    def change(claims: Any) -> None:
        changed = [row for board in claims["boards"] for row in board["rows"] if row["withheld"]]
        assert changed
        for row in changed:
            row["withheld"] = "put otherwise"

    in_json("claims.json", change)(members)


def by(version: str) -> Edit:
    return in_json("environment.json", lambda v: v.update(medbench=[version]))


def test_sentences_of_another_version_may_be_others_and_numbers_may_not(run: ToyRun, tmp_path: Path) -> None:
    members = run.members()
    with pytest.raises(Refused, match=r"MB930.*withheld of"):
        run.judge(spoilt(members, other_words), tmp_path / "same")

    other_words(members)
    by("0.0.1")(members)
    assert run.judge(spoilt(members, lambda m: None), tmp_path / "other").tier == "recomputed"
    wrong = in_json("claims.json", lambda v: v["boards"][0]["rows"][0].update(auroc=0.99))
    with pytest.raises(Refused, match=r"MB930.*auroc of"):
        run.judge(spoilt(members, wrong), tmp_path / "wrong")


def test_what_this_version_recomputed_as_it_says_must_be_the_study_here(
    bundle: Path, found: Verified, tmp_path: Path
) -> None:
    """The ledger and entry.json may be written by hand: another version in the bundle is no way to leave arms out."""
    place = publish_entry(bundle, found, tmp_path / "published")
    line = {
        "name": "methods and training runs",
        "outcome": "unknown",
        "code": "MB925",
        "detail": "made by medbench 0.0.1, here ...",
    }
    left_out = Verified((*found.checks, line), {**(found.entry or {}), "tier": "claimed"}, None)

    with pytest.raises(
        Refused, match=r"MB951: .*tier is recomputed by medbench .*, which cannot recompute it: made by"
    ):
        check_entry(place, left_out)
    missing = Verified((*found.checks, {**line, "name": "data set", "code": ""}), left_out.entry, None)
    assert "what could not be checked" in check_entry(place, missing)


def test_a_broken_ledger_takes_no_entry(bundle: Path, found: Verified, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "ledger.jsonl").write_text('{"row":1}\n')
    with pytest.raises(Refused, match="MB950"):
        publish_entry(bundle, found, folder)
    assert [p.name for p in folder.iterdir()] == ["ledger.jsonl"]


def test_a_better_entry_withdraws_the_other_and_both_stay(
    run: ToyRun, bundle: Path, found: Verified, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    old = publish_entry(bundle, found, folder)
    better = tmp_path / "better.medbench.zip"
    better.write_bytes(run.bundle(replaced(METHOD, title="Better")))
    new = publish_entry(better, here(run, better.read_bytes(), tmp_path / "check"), folder)
    replace_entry(folder, old.name, new.name)

    assert ledger.tiers(ledger.rows(folder / "ledger.jsonl")) == {old.name: "withdrawn", new.name: "recomputed"}
    assert (old / "entry.json").is_file()
    with pytest.raises(UsageError, match="knows no entry"):
        replace_entry(folder, "0" * 16, new.name)


def test_a_bundle_that_changes_between_is_not_published(bundle: Path, found: Verified, tmp_path: Path) -> None:
    bundle.write_bytes(bundle.read_bytes() + b"\0")
    with pytest.raises(Refused, match="was changed after it was checked"):
        publish_entry(bundle, found, tmp_path / "published")


# -- reproduce --------------------------------------------------------------------------------------------------------


def test_the_bundle_itself_chooses_the_cell_and_a_salt_another(run: ToyRun) -> None:
    data = run.bundle()
    found = read_members(data, zip_container.find(data))
    cells = {rerun_cell.cell_to_rerun(found, str(n)).id for n in range(60)}

    assert rerun_cell.cell_to_rerun(found) == rerun_cell.cell_to_rerun(found)
    assert cells == set(found.results)  # every cell with a result can be chosen


def predicted(accuracy: float, n: int = 60) -> Predictions:
    labels = np.arange(n) % 2
    good = np.arange(n) < accuracy * n
    p = np.where((good == (labels == 1))[:, None], [[0.2, 0.8]], [[0.8, 0.2]])
    names = np.array([f"i{k}" for k in range(n)])
    return Predictions(names, names, labels, p)


def compare(ours: float, theirs: float, *, same: bool) -> rerun_cell.Rerun:
    trial = Trial("phantom:toy", "patients", 0, 0, 5, 0, 0, "adds", "mean", Budget())
    told = predicted(theirs)
    published = SubmittedPredictions(tuple(told.ids.tolist()), told.probabilities)
    return rerun_cell.compare_rerun(trial, predicted(ours), [0.5, 0.5], published, [0.5, 0.5], same_platform=same)


def test_the_same_platform_must_give_the_same_bits_and_another_the_same_within_chance() -> None:
    assert compare(0.8, 0.8, same=True).same_bits
    assert not compare(0.8, 0.82, same=False).same_bits
    with pytest.raises(Refused, match=r"MB960.*on the same platform"):
        compare(0.8, 0.82, same=True)
    with pytest.raises(Refused, match=r"MB960.*more than chance"):
        compare(0.5, 0.95, same=False)
    assert rerun_cell.ledger_sentence(compare(0.8, 0.82, same=False)).startswith(
        "adds / mean, repeat 0, fold 0, seed 0: balanced accuracy"
    )


@pytest.mark.slow
def test_from_a_run_to_a_reproduced_entry_in_commands(tmp_path: Path) -> None:
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}

    def medbench(*arguments: str, code: int = 0, plugins: bool = True) -> str:
        call = [sys.executable, "-m", "medbench", *arguments, *(["--plugins-dir", str(TOYS)] if plugins else [])]
        done = subprocess.run(call, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    asked = ("-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds", "2", "--repeats", "1", "--no-yardsticks")
    medbench("run", *asked, "--executor", "forks")
    medbench("bundle", "--title", "Toys", "--author", "Ada", "--out", "a.medbench.zip", plugins=False)
    assert "tier                      recomputed" in medbench("verify", "a.medbench.zip", "--accept-repeated")
    published = medbench("publish", "a.medbench.zip", "--to", "published", "--accept-repeated")
    (place,) = (p for p in (tmp_path / "published").iterdir() if p.is_dir())
    assert f"published as published/{place.name}" in published
    again = ("reproduce", place.name[:6], "--to", "published", "--executor", "forks")
    assert "No row was written: that takes --sign" in medbench(*again)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    assert "published/maintainers does not list this key" in " ".join(medbench(*again, "--sign", "key", code=2).split())
    (tmp_path / "published" / "maintainers").write_text(f"grace {(tmp_path / 'key.pub').read_text()}")
    said = medbench(*again, "--sign", "key", "--salt", "0a1b")
    assert "bit for bit (salt 0a1b)" in said
    assert "signed by grace; commit published/ledger.jsonl" in said
    assert "knows the entry as reproduced" in " ".join(medbench("verify", str(place), "--accept-repeated").split())
    value = json.loads(medbench("verify", str(place / "bundle.medbench.zip"), "--json").partition("\n}")[0] + "\n}")
    assert (value["tier"], value["refused"]) == ("claimed", None)  # predictions repeat, and nobody accepted it now

    (place / "bundle.medbench.zip").write_bytes(b"PK\x03\x04")
    assert "MB902" in medbench("verify", str(place), code=9)
