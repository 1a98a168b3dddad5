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

import pytest

from _synthetic_store import SyntheticRun
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
    assert max(map(columns, plain.split("\n"))) <= 80
    assert "\x1b[1m No verdict (practice run): " in text
    assert STYLE.search(text.partition("accuracy")[2])  # weights in the table too
    assert "\x1b" not in plain
    # a pipe has no escape codes; on a terminal a style ends after the blanks that fill its cell
    assert [line.rstrip() for line in plain.split("\n")] == piped(results, PYTHONIOENCODING="utf-8").split("\n")


def test_no_color_is_honoured_on_a_terminal(results: Path) -> None:
    assert "\x1b" not in on_terminal(results, 80, NO_COLOR="1")
