"""What worker processes are made to do in the tests of executors."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from pathlib import Path


def returns(folder: str, device: str) -> int:
    """Return the number the folder is called."""
    return int(folder)


def notes_device(folder: str, device: str) -> int:
    """Leave a file that has the device's name."""
    (Path(folder) / device).touch()
    return 0


def exits(folder: str, device: str) -> int:
    """Leave without a word."""
    os._exit(3)


def is_killed(folder: str, device: str) -> int:
    """End as the kernel ends a process where memory has run out."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def raises(folder: str, device: str) -> int:
    """Raise what nobody catches."""
    raise RuntimeError("as it should")


def dies_beside_a_child(folder: str, device: str) -> int:
    """Die while a child that has inherited every open file goes on, as workers of a data loader do for a while."""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
    child.start()
    (Path(folder) / "child").write_text(str(child.pid))
    os._exit(3)


def hangs(folder: str, device: str) -> int:
    """Say who it is and never return."""
    (Path(folder) / "writing").write_text(str(os.getpid()))
    (Path(folder) / "writing").rename(Path(folder) / "pid")
    time.sleep(600)
    return 0


def hangs_deaf(folder: str, device: str) -> int:
    """Hang and not listen to a polite request to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return hangs(folder, device)


def counts_threads_of_its_server(folder: str, device: str) -> int:
    """Write the names of the threads of the process this one was forked from."""
    tasks = Path(f"/proc/{os.getppid()}/task")
    (Path(folder) / "threads").write_text("\n".join((t / "comm").read_text().strip() for t in tasks.iterdir()))
    return 0


def holds_the_lock(folder: str, device: str) -> int:
    """Never give Python's lock back: no thread of this process runs again."""
    Path(folder, "pid").write_text(str(os.getpid()))
    Path(folder, "ready").touch()
    re.match(r"(a+)+$", "a" * 60 + "b")
    return 0


def notes_its_place(folder: str, device: str) -> int:
    """Leave a file named after the job that holds its device."""
    (Path(folder).with_suffix(".device")).write_text(device)
    return 0


def waits_for_a_file(folder: str, device: str) -> int:
    """Note the device, then wait until a file named ``go`` lies beside the folder."""
    notes_its_place(folder, device)
    while not Path(folder).with_name("go").is_file():
        time.sleep(0.02)
    return 0
