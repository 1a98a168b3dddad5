"""Jobs in processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import medbench
from medbench_plugins.executors.free_devices import FreeDevices, Turn
from medbench_plugins.executors.servers import NO_VARIABLES, begin_with
from medbench_plugins.executors.worker import serve

PRELOADED = ("medbench.running.job", "medbench_plugins.preload")
START_SECONDS = 600.0
"""How long a process may take to begin, before its job's limit counts: where none can be forked it imports first."""
PATIENCE_SECONDS = 3.0
"""How long a process that is to end has before it is killed."""
LONGEST_WAIT_SECONDS = 10.0**6
"""The operating system counts a wait in milliseconds of 31 bits."""


JOBS_A_WORKER = 50
"""After so many jobs a process ends: libraries hold on to memory that nobody can give back for them."""
CLEAN_SECONDS = 60.0
"""How long a process may take to put back what a job left."""


@dataclass(frozen=True)
class Local:
    """Processes of this machine, forked from a server that has the libraries imported and no GPU touched.

    A process does many jobs, so that imports and a GPU's context stay; what one leaves behind is put back before the
    next, and a process where that cannot be done ends. A job that crashes, hangs or fails costs its process and one
    training run, and nothing else.

    Attributes:
        jobs_a_worker: Jobs that a process does before it ends; 1 gives each a new one.
    """

    name: str = "local"
    jobs_a_worker: int = JOBS_A_WORKER

    def start(
        self, *, workers: int, devices: Sequence[str], variables: Mapping[str, str] = NO_VARIABLES
    ) -> medbench.Jobs:
        """Start the server; the first job waits about two seconds for the libraries.

        Args:
            workers: Processes at a time.
            devices: Torch devices.
            variables: Environment variables that each process begins with.
        """
        return Processes(workers, devices, PRELOADED, variables, self.jobs_a_worker)


@dataclass(eq=False)
class _Worker:
    """A process that does jobs on one device.

    Attributes:
        process: The process.
        channel: Its end of a pipe that nobody else has.
        device: Where it works.
        share: Of the device.
        left: Jobs that it may still do.
    """

    process: BaseProcess
    channel: Connection
    device: str
    share: float
    left: int


