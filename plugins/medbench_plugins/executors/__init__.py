"""Executors: where jobs run. ``local`` runs them in processes of this machine."""

from __future__ import annotations

import medbench
from medbench_plugins.executors.local import Local, Processes

__all__ = ["Local", "Processes"]


@medbench.hookimpl
def register_executors() -> list[medbench.Executor]:
    """Return the built-in executors."""
    return [Local()]
