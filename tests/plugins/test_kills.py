"""Workers and runners are killed while a run goes on: nothing finished is lost, nothing double, nothing left behind."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

import one_node_slurm

TOYS = Path(__file__).parents[1] / "toys"
MARK = "MEDBENCH_TEST_MARK"
ON_SLURM = "slurm[poll_s=0.2,patience_s=8]"
WORKERS = {
    "forks": ("forkserver",),
    "slurm": ("slurm_task",),
    "one-node slurm": ("slurm_task",),
    "ray": ("ray::do", "ray::IDLE"),
}
EXECUTOR = {"forks": "forks", "slurm": ON_SLURM, "one-node slurm": ON_SLURM, "ray": "ray[patience_s=8]"}
LEFT_SECONDS = 30.0
slow = pytest.mark.slow
asked = pytest.mark.skipif("MEDBENCH_TEST_KILLS" not in os.environ, reason="takes minutes; set MEDBENCH_TEST_KILLS=1")
long = pytest.mark.timeout(5400)
needs_slurm = pytest.mark.skipif(not one_node_slurm.is_there(), reason="SLURM, munge or root is not there")
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed; pip install 'medbench[ray]'"
)


def started_with(mark: str, folder: str = "") -> Iterator[tuple[int, str]]:
    """Yield every process that was started for a test, with its command line.

    Args:
        mark: In the environment that it was given.
        folder: Below which it has a file open, or which its command line names: Ray's agents have other environments.
    """
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and int(place.name) != os.getpid():
                command = (place / "cmdline").read_bytes()
                is_marked = f"{MARK}={mark}".encode() in (place / "environ").read_bytes().split(b"\0")
                if is_marked or (folder and (folder.encode() in command or has_open(place, folder))):
                    yield int(place.name), command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


def has_open(place: Path, folder: str) -> bool:
    return any(os.readlink(file).startswith(f"{folder}/") for file in (place / "fd").iterdir())


def workers_of(executor: str, mark: str) -> list[int]:
    found = [pid for pid, line in started_with(mark) if any(name in line for name in WORKERS[executor])]
    if executor != "forks":
        return found
    servers = {int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in found if alive(pid)}
    return [pid for pid in found if pid not in servers]  # the server looks like those that it forks


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def results(folder: Path) -> dict[str, bytes]:
    """Return the predictions that are stored; a hidden folder has those of jobs that run."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.glob("[!.]*/**/*.parquet"))}


@pytest.mark.parametrize(
    ("executor", "workers", "runners"),
    [
        pytest.param("forks", 3, 1),
        pytest.param("forks", 20, 5, marks=[slow, asked, long]),
        pytest.param("slurm", 20, 5, marks=[slow, asked, long]),
        pytest.param("one-node slurm", 20, 5, marks=[slow, asked, long, needs_slurm]),
        pytest.param("ray", 20, 5, marks=[slow, asked, long, needs_ray]),
    ],
)
def test_kills_cost_time_and_nothing_else(tmp_path: Path, executor: str, workers: int, runners: int) -> None:
    with one_node_slurm.one_node(tmp_path / "slurm") if executor == "one-node slurm" else nullcontext({}) as variables:
        temporary = tempfile.mkdtemp(prefix="mbk-")  # a short path: Ray's sockets lie below it
        try:
            check_kills(
                tmp_path, executor, workers, runners, variables if variables else fake_slurm(tmp_path), temporary
            )
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def fake_slurm(place: Path) -> dict[str, str]:
    """Write the programs of a SLURM that is none; return the variables under which they are found."""
    (place / "programs").mkdir()
    (place / "cluster").mkdir()
    for name in ("sbatch", "sacct", "scancel"):
        program = place / "programs" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {TOYS / "fake_slurm" / "slurm.py"} {name} "$@"\n')
        program.chmod(0o755)
    return {"PATH": f"{place / 'programs'}:{os.environ['PATH']}", "FAKE_SLURM": str(place / "cluster")}


def check_kills(
    tmp_path: Path, executor: str, workers: int, runners: int, variables: dict[str, str], temporary: str
) -> None:
    mark, draw = uuid.uuid4().hex, random.Random(0)
    environment = {**os.environ, MARK: mark, "MEDBENCH_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    environment |= variables | {"TMPDIR": temporary}

    def start(how: str, where: str) -> subprocess.Popen[bytes]:
        folds, repeats = ("2", "1") if workers < 10 else ("3", "4")
        command = [sys.executable, "-m", "medbench", "run", "-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds",
                   folds, "--repeats", repeats, "--no-yardsticks", "--workers", "2", "--plugins-dir", str(TOYS), "-p",
                   "no:medbench.scores", "--executor", how, "--results", str(tmp_path / where)]  # fmt: skip
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start("forks", "quiet").wait(500) == 0
    finished: dict[str, bytes] = {}
    killed_workers = killed_runners = 0
    for _ in range(4 * (workers + runners)):
        runner = start(EXECUTOR[executor], "runs")
        while runner.poll() is None:
            time.sleep(draw.uniform(0.2, 0.6))
            before, finished = finished, results(tmp_path / "runs")
            assert before.items() <= finished.items()
            busy = workers_of(executor, mark)
            if busy and killed_workers < workers:
                kill(draw.choice(busy))
                killed_workers += 1
            elif busy and killed_runners < runners and draw.random() < 0.5:
                kill(runner.pid)
                killed_runners += 1
        if runner.returncode == 0:
            break
    deadline = time.monotonic() + LEFT_SECONDS
    while (left := list(started_with(mark, temporary))) and time.monotonic() < deadline:
        time.sleep(0.2)

    assert runner.returncode == 0
    assert not left
    assert not list(Path(temporary).glob("mb-ray-*"))
    few = workers < 20  # which may end before it is their turn
    assert killed_workers + killed_runners >= (min(4, workers) if few else workers + runners)
    assert results(tmp_path / "runs") == results(tmp_path / "quiet")
    print(f"killed {killed_workers} workers and {killed_runners} runners")
