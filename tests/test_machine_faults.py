"""Faults of the machine are told apart from those of a recipe, however a library says it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from medbench.machine_faults import find_machine_fault, is_interruption


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (OSError(errno.EFBIG, "File too large"), "disk"),
        (OSError(errno.EMFILE, "Too many open files"), "resources"),
        (OSError(errno.ENFILE, "Too many open files in system"), "resources"),
        (RuntimeError("can't start new thread"), "resources"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), "memory"),
        (RuntimeError("failed to write: No space left on device (os error 28)"), "disk"),
        (ValueError("labels must lie in 0..1"), None),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), None),
    ],
)
def test_a_fault_is_known_by_number_type_or_words(error: Exception, kind: str | None) -> None:
    found = find_machine_fault(error)

    assert (found[0] if found else None) == kind


def test_polars_says_a_full_disk_in_words() -> None:
    import polars

    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(Exception, match=r".") as raised:
        polars.DataFrame({"a": list(range(10_000))}).write_parquet(full)

    assert find_machine_fault(raised.value) is not None


def test_what_a_recipe_wraps_is_still_the_machines_fault() -> None:
    wrapped = ValueError("the images could not be read")
    wrapped.__cause__ = MemoryError()

    assert find_machine_fault(wrapped) is not None


@pytest.mark.parametrize(
    ("kind", "message", "machine"),
    [
        ("lost", "its process died 3 times (exit status -9).", True),
        ("bug", "OSError: Too many open files", True),
        ("bug", "ComputeError: No space left on device (os error 28)", True),
        ("bug", "ZeroDivisionError: division by zero", False),
        ("timeout", "it ran past the limit of 8 s.", False),
    ],
)
def test_stored_failures_of_earlier_versions_are_told_apart(kind: str, message: str, machine: bool) -> None:
    assert is_interruption(kind, message) == machine
