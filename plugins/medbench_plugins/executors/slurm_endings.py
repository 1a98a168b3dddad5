"""How jobs ended: by what they wrote, or by what SLURM says of those that wrote nothing."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import medbench
from medbench_plugins.executors import slurm_options
from medbench_plugins.executors.far_jobs import LATE, note_out_of_memory
from medbench_plugins.executors.slurm_limits import NEVER_BEGINS, STUCK, explain
from medbench_plugins.executors.slurm_open_jobs import CLOSING_SECONDS, Job, OpenJobs
from medbench_plugins.executors.slurm_programs import cancel
from medbench_plugins.executors.slurm_states import LIVING, SILENT_POLLS, Inquiry, State, States
from medbench_plugins.executors.slurm_submission import Submission

if TYPE_CHECKING:
    from medbench_plugins.executors.slurm import Slurm

LATE_STATES = frozenset({"TIMEOUT", "DEADLINE"})
DIED_STATES = frozenset({"COMPLETED", "FAILED"})
OUTPUT_KEPT = 4000
"""Characters of a job's output that are looked at, and kept where it has no log."""
_OUT_OF_MEMORY = re.compile(r"^slurmstepd.*(memory limit|oom.kill)", re.IGNORECASE | re.MULTILINE)
"""Without control groups, SLURM calls a job FAILED that it ended for its memory, and writes why into its output."""
LOOKS = 3
"""How often a job that SLURM calls ended is looked at, before its status is held for lost: files arrive late."""
REASON_POLLS = 12
"""How many times `poll_s` pass from one question why jobs wait to the next."""
DEAF_POLLS = 5 * SILENT_POLLS
"""How many times `poll_s` a job may be unknown to sacct, where squeue, which is asked as well then, does not answer."""


