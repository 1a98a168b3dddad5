"""The penalised linear layer on frozen features: its minimum, and what methods ask of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import medbench
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.augmenters.feature_mixup import FeatureMixup
from medbench_plugins.augmenters.losses import ClassWeight, Focal, FocalLoss
from medbench_plugins.augmenters.under_bagging import FeatureUnderBagging
from medbench_plugins.extractors.random_convolutions import RandomConvolutions
from medbench_plugins.frozen.classifier import Frozen
from medbench_plugins.frozen.penalised_linear import PenalisedLinear


def rows(n: int = 60, d: int = 12, *, classes: int = 2, seed: int = 0) -> medbench.Samples:
    """Rows of features whose first ones tell the class, but for noise; the rarer, the higher its number."""
    rng = np.random.default_rng(seed)
    labels = np.minimum(rng.geometric(0.6, n) - 1, classes - 1)
    x = rng.normal(3, 2, size=(n, d)) + 2 * np.eye(classes, d)[labels]
    samples = toy_samples(n, classes=classes, size=4, images_per_patient=1)
    return replace(samples, x=x.astype(np.float32), labels=labels.astype(np.int64))


def fit(training_set: medbench.TrainingSet, context: SandboxContext, penalty: float = 1.0) -> Any:
    return PenalisedLinear(penalty).fit(training_set, training_set.samples.take([]), context)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("penalty", [0.2, 1.0])
def test_the_minimum_is_that_of_scikit_learn(
    classes: int, balanced: bool, penalty: float, context: SandboxContext
) -> None:
    samples, asked = rows(classes=classes), rows(classes=classes, seed=1).x
    sampling = medbench.balanced_sampling(samples) if balanced else np.full(60, 1 / 60)

    predicted = fit(medbench.TrainingSet(samples, sampling=sampling), context, penalty)(asked)

    mean, unit = samples.x.mean(0, dtype=float), samples.x.std(0, dtype=float) * np.sqrt(12)
    # Of two classes scikit-learn has one vector, the difference of ours, whose square is twice the sum of theirs.
    reference = LogisticRegression(C=(2 if classes == 2 else 1) / penalty, tol=1e-10, max_iter=5000)
    reference.fit((samples.x - mean) / unit, samples.labels, sample_weight=sampling * 60)
    assert np.allclose(predicted, reference.predict_proba((asked - mean) / unit), atol=1e-4)


def test_rows_that_are_added_do_not_change_the_penalty(context: SandboxContext) -> None:
    """Every row once more, as a copy: the same mean loss, so the same layer."""
    samples = rows()
    twice = samples.with_synthetic(samples.x, samples.labels, maker="copies")

    assert np.allclose(
        fit(medbench.TrainingSet(twice), context)(samples.x), fit(medbench.TrainingSet(samples), context)(samples.x)
    )


def test_weights_in_the_loss_are_those_of_balanced_sampling(context: SandboxContext) -> None:
    samples = rows()
    weighed = fit(ClassWeight().fit(samples, context), context)
    drawn = fit(medbench.TrainingSet(samples, sampling=medbench.balanced_sampling(samples)), context)

    assert np.allclose(weighed(samples.x), drawn(samples.x), atol=2e-3)  # the loss of a method sees float32


def test_batches_are_drawn_for_a_transform_and_for_a_loss_beside_uneven_sampling(context: SandboxContext) -> None:
    context.budget = medbench.Budget(steps=600, batch=32)
    samples = rows()
    sampling = medbench.balanced_sampling(samples)
    exact = fit(medbench.TrainingSet(samples, sampling=sampling), context)(samples.x)
    mixed = fit(FeatureMixup().fit(samples, context), context)(samples.x)
    drawn = fit(medbench.TrainingSet(samples, sampling=sampling, loss=FocalLoss(0)), context)(samples.x)

    assert 0 < np.abs(drawn - exact).max() < 0.1
    assert np.abs(mixed - exact).max() > 0
    assert np.corrcoef(mixed[:, 1], exact[:, 1])[0, 1] > 0.9
    assert np.array_equal(mixed, fit(FeatureMixup().fit(samples, context), context)(samples.x))


def test_focal_loss_gives_probabilities_by_its_link(context: SandboxContext) -> None:
    samples = rows(400)
    predicted = fit(Focal().fit(samples, context), context, penalty=0.01)(samples.x)
    plain = fit(medbench.TrainingSet(samples), context, penalty=0.01)(samples.x)

    assert predicted.mean(0) == pytest.approx(plain.mean(0), abs=0.05)


def test_a_layer_for_every_bag_and_their_mean(context: SandboxContext) -> None:
    samples = rows()
    bags = FeatureUnderBagging(bags=3).fit(samples, context).bags
    assert bags is not None
    together = fit(medbench.TrainingSet(samples, bags=bags), context)
    strength = [len(bag) / 60 for bag in bags]  # the penalty is that of all rows, not of a bag's
    alone = [
        fit(medbench.TrainingSet(samples.take(bag)), context, penalty)(samples.x)
        for bag, penalty in zip(bags, strength, strict=True)
    ]

    assert together.facts["parameters"] == 3 * 26
    # Units are those of all rows too, so the layers are nearly and not quite the same.
    assert np.allclose(together(samples.x), np.mean(alone, axis=0), atol=0.06)


def test_rows_without_a_label_are_left_out_and_a_class_may_lack_rows(context: SandboxContext) -> None:
    samples = rows(classes=3)
    without = replace(samples, labels=np.where(samples.labels == 2, -1, samples.labels))
    predicted = fit(medbench.TrainingSet(without), context)(samples.x)

    assert predicted.shape == (60, 3)
    assert predicted[:, 2].max() < 1e-3
    with pytest.raises(medbench.DataError, match="no labelled row can be drawn"):
        fit(medbench.TrainingSet(replace(samples, labels=np.full(60, -1))), context)


def test_a_penalty_of_a_head_that_has_none_or_out_of_range_is_refused() -> None:
    with pytest.raises(medbench.UsageError, match=r"frozen\.penalty: head=knn has none"):
        Frozen(RandomConvolutions(), head="knn", penalty=2).check()
    with pytest.raises(medbench.UsageError, match=r"penalty: got -1; give a number from 0"):
        Frozen(RandomConvolutions(), penalty=-1).check()
