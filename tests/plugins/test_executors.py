"""Jobs in processes of their own: what each may do to itself, and to nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

import jobs
import medbench
from medbench_plugins.executors import Local

PATIENCE = 100.0


@pytest.fixture(scope="module")
def two() -> Iterator[medbench.Jobs]:
    started = Local().start(workers=2, devices=["cpu", "elsewhere"])
    yield started
    started.close()


def test_a_job_gives_its_exit_status(two: medbench.Jobs, tmp_path: Path) -> None:
    assert [two.submit(jobs.returns, str(s), 0.5, PATIENCE).result() for s in (0, 7)] == [0, 7]


def test_jobs_take_the_devices_in_turn(two: medbench.Jobs, tmp_path: Path) -> None:
    for _ in range(2):
        two.submit(jobs.notes_device, str(tmp_path), 0.5, PATIENCE).result()

    assert {p.name for p in tmp_path.iterdir()} == {"cpu", "elsewhere"}


@pytest.mark.parametrize("job", [jobs.exits, jobs.is_killed, jobs.raises])
def test_a_job_that_dies_is_known_at_once(two: medbench.Jobs, tmp_path: Path, job: object) -> None:
    with pytest.raises(ProcessLookupError, match="exit status"):
        two.submit(job, str(tmp_path), 0.5, PATIENCE).result(PATIENCE)  # type: ignore[arg-type]


def test_a_child_that_outlives_its_job_keeps_nobody_waiting(two: medbench.Jobs, tmp_path: Path) -> None:
    died = two.submit(jobs.dies_beside_a_child, str(tmp_path), 0.5, PATIENCE).exception(PATIENCE)
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)  # it lived: whoever waits for its end is not done

    assert isinstance(died, ProcessLookupError)


def test_jobs_that_die_while_others_run_leave_none_waiting(two: medbench.Jobs, tmp_path: Path) -> None:
    futures = [two.submit(jobs.exits, str(tmp_path), 0.5, PATIENCE) for _ in range(20)]

    assert all(isinstance(f.exception(PATIENCE), ProcessLookupError) for f in futures)


def test_a_process_that_cannot_be_started_is_a_lost_job(
    two: medbench.Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(process: BaseProcess) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(BaseProcess, "start", start)
    with pytest.raises(ProcessLookupError, match=r"could not be started: .*Resource temporarily"):
        two.submit(jobs.returns, "0", 0.5, PATIENCE).result(PATIENCE)
    monkeypatch.undo()
    assert two.submit(jobs.returns, "0", 0.5, PATIENCE).result(PATIENCE) == 0


@pytest.mark.parametrize("job", [jobs.hangs, jobs.hangs_deaf])
def test_a_job_past_its_limit_is_ended(two: medbench.Jobs, tmp_path: Path, job: object) -> None:
    with pytest.raises(TimeoutError):
        two.submit(job, str(tmp_path), 0.5, 4.0).result(PATIENCE)  # type: ignore[arg-type]

    assert not alive(int((tmp_path / "pid").read_text()))


def test_closing_ends_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    started = Local().start(workers=1, devices=["cpu"])
    runs = started.submit(jobs.hangs, str(tmp_path), 1.0, PATIENCE)
    waits = started.submit(jobs.returns, "0", 1.0, PATIENCE)
    while not (tmp_path / "pid").is_file():
        time.sleep(0.05)
    started.close()

    assert isinstance(runs.exception(PATIENCE), ProcessLookupError)
    assert waits.cancelled()
    assert not alive(int((tmp_path / "pid").read_text()))


RUNNER = """
import sys
sys.path.insert(0, sys.argv[2])
import jobs
from medbench_plugins.executors import Processes
if __name__ == "__main__":
    Processes(1, ["cpu"], ()).submit(jobs.holds_the_lock, sys.argv[1], 1.0, 600.0).result()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal for a closed pipe is Linux's")
def test_a_job_that_holds_pythons_lock_ends_with_its_runner(tmp_path: Path) -> None:
    (tmp_path / "runner.py").write_text(RUNNER)
    run = [sys.executable, str(tmp_path / "runner.py"), str(tmp_path), str(Path(jobs.__file__).parent)]
    with subprocess.Popen(run) as runner:
        deadline = time.monotonic() + PATIENCE
        while not (tmp_path / "ready").is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        runner.kill()
    worker = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + PATIENCE
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not alive(worker)


def test_the_server_that_jobs_are_forked_from_has_no_thread_but_its_own(two: medbench.Jobs, tmp_path: Path) -> None:
    """A thread that holds a lock while a job is forked leaves it shut in the job for ever."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted in /proc")
    two.submit(jobs.counts_threads_of_its_server, str(tmp_path), 0.5, PATIENCE).result()

    assert len((tmp_path / "threads").read_text().splitlines()) == 1


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
