"""Jobs of a cluster with SLURM: arrays of what waits, asked after together; nothing of ours runs on beside them."""

from __future__ import annotations

import contextlib
import math
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path

import medbench
from medbench_plugins.executors.far_jobs import LATE, Board, name_of, note_out_of_memory
from medbench_plugins.executors.servers import NO_VARIABLES

LIVING = frozenset({
    "PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "RESIZING", "SUSPENDED", "STOPPED", "REQUEUE_FED",
    "REQUEUE_HOLD", "SPECIAL_EXIT", "SIGNALING", "STAGE_OUT", "RESV_DEL_HOLD",
})  # fmt: skip
LATE_STATES = frozenset({"TIMEOUT", "DEADLINE"})
GATHER_SECONDS = 0.5
"""How long a job that waits is kept, so that those that come with it go into one array."""
ASKING_SECONDS = 60.0
LOOKS = 3
"""How often a job that SLURM calls ended is looked at, before its status is held for lost: files arrive late."""


@dataclass(frozen=True)
class Slurm:
    """Jobs of a SLURM cluster, whose machines all see the folder of results.

    Attributes:
        options: Further options of sbatch, as ``--partition=gpu --gres=gpu:1``; SBATCH_* variables work as well.
        memory_gb: Memory of a job, twice as much for one that ran out of it; 0 leaves it to the cluster.
        cores: Cores of a job.
        at_a_time: Jobs that wait or run at a time, unless ``--workers`` says.
        poll_s: Seconds from one question to the next; one question is of all jobs.
        patience_s: Seconds after which a job ends that has not heard of its runner.
    """

    name: str = "slurm"
    options: str = ""
    memory_gb: float = 0.0
    cores: int = 1
    at_a_time: int = 64
    poll_s: float = 5.0
    patience_s: float = 120.0

    def start(
        self, *, workers: int, devices: Sequence[str], variables: Mapping[str, str] = NO_VARIABLES
    ) -> medbench.Jobs:
        """Start asking.

        Args:
            workers: Jobs at a time.
            devices: Torch devices.
            variables: Environment variables that each job begins with.

        Raises:
            ResourceError: If there is no sbatch here.
        """
        if shutil.which("sbatch") is None:
            raise medbench.ResourceError("--executor slurm: sbatch is not found here; run it where jobs are submitted.")
        return SlurmJobs(self, workers, devices[0], variables)


@dataclass
class _Job:
    number: int
    factor: float
    future: Future[int]
    folder: Path
    board: Board
    limit_s: float
    id: str = ""
    looks: int = 0


