"""The sandbox context restores the stages it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import medbench
from medbench.testing import SandboxContext, check_recipe_is_unchanged, toy_samples


@dataclass(frozen=True)
class Stage:
    name: str = "stage"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
        return Fitted()

    def restore(self, state: medbench.State, train: medbench.Samples) -> Any:
        return int(state["restored"][0])


class Fitted:
    def state(self) -> medbench.State:
        return {"restored": np.array([1])}


def test_a_sandbox_restores_what_it_fits_and_derives_seeds(context: SandboxContext) -> None:
    train = toy_samples(12)

    assert context.fit(Stage(), train) == 1
    assert context.seed("a") == context.seed("a") != context.seed("b")
    assert check_recipe_is_unchanged(Stage(), lambda: 3) == 3
