"""A cluster that does not answer, forgets, refuses or is left by Ctrl-C: programs of a few lines that do so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jobs
import medbench
from medbench_plugins.executors import (
    slurm_endings,
    slurm_options,
    slurm_programs,
    slurm_states,
    slurm_submission,
)
from medbench_plugins.executors.far_jobs import LATE
from medbench_plugins.executors.slurm import Slurm
from scripted_slurm import LIMIT_S, PATIENCE, QUICK, Cluster, Start, error_of

NO_CONTROLLER = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C ends tests and what they start, also where a shell began them in its background and had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("line", "tasks"),
    [
        ("1_[0-2]|CANCELLED by 0|0:0", "0 1 2"),
        ("1_[0-2,5%4]|CANCELLED by 0|0:0", "0 1 2 5"),
        ("1_[1,4-8:2]|CANCELLED by 0|0:0", "1 4 6 8"),
        ("1_[0,...]|CANCELLED by 0|0:0", "0 1 2 99"),
        ("1_7|CANCELLED+|0:0", "7"),
        ("1|CANCELLED|0:0", "0 9"),
    ],
)
def test_tasks_in_one_line_are_told_apart(line: str, tasks: str) -> None:
    states = slurm_states.read_states(f"{line}\n1_3|RUNNING|0:0\nno line\n")

    assert {states.find(f"1_{task}") for task in tasks.split()} == {("CANCELLED", "0:0", "", "")}
    assert states.find("1_3") == ("RUNNING", "0:0", "", "")
    assert states.find("2_0") == ("", "", "", "")


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("17\n", "17"),
        ("17;toys\n", "17"),
        ("Submitted batch job 17\n", "17"),
        ("Welcome to node 4\nSubmitted batch job 17 on cluster toys\n", "17"),
        ("queued\n", ""),
        ("", ""),
    ],
)
def test_the_number_of_a_job_is_found(answer: str, number: str) -> None:
    assert slurm_programs.number_of(answer) == number


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ("--time=5", 300.0),
        ("-t 5:30", 330.0),
        ("-t1:00:00", 3600.0),
        ("--time 1-2", 93600.0),
        ("--time=1-0:30", 88200.0),
        ("--time=60 --time-min=10", 600.0),
        ("--time=9 --time=5", 300.0),
    ],
)
def test_the_time_of_options_is_read(options: str, seconds: float) -> None:
    found = slurm_options.shortest_time(options.split())

    assert found is not None
    assert found[0] == seconds
    assert slurm_options.shortest_time(["--partition=t", "--time=UNLIMITED"]) is None


def test_an_array_that_was_cancelled_before_it_began_is_lost(cluster: Cluster, start: Start) -> None:
    cluster.say(sacct='echo "1_[0-2]|CANCELLED by 0|0:0"')
    _, futures = start(count=3)

    assert {error_of(future) for future in futures} == {"SLURM ended it: CANCELLED"}
    assert {type(future.exception()) for future in futures} == {medbench.JobLost}


@pytest.mark.parametrize("queue", [None, "echo slurm_load_jobs error: Invalid job id specified >&2; exit 1", "true"])
def test_a_job_that_slurm_has_forgotten_is_lost(cluster: Cluster, start: Start, queue: str | None) -> None:
    cluster.say(sacct="true", **({} if queue is None else {"squeue": queue}))
    _, (future,) = start()

    assert error_of(future) == "SLURM does not know it any more, and it left no result"
    assert "1_0" in cluster.calls("scancel")


def test_a_job_that_only_the_queue_knows_is_waited_for(
    cluster: Cluster, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_endings, "SILENT_POLLS", 3)
    cluster.say(sacct="true", squeue='echo "1_0|PENDING|"')
    _, (future,) = start()
    cluster.wait_for("squeue", 3)

    assert not future.done()


def test_where_sacct_fails_the_queue_is_asked(cluster: Cluster, start: Start) -> None:
    cluster.say(sacct="exit 1", squeue='echo "1_0|NODE_FAIL|"')
    _, (future,) = start()

    assert error_of(future) == "SLURM ended it: NODE_FAIL"


def test_that_nobody_answers_is_said_once(cluster: Cluster, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_states, "SILENT_POLLS", 3)
    cluster.say(sacct="exit 1", squeue="exit 1")
    made, (future,) = start()
    cluster.wait_for("squeue", 20)

    assert made.notes == ["neither sacct nor squeue has answered for 0.06 s; they are asked on"]
    assert not future.done()


def test_closing_cancels_at_once_though_sacct_is_slow(cluster: Cluster, start: Start) -> None:
    cluster.say(sacct="sleep 25")
    made, (future,) = start()
    cluster.wait_for("sacct")
    began = time.monotonic()
    made.close()

    assert time.monotonic() - began < 10
    assert cluster.calls("scancel") == ["1"]
    assert error_of(future) == "it was cancelled"
    assert made.notes == []


@pytest.mark.parametrize("first", [True, False])
def test_ctrl_c_while_it_closes_prevents_nothing(cluster: Cluster, start: Start, tmp_path: Path, first: bool) -> None:
    """One that is the second is dropped, the first is on its way up; one that is the first is raised afterwards."""
    cluster.say(scancel="while ! test -f pressed; do sleep 0.02; done; touch cancelled")
    made, _ = start()
    cluster.wait_for("sacct")

    def press() -> None:
        cluster.wait_for("scancel")
        os.kill(os.getpid(), signal.SIGINT)
        (cluster.place / "pressed").touch()

    presses = threading.Thread(target=press)
    presses.start()
    if first:
        with pytest.raises(KeyboardInterrupt):
            made.close()
    else:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            made.close()
    presses.join()

    assert (cluster.place / "cancelled").is_file()
    assert not list((tmp_path / "jobs").glob("slurm_*"))


def test_what_is_being_submitted_is_cancelled_too(cluster: Cluster, start: Start) -> None:
    cluster.say(sbatch="sleep 0.5; echo 7")
    made, _ = start()
    cluster.wait_for("sbatch")
    made.close()

    assert cluster.calls("scancel") == ["7"]


def test_what_hangs_while_it_is_submitted_is_cancelled_by_its_name(
    cluster: Cluster, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_submission, "CLOSING_SECONDS", 0.3)
    cluster.say(sbatch="sleep 30")
    made, _ = start()
    cluster.wait_for("sbatch")
    made.close()
    (name,) = [word for word in cluster.calls("sbatch")[0].split() if word.startswith("--job-name=")]

    assert cluster.calls("scancel") == [name.replace("--job-name=", "--name=")]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo scancel: error: no controller >&2; exit 1", "scancel ended with 1: scancel: error: no controller"),
        ("echo scancel: error: Kill job error on job id 1: Invalid job id specified >&2; exit 1", ""),
    ],
)
def test_what_could_not_be_cancelled_is_said(cluster: Cluster, start: Start, script: str, said: str) -> None:
    cluster.say(scancel=script)
    made, _ = start()
    cluster.wait_for("sacct")
    made.close()

    assert made.notes == ([f"jobs may be left in the queue ({said}); cancel them by hand: scancel 1"] if said else [])


@pytest.mark.slow
def test_ctrl_c_twice_leaves_nothing_in_the_queue(cluster: Cluster, tmp_path: Path) -> None:
    cluster.say(sacct="sleep 25", scancel="sleep 0.5; touch cancelled")
    run = subprocess.Popen(
        [sys.executable, "-m", "medbench", "run", "-a", "none", "--folds", "2", "--repeats", "1", "--no-controls",
         "--no-companions", "--no-yardsticks", "--budget", "steps=2,batch=4,size=16", "--results", "runs",
         "--executor", "slurm[poll_s=0.2]"],
        cwd=tmp_path, env={**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache")}, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    cluster.wait_for("sacct")
    os.killpg(run.pid, signal.SIGINT)
    cluster.wait_for("scancel")
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=PATIENCE)[1]

    assert run.returncode == 130, said
    assert "Interrupted" in said
    assert (cluster.place / "cancelled").is_file()
    assert not list((tmp_path / "runs" / ".jobs").iterdir())


def test_an_outage_is_waited_out(cluster: Cluster, start: Start) -> None:
    cluster.say(sbatch=f'test $(wc -l < sbatch) -gt 3 && echo 1 || {{ echo "{NO_CONTROLLER}" >&2; exit 1; }}')
    began = time.monotonic()
    made, (future,) = start()
    cluster.wait_for("sacct")

    assert len(cluster.calls("sbatch")) == 4
    assert time.monotonic() - began >= (1 + 2 + 4) * QUICK.poll_s
    assert made.notes == [
        f"jobs could not be submitted: {NO_CONTROLLER}; they are tried again",
        "jobs are submitted again, after 3 tries that failed",
    ]
    assert all(line.startswith("--name=medbench-") for line in cluster.calls("scancel"))
    assert not future.done()


def test_an_outage_without_an_end_ends_the_run(cluster: Cluster, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_submission, "TRIES", 3)
    cluster.say(sbatch=f'echo "{NO_CONTROLLER}" >&2; exit 1')
    made, futures = start(count=3)

    assert {error_of(future) for future in futures} == {
        f"--executor slurm: jobs could not be submitted in 3 tries: {NO_CONTROLLER}. What was finished is stored; the "
        "same command goes on from there."
    }
    assert isinstance(futures[0].exception(), medbench.ResourceError)
    assert made.submit(jobs.returns, "0", 0.25, LIMIT_S).exception(PATIENCE) is futures[0].exception()


def test_a_refusal_is_no_outage(cluster: Cluster, start: Start) -> None:
    cluster.say(sbatch="echo sbatch: error: invalid partition specified: gup >&2; exit 1")
    _, (future,) = start()

    assert "could not be submitted: sbatch: error: invalid partition specified: gup" in error_of(future)
    assert len(cluster.calls("sbatch")) == 1


def test_what_sbatch_says_without_parsable_is_understood(cluster: Cluster, start: Start) -> None:
    cluster.say(sbatch="echo Submitted batch job 17", sacct='echo "17_0|NODE_FAIL|0:0"')
    _, (future,) = start()

    assert error_of(future) == "SLURM ended it: NODE_FAIL"


def test_an_answer_without_a_number_is_said_and_nothing_submitted_again(cluster: Cluster, start: Start) -> None:
    cluster.say(sbatch="echo queued")
    _, (future,) = start()

    assert "sbatch said 'queued', which has no number of a job" in error_of(future)
    assert len(cluster.calls("sbatch")) == 1
    assert cluster.calls("scancel")[0].startswith("--name=medbench-")


@pytest.mark.parametrize(
    ("recipe", "asked", "said"),
    [
        (
            Slurm(poll_s=0.02, memory_gb=2),
            {"--mem=4096M"},
            "with twice the memory, --mem=4096M in place of --mem=2048M",
        ),
        (
            Slurm(poll_s=0.02, options="--mem-per-cpu 1G"),
            {"--mem-per-cpu", "1G", "--mem-per-cpu=2048M"},
            "with twice the memory, --mem-per-cpu=2048M in place of --mem-per-cpu=1024M",
        ),
        (
            Slurm(poll_s=0.02),
            set(),
            "with the same request: slurm has no memory_gb that could be doubled, so the cluster says how much it is",
        ),
    ],
)
@pytest.mark.parametrize("workers", [1, 64])
def test_twice_the_memory_is_asked_for_and_said(
    cluster: Cluster, start: Start, recipe: Slurm, asked: set[str], said: str, workers: int
) -> None:
    start(recipe, workers=workers, share=2 / workers)
    cluster.wait_for("sacct")
    words = cluster.calls("sbatch")[0].split()

    assert {word for word in words if word.startswith("--mem") or word == "1G"} == asked
    assert recipe.more_memory() == said


def test_more_memory_than_there_is_fails_the_job_alone(cluster: Cluster, start: Start, tmp_path: Path) -> None:
    cluster.say(sbatch="echo sbatch: error: Memory specification can not be satisfied >&2; exit 1")
    _, (future,) = start(Slurm(poll_s=0.02, memory_gb=2), workers=1, share=2.0)

    assert future.result(PATIENCE) == 6
    failure = json.loads((tmp_path / "jobs" / "0" / "failure.json").read_text())
    assert failure["kind"] == "memory"
    assert "twice as much could not be asked for: sbatch: error: Memory" in failure["message"]


@pytest.mark.parametrize(
    ("options", "state", "error", "said"),
    [
        ("", "TIMEOUT", TimeoutError, ""),
        ("--time=1-0", "TIMEOUT", TimeoutError, ""),
        ("--time=5", "TIMEOUT", medbench.JobLost,
         "SLURM ended it at the limit --time=5 of options (TIMEOUT), before --limit 7200 s was over; raise the one or "
         "lower the other"),
        ("--deadline=noon", "DEADLINE", medbench.JobLost,
         "SLURM ended it at a deadline (DEADLINE), before --limit 7200 s was over; raise the one or lower the other"),
    ],
)  # fmt: skip
def test_whose_limit_it_was_is_said(
    cluster: Cluster, start: Start, options: str, state: str, error: type[Exception], said: str
) -> None:
    cluster.say(sacct=f'echo "1_0|{state}|0:0"')
    _, (future,) = start(Slurm(poll_s=0.02, options=options))

    assert error_of(future) == said
    raised = future.exception()
    assert type(raised) is error
    assert not isinstance(raised, medbench.JobLost) or raised.kind == "resources"


def test_a_job_that_ended_itself_at_its_limit_ran_past_that(cluster: Cluster, start: Start, tmp_path: Path) -> None:
    cluster.say(sacct='sleep 0.2; echo "1_0|RUNNING|0:0"')
    _, (future,) = start(Slurm(poll_s=0.02, options="--time=5"))
    cluster.wait_for("sacct")
    (board,) = (tmp_path / "jobs").glob("slurm_*")
    (board / "1.ended").write_text(json.dumps(LATE))

    assert type(future.exception(PATIENCE)) is TimeoutError


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"options": "--comment='one"}, "No closing quotation"),
        ({"options": "--mem=4G", "memory_gb": 2.0}, "leave one out"),
        ({"memory_gb": -1.0}, "memory_gb is -1"),
        ({"cores": 0}, "cores is 0"),
        ({"poll_s": 0.0}, "poll_s is 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(medbench.UsageError, match=said):
        Slurm(**parameters)


def test_a_fault_of_its_own_leaves_nobody_waiting(
    cluster: Cluster, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_states, "read_states", lambda text: 1 / 0)
    _, (future,) = start()

    assert "can no longer be followed (ZeroDivisionError: division by zero)" in error_of(future)
