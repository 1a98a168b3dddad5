"""Corrections and withdrawals: rows that are added, final, with a reason that readers see; nothing is taken away."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "docs" / "benchmarks"))

from site_speed import add, publish

from _bundles import METHOD, TOYS, ToyRun, replaced
from medbench.cli.publish import publish as publish_command
from medbench.cli.publish import withdraw as command
from medbench.errors import MedbenchError, UsageError
from medbench.identity.identity import digest
from medbench.publishing.bundle import bundle_members, signatures, zip_container
from medbench.publishing.entries import ledger
from medbench.publishing.entries.check_entry import check_entry
from medbench.publishing.entries.entry_files import last_row
from medbench.publishing.entries.publish import publish_entry, replace_entry, withdraw_entry
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import sandbox
from medbench.publishing.verify.verify_bundle import Setup, Verified, check_lines, verify_bundle
from medbench.site.build import build
from medbench.site.order_entries import data_sets
from medbench.site.read_entries import read_entries

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("entries") / "published"
    publish(folder, 4, arms=5)  # number 1 is reproduced, 3 claimed
    return folder


@pytest.fixture
def published(invented: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(invented, tmp_path / "published"))


def numbered(folder: Path) -> dict[int, str]:
    return {int(p.entry["method"]["title"].split()[-1]): p.entry["id"] for p in read_entries(folder)}


class Text(HTMLParser):
    """The words of a page, and where its links lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if tag == "a" and name == "href"]


# -- withdrawn --------------------------------------------------------------------------------------------------------


def test_a_withdrawal_is_one_row_more_and_nothing_less(published: Path) -> None:
    before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    key = numbered(published)[1]
    row = withdraw_entry(published, key, "  the test part was seen in training ", date="2026-05-01")

    after = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    changed = published / "ledger.jsonl"
    assert after.pop(changed).startswith(before.pop(changed))
    assert after == before
    assert ledger.rows(changed)[-1] == row
    assert (row.event, row.tier, row.entry) == ("withdrawn", "withdrawn", key)
    assert (row.date, row.detail) == ("2026-05-01", "the test part was seen in training")


def test_a_withdrawn_entry_is_ranked_nowhere_and_its_reason_is_shown(published: Path, tmp_path: Path) -> None:
    key = numbered(published)[1]
    withdraw_entry(published, key, "its labels were of another release", date="2026-05-01")
    build(published, tmp_path / "site")
    sets = data_sets(read_entries(published))
    page = Text(tmp_path / "site" / "entries" / f"{key}.html")

    assert key not in {s.published.entry["id"] for o in sets for r in o.rankings for s in r.standings}
    assert {s.published.entry["id"] for o in sets for s in o.unranked.get("withdrawn", ())} == {key}
    assert "Withdrawn on 2026-05-01. its labels were of another release" in page.text
    assert not [
        r for r in json.loads((tmp_path / "site" / "all.json").read_text()) if r["entry"] == key and r["ranked"]
    ]
    assert "medbench: withdrawn" in (tmp_path / "site" / "entries" / f"{key}.svg").read_text()
    shown = [Text(path) for path in (tmp_path / "site" / "data").glob("*.html")]
    assert any("2026-05-01: its labels were of another release" in of_set.text for of_set in shown)


def test_nothing_follows_a_withdrawal(published: Path, tmp_path: Path) -> None:
    keys = numbered(published)
    withdraw_entry(published, keys[0], "wrong", date="2026-05-01")
    before = (published / "ledger.jsonl").read_bytes()

    for again in (
        lambda: withdraw_entry(published, keys[0], "wrong"),
        lambda: replace_entry(published, keys[0], keys[1]),
        lambda: ledger.append(
            published / "ledger.jsonl", ledger.NewRow("reproduced", keys[0], "reproduced", "0" * 64)
        ),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=rf"{keys[0]}.* is withdrawn .*final"):
            again()
    assert (published / "ledger.jsonl").read_bytes() == before
    sha = next(row.bundle for row in ledger.rows(published / "ledger.jsonl") if row.entry == keys[0])
    add(published, sha, "reproduced", "reproduced", detail="written by hand")
    with pytest.raises(Refused, match=r"MB950.* row 7 follows the withdrawal of its entry, which is final"):
        build(published, tmp_path / "site")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("", "is empty"), (" \n ", "is empty"), ("<script>alert(1)</script>", r"U\+003C"), ("=SUM(1)", r"U\+003D"),
        ("@SUM(1)", "formula"), ("a\nb", r"U\+000A"), ("\x1b[2Jgone", r"U\+001B"), ("\u202egnp.exe", r"U\+202E"),
        ("x" * 201, "201 characters"), ("ask ada@example.org", "an e-mail address"), ("see /home/ada/x", "a path"),
        ("p\u0430ypal", "mixes"), ("a\u0000b", r"U\+0000"), ("u\u0308ber", "NFC"),
    ],
)  # fmt: skip
def test_a_reason_must_be_one_that_can_be_published(published: Path, reason: str, said: str) -> None:
    before = (published / "ledger.jsonl").read_bytes()

    with pytest.raises(UsageError, match=f"--reason: .*{said}") as raised:
        withdraw_entry(published, numbered(published)[0], reason)
    assert raised.value.exit_code == 2
    assert str(raised.value).isprintable()
    assert (published / "ledger.jsonl").read_bytes() == before


