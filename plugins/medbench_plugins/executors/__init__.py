"""Executors: where jobs run. ``local``: processes of this machine; ``slurm`` and ``ray``: jobs of a cluster."""

from __future__ import annotations

import medbench
from medbench_plugins.executors.local import Local, Processes
from medbench_plugins.executors.on_ray import Ray
from medbench_plugins.executors.slurm import Slurm

__all__ = ["Local", "Processes", "Ray", "Slurm"]


@medbench.hookimpl
def register_executors() -> list[medbench.Executor]:
    """Return the built-in executors."""
    return [Local(), Ray(), Slurm()]
