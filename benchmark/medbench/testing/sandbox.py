"""A context to fit recipes in without a store, and how far a check goes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medbench.errors import ContractError, Skip
from medbench.interfaces import Budget, Dataset, Fitted, Stage, source_of
from medbench.samples import Samples
from medbench.testing.toys import toy_samples


@dataclass
class SandboxContext:
    """A context without a store: fits every stage where it is asked for, and keeps what was reported.

    Attributes:
        reports: ``(step, total, values)`` of every call of ``progress``.
        sources: Samples of other data sets, by name.
    """

    folder: Path
    budget: Budget = field(default_factory=lambda: Budget(steps=40, batch=16, generator_steps=40))
    device: str = "cpu"
    base: int = 0
    selects: bool = False
    reports: list[tuple[int, int, dict[str, float]]] = field(default_factory=list)
    sources: dict[str, Samples] = field(default_factory=dict)

    def seed(self, *purpose: str | int) -> int:
        """Derive a seed in [0, 2**63)."""
        text = "|".join(map(str, (self.base, *purpose)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def fit(self, stage: Stage[Fitted], train: Samples) -> Fitted:
        """Fit `stage`, send its state through ``restore`` as the store would, and return that."""
        dataset = source_of(stage)
        train = train if dataset is None else self.source(dataset)
        fitted: Any = stage.fit(train, self)
        state = {name: np.array(array) for name, array in fitted.state().items()}
        return stage.restore(state, train)

    def source(self, dataset: Dataset) -> Samples:
        """Return what `sources` holds under the data set's name."""
        return self.sources[dataset.name]

    def progress(self, step: int, total: int, **values: float) -> None:
        """Keep the report."""
        self.reports.append((step, total, values))


@dataclass(frozen=True)
class Extent:
    """How far a check goes.

    Attributes:
        dimensions: Spatial axes to try.
        channels: Of the toy samples.
        classes: Of the toy samples.
        budget: What a fit may spend.
        strict: Also refuse the global random generators and what cannot be tried at all. A trial seeds the global
            generators before it begins, so that drawing from them repeats there.
    """

    dimensions: tuple[Literal[2, 3], ...] = (2, 3)
    channels: int = 1
    classes: int = 2
    budget: Budget = field(default_factory=lambda: Budget(steps=40, batch=16, generator_steps=40))
    strict: bool = True

    def samples(self, dimensions: int, *, seed: int = 0, n: int = 24) -> Samples:
        """Draw toy samples."""
        n = max(n, 4 * self.classes)
        return toy_samples(n, classes=self.classes, channels=self.channels, dimensions=dimensions, seed=seed)

    def context(self, folder: Path, dimensions: int) -> SandboxContext:
        """Return a context in which every other data set is made of toy samples too."""
        others: dict[str, Samples] = defaultdict(lambda: self.samples(dimensions, seed=2))
        return SandboxContext(folder, self.budget, sources=others)

    def nothing_tried(self, name: str) -> Exception:
        """Return what to raise where a recipe skipped everything."""
        axes = " and ".join(f"{d}-D" for d in self.dimensions)
        error = ContractError if self.strict else Skip
        return error(f"{name}: skipped all toy samples in {axes}, so nothing could be checked.")


WHOLE = Extent()


def quick(*, dimensions: Literal[2, 3], channels: int, classes: int) -> Extent:
    """Return the extent of the check before a recipe's first trial: samples like the data, a few steps."""
    return Extent((dimensions,), channels, classes, Budget(steps=3, batch=8, generator_steps=3), strict=False)


def make_folder(folder: Path, name: str) -> Path:
    """Make a new folder and return it."""
    place = folder / name
    place.mkdir(parents=True)
    return place
