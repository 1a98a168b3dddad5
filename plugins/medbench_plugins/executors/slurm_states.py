"""What SLURM says of jobs: sacct is asked, or else squeue, for all of them together."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from medbench_plugins.executors.slurm_open_jobs import Job, OpenJobs
from medbench_plugins.executors.slurm_programs import ask

LIVING = frozenset({
    "PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "RESIZING", "SUSPENDED", "STOPPED", "REQUEUE_FED",
    "REQUEUE_HOLD", "SPECIAL_EXIT", "SIGNALING", "STAGE_OUT", "RESV_DEL_HOLD",
})  # fmt: skip
WHOLE_RANGES = {"SLURM_BITSTR_LEN": "0"}
"""Else a list of tasks is cut after 64 characters."""
ASKING_SECONDS = 60.0
SILENT_POLLS = 24
"""After so many times `poll_s`, a job that SLURM does not know and that left nothing is held for lost."""


class State(NamedTuple):
    """What SLURM says of a job.

    Attributes:
        name: As RUNNING; "" where nothing is said.
        code: Exit code, as "0:0".
        time: Its time limit, as "1-00:01:00".
        reason: Why it waits; squeue alone says it.
    """

    name: str = ""
    code: str = ""
    time: str = ""
    reason: str = ""


@dataclass(frozen=True)
class States:
    """What SLURM says of jobs.

    Attributes:
        of: State by "17_0"; by "17_*" for the tasks of an array that are not listed one by one.
    """

    of: Mapping[str, State] = field(default_factory=dict)

    def find(self, job: str) -> State:
        """Return the state of a job, an empty one where nothing is said of it."""
        return self.of.get(job) or self.of.get(f"{job.partition('_')[0]}_*") or State()


def read_states(text: str) -> States:
    """Read lines of ``JobID|State|ExitCode|Timelimit|Reason``, of which the last two may be left out.

    Tasks that never began stand in one line, as ``17_[0-2,5%4]``.
    """
    listed, ranges = dict[str, State](), dict[str, State]()
    for line in text.splitlines():
        if line.count("|") < 2:
            continue
        name, state, code, time_limit, reason, *_ = [*line.strip().split("|"), "", ""]
        said = State(re.split(r"[ +]", state)[0], code, time_limit, reason)
        array, bracket, tasks = name.partition("_[")
        if bracket:
            ranges |= {f"{array}_{task}": said for task in _expand(tasks.partition("]")[0])}
        if "_" not in name or "..." in tasks:  # said of the array, or of tasks whose list was cut
            listed[f"{array}_*"] = said
        elif not bracket:
            listed[name] = said
    return States(ranges | listed)


def _expand(tasks: str) -> Iterator[str]:
    """Yield the numbers of ``0-2,5,7-11:2%4``; what is no number, as the dots of a list that was cut, is left out."""
    for part in tasks.partition("%")[0].split(","):
        if found := re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part.strip()):
            first, last, step = found[1], found[2] or found[1], found[3] or "1"
            yield from map(str, range(int(first), int(last) + 1, max(1, int(step))))


@dataclass
class Inquiry:
    """Asks SLURM after jobs.

    Attributes:
        jobs: Of the run.
        poll_s: Seconds from one question to the next.
        has_accounts: Whether sacct is of use here.
        deaf_since: When nobody was first found to answer, since somebody last did.
    """

    jobs: OpenJobs
    poll_s: float
    has_accounts: bool = True
    deaf_since: float | None = None
    _is_deaf_said: bool = False

    @property
    def has_queue(self) -> bool:
        """Whether there is a squeue."""
        return shutil.which("squeue") is not None

    def of(self, jobs: Sequence[Job]) -> States | None:
        """Return what accounts, or else the queue, say of jobs; None where nobody answers, which is said once."""
        found = self.of_accounts(jobs) if self.has_accounts else None
        found = self.of_queue(jobs) if found is None and not self.jobs.over.is_set() else found
        now, bound = time.monotonic(), SILENT_POLLS * self.poll_s
        if found is not None:
            self.deaf_since, self._is_deaf_said = None, False
        elif self.deaf_since is None:
            self.deaf_since = now
        elif now - self.deaf_since >= bound and not self._is_deaf_said and not self.jobs.over.is_set():
            self.jobs.notes.append(f"neither sacct nor squeue has answered for {bound:g} s; they are asked on")
            self._is_deaf_said = True
        return found

    def of_accounts(self, jobs: Sequence[Job]) -> States | None:
        """Ask sacct; None where it does not answer."""
        arrays = ",".join(sorted({job.array for job in jobs}))
        try:
            said = self._ask("sacct", "-n", "-P", "-X", "-j", arrays, "-o", "JobID,State,ExitCode,Timelimit")
        except FileNotFoundError:
            self._leave_accounts("sacct is not found here")
            return None
        except (OSError, subprocess.TimeoutExpired):
            return None  # it is asked again
        if said.returncode != 0:
            if "accounting storage is disabled" in said.stderr:
                self._leave_accounts("this cluster keeps no accounts of jobs")
                return None
            return States() if "Invalid job id" in said.stderr else None
        return read_states(said.stdout)

    def _leave_accounts(self, why: str) -> None:
        self.has_accounts = False
        if self.has_queue:
            self.jobs.notes.append(f"{why}: squeue is asked instead, which remembers for some minutes how a job ended")

    def of_queue(self, jobs: Sequence[Job]) -> States | None:
        """Ask squeue; None where it does not answer."""
        arrays = ",".join(sorted({job.array for job in jobs}))
        try:
            said = self._ask("squeue", "-h", "-r", "-t", "all", "-j", arrays, "-o", "%i|%T||%l|%r|")
        except (OSError, subprocess.TimeoutExpired):
            return None
        if said.returncode != 0:
            return States() if "Invalid job id" in said.stderr else None
        return read_states(said.stdout)

    def _ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return ask(
            *words, seconds=ASKING_SECONDS, over=self.jobs.over, meanwhile=self.jobs.beat, variables=WHOLE_RANGES
        )
