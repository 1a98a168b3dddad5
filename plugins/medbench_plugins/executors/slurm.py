"""Jobs of a cluster with SLURM: arrays of what waits, asked after together; nothing of ours runs on beside them."""

from __future__ import annotations

import contextlib
import math
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import medbench
from medbench_plugins.executors import slurm_options
from medbench_plugins.executors.far_jobs import LATE, Board, name_of, note_out_of_memory
from medbench_plugins.executors.servers import NO_VARIABLES
from medbench_plugins.executors.slurm_programs import (
    LIVING,
    NEVER,
    WHOLE_RANGES,
    States,
    ask,
    cancel,
    last_line,
    number_of,
    read_states,
)

LATE_STATES = frozenset({"TIMEOUT", "DEADLINE"})
DIED_STATES = frozenset({"COMPLETED", "FAILED"})
GATHER_SECONDS = 0.5
"""How long a job that waits is kept, so that those that come with it go into one array."""
ASKING_SECONDS = 60.0
CLOSING_SECONDS = 20.0
"""How long a submission in flight is waited for, and scancel, where all is to end."""
LOOKS = 3
"""How often a job that SLURM calls ended is looked at, before its status is held for lost: files arrive late."""
SILENT_POLLS = 24
"""After so many times `poll_s`, a job that SLURM does not know and that left nothing is held for lost."""
DEAF_POLLS = 5 * SILENT_POLLS
"""The same where squeue, which is asked as well then, does not answer."""
TRIES = 8
"""How often in a row a submission may fail while no job runs, before the run is given up."""
LONGEST_PAUSE = 60
"""Most times `poll_s` between two such tries; the first is one, each further one twice the one before."""


