"""What Ray started ends with the run that it was started for, and its folder goes with it; no Ray is needed here."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from medbench_plugins.executors import ray_folder
from medbench_plugins.executors.ray_folder import RayFolder, remove_left
from medbench_plugins.executors.ray_reaper import processes_of

AGENT = """
import os, sys, time
log = open(sys.argv[1] + "/agent.log", "w")
if os.fork():
    os._exit(0)
child = os.fork()
if child:
    print(os.getpid(), child, file=log, flush=True)
else:
    log.close()
time.sleep(600)
"""
"""Like Ray's agents: no parent of ours, a session and an environment of its own, a log; and a child without one."""
RUNNER = """
import subprocess, sys, time
from medbench_plugins.executors.ray_folder import RayFolder
folder = RayFolder()
subprocess.run([sys.executable, "-S", "-c", sys.argv[1], folder.for_ray], env={}, start_new_session=True, check=True)
print(folder.for_ray, flush=True)
time.sleep(600)
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tempfile.mkdtemp(prefix="mbt-")
    monkeypatch.setenv("TMPDIR", place)
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield Path(place)
    shutil.rmtree(place)


def wait_for(what: Path) -> list[int]:
    while not what.is_file() or not what.read_text().endswith("\n"):
        time.sleep(0.02)
    return [int(pid) for pid in what.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.timeout(60)
def test_a_runner_that_is_killed_leaves_no_process_and_no_folder(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", RUNNER, AGENT], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        folder = Path(runner.stdout.readline().strip())
        agents = wait_for(folder / "agent.log")
        assert set(agents) <= set(processes_of(str(folder)))
        assert all(map(is_alive, agents))
        runner.send_signal(signal.SIGKILL)
    late = time.monotonic() + 15
    while (any(map(is_alive, agents)) or folder.parent.exists()) and time.monotonic() < late:
        time.sleep(0.1)

    assert not any(map(is_alive, agents))
    assert not list(temporary.iterdir())


@pytest.mark.timeout(60)
def test_a_run_that_ends_ends_the_agents_and_goes_on_itself(temporary: Path) -> None:
    folder = RayFolder()
    assert stat.S_IMODE((temporary / os.listdir(temporary)[0]).stat().st_mode) == 0o700
    held = (Path(folder.for_ray) / "driver.log").open("w")
    command = [sys.executable, "-S", "-c", AGENT, folder.for_ray]
    subprocess.run(command, check=True)
    agents = wait_for(Path(folder.for_ray) / "agent.log")
    folder.close()
    held.close()

    assert not any(map(is_alive, agents))  # this process wrote below the folder too, and lives
    assert not list(temporary.iterdir())


def test_folders_of_dead_runs_are_removed_and_others_are_left(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_folder.ray_reaper, "AGAIN_SECONDS", 0.0)
    old = time.time() - 2 * ray_folder.OLD_SECONDS
    for name in ("dead", "runs", "earlier-version", "is-made"):
        (temporary / f"mb-ray-{name}" / "r").mkdir(parents=True)
    for name in ("dead", "runs"):
        (temporary / f"mb-ray-{name}" / "lock").touch()
    for path in ("mb-ray-earlier-version/r", "mb-ray-earlier-version"):
        os.utime(temporary / path, (old, old))
    (temporary / "mb-ray-link").symlink_to(temporary / "mb-ray-dead")
    with (temporary / "mb-ray-runs" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_left()
        left = sorted(os.listdir(temporary))

    assert left == ["mb-ray-is-made", "mb-ray-link", "mb-ray-runs"]
