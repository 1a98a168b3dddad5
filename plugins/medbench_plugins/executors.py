"""Executors: where jobs run. ``local`` gives every job a process of its own on this machine."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import medbench

PRELOADED = ("medbench.job", "medbench_plugins.preload")


@dataclass(frozen=True)
class Local:
    """Processes of this machine, forked from a server that has the libraries imported and no GPU touched.

    One process a job: a job that crashes, hangs or exhausts memory costs one trial and nothing else.
    """

    name: str = "local"

    def start(self, *, workers: int, devices: Sequence[str]) -> medbench.Jobs:
        """Start the pool; the first job waits about two seconds for the libraries."""
        return _Pool(workers, devices)


class _Pool:
    def __init__(self, workers: int, devices: Sequence[str]) -> None:
        from pebble import ProcessPool

        forks = "forkserver" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            context.set_forkserver_preload(list(PRELOADED))
        self._pool = ProcessPool(max_workers=workers, max_tasks=1, context=context, initializer=_settle)
        self._devices = itertools.cycle(devices)

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`; jobs take the devices in turn."""
        inner = self._pool.schedule(work, args=(folder, next(self._devices)), timeout=limit_s)
        outer: Future[int] = Future()

        def pass_on(done: Future[int]) -> None:
            with contextlib.suppress(Exception):  # the run may have been cancelled meanwhile
                if done.cancelled():
                    outer.cancel()
                    return
                error = done.exception()
                if error is None:
                    outer.set_result(done.result())
                elif isinstance(error, TimeoutError):
                    outer.set_exception(error)
                else:
                    status = getattr(error, "exitcode", None)
                    outer.set_exception(ProcessLookupError(f"exit status {status}"))

        inner.add_done_callback(pass_on)
        return outer

    def close(self) -> None:
        """End what still runs."""
        self._pool.stop()
        self._pool.join()


def _settle() -> None:
    """Prepare a worker: it leaves Ctrl-C to the runner and ends when the runner does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_runner, daemon=True).start()
    with contextlib.suppress(OSError):  # where memory runs out the kernel ends a worker, not the runner
        Path("/proc/self/oom_score_adj").write_text("800")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it to repeat bit for bit


def _end_with_runner() -> None:
    """End this process once the runner is gone.

    The kernel's own signal for that (PR_SET_PDEATHSIG) speaks of the parent, which is the server that forked us: it
    outlives a runner that was killed for as long as one of its workers runs.
    """
    runner = multiprocessing.parent_process()
    if runner is not None:
        runner.join()
        os._exit(1)


@medbench.hookimpl
def register_executors() -> list[medbench.Executor]:
    """Return the built-in executors."""
    return [Local()]
