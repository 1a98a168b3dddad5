"""Jobs as tasks of Ray, where it is installed: ``pip install 'medbench[ray]'``."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import jobs
import medbench
from medbench.testing import check_executor
from medbench_plugins.executors.on_ray import Ray

PATIENCE = 200.0
HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed; pip install 'medbench[ray]'")


def processes_of(folder: str) -> list[int]:
    """Return the processes whose command line names a folder, or that have a file below it open, however started."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                files = [os.readlink(file) for file in (place / "fd").iterdir()]
                if folder.encode() in (place / "cmdline").read_bytes() or any(
                    file.startswith(folder) for file in files
                ):
                    found.append(int(place.name))
            except OSError:
                continue
    return found


def wait_until_gone(folder: str, seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


@needs_ray
@pytest.mark.slow
def test_ray_keeps_the_contract_and_leaves_no_process(tmp_path: Path) -> None:
    started: Any = Ray().start(workers=2, devices=["cpu"])
    folder = started._folder.for_ray
    try:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        running = [started.submit(jobs.notes_pid, str(tmp_path / name), 0.5, PATIENCE) for name in ("a", "b", "a", "b")]
        dead = started.submit(jobs.is_killed, str(tmp_path), 0.5, PATIENCE)
        assert [future.result(PATIENCE) for future in running] == [0] * 4
        with pytest.raises(ProcessLookupError):
            dead.result(PATIENCE)
        assert processes_of(folder)
    finally:
        started.close()

    assert not wait_until_gone(folder, 30)
    assert not Path(folder).parent.exists()
    pids = [pid for name in ("a", "b") for pid in (tmp_path / name / "pids").read_text().split()]
    assert len(set(pids)) <= 2
    check_executor(Ray(), tmp_path / "checks")


RUNNER = """
import sys
sys.path.insert(0, sys.argv[2])
import jobs
from medbench_plugins.executors.on_ray import Ray
if __name__ == "__main__":
    started = Ray().start(workers=1, devices=["cpu"])
    print(started._folder.for_ray, flush=True)
    started.submit(jobs.hangs, sys.argv[1], 1.0, 600.0).result()
"""


@needs_ray
@pytest.mark.slow
def test_a_runner_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "runner.py").write_text(RUNNER)
    (tmp_path / "job").mkdir()
    run = [sys.executable, str(tmp_path / "runner.py"), str(tmp_path / "job"), str(Path(jobs.__file__).parent)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        folder = runner.stdout.readline().strip()
        deadline = time.monotonic() + PATIENCE
        while not (tmp_path / "job" / "pid").is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        names = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes_of(folder)]
        runner.kill()
    worker = int((tmp_path / "job" / "pid").read_text())

    assert folder
    assert not wait_until_gone(folder, 30)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not Path(f"/proc/{worker}").exists()
    assert any(b"Agent" in name for name in names)  # Ray's own, which end a minute later where nobody ends them
    assert not Path(folder).parent.exists()


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(medbench.ResourceError, match=r"pip install 'medbench\[ray\]'"):
        Ray().start(workers=1, devices=["cpu"])


def test_a_cluster_is_given_more_jobs_than_this_machine_has_cores() -> None:
    assert (Ray().at_a_time, Ray(address="auto").at_a_time) == (0, 64)
