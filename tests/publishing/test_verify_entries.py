"""The script that checks a pull request: entries are added, the ledger grows, nothing else changes or is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from medbench.identity.identity import digest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "results" / "verify_entries.sh"
ADDED = 'Rows that are added:\n{"row":2}\n'
ONE, TWO = "0" * 16, "abcdef0123456789"
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


class Repository:
    """A repository with one published entry on `base`; `change` makes the proposed commit."""

    def __init__(self, root: Path) -> None:
        self.root, self.published = root, root / "results" / "published"
        self.git("init", "--quiet")
        self.add(ONE)
        (self.published / "ledger.jsonl").write_text('{"row":1}\n')
        (root / "code.py").write_text("1\n")
        self.commit("base")

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def add(self, entry: str) -> None:
        folder = self.published / entry
        folder.mkdir(parents=True)
        (folder / "bundle.medbench.zip").write_bytes(b"PK\0\n" + entry.encode())
        (folder / "entry.json").write_text('{\n "medbench": "7.0",\n}\n')

    def commit(self, tag: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", tag)
        self.git("tag", tag)

    def run(self, *revisions: str, first: Path | None = None) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(first or Path(sys.executable).parent), os.environ["PATH"]])
        return subprocess.run(["sh", str(SCRIPT), *revisions], cwd=self.root, capture_output=True, text=True,
                              env={**os.environ, "PATH": path}, check=False)  # fmt: skip

    def check(self, change: Callable[[Repository], object]) -> subprocess.CompletedProcess[str]:
        change(self)
        self.commit("proposed")
        self.git("checkout", "--quiet", "base")
        return self.run("base", "proposed", first=self.program())

    def program(self) -> Path:
        """Write a program in place of medbench."""
        program = self.root.parent / "bin"
        program.mkdir()
        (program / "medbench").write_text(
            '#!/bin/sh\n[ $1 = --version ] && echo "medbench, version 7.0" && exit\n'
            'echo "ran $1 $2"\ncase $1 in\nverify) test -f "$2/entry.json" ;;\n'
            'site) ! grep -q broken "$2/ledger.jsonl" && mkdir "$4" ;;\nesac\n'
        )
        (program / "medbench").chmod(0o755)
        return program


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


def honest(r: Repository) -> None:
    r.add(TWO)
    with (r.published / "ledger.jsonl").open("a") as file:
        file.write('{"row":2}\n')


def test_an_entry_that_is_added_is_verified_and_no_other(repository: Repository) -> None:
    done = repository.check(honest)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"ran verify results/published/{TWO}/\nran site results/published\n{ADDED}"
    assert (repository.published / TWO / "bundle.medbench.zip").read_bytes() == b"PK\0\n" + TWO.encode()
    assert (repository.published / "ledger.jsonl").read_text() == '{"row":1}\n{"row":2}\n'


def test_an_entry_that_a_new_row_lifts_is_written_anew_and_verified(repository: Repository) -> None:
    lifted = '{\n "lifted": true,\n "medbench": "7.0",\n}\n'

    def lift(r: Repository) -> None:
        (r.published / ONE / "entry.json").write_text(lifted)
        with (r.published / "ledger.jsonl").open("a") as file:
            file.write(f'{{"entry":"{ONE}","entry_sha256":"","event":"published","tier":"recomputed"}}\n')

    done = repository.check(lift)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"ran verify results/published/{ONE}/\nran site results/published\nRows that are")
    assert (repository.published / ONE / "entry.json").read_text() == lifted


def test_a_row_lifts_its_own_entry_only(repository: Repository) -> None:
    def lift_another(r: Repository) -> None:
        (r.published / ONE / "entry.json").write_text("{ }\n")
        with (r.published / "ledger.jsonl").open("a") as file:
            file.write(f'{{"entry":"{TWO}","event":"published","tier":"recomputed"}}\n')

    done = repository.check(lift_another)

    assert done.returncode != 0
    assert "ran" not in done.stdout


def test_the_ledger_alone_may_grow(repository: Repository) -> None:
    done = repository.check(lambda r: (r.published / "ledger.jsonl").write_text('{"row":1}\n{"row":2}\n'))

    assert (done.returncode, done.stdout) == (0, f"ran site results/published\n{ADDED}")


def test_a_row_alone_is_checked_too(repository: Repository) -> None:
    done = repository.check(lambda r: (r.published / "ledger.jsonl").write_text('{"row":1}\nbroken\n'))

    assert done.returncode != 0
    assert done.stdout == "ran site results/published\n"


def test_an_entry_of_another_version_is_not_added(repository: Repository) -> None:
    def older(r: Repository) -> None:
        honest(r)
        (r.published / TWO / "entry.json").write_text('{\n "medbench": "6.9",\n}\n')

    done = repository.check(older)
    assert done.returncode == 1
    assert "entry.json: was not written by medbench 7.0; publish the bundle again." in done.stdout


FORBIDDEN: dict[str, Callable[[Repository], object]] = {
    "code": lambda r: (r.root / "code.py").write_text("2\n"),
    "a workflow": lambda r: (r.root / "x.yml").write_text("2\n"),
    "an entry that is there": lambda r: (r.published / ONE / "entry.json").write_text("{ }\n"),
    "an entry taken away": lambda r: shutil.rmtree(r.published / ONE),
    "a row changed": lambda r: (r.published / "ledger.jsonl").write_text('{"row":7}\n{"row":2}\n'),
    "a row taken away": lambda r: (r.published / "ledger.jsonl").write_text(""),
    "the ledger taken away": lambda r: (r.published / "ledger.jsonl").unlink(),
    "another name": lambda r: r.add("my-entry"),
    "another file": lambda r: (r.published / ONE / "evil.py").write_text("1\n"),
    "a link": lambda r: ((r.published / TWO).mkdir(), (r.published / TWO / "entry.json").symlink_to("/etc/passwd")),
    "a program": lambda r: (r.add(TWO), (r.published / TWO / "entry.json").chmod(0o755)),
    "a maintainer": lambda r: (r.published / "maintainers").write_text("me ssh-ed25519 AAAA\n"),
    "a folder above": lambda r: (r.root / "results" / "published.md").write_text("1\n"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_anything_else_is_refused_before_anything_is_run(repository: Repository, what: str) -> None:
    def change(r: Repository) -> None:
        honest(r) if what not in ("a link", "a program") and "row" not in what else None
        FORBIDDEN[what](r)

    done = repository.check(change)

    assert done.returncode != 0
    assert "ran" not in done.stdout


# -- with medbench itself ---------------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path) -> Repository:
    """A repository with the entries of this one."""
    (tmp_path / "repository").mkdir()
    made = Repository(tmp_path / "repository")
    shutil.rmtree(made.published)
    shutil.copytree(ROOT / "results" / "published", made.published)
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "shipped")
    made.git("tag", "--force", "base")
    return made


def add_row(r: Repository, **values: str) -> None:
    """Write a row by hand behind the last one, as anybody can."""
    path = r.published / "ledger.jsonl"
    last = json.loads(path.read_bytes().splitlines()[-1])
    row = {"row": last["row"] + 1, "previous": last["sha256"], "detail": "", "date": last["date"], **values}
    row["sha256"] = digest(row)
    path.write_text(path.read_text() + json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n")


def test_a_contributor_cannot_say_reproduced_and_can_withdraw(shipped: Repository) -> None:
    rows = [json.loads(line) for line in (shipped.published / "ledger.jsonl").read_bytes().splitlines()]
    last, published = rows[-1], next(row for row in reversed(rows) if row["event"] == "published")
    of_entry = {key: published[key] for key in ("entry", "bundle")}
    add_row(shipped, **of_entry, event="reproduced", tier="reproduced", detail="the same, bit for bit")
    shipped.commit("forged")
    shipped.git("checkout", "--quiet", "base")
    forged = shipped.run("base", "forged")

    assert forged.returncode == 9, forged.stdout + forged.stderr
    assert f"row {last['row'] + 1} says reproduced without evidence and the signature" in forged.stderr
    shipped.git("checkout", "--quiet", "--force", "base")
    add_row(shipped, **of_entry, event="withdrawn", tier="withdrawn", detail="a mistake")
    shipped.commit("withdrawn")
    shipped.git("checkout", "--quiet", "base")
    withdrawn = shipped.run("base", "withdrawn")
    assert withdrawn.returncode == 0, withdrawn.stdout + withdrawn.stderr
    assert withdrawn.stdout.count('"event":"withdrawn"') == 1  # for whoever reviews it


def test_a_refused_entry_ends_the_check_of_all_unless_it_is_withdrawn(repository: Repository) -> None:
    (repository.published / ONE / "entry.json").unlink()
    program = repository.program()

    assert repository.run(first=program).returncode == 1
    row = f'{{"entry":"{ONE}","event":"withdrawn","tier":"withdrawn"}}\n'
    with (repository.published / "ledger.jsonl").open("a") as file:
        file.write(row)
    done = repository.run(first=program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "It is withdrawn" in done.stdout


def test_a_row_that_is_there_may_not_change_in_the_working_tree(repository: Repository) -> None:
    (repository.published / "ledger.jsonl").write_text('{"row":2}\n')
    done = repository.run()

    assert done.returncode == 1
    assert "rows that are there may not change" in done.stdout


@pytest.mark.slow
def test_every_entry_of_this_repository_is_verified_by_the_script(
    shipped: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever version runs; with their data all are recomputed, without those on real images are compared."""
    data = Path(os.environ.get("MEDBENCH_TEST_DATA", ROOT.parent / "shared" / "data")) / "medmnist"
    if data.is_dir():
        monkeypatch.setenv("MEDBENCH_DATA", str(data))
    done = shipped.run()
    entries = [path.name for path in shipped.published.iterdir() if path.is_dir()]

    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert len(entries) == 5
    # Ranges and words are by the rules of the version that published them, so none is refused for these.
    assert "It is withdrawn: what is refused now" not in said
    assert said.count("entry.json says what we compute") == 5
    for entry in entries:
        assert f"results/published/{entry} " in said
    assert said.count("every number is what we compute; intervals and verdicts are by the rules of medbench 0.1.0") == (
        4 if data.is_dir() else 2
    )
