"""Where the source file of a module lies, and whether its code counts by itself or by its library's version."""

from __future__ import annotations

import functools
import importlib.machinery
import sys
from pathlib import Path


@functools.cache
def source_file(module: str) -> Path | None:
    """Return a module's file without importing anything, not even its package; None where there is no ``.py`` file."""
    places: list[str] | None = None
    parts = module.split(".")
    spec = None
    for depth in range(len(parts)):
        try:
            spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: depth + 1]), places)
        except (ImportError, ValueError, AttributeError):
            return None
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def is_followed(module: str, reader: str) -> bool:
    """Say whether the code of a module counts by itself where `reader` names it."""
    first, own = module.partition(".")[0], reader.partition(".")[0]
    if first in (own, "medbench") or first.startswith("medbench_"):
        return source_file(module) is not None
    here, there = source_file(reader), source_file(first) if first not in sys.stdlib_module_names else None
    if "." in reader or here is None or there is None or "site-packages" in here.parts:
        return False
    return here.parent == (there.parent.parent if there.name == "__init__.py" else there.parent)


def module_run_by(module: str, name: str) -> str:
    """Return the module that an import runs: ``from a import b`` runs a.b where that is a module."""
    return f"{module}.{name}" if name and source_file(f"{module}.{name}") is not None else module
