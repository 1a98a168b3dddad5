"""Jobs of a cluster, on one that is none: tests/toys/fake_slurm."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

import jobs
import medbench
from medbench.testing import check_executor
from medbench_plugins.executors.slurm import Slurm

FAKE = Path(__file__).parents[1] / "toys" / "fake_slurm" / "slurm.py"
PATIENCE = 120.0
QUICK = Slurm(poll_s=0.2, patience_s=6.0, memory_gb=2.0, options="--partition=toys")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the fake cluster keeps what it knows."""
    programs, place = tmp_path / "programs", tmp_path / "cluster"
    programs.mkdir()
    place.mkdir()
    for name in ("sbatch", "sacct", "scancel"):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -S {FAKE} {name} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(place))
    return place


@pytest.fixture
def four(cluster: Path) -> Iterator[medbench.Jobs]:
    started = QUICK.start(workers=4, devices=["cpu"])
    yield started
    started.close()


Submit = Callable[..., "Future[int]"]


@pytest.fixture
def submit(four: medbench.Jobs, tmp_path: Path) -> Submit:
    def call(job: Callable[[str, str], int], name: str, share: float = 0.25, limit_s: float = PATIENCE) -> Future[int]:
        (tmp_path / "jobs" / name).mkdir(parents=True, exist_ok=True)
        return four.submit(job, str(tmp_path / "jobs" / name), share, limit_s)

    return call


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not file.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_what_waits_goes_into_one_array_and_is_asked_after_together(submit: Submit, cluster: Path) -> None:
    running = [submit(jobs.returns, str(status)) for status in (0, 7, 3)]
    assert [future.exception(PATIENCE) for future in running] == [None] * 3
    (call,) = [json.loads(line) for line in (cluster / "calls").read_text().splitlines()]

    assert {"--array=0-2", "--no-requeue", "--partition=toys", "--mem=2048M", "--time=3"} <= set(call)
    assert [future.result() for future in running] == [0, 7, 3]
    assert all("-j 1 " in line for line in (cluster / "asked").read_text().splitlines())


def test_one_that_ran_out_of_memory_gets_twice_as_much(submit: Submit, cluster: Path, tmp_path: Path) -> None:
    first = submit(jobs.hangs, "big")
    wait_for(tmp_path / "jobs" / "big" / "pid")
    (cluster / "say-1_0").write_text("OUT_OF_MEMORY")
    assert first.result(PATIENCE) == 6
    assert json.loads((tmp_path / "jobs" / "big" / "failure.json").read_text())["kind"] == "memory"
    assert submit(jobs.returns, "0", share=0.5).result(PATIENCE) == 0

    assert "--mem=4096M" in (cluster / "calls").read_text()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("TIMEOUT", TimeoutError),
        ("NODE_FAIL", medbench.JobLost),
        ("PREEMPTED", medbench.JobLost),
        ("CANCELLED by 1000", medbench.JobLost),
    ],
)
def test_what_slurm_says_becomes_what_the_core_knows(
    submit: Submit, cluster: Path, tmp_path: Path, state: str, error: type[Exception]
) -> None:
    running = submit(jobs.hangs, "one")
    wait_for(tmp_path / "jobs" / "one" / "pid")
    (cluster / "say-1_0").write_text(state)

    with pytest.raises(error):
        running.result(PATIENCE)


def test_what_sbatch_refuses_is_said(submit: Submit, cluster: Path) -> None:
    (cluster / "refuse").touch()
    with pytest.raises(medbench.ResourceError, match=r"could not be submitted: sbatch: error: invalid partition"):
        submit(jobs.returns, "0").result(PATIENCE)


def test_jobs_end_with_their_runner(cluster: Path, tmp_path: Path) -> None:
    """One that closes cancels them; for one that was killed, whose heart does not beat, they end themselves."""
    started = QUICK.start(workers=4, devices=["cpu"])
    pids = []
    for name, end in (("closed", "close"), ("killed", "")):
        (tmp_path / "jobs" / name).mkdir(parents=True)
        started.submit(jobs.hangs, str(tmp_path / "jobs" / name), 0.25, PATIENCE)
        wait_for(tmp_path / "jobs" / name / "pid")
        pids.append(int((tmp_path / "jobs" / name / "pid").read_text()))
        if end:
            started.close()
            started = QUICK.start(workers=4, devices=["cpu"])
        else:
            started._open.over.set()  # its thread ends, and with it the beats
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_it_keeps_the_contract_of_executors(cluster: Path, tmp_path: Path) -> None:
    check_executor(QUICK, tmp_path / "checks")


def test_without_sbatch_it_says_where_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(medbench.ResourceError, match="where jobs are submitted"):
        Slurm().start(workers=1, devices=["cpu"])
