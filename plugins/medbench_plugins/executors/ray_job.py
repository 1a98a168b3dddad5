"""One job as a task of Ray: its process does further ones where it can be put back."""

from __future__ import annotations

import importlib
import os
import signal

from medbench_plugins.executors.clean_slate import CleanSlate
from medbench_plugins.executors.far_jobs import choose_device, do_job
from medbench_plugins.executors.worker import cap_memory

_kept: list[CleanSlate] = []
_streams: list[int] = []


def do(board: str, number: int) -> None:
    """Do a job of the board; what it leaves is put back, or this process ends. The status is on the board."""
    if not _kept:
        importlib.import_module("medbench_plugins.preload")  # so that the first job finds what the next ones do
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _kept.append(CleanSlate())
        _streams.extend(os.dup(stream) for stream in (1, 2))
    status = 1
    try:
        status = do_job(board, number, _prepare)
    finally:
        for stream, was in enumerate(_streams, start=1):
            os.dup2(was, stream)
        if status != 0 or _kept[0].put_back():
            os._exit(0)


def _prepare(wanted: str, share: float) -> str:
    device = choose_device(wanted)
    cap_memory(device, share)
    return device
