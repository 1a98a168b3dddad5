"""Where jobs run, and the plugins that they load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medbench.interfaces import Executor
from medbench.registry.catalogue import Catalogue
from medbench.running import devices


@dataclass(frozen=True)
class Resources:
    """Where jobs may run, as a user gives it.

    Attributes:
        workers: Jobs at a time; None for one per GPU, or for as many as the cores hold.
        device: "auto", "cpu", "cuda" or "cuda:0,cuda:1".
        executor: Name of a registered executor.
        limit_s: Wall-clock limit of one job, in seconds.
    """

    workers: int | None = None
    device: str = "auto"
    executor: str = "local"
    limit_s: float = 24 * 3600.0


@dataclass(frozen=True)
class Workers:
    """Where jobs run.

    Attributes:
        executor: What starts them.
        count: Jobs at a time.
        devices: Torch devices, taken in turn.
        limit_s: Wall-clock limit of one job, in seconds.
    """

    executor: Executor
    count: int
    devices: tuple[str, ...] = ("cpu",)
    limit_s: float = 24 * 3600.0


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


def choose_workers(resources: Resources, catalogue: Catalogue, *, threads: int) -> Workers:
    """Find the executor and the devices, and say how many jobs run at a time.

    Args:
        resources: As a user gives them.
        catalogue: Where the executor is registered.
        threads: Cores that one job on the CPU takes.

    Raises:
        ResourceError: If a GPU is asked for and none is there.
        UsageError: If there is no such device or executor.
    """
    found = tuple(devices.choose(resources.device))
    usual = len(found) if found[0] != "cpu" else max(1, (os.cpu_count() or 1) // threads)
    executor = catalogue.resolve("executor", resources.executor)
    return Workers(executor, resources.workers or usual, found, resources.limit_s)