class Processes:
    """A thread a job, which finds or starts a process for it and waits until it is done, or the process has ended.

    Processes share neither a channel nor a lock, so that none can leave another waiting by the moment it dies in.

    Args:
        workers: Jobs at a time.
        devices: Torch devices; a job gets the one that has most room.
        preloaded: Modules that the server imports, which start no threads.
        variables: Environment variables that each process begins with.
        jobs_a_worker: Jobs that a process does before it ends.
    """

    def __init__(
        self,
        workers: int,
        devices: Sequence[str],
        preloaded: Sequence[str],
        variables: Mapping[str, str] = NO_VARIABLES,
        jobs_a_worker: int = JOBS_A_WORKER,
    ) -> None:
        self._begin_with = partial(begin_with, variables, preloaded)
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")  # mypy knows its base
        if forks:
            self._context.set_forkserver_preload(list(preloaded))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="job")
        self._free = FreeDevices(devices)
        self._most = jobs_a_worker
        self._one_at_a_time = threading.Lock()  # multiprocessing's list of children is not made for threads
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._closed = False

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`; a job that finds no room waits for it, and its limit counts from its start."""
        return self._threads.submit(self._wait_and_follow, self._free.ask(share), work, folder, limit_s)

    def _wait_and_follow(self, turn: Turn, work: Callable[[str, str], int], folder: str, limit_s: float) -> int:
        device = self._free.wait(turn)
        try:
            return self._follow(self._worker_for(device, turn.share), work, folder, limit_s)
        finally:
            self._free.give_back(turn, device)

    def _follow(self, worker: _Worker, work: Callable[[str, str], int], folder: str, limit_s: float) -> int:
        worker.left -= 1
        try:
            try:
                worker.channel.send((work, folder, worker.left > 0))
            except OSError:
                raise ProcessLookupError("it ended before it was given a job") from None
            status = int(self._hear(worker, limit_s))
        except BaseException:
            self._end([worker], patience_s=0)
            raise
        if status == 0 and worker.left > 0:
            with self._one_at_a_time:
                self._idle.append(worker)
        else:  # what failed may have left anything
            self._end([worker])
        return status

    def _worker_for(self, device: str, share: float) -> _Worker:
        """Return a process that waits for a job on the device, with as large a share of it, or start one."""
        while True:
            with self._one_at_a_time:
                there = [worker for worker in self._idle if worker.device == device]
                found = next((worker for worker in there if worker.share == share), None)
                out = [found] if found is not None else there
                self._idle = [worker for worker in self._idle if worker not in out]
            if found is None:
                self._end(there)  # they hold memory of a device that is wanted in other parts
                return self._start(device, share)
            if self._is_ready(found):
                return found
            self._end([found])

    def _is_ready(self, worker: _Worker) -> bool:
        """Say whether a process lives and has put back what its last job left."""
        try:
            is_clean = bool(self._hear(worker, CLEAN_SECONDS))
        except (TimeoutError, ProcessLookupError):
            return False
        with self._one_at_a_time:
            return is_clean and worker.process.is_alive()

    def _start(self, device: str, share: float) -> _Worker:
        ours, its = self._context.Pipe()
        with its, self._one_at_a_time:
            if self._closed:
                raise CancelledError
            process = self._context.Process(target=serve, args=(its, device, share))
            try:
                with self._begin_with():
                    process.start()
            except (OSError, EOFError) as error:  # no more processes, or the server is gone
                ours.close()
                raise ProcessLookupError(f"it could not be started: {error}") from error
            worker = _Worker(process, ours, device, share, self._most)
            self._workers.add(worker)
        try:
            self._hear(worker, START_SECONDS)
        except BaseException as error:
            self._end([worker], patience_s=0)
            if isinstance(error, TimeoutError):
                raise ProcessLookupError(f"it did not begin within {START_SECONDS:g} s") from None
            raise
        return worker

    def _hear(self, worker: _Worker, seconds: float) -> Any:
        """Return what a process tells next, or raise ``TimeoutError``, or ``ProcessLookupError`` where it ended."""
        if not wait([worker.channel, worker.process.sentinel], min(seconds, LONGEST_WAIT_SECONDS)):
            raise TimeoutError
        with contextlib.suppress(EOFError, OSError):
            if worker.channel.poll():
                return worker.channel.recv()
        wait([worker.process.sentinel], PATIENCE_SECONDS)
        with self._one_at_a_time:
            raise ProcessLookupError(f"exit status {worker.process.exitcode}")

    def _end(self, workers: Iterable[_Worker], patience_s: float = PATIENCE_SECONDS) -> None:
        """End processes: one that waits for a job ends when its channel is closed; then they are asked, then killed."""
        with self._one_at_a_time:
            ending = [worker for worker in workers if worker in self._workers]
            self._workers.difference_update(ending)
        for worker in ending:
            worker.channel.close()
        self._end_processes([worker.process for worker in ending], patience_s)

    def _end_processes(self, processes: Sequence[BaseProcess], patience_s: float) -> None:
        try:
            living = _not_ended(processes, patience_s)
            with self._one_at_a_time:
                for process in living:
                    process.terminate()
            _not_ended(living, PATIENCE_SECONDS)
        finally:  # a second Ctrl-C is no patience left
            with self._one_at_a_time:
                for process in processes:
                    if process.is_alive():
                        process.kill()
                    process.join(PATIENCE_SECONDS)

    def close(self) -> None:
        """End what still runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._free.close()
        with self._one_at_a_time:
            self._closed = True
            processes = [worker.process for worker in self._workers]
        self._end_processes(processes, 0)  # whoever follows a job hears of its end
        self._threads.shutdown()
        self._end(tuple(self._workers), 0)


def _not_ended(processes: Sequence[BaseProcess], seconds: float) -> list[BaseProcess]:
    """Wait for processes, and return those that have not ended in time."""
    late = time.monotonic() + seconds
    return [process for process in processes if not wait([process.sentinel], max(0, late - time.monotonic()))]
