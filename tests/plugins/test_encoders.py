"""Encoders cut out of classifiers, and the head that is put on their features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import medbench
from medbench.interfaces import Budget, cut_in_two
from medbench.testing import SandboxContext, check_recipe_is_unchanged, toy_samples
from medbench_plugins.classifiers import register_classifiers
from medbench_plugins.classifiers.blueprint import Blueprint
from medbench_plugins.classifiers.encoder import TrainedEncoder
from medbench_plugins.classifiers.heads import LinearHead
from medbench_plugins.classifiers.monai_nets import Monai, ResNet10In3D
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.classifiers.timm_nets import Timm

QUICK = TrainedEncoder(SmallCNN(width=4))
NOTHING = toy_samples(4).take([])


def features(n: int = 40, d: int = 6, *, classes: int = 2, seed: int = 0, apart: float = 2.0) -> medbench.Samples:
    """Rows of one Gaussian a class, `apart` deviations between their means along every axis."""
    rng = np.random.default_rng(seed)
    samples = toy_samples(n, classes=classes, size=4)
    x = rng.normal(size=(n, d)) + apart * samples.labels[:, None]
    return replace(samples, x=x.astype(np.float32))


@pytest.mark.parametrize(
    ("classifier", "dimensions", "d"),
    [
        (SmallCNN(width=4), 2, 32),
        (SmallCNN(width=4), 3, 32),
        (Timm(model="test_efficientnet"), 2, 256),
        (Timm(model="vit_tiny_patch16_224"), 2, 192),
        (Monai(network="SEResNet50"), 2, 2048),
        pytest.param(ResNet10In3D(), 3, 512, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "model", getattr(value, "network", getattr(value, "name", None))),
)
def test_features_are_what_the_last_linear_layer_is_given(
    classifier: Any, dimensions: int, d: int, context: SandboxContext
) -> None:
    context.budget = Budget(steps=2, batch=4)
    train = toy_samples(10, classes=3, dimensions=dimensions)
    x = train.x.copy()
    recipe = TrainedEncoder(classifier)

    encode = check_recipe_is_unchanged(recipe, lambda: recipe.fit(train, context))
    encoded = encode(train.x)

    assert encoded.dtype == np.float32
    assert encoded.shape == (10, d)
    assert encode(train.x[:0]).shape == (0, d)
    assert np.array_equal(train.x, x)
    weight, bias = encode.linear.weight.numpy(), encode.linear.bias.numpy()
    logits = torch.from_numpy(encoded.astype(np.float64) @ weight.T + bias)
    np.testing.assert_allclose(logits.softmax(1).numpy(), encode.predictor(train.x), atol=1e-5)


@pytest.mark.parametrize("classifier", [SmallCNN(width=4), Timm(model="test_efficientnet")], ids=lambda c: c.name)
def test_a_restored_encoder_gives_the_same_features(classifier: Any, context: SandboxContext) -> None:
    context.budget = Budget(steps=3, batch=4)
    train, recipe = toy_samples(10, channels=2), TrainedEncoder(classifier)

    fitted = recipe.fit(train, context)
    stored = {name: np.ascontiguousarray(array) for name, array in fitted.state().items()}  # as the store keeps them
    restored = recipe.restore(stored, train)

    assert np.array_equal(restored(train.x), fitted(train.x))
    assert fitted.facts["steps"] == 3


def test_an_encoder_repeats_itself_and_leaves_the_global_generator_alone(context: SandboxContext) -> None:
    train = toy_samples(12)
    QUICK.fit(train, context)
    before = torch.random.get_rng_state()

    first, second = (QUICK.fit(train, context) for _ in range(2))
    QUICK.restore(first.state(), train)

    assert np.array_equal(first(train.x), second(train.x))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_encoder_learns_from_training_samples_only_with_classes_drawn_equally_often(
    context: SandboxContext,
) -> None:
    seen: list[tuple[medbench.TrainingSet, medbench.Samples]] = []

    class Watched(SmallCNN):
        def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
            seen.append((training_set, validation))
            return super().fit(training_set, validation, context, start)

    train = toy_samples(20).take([*range(10), 12, 13])
    TrainedEncoder(Watched(width=4)).fit(train, context)

    [(training_set, validation)] = seen
    assert training_set.samples is train
    assert training_set.class_frequencies == pytest.approx([0.5, 0.5])
    assert len(validation) == 0
    assert context.reports[-1][:2] == (context.budget.steps, context.budget.steps)


def test_features_of_an_image_do_not_depend_on_the_others(context: SandboxContext) -> None:
    train = toy_samples(12)
    encode = QUICK.fit(train, context)

    together = encode(train.x)

    np.testing.assert_allclose(np.concatenate([encode(train.x[i : i + 1]) for i in range(12)]), together, atol=1e-4)


def test_a_state_of_another_network_is_refused(context: SandboxContext) -> None:
    train = toy_samples(8)
    state = QUICK.fit(train, context).state()

    with pytest.raises(medbench.StoreError, match="encoder of small-cnn"):
        TrainedEncoder(SmallCNN(width=8)).restore(state, train)


def test_a_network_without_a_linear_layer_at_its_end_is_a_skip(context: SandboxContext) -> None:
    class Convolutional(SmallCNN):
        def blueprint(self, samples: medbench.Samples) -> Blueprint:
            return Blueprint(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))

    class Pointwise(SmallCNN):
        def blueprint(self, samples: medbench.Samples) -> Blueprint:
            return Blueprint(lambda: nn.Sequential(nn.Linear(16, 2), nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten()))

    train = toy_samples(8)

    with pytest.raises(medbench.Skip, match="no linear layer"):
        TrainedEncoder(Convolutional()).fit(train, context)
    with pytest.raises(medbench.Skip, match="cannot be cut in two"):
        TrainedEncoder(Pointwise()).fit(train, context)(train.x)


def test_every_classifier_can_be_cut() -> None:
    for classifier in register_classifiers():
        encoder, head = cut_in_two(classifier) or (None, None)

        if hasattr(classifier, "blueprint"):
            assert encoder == TrainedEncoder(classifier)  # type: ignore[arg-type]
        assert isinstance(encoder, medbench.Stage)
        assert not isinstance(encoder, medbench.Generator)
        assert head is not None
        assert "features" in head.takes


@pytest.mark.parametrize("shape", [(6,), (6, 3, 3), (6, 2, 2, 2)])
def test_the_head_learns_vectors_and_maps_and_repeats_itself(shape: tuple[int, ...], context: SandboxContext) -> None:
    def maps(samples: medbench.Samples) -> medbench.Samples:
        rows = samples.x.reshape(len(samples), 6, *[1] * (len(shape) - 1))
        return replace(samples, x=np.broadcast_to(rows, (len(samples), *shape)).astype(np.float32))

    train, test = maps(features()), maps(features(30, seed=1))

    first, second = (LinearHead().fit(medbench.TrainingSet(train), NOTHING, context) for _ in range(2))

    assert (first(test.x).argmax(1) == test.labels).mean() > 0.95
    assert np.array_equal(first(test.x), second(test.x))


def test_the_head_does_not_depend_on_units(context: SandboxContext) -> None:
    train = features()
    units = np.array([1e-3, 1, 1e3, 1, 1, 1], dtype=np.float32)
    scaled = replace(train, x=train.x * units + 5)

    plain = LinearHead().fit(medbench.TrainingSet(train), NOTHING, context)
    other = LinearHead().fit(medbench.TrainingSet(scaled), NOTHING, context)

    np.testing.assert_allclose(other(scaled.x), plain(train.x), atol=1e-2)


def test_a_constant_feature_and_synthetic_rows_do_not_move_the_units(context: SandboxContext) -> None:
    train = features()
    train = replace(train, x=np.concatenate([train.x, np.full((40, 1), 0.1, np.float32)], axis=1))
    made = train.with_synthetic(np.full((5, 7), 1e4, dtype=np.float32), np.zeros(5), maker="far")

    fitted: Any = LinearHead().fit(medbench.TrainingSet(made), NOTHING, context)

    np.testing.assert_allclose(fitted.network.mean.numpy(), train.x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(fitted.network.deviation.numpy()[:6], train.x[:, :6].std(0), rtol=1e-5)
    assert fitted.network.deviation[6] == 1