@dataclass
class SlurmJobs:
    """One thread that submits what waits and asks after what runs.

    Attributes:
        slurm: What to ask for.
        workers: Jobs at a time.
        device: Where a job works, "auto" for a GPU if it was given one.
        variables: Environment variables that each job begins with.
    """

    slurm: Slurm
    workers: int
    device: str
    variables: Mapping[str, str] = field(default_factory=dict)
    _jobs: dict[int, _Job] = field(default_factory=dict)
    _board: Board | None = None
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _came: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _has_accounts: bool = True
    _thread: threading.Thread | None = None

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`; a job whose share was doubled gets twice the memory."""
        with self._lock:
            if self._thread is None:
                self._board = Board(Path(folder).absolute().parent, "slurm")
                self._thread = threading.Thread(target=self._keep_up, name="slurm", daemon=True)
                self._thread.start()
            assert self._board is not None
            self._count += 1
            job = _Job(self._count, share * self.workers, Future(), Path(folder).absolute(), self._board, limit_s)
            self._board.put(job.number, work=name_of(work), folder=str(job.folder), device=self.device, share=1.0,
                            limit_s=limit_s, patience_s=self.slurm.patience_s)  # fmt: skip
            self._jobs[job.number] = job
        self._came.set()
        return job.future

    def close(self) -> None:
        """Cancel what waits or runs."""
        self._over.set()
        self._came.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            left = list(self._jobs.values())
            self._jobs.clear()
        if ids := sorted({job.id.partition("_")[0] for job in left if job.id}):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                _ask("scancel", *ids)
        for job in left:
            _settle(job, ProcessLookupError("it was cancelled"))
        if self._board is not None:
            self._board.close()

    def _keep_up(self) -> None:
        while not self._over.is_set():
            if self._came.wait(self.slurm.poll_s):
                self._over.wait(GATHER_SECONDS)
                self._came.clear()
            with self._lock:
                jobs = list(self._jobs.values())
            if jobs:
                jobs[0].board.beat()
            waiting = [job for job in jobs if not job.id]
            for factor, limit_s in sorted({(job.factor, job.limit_s) for job in waiting}):
                if not self._over.is_set():
                    self._send([job for job in waiting if (job.factor, job.limit_s) == (factor, limit_s)])
            self._look([job for job in jobs if job.id])

    def _send(self, jobs: list[_Job]) -> None:
        """Submit jobs as one array."""
        first, board = jobs[0], jobs[0].board
        numbers = board.folder / f"{first.number}.array"
        numbers.write_text("".join(f"{job.number}\n" for job in jobs))
        module = "medbench_plugins.executors.slurm_job"
        given = ["env", *(f"{name}={value}" for name, value in self.variables.items())] if self.variables else []
        words = [*given, sys.executable, "-m", module, str(board.folder), str(numbers)]
        memory = []
        if self.slurm.memory_gb > 0:
            memory = [f"--mem={math.ceil(1024 * self.slurm.memory_gb * max(1.0, first.factor))}M"]
        command = [
            "sbatch", "--parsable", "--no-requeue", "--job-name=medbench", f"--array=0-{len(jobs) - 1}",
            f"--time={math.ceil(first.limit_s / 60) + 1}", f"--cpus-per-task={self.slurm.cores}", *memory,
            f"--output={board.folder}/{first.number}-%a.out", *shlex.split(self.slurm.options),
            "--wrap", "exec " + shlex.join(words),
        ]  # fmt: skip
        try:
            said = _ask(*command)
        except (OSError, subprocess.TimeoutExpired) as error:
            said = subprocess.CompletedProcess(command, 1, "", str(error))
        number = said.stdout.strip().partition(";")[0]
        for place, job in enumerate(jobs):
            if said.returncode == 0 and number.isdigit():
                job.id = f"{number}_{place}"
            else:
                self._end(job, ProcessLookupError(f"sbatch: {_last_line(said.stderr)}"))

    def _look(self, jobs: list[_Job]) -> None:
        """See which jobs have ended: by what they wrote, or by what SLURM says of the others, asked once for all."""
        left = []
        for job in jobs:
            status = job.board.ended(job.number)
            if status is None:
                left.append(job)
            else:
                self._end(job, TimeoutError() if status == LATE else int(status))
        states = self._states(sorted({job.id.partition("_")[0] for job in left})) if left else None
        for job in left if states is not None else ():
            state, code = states.get(job.id, ("", "")) if states is not None else ("", "")
            if state in LIVING or (not state and self._has_accounts):  # accounts hear of a job some seconds late
                continue
            job.looks += 1
            if state in LATE_STATES:
                self._end(job, TimeoutError())
            elif state == "OUT_OF_MEMORY":
                self._end(job, note_out_of_memory(job.folder, "SLURM"))
            elif job.looks >= LOOKS or state not in ("", "COMPLETED", "FAILED"):
                self._end(job, ProcessLookupError(f"SLURM says {state or 'nothing of it'} {code}".rstrip()))

    def _states(self, arrays: list[str]) -> dict[str, tuple[str, str]] | None:
        """Return state and exit code by job; None where nobody answers."""
        accounts = ("sacct", "-n", "-P", "-X", "-j", ",".join(arrays), "-o", "JobID,State,ExitCode")
        queue = ("squeue", "-h", "-r", "-t", "all", "-j", ",".join(arrays), "-o", "%i|%T|")
        try:
            said = _ask(*(accounts if self._has_accounts else queue))
        except FileNotFoundError:
            self._has_accounts = False
            return None
        except (OSError, subprocess.TimeoutExpired):
            return None  # it is asked again
        if said.returncode != 0:
            if "accounting storage is disabled" in said.stderr:
                self._has_accounts = False  # squeue remembers a job for some minutes
            return {} if "Invalid job id" in said.stderr else None
        lines = [line.split("|") for line in said.stdout.splitlines() if line.count("|") >= 2]
        return {id: (re.split(r"[ +]", state)[0], code) for id, state, code, *_ in lines}

    def _end(self, job: _Job, how: int | BaseException) -> None:
        with self._lock:
            self._jobs.pop(job.number, None)
        _settle(job, how)


def _settle(job: _Job, how: int | BaseException) -> None:
    with contextlib.suppress(InvalidStateError):
        if isinstance(how, BaseException):
            job.future.set_exception(how)
        else:
            job.future.set_result(how)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def _ask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=ASKING_SECONDS, check=False)  # noqa: S603
