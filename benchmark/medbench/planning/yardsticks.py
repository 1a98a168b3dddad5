"""Yardsticks: further trainings of a board's control that show what its gains are to be compared with.

The same control with other seeds (noise of training), on three quarters of the patients (what data buys), and averaged
over as many trainings as the dearest arm's time pays for. They are planned and run like any trial, and are neither arms
nor looks: nothing is chosen among them. This module says which are planned, :mod:`.yardstick_results` what they gave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from medbench.interfaces import Budget, Generator, needs
from medbench.planning.arms import Arm

SHARE = 0.75
FEWEST, MOST = 2, 5
"""Trainings that are averaged."""


@dataclass(frozen=True)
class Yardsticks:
    """The yardsticks of one board, as a plan records them.

    Attributes:
        dataset: Text of the data set.
        protocol: Text of the protocol.
        board: Text of the board's classifier.
        augmenter: Of the control.
        classifier: Of the control.
        fewer: Text of the protocol that trains on SHARE of the patients.
        seeds: Classifier seeds of the study; the control itself has seeds 0 to seeds - 1.
        trainings: How many are averaged at most.
    """

    dataset: str
    protocol: str
    board: str
    augmenter: str
    classifier: str
    fewer: str
    seeds: int
    trainings: int

    @property
    def key(self) -> tuple[str, str]:
        """Augmenter and classifier of the control."""
        return self.augmenter, self.classifier

    @property
    def others(self) -> range:
        """Seeds of "the same, other seeds"."""
        return range(self.seeds, 2 * self.seeds)

    @property
    def averaged(self) -> range:
        """Seeds that may be averaged, the control's own first."""
        return range(self.trainings)

    @property
    def more(self) -> range:
        """Seeds that the control does not have as an arm."""
        return range(self.seeds, max(2 * self.seeds, self.trainings))


def root_of(arms: Sequence[Arm], board: str) -> Arm | None:
    """Return the control that most arms of a board stand on, at any depth; None where nothing is compared."""
    known = {arm.key: arm for arm in arms if (arm.board or arm.classifier) == board}
    counts = Counter[tuple[str, str]]()
    for arm in known.values():
        found, visited = arm, {arm.key}
        while found.control and found.control_key in known and found.control_key not in visited:
            found = known[found.control_key]
            visited.add(found.key)
        if found is not arm and not found.control:
            counts[found.key] += 1
    return known[max(counts, key=lambda key: counts[key])] if counts else None


def trainings(budget: Budget, recipes: Iterable[Sequence[Any]], *, seeds: int) -> int:
    """Return how many trainings the dearest arm's steps pay for, from FEWEST to MOST.

    Before a run only steps are known, not seconds: a generator counts with all that it may take. A board averages fewer
    where it turned out cheaper.

    Args:
        budget: Of the study.
        recipes: Augmenter and classifier of each arm.
        seeds: Trainings of the control that are there anyway.
    """
    dearest = max((sum(map(_generators, of_arm)) for of_arm in recipes), default=0)
    paid = (budget.steps + dearest * budget.generator_steps) // budget.steps
    return max(min(max(FEWEST, paid), MOST), min(2 * seeds, MOST))


def _generators(recipe: Any) -> int:
    """Count the generators that are fitted for a recipe, at any depth."""
    return sum(
        (isinstance(stage, Generator) and getattr(stage, "stored", True)) + _generators(stage)
        for stage in needs(recipe)
    )
