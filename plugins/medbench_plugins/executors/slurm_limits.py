"""Limits of a cluster: which one SLURM names where it refuses a job or lets it wait, and what to change."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

ARRAY_LIMIT = re.compile(r"invalid job array", re.IGNORECASE)
"""What sbatch says of an array that is too long."""
_NOT_ALLOWED = r"(Account|QOS)NotAllowed|Invalid ?(Account|QOS)|(account|QOS|group) not (known|permitted)"
"""A partition that others may use; slurmctld says it in a sentence where it finds out before it schedules."""
_PER_JOB = r"(QOS|Assoc)Max\w*(PerJob|Wall)\w*|(QOS|Assoc)Min\w+"
NEVER = re.compile(
    r"invalid (partition|account|qos|feature|generic resource|wckey|reservation|node name|time|option|license|--\S+)|"
    r"(unrecognized|unknown|ambiguous) option|option requires an argument|requested time limit is invalid|"
    r"requested reservation is invalid|specification invalid|invalid [\w ()-]+ specification|no partition specified|"
    r"(node|partition) configuration .*not available|memory specification can ?not be satisfied|permission denied|"
    r"not permitted to use|more processors requested than permitted|(QOS|Assoc)(Max|Min|Grp)(?!Submit)\w+",
    re.IGNORECASE,
)
"""What sbatch says of a request that it would refuse again: nothing is won by waiting."""
NEVER_BEGINS = re.compile(
    rf"Partition(TimeLimit|NodeLimit|Config)|{_PER_JOB}|{_NOT_ALLOWED}|BadConstraints|"
    r"ReservationDeleted|DependencyNeverSatisfied",
    re.IGNORECASE,
)
"""Reasons for which a job would wait in the queue for ever."""
STUCK = re.compile(r"held|Minutes|PartitionDown|PartitionInactive|ReqNodeNotAvail|Nodes_required", re.IGNORECASE)
"""Reasons of which somebody ought to know, though they may pass."""

_LESS = "ask for less (cores, memory_gb, options)"
_SHORTER = "give a shorter --limit, of which a job asks for a minute more, or another"
_SUBMIT = r"(QOS|Assoc)(Max|Grp)Submit|submit limit"
_LIMITS = [
    ("PartitionTimeLimit|requested time limit is invalid",
     f"a job asks for more time than the partition allows (MaxTime); {_SHORTER} --partition in options"),
    ("MaxWall",
     f"a job asks for more time than its QOS or account allows (MaxWall); {_SHORTER} --qos in options"),
    (_PER_JOB,
     f"a job asks for more than its QOS or account allows one job; {_LESS}, or give another --qos in options"),
    (_NOT_ALLOWED,
     "the account, QOS or group of a job may not use the partition; in options, name one that may, as --account=NAME, "
     "or another --partition"),
    (_SUBMIT,
     "the QOS or account lets no more jobs of yours wait or run at a time (MaxSubmitJobs); wait until others of yours "
     "have ended, or give another --qos in options"),
    (ARRAY_LIMIT.pattern,
     "the cluster takes no arrays of jobs (MaxArraySize); its administrators would have to allow them"),
    ("PartitionNodeLimit|PartitionConfig|BadConstraints|configuration .*not available|memory specification|"
     "more processors",
     f"no node of the partition has what a job asks for; {_LESS}, or give another --partition in options"),
    ("held", "they begin once they are released (scontrol release)"),
    ("Minutes", "the computing time of the account or QOS is used up"),
]  # fmt: skip


def is_submit_limit(words: str) -> bool:
    """Say whether sbatch refused since no more jobs may wait or run; the sentence of its last line names all limits."""
    return re.search(_SUBMIT, words, re.IGNORECASE) is not None and NEVER.search(words) is None


def explain(words: str) -> str:
    """Return what SLURM said, and where a limit is named there, which one it is and what to change."""
    return next((f"{words}: {text}" for limit, text in _LIMITS if re.search(limit, words, re.IGNORECASE)), words)


@dataclass
class Room:
    """How many jobs the cluster takes, learnt from what it took and refused.

    Attributes:
        wait_s: Seconds until as many are tried again as it took before: jobs count there for a while after their end.
        forget_s: Seconds until more than that are tried: the limit may be shared with others.
    """

    wait_s: float
    forget_s: float
    _took: int = 0
    _full_at: int | None = None
    _full_until: float = 0.0
    _closed_until: float = 0.0
    _too_long: int | None = None

    def fits(self, waiting: int, queued: int) -> int:
        """Return how many of those that wait are to be tried as one array, 0 where there is no room."""
        now = time.monotonic()
        if now < self._closed_until:
            return 0
        count = waiting if self._too_long is None else min(waiting, max(1, self._too_long // 2))
        if self._full_at is None or now >= self._full_until:
            self._full_at = None
            return count
        left = self._full_at - queued
        return min(count, max(1, left // 2)) if left > 1 else 0

    def take(self, queued: int) -> None:
        """Note that so many are in the queue now."""
        self._took = max(self._took, queued)

    def is_full(self, count: int, queued: int) -> bool:
        """Note that so many were refused beside those in the queue; return whether there is room for none."""
        now = time.monotonic()
        if queued + count > self._took:
            self._full_at, self._full_until = max(2, queued + count), now + self.forget_s
        elif count == 1:
            self._closed_until = now + self.wait_s
        else:
            self._full_at, self._full_until = queued + count, now + self.wait_s
        return count == 1

    def is_too_long(self, count: int) -> bool:
        """Note that an array of so many was refused; return whether there is no shorter one."""
        self._too_long = count
        return count == 1
