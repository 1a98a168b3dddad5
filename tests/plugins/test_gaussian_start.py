"""The AC-GAN of features that starts as one Gaussian a class: its start, and what training makes of it."""

from __future__ import annotations

import typing
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn.covariance import LedoitWolf

import medbench
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.generators.feature_acgans import FeatureACGAN, RefinedACGAN
from medbench_plugins.generators.feature_gans.gaussian_start import (
    DenseCorrection,
    MapCorrection,
    StartedGenerator,
    estimate_gaussian,
    gaussian_before_relu,
)
from medbench_plugins.generators.feature_gans.loop import blur
from medbench_plugins.generators.image_gans.losses import AuxiliaryClassifier

QUICK = RefinedACGAN(hidden=8, width=4, rank=3, steps=5, lr_g=5e-3)
SHAPES = [(5,), (5, 3, 2), (3, 2, 3, 2)]


def uneven(shape: tuple[int, ...] = (5,), *, positive: bool = True) -> medbench.Samples:
    """30 rows of class 0, 8 of class 1, which lies a deviation further, and two without a label."""
    rng = np.random.default_rng(0)
    labels = np.array([0] * 30 + [1] * 8 + [-1] * 2, dtype=np.int64)
    x = rng.normal(size=(40, *shape)) + (labels == 1).reshape(40, *[1] * len(shape))
    return replace(toy_samples(40, size=4), x=(np.maximum(x, 0) if positive else x).astype(np.float32), labels=labels)


def shaped_class(kind: str, seed: int, counts: tuple[int, int]) -> medbench.Samples:
    """A round class, and one that no Gaussian fits: two lobes, or a ring."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], counts)
    x, n = rng.normal(size=(len(labels), 3)), counts[1]
    if kind == "lobes":
        x[labels == 1, 0] = np.where(rng.random(n) < 0.5, -3, 3) + 0.3 * rng.normal(size=n)
    else:
        angle = rng.uniform(0, 2 * np.pi, n)
        x[labels == 1, :2] = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.3 * rng.normal(size=(n, 2))
    x[labels == 0, 2] += 4
    return replace(toy_samples(len(labels), size=4), x=x.astype(np.float32), labels=labels.astype(np.int64))


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Szekely and Rizzo's, from all pairs; 0 for equal distributions, up to the size of the sample."""
    return float(2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean())


@given(n=st.integers(2, 30), d=st.integers(2, 12), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_the_start_has_ledoit_and_wolfs_covariance(n: int, d: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(n, d)) @ np.random.default_rng(seed + 1).normal(size=(d, d))
    expected = LedoitWolf().fit(x).covariance_

    mean, directions, rest = estimate_gaussian(x, rank=d)
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(directions.T @ directions + np.diag(rest**2), expected, atol=1e-9 * expected.max())

    _, fewer, rest = estimate_gaussian(x, rank=1)
    assert fewer.shape == (1, d)
    np.testing.assert_allclose((fewer**2).sum(0) + rest**2, np.diag(expected), atol=1e-9 * expected.max())


@pytest.mark.parametrize("x", [np.full((1, 4), 2.0), np.full((6, 4), 2.0)], ids=["one row", "constant rows"])
def test_a_class_without_spread_starts_without_spread(x: np.ndarray) -> None:
    mean, directions, rest = estimate_gaussian(x, rank=3)

    assert np.array_equal(mean, np.full(4, 2.0))
    assert not directions.any()
    assert not rest.any()


def test_before_training_a_class_is_its_gaussian() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)) @ np.array([[2, 1, 0], [0, 1, 1], [0, 0, 0.5]]) + [1, 2, 3]
    labels = np.repeat([0, 1], [30, 10])
    with torch.random.fork_rng():
        correction = DenseCorrection((3,), 2, hidden=8)
    network = StartedGenerator((3,), 2, correction=correction, rank=3, positive=False)
    network.start_from(x, labels)
    z = torch.randn(40_000, network.latent, generator=torch.Generator().manual_seed(0))

    for label in (0, 1):
        wanted = torch.full((len(z),), label)
        with torch.no_grad():
            made = network(z, wanted)
            assert torch.equal(made, network.draw_start(z, wanted))
        reference = LedoitWolf().fit(x[labels == label])
        scale = np.sqrt(np.diag(reference.covariance_))
        assert (np.abs(made.numpy().mean(0) - reference.location_) / scale).max() < 0.03
        assert (np.abs(np.cov(made.numpy().T) - reference.covariance_) / np.outer(scale, scale)).max() < 0.05


@pytest.mark.parametrize("ratio", [0.01, 0.3, 1.0, 2.0, 5.0, 20.0])
def test_behind_a_relu_a_feature_has_the_mean_and_deviation_it_was_given(ratio: float) -> None:
    (mean,), (deviation,) = gaussian_before_relu(np.array([0.7]), np.array([0.7 * ratio]))

    x = np.linspace(0, max(mean, 0) + 12 * deviation, 400_001)  # the integral, instead of the closed form
    density = norm(mean, deviation).pdf(x)
    first, second = trapezoid(x * density, x), trapezoid(x**2 * density, x)
    assert first == pytest.approx(0.7, rel=1e-4)
    assert np.sqrt(second - first**2) == pytest.approx(0.7 * ratio, rel=1e-3)


def test_a_feature_without_spread_or_without_values_starts_as_it_is() -> None:
    mean, deviation = gaussian_before_relu(np.array([2.0, 0.0]), np.array([0.0, 0.0]))

    assert (mean.tolist(), deviation.tolist()) == ([2.0, 0.0], [0.0, 0.0])


