"""A full disk is said at once, as what it is: nothing is tried again for it, and no process dies of it."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from _bundles import ToyRun
from medbench.errors import ResourceError
from medbench.running.job import Task
from medbench.running.resources import LoadedPlugins, Workers
from medbench.running.retry import find_disk_fault
from medbench.running.runner import run
from medbench.running.watcher import Silent
from medbench.store.store import Store

FULL = Path("/dev/full")
JOB = """
import sys
from medbench.running.job import work
print("held back until it is flushed")
status = work(sys.argv[1], "cpu")
sys.stdout = sys.stderr = None  # what is left in them cannot be written either
sys.exit(status)
"""


@pytest.mark.skipif(not FULL.exists(), reason="/dev/full is not there")
@pytest.mark.parametrize("full", [("log.txt", "failure.json"), ("failure.json",)])
def test_a_job_on_a_full_disk_says_it_by_its_exit_status(tmp_path: Path, full: Sequence[str]) -> None:
    (tmp_path / "task.json").write_text(json.dumps(dataclasses.asdict(Task("trial", {}, str(tmp_path)))))
    for name in full:
        (tmp_path / name).symlink_to(FULL)
    ended = subprocess.run([sys.executable, "-c", JOB, str(tmp_path)], check=False, capture_output=True, text=True)

    assert ended.returncode == 6, ended.stderr


@pytest.mark.skipif(not FULL.exists(), reason="/dev/full is not there")
def test_a_log_that_takes_nothing_does_not_take_the_place_of_what_happened(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text(json.dumps(dataclasses.asdict(Task("trial", {}, str(tmp_path)))))
    (tmp_path / "log.txt").symlink_to(FULL)
    ended = subprocess.run([sys.executable, "-c", JOB, str(tmp_path)], check=False, capture_output=True, text=True)

    assert ended.returncode == 1, ended.stderr
    assert json.loads((tmp_path / "failure.json").read_text())["kind"] == "bug"


def test_a_folder_is_asked_whether_its_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_disk_fault(tmp_path) is None
    assert find_disk_fault(tmp_path / "gone") is None  # which is no fault of the disk
    assert list(tmp_path.iterdir()) == []

    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    found = find_disk_fault(tmp_path)
    assert found is not None
    assert found.message == "the disk is full; free some space, then run the same command."


@dataclass
class Dying:
    """An executor whose processes die without a word."""

    name: str = "dying"
    began: list[str] = field(default_factory=list)

    def start(self, *, workers: int, devices: Sequence[str]) -> Dying:
        return self

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        self.began.append(folder)
        future: Future[int] = Future()
        future.set_exception(ProcessLookupError("exit status 1"))
        return future

    def close(self) -> None:
        pass


def test_a_process_that_died_on_a_full_disk_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = ToyRun(tmp_path / "stored", failed=range(100))
    store, executor = Store(tmp_path / "runs"), Dying()

    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(ResourceError) as raised:
        run(of.plan, store, LoadedPlugins(of.catalogue), Workers(executor, 1), Silent())

    assert str(raised.value) == f"{store.root}: the disk is full; free some space, then run the same command."
    assert len(executor.began) == 1
    assert not list(store.root.rglob("failure.json"))