@dataclass
class Endings:
    """Ends jobs as they ended on the cluster.

    Attributes:
        slurm: What was asked for.
        jobs: Of the run.
        inquiry: What asks after them.
        submission: Takes jobs back that would never begin.
    """

    slurm: Slurm
    jobs: OpenJobs
    inquiry: Inquiry
    submission: Submission
    _reasons_at: float | None = None
    _never: set[int] = field(default_factory=set)
    _said: set[str] = field(default_factory=set)

    def look(self, jobs: Sequence[Job]) -> None:
        """See which jobs have ended: by what they wrote, or by what SLURM says of the others, asked once for all."""
        left = []
        for job in jobs:
            status = job.board.ended(job.number)
            if status is None:
                left.append(job)
            else:
                self.jobs.end(job, TimeoutError() if status == LATE else int(status))
        states = self.inquiry.of(left) if left else None
        if states is None:
            return
        silent = []
        for job in left:
            state = states.find(job.id)
            if not state.name:
                silent.append(job)
                continue
            job.silent_since = None
            if state.name not in LIVING:
                self._judge(job, state)
        self._doubt(silent)
        self._look_at_waiting([job for job in left if states.find(job.id).name == "PENDING"], states)

    def _look_at_waiting(self, jobs: Sequence[Job], states: States) -> None:
        """Take back jobs that twice were said to wait for what never comes; say other odd reasons once."""
        now = time.monotonic()
        if not jobs or (self.inquiry.has_accounts and not self.inquiry.has_queue):
            return
        if self._reasons_at is None:
            self._reasons_at = now + 2 * self.slurm.poll_s  # until its first round, SLURM gives none
        if now < self._reasons_at:
            return
        found = self.inquiry.of_queue(jobs) if self.inquiry.has_accounts else states
        reasons = {job.number: found.find(job.id).reason for job in jobs} if found is not None else {}
        never = [job for job in jobs if NEVER_BEGINS.search(reasons.get(job.number, ""))]
        sure = [job for job in never if job.number in self._never]
        self._never = {job.number for job in never}
        self._reasons_at = now + (0 if never else REASON_POLLS * self.slurm.poll_s)
        for why in sorted({reasons[job.number] for job in sure}):
            self.submission.refuse([job for job in sure if reasons[job.number] == why], why)
        for why in sorted(
            {why for why in reasons.values() if STUCK.search(why) and not NEVER_BEGINS.search(why)} - self._said
        ):
            self._said.add(why)
            words = " ".join(sorted({job.array for job in jobs if reasons[job.number] == why}, key=int))
            self.jobs.notes.append(f"jobs {words} wait in the queue: {explain(why)}")

    def _judge(self, job: Job, state: State) -> None:
        """End a job as SLURM says that it ended."""
        job.looks += 1
        if state.name in LATE_STATES:
            self.jobs.end(job, self._late(job, state))
            return
        if state.name in DIED_STATES and job.looks < LOOKS:
            return
        output = _read_end(job.output)
        if state.name == "OUT_OF_MEMORY" or _OUT_OF_MEMORY.search(output):
            had = self.slurm.memory(job.factor)
            more = f" with {had[0]}" if had else "; slurm[memory_gb=...] says how much a job gets"
            self.jobs.end(job, note_out_of_memory(job.folder, "SLURM", more))
        elif state.name not in DIED_STATES:
            self.jobs.end(job, medbench.JobLost(f"SLURM ended it: {state.name}"))
        else:
            _keep_output(job.folder, output)
            self.jobs.end(job, ProcessLookupError(f"SLURM says {state.name} {state.code}".rstrip()))

    def _late(self, job: Job, state: State) -> Exception:
        """Return what a job raises that ran out of time: no failure of a method where it got less than we give it."""
        least = slurm_options.shortest_time(self.slurm.words)
        given_s = slurm_options.seconds_of(state.time)
        change = "raise the one or lower the other"
        if state.name == "DEADLINE":
            own = "a deadline"
        elif least is not None and least[0] < job.limit_s:
            own = f"the limit {least[1]} of options"
        elif 0 < given_s < job.limit_s:
            own = f"the time limit of {given_s:g} s that the cluster gave it"
            change = "give a shorter --limit, or a --partition or --qos in options that allows more"
        else:
            return TimeoutError()
        return medbench.JobLost(
            f"SLURM ended it at {own} ({state.name}), before --limit {job.limit_s:g} s was over; {change}", "resources"
        )

    def _doubt(self, jobs: Sequence[Job]) -> None:
        """Hold jobs for lost that SLURM has not known for a while; accounts hear of a job late, the queue does not."""
        now = time.monotonic()
        silent = []
        for job in jobs:
            job.looks += 1
            job.silent_since = now if job.silent_since is None else job.silent_since
            patience = SILENT_POLLS * self.slurm.poll_s if self.inquiry.has_accounts else 0.0
            if job.looks >= LOOKS and now - job.silent_since >= patience:
                silent.append(job)
        if not silent:
            return
        asks = self.inquiry.has_accounts and self.inquiry.has_queue
        queue = self.inquiry.of_queue(silent) if asks else States()
        for job in silent:
            is_there = queue is not None and queue.find(job.id).name in LIVING
            is_early = queue is None and now - (job.silent_since or now) < DEAF_POLLS * self.slurm.poll_s
            if is_there or is_early:
                job.silent_since = None if is_there else job.silent_since
                continue
            if not self.jobs.over.is_set():
                cancel([job.id], CLOSING_SECONDS)  # should it wait somewhere, it must not begin beside its next try
                self.jobs.end(job, medbench.JobLost("SLURM does not know it any more, and it left no result"))


def _read_end(file: Path | None) -> str:
    """Return the end of a file, "" where it cannot be read."""
    with contextlib.suppress(OSError):
        if file is not None:
            return file.read_text(errors="replace")[-OUTPUT_KEPT:]
    return ""


def _keep_output(folder: Path, output: str) -> None:
    """Make a job's output its log, where it did not come as far as having one."""
    with contextlib.suppress(OSError):
        if output and not (folder / "log.txt").exists():
            (folder / "log.txt").write_text(output)
