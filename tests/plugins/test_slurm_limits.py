"""Limits of a cluster, and refusals that last: named for what they are, while jobs in the queue are waited for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jobs
import medbench
from medbench_plugins.executors import slurm_limits, slurm_programs, slurm_submission
from medbench_plugins.executors.slurm import Slurm
from scripted_slurm import LIMIT_S, PATIENCE, QUICK, Cluster, Start, error_of

POLICY = (
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size "
    "and/or time limits)"
)
FULL = f'printf "sbatch: error: QOSMaxSubmitJobPerUserLimit\\n{POLICY}\\n" >&2; exit 1'
ONLY_ONE = 'test $(wc -l < sbatch) = 1 && echo 1 && exit; echo "sbatch: error: {}" >&2; exit 1'
PARTITION_GONE = "Batch job submission failed: Invalid partition name specified"
TASKS = "tasks=$(($(echo \"$@\" | sed 's/.*--array=0-\\([0-9]*\\).*/\\1/') + 1)); "


def board_of(place: Path) -> Path:
    (board,) = (place / "jobs").glob("slurm_*")
    return board


def end(place: Path, number: int) -> None:
    (board_of(place) / f"{number}.ended").write_text("0")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("PartitionTimeLimit", "more time than the partition allows (MaxTime); give a shorter --limit"),
        ("QOSMaxWallDurationPerJobLimit", "more time than its QOS or account allows (MaxWall); give a shorter --limit"),
        ("Job's account not known, so it can't use this partition (limited allows them)", "may not use the partition"),
        ("Job's QOS not permitted to use this partition (limited denies long)", "may not use the partition"),
        ("AccountNotAllowed", "may not use the partition; in options, name one that may, as --account=NAME"),
        ("AssocMaxCpuPerJobLimit", "more than its QOS or account allows one job; ask for less"),
        ("PartitionConfig", "no node of the partition has what a job asks for; ask for less"),
    ],
)
def test_jobs_that_would_wait_for_ever_are_taken_back(cluster: Cluster, start: Start, reason: str, said: str) -> None:
    cluster.say(squeue=f'echo "1_0|PENDING||2:01:00|{reason}|"')
    _, (future,) = start()

    assert f"--executor slurm: jobs would never begin: {reason}: " in error_of(future)
    assert said in error_of(future)
    assert isinstance(future.exception(), medbench.ResourceError)
    assert cluster.calls("scancel") == ["1_0"]


@pytest.mark.parametrize(
    ("reason", "notes"),
    [
        ("Priority", []),
        ("QOSMaxJobsPerUserLimit", []),
        (
            "JobHeldUser",
            ["jobs 1 wait in the queue: JobHeldUser: they begin once they are released (scontrol release)"],
        ),
    ],
)
def test_other_jobs_that_wait_are_waited_for(cluster: Cluster, start: Start, reason: str, notes: list[str]) -> None:
    cluster.say(squeue=f'echo "1_0|PENDING||2:01:00|{reason}|"')
    made, (future,) = start()
    cluster.wait_for("squeue", 3)

    assert made.notes == notes
    assert not future.done()


def test_twice_the_memory_for_which_a_job_would_wait_for_ever_fails_it_alone(
    cluster: Cluster, start: Start, tmp_path: Path
) -> None:
    cluster.say(squeue='echo "1_0|PENDING||2:01:00|QOSMaxMemoryPerJob|"')
    _, (future,) = start(Slurm(poll_s=0.02, memory_gb=2), workers=1, share=2.0)

    assert future.result(PATIENCE) == 6
    assert "twice as much could not be asked for" in (tmp_path / "jobs" / "0" / "failure.json").read_text()


@pytest.mark.parametrize(
    ("refusal", "tries", "said"),
    [
        (PARTITION_GONE, 1, f"jobs could not be submitted: sbatch: error: {PARTITION_GONE}"),
        ("no controller", 3, "jobs could not be submitted in 3 tries: sbatch: error: no controller"),
    ],
)
def test_jobs_in_the_queue_are_waited_for_where_nothing_more_is_submitted(
    cluster: Cluster, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: str, tries: int, said: str
) -> None:
    monkeypatch.setattr(slurm_submission, "TRIES_BESIDE", 3)
    cluster.say(sbatch=ONLY_ONE.format(refusal))
    made, (first,) = start()
    cluster.wait_for("sacct")
    second = made.submit(jobs.returns, str(tmp_path / "jobs" / "0"), 0.25, LIMIT_S)
    cluster.wait_for("sbatch", 1 + tries)
    asked = len(cluster.calls("sacct"))
    cluster.wait_for("sacct", asked + 3)

    assert made.notes[-1] == f"{said}; jobs that are in the queue are waited for, then the run ends"
    assert not first.done()
    assert not second.done()
    end(tmp_path, 1)
    assert first.result(PATIENCE) == 0
    assert error_of(second) == (
        f"--executor slurm: {said}. What was finished is stored; the same command goes on from there."
    )
    assert len(cluster.calls("sbatch")) == 1 + tries


def test_a_run_that_ends_waits_for_no_job_of_a_cluster_that_is_silent(
    cluster: Cluster, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_submission, "DEAF_POLLS", 5)
    cluster.say(sbatch=ONLY_ONE.format(PARTITION_GONE), sacct="exit 1", squeue="exit 1")
    made, (first,) = start()
    cluster.wait_for("sacct")
    made.submit(jobs.returns, str(tmp_path / "jobs" / "0"), 0.25, LIMIT_S)

    assert PARTITION_GONE in error_of(first)


def test_no_more_jobs_are_submitted_than_the_cluster_takes(cluster: Cluster, start: Start, tmp_path: Path) -> None:
    cluster.say(
        sbatch=f"{TASKS} test -f room || echo 3 > room; room=$(cat room); test $tasks -gt $room && {{ {FULL}; }}; "
        "echo $((room - tasks)) > room; wc -l < sbatch",
        sacct="for n in $(seq 99); do echo \"${n}_[0-9]|RUNNING|0:0\"; done",
    )  # fmt: skip
    made, futures = start(count=10)
    cluster.wait_for("sacct", 4)

    assert (cluster.place / "room").read_text() == "0\n"
    assert made.notes == [
        "no more jobs of this run may wait or run at a time (MaxSubmitJobs of the QOS or account; sbatch: error: "
        "QOSMaxSubmitJobPerUserLimit); the others wait here until some have ended"
    ]
    tries = len(cluster.calls("sbatch"))
    (cluster.place / "room").write_text("1\n")
    end(tmp_path, 1)
    cluster.wait_for("sbatch", tries + 1)
    assert futures[0].result(PATIENCE) == 0
    cluster.wait_for("sacct", len(cluster.calls("sacct")) + 2)
    assert (cluster.place / "room").read_text() == "0\n"
    assert not any(future.done() for future in futures[1:])


def test_room_that_others_take_is_named(cluster: Cluster, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_submission, "TRIES", 2)
    cluster.say(sbatch=FULL)
    _, futures = start(count=5)

    assert error_of(futures[0]) == (
        "--executor slurm: jobs could not be submitted in 2 tries: sbatch: error: QOSMaxSubmitJobPerUserLimit: the QOS "
        "or account lets no more jobs of yours wait or run at a time (MaxSubmitJobs); wait until others of yours have "
        "ended, or give another --qos in options. What was finished is stored; the same command goes on from there."
    )


def test_an_array_that_is_too_long_is_parted(cluster: Cluster, start: Start) -> None:
    too_long = "sbatch: error: Batch job submission failed: Invalid job array specification"
    cluster.say(sbatch=f'{TASKS} test $tasks -gt 4 && {{ echo "{too_long}" >&2; exit 1; }}; wc -l < sbatch')
    made, _ = start(count=10)
    cluster.wait_for("sacct")
    arrays = [word for call in cluster.calls("sbatch") for word in call.split() if word.startswith("--array=")]

    assert arrays == [f"--array=0-{last}" for last in (9, 4, 1, 1, 1, 1, 1)]
    assert made.notes == ["the cluster takes no array of so many jobs (MaxArraySize); shorter ones are submitted"]


def test_a_cluster_without_arrays_is_named(cluster: Cluster, start: Start) -> None:
    cluster.say(sbatch="echo sbatch: error: Batch job submission failed: Invalid job array specification >&2; exit 1")
    _, (future,) = start()

    assert "the cluster takes no arrays of jobs (MaxArraySize)" in error_of(future)
    assert len(cluster.calls("sbatch")) == 1


@pytest.mark.parametrize(
    ("text", "said", "never", "full"),
    [
        ("sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed: Invalid partition "
         "name specified\n", "sbatch: error: invalid partition specified: x; Batch job submission failed: Invalid "
         "partition name specified", True, False),
        ("sbatch: unrecognized option '--x=1'\nTry \"sbatch --help\" for more information\n",
         "sbatch: unrecognized option '--x=1'", True, False),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
         "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified", True,
         False),
        ("sbatch: error: Invalid --begin specification", "sbatch: error: Invalid --begin specification", True, False),
        ("sbatch: error: Batch job submission failed: Requested reservation is invalid\n",
         "sbatch: error: Batch job submission failed: Requested reservation is invalid", True, False),
        (f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{POLICY}\n", "sbatch: error: QOSMaxWallDurationPerJobLimit",
         True, False),
        (f"sbatch: error: AssocMaxSubmitJobLimit\n{POLICY}\n", "sbatch: error: AssocMaxSubmitJobLimit", False, True),
        (f"{POLICY}\n", POLICY, False, True),
        ("Welcome\nsbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
         "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", False,
         False),
        ("busy.\n", "busy", False, False),
    ],
)  # fmt: skip
def test_what_sbatch_complains_of_is_understood(text: str, said: str, never: bool, full: bool) -> None:
    """As SLURM 22.05 words it."""
    assert slurm_programs.complaint(text) == said
    assert bool(slurm_limits.NEVER.search(text)) is never
    assert slurm_limits.is_submit_limit(said) is full


@pytest.mark.parametrize(("given", "error"), [("01:00:00", medbench.JobLost), ("02:01:00", TimeoutError)])
def test_the_time_that_the_cluster_gave_a_job_is_told_from_limit(
    cluster: Cluster, start: Start, given: str, error: type[Exception]
) -> None:
    cluster.say(sacct=f'echo "1_0|TIMEOUT|0:0|{given}"')
    _, (future,) = start()

    assert error_of(future) == (
        "SLURM ended it at the time limit of 3600 s that the cluster gave it (TIMEOUT), before --limit 7200 s was "
        "over; give a shorter --limit, or a --partition or --qos in options that allows more"
        if error is medbench.JobLost
        else ""
    )
    assert type(future.exception()) is error


def test_memory_that_slurm_names_in_the_output_alone_is_memory(cluster: Cluster, start: Start, tmp_path: Path) -> None:
    cluster.say(
        sbatch="echo 'slurmstepd-vm: error: Exceeded job memory limit' > $(echo ../jobs/slurm_*)/1-0.out; echo 1",
        sacct='echo "1_0|FAILED|0:9"',
    )
    _, (future,) = start(Slurm(poll_s=0.02, memory_gb=2))

    assert future.result(PATIENCE) == 6
    assert "SLURM ended it with --mem=2048M" in json.loads(
        (tmp_path / "jobs" / "0" / "failure.json").read_text()
    )["message"]  # fmt: skip


def test_what_a_job_wrote_that_never_began_is_its_log(cluster: Cluster, start: Start, tmp_path: Path) -> None:
    said = "env: /venv/bin/python: No such file or directory\n"
    cluster.say(
        sbatch=f"echo '{said.strip()}' > $(echo ../jobs/slurm_*)/1-0.out; echo 1", sacct='echo "1_0|FAILED|127:0"'
    )
    _, (future,) = start()

    assert error_of(future) == "SLURM says FAILED 127:0"
    assert (tmp_path / "jobs" / "0" / "log.txt").read_text() == said


def test_a_cluster_without_accounts_is_said(cluster: Cluster, start: Start) -> None:
    cluster.say(
        sacct="echo Slurm accounting storage is disabled >&2; exit 1", squeue='echo "1_0|NODE_FAIL||1:00|None|"'
    )
    made, (future,) = start(QUICK)

    assert error_of(future) == "SLURM ended it: NODE_FAIL"
    assert made.notes == [
        "this cluster keeps no accounts of jobs: squeue is asked instead, which remembers for some minutes how a job "
        "ended"
    ]
