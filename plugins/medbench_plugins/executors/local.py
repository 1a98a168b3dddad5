"""Jobs in processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import medbench
from medbench_plugins.executors import worker
from medbench_plugins.executors.free_devices import FreeDevices, Turn

PRELOADED = ("medbench.running.job", "medbench_plugins.preload")
START_SECONDS = 600.0
"""How long a process may take to begin, before its job's limit counts: where none can be forked it imports first."""
PATIENCE_SECONDS = 3.0
"""How long a process that is to end has before it is killed."""
LONGEST_WAIT_SECONDS = 10.0**6
"""The operating system counts a wait in milliseconds of 31 bits."""


@dataclass(frozen=True)
class Local:
    """Processes of this machine, forked from a server that has the libraries imported and no GPU touched.

    One process a job: a job that crashes, hangs or exhausts memory costs one training run and nothing else.
    """

    name: str = "local"

    def start(self, *, workers: int, devices: Sequence[str]) -> medbench.Jobs:
        """Start the server; the first job waits about two seconds for the libraries."""
        return Processes(workers, devices, PRELOADED)


class Processes:
    """A thread a job, which starts its process and waits until that has ended, however it does.

    Processes share neither a channel nor a lock, so that none can leave another waiting by the moment it dies in.

    Args:
        workers: Processes at a time.
        devices: Torch devices; a job gets the one that has most room.
        preloaded: Modules that the server imports, which start no threads.
    """

    def __init__(self, workers: int, devices: Sequence[str], preloaded: Sequence[str]) -> None:
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")  # mypy knows its base
        if forks:
            self._context.set_forkserver_preload(list(preloaded))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="job")
        self._free = FreeDevices(devices)
        self._one_at_a_time = threading.Lock()  # multiprocessing's list of children is not made for threads
        self._running: set[BaseProcess] = set()
        self._closed = False

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`; a job that finds no room waits for it, and its limit counts from its start."""
        return self._threads.submit(self._wait_and_follow, self._free.ask(share), work, folder, limit_s)

    def _wait_and_follow(self, turn: Turn, work: Callable[[str, str], int], folder: str, limit_s: float) -> int:
        device = self._free.wait(turn)
        try:
            return self._follow(work, (folder, device, turn.share), limit_s)
        finally:
            self._free.give_back(turn, device)

    def _follow(self, work: Callable[[str, str], int], job: tuple[str, str, float], limit_s: float) -> int:
        reader, writer = self._context.Pipe(duplex=False)
        with reader:
            with writer, self._one_at_a_time:
                if self._closed:
                    raise CancelledError
                process = self._context.Process(target=_job, args=(writer, work, *job))
                try:
                    process.start()
                except (OSError, EOFError) as error:  # no more processes, or the server is gone
                    raise ProcessLookupError(f"it could not be started: {error}") from error
                self._running.add(process)
            started = wait([reader, process.sentinel], START_SECONDS)
            ended = started and wait([process.sentinel], min(limit_s, LONGEST_WAIT_SECONDS))
            if not ended:
                process.terminate()
                if not wait([process.sentinel], PATIENCE_SECONDS):
                    process.kill()
            with self._one_at_a_time:
                self._running.discard(process)
                process.join()
            if not started:
                raise ProcessLookupError(f"it did not begin within {START_SECONDS:g} s")
            if not ended:
                raise TimeoutError
            status: int | None = None
            with contextlib.suppress(EOFError):
                while reader.poll():
                    status = reader.recv()
        if status is None:
            raise ProcessLookupError(f"exit status {process.exitcode}")
        return status

    def close(self) -> None:
        """End what still runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._free.close()
        with self._one_at_a_time:
            self._closed = True
            running = [process for process in self._running if process.is_alive()]
            for process in running:
                process.terminate()
        late = time.monotonic() + PATIENCE_SECONDS
        try:
            for process in running:
                wait([process.sentinel], max(0, late - time.monotonic()))
        finally:  # a second Ctrl-C is no patience left
            for process in running:
                if process.is_alive():
                    process.kill()
        self._threads.shutdown()


def _job(tell: Connection, work: Callable[[str, str], int], folder: str, device: str, share: float) -> None:
    """Be the process of a job: tell the runner of start and exit status."""
    tell.send(None)
    worker.settle()
    worker.cap_memory(device, share)
    tell.send(work(folder, device))