@dataclass(frozen=True)
class Slurm:
    """Jobs of a SLURM cluster, whose machines all see the folder of results.

    Attributes:
        options: Further options of sbatch, as ``--partition=gpu --gres=gpu:1``; SBATCH_* variables work as well.
        memory_gb: Memory of a job, twice as much for one that ran out of it; 0 leaves it to `options` and the cluster.
        cores: Cores of a job.
        at_a_time: Jobs that wait or run at a time, unless ``--workers`` says.
        poll_s: Seconds from one question to the next; one question is of all jobs. Further patience is counted in it.
        patience_s: Seconds after which a job ends that has not heard of its runner.

    Raises:
        UsageError: For options that cannot be read or contradict `memory_gb`, and numbers that make no sense.
    """

    name: str = "slurm"
    options: str = ""
    memory_gb: float = 0.0
    cores: int = 1
    at_a_time: int = 64
    poll_s: float = 5.0
    patience_s: float = 120.0

    def __post_init__(self) -> None:
        try:
            words = self.words
        except ValueError as error:
            raise medbench.UsageError(f"slurm[options={self.options}]: {error}; write it as in a shell.") from None
        if self.memory_gb > 0 and slurm_options.memory(words) is not None:
            raise medbench.UsageError("slurm: memory_gb and --mem of options both say how much memory; leave one out.")
        for name, least in (("memory_gb", 0), ("cores", 1), ("at_a_time", 1)):
            if not getattr(self, name) >= least:
                raise medbench.UsageError(f"slurm: {name} is {getattr(self, name)}; give at least {least}.")
        for name in ("poll_s", "patience_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise medbench.UsageError(f"slurm: {name} is {getattr(self, name)}; give seconds, more than 0.")

    @property
    def words(self) -> list[str]:
        """The further options, one by one."""
        return shlex.split(self.options)

    def memory(self, factor: float) -> list[str]:
        """Return how sbatch is asked for `factor` times the memory of a job; nothing where no memory is given."""
        asked = ("--mem", 1024 * self.memory_gb) if self.memory_gb > 0 else slurm_options.memory(self.words)
        return [f"{asked[0]}={math.ceil(round(asked[1] * factor, 3))}M"] if asked is not None else []

    def more_memory(self) -> str:
        """See :class:`medbench.Executor`."""
        if (had := self.memory(1)) and (has := self.memory(2)):
            return f"with twice the memory, {has[0]} in place of {had[0]}"
        return "with the same request: slurm has no memory_gb that could be doubled, so the cluster says how much it is"

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
    silent_since: float | None = None

    @property
    def array(self) -> str:
        return self.id.partition("_")[0]


@dataclass
class SlurmJobs:
    """One thread that submits what waits and asks after what runs.

    Attributes:
        slurm: What to ask for.
        workers: Jobs at a time.
        device: Where a job works, "auto" for a GPU if it was given one.
        variables: Environment variables that each job begins with.
        notes: See :class:`medbench.Jobs`.
    """

    slurm: Slurm
    workers: int
    device: str
    variables: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _jobs: dict[int, _Job] = field(default_factory=dict)
    _board: Board | None = None
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _came: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _has_accounts: bool = True
    _thread: threading.Thread | None = None
    _refusals: int = 0
    _next_try: float = 0.0
    _beat_at: float = 0.0
    _deaf_since: float | None = None
    _given_up: BaseException | None = None

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`; a job whose share was doubled gets twice the memory."""
        with self._lock:
            if self._thread is None:
                self._board = Board(Path(folder).absolute().parent, "slurm")
                self._thread = threading.Thread(target=self._keep_up, name="slurm", daemon=True)
                self._thread.start()
            assert self._board is not None
            self._count += 1
            factor = max(1.0, round(share * self.workers, 6))
            job = _Job(self._count, factor, Future(), Path(folder).absolute(), self._board, limit_s)
            if self._given_up is not None:
                job.future.set_exception(self._given_up)
                return job.future
            self._board.put(job.number, work=name_of(work), folder=str(job.folder), device=self.device, share=1.0,
                            limit_s=limit_s, patience_s=self.slurm.patience_s)  # fmt: skip
            self._jobs[job.number] = job
        self._came.set()
        return job.future

    def close(self) -> None:
        """Cancel what waits or runs, before anything else is waited for; a further Ctrl-C meanwhile changes nothing."""
        with _undisturbed():
            self._over.set()
            self._came.set()
            cancelled = self._cancel_all()
            if self._thread is not None:
                self._thread.join(2 * CLOSING_SECONDS)  # sbatch may be at work; nothing else keeps it
            self._cancel_all(cancelled)
            with self._lock:
                left = list(self._jobs.values())
                self._jobs.clear()
            for job in left:
                _settle(job, medbench.JobLost("it was cancelled"))
            if self._board is not None:
                self._board.close()

    def _cancel_all(self, but: Collection[str] = ()) -> set[str]:
        """Cancel all arrays that have jobs left, and return them; say which could not be."""
        with self._lock:
            arrays = {job.array for job in self._jobs.values() if job.id} - {*but}
        if arrays and (why := cancel(sorted(arrays), CLOSING_SECONDS)):
            words = " ".join(sorted(arrays))
            self.notes.append(f"jobs may be left in the queue ({why}); cancel them by hand: scancel {words}")
        return arrays

    def _keep_up(self) -> None:
        try:
            while not self._over.is_set():
                if self._came.wait(self.slurm.poll_s):
                    self._over.wait(GATHER_SECONDS)
                    self._came.clear()
                if not self._over.is_set():
                    self._go_round()
        except Exception as error:  # noqa: BLE001  whatever it is, nobody may wait for ever
            self._give_up(f"jobs can no longer be followed ({type(error).__name__}: {error})")

    def _go_round(self) -> None:
        """Submit what waits and see what has ended."""
        with self._lock:
            jobs = list(self._jobs.values())
        self._beat()
        waiting = [job for job in jobs if not job.id] if time.monotonic() >= self._next_try else []
        for group in sorted({(job.factor, job.limit_s) for job in waiting}):
            if self._over.is_set() or not self._send([job for job in waiting if (job.factor, job.limit_s) == group]):
                break
        self._look([job for job in jobs if job.id])

    def _beat(self) -> None:
        """Tell the jobs that we live, also while a program keeps us waiting."""
        if self._board is not None and time.monotonic() >= self._beat_at and not self._over.is_set():
            self._beat_at = time.monotonic() + self.slurm.poll_s / 2
            self._board.beat()

    def _send(self, jobs: list[_Job]) -> bool:
        """Submit jobs as one array; return False where nothing more is to be tried now."""
        name = f"medbench-{jobs[0].board.folder.name[-6:]}-{jobs[0].number}"
        try:
            said = ask(*self._sbatch(jobs, name), seconds=ASKING_SECONDS, over=self._over, grace_s=CLOSING_SECONDS,
                       meanwhile=self._beat)  # fmt: skip
        except subprocess.TimeoutExpired:
            said = subprocess.CompletedProcess((), 1, "", f"sbatch has not answered for {ASKING_SECONDS:g} s")
        except OSError as error:
            said = subprocess.CompletedProcess((), 1, "", f"sbatch: {error.strerror or error}")
        if said.returncode == 0 and (number := number_of(said.stdout)):
            for place, job in enumerate(jobs):
                job.id = f"{number}_{place}"
            if self._refusals > 1:
                self.notes.append(f"jobs are submitted again, after {self._refusals} tries that failed")
            self._refusals, self._next_try = 0, 0.0
            return True
        never = said.returncode != 0 and NEVER.search(said.stderr) is not None
        if not never:  # it may be in the queue all the same, and no second one may be put beside it
            cancel([f"--name={name}"], CLOSING_SECONDS)
        if self._over.is_set():
            return False
        if said.returncode == 0:
            self._give_up(
                f"sbatch said {last_line(said.stdout)!r}, which has no number of a job; nothing more is submitted, and "
                f"jobs named {name} were cancelled"
            )
            return False
        return self._refused(jobs, last_line(said.stderr), never=never)

    def _sbatch(self, jobs: list[_Job], name: str) -> list[str]:
        """Return the command that submits jobs as one array."""
        first, board = jobs[0], jobs[0].board
        numbers = board.folder / f"{first.number}.array"
        numbers.write_text("".join(f"{job.number}\n" for job in jobs))
        module = "medbench_plugins.executors.slurm_job"
        given = ["env", *(f"{name}={value}" for name, value in self.variables.items())] if self.variables else []
        words = [*given, sys.executable, "-m", module, str(board.folder), str(numbers)]
        own = self.slurm.memory_gb > 0 or first.factor > 1  # what `options` say stands until it is doubled
        return [
            "sbatch", "--parsable", "--no-requeue", f"--job-name={name}", f"--array=0-{len(jobs) - 1}",
            f"--time={math.ceil(first.limit_s / 60) + 1}", f"--cpus-per-task={self.slurm.cores}",
            f"--output={board.folder}/{first.number}-%a.out", *self.slurm.words,
            *(self.slurm.memory(first.factor) if own else []), "--wrap", "exec " + shlex.join(words),
        ]  # fmt: skip

    def _refused(self, jobs: list[_Job], why: str, *, never: bool) -> bool:
        """Say that jobs could not be submitted, and try again later, or give up; return whether others may be sent."""
        if never and jobs[0].factor > 1:  # more memory than there is: these fail, the others go on
            for job in jobs:
                self._end(
                    job, note_out_of_memory(job.folder, "SLURM", f"; twice as much could not be asked for: {why}")
                )
            return True
        self._refusals += 1
        with self._lock:
            runs = any(job.id for job in self._jobs.values())
        if not runs and (never or self._refusals >= TRIES):
            tried = f" in {self._refusals} tries" if self._refusals > 1 else ""
            self._give_up(f"jobs could not be submitted{tried}: {why}")
            return False
        if self._refusals == 1:
            self.notes.append(f"jobs could not be submitted: {why}; they are tried again")
        pause = min(2 ** min(self._refusals - 1, 30), LONGEST_PAUSE) * self.slurm.poll_s
        self._next_try = time.monotonic() + pause
        return False

    def _give_up(self, why: str) -> None:
        """End the run: every job, and every further one, raises one sentence."""
        self._cancel_all()
        with self._lock:
            self._given_up = medbench.ResourceError(
                f"--executor slurm: {why}. What was finished is stored; the same command goes on from there."
            )
            left = list(self._jobs.values())
            self._jobs.clear()
        for job in left:
            _settle(job, self._given_up)

    def _look(self, jobs: list[_Job]) -> None:
        """See which jobs have ended: by what they wrote, or by what SLURM says of the others, asked once for all."""
        left = []
        for job in jobs:
            status = job.board.ended(job.number)
            if status is None:
                left.append(job)
            else:
                self._end(job, TimeoutError() if status == LATE else int(status))
        states = self._states(left) if left else None
        if states is None:
            return
        silent = []
        for job in left:
            state, code = states.find(job.id)
            if not state:
                silent.append(job)
                continue
            job.silent_since = None
            if state not in LIVING:
                self._judge(job, state, code)
        self._doubt(silent)

    def _judge(self, job: _Job, state: str, code: str) -> None:
        """End a job as SLURM says that it ended."""
        job.looks += 1
        if state in LATE_STATES:
            self._end(job, self._late(job, state))
        elif state == "OUT_OF_MEMORY":
            had = self.slurm.memory(job.factor)
            more = f" with {had[0]}" if had else "; slurm[memory_gb=...] says how much a job gets"
            self._end(job, note_out_of_memory(job.folder, "SLURM", more))
        elif state not in DIED_STATES:
            self._end(job, medbench.JobLost(f"SLURM ended it: {state}"))
        elif job.looks >= LOOKS:
            self._end(job, ProcessLookupError(f"SLURM says {state} {code}".rstrip()))

    def _late(self, job: _Job, state: str) -> Exception:
        """Return what a job raises that ran out of time: no failure of a method where options give less than we do."""
        least = slurm_options.shortest_time(self.slurm.words)
        if state != "DEADLINE" and (least is None or least[0] >= job.limit_s):
            return TimeoutError()
        own = f"the limit {least[1]} of options" if state != "DEADLINE" and least is not None else "a deadline"
        return medbench.JobLost(
            f"SLURM ended it at {own} ({state}), before --limit {job.limit_s:g} s was over; raise the one or lower the "
            "other",
            "resources",
        )

    def _doubt(self, jobs: list[_Job]) -> None:
        """Hold jobs for lost that SLURM has not known for a while; accounts hear of a job late, the queue does not."""
        now = time.monotonic()
        silent = []
        for job in jobs:
            job.looks += 1
            job.silent_since = now if job.silent_since is None else job.silent_since
            patience = SILENT_POLLS * self.slurm.poll_s if self._has_accounts else 0.0
            if job.looks >= LOOKS and now - job.silent_since >= patience:
                silent.append(job)
        if not silent:
            return
        asks = self._has_accounts and shutil.which("squeue") is not None
        queue = self._ask_queue(silent) if asks else States()
        for job in silent:
            is_there = queue is not None and queue.find(job.id)[0] in LIVING
            is_early = queue is None and now - (job.silent_since or now) < DEAF_POLLS * self.slurm.poll_s
            if is_there or is_early:
                job.silent_since = None if is_there else job.silent_since
                continue
            if not self._over.is_set():
                cancel([job.id], CLOSING_SECONDS)  # should it wait somewhere, it must not begin beside its next try
                self._end(job, medbench.JobLost("SLURM does not know it any more, and it left no result"))

    def _states(self, jobs: list[_Job]) -> States | None:
        """Return what accounts, or else the queue, say of jobs; None where nobody answers, which is said once."""
        found = self._ask_accounts(jobs) if self._has_accounts else None
        found = self._ask_queue(jobs) if found is None and not self._over.is_set() else found
        now, bound = time.monotonic(), SILENT_POLLS * self.slurm.poll_s
        if found is not None:
            self._deaf_since = None
        elif self._deaf_since is None:
            self._deaf_since = now
        elif now - self._deaf_since >= bound and not self._over.is_set():
            self.notes.append(f"neither sacct nor squeue has answered for {bound:g} s; they are asked on")
            self._deaf_since = math.inf  # said once, until one of them answers
        return found

    def _ask_accounts(self, jobs: list[_Job]) -> States | None:
        arrays = ",".join(sorted({job.array for job in jobs}))
        try:
            said = self._ask("sacct", "-n", "-P", "-X", "-j", arrays, "-o", "JobID,State,ExitCode")
        except FileNotFoundError:
            self._has_accounts = False
            return None
        except (OSError, subprocess.TimeoutExpired):
            return None  # it is asked again
        if said.returncode != 0:
            if "accounting storage is disabled" in said.stderr:
                self._has_accounts = False  # squeue remembers a job for some minutes
            return States() if "Invalid job id" in said.stderr else None
        return read_states(said.stdout)

    def _ask_queue(self, jobs: list[_Job]) -> States | None:
        arrays = ",".join(sorted({job.array for job in jobs}))
        try:
            said = self._ask("squeue", "-h", "-r", "-t", "all", "-j", arrays, "-o", "%i|%T|")
        except (OSError, subprocess.TimeoutExpired):
            return None
        if said.returncode != 0:
            return States() if "Invalid job id" in said.stderr else None
        return read_states(said.stdout)

    def _ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return ask(*words, seconds=ASKING_SECONDS, over=self._over, meanwhile=self._beat, variables=WHOLE_RANGES)

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


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM for later; one that comes after another, which is on its way up already, is dropped."""
    if threading.current_thread() is not threading.main_thread():
        yield  # they do not reach it
        return
    is_on_its_way = isinstance(sys.exc_info()[1], KeyboardInterrupt)
    came: list[int] = []
    before: dict[signal.Signals, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if came and not is_on_its_way:
        signal.raise_signal(came[0])
