"""Jobs in processes of their own: what each may do to itself, and to nobody else."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

import jobs
import medbench
from medbench_plugins.executors import Local
from medbench_plugins.executors.free_devices import FreeDevices, Turn
from medbench_plugins.executors.worker import CONTEXT_BYTES, cap_memory

PATIENCE = 100.0


@pytest.fixture(scope="module")
def two() -> Iterator[medbench.Jobs]:
    started = Local().start(workers=2, devices=["cpu", "elsewhere"])
    yield started
    started.close()


def test_a_job_gives_its_exit_status(two: medbench.Jobs, tmp_path: Path) -> None:
    assert [two.submit(jobs.returns, str(s), 0.5, PATIENCE).result() for s in (0, 7)] == [0, 7]


def test_devices_are_given_to_whoever_is_free(two: medbench.Jobs, tmp_path: Path) -> None:
    """One long job on the first device: all others go to the second, one after the other."""
    long = two.submit(jobs.waits_for_a_file, str(tmp_path / "long"), 1.0, PATIENCE)
    others = [two.submit(jobs.notes_its_place, str(tmp_path / str(i)), 1.0, PATIENCE) for i in range(4)]
    assert [job.result(PATIENCE) for job in others] == [0] * 4
    assert not long.done()
    (tmp_path / "go").touch()
    assert long.result(PATIENCE) == 0

    assert (tmp_path / "long.device").read_text() == "cpu"
    assert {(tmp_path / f"{i}.device").read_text() for i in range(4)} == {"elsewhere"}


def test_a_device_that_a_job_died_on_is_free_again(two: medbench.Jobs, tmp_path: Path) -> None:
    for job in (jobs.is_killed, jobs.hangs, jobs.exits):
        both = [two.submit(job, str(tmp_path), 1.0, 1.0) for _ in range(2)]
        assert all(isinstance(f.exception(PATIENCE), ProcessLookupError | TimeoutError) for f in both)
    assert two.submit(jobs.returns, "0", 1.0, PATIENCE).result(PATIENCE) == 0


def place(free: FreeDevices, share: float) -> tuple[Turn, str]:
    turn = free.ask(share)
    return turn, free.wait(turn)


def test_a_share_is_a_part_of_a_device_and_the_freest_is_given() -> None:
    free = FreeDevices(["a", "b"])
    placed = [place(free, 0.5) for _ in range(4)]
    assert [device for _, device in placed] == ["a", "b", "a", "b"]
    free.give_back(*placed[3])
    assert place(free, 0.5)[1] == "b"


def test_a_job_that_needs_more_room_gets_a_device_that_is_emptied_for_it() -> None:
    """Smaller jobs that asked later go past it to the other device only."""
    free = FreeDevices(["a", "b"])
    placed = [place(free, 0.5) for _ in range(4)]
    wide, small = free.ask(1.0), free.ask(0.5)
    answers: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: answers.put("wide " + free.wait(wide)), daemon=True).start()
    threading.Thread(target=lambda: answers.put("small " + free.wait(small)), daemon=True).start()
    free.give_back(*placed[1])  # half of b: kept for the wide one
    free.give_back(*placed[0])  # half of a: now this one is kept, and the small job may have the other
    assert answers.get(timeout=PATIENCE) == "small b"
    assert answers.empty()
    free.give_back(*placed[2])
    assert answers.get(timeout=PATIENCE) == "wide a"


def test_a_worker_is_held_to_its_share_of_the_memory_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[float, str]] = []
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (0, 60 * CONTEXT_BYTES))
    monkeypatch.setattr(
        "torch.cuda.set_per_process_memory_fraction", lambda part, device: set_to.append((part, device))
    )
    for device, share in (("cpu", 0.5), ("cuda:0", 1.0), ("cuda:1", 0.5), ("cuda:1", 1 / 60)):
        cap_memory(device, share)

    assert set_to == [
        (1.0, "cuda:0"),
        (pytest.approx(0.5 - 1 / 60), "cuda:1"),
        (pytest.approx(1 / 120), "cuda:1"),
    ]


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
