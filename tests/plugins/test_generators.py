"""Generators: what they draw, what they keep, and the losses they learn by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import medbench
from medbench.testing import SandboxContext, check_recipe_is_unchanged, toy_samples
from medbench_plugins.generators import register_generators
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.diversity import mean_distance
from medbench_plugins.generators.image_gans.diff_augment import augment_differentiably
from medbench_plugins.generators.image_gans.loop import relative_diversity
from medbench_plugins.generators.image_gans.losses import AuxiliaryClassifier, class_loss, source_loss
from medbench_plugins.generators.image_gans.networks import (
    DiscriminatorNetwork,
    GeneratorNetwork,
    UpsampledConvolution,
    count_halvings,
)
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.training.moving_average import MovingAverage
from medbench_plugins.training.steps import step_number

QUICK = ACGAN(width=4, latent=8, steps=4, batch=8, batch_3d=4)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("generator", [QUICK, Resample()], ids=lambda generator: generator.name)
def test_a_sampler_draws_one_row_a_label_like_the_training_rows(
    generator: medbench.Generator, dimensions: int, context: SandboxContext
) -> None:
    train = toy_samples(20, classes=3, channels=2, size=13, dimensions=dimensions)
    before = train.x.copy()
    labels = np.array([2, 0, 0, 1, 2, 2, 2], dtype=np.int64)

    sampler = check_recipe_is_unchanged(generator, lambda: generator.fit(train, context))
    x = sampler.sample(labels, 5)

    assert isinstance(generator, medbench.Generator)
    assert x.dtype == np.uint8
    assert x.shape == (7, *train.x.shape[1:])
    assert np.array_equal(x, sampler.sample(labels, 5))
    assert not np.array_equal(x, sampler.sample(labels, 6))
    assert sampler.sample(labels[:0], 5).shape == (0, *train.x.shape[1:])
    assert np.array_equal(train.x, before)


def test_a_class_without_images_is_a_skip_that_names_it(context: SandboxContext) -> None:
    train = replace(toy_samples(12, size=12), classes=("class 0", "class 1", "rare"))

    with pytest.raises(medbench.Skip, match="rare"):
        Resample().fit(train, context).sample(np.array([0, 2]), 0)


@pytest.mark.parametrize(
    ("field", "value"), [("variant", "other"), ("width", 0), ("batch", 1), ("lr_g", float("nan")), ("beta1", 1.0)]
)
def test_a_field_out_of_range_is_an_error(field: str, value: object, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=f"acgan.{field}"):
        replace(QUICK, **{field: value}).fit(toy_samples(12, size=12), context)


@given(counts=st.lists(st.integers(1, 9), min_size=2, max_size=3), wanted=st.integers(0, 25), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_resample_draws_real_images_of_the_class_equally_often(counts: list[int], wanted: int, seed: int) -> None:
    samples = toy_samples(30, classes=3, size=4, images_per_patient=1)
    train = samples.take([row for k, n in enumerate(counts) for row in np.flatnonzero(samples.labels == k)[:n]])
    labels = np.repeat(np.arange(len(counts)), wanted)

    x = Resample().restore({}, train).sample(labels, seed)

    for label, n in enumerate(counts):
        own = [row.tobytes() for row in train.x[train.labels == label]]
        times = [sum(drawn.tobytes() == row for drawn in x[labels == label]) for row in own]
        assert sum(times) == wanted
        assert set(times) <= {wanted // n, -(-wanted // n)}


def test_resample_costs_nothing_to_store() -> None:
    assert [generator.name for generator in register_generators() if not generator.stored] == [
        "resample",
        "blur",
        "shuffled-labels",
        "transformed",
        "changed",
        "self-mixed",
    ]
    assert not Resample().restore({}, toy_samples(4)).state()


@given(real=st.lists(st.floats(-30, 30), min_size=1, max_size=9), fake=st.lists(st.floats(-30, 30), min_size=1))
@settings(deadline=None)
def test_source_losses_agree_with_their_formulas_in_float64(real: list[float], fake: list[float]) -> None:
    r, f = np.array(real), np.array(fake)
    hinge = np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()
    entropy = np.log1p(np.exp(-r)).mean() - np.log(1 / (1 + np.exp(f))).mean()

    logits = torch.tensor(real), torch.tensor(fake)

    assert source_loss(*logits, hinge=True).item() == pytest.approx(hinge, rel=1e-5, abs=1e-6)
    assert source_loss(*logits, hinge=False).item() == pytest.approx(entropy, rel=1e-5, abs=1e-6)


def test_the_keras_variant_is_mnist_acgan_up_to_a_factor() -> None:
    """Keras' example in float64: means over real and synthetic rows together, weights 2 for real and 0 for made."""
    rng = np.random.default_rng(0)
    source, classes, labels = rng.normal(size=12), rng.normal(size=(12, 3)), rng.integers(0, 3, 6)
    is_real = np.repeat([1.0, 0.0], 6)
    log_p = classes - np.log(np.exp(classes).sum(1, keepdims=True))
    of_source = -(is_real * -np.log1p(np.exp(-source)) + (1 - is_real) * -np.log1p(np.exp(source))).mean()
    of_class = (2 * is_real * -log_p[np.arange(12), np.tile(labels, 2)]).mean()

    def judge(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(source), torch.from_numpy(classes)

    rows = torch.zeros(6, 1)
    loss, _ = AuxiliaryClassifier("keras", 1.0).discriminator_loss(
        judge, rows, rows, torch.from_numpy(labels), torch.Generator()
    )

    assert loss.item() == pytest.approx(2 * (of_source + of_class))


def test_only_odena_asks_the_class_of_synthetic_images() -> None:
    rng = np.random.default_rng(0)
    real, fake, labels = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), rng.integers(0, 3, 6)

    def negative_log_likelihood(logits: np.ndarray) -> float:
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return float(-np.log(probabilities[np.arange(6), labels]).mean())

    given = torch.from_numpy(real), torch.from_numpy(fake), torch.from_numpy(labels)

    on_real, on_fake = negative_log_likelihood(real), negative_log_likelihood(fake)
    assert class_loss(*given, variant="odena").item() == pytest.approx(on_real + on_fake)
    assert class_loss(*given, variant="keras").item() == pytest.approx(2 * on_real)
    assert class_loss(*given, variant="modified").item() == pytest.approx(on_real)


