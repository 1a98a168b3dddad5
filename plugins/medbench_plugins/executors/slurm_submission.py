"""Submitting jobs to SLURM: as arrays of what waits, and what becomes of those that sbatch refuses."""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medbench_plugins.executors.far_jobs import note_out_of_memory
from medbench_plugins.executors.slurm_limits import ARRAY_LIMIT, NEVER, Room, explain, is_submit_limit
from medbench_plugins.executors.slurm_open_jobs import CLOSING_SECONDS, Job, OpenJobs
from medbench_plugins.executors.slurm_programs import ask, cancel, complaint, last_line, number_of
from medbench_plugins.executors.slurm_states import Inquiry

if TYPE_CHECKING:
    from medbench_plugins.executors.slurm import Slurm

SUBMITTING_SECONDS = 60.0
TRIES = 8
"""How often in a row a submission may fail while no job runs, before the run is given up."""
TRIES_BESIDE = 20
"""The same while jobs wait or run in the queue, before nothing more is submitted."""
LONGEST_PAUSE = 60
"""Most times `poll_s` between two such tries; the first is one, each further one twice the one before."""
ROOM_POLLS = 6
"""After so many times `poll_s`, as many jobs are tried again as were taken before."""
DEAF_POLLS = 120
"""After so many times `poll_s` without an answer of SLURM, a run that ends waits for no job that has not begun."""

REFUSED = "jobs could not be submitted"


