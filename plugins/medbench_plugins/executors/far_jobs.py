"""Jobs that another system starts: a folder beside the jobs holds what they need to know and how each ended.

Its files are all that runner and jobs share, so it lies in the store, which every machine must see. A job ends by
itself where the runner has not touched the folder for a while: nothing of ours runs on for a runner that was killed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

LATE = "late"
MEMORY_STATUS = 6
"""Exit status of a job that lacked memory."""
DAY = 24 * 3600.0


class Board:
    """The folder of one runner.

    Args:
        jobs: Folder that the job folders lie in.
        name: Of the executor.
    """

    def __init__(self, jobs: Path, name: str) -> None:
        for old in jobs.glob(f"{name}_*"):
            with contextlib.suppress(OSError):
                if time.time() - (old / "alive").stat().st_mtime > DAY:  # of a runner that was killed
                    shutil.rmtree(old, ignore_errors=True)
        self.folder = jobs / f"{name}_{uuid.uuid4().hex[:12]}"
        self.folder.mkdir(parents=True)
        self._beats = 0
        self.beat()

    def beat(self) -> None:
        """Tell the jobs that their runner lives."""
        self._beats += 1
        with contextlib.suppress(OSError):
            replace(self.folder / "alive", str(self._beats))

    def put(self, number: int, **job: Any) -> None:
        """Write what a job needs: ``work``, ``folder``, ``device``, ``share``, ``limit_s`` and ``patience_s``."""
        replace(self.folder / f"{number}.job", json.dumps({**job, "path": sys.path}))

    def folder_of(self, number: int) -> Path:
        """Return the folder of a job."""
        return Path(json.loads((self.folder / f"{number}.job").read_text())["folder"])

    def ended(self, number: int) -> int | str | None:
        """Return the exit status of a job, LATE, or None where it has not ended."""
        with contextlib.suppress(OSError, ValueError):
            found: int | str = json.loads((self.folder / f"{number}.ended").read_text())
            return found
        return None

    def began(self, number: int) -> bool:
        """Say whether a job has begun."""
        return (self.folder / f"{number}.began").exists()

    def close(self) -> None:
        """Take the folder away; a job that still runs ends for it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def replace(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def name_of(work: Callable[[str, str], int]) -> str:
    """Return what :func:`do_job` finds a function by."""
    return f"{work.__module__}:{work.__qualname__}"


def do_job(board: str, number: int, before: Callable[[str, float], str]) -> int:
    """Do a job, note how it ended, and return its exit status.

    Args:
        board: Folder of the runner.
        number: Of the job.
        before: Called with the wanted device and the share of it; returns the device that this process works on.
    """
    place = Path(board)
    job = json.loads((place / f"{number}.job").read_text())
    sys.path.extend(one for one in job["path"] if one not in sys.path)
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(place, number, job, ended), daemon=True)
    watch.start()
    try:
        replace(place / f"{number}.began", "")
        module, _, name = job["work"].partition(":")
        work = getattr(importlib.import_module(module), name)
        status = int(work(job["folder"], before(job["device"], job["share"])))
    finally:
        ended.set()
        watch.join()  # what a job leaves is looked for; this is not it
    replace(place / f"{number}.ended", json.dumps(status))
    return status


def _watch(place: Path, number: int, job: dict[str, Any], ended: threading.Event) -> None:
    """End this process where its time is over or its runner is gone; no clock but our own is asked."""
    began = heard = time.monotonic()
    last = ""
    while not ended.wait(min(1.0, job["patience_s"] / 4)):
        now = time.monotonic()
        if now - began > job["limit_s"]:
            with contextlib.suppress(OSError):
                replace(place / f"{number}.ended", json.dumps(LATE))
            os._exit(1)
        with contextlib.suppress(OSError):
            if (beat := (place / "alive").read_text()) != last:
                last, heard = beat, now
        if now - heard > job["patience_s"] or not place.is_dir():
            os._exit(1)


def note_out_of_memory(folder: Path, system: str, more: str = "") -> int:
    """Write the failure that a job could not write itself any more, and return its exit status.

    Args:
        folder: Of the job.
        system: What ended it.
        more: Goes on with that half sentence.
    """
    message = f"there was not enough memory for this trial; {system} ended it{more}."
    with contextlib.suppress(OSError):
        (folder / "failure.json").write_text(json.dumps({"kind": "memory", "message": message}))
    return MEMORY_STATUS


def choose_device(wanted: str) -> str:
    """Return the device of this machine that a job may use: the first GPU it was given, or the CPU."""
    if wanted == "cpu":
        return "cpu"
    torch: Any = importlib.import_module("torch")
    return "cuda:0" if wanted != "auto" or torch.cuda.is_available() else "cpu"
