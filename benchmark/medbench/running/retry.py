"""Whether a job that failed is run again: its process died, memory was short, or a stage that it needs was damaged."""

from __future__ import annotations

from collections.abc import Collection

from medbench.running.resume import Job
from medbench.store.trial_files import Failure

LOST_RETRIES = 2
"""How often a job is run again whose process died."""


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
