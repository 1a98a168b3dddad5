"""Training sets that break an augmenter's contract are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.errors import ContractError, LeakError
from medbench.interfaces import TrainingSet
from medbench.protocols.check_training_set import check_training_set
from medbench.samples import Samples
from medbench.testing import toy_samples

TRAIN = toy_samples(40)
OTHER = toy_samples(60, seed=1).take(range(40, 60))


def stranger() -> TrainingSet:
    both = Samples(
        x=np.concatenate([TRAIN.x, OTHER.x]),
        labels=np.concatenate([TRAIN.labels, OTHER.labels]),
        ids=np.concatenate([TRAIN.ids, OTHER.ids]),
        patients=np.concatenate([TRAIN.patients, OTHER.patients]),
        groups=np.concatenate([TRAIN.groups, OTHER.groups]),
        sources=TRAIN.sources + OTHER.sources,
        classes=TRAIN.classes,
    )
    return TrainingSet(both)


def changed_real_row() -> TrainingSet:
    x = TRAIN.x.copy()
    x[3] = 255 - x[3]
    return TrainingSet(replace(TRAIN, x=x))


def changed_label() -> TrainingSet:
    labels = TRAIN.labels.copy()
    labels[0] = 1 - labels[0]
    return TrainingSet(replace(TRAIN, labels=labels))


def made_from_strangers() -> TrainingSet:
    made = TRAIN.with_synthetic(TRAIN.x[:2], TRAIN.labels[:2], maker="m")
    return TrainingSet(replace(made, sources=(*TRAIN.sources, ("toy/999",), ("toy/999",))))


@pytest.mark.parametrize("cheat", [stranger, changed_real_row, changed_label, made_from_strangers])
def test_rows_of_other_images_are_a_leak(cheat: Callable[[], TrainingSet]) -> None:
    with pytest.raises(LeakError):
        check_training_set(cheat(), TRAIN, augmenter="cheat")


@pytest.mark.parametrize(
    "broken",
    [
        lambda: TRAIN,
        lambda: TrainingSet(TRAIN.take([])),
        lambda: TrainingSet(replace(TRAIN, x=TRAIN.x.astype(np.float32))),
        lambda: TrainingSet(replace(TRAIN, x=TRAIN.x[:, :, :8])),
        lambda: TrainingSet(replace(TRAIN, labels=TRAIN.labels + 5)),
        lambda: TrainingSet(replace(TRAIN, classes=("a", "b", "c"))),
        lambda: TrainingSet(TRAIN, sampling=np.full(40, 0.1)),
        lambda: TrainingSet(TRAIN, sampling=np.full(39, 1 / 39)),
        lambda: TrainingSet(TRAIN, sampling=np.full(40, np.nan)),
        lambda: TrainingSet(TRAIN.take([0, 0])),
    ],
)
def test_an_augmenter_that_breaks_its_interface_is_refused(broken: Callable[[], TrainingSet]) -> None:
    with pytest.raises(ContractError, match="'broken'"):
        check_training_set(broken(), TRAIN, augmenter="broken")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 39), unique=True, min_size=1), st.integers(0, 30), st.integers(0, 2**31))
def test_any_selection_plus_synthetic_rows_is_accepted(rows: list[int], made: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (made, *TRAIN.x.shape[1:]), dtype=np.uint8)
    both = TRAIN.with_synthetic(x, rng.integers(0, 2, made), maker="m")
    kept = both.take([*rows, *range(40, 40 + made)])

    check_training_set(TrainingSet(kept), TRAIN, augmenter="fine")
