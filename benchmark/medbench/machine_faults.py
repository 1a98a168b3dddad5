"""Faults of the machine, such as a full disk, recognised by exception. They say nothing of an arm: none is scored."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

INTERRUPTIONS = frozenset({"store", "data", "disk", "memory", "resources", "lost"})
"""Kinds of failure that are none of the recipe: such a trial is tried again by the same command."""

DISK = "the disk is full; free some space, then run the same command."
FILES = "too many files are open; raise the limit (ulimit -n) or use fewer --workers, then run the same command."
MEMORY = "there was not enough memory for this trial."
DEVICE_MEMORY = "there was not enough memory on the device for this trial."
THREADS = "no further thread or process could be started; raise the limit (ulimit -u) or use fewer --workers."

_BY_NUMBER = {
    errno.ENOSPC: ("disk", DISK),
    errno.EDQUOT: ("disk", DISK),
    errno.EFBIG: ("disk", "a file grew past the limit on a file's size; raise it (ulimit -f), run the same command."),
    errno.EROFS: ("disk", "the disk can only be read; make it writable, then run the same command."),
    errno.EIO: ("disk", "the disk reports an error; look after it, then run the same command."),
    errno.ENOMEM: ("memory", MEMORY),
    errno.EMFILE: ("resources", FILES),
    errno.ENFILE: ("resources", FILES),
}
# Libraries of Rust and C++ say it in words, in exceptions of their own: polars, safetensors, torch, the thread module.
_BY_WORDS = (
    (re.compile(r"no space left on device|disk quota exceeded|os error (28|122)\b", re.I), ("disk", DISK)),
    (re.compile(r"file too large|os error 27\b", re.I), _BY_NUMBER[errno.EFBIG]),
    (re.compile(r"read-only file system|os error 30\b", re.I), _BY_NUMBER[errno.EROFS]),
    (re.compile(r"input/output error|os error 5\b", re.I), _BY_NUMBER[errno.EIO]),
    (re.compile(r"too many open files|os error (24|23)\b", re.I), ("resources", FILES)),
    (re.compile(r"can't start new thread", re.I), ("resources", THREADS)),
    (
        re.compile(
            r"can(no|')t allocate memory|unable to allocate \S+ \w?i?b|bad_alloc|failed to map segment|os error 12\b",
            re.I,
        ),
        ("memory", MEMORY),
    ),
)


def find_machine_fault(error: BaseException) -> tuple[str, str] | None:
    """Return the kind and the sentence of a fault of the machine, or None where an exception is something else.

    What was raised while another was handled, or from it, counts as well: recipes wrap what they meet.
    """
    for one in _chain(error):
        if isinstance(one, MemoryError):
            return "memory", MEMORY
        if type(one).__name__ == "OutOfMemoryError":  # torch's own; torch is not imported here
            return "memory", DEVICE_MEMORY
        if isinstance(one, OSError) and one.errno in _BY_NUMBER:
            return _BY_NUMBER[one.errno]
        if found := fault_in_message(str(one)):
            return found
    return None


def fault_in_message(message: str) -> tuple[str, str] | None:
    """Return the kind and the sentence of the fault of the machine that a message describes, or None."""
    return next((found for pattern, found in _BY_WORDS if pattern.search(message)), None)


def is_interruption(kind: str, message: str) -> bool:
    """Say whether a stored failure is a fault of the machine, also one stored before they were told apart."""
    return kind in INTERRUPTIONS or (kind == "bug" and fault_in_message(message) is not None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