@dataclass
class Submission:
    """Submits jobs.

    Attributes:
        slurm: What to ask for.
        jobs: Of the run.
        inquiry: What asks after them.
        variables: Environment variables that each job begins with.
    """

    slurm: Slurm
    jobs: OpenJobs
    inquiry: Inquiry
    variables: Mapping[str, str]
    _refusals: int = 0
    _next_try: float = 0.0
    _stopped: str = ""
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._room = Room(ROOM_POLLS * self.slurm.poll_s, LONGEST_PAUSE * self.slurm.poll_s)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit jobs that are alike as arrays, unless it is to be waited for the next try."""
        waiting = jobs if time.monotonic() >= self._next_try and not self._stopped else []
        for group in sorted({(job.factor, job.limit_s) for job in waiting}):
            alike = [job for job in waiting if (job.factor, job.limit_s) == group]
            while alike:
                count = self._room.fits(len(alike), len(self._queued()))
                if count == 0 or self.jobs.over.is_set() or not self._send(alike[:count]):
                    return
                alike = [job for job in alike if not job.id and not job.future.done()]

    def end_if_idle(self) -> None:
        """Give the run up once nothing more is submitted and no job of it is left that may yet end."""
        if self._stopped and self.jobs.given_up is None and not any(self._may_end(job) for job in self._queued()):
            self.jobs.give_up(self._stopped)

    def refuse(self, jobs: Sequence[Job], why: str) -> None:
        """Take jobs back that SLURM accepted and would never begin, like those that sbatch refuses for good."""
        words = [job.id for job in jobs]
        if failed := cancel(words, CLOSING_SECONDS):
            self.jobs.say_left(words, failed)
        for job in jobs:
            job.id = ""
        for wide in (True, False):
            if alike := [job for job in jobs if (job.factor > 1) == wide]:
                self._refuse_for_good(alike, "jobs would never begin", explain(why))

    def _queued(self) -> list[Job]:
        return [job for job in self.jobs.all() if job.id]

    def _may_end(self, job: Job) -> bool:
        """Say whether a job is worth waiting for: one that has begun ends by itself, whether or not SLURM answers."""
        deaf_since = self.inquiry.deaf_since
        if deaf_since is None:
            return True
        bound = job.limit_s + self.slurm.patience_s if job.board.began(job.number) else 0.0
        return time.monotonic() - deaf_since < max(bound, DEAF_POLLS * self.slurm.poll_s)

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self.jobs.notes.append(sentence)

    def _send(self, jobs: list[Job]) -> bool:
        """Submit jobs as one array; return False where nothing more is to be tried now."""
        name = f"medbench-{jobs[0].board.folder.name[-6:]}-{jobs[0].number}"
        said = self._call_sbatch(jobs, name)
        if said.returncode == 0 and (number := number_of(said.stdout)):
            for place, job in enumerate(jobs):
                job.id = f"{number}_{place}"
                job.output = jobs[0].board.folder / f"{jobs[0].number}-{place}.out"
            self._room.take(len(self._queued()))
            if self._refusals > 1:
                self.jobs.notes.append(f"jobs are submitted again, after {self._refusals} tries that failed")
            self._refusals, self._next_try = 0, 0.0
            return True
        why = complaint(said.stderr)
        if said.returncode != 0 and (more := self._shorten(jobs, why)) is not None:
            return more
        never = said.returncode != 0 and NEVER.search(said.stderr) is not None
        if not never:  # it may be in the queue all the same, and no second one may be put beside it
            cancel([f"--name={name}"], CLOSING_SECONDS)
        if self.jobs.over.is_set():
            return False
        if said.returncode == 0:
            self.jobs.give_up(
                f"sbatch said {last_line(said.stdout)!r}, which has no number of a job; nothing more is submitted, and "
                f"jobs named {name} were cancelled"
            )
            return False
        if never:
            return self._refuse_for_good(jobs, REFUSED, explain(why))
        self._try_later(explain(why))
        return False

    def _call_sbatch(self, jobs: list[Job], name: str) -> subprocess.CompletedProcess[str]:
        try:
            return ask(*self._sbatch(jobs, name), seconds=SUBMITTING_SECONDS, over=self.jobs.over,
                       grace_s=CLOSING_SECONDS, meanwhile=self.jobs.beat)  # fmt: skip
        except subprocess.TimeoutExpired as error:
            said = f" ({last_line(str(error.stderr))})" if error.stderr else ""
            why = f"sbatch has not answered for {SUBMITTING_SECONDS:g} s{said}"
        except OSError as error:
            why = f"sbatch: {error.strerror or error}"
        return subprocess.CompletedProcess((), 1, "", why)

    def _shorten(self, jobs: list[Job], why: str) -> bool | None:
        """Return whether a shorter array is to be tried at once; None where that would not help."""
        queued = len(self._queued())
        if ARRAY_LIMIT.search(why):
            if self._room.is_too_long(len(jobs)):
                return self._refuse_for_good(jobs, REFUSED, explain(why))
            self._say_once("the cluster takes no array of so many jobs (MaxArraySize); shorter ones are submitted")
            return True
        if not is_submit_limit(why):
            return None
        if not self._room.is_full(len(jobs), queued):
            return True
        if queued == 0:
            return None  # all room is taken by jobs of others
        self._say_once(
            f"no more jobs of this run may wait or run at a time (MaxSubmitJobs of the QOS or account; {why}); the "
            "others wait here until some have ended"
        )
        return False

    def _sbatch(self, jobs: list[Job], name: str) -> list[str]:
        """Return the command that submits jobs as one array."""
        first, board = jobs[0], jobs[0].board
        numbers = board.folder / f"{first.number}.array"
        numbers.write_text("".join(f"{job.number}\n" for job in jobs))
        module = "medbench_plugins.executors.slurm_task"
        given = ["env", *(f"{name}={value}" for name, value in self.variables.items())] if self.variables else []
        words = [*given, sys.executable, "-m", module, str(board.folder), str(numbers)]
        own = self.slurm.memory_gb > 0 or first.factor > 1  # what `options` say stands until it is doubled
        return [
            "sbatch", "--parsable", "--no-requeue", f"--job-name={name}", f"--array=0-{len(jobs) - 1}",
            f"--time={math.ceil(first.limit_s / 60) + 1}", f"--cpus-per-task={self.slurm.cores}",
            f"--output={board.folder}/{first.number}-%a.out", *self.slurm.words,
            *(self.slurm.memory(first.factor) if own else []), "--wrap", "exec " + shlex.join(words),
        ]  # fmt: skip

    def _refuse_for_good(self, jobs: Sequence[Job], what: str, why: str) -> bool:
        """Fail jobs that got twice the memory, or else submit nothing more; return whether others may be sent."""
        if jobs[0].factor == 1:
            self._stop(f"{what}: {why}")
            return False
        for job in jobs:
            status = note_out_of_memory(job.folder, "SLURM", f"; twice as much could not be asked for: {why}")
            self.jobs.end(job, status)
        return True

    def _try_later(self, why: str) -> None:
        """Say that jobs could not be submitted, and wait for the next try, or submit nothing more."""
        self._refusals += 1
        if self._refusals >= (TRIES_BESIDE if self._queued() else TRIES):
            self._stop(f"jobs could not be submitted in {self._refusals} tries: {why}")
            return
        if self._refusals == 1:
            self.jobs.notes.append(f"jobs could not be submitted: {why}; they are tried again")
        pause = min(2 ** min(self._refusals - 1, 30), LONGEST_PAUSE) * self.slurm.poll_s
        self._next_try = time.monotonic() + pause

    def _stop(self, why: str) -> None:
        """Submit nothing more; the run is given up once the jobs in the queue have ended."""
        if self._stopped:
            return
        self._stopped = why
        if self._queued():
            self.jobs.notes.append(f"{why}; jobs that are in the queue are waited for, then the run ends")