@given(st.text(max_size=220))
def test_whatever_the_reason_the_ledger_stays_whole(reason: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sha = "a" * 64
        ledger.append(folder / "ledger.jsonl", ledger.NewRow("published", sha[:16], "claimed", sha))
        try:
            row = withdraw_entry(folder, sha[:16], reason)
        except UsageError:
            assert len(ledger.rows(folder / "ledger.jsonl")) == 1
        else:
            assert ledger.rows(folder / "ledger.jsonl")[1] == row
            assert row.detail == reason.strip() != ""


@pytest.mark.parametrize("name", ["0123456789abcdef", "zz", "", "../x", ".", "/"])
def test_an_unknown_entry_is_named(published: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ledger\.jsonl: knows no entry named"):
        withdraw_entry(published, name, "wrong")


def test_an_entry_is_named_by_its_beginning_or_its_folder_if_there_is_one_only(tmp_path: Path) -> None:
    for sha in ("ab" + "0" * 62, "ac" + "0" * 62):
        add(tmp_path, sha, "published", "claimed")

    with pytest.raises(UsageError, match="knows 2 entries named 'a'"):
        last_row(tmp_path, "a")
    assert last_row(tmp_path, "ac").entry == "ac" + "0" * 14
    assert last_row(tmp_path, str(tmp_path / ("ab" + "0" * 14)) + "/").entry == "ab" + "0" * 14


def test_the_command_withdraws_and_says_which_row(published: Path) -> None:
    key = numbered(published)[0]

    done = CliRunner().invoke(command, [key[:8], "--reason", "the wrong cut", "--to", str(published)])
    assert done.exit_code == 0, done.output
    assert re.search(rf"row 6 of \S+ledger\.jsonl: {key} is withdrawn: the wrong cut", done.output)
    again = CliRunner().invoke(command, [key[:8], "--reason", "the wrong cut", "--to", str(published)])
    assert isinstance(again.exception, MedbenchError)
    assert again.exception.exit_code == 2
    assert CliRunner().invoke(command, [key, "--to", str(published)]).exit_code == 2  # a reason is never left out


def test_a_broken_ledger_takes_no_withdrawal(published: Path) -> None:
    path, key = published / "ledger.jsonl", numbered(published)[0]
    path.write_bytes(path.read_bytes().replace(b"2026-01-31", b"2026-01-30", 1))

    with pytest.raises(Refused, match=r"MB950: .*row 1 was changed"):
        withdraw_entry(published, key, "wrong")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_rows_that_git_has_are_not_taken_away_by_a_command(published: Path) -> None:
    path, key = published / "ledger.jsonl", numbered(published)[0]
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    for call in (["init", "--quiet"], ["add", "ledger.jsonl"], ["commit", "--quiet", "-m", "rows"]):
        subprocess.run(["git", *who, *call], cwd=published, check=True)
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))  # a chain like any other

    done = CliRunner().invoke(command, [key, "--reason", "the wrong cut", "--to", str(published)])
    assert isinstance(done.exception, Refused)
    assert "MB950" in str(done.exception)
    assert "rows that git has at HEAD were changed or taken away" in str(done.exception)
    path.write_bytes(whole)
    assert CliRunner().invoke(command, [key, "--reason", "the wrong cut", "--to", str(published)]).exit_code == 0


