"""What can go wrong, and the exit code each kind of failure ends a command with."""

from __future__ import annotations

from typing import Literal


class MedbenchError(Exception):
    """A failure that a user can mend; printed as one sentence, without a traceback.

    The message names the file or field, says what is wrong, and ends with the fix.
    """

    exit_code = 1
    kind = "bug"


class UsageError(MedbenchError):
    """A wrong option, name, parameter or study file (exit code 2)."""

    exit_code = 2
    kind = "usage"


class DataError(MedbenchError):
    """A data file that is missing, damaged or contradicts another (exit code 3)."""

    exit_code = 3
    kind = "data"


class PluginError(MedbenchError):
    """A plugin that cannot be loaded, or that breaks its contract (exit code 4)."""

    exit_code = 4
    kind = "plugin"


class ContractError(PluginError):
    """A recipe that returned what its interface forbids."""

    kind = "contract"


class StoreError(MedbenchError):
    """A result store that is busy, damaged, too new or not writable (exit code 5)."""

    exit_code = 5
    kind = "store"


class ResourceError(MedbenchError):
    """Disk, memory, a device or a library is missing (exit code 6)."""

    exit_code = 6
    kind = "resources"


class RunFailed(MedbenchError):  # noqa: N818  the run ends with it, and its message names the error
    """A run that was given up since every job ended with one and the same failure (exit code 7)."""

    exit_code = 7
    kind = "failed"


class LeakError(MedbenchError):
    """Training has seen what it must not see (exit code 8)."""

    exit_code = 8
    kind = "leak"


class Diverged(MedbenchError):  # noqa: N818  what happened, not an error of the program
    """A fit whose loss is no longer finite; the trial fails, the others go on."""

    exit_code = 7
    kind = "diverged"


class Skip(Exception):  # noqa: N818  it is not an error: a skipped cell is a row of the table
    """Raise it from ``fit`` when a combination makes no sense; the reason becomes a row of the table."""


class JobLost(ProcessLookupError):  # noqa: N818  what became of a job, not an error of the program
    """What the future of an executor's job raises where the system that was to run it ended, lost or never began it.

    Args:
        message: What became of it, as half a sentence: "SLURM ended it (NODE_FAIL)".
        kind: "lost" for a job that is run again, as one whose process died; "resources" where the same would come of
            it, so that it is left to another command. Neither counts as a failure of its method.
    """

    def __init__(self, message: str, kind: Literal["lost", "resources"] = "lost") -> None:
        super().__init__(message)
        self.kind = kind
