"""Synthetic rows for a share of the steps, then real ones alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import medbench
from medbench.protocols.check_training_set import check_training_set
from medbench.registry import plugins
from medbench.registry.display_names import method_name, step_name
from medbench.testing import SandboxContext, check_augmenter, toy_samples
from medbench_plugins.augmenters.generative import Generative
from medbench_plugins.classifiers.heads import LinearHead
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.training.batches import draw_rows, draw_training_rows

CATALOGUE = plugins.load(installed=False)
COPIES = Generative("copies", Resample(), order="pretrain")


def uneven(context: SandboxContext, **fields: Any) -> tuple[medbench.Samples, medbench.TrainingSet]:
    every = toy_samples(20)
    train = every.take(np.r_[np.flatnonzero(every.labels == 0), np.flatnonzero(every.labels == 1)[:4]])
    return train, replace(COPIES, **fields).fit(train, context)


@pytest.mark.parametrize(("share", "first"), [(0.5, 5), (0.25, 2)])
def test_synthetic_rows_come_first_and_real_ones_after(context: SandboxContext, share: float, first: int) -> None:
    train, made = uneven(context, pretrain=share, fill="balance")
    rows = draw_training_rows(made, steps=10, batch=400, seed=1, before=2)
    is_real, labels = made.samples.is_real[rows], made.samples.labels[rows]

    assert not is_real[:first].any()
    assert is_real[first:].all()
    # A class that `fill` gave no synthetic row cannot be drawn from them; in the real rows both are equally often.
    assert labels[first:].mean() == pytest.approx(0.5, abs=0.05)
    assert np.allclose(made.class_frequencies, [0.5, 0.5])
    assert len(made.samples) > len(train)


def test_both_classes_are_equally_often_among_synthetic_rows(context: SandboxContext) -> None:
    _, made = uneven(context)
    rows = draw_training_rows(made, steps=10, batch=400, seed=1, before=2)

    assert made.samples.labels[rows[:5]].mean() == pytest.approx(0.5, abs=0.05)


def test_without_it_rows_are_drawn_as_ever(context: SandboxContext) -> None:
    _, made = uneven(context, order="mixed")

    now = draw_training_rows(made, steps=7, batch=5, seed=3, before=4)

    assert np.array_equal(now, draw_rows(made.samples.labels, made.sampling, steps=7, batch=5, seed=3))


@pytest.mark.parametrize("base", ["none", "balanced", "geometric", "under-bagging", "class-weight"])
def test_the_second_part_is_what_the_base_makes_of_real_rows(context: SandboxContext, base: str) -> None:
    augmenter = replace(COPIES, base=CATALOGUE.resolve("augmenter", base))
    train, made = uneven(context, base=augmenter.base)
    alone = augmenter.base.fit(train, context)

    check_training_set(made, train, augmenter="copies", gives=augmenter.gives)
    assert np.allclose(made.class_frequencies, alone.class_frequencies)
    assert (made.sampling is None) == (alone.sampling is None)


@pytest.mark.parametrize("name", ["acgan", "hybrid[generator=blur]", "hybrid[generator=shuffled-labels]"])
def test_copies_stand_above_it_in_the_same_order_of_training(name: str) -> None:
    text = f"{name[:-1]},order=pretrain]" if name.endswith("]") else f"{name}[order=pretrain]"
    above = CATALOGUE.resolve("augmenter", text).control

    assert (above.order, above.generator) == ("pretrain", Resample())
    assert above.control.name in ("balanced", "geometric")


def test_people_read_the_order() -> None:
    assert method_name("acgan[order=pretrain]") == "AC-GAN images, then real ones"
    assert step_name("copies[order=pretrain]", "balanced") == "+ copied images, then real ones"


def test_it_keeps_the_contract_of_augmenters(tmp_path: Any) -> None:
    check_augmenter(COPIES, tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pretrain": 1.0}, "share of the steps below 1"),
        ({"sampling": None, "samples": None}, "without synthetic rows"),
    ],
)
def test_a_training_set_that_cannot_be_drawn_from_is_refused(
    context: SandboxContext, change: dict[str, Any], says: str
) -> None:
    train, made = uneven(context)
    change = {**change, "samples": train} if "samples" in change else change

    with pytest.raises(medbench.ContractError, match=says):
        check_training_set(replace(made, **change), train, augmenter="copies")


@pytest.mark.parametrize("field", [{"order": "first"}, {"pretrain": 0.0}, {"pretrain": 1.0}])
def test_fields_out_of_their_range_are_refused(field: dict[str, Any]) -> None:
    with pytest.raises(medbench.UsageError):
        replace(COPIES, **field).check()


def test_classifiers_that_train_in_steps_take_it_and_take_as_many_steps(context: SandboxContext) -> None:
    train, made = uneven(context, pretrain=0.5)
    budget = medbench.Budget(steps=6, batch=8)
    predict = SmallCNN(width=2).fit(made, train, replace(context, budget=budget))
    mixed = SmallCNN(width=2).fit(replace(made, pretrain=0.0), train, replace(context, budget=budget))

    assert predict.facts["steps"] == mixed.facts["steps"] == 6
    assert not np.array_equal(predict(train.x), mixed(train.x))
    assert "pretrain" in SmallCNN().takes & LinearHead().takes
    assert "pretrain" not in CATALOGUE.resolve("classifier", "frozen").takes
