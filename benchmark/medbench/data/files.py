"""Files of a data set: which there are, what bytes they hold, and what tells without reading them that they changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from medbench.errors import DataError

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".xml", ".txt", ".yaml", ".yml", ".toml", ".xls", ".xlsx", ".ods")
"""Endings of files that hold labels, patients and parts rather than pixels."""
TABLE_BYTES = 16 * 2**20
TOLD = 1024
"""Files after which it is said how many there are."""
FileState = tuple[str, int, int, int, int, str]
"""Relative path, size, times of content and of status in ns, inode, and the SHA-256 of a table."""


def list_files(root: Path, progress: Callable[[str, int, int], None] | None = None) -> list[FileState]:
    """Return what tells of every file whether it changed, sorted; hidden files do not count.

    Sizes and times of content do not: copies, archives and layers of containers keep or set them. The kernel alone sets
    the time of status, which not every file system has; so tables, which are small, are always read.

    Args:
        root: The folder.
        progress: Told of a large folder how many files were found, of how many nobody knows.

    Raises:
        DataError: For what cannot be listed, and for a link that leaves the folder: what lies behind it was not given,
            and one to "/" is the whole disk.
    """
    inside = os.path.realpath(root)
    above_all = os.path.join(root, "")
    found: list[FileState] = []
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(str(root), frozenset())]
    while waiting:
        folder, above = waiting.pop()
        try:
            status = os.stat(folder)
            here = (status.st_dev, status.st_ino)
            if here in above:
                raise DataError(f"{_escape(folder)}: is a link to a folder above it; remove the link.")
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if not _is_utf8(entry.name):
                        raise DataError(f"{_escape(entry.path)}: its name is not UTF-8; rename it.")
                    if entry.is_symlink() and not f"{os.path.realpath(entry.path)}/".startswith(f"{inside}/"):
                        raise DataError(
                            f"{_escape(os.path.relpath(entry.path, root))}: is a link out of the data folder and is "
                            "not followed; put the files themselves there, or remove the link."
                        )
                    if entry.is_dir():  # links within the folder are followed
                        waiting.append((entry.path, above | {here}))
                    elif entry.is_file():
                        status = entry.stat()
                        relative = entry.path[len(above_all) :].replace(os.sep, "/")
                        table = entry.name.lower().endswith(TABLES) and status.st_size <= TABLE_BYTES
                        content = sha256_of(Path(entry.path)) if table else ""
                        times = (status.st_mtime_ns, status.st_ctime_ns)
                        found.append((relative, status.st_size, *times, status.st_ino, content))
                        if progress and len(found) % TOLD == 0:
                            progress("listing the files", len(found), 0)
        except OSError as error:
            place = _escape(error.filename or folder)
            raise DataError(f"{place}: cannot be listed ({error.strerror}); mend it or remove it.") from None
    return sorted(found)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hex digits."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give it read permission or remove it.") from None


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escape(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
