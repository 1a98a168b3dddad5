"""A plan: everything a study amounts to, before anything is run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medbench.data.describe import DatasetDescription
from medbench.planning.arms import Arm, Checked, Skipped, TrainedOn
from medbench.planning.stage_plan import StageJob
from medbench.planning.study import Study
from medbench.planning.yardsticks import Yardsticks
from medbench.trial.trial import Trial


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a study amounts to.

    Attributes:
        study: What was asked.
        sources: Its data sets.
        arms: By data set.
        trials: In the order they are run.
        stages: By key, in the order they are fitted.
        stages_of: Keys of the stages a trial needs, by trial id.
        skipped: What was left out and why.
        warnings: Sentences about the design.
        yardsticks: Of every honest board that compares something.
        checked: What is trained at twice the steps once everything else is done; empty before that.
        trained_on: How many patients each protocol trains on.
    """

    study: Study
    sources: tuple[DatasetDescription, ...]
    arms: Mapping[str, tuple[Arm, ...]]
    trials: tuple[Trial, ...]
    stages: Mapping[str, StageJob]
    stages_of: Mapping[str, tuple[str, ...]]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...] = ()
    yardsticks: tuple[Yardsticks, ...] = ()
    checked: tuple[Checked, ...] = ()
    trained_on: tuple[TrainedOn, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what a store keeps of a plan, so that tables know what was planned, as JSON values."""
        return {
            "study": self.study.model_dump(),
            "sources": [source.facts() for source in self.sources],
            "arms": {name: [dataclasses.asdict(arm) for arm in arms] for name, arms in self.arms.items()},
            "skipped": [dataclasses.asdict(skip) for skip in self.skipped],
            "warnings": list(self.warnings),
            "yardsticks": [dataclasses.asdict(y) for y in self.yardsticks],
            "checked": [dataclasses.asdict(c) for c in self.checked],
            "trained_on": [dataclasses.asdict(t) for t in self.trained_on],
            **({"seed_block": self._seed_block()} if self.study.seed_block else {}),
        }

    def _seed_block(self) -> dict[str, list[list[str]]]:
        """Return protocol, augmenter and classifier of what is trained with every pair of seeds, by data set."""
        found: dict[str, dict[tuple[str, str, str], None]] = {}
        for t in self.trials:
            if t.stage_seed != t.seed:
                found.setdefault(t.dataset, {})[t.protocol, t.augmenter, t.classifier] = None
        return {name: [list(one) for one in of_data] for name, of_data in found.items()}
