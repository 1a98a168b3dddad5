"""Learning rates that tries may choose between; see ``tunable`` in :mod:`medbench.interfaces`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class _Trained(Protocol):
    @property
    def lr(self) -> float: ...


def rates_to_try(recipe: _Trained) -> Mapping[str, tuple[float, ...]]:
    """Return a third of the learning rate, itself, and three times it."""
    return {"lr": (recipe.lr / 3, recipe.lr, 3 * recipe.lr)}
