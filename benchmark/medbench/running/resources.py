"""Where jobs run, and the plugins that they load."""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medbench.errors import UsageError
from medbench.interfaces import Budget, Executor, Jobs
from medbench.planning.calibration import ANY, ANY_GPU
from medbench.registry.catalogue import Catalogue
from medbench.running import devices, numerics

OWN_DISTRIBUTION = "medbench"


@dataclass(frozen=True)
class Resources:
    """Where jobs may run, as a user gives it.

    Attributes:
        workers: Jobs at a time; None for one per GPU, or for as many as the cores hold.
        device: "auto", "cpu", "cuda" or "cuda:0,cuda:1".
        executor: Name of a registered executor.
        limit_s: Wall-clock limit of one job, in seconds.
        workers_per_gpu: Jobs at a time on each GPU, in place of `workers`.
    """

    workers: int | None = None
    device: str = "auto"
    executor: str = "local"
    limit_s: float = 24 * 3600.0
    workers_per_gpu: int | None = None


@dataclass(frozen=True)
class Workers:
    """Where jobs run.

    Attributes:
        executor: What starts them.
        count: Jobs at a time.
        devices: Torch devices; a job gets the one that is freest.
        limit_s: Wall-clock limit of one job, in seconds.
        variables: Environment variables that a job's process must begin with.
    """

    executor: Executor
    count: int
    devices: tuple[str, ...] = ("cpu",)
    limit_s: float = 24 * 3600.0
    variables: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> Jobs:
        """Start the executor; one that is told of no variables need not know of them."""
        more = {"variables": self.variables} if self.variables else {}
        return self.executor.start(workers=self.count, devices=self.devices, **more)

    @property
    def device(self) -> str:
        """What a forecast calls the device: "cpu", a GPU's name, or ANY where it is found elsewhere."""
        if self.devices[0] == "auto":
            return ANY
        return devices.name_of_gpu() or ANY_GPU if self.devices[0].startswith("cuda") else "cpu"

    @property
    def share(self) -> float:
        """Part of a device that a job takes unless it turns out to need more."""
        return 1 / math.ceil(self.count / len(self.devices))

    @property
    def part_of_device(self) -> float:
        """Part of a device that a job keeps others from: all of it where each job elsewhere gets one of its own.

        An executor of a cluster may have a number ``gpus``, the part of a GPU that it asks for.
        """
        if self.device == "cpu":
            return 1.0
        if getattr(self.executor, "at_a_time", 0):
            return float(getattr(self.executor, "gpus", 1.0))
        return self.share

    @property
    def more_memory(self) -> str:
        """What a job gets whose share is doubled, where the executor has more to give than the rest of a device."""
        says = getattr(self.executor, "more_memory", None)
        return str(says()) if says is not None else ""

    @property
    def room(self) -> float:
        """What the shares of all jobs that run add up to at most."""
        return float(len(self.devices))


@dataclass(frozen=True)
class LoadedPlugins:
    """The plugins of a run, and how a worker loads the same ones.

    Attributes:
        catalogue: What is registered.
        folders: As given to ``--plugins-dir``.
        blocked: As given to ``-p no:NAME``.
        checks: Outcome by recipe of a plugin, which becomes part of each record.
    """

    catalogue: Catalogue
    folders: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_task(self) -> dict[str, Any]:
        """What each :class:`medbench.running.job.Task` says of plugins."""
        return {"plugin_folders": self.folders, "blocked": self.blocked}


def say_notes(jobs: Jobs, say: Callable[[str], None]) -> None:
    """Say what a started executor has to tell, and take it out of its list; most have none."""
    notes: list[str] = getattr(jobs, "notes", [])
    while notes:
        say(notes.pop(0))


def choose_workers(resources: Resources, catalogue: Catalogue, budget: Budget) -> Workers:
    """Find the executor and the devices, and say how many jobs run at a time.

    Args:
        resources: As a user gives them.
        catalogue: Where the executor is registered.
        budget: Of each job: the cores that one on the CPU takes, and how it computes.

    Raises:
        ResourceError: If a GPU is asked for and none is there, or numerics that cannot be promised here.
        UsageError: If there is no such device or executor, jobs a GPU are counted where no GPU is used, or the
            executor cannot start processes with variables that the numerics need.
    """
    if resources.workers_per_gpu and resources.workers:
        raise UsageError("--workers-per-gpu: --workers says already how many run at a time; leave one of the two out.")
    executor = _executor(resources.executor, catalogue)
    needed = numerics.variables(budget)
    if "variables" not in inspect.signature(executor.start).parameters:
        if budget.numerics == "portable":
            raise UsageError(
                f"--executor {resources.executor}: its `start` takes no `variables`, which numerics portable need."
            )
        needed = {}
    if at_a_time := getattr(executor, "at_a_time", 0):  # they run elsewhere, and find their device there
        _check_elsewhere(resources)
        return Workers(executor, resources.workers or at_a_time, (resources.device,), resources.limit_s, needed)
    found = tuple(devices.choose(resources.device))
    if found[0] == "cpu" and resources.workers_per_gpu:
        raise UsageError("--workers-per-gpu: no GPU is used here; give --workers, or see `medbench doctor`.")
    numerics.check_machine(budget)
    on_cpu = max(1, (os.cpu_count() or 1) // budget.threads)
    usual = on_cpu if found[0] == "cpu" else len(found) * (resources.workers_per_gpu or 1)
    return Workers(executor, resources.workers or usual, found, resources.limit_s, needed)


def _check_elsewhere(resources: Resources) -> None:
    """Refuse what says nothing of jobs on other machines, which have what their system gives them."""
    if resources.workers_per_gpu:
        raise UsageError(
            f"--workers-per-gpu: which GPUs there are is not known here with --executor {resources.executor}; give "
            "--workers, how many jobs wait or run at a time."
        )
    if resources.device not in ("auto", "cpu", "cuda", "cuda:0"):
        raise UsageError(
            f"--device {resources.device}: with --executor {resources.executor} a job takes the GPU that it is given "
            "there; write auto, cpu or cuda."
        )


def _executor(text: str, catalogue: Catalogue) -> Executor:
    """Return the executor; one whose processes do many jobs gives each job its own where a stranger's code is loaded.

    What such code replaces in its process would reach the training runs of the methods that it is compared with, and
    nothing that runs in that process can be asked whether it did.
    """
    executor = catalogue.resolve("executor", text)
    strangers = [p for p in catalogue.plugins if p.distribution != OWN_DISTRIBUTION and not (p.error or p.blocked)]
    if strangers and getattr(executor, "jobs_a_worker", 1) > 1:
        return dataclasses.replace(executor, jobs_a_worker=1)
    return executor
