"""One board as it is planned, before any result: data set, protocol, classifier, arms and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from medbench.planning.arms import Arm, TrainedOn
from medbench.planning.study import Study
from medbench.protocols.protocol import EvaluationProtocol, protocol
from medbench.statistics.patient_scores import Cell


@dataclass(frozen=True, eq=False)
class BoardPlan:
    """One board of a plan.

    Attributes:
        study: What is asked.
        source: Facts of the data set as :meth:`medbench.data.sources.Described.facts` gives them.
        protocol: Text of the protocol.
        classifier: Text of the classifier.
        arms: Arms of the board, controls before what stands on them.
        trained_on: What the plan said of the protocol's training patients; None in records of before.
    """

    study: Study
    source: Mapping[str, Any]
    protocol: str
    classifier: str
    arms: tuple[Arm, ...]
    trained_on: TrainedOn | None = None

    @property
    def overlap(self) -> float:
        """Of an official cut: the part of the training patients that two repeats share; 1 where no plan said so."""
        if not self.rule.has_one_cut or self.study.repeats == 1:
            return 0.0
        return 1.0 if self.trained_on is None else self.trained_on.overlap

    @cached_property
    def rule(self) -> EvaluationProtocol:
        """The protocol."""
        return protocol(self.protocol)

    @property
    def folds(self) -> int:
        """K; 1 for an official cut."""
        return self.rule.folds(self.study.folds)

    @property
    def cells(self) -> list[Cell]:
        """Every (repeat, fold, seed) that each arm is trained in."""
        return self.cells_of(range(self.study.seeds))

    def cells_of(self, seeds: Iterable[int]) -> list[Cell]:
        """Return the cells of these classifier seeds."""
        each = list(seeds)
        return [(r, f, s) for r in range(self.study.repeats) for f in range(self.folds) for s in each]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.source["classes"])

    @property
    def unit(self) -> str:
        """What is drawn: "images" where patients are unknown, else "patients"."""
        source = self.source
        return "images" if source["unit"] == "image" and source["patients"] == source["images"] else "patients"
