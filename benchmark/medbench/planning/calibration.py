"""What jobs cost: measured once on this machine by ``medbench calibrate`` and kept in the user's cache folder.

A study that comes with a plugin may bring the costs that its author measured, in ``NAME.costs.json`` beside
``NAME.toml``. They stand in where nothing was measured here, and whoever uses
them says that they are of another machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from medbench.data.cache_folder import cache_folder
from medbench.interfaces import Budget
from medbench.store.durable_files import write_durably
from medbench.trial.stages import ENCODER

FILE = "calibration.json"
SHIPPED = ".costs.json"
ANY, ANY_GPU = "any", "gpu"
"""Stand for a device, and the name of a GPU, that are not known."""

ALIKE_ON_CPU = frozenset({"exact", "fast"})
"""Numerics by which a CPU computes in the same way."""

PORTABLE_TIMES = 2.4
"""How much longer a step takes a CPU with portable numerics: the middle of 13 networks, see the page on performance."""


@dataclass(frozen=True)
class JobCost:
    """Seconds of one kind of job: so many at the start and the end, so many a step.

    Attributes:
        device: "cpu", or the name of a GPU.
        kind: "trial" or "stage".
        recipe: The stage's name; or augmenter and classifier, with a slash between them.
        data: Fingerprint of the decoded images.
        dataset: Their name.
        batch: Images a step.
        threads: CPU threads.
        numerics: As :class:`medbench.Budget` has it.
        at_a_time: Jobs that ran beside each other when it was measured.
        fixed: Seconds that do not depend on the steps.
        per_step: Seconds a step.
        peak_mb: Most memory of the host.
        measured: Day, as ISO 8601.
        size: Pixels a side that images were decoded at; 0 where that is not known.
        peak_gpu_mb: Most memory of the GPU; 0 on a CPU.
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
    size: int = 0
    peak_gpu_mb: float = 0.0

    @property
    def key(self) -> tuple[object, ...]:
        """What of two measurements the later one replaces."""
        return (self.device, self.data, self.kind, self.recipe, self.batch, self.threads, self.numerics)

    def seconds(self, budget: Budget) -> float:
        """Return the seconds of such a job."""
        is_generator = self.kind == "stage" and self.recipe != ENCODER
        return self.fixed + self.per_step * (
            budget.generator_steps if is_generator else budget.steps * budget.trainings
        )


class Calibration:
    """The costs that are known.

    Args:
        costs: Measured on this machine; the later of two for the same job counts.
        shipped: Measured elsewhere.
    """

    def __init__(self, costs: Iterable[JobCost] = (), shipped: Iterable[JobCost] = ()) -> None:
        self.costs = {cost.key: cost for cost in costs}
        self.shipped = tuple(shipped)

    @property
    def devices(self) -> list[str]:
        """Kinds of devices that anything was measured on here."""
        return list(dict.fromkeys(cost.device for cost in self.costs.values()))

    def find(self, kind: str, recipe: str, images: Images, budget: Budget, device: str = "cpu") -> JobCost | None:
        """Return what such a job costs; None where its like was not measured.

        What was measured here goes before what was measured elsewhere, and of either what was measured with the
        budget's numerics before what was with others, which :meth:`numerics_of_other` tells; steps of those are
        lengthened or shortened where one of the two is portable.

        Args:
            kind: "trial" or "stage".
            recipe: As :class:`JobCost` has it.
            images: What it is trained on; ones that are not decoded yet are known by name and size.
            budget: Of the job.
            device: "cpu", the name of a GPU, ANY_GPU, or ANY.
        """
        of_job = (kind, recipe, budget.batch, budget.threads)
        for costs, is_shipped in ((reversed(self.costs.values()), False), (self.shipped, True)):
            like = [
                cost
                for cost in costs
                if (cost.kind, cost.recipe, cost.batch, cost.threads) == of_job
                and (device in (ANY, cost.device) or (device == ANY_GPU and cost.device != "cpu"))
                and images.are_those_of(cost, is_shipped=is_shipped)
            ]
            if like:
                return _with_numerics(min(like, key=lambda cost: bool(self.numerics_of_other(cost, budget))), budget)
        return None

    def numerics_of_other(self, cost: JobCost, budget: Budget) -> str:
        """Return the numerics that a cost was measured with where those of a budget compute in another way, else ""."""
        alike = cost.device == "cpu" and {cost.numerics, budget.numerics} <= ALIKE_ON_CPU
        return "" if alike or cost.numerics == budget.numerics else cost.numerics

    def is_of_elsewhere(self, cost: JobCost) -> bool:
        """Say whether a cost was not measured on this machine."""
        return cost.key not in self.costs


@dataclass(frozen=True)
class Images:
    """The images that a job is trained on.

    Attributes:
        dataset: Their name.
        data: Their fingerprint; "" before they are decoded.
        size: Pixels a side; 0 for the data set's own.
    """

    dataset: str
    data: str
    size: int

    def are_those_of(self, cost: JobCost, *, is_shipped: bool) -> bool:
        """Say whether a cost is of such images; one that was measured here is of the very same, once they are known."""
        if self.data and not is_shipped:
            return self.data == cost.data
        return (self.dataset, self.size) == (cost.dataset, cost.size)


def read_calibration(studies: Iterable[Path] = ()) -> Calibration:
    """Return what is known; nothing where no file is, or one that cannot be read.

    Args:
        studies: Files of studies, beside which their costs may lie.
    """
    shipped = [cost for study in studies for cost in _read(Path(study).with_suffix(SHIPPED))]
    return Calibration(_read(_path()), shipped)


def _with_numerics(cost: JobCost, budget: Budget) -> JobCost:
    """Return the cost as it would be on a CPU with a budget's numerics; `numerics` stay those it was measured with."""
    if cost.device != "cpu" or (cost.numerics == "portable") is (budget.numerics == "portable"):
        return cost
    longer = PORTABLE_TIMES if budget.numerics == "portable" else 1 / PORTABLE_TIMES
    return replace(cost, per_step=longer * cost.per_step)


def _read(path: Path) -> Sequence[JobCost]:
    try:
        return [JobCost(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def keep_costs(costs: Iterable[JobCost]) -> Path:
    """Add costs to those that are known, and return the file."""
    known = Calibration([*read_calibration().costs.values(), *costs])
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, json.dumps([asdict(cost) for cost in known.costs.values()], indent=1).encode())
    return path


def _path() -> Path:
    return cache_folder() / FILE
