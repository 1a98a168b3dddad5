"""How much of a plan is stored already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medbench.planning.plan import Plan
from medbench.store.store import MARK, Store


@dataclass(frozen=True, eq=False)
class StoredPart:
    """What a store holds of a plan.

    Attributes:
        store: The store; None where there is none, or where data are not decoded, so that nothing is known.
        trials: Trials with a result; None where data are not decoded.
        stages: Fitted generators; None likewise.
    """

    store: Store | None = None
    trials: int | None = None
    stages: int | None = None


def count_stored(plan: Plan, results: Path) -> StoredPart:
    """Count the trials and stages of a plan that a store holds.

    Raises:
        StoreError: If `results` is no store.
    """
    store = Store(results, create=False) if (results / MARK).is_file() or results.is_file() else None
    if not all(source.is_decoded for source in plan.sources):
        return StoredPart()
    if store is None:
        return StoredPart(None, 0, 0)
    trials = sum((store.place(trial) / "result.json").is_file() for trial in plan.trials)
    return StoredPart(store, trials, sum(store.stage_folder(key) is not None for key in plan.stages))
