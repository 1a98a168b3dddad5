"""Jobs of a run that have not ended: shared by what submits them and by what asks after them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path

import medbench
from medbench_plugins.executors.far_jobs import Board
from medbench_plugins.executors.slurm_programs import cancel

CLOSING_SECONDS = 20.0
"""How long a submission in flight is waited for, and scancel, where all is to end."""


@dataclass
class Job:
    """A job that has not ended.

    Attributes:
        number: Among those of its run.
        factor: Times the memory of a job that it gets.
        future: Of its exit status.
        folder: It works in.
        board: Where it tells how it ended.
        limit_s: Wall-clock limit in seconds.
        id: What SLURM calls it, "17_0"; "" until it is submitted.
        output: What it, and SLURM about it, wrote before it had a log.
        looks: How often SLURM said that it ended, or nothing, and it left nothing either.
        silent_since: When SLURM was first found to say nothing of it.
    """

    number: int
    factor: float
    future: Future[int]
    folder: Path
    board: Board
    limit_s: float
    id: str = ""
    output: Path | None = None
    looks: int = 0
    silent_since: float | None = None

    @property
    def array(self) -> str:
        """Number of its array."""
        return self.id.partition("_")[0]

    def settle(self, how: int | BaseException) -> None:
        """Give its future a result, unless it has one."""
        with contextlib.suppress(InvalidStateError):
            if isinstance(how, BaseException):
                self.future.set_exception(how)
            else:
                self.future.set_result(how)


@dataclass
class OpenJobs:
    """The jobs of a run that have not ended.

    Attributes:
        beat_s: Seconds from one beat to the next.
        notes: See :class:`medbench.Jobs`.
        board: Of the run, from its first job on.
        over: Set once all is to end.
        given_up: What every further job raises.
    """

    beat_s: float
    notes: list[str] = field(default_factory=list)
    board: Board | None = None
    over: threading.Event = field(default_factory=threading.Event)
    given_up: BaseException | None = None
    _jobs: dict[int, Job] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _beat_at: float = 0.0

    def add(self, job: Job) -> None:
        """Take a job in, or end it at once where the run was given up."""
        with self._lock:
            if self.given_up is None:
                self._jobs[job.number] = job
                return
        job.settle(self.given_up)

    def all(self) -> list[Job]:
        """Return them as they are now."""
        with self._lock:
            return list(self._jobs.values())

    def end(self, job: Job, how: int | BaseException) -> None:
        """End one."""
        with self._lock:
            self._jobs.pop(job.number, None)
        job.settle(how)

    def end_all(self, how: BaseException) -> None:
        """End all."""
        with self._lock:
            left = list(self._jobs.values())
            self._jobs.clear()
        for job in left:
            job.settle(how)

    def give_up(self, why: str) -> None:
        """End the run: every job, and every further one, raises one sentence."""
        self.cancel_all()
        with self._lock:
            self.given_up = medbench.ResourceError(
                f"--executor slurm: {why}. What was finished is stored; the same command goes on from there."
            )
        self.end_all(self.given_up)

    def cancel_all(self, but: Collection[str] = ()) -> set[str]:
        """Cancel all arrays that have jobs left, and return them; say which could not be."""
        arrays = {job.array for job in self.all() if job.id} - {*but}
        if arrays and (why := cancel(sorted(arrays), CLOSING_SECONDS)):
            self.say_left(sorted(arrays), why)
        return arrays

    def say_left(self, words: Sequence[str], why: str) -> None:
        """Say which jobs could not be cancelled."""
        self.notes.append(f"jobs may be left in the queue ({why}); cancel them by hand: scancel {' '.join(words)}")

    def beat(self) -> None:
        """Tell the jobs that we live, also while a program keeps us waiting."""
        if self.board is not None and time.monotonic() >= self._beat_at and not self.over.is_set():
            self._beat_at = time.monotonic() + self.beat_s
            self.board.beat()