# -- replaced ---------------------------------------------------------------------------------------------------------


def test_the_old_entry_leads_to_the_new_one_and_back(published: Path, tmp_path: Path) -> None:
    keys = numbered(published)
    replace_entry(published, keys[0], keys[1], date="2026-05-01")
    build(published, tmp_path / "site")
    old, new = (Text(tmp_path / "site" / "entries" / f"{keys[n]}.html") for n in (0, 1))

    assert f"Withdrawn on 2026-05-01. Replaced by {keys[1]} ." in old.text
    assert f"{keys[1]}.html" in old.links
    assert f"It replaces {keys[0]} ." in new.text
    assert f"{keys[0]}.html" in new.links
    of_sets = [Text(path) for path in (tmp_path / "site" / "data").glob("*.html")]
    assert any(f"replaced by {keys[1]}" in of_set.text for of_set in of_sets)
    row = ledger.rows(published / "ledger.jsonl")[-1]
    assert (row.event, row.tier, row.entry, row.replaced_by) == ("corrected", "withdrawn", keys[0], keys[1])


def test_an_entry_cannot_replace_itself_nor_one_that_is_gone(published: Path, tmp_path: Path) -> None:
    keys = numbered(published)
    with pytest.raises(UsageError, match="cannot replace itself"):
        replace_entry(published, keys[0], keys[0])
    with pytest.raises(UsageError, match="knows no entry"):
        replace_entry(published, keys[0], "0" * 16)
    sha = next(row.bundle for row in ledger.rows(published / "ledger.jsonl") if row.entry == keys[0])
    add(published, sha, "corrected", "withdrawn", detail=f"replaced by {'0' * 16}")
    with pytest.raises(Refused, match="names 0000000000000000 as the better entry, which was not published before"):
        build(published, tmp_path / "site")


def test_only_its_authors_replace_an_entry(run: ToyRun, bundle: Path, found: Verified, tmp_path: Path) -> None:
    """What is replaced is not looked for copies, and goes for good: a stranger's copy must not put it away."""
    folder, copy = tmp_path / "published", tmp_path / "copy.medbench.zip"
    old = publish_entry(bundle, found, folder, date="2026-04-01")
    copy.write_bytes(run.bundle(replaced(METHOD, authors=["Mallory"])))
    before = (folder / "ledger.jsonl").read_bytes()
    done = CliRunner().invoke(
        publish_command, [str(copy), "--to", str(folder), "--replaces", old.name, "--plugins-dir", str(TOYS)]
    )

    assert isinstance(done.exception, UsageError)
    assert f"{old.name}: is by Ada Lovelace, the other entry by none of them; only authors" in str(done.exception)
    assert (folder / "ledger.jsonl").read_bytes() == before
    new = publish_entry(copy, verify_bundle(copy, Setup(plugin_folders=[TOYS])), folder, date="2026-04-01")
    sha = next(row.bundle for row in ledger.rows(folder / "ledger.jsonl") if row.entry == old.name)
    add(folder, sha, "corrected", "withdrawn", detail=f"replaced by {new.name}", date="2026-04-01")  # by hand
    with pytest.raises(Refused, match=r"MB950.* row 3: .*only authors replace their entries"):
        build(folder, tmp_path / "site")


def test_a_reason_cannot_pass_for_a_replacement(published: Path, tmp_path: Path) -> None:
    keys = numbered(published)
    withdraw_entry(published, keys[0], f"replaced by {keys[1]}")
    build(published, tmp_path / "site")

    assert f"{keys[0]}.html" not in Text(tmp_path / "site" / "entries" / f"{keys[1]}.html").links


def test_a_correction_lifts_nothing(published: Path, tmp_path: Path) -> None:
    key = numbered(published)[3]
    sha = next(row.bundle for row in ledger.rows(published / "ledger.jsonl") if row.entry == key)
    add(published, sha, "corrected", "recomputed", detail="trust me")

    with pytest.raises(Refused, match="lifts an entry from claimed to recomputed as a correction"):
        build(published, tmp_path / "site")


# -- what the verifier says -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield ToyRun(tmp_path_factory.mktemp("toys") / "runs")