@pytest.mark.parametrize("conditional_norm", [True, False])
def test_the_moving_average_follows_its_closed_form_buffers_included(conditional_norm: bool) -> None:
    network = GeneratorNetwork((1, 8, 8), 2, width=2, latent=3, conditional_norm=conditional_norm)
    at = step_number(torch.device("cpu"))
    average = MovingAverage.rising(network, 0.3, 4, at)
    expected = {name: value.double().clone() for name, value in network.state_dict().items()}

    for step in range(1, 5):
        with torch.no_grad():
            for value in network.state_dict().values():
                value.copy_(torch.full_like(value, step))
        average.update()
        at.add_(1)
        decay = min(0.3, (1 + step) / (10 + step))
        expected = {name: decay * value + (1 - decay) * step for name, value in expected.items()}

    averaged = average.network.state_dict()
    names = [name for name, value in averaged.items() if value.is_floating_point()]
    assert any("running_var" in name for name in names)
    assert all(torch.allclose(averaged[name].double(), expected[name], atol=1e-5) for name in names)


@pytest.mark.parametrize("spatial", [(5, 6), (3, 4, 5)])
def test_the_transposed_convolution_is_nearest_upsampling_and_a_convolution(spatial: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = UpsampledConvolution(3, 4, len(spatial)).double()
    x = torch.randn(2, 3, *spatial, dtype=torch.float64)
    convolve = F.conv2d if len(spatial) == 2 else F.conv3d

    large = F.interpolate(x, scale_factor=2, mode="nearest")

    assert torch.allclose(layer(x), convolve(large, layer.conv.weight, layer.conv.bias, padding=1))


@given(
    spatial=st.one_of(
        st.lists(st.integers(12, 70), min_size=2, max_size=2), st.lists(st.integers(12, 20), min_size=3, max_size=3)
    ),
    channels=st.integers(1, 4),
)
@example(spatial=[12, 70], channels=1)
@settings(deadline=None, max_examples=12)
def test_networks_fit_rows_of_any_size(spatial: list[int], channels: int) -> None:
    labels = torch.tensor([0, 2])
    generator = GeneratorNetwork((channels, *spatial), 3, width=2, latent=5, conditional_norm=True)
    discriminator = DiscriminatorNetwork((channels, *spatial), 3, width=2)

    x = generator(torch.randn(2, 5), labels)
    source, classes = discriminator(x)

    assert x.shape == (2, channels, *spatial)
    assert source.shape == (2,)
    assert classes.shape == (2, 3)


def test_the_smallest_map_has_four_to_eight_positions() -> None:
    assert all(4 <= -(-side // 2 ** count_halvings([side])) <= 8 for side in range(16, 300))


@pytest.mark.parametrize("shape", [(3, 1, 12, 12), (3, 2, 8, 10, 12)])
def test_what_the_discriminator_is_shown_has_a_gradient_and_the_shape_of_the_image(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape, requires_grad=True)

    seen = augment_differentiably(x, torch.Generator().manual_seed(0))
    seen.sum().backward()

    assert seen.shape == x.shape
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_the_distance_between_rows_is_that_of_numpy() -> None:
    x = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 4)).astype(np.uint8)
    pairs = [(i, j) for i in range(5) for j in range(i)]
    expected = np.mean([np.sqrt(((x[i] / 1.0 - x[j] / 1.0) ** 2).mean()) for i, j in pairs])

    assert mean_distance(x) == pytest.approx(expected)
    assert mean_distance(x[:1]) == 0
    assert mean_distance(np.repeat(x[:1], 4, axis=0)) == 0


def test_a_collapsed_generator_has_no_diversity() -> None:
    train = toy_samples(20, size=12)
    network = GeneratorNetwork(train.x.shape[1:], 2, width=4, latent=8, conditional_norm=True).eval()
    healthy = relative_diversity(network, train, seed=0)
    with torch.no_grad():
        network.project.weight[:, :8] = 0  # deaf to the noise: one picture a class

    collapsed = relative_diversity(network, train, seed=0)

    assert (healthy > 0).all()
    assert (collapsed == 0).all()
