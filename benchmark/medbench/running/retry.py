"""Whether a job that failed is run again: its process died, memory was short, or a stage that it needs was damaged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from medbench.machine_faults import find_machine_fault
from medbench.running.resume import Job
from medbench.store.trial_files import Failure

LOST_RETRIES = 2
"""How often a job is run again whose process died."""


PROBE_BYTES = 16 * 1024
"""A disk that does not take so much is full."""


def find_disk_fault(folder: Path) -> Failure | None:
    """Return why nothing can be written into a folder, such as a full disk; None where it can.

    Asked where a process died without a word: it may have died of that.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        kind, message = find_machine_fault(error) or ("", "")
        return Failure(kind, message) if kind == "disk" else None
    return None


def may_retry_lost(job: Job) -> bool:
    """Count a job's process that died, and say whether it is run again."""
    if job.lost >= LOST_RETRIES:
        return False
    job.lost += 1
    return True


def may_retry(job: Job, failure: Failure, damaged: Collection[str], more_memory: str = "") -> str:
    """Say why a job that failed is run again; empty where it is not.

    Args:
        job: What failed; its share is doubled where it lacked memory.
        failure: What it ended with.
        damaged: Keys of stages that it needs, that were damaged and are fitted again.
        more_memory: What a job gets whose share is doubled, where the executor says so; its share is no part of a
            device then, and may be more than 1.
    """
    if damaged and not job.mended:
        job.mended = True
        return "a stage that it needs was damaged and is fitted again"
    if failure.kind == "memory" and not job.widened:
        had, job.widened = job.share, True
        job.share = 2 * had if more_memory else min(1.0, 2 * had)
        return f"there was not enough memory; trying once more {more_memory or _with_room(had, job.share)}"
    return ""


def _with_room(had: float, has: float) -> str:
    """Say how much more of a device a job gets, which its worker holds it to."""
    return (
        f"with {100 * has:.0f} % of a device in place of {100 * had:.0f} %"
        if has > had
        else "as it was, with a device to itself"
    )
