"""The folder that Ray gets for one run: readable by its user alone, and gone with the run however that ends.

A lock in it is held by the run and by the program that clears up after it, which is
:mod:`medbench_plugins.executors.ray_reaper`. Where neither is left, as after all processes of a user were killed, the
next run removes the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from medbench_plugins.executors import ray_reaper

PREFIX = "mb-ray-"
LOCK = "lock"
INNER = "r"
"""Ray opens its folder to everybody; this one lies in ours. The name is short: so must the paths of sockets be."""
OLD_SECONDS = 3600.0
"""A folder without a lock is of an earlier version, or is being made; untouched for so long it is nobody's."""
PATIENCE_SECONDS = 30.0


class RayFolder:
    """A new folder, and the program that removes it; those that dead runs left are removed first.

    Raises:
        OSError: If the folder cannot be made, or the program not started.
    """

    def __init__(self) -> None:
        remove_left()
        self._outer = Path(tempfile.mkdtemp(prefix=PREFIX))  # of mode 0700
        self._lock = _locked(self._outer)
        (self._outer / INNER).mkdir()
        self._reaper = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-I", "-S", ray_reaper.__file__, str(self._outer), str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(self._lock,),
            cwd="/", start_new_session=True,
        )  # fmt: skip

    @property
    def for_ray(self) -> str:
        """What Ray is given."""
        return str(self._outer / INNER)

    def close(self) -> None:
        """End what Ray left running, and remove the folder."""
        assert self._reaper.stdin is not None
        with contextlib.suppress(OSError):
            self._reaper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._reaper.wait(PATIENCE_SECONDS)
        shutil.rmtree(self._outer, ignore_errors=True)  # where the program was killed
        os.close(self._lock)


def remove_left() -> None:
    """Remove this user's folders of runs that are dead, and of whom nothing removed them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            if stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and _is_left(folder):
                ray_reaper.clear(str(folder))


def _is_left(folder: Path) -> bool:
    if (folder / LOCK).exists():
        return not _is_locked(folder / LOCK)
    touched = max(file.lstat().st_mtime for file in (folder, *folder.rglob("*")))
    return time.time() - touched > OLD_SECONDS and not ray_reaper.processes_of(str(folder))


def _is_locked(path: Path) -> bool:
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _locked(folder: Path) -> int:
    """Make the lock of a folder, and return it; nobody sees one that is not locked yet."""
    fresh = folder / f"{LOCK}.new"
    lock = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    fresh.rename(folder / LOCK)
    return lock
