"""What every process that does jobs does for itself: it ends with its runner, and takes no more than its share."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from medbench_plugins.executors.clean_slate import CleanSlate

CONTEXT_BYTES = 600 * 2**20
"""What CUDA itself takes in each process beside the memory of tensors; the limit on those does not count it."""


def serve(tell: Connection, device: str, share: float) -> None:
    """Be a process that does jobs: tell the runner that it began, and after each job its status and if it is clean.

    Args:
        tell: Gives ``(work, folder, whether another job may follow)``.
        device: Where jobs run.
        share: Part of the device.
    """
    tell.send(None)
    settle()
    cap_memory(device, share)
    slate = CleanSlate()
    streams = [os.dup(number) for number in (1, 2)]  # a job sends both into its log
    goes_on = True
    while goes_on:
        try:
            work, folder, goes_on = tell.recv()
        except EOFError:
            return
        tell.send(work(folder, device))
        if goes_on:
            for number, stream in enumerate(streams, start=1):
                os.dup2(stream, number)
            goes_on = not slate.put_back()
            tell.send(goes_on)


def settle() -> None:
    """Leave Ctrl-C to the runner, end when it does, and be the first that the kernel ends where memory runs out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_runner()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def cap_memory(device: str, share: float) -> None:
    """Let this process have no more of a GPU's memory than its share; what asks for more meets an out-of-memory error.

    A whole device has no limit but its size. Where CUDA does not start nothing is done: the job will say why.

    Args:
        device: "cpu", for which nothing is done, or "cuda:0" and the like.
        share: Part of the device, 0 to 1.
    """
    if not device.startswith("cuda"):
        return
    torch: Any = importlib.import_module("torch")
    with contextlib.suppress(RuntimeError, AssertionError):
        fraction = 1.0
        if share < 1:
            total = torch.cuda.mem_get_info(device)[1]
            fraction = max(share / 2, share - CONTEXT_BYTES / total)
        torch.cuda.set_per_process_memory_fraction(fraction, device)


def end_with_runner() -> None:
    """Have this process end once the runner is gone.

    The kernel's own signal for that (PR_SET_PDEATHSIG) speaks of the parent, which is the server that forked us: it
    outlives a runner that was killed for as long as one of its workers runs. So the kernel is asked to kill us when the
    runner's end of a pipe closes, which also reaches a job that never gives Python's lock back. A thread does it where
    the kernel cannot.
    """
    runner = multiprocessing.parent_process()
    if runner is None:
        return
    with contextlib.suppress(OSError, AttributeError):
        sentinel = runner.sentinel
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)  # Linux alone has it
        fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_end_after, args=(runner,), daemon=True).start()


def _end_after(runner: Any) -> None:
    runner.join()
    os._exit(1)
