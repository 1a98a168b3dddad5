"""How a run ended, in numbers, as a sentence, and as the error that it amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from medbench.errors import DataError, LeakError, MedbenchError, ResourceError, RunFailed, StoreError
from medbench.planning.time_forecast import duration_text
from medbench.store.trial_files import Failure
from medbench.text import counted

TRIALS_FAILED = 7
"""Exit code where some trials failed and the rest is stored."""


@dataclass
class Summary:
    """How a run went.

    Attributes:
        hits: Trials whose result was stored before.
        done: Trials that finished now.
        failed: Trials without a result, now or before.
        leaked: Those of them in which training saw what it must not see.
        skipped: Trials that turned out to make no sense.
        interrupted: Failures of trials that a fault of the machine ended; the same command tries them again.
        stages: Generators fitted now.
        features: Data sets whose features were computed now.
        seconds: Wall time.
        stopped: The one failure that every job ended with, where the run was given up for it.
    """

    hits: int = 0
    done: int = 0
    failed: int = 0
    leaked: int = 0
    skipped: int = 0
    interrupted: list[Failure] = field(default_factory=list)
    stages: int = 0
    features: int = 0
    seconds: float = 0.0
    stopped: Failure | None = None

    @property
    def ran(self) -> bool:
        """Whether anything was trained now."""
        return bool(self.done or self.stages or self.interrupted or self.stopped)

    @property
    def sentence(self) -> str:
        """What happened, in one line."""
        parts = [f"{counted(self.done, 'training run')} done"]
        if self.hits:
            parts.append(f"{self.hits} stored before")
        if self.stages:
            parts.append(f"{counted(self.stages, 'generator')} trained")
        if self.features:
            parts.append(f"the features of {counted(self.features, 'data set')} computed")
        if self.failed:
            parts.append(f"{self.failed} FAILED (medbench logs)")
        if self.interrupted:
            parts.append(f"{len(self.interrupted)} INTERRUPTED (medbench logs)")
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        return f"{', '.join(parts)}, {duration_text(self.seconds)}"


def exit_code(summaries: Sequence[Summary]) -> int:
    """Return the exit code of a command that ran these: 0, 7 where trials failed, 8 where training saw test data."""
    if any(summary.leaked for summary in summaries):
        return LeakError.exit_code
    return TRIALS_FAILED if any(summary.failed for summary in summaries) else 0


def check_not_interrupted(summaries: Sequence[Summary]) -> None:
    """Raise where faults of the machine ended trials, so that no table is taken for the whole.

    Raises:
        StoreError, DataError, ResourceError: By the kind of the first.
    """
    failures = [failure for summary in summaries for failure in summary.interrupted]
    if failures:
        first = failures[0]
        again = "" if "same command" in first.message else " Run the same command again."
        raise _error_of_machine(first)(
            f"{counted(len(failures), 'training run', 'were')} ended by a fault of the machine, not counted and to be "
            f"run again; the first by {first.kind}: {first.message}{again}"
        )


def check_not_stopped(summary: Summary) -> None:
    """Raise where a run was given up, with its one failure.

    Raises:
        StoreError, DataError, ResourceError: For a fault of the machine, which the same command tries again.
        RunFailed: For any other.
    """
    failure = summary.stopped
    if failure is None:
        return
    again = "the same command" if summary.interrupted else "the same command with --retry-failed"
    raise (_error_of_machine(failure) if summary.interrupted else RunFailed)(
        "every job so far ended with the same failure, so no more were started: "
        f"{failure.message.rstrip('.')}. `medbench logs` shows where; once it is mended, {again} runs all of it."
    )


def _error_of_machine(failure: Failure) -> type[MedbenchError]:
    return {"store": StoreError, "data": DataError}.get(failure.kind, ResourceError)
