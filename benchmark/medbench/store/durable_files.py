"""Files that are on the disk once a function has returned, and logs that are cut to a limit."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

LOG_LIMIT = 10 * 2**20


def sync_tree(folder: Path) -> None:
    """Flush every file of a folder, and the folder, to the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and flush it to the disk; half of it is never there."""
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def shorten_log(log: Path) -> None:
    """Cut a log to LOG_LIMIT bytes, and say so at its end."""
    if log.is_file() and log.stat().st_size > LOG_LIMIT:
        with log.open("r+b") as file:
            file.truncate(LOG_LIMIT)
            file.seek(0, os.SEEK_END)
            file.write(b"\n[the log went on; it was cut here]\n")
