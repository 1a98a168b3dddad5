"""Executors: where jobs run. ``local``: processes of this machine; ``slurm``: jobs of a cluster."""

from __future__ import annotations

import medbench
from medbench_plugins.executors.local import Local, Processes
from medbench_plugins.executors.slurm import Slurm

__all__ = ["Local", "Processes", "Slurm"]


@medbench.hookimpl
def register_executors() -> list[medbench.Executor]:
    """Return the built-in executors."""
    return [Local(), Slurm()]
