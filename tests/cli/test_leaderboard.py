"""``medbench leaderboard`` as it stands on a terminal and in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from _synthetic_store import SyntheticRun
from medbench.cli import cli
from medbench.planning.plan_records import stored_runs
from medbench.planning.run_sessions import RunSession, begin_session, run_sessions, wall_time
from medbench.text import columns

STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A practice run on synthetic images, whose record has a warning."""
    run = SyntheticRun(tmp_path_factory.mktemp("run"), datasets=("phantom:ddti",), repeats=1).fill()
    record = run.record(
        warnings=["phantom:ddti: image brightness alone predicts the class: medbench audit phantom:ddti"]
    )
    run.record = lambda **more: record  # type: ignore[method-assign]
    return run.save()


def piped(results: Path, **environment: str) -> str:
    command = [sys.executable, "-m", "medbench", "leaderboard", "--results", str(results)]
    ran = subprocess.run(command, env=os.environ | environment, capture_output=True, timeout=120, check=True)
    return ran.stdout.decode()


def on_terminal(results: Path, width: int, **environment: str) -> str:
    """Return what a terminal of `width` columns is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    command = [sys.executable, "-m", "medbench", "leaderboard", "--results", str(results)]
    known = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "TERM")}
    with subprocess.Popen(command, env=known | {"TERM": "xterm"} | environment, stdout=theirs) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    assert process.returncode == 0
    return b"".join(parts).decode().replace("\r\n", "\n")


def test_answer_table_reason_warnings_and_next_command_in_this_order(results: Path) -> None:
    text = on_terminal(results, 80)
    plain = STYLE.sub("", text)
    parts = (
        "Thyroid ultrasound (SYNTHETIC images)",
        "No verdict (practice run): rotations, flips, zoom +35.8 (",
        "\n method ",
        "Practice run, so no verdict: ",
        "Synthetic test images: ",
        "Warning: image brightness alone predicts the class.",
        "more notes: medbench leaderboard --wide",
        " Next:  medbench report",
        "medbench audit phantom:ddti",
    )

    assert [plain.count(part) for part in parts] == [1] * len(parts)
    assert sorted(parts, key=plain.index) == list(parts)
    unbroken = [line for line in plain.split("\n") if "medbench " not in line]  # commands are never broken
    assert max(map(columns, unbroken)) <= 80
    assert "\x1b[1m No verdict (practice run): " in text
    assert STYLE.search(text.partition("accuracy")[2])  # weights in the table too
    assert "\x1b" not in plain
    # a pipe has no escape codes; on a terminal a style ends after the blanks that fill its cell
    assert [line.rstrip() for line in plain.split("\n")] == piped(results, PYTHONIOENCODING="utf-8").split("\n")


@pytest.fixture
def own(tmp_path: Path) -> tuple[SyntheticRun, dict[str, Any]]:
    """A run on a folder of images, whose record has a warning."""
    run = SyntheticRun(tmp_path, datasets=("folder",), repeats=1).fill()
    record = run.record(warnings=["folder: image brightness alone predicts the class: medbench audit folder"])
    run.record = lambda **more: record  # type: ignore[method-assign]
    run.save()
    return run, record


def next_of(results: Path, monkeypatch: pytest.MonkeyPatch, here: Path) -> str:
    monkeypatch.chdir(here)
    done = CliRunner().invoke(cli, ["leaderboard", "--results", str(results)], catch_exceptions=False)
    return done.stdout.partition(" Next:")[2]


def test_an_audit_is_advised_as_it_can_be_typed(
    own: tuple[SyntheticRun, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, record = own
    monkeypatch.delenv("MEDBENCH_DATA", raising=False)

    def advised() -> str:
        return next_of(run.root, monkeypatch, tmp_path)

    assert "medbench audit folder --data FOLDER" in advised()  # nothing was noted, as in runs of before
    assert "the warnings; FOLDER: the images" in advised()
    assert f"medbench report --results {run.root}" in advised()
    (tmp_path / "my scans").mkdir()
    begin_session(run.store, record, begin=1.0, data=[str(tmp_path / "my scans")]).end()
    assert "medbench audit folder --data 'my scans'" in advised()
    assert "FOLDER" not in advised()
    monkeypatch.setenv("MEDBENCH_DATA", str(tmp_path / "my scans"))
    assert "medbench audit folder " in advised()
    assert "--data" not in advised()
    file = tmp_path / "mine.toml"
    file.write_text('datasets = ["folder"]\naugmenters = ["geometric"]\n[data]\nfolder = "my scans"\n')
    begin_session(run.store, record, begin=2.0, data=[str(tmp_path / "my scans")], file=str(file)).end()
    assert "medbench audit mine.toml" in advised()


def test_wall_time_is_that_of_the_clock(own: tuple[SyntheticRun, dict[str, Any]]) -> None:
    run, record = own
    folder = run.root / ".plans"

    def note(begin: float, end: float | None) -> str:
        opened = begin_session(run.store, record, begin=begin)
        opened.write(RunSession(begin, end))
        return wall_time(run_sessions(run.store, record))

    assert wall_time(run_sessions(run.store, record)) == ""
    assert note(100.0, 130.0) == "30 s"
    assert note(110.0, 140.0) == "40 s, in 2 sessions"  # parts of a run that ran at the same time
    assert note(500.0, 520.0) == "60 s, in 3 sessions"
    assert note(900.0, None) == "more than 60 s, in 4 sessions"  # one was killed
    (folder / f"{next(folder.glob('*.session')).name}x.session").write_text("{")
    assert len(run_sessions(run.store, {**record, "checked": []})) == 4
    assert len(stored_runs(run.store)) == 1


def test_no_color_is_honoured_on_a_terminal(results: Path) -> None:
    assert "\x1b" not in on_terminal(results, 80, NO_COLOR="1")