@pytest.fixture(scope="module")
def bundle(run: ToyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "toys.medbench.zip"
    path.write_bytes(run.bundle())
    return path


@pytest.fixture(scope="module")
def found(bundle: Path) -> Verified:
    return verify_bundle(bundle, Setup(plugin_folders=[TOYS]))


def test_verify_says_that_an_entry_is_withdrawn_and_why(bundle: Path, found: Verified, tmp_path: Path) -> None:
    place = publish_entry(bundle, found, tmp_path / "published", date="2026-04-01")
    withdraw_entry(place.parent, place.name, "a scanner was mixed up", date="2026-05-01")

    said = check_entry(place, found)
    assert said.endswith("as withdrawn since 2026-05-01, never ranked: a scanner was mixed up")
    with pytest.raises(UsageError, match="published and withdrawn, which is final"):
        publish_entry(bundle, found, place.parent)


def test_an_edit_of_what_is_recomputed_nowhere_is_found(bundle: Path, found: Verified, tmp_path: Path) -> None:
    place = publish_entry(bundle, found, tmp_path / "published")
    path = place / "entry.json"
    honest = path.read_text()
    (row,) = ledger.rows(place.parent / "ledger.jsonl")
    assert row.entry_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for old, new in (
        ('"outcome": "note"', '"outcome": "ok"'), ("not signed; nothing says", "signed; ssh-keygen says"),
        ('"medbench": "0', '"medbench": "7'), (" \n", "\n"), ('"schema": 1', '"schema":  1'),
    ):  # fmt: skip
        path.write_text(honest.replace(old, new) if old in honest else honest + " ")
        with pytest.raises(Refused, match=r"MB951: .*entry\.json: its SHA-256 is .*row 1 of the ledger has another"):
            check_entry(place, found)
        with pytest.raises(Refused, match="MB951"):
            build(place.parent, tmp_path / "site")
    path.write_text(honest)
    assert "chain is whole" in check_entry(place, found)
    assert build(place.parent, tmp_path / "site") == 1


def test_rows_of_before_there_was_a_sha_are_good_and_none_follows_one_that_has_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"

    def add_row(number: int, sha: str = "") -> None:
        bundle = f"{number:064x}"
        ledger.append(path, ledger.NewRow("published", bundle[:16], "claimed", bundle, entry_sha256=sha))

    add_row(1)
    assert "entry_sha256" not in json.loads(path.read_text())
    add_row(2, "b" * 64)
    last = json.loads(path.read_text().splitlines()[-1])
    assert last["entry_sha256"] == "b" * 64
    assert last["sha256"] == digest({k: v for k, v in last.items() if k != "sha256"})
    add_row(3)  # as a program would that leaves it out
    with pytest.raises(Refused, match=r"row 3 lacks the SHA-256 of entry\.json"):
        ledger.rows(path)


def test_the_entries_of_this_repository_are_valid(tmp_path: Path) -> None:
    folder = ROOT / "results" / "published"
    assert build(folder, tmp_path / "site") == len({row.entry for row in ledger.rows(folder / "ledger.jsonl")})


def test_a_missing_signature_is_a_note_and_no_check_that_passed(bundle: Path, found: Verified) -> None:
    (line,) = [check for check in found.checks if check["name"] == "signature"]

    assert line["outcome"] == "note"
    assert found.tier == "recomputed"
    assert "signature                 note: not signed" in "\n".join(check_lines(found))


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_allowed_signers_refuse_what_is_not_signed_by_them(run: ToyRun, bundle: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada {(tmp_path / 'key.pub').read_text()}")

    call = [sys.executable, "-m", "medbench", "verify", str(bundle), "--allowed-signers", str(allowed)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 9
    assert "MB910: the bundle is not signed" in done.stderr
    members = run.members(replaced(METHOD, title="Signed"))
    manifest = bundle_members.manifest_of(members)
    signed = members | {
        zip_container.MANIFEST: manifest,
        zip_container.SIGNATURE: signatures.sign(manifest, tmp_path / "key"),
    }
    (tmp_path / "signed").write_bytes(zip_container.write(signed))
    for known, outcome, detail in ((allowed.read_text(), "ok", "of ada"), (None, "note", "a key nobody here knows")):
        told = {"bundle": str(tmp_path / "signed"), "allowed": known, "accept_repeated": False}
        (line,) = [c for c in sandbox.run_task("read", told)["checks"] if c["name"] == "signature"]
        assert line["outcome"] == outcome
        assert detail in line["detail"]