def test_sparse_features_start_with_their_own_mean_and_spread() -> None:
    rng = np.random.default_rng(0)
    x = np.where(rng.random((400, 6)) < 0.15, rng.gamma(2, 1, (400, 6)), 0.0)
    start = StartedGenerator((6,), 1, correction=DenseCorrection((6,), 1, hidden=4), rank=3, positive=True)
    start.start_from(x, np.zeros(400, dtype=np.int64))
    z = torch.randn(40_000, start.latent, generator=torch.Generator().manual_seed(0))
    drawn = start.draw_start(z, torch.zeros(40_000, dtype=torch.int64)).numpy()

    shrunk = np.sqrt(np.diag(LedoitWolf().fit(x).covariance_))
    assert drawn.mean(0) == pytest.approx(x.mean(0), rel=0.05)  # without it 1.6 to 1.9 times as much
    assert drawn.std(0) == pytest.approx(shrunk, rel=0.05)


@given(shape=st.lists(st.integers(1, 6), min_size=3, max_size=4), n_classes=st.integers(2, 4))
@settings(deadline=None, max_examples=20)
def test_a_correction_of_maps_of_any_size_begins_at_nothing(shape: list[int], n_classes: int) -> None:
    with torch.random.fork_rng():
        correction = MapCorrection(tuple(shape), n_classes, width=2)
    x = torch.ones(n_classes, int(np.prod(shape)))

    assert torch.equal(correction(x, torch.arange(n_classes)), torch.zeros_like(x))


@pytest.mark.parametrize("kind", ["lobes", "ring"])
def test_training_fits_a_class_that_is_no_gaussian_better_than_its_start(kind: str, context: SandboxContext) -> None:
    context.budget = medbench.Budget(generator_steps=300)
    train, test = shaped_class(kind, 0, (300, 200)), shaped_class(kind, 1, (10, 1000))
    unseen, wanted = test.x[test.labels == 1], np.ones(1000, dtype=np.int64)
    recipe = RefinedACGAN(hidden=128, steps=300, batch=200, lr_d=5e-3, pull=0.03)

    start, trained = (
        replace(recipe, **change).fit(train, context).sample(wanted, 0) for change in ({"steps": 1, "lr_g": 0.0}, {})
    )

    assert energy_distance(trained, unseen) < 0.95 * energy_distance(start, unseen)
    assert np.abs(trained - start).mean() > 0.05  # the same noise, another row


def test_a_rare_class_keeps_its_spread_and_its_place(context: SandboxContext) -> None:
    """12 rows of 40 numbers: from noise, their AC-GAN draws narrow rows beside the class."""
    context.budget = medbench.Budget(generator_steps=200)
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [200, 12])
    train = replace(
        toy_samples(212, size=4), x=(rng.normal(size=(212, 40)) + labels[:, None]).astype(np.float32), labels=labels
    )

    made = RefinedACGAN(hidden=64).fit(train, context).sample(np.ones(2000, dtype=np.int64), 0)

    real = train.x[labels == 1]
    assert np.linalg.norm(made.mean(0) - real.mean(0)) < np.linalg.norm(real.mean(0) - 1)  # within its own error
    assert 0.8 < made.var(0).sum() / real.var(0, ddof=1).sum() < 1.25


@pytest.mark.parametrize("start", ["gaussian", "noise"])
def test_feature_acgan_takes_the_given_start(start: typing.Any, context: SandboxContext) -> None:
    context.budget = medbench.Budget(generator_steps=3)
    recipe = FeatureACGAN(start=start)
    own = {"gaussian": recipe.refined, "noise": recipe.dense}[start]

    made, expected = (g.fit(uneven(), context).sample(np.arange(6) % 2, 1) for g in (recipe, own))

    assert np.array_equal(made, expected)


def test_one_row_of_a_class_is_enough(context: SandboxContext) -> None:
    train = uneven().take([*range(30), 30])

    made = QUICK.fit(train, context).sample(np.ones(50, dtype=np.int64), 0)

    assert np.isfinite(made).all()


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        (RefinedACGAN(variant="other"), "refined-acgan.variant"),  # type: ignore[arg-type]
        (RefinedACGAN(rank=0), "refined-acgan.rank"),
        (RefinedACGAN(blur=-1), "refined-acgan.blur"),
        (RefinedACGAN(pull=float("nan")), "refined-acgan.pull"),
        (RefinedACGAN(made_class_weight=-1), "refined-acgan.made_class_weight"),
        (FeatureACGAN(start="other"), "feature-acgan.start"),  # type: ignore[arg-type]
        (FeatureACGAN(refined=RefinedACGAN(batch=1)), "refined-acgan.batch"),
    ],
)
def test_a_field_out_of_range_is_an_error(recipe: typing.Any, field: str) -> None:
    with pytest.raises(medbench.UsageError, match=field):
        recipe.check()


def test_noise_before_the_discriminator_has_the_requested_deviation() -> None:
    x = torch.full((4000, 5), 3.0)

    noisy = blur(x, 0.5, torch.Generator().manual_seed(0)) - x

    assert abs(noisy.std() - 0.5) < 0.01
    assert abs(noisy.mean()) < 0.01
    assert blur(x, 0.0, torch.Generator()) is x


def test_the_class_loss_can_weigh_less_in_the_generator() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    labels = torch.tensor([1])
    of_class = np.log1p(np.exp(2.0))

    for weight, expected in ((None, 3.0 * of_class), (0.1, 0.1 * of_class)):
        loss, _ = AuxiliaryClassifier("modified", 3.0, weight).generator_loss(
            lambda x: (torch.tensor([0.5]), logits), torch.zeros(1, 2), labels
        )
        assert loss.item() == pytest.approx(expected - 0.5, rel=1e-6)
