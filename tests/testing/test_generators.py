"""The check of generators catches one that breaks the contract."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medbench
from medbench.testing import CHECKS


@dataclass(frozen=True)
class Generator:
    """Honest unless told otherwise: `draw` makes the rows."""

    draw: Callable[[medbench.Samples, np.ndarray, int], np.ndarray]
    keeps: bool = True
    restless: bool = False
    name: str = "cheat"
    stored: bool = True

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
        return Fitted(self, train, os.urandom(1)[0] if self.restless else 0)

    def restore(self, state: medbench.State, train: medbench.Samples) -> Any:
        return Fitted(self, train, int(state["shift"][0]) + (not self.keeps))


@dataclass(frozen=True)
class Fitted:
    recipe: Generator
    train: medbench.Samples
    shift: int

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        return self.recipe.draw(self.train, labels, seed) + np.uint8(self.shift)

    def state(self) -> medbench.State:
        return {"shift": np.array([self.shift])}


def rows(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    return train.x[np.random.default_rng(seed).integers(len(train), size=len(labels))] // 2


def flat_only(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    return rows(train, labels, seed).reshape(len(labels), 1, 16, train.x[0].size // 16)


def whole_images(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    train.x[0] = 0
    return rows(train, labels, seed)


def moody(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    return rows(train, labels, int.from_bytes(os.urandom(8)))


def global_numpy(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    np.random.seed(seed)  # noqa: NPY002  that is the cheat
    return rows(train, labels, seed)


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (Generator(lambda train, labels, seed: rows(train, labels, seed).astype(np.float32)), "sample gave float32"),
        (Generator(lambda train, labels, seed: rows(train, np.zeros(3), seed)), r"sample gave uint8 \(3, 1, 16, 16\)"),
        (Generator(lambda train, labels, seed: rows(train, np.zeros(5), seed)), "for 0 labels"),
        (Generator(flat_only), r"sample gave uint8 \(5, 1, 16, 256\)"),
        (Generator(moody), "different rows for one seed"),
        (Generator(global_numpy), "global generator of numpy"),
        (Generator(whole_images), "changed the x of the samples"),
        (Generator(rows, keeps=False), "what restore builds"),
    ],
)
def test_a_generator_that_cheats_is_caught(generator: Generator, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["generator"](generator, tmp_path)


def test_a_generator_whose_fits_differ_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = iter(range(1, 9))
    monkeypatch.setattr(os, "urandom", lambda n: bytes([next(fits)]))

    with pytest.raises(medbench.ContractError, match="two fits of one seed differ"):
        CHECKS["generator"](Generator(rows, restless=True), tmp_path)


def test_an_honest_generator_passes(tmp_path: Path) -> None:
    CHECKS["generator"](Generator(rows), tmp_path)
