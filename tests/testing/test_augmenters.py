"""The check of augmenters catches one that breaks the contract."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import medbench
from medbench.testing import CHECKS


@dataclass(frozen=True)
class Augmenter:
    """Honest unless told otherwise: `fit` is what the cheat does."""

    cheat: Callable[[Any, medbench.Samples, medbench.Context], Any]
    name: str = "cheat"
    gives: frozenset[str] = frozenset({"samples"})
    seen: list[int] = field(default_factory=list)
    space: ClassVar[str] = "pixels"
    control: ClassVar[None] = None

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
        return self.cheat(self, train, context)


def made(train: medbench.Samples, x: np.ndarray | None = None) -> medbench.TrainingSet:
    return medbench.TrainingSet(train.with_synthetic(train.x.copy() if x is None else x, train.labels, maker="cheat"))


def changes_its_input(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    train.x[0] = 0
    return made(train)


def changes_its_labels(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    train.labels[:] = 0
    return made(train)


def keeps_state_in_a_field(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    recipe.seen.append(len(train))
    return made(train)


def keeps_state_beside_its_fields(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    object.__setattr__(recipe, "train", train)
    return made(train)


def draws_from_numpy(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return made(train, np.random.permutation(train.x))  # noqa: NPY002  that is the cheat


def seeds_random(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    random.seed(0)
    return made(train)


def seeds_torch(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    import torch

    torch.manual_seed(0)
    return made(train)


def draws_afresh(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return made(train, np.random.default_rng(int.from_bytes(os.urandom(8))).permutation(train.x))


def samples_afresh(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    p = np.random.default_rng(int.from_bytes(os.urandom(8))).dirichlet(np.ones(len(train)))
    return medbench.TrainingSet(train, sampling=p)


def returns_floats(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return medbench.TrainingSet(replace(train, x=train.x.astype(np.float32)))


def returns_an_array(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return train.x


def returns_strangers(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return medbench.TrainingSet(replace(train, ids=np.array([f"stranger{i}" for i in range(len(train))])))


def calls_made_rows_real(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return medbench.TrainingSet(replace(train, x=255 - train.x))


def names_no_source_it_had(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    samples = made(train).samples
    return medbench.TrainingSet(replace(samples, sources=tuple(s and ("elsewhere",) for s in samples.sources)))


def gives_undeclared_sampling(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return replace(made(train), sampling=np.full(2 * len(train), 0.5 / len(train)))


def asks_to_skip(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    raise medbench.Skip("never mind")


@pytest.mark.parametrize(
    ("cheat", "error", "says"),
    [
        (changes_its_input, medbench.ContractError, "changed the x of the samples it was given"),
        (changes_its_labels, medbench.ContractError, "changed the labels of the samples"),
        (keeps_state_in_a_field, medbench.ContractError, "fit changed the recipe"),
        (keeps_state_beside_its_fields, medbench.ContractError, "fit changed the recipe"),
        (draws_from_numpy, medbench.ContractError, "global generator of numpy"),
        (seeds_random, medbench.ContractError, "global generator of random"),
        (seeds_torch, medbench.ContractError, "global generator of torch"),
        (draws_afresh, medbench.ContractError, "two fits of one seed differ"),
        (returns_floats, medbench.ContractError, "returned float32"),
        (returns_an_array, medbench.ContractError, "return a TrainingSet"),
        (returns_strangers, medbench.LeakError, "not of its training part"),
        (calls_made_rows_real, medbench.LeakError, "changed a real row"),
        (names_no_source_it_had, medbench.LeakError, "outside its training part"),
        (gives_undeclared_sampling, medbench.ContractError, "returned sampling, which its gives does not name"),
        (asks_to_skip, medbench.ContractError, "nothing could be checked"),
    ],
)
def test_an_augmenter_that_cheats_is_caught(cheat: Any, error: type[Exception], says: str, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)  # loads torch, since a generator that fit is the first to load is not looked at
    random.seed(0)  # what the cheat sets, as other code may have done before
    with pytest.raises(error, match=says):
        CHECKS["augmenter"](Augmenter(cheat), tmp_path)


def test_an_honest_augmenter_passes(tmp_path: Path) -> None:
    CHECKS["augmenter"](Augmenter(lambda recipe, train, context: made(train)), tmp_path)


def test_sampling_of_its_own_mood_and_an_unknown_ingredient_are_caught(tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match="two fits of one seed differ"):
        CHECKS["augmenter"](Augmenter(samples_afresh, gives=frozenset({"sampling"})), tmp_path)
    with pytest.raises(medbench.ContractError, match="gives names 'luck'"):
        CHECKS["augmenter"](Augmenter(samples_afresh, gives=frozenset({"luck"})), tmp_path)


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (lambda x, y, g: (x.double(), y), "gave x torch.float64"),
        (lambda x, y, g: (x[:, :, 1:], y), "gave x torch.float32"),
        (lambda x, y, g: (x / 0, y), "not finite"),
        (lambda x, y, g: (x, 2 * y), "do not sum to 1"),
        (lambda x, y, g: (x + os.urandom(1)[0] + os.urandom(1)[0] / 256, y), "two transforms with one generator"),
        (
            medbench.DrawnAhead(
                lambda n, spatial, g: (torch.rand(2, n, generator=g)[1],), lambda x, own: x + own.sum()
            ),
            "other numbers for twelve rows",
        ),
        (
            medbench.DrawnAhead(lambda n, spatial, g: (torch.rand(1, n, generator=g),), lambda x, own: x + own.sum()),
            "first axis is not the rows",
        ),
    ],
)
def test_a_transform_that_cheats_is_caught(transform: Any, says: str, tmp_path: Path) -> None:
    augmenter = Augmenter(
        lambda recipe, train, context: medbench.TrainingSet(train, transform=transform), gives=frozenset({"transform"})
    )

    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["augmenter"](augmenter, tmp_path)
