"""The folder for decoded and drawn data: where it is, and whether what lies in it is what was written."""

from __future__ import annotations

import functools
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from medbench import sealed_records
from medbench.errors import ResourceError

FORMAT = 2  # of decoded and drawn data; raise it where the next version could not read it
_LOG = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the folder for decoded arrays and phantoms: MEDBENCH_CACHE, or the user's cache folder."""
    return Path(os.environ.get("MEDBENCH_CACHE") or platformdirs.user_cache_dir("medbench"))


def write_error(folder: Path, error: OSError) -> ResourceError:
    """Return the error that says which folder cannot be written, why, and the way out."""
    return ResourceError(
        f"{folder}: decoded or drawn data cannot be written there ({error.strerror}); "
        "free some space or set MEDBENCH_CACHE to a folder that has it."
    )


def find_damage(folder: Path, record: str) -> str | None:
    """Say which file of a folder is not what was written, or return None; an unchanged folder is read once."""
    try:
        state = [(str(p), s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for p, s in _stats(folder)]
        return _compare_sums(folder, record, tuple(sorted(state)))
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _stats(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.rglob("*"):
        yield path, path.stat()


@functools.lru_cache(maxsize=256)
def _compare_sums(folder: Path, record: str, state: tuple[object, ...]) -> str | None:
    try:
        _, sums = sealed_records.read(folder / record)
        sealed_records.check(folder, {record: ""} if sums is None else sums)
    except sealed_records.Damaged as error:
        return str(error)
    return None


def set_aside(folder: Path, why: str, then: str) -> None:
    """Move a damaged folder into ``.damaged`` beside it, and say in the log why and what happens then."""
    aside = folder.parent / ".damaged" / f"{folder.name}.{uuid.uuid4().hex[:8]}"
    try:
        aside.parent.mkdir(exist_ok=True)
        folder.rename(aside)
    except OSError as error:
        raise write_error(folder, error) from None
    _LOG.warning("note: %s: %s; it was moved to %s, %s", folder, why, aside, then)


def move_into_place(partial: Path, final: Path) -> None:
    """Move a finished folder into place; where another process was first, its folder stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise
