"""What the stages behind an arm cost, and whether generators among them collapsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medbench.store.store import Store
from medbench.trial.stages import read_stage


class FittedStages:
    """Records of stored stages, with the stages inside them; each is read once and counted once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Mapping[str, Any]] = {}

    def seconds(self, keys: set[str]) -> float:
        """Return the wall seconds it took to fit stages and all that these needed."""
        return sum(float(record["cost"]["seconds"]) for record in self._of(keys))

    def collapsed(self, keys: set[str]) -> tuple[int, int]:
        """Return how many generators among stages collapsed, and how many said whether they did."""
        told = [record["facts"]["collapsed"] for record in self._of(keys) if "collapsed" in record.get("facts", {})]
        return sum(bool(value) for value in told), len(told)

    def _of(self, keys: set[str]) -> list[Mapping[str, Any]]:
        waiting, counted = set(keys), set[str]()
        while waiting:
            key = waiting.pop()
            counted.add(key)
            waiting |= set(self._read(key).get("stages", {})) - counted
        return [self._read(key) for key in sorted(counted)]

    def _read(self, key: str) -> Mapping[str, Any]:
        if key not in self._known:
            folder = self._store.stage_folder(key)
            record = read_stage(folder) if folder else {"cost": {"seconds": 0.0}}
            self._known[key] = record
        return self._known[key]
