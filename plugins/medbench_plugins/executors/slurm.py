"""Jobs of a cluster with SLURM: what is asked for; slurm_jobs.py runs them."""

from __future__ import annotations

import math
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import medbench
from medbench_plugins.executors import slurm_options
from medbench_plugins.executors.servers import NO_VARIABLES
from medbench_plugins.executors.slurm_jobs import SlurmJobs


@dataclass(frozen=True)
class Slurm:
    """Jobs of a SLURM cluster, whose machines all see the folder of results.

    Attributes:
        options: Further options of sbatch, as ``--partition=gpu --gres=gpu:1``; SBATCH_* variables work as well.
        memory_gb: Memory of a job, twice as much for one that ran out of it; 0 leaves it to `options` and the cluster.
        cores: Cores of a job.
        at_a_time: Jobs that wait or run at a time, unless ``--workers`` says.
        poll_s: Seconds from one question to the next; one question is of all jobs. Further patience is counted in it.
        patience_s: Seconds after which a job ends that has not heard of its runner.

    Raises:
        UsageError: For options that cannot be read or contradict `memory_gb`, and numbers that make no sense.
    """

    name: str = "slurm"
    options: str = ""
    memory_gb: float = 0.0
    cores: int = 1
    at_a_time: int = 64
    poll_s: float = 5.0
    patience_s: float = 120.0

    def __post_init__(self) -> None:
        try:
            words = self.words
        except ValueError as error:
            raise medbench.UsageError(f"slurm[options={self.options}]: {error}; write it as in a shell.") from None
        if self.memory_gb > 0 and slurm_options.memory(words) is not None:
            raise medbench.UsageError("slurm: memory_gb and --mem of options both say how much memory; leave one out.")
        for name, least in (("memory_gb", 0), ("cores", 1), ("at_a_time", 1)):
            if not getattr(self, name) >= least:
                raise medbench.UsageError(f"slurm: {name} is {getattr(self, name)}; give at least {least}.")
        for name in ("poll_s", "patience_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise medbench.UsageError(f"slurm: {name} is {getattr(self, name)}; give seconds, more than 0.")

    @property
    def words(self) -> list[str]:
        """The further options, one by one."""
        return shlex.split(self.options)

    def memory(self, factor: float) -> list[str]:
        """Return how sbatch is asked for `factor` times the memory of a job; nothing where no memory is given."""
        asked = ("--mem", 1024 * self.memory_gb) if self.memory_gb > 0 else slurm_options.memory(self.words)
        return [f"{asked[0]}={math.ceil(round(asked[1] * factor, 3))}M"] if asked is not None else []

    def more_memory(self) -> str:
        """See :class:`medbench.Executor`."""
        if (had := self.memory(1)) and (has := self.memory(2)):
            return f"with twice the memory, {has[0]} in place of {had[0]}"
        return "with the same request: slurm has no memory_gb that could be doubled, so the cluster says how much it is"

    def start(
        self, *, workers: int, devices: Sequence[str], variables: Mapping[str, str] = NO_VARIABLES
    ) -> medbench.Jobs:
        """Start asking.

        Args:
            workers: Jobs at a time.
            devices: Torch devices.
            variables: Environment variables that each job begins with.

        Raises:
            ResourceError: If there is no sbatch here.
        """
        if shutil.which("sbatch") is None:
            raise medbench.ResourceError("--executor slurm: sbatch is not found here; run it where jobs are submitted.")
        return SlurmJobs(self, workers, devices[0], variables)
