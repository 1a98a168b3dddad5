"""One score of synthetic rows: its value, its floor, its values within classes and its spread among real rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError
from medbench.interfaces import Score
from medbench.trial.metrics import plain_number

SPLITS = 20
"""Cuts of the real rows in two that a score's spread is read off: its 95th percentile is about the largest."""

Rows = dict[int, np.ndarray]
"""By class: row numbers in random order, or what was extracted of those rows."""


@dataclass(frozen=True)
class Pool:
    """What one score is computed from.

    Attributes:
        train: Features, probabilities or pixels of real training rows, by class.
        held: The same of held-out rows.
        made: The same of synthetic rows.
        mixed: How many held-out rows of each class give the mix of classes of the synthetic ones.
        classes: Names of all classes.
        patients: By class, the patient of each training row, then of each held-out row.
        rng: Draws the halves of the spread.
    """

    train: Rows
    held: Rows
    made: Rows
    mixed: Mapping[int, int]
    classes: Sequence[str]
    patients: Mapping[int, np.ndarray]
    rng: np.random.Generator

    def values(self, score: Score) -> dict[str, float]:
        """Return the score and its floor, and one of each a class where the score gives them."""
        floor = getattr(score, "floor", True)
        values = self._values_by_name(score, "", self.made)
        if floor:
            stand_ins = {k: self.train[k][: len(x)] for k, x in self.made.items()}
            if floor == "held-out":
                stand_ins = self._mixed_held_out()
            values |= self._values_by_name(score, "-floor", stand_ins)
        return values

    def _mixed_held_out(self) -> Rows:
        return {k: self.held[k][: self.mixed[k]] for k in self.made}

    def _values_by_name(self, score: Score, end: str, made: Rows) -> dict[str, float]:
        name, names = score.name, self.classes
        with_labels = getattr(score, "with_labels", None)
        if with_labels is None:
            within = getattr(score, "each_class", False)
            each = self._each(score, self.held, made) if within or getattr(score, "by_class", False) else {}
            value = _mean(each) if within else _number(score.score(*self.at_once(made)))
            return {f"{name}{end}": value} | {f"{name}:{names[k]}{end}": of_class for k, of_class in each.items()}
        parts = self.at_once(made)
        kinds = (self.train, self._mixed_held_out(), made)
        labels = tuple(np.repeat(list(made), [len(kind[k]) for k in made]) for kind in kinds)
        value, recalls = with_labels(*parts, labels, len(names))
        own = {f"{name}:{names[k]}{end}": _number(recalls[k]) for k in made} if len(recalls) else {}
        return {f"{name}{end}": _number(value), **own}

    def _each(self, score: Score, held: Rows, made: Rows) -> dict[int, float]:
        # Copies: what one score writes into its rows does not reach the next one.
        return {k: _number(score.score(self.train[k].copy(), held[k].copy(), made[k].copy())) for k in made}

    def at_once(self, made: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows of all classes together, held-out ones in the mix of classes of the synthetic ones."""
        held = list(self._mixed_held_out().values())
        return np.concatenate([self.train[k] for k in made]), np.concatenate(held), np.concatenate([*made.values()])

    def show(self, score: Any, folder: Path) -> dict[str, float]:
        """Let a score write a picture, which gives no number."""
        score.show(folder, *self.at_once(self.made))
        return {}

    def spread(self, score: Score) -> dict[str, float]:
        """Return the 95th percentile of the score of real rows against other patients' real rows, at these numbers."""
        values = []
        for _ in range(SPLITS):
            here, there = {}, {}
            for k, of_row in self.patients.items():
                rows = np.concatenate([self.train[k], self.held[k]])
                who, inverse = np.unique(of_row, return_inverse=True)
                order = np.argsort(self.rng.permutation(len(who))[inverse], kind="stable")
                first = order[: len(self.made[k])]
                others = order[~np.isin(of_row[order], of_row[first])]
                here[k], there[k] = rows[first], rows[others[: len(self.held[k])]]
            value = _mean(self._each(score, there, here))
            values += [value] if np.isfinite(value) else []
        reached = float(np.percentile(values, 95, method="weibull")) if values else float("nan")
        return {f"{score.name}-spread": reached}


def _mean(of_classes: Mapping[int, float]) -> float:
    defined = [value for value in of_classes.values() if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")


class BrokenContract(ContractError):  # noqa: N818  what happened
    """A score or extractor returned what its interface forbids; the message holds nothing of anybody's data."""


def _number(given: Any) -> float:
    value = plain_number(given)
    if value is None:
        raise BrokenContract(f"gave {type(given).__name__}, not a number")
    return value
