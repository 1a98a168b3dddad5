"""The running SLURM executor: a thread that submits what waits and asks after what runs, and how it is closed."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medbench
from medbench_plugins.executors.far_jobs import Board, name_of
from medbench_plugins.executors.slurm_endings import Endings
from medbench_plugins.executors.slurm_open_jobs import CLOSING_SECONDS, Job, OpenJobs
from medbench_plugins.executors.slurm_states import Inquiry
from medbench_plugins.executors.slurm_submission import Submission

if TYPE_CHECKING:
    from medbench_plugins.executors.slurm import Slurm

GATHER_SECONDS = 0.5
"""How long a job that waits is kept, so that those that come with it go into one array."""


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
    _count: int = 0
    _came: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._open = OpenJobs(self.slurm.poll_s / 2)
        inquiry = Inquiry(self._open, self.slurm.poll_s)
        self._submission = Submission(self.slurm, self._open, inquiry, self.variables)
        self._endings = Endings(self.slurm, self._open, inquiry, self._submission)

    @property
    def notes(self) -> list[str]:
        """See :class:`medbench.Jobs`."""
        return self._open.notes

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`; a job whose share was doubled gets twice the memory."""
        if self._thread is None:
            self._open.board = Board(Path(folder).absolute().parent, "slurm")
            self._thread = threading.Thread(target=self._keep_up, name="slurm", daemon=True)
            self._thread.start()
        assert self._open.board is not None
        self._count += 1
        factor = max(1.0, round(share * self.workers, 6))
        job = Job(self._count, factor, Future(), Path(folder).absolute(), self._open.board, limit_s)
        self._open.board.put(job.number, work=name_of(work), folder=str(job.folder), device=self.device, share=1.0,
                             limit_s=limit_s, patience_s=self.slurm.patience_s)  # fmt: skip
        self._open.add(job)
        self._came.set()
        return job.future

    def close(self) -> None:
        """Cancel what waits or runs, before anything else is waited for; a further Ctrl-C meanwhile changes nothing."""
        with _undisturbed():
            self._open.over.set()
            self._came.set()
            cancelled = self._open.cancel_all()
            if self._thread is not None:
                self._thread.join(2 * CLOSING_SECONDS)  # sbatch may be at work; nothing else keeps it
            self._open.cancel_all(cancelled)
            self._open.end_all(medbench.JobLost("it was cancelled"))
            if self._open.board is not None:
                self._open.board.close()

    def _keep_up(self) -> None:
        try:
            while not self._open.over.is_set():
                if self._came.wait(self.slurm.poll_s):
                    self._open.over.wait(GATHER_SECONDS)
                    self._came.clear()
                if not self._open.over.is_set():
                    self._go_round()
        except Exception as error:  # noqa: BLE001  whatever it is, nobody may wait for ever
            self._open.give_up(f"jobs can no longer be followed ({type(error).__name__}: {error})")

    def _go_round(self) -> None:
        """Submit what waits and see what has ended."""
        jobs = self._open.all()
        self._open.beat()
        self._submission.submit([job for job in jobs if not job.id])
        self._endings.look([job for job in jobs if job.id])
        self._submission.end_if_idle()


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
