"""The fields of a recipe that training loops of generators read."""

from __future__ import annotations

from typing import Protocol

import medbench


class Settings(Protocol):
    """What every generator's recipe has."""

    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def batch(self) -> int: ...


class ImageSettings(Settings, Protocol):
    """What generators of images have."""

    @property
    def batch_3d(self) -> int: ...
    @property
    def ema(self) -> float: ...


class GANSettings(Settings, Protocol):
    """What GANs have."""

    @property
    def lr_g(self) -> float: ...
    @property
    def lr_d(self) -> float: ...


def steps_to_take(recipe: Settings, budget: medbench.Budget) -> int:
    """Return the steps that a budget gives a generator; fewer where its recipe names fewer."""
    return budget.generator_steps if recipe.steps is None else min(recipe.steps, budget.generator_steps)
