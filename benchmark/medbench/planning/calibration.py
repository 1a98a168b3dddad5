"""What jobs cost on this machine, measured once by ``medbench calibrate`` and kept in the user's cache folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from medbench.data.cache_folder import cache_folder
from medbench.interfaces import Budget
from medbench.store.durable_files import write_durably

FILE = "calibration.json"


@dataclass(frozen=True)
class JobCost:
    """Seconds of one kind of job: so many at the start and the end, so many a step.

    Attributes:
        device: "cpu", or the name of a GPU.
        kind: "trial" or "stage".
        recipe: The stage's name; or augmenter and classifier, with a slash between them.
        data: Fingerprint of the decoded images.
        dataset: Their name, for people.
        batch: Images a step.
        threads: CPU threads.
        numerics: As :class:`medbench.Budget` has it.
        at_a_time: Jobs that ran beside each other when it was measured.
        fixed: Seconds that do not depend on the steps.
        per_step: Seconds a step.
        peak_mb: Most memory.
        measured: Day, as ISO 8601.
    """

    device: str
    kind: str
    recipe: str
    data: str
    dataset: str
    batch: int
    threads: int
    numerics: str
    at_a_time: int
    fixed: float
    per_step: float
    peak_mb: float
    measured: str

    @property
    def key(self) -> tuple[object, ...]:
        """What a forecast looks it up by."""
        return (self.kind, self.recipe, self.data, self.batch, self.threads, self.numerics)


class Calibration:
    """The costs that are known on this machine.

    Args:
        costs: The later of two for the same job counts.
    """

    def __init__(self, costs: Iterable[JobCost] = ()) -> None:
        self.costs = {cost.key: cost for cost in costs}

    def seconds(self, kind: str, recipe: str, data: str, budget: Budget) -> float | None:
        """Return the seconds of a job; None where its like was not measured."""
        cost = self.costs.get((kind, recipe, data, budget.batch, budget.threads, budget.numerics))
        if cost is None:
            return None
        return cost.fixed + cost.per_step * (budget.generator_steps if kind == "stage" else budget.steps)


def read_calibration() -> Calibration:
    """Return what is known; nothing where no file is, or one that cannot be read."""
    try:
        rows = json.loads(_path().read_text(encoding="utf-8"))
        return Calibration(JobCost(**row) for row in rows)
    except (OSError, ValueError, TypeError, KeyError):
        return Calibration()


def keep_costs(costs: Iterable[JobCost]) -> Path:
    """Add costs to those that are known, and return the file."""
    known = Calibration([*read_calibration().costs.values(), *costs])
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, json.dumps([asdict(cost) for cost in known.costs.values()], indent=1).encode())
    return path


def _path() -> Path:
    return cache_folder() / FILE
