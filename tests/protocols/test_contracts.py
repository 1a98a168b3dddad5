"""Walls of information: what tries to break them is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.errors import ContractError, LeakError
from medbench.interfaces import TrainingSet
from medbench.protocols import contracts
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
def test_a_cheating_augmenter_is_a_leak(cheat: Callable[[], TrainingSet]) -> None:
    with pytest.raises(LeakError):
        contracts.checked(cheat(), TRAIN, augmenter="cheat")


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
def test_an_augmenter_that_breaks_its_interface_is_told_how(broken: Callable[[], TrainingSet]) -> None:
    with pytest.raises(ContractError, match="'broken'"):
        contracts.checked(broken(), TRAIN, augmenter="broken")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 39), unique=True, min_size=1), st.integers(0, 30), st.integers(0, 2**31))
def test_any_selection_plus_made_rows_is_accepted(rows: list[int], made: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (made, *TRAIN.x.shape[1:]), dtype=np.uint8)
    both = TRAIN.with_synthetic(x, rng.integers(0, 2, made), maker="m")
    kept = both.take([*rows, *range(40, 40 + made)])

    assert contracts.checked(TrainingSet(kept), TRAIN, augmenter="fine").samples is kept


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_row_on_both_sides_is_always_found(data: st.DataObject) -> None:
    samples = toy_samples(60)
    groups = sorted(set(samples.groups.tolist()))
    side = {g: data.draw(st.sampled_from(["train", "validation", "test"])) for g in groups}
    parts = {
        name: samples.take([side[g] == name for g in samples.groups.tolist()])
        for name in ("train", "validation", "test")
    }
    clean = contracts.leaks(parts["train"], parts["validation"], parts["test"])
    planted = data.draw(st.integers(0, 59))
    smuggled = np.unique([*np.flatnonzero([side[g] == "train" for g in samples.groups.tolist()]), planted])
    found = contracts.leaks(samples.take(smuggled), parts["validation"], parts["test"])

    assert clean == frozenset()
    assert ("same-patient" in found) == (side[str(samples.groups[planted])] == "test")


def test_a_copy_a_synthetic_test_row_and_a_stage_that_saw_the_test_are_told_apart() -> None:
    train, test = TRAIN.take(range(20)), TRAIN.take(range(20, 40))
    nothing = TRAIN.take([])
    copy_of_test = replace(
        train.with_synthetic(test.x[:1], test.labels[:1], maker="m"), sources=(*train.sources, (str(test.ids[0]),))
    )

    assert contracts.leaks(copy_of_test, nothing, test) == {"copy"}
    assert contracts.leaks(train, nothing, test.with_synthetic(test.x[:1], test.labels[:1], maker="m")) == {
        "synthetic-scored"
    }
    assert contracts.leaks(train, nothing, test, [frozenset({str(test.ids[3])})]) == {"fitted-on-test"}
    assert contracts.leaks(train, test, test) == {"selected-on-test"}


@pytest.mark.parametrize(
    "values",
    [
        np.full((40, 3), 1 / 3),
        np.full((39, 2), 0.5),
        np.full((40, 2), np.nan),
        np.full((40, 2), 0.4),
        np.tile([1.5, -0.5], (40, 1)),
    ],
)
def test_probabilities_that_are_none_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ContractError, match="'broken'"):
        contracts.probabilities(values, TRAIN, classifier="broken")
