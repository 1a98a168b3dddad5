"""AC-GANs of maps of features, and every arm of features on maps."""

from __future__ import annotations

import typing
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import medbench
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.augmenters.feature_gaussian import FeatureGaussian
from medbench_plugins.augmenters.feature_generative import FeatureGenerative
from medbench_plugins.augmenters.feature_mixup import FeatureMixup
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.feature_smote import FeatureSMOTE
from medbench_plugins.classifiers.heads import ConvHead, LinearHead
from medbench_plugins.generators.clswgan import ClsWGAN
from medbench_plugins.generators.feature_acgans import DenseACGAN, FeatureACGAN, MapACGAN
from medbench_plugins.generators.feature_gans.map_networks import MapDiscriminator, MapGenerator
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.row_vectors import channel_units

QUICK = MapACGAN(width=4, latent=4, steps=5, lr_g=5e-3)
BY_RANK = FeatureACGAN(start="noise", dense=DenseACGAN(hidden=8, latent=4, steps=5), maps=QUICK)
ARMS: list[medbench.Augmenter] = [
    FeatureNone(),
    FeatureSMOTE(),
    FeatureSMOTE(kind="borderline"),
    FeatureGaussian(),
    FeatureMixup(),
    FeatureGenerative("feature-copies", generator=Resample()),
    FeatureGenerative(generator=BY_RANK),
    FeatureGenerative("feature-clswgan", generator=ClsWGAN(hidden=8, latent=4, steps=5)),
]


def uneven(shape: tuple[int, ...] = (5, 3, 2), *, positive: bool = True) -> medbench.Samples:
    """30 rows of class 0, 8 of class 1, which lies a deviation further, and two without a label."""
    rng = np.random.default_rng(0)
    labels = np.array([0] * 30 + [1] * 8 + [-1] * 2, dtype=np.int64)
    x = rng.normal(size=(40, *shape)) + (labels == 1).reshape(40, *[1] * len(shape))
    return replace(toy_samples(40, size=4), x=(np.maximum(x, 0) if positive else x).astype(np.float32), labels=labels)


@pytest.mark.parametrize("shape", [(5, 3, 2), (6, 2, 3, 2)], ids=["2d", "3d"])
@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: f"{arm.name}-{getattr(arm, 'kind', '')}")
def test_every_arm_of_features_works_on_maps(
    arm: medbench.Augmenter, shape: tuple[int, ...], context: SandboxContext
) -> None:
    context.budget = medbench.Budget(steps=3, batch=8, generator_steps=5)
    train = uneven(shape)

    made = arm.fit(train, context)
    assert made.samples.x.dtype == np.float32
    assert made.samples.x.shape[1:] == shape
    assert np.array_equal(made.samples.x[:40], train.x)
    assert ("samples" in arm.gives) == (len(made.samples) > 40)

    for head in (ConvHead(width=4, hidden=8), LinearHead()):
        assert head.fit(made, train.take([]), context)(train.x).shape == (40, 2)


@given(
    sides=st.lists(st.integers(1, 17), min_size=2, max_size=3).filter(lambda s: np.prod(s) <= 600),
    channels=st.integers(1, 5),
)
@settings(deadline=None, max_examples=30)
def test_the_networks_fit_maps_of_any_size(sides: list[int], channels: int) -> None:
    shape = (channels, *sides)
    with torch.random.fork_rng():
        generator = MapGenerator(shape, 3, width=2, latent=4, positive=True).eval()
        discriminator = MapDiscriminator(shape, 3, width=2)
    labels = torch.tensor([0, 2])

    with torch.no_grad():
        made = generator(torch.zeros(2, 4), labels)
        source, classes = discriminator(made)

    assert made.shape == (2, np.prod(shape))
    assert (made >= 0).all()
    assert source.shape == (2,)
    assert classes.shape == (2, 3)


def test_feature_acgan_takes_the_generator_that_rows_are_for(context: SandboxContext) -> None:
    maps = uneven()
    vectors = replace(maps, x=maps.x.reshape(40, -1))

    for train, own in ((maps, BY_RANK.maps), (vectors, BY_RANK.dense)):
        made, expected = (g.fit(train, context).sample(np.arange(6) % 2, 1) for g in (BY_RANK, own))
        assert np.array_equal(made, expected)


def test_units_are_those_of_a_channel_over_rows_and_positions() -> None:
    x = np.random.default_rng(0).normal(3, 2, (7, 4, 3, 2)).astype(np.float32)
    x[:, 2] = 0.1

    mean, deviation = channel_units(x)

    by_hand = x.astype(np.float64).transpose(1, 0, 2, 3).reshape(4, -1)
    np.testing.assert_allclose(mean, by_hand.mean(1))
    np.testing.assert_allclose(deviation[[0, 1, 3]], by_hand.std(1)[[0, 1, 3]])
    assert deviation[2] == 1


def test_a_gan_of_maps_finds_where_each_class_is_bright(context: SandboxContext) -> None:
    context.budget = medbench.Budget(generator_steps=250)
    train = toy_samples(120, size=4)
    x = np.random.default_rng(0).gamma(2, 1, (120, 3, 4, 4))
    x[train.labels == 0, 0, :2] += 4
    x[train.labels == 1, 0, 2:] += 4
    train = replace(train, x=x.astype(np.float32))

    made = MapACGAN(width=8, latent=8, lr_g=1e-3, lr_d=2e-3).fit(train, context).sample(train.labels, 0)

    for label in (0, 1):
        real, own = train.x[train.labels == label].mean(0), made[train.labels == label].mean(0)
        assert np.corrcoef(real.ravel(), own.ravel())[0, 1] > 0.85
        assert np.abs(own - real).mean() < 1


def test_the_first_norm_has_the_statistics_of_the_kept_weights(context: SandboxContext) -> None:
    train = uneven()
    recipe = replace(QUICK, steps=30, batch=32)

    state = recipe.fit(train, context).state()

    weight, bias = (state[f"project.{name}"].astype(np.float64) for name in ("weight", "bias"))
    noise, labels = np.random.default_rng(0).normal(size=(4000, 4)), np.eye(2)[np.arange(4000) % 2]
    seen = (np.concatenate([noise, labels], 1) @ weight.T + bias).reshape(4000, 8, -1)
    mean, deviation = seen.mean((0, 2)), seen.std((0, 2))
    assert np.abs((state["norms.0.norm.running_mean"] - mean) / deviation).max() < 0.1
    assert np.abs(np.sqrt(state["norms.0.norm.running_var"]) / deviation - 1).max() < 0.1


def test_maps_longer_than_dense_networks_take_are_no_trouble(context: SandboxContext) -> None:
    context.budget = medbench.Budget(generator_steps=1)
    train = uneven((300, 15, 15)).take([*range(6), *range(30, 36)])
    assert train.x[0].size > 65_536

    assert BY_RANK.fit(train, context).sample(np.array([0, 1]), 0).shape == (2, 300, 15, 15)
    with pytest.raises(medbench.Skip, match="got 67,500"):
        ClsWGAN().fit(train, context)


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        (MapACGAN(variant="other"), "map-acgan.variant"),  # type: ignore[arg-type]
        (MapACGAN(width=0), "map-acgan.width"),
        (FeatureACGAN(maps=MapACGAN(batch=1)), "map-acgan.batch"),
        (FeatureACGAN(dense=DenseACGAN(hidden=0)), "dense-acgan.hidden"),
    ],
)
def test_a_field_out_of_range_is_an_error(recipe: typing.Any, field: str) -> None:
    with pytest.raises(medbench.UsageError, match=field):
        recipe.check()
