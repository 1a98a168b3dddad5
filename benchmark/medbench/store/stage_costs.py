"""What the stages behind an arm cost, whether generators among them collapsed, and what a selection left."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any, NamedTuple

from medbench.store.store import Store
from medbench.trial.stages import read_stage


class Selection(NamedTuple):
    """What a filter of synthetic images keeps, as the fit of ``selected`` counts it.

    Attributes:
        accepted: Share of the drawn images that passed, 0 to 1.
        coverage_before: Share of the real training images that as many synthetic ones cover without the filter, 0 to 1.
        coverage_after: The same with it.
    """

    accepted: float
    coverage_before: float
    coverage_after: float


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

    def selection(self, keys: set[str]) -> Selection | None:
        """Return what filters among stages kept, averaged over them; None where there is no filter or no number."""
        told = [record["facts"] for record in self._of(keys) if "coverage_after" in record.get("facts", {})]
        if not told:
            return None
        return Selection(*(fmean(float(facts[name]) for facts in told) for name in Selection._fields))

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
