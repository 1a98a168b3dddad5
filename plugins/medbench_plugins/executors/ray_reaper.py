"""Ends what Ray started for a run and removes its folder, once the run is over or its process is gone.

A program of its own, of the standard library alone: a process that is killed cannot clear up after itself, and Ray's
agents live on for a minute where their parent is killed. What belongs to a run is known by its folder: all of Ray's
processes write their logs below it, whatever they call themselves and whatever their environment is.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import stat
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.5
AGAIN_SECONDS = 0.2
QUIET = 3
"""So often nothing is found before it is believed: what was being started while the run died is found by then."""
MOST_SECONDS = 20.0


def main(folder: str, runner: int) -> None:
    """Wait until the runner is gone or has closed our standard input, then clear its folder."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the runner, and we end when it has
    forks_of = _command(Path(f"/proc/{runner}"))
    while os.getppid() == runner and not select.select([0], [], [], LOOK_SECONDS)[0]:
        pass
    clear(folder, spared=forks_of)


def clear(folder: str, *, spared: bytes = b"") -> None:
    """End the processes of a folder and remove it.

    Args:
        folder: That Ray was given.
        spared: A command line whose processes are left alone: what a runner has forked holds the files that it had.
    """
    quiet, late = 0, time.monotonic() + MOST_SECONDS
    while quiet < QUIET and time.monotonic() < late:
        left = processes_of(folder, spared=spared)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        quiet = 0 if left else quiet + 1
        time.sleep(AGAIN_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder: str, *, spared: bytes = b"") -> list[int]:
    """Return the processes that write below a folder, with all that they started; none where there is no ``/proc``.

    Args:
        folder: Its path.
        spared: A command line whose processes are left out.
    """
    places = [place for place in Path("/proc").glob("[0-9]*") if int(place.name) != os.getpid()]
    found = {int(place.name) for place in places if _is_of(place, folder, spared)}
    parents = {int(place.name): _parent(place) for place in places} if found else {}
    spared_too = {pid for pid in parents if spared and _command(Path(f"/proc/{pid}")) == spared}
    while more := {pid for pid, parent in parents.items() if parent in found} - found - spared_too:
        found |= more
    return sorted(found)


def _is_of(place: Path, folder: str, spared: bytes) -> bool:
    """Say whether a process has a file below the folder open for writing; who only reads a log is let live."""
    try:
        return not (spared and _command(place) == spared) and any(
            os.readlink(file).startswith(f"{folder}/") and file.lstat().st_mode & stat.S_IWUSR
            for file in (place / "fd").iterdir()
        )
    except OSError:  # it has ended, or is somebody else's
        return False


def _command(place: Path) -> bytes:
    try:
        return (place / "cmdline").read_bytes()
    except OSError:
        return b""


def _parent(place: Path) -> int:
    try:
        return int((place / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
