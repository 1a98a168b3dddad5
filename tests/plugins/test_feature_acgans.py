"""What every GAN of features keeps to, whatever its networks, and AC-GANs of maps."""

from __future__ import annotations

import csv
import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import medbench
from medbench.testing import SandboxContext, check_generator, toy_samples
from medbench_plugins.augmenters.feature_gaussian import FeatureGaussian
from medbench_plugins.augmenters.feature_generative import FeatureGenerative
from medbench_plugins.augmenters.feature_mixup import FeatureMixup
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.feature_smote import FeatureSMOTE
from medbench_plugins.classifiers.heads import ConvHead, LinearHead
from medbench_plugins.generators.clswgan import ClsWGAN
from medbench_plugins.generators.feature_acgans import DenseACGAN, FeatureACGAN, MapACGAN, RefinedACGAN
from medbench_plugins.generators.feature_gans.map_networks import MapDiscriminator, MapGenerator
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.row_vectors import channel_units

DENSE = DenseACGAN(hidden=8, latent=4, steps=5)
MAPS = MapACGAN(width=4, latent=4, steps=5, lr_g=5e-3)
REFINED = RefinedACGAN(hidden=8, width=4, rank=3, steps=5)
BY_SHAPE = FeatureACGAN(start="noise", dense=DENSE, maps=MAPS)
VECTOR, IMAGE, VOLUME = (5,), (5, 3, 2), (6, 2, 3, 2)
CASES: dict[str, tuple[typing.Any, tuple[int, ...]]] = {
    "dense-acgan": (DENSE, VECTOR),
    "clswgan": (ClsWGAN(hidden=8, latent=4, steps=5), VECTOR),
    "map-acgan": (MAPS, IMAGE),
    "map-acgan-3d": (MAPS, VOLUME),
    "feature-acgan": (BY_SHAPE, IMAGE),
    "refined-acgan": (REFINED, VECTOR),
    "refined-acgan-2d": (REFINED, IMAGE),
    "refined-acgan-3d": (REFINED, VOLUME),
}
SINGLE = {name: case for name, case in CASES.items() if name != "feature-acgan"}
every_case = pytest.mark.parametrize(("generator", "shape"), CASES.values(), ids=CASES)
every_single = pytest.mark.parametrize(("generator", "shape"), SINGLE.values(), ids=SINGLE)

ARMS: list[medbench.Augmenter] = [
    FeatureNone(),
    FeatureSMOTE(),
    FeatureSMOTE(kind="borderline"),
    FeatureGaussian(),
    FeatureMixup(),
    FeatureGenerative("feature-copies", generator=Resample()),
    FeatureGenerative(generator=BY_SHAPE),
    FeatureGenerative("feature-clswgan", generator=ClsWGAN(hidden=8, latent=4, steps=5)),
]


def uneven(shape: tuple[int, ...], *, positive: bool = True) -> medbench.Samples:
    """30 rows of class 0, 8 of class 1, which lies a deviation further, and two without a label."""
    rng = np.random.default_rng(0)
    labels = np.array([0] * 30 + [1] * 8 + [-1] * 2, dtype=np.int64)
    x = rng.normal(size=(40, *shape)) + (labels == 1).reshape(40, *[1] * len(shape))
    return replace(toy_samples(40, size=4), x=(np.maximum(x, 0) if positive else x).astype(np.float32), labels=labels)


@pytest.mark.parametrize("name", ["map-acgan", "feature-acgan", "refined-acgan"])
def test_it_passes_the_checks_that_authors_run(name: str, tmp_path: Path) -> None:
    check_generator(CASES[name][0], tmp_path)


@every_case
@pytest.mark.parametrize("positive", [True, False])
def test_samples_restore_bit_for_bit_and_are_negative_only_where_real_rows_are(
    generator: typing.Any, shape: tuple[int, ...], positive: bool, context: SandboxContext
) -> None:
    train, labels = uneven(shape, positive=positive), np.arange(200) % 2

    fitted = generator.fit(train, context)
    x = fitted.sample(labels, 0)
    stored = {name: np.ascontiguousarray(array) for name, array in fitted.state().items()}  # as the store keeps them
    restored = generator.restore(stored, train)

    assert x.shape == (200, *shape)
    assert (x.min() >= 0) == positive
    assert np.array_equal(restored.sample(labels, 0), x)
    assert np.array_equal(generator.fit(train, context).sample(labels, 0), x)
    assert fitted.facts["diversity"] > 0
    if fitted.judge is not None:
        assert np.array_equal(restored.judge.class_probabilities(x), fitted.judge.class_probabilities(x))
    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        generator.restore(stored, uneven((9, *shape[1:]), positive=positive))


@every_case
def test_unlabelled_rows_teach_nothing(generator: typing.Any, shape: tuple[int, ...], context: SandboxContext) -> None:
    train = uneven(shape)
    changed = train.x.copy()
    changed[38:] = -1e3

    one, other = (generator.fit(t, context).state() for t in (train, replace(train, x=changed)))

    assert all(np.array_equal(one[name], other[name]) for name in one)


@every_single
def test_curves_and_progress_are_kept(generator: typing.Any, shape: tuple[int, ...], context: SandboxContext) -> None:
    generator.fit(uneven(shape), context)

    with (context.folder / f"{generator.name}-curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    discriminator = ["d_distance", "d_penalty", "g_score"] if generator.name == "clswgan" else ["d_source", "d_class"]
    assert list(rows[0]) == [*discriminator, *(["g_source"] if generator.name != "clswgan" else []), "g_class"]
    assert len(rows) == 5
    assert context.reports[-1][:2] == (5, 5)


@every_single
def test_what_it_cannot_learn_is_a_skip_or_divergence(
    generator: typing.Any, shape: tuple[int, ...], context: SandboxContext
) -> None:
    with pytest.raises(medbench.Skip, match="class 1"):
        generator.fit(uneven(shape).take(range(30)), context)
    with pytest.raises(medbench.Skip, match=r"map-acgan draws maps of features|got 70,000"):
        generator.fit(replace(uneven(shape), x=np.zeros((40, 70_000), np.float32)), context)
    with pytest.raises(medbench.Diverged, match=r"(step \d+ of 5|after 5 steps)"):
        replace(generator, lr_g=1e38, lr_d=1e38).fit(uneven(shape), context)


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
    maps = uneven(IMAGE)
    vectors = replace(maps, x=maps.x.reshape(40, -1))

    for train, own in ((maps, BY_SHAPE.maps), (vectors, BY_SHAPE.dense)):
        made, expected = (g.fit(train, context).sample(np.arange(6) % 2, 1) for g in (BY_SHAPE, own))
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
    train = uneven(IMAGE)
    recipe = replace(MAPS, steps=30, batch=32)

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

    assert BY_SHAPE.fit(train, context).sample(np.array([0, 1]), 0).shape == (2, 300, 15, 15)
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
