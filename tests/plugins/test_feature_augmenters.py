"""Arms of features: what they make, what they leave out, and the losses their generators learn by."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE, BorderlineSMOTE
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression

import medbench
from medbench.testing import SandboxContext, check_augmenter, check_generator, toy_samples
from medbench_plugins.augmenters.feature_gaussian import FeatureGaussian, draw_gaussian
from medbench_plugins.augmenters.feature_generative import FeatureGenerative
from medbench_plugins.augmenters.feature_mixup import FeatureMixup
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.feature_smote import FeatureSMOTE, smote
from medbench_plugins.generators.clswgan import ClsWGAN
from medbench_plugins.generators.feature_acgans import DenseACGAN
from medbench_plugins.generators.feature_gans.classified_wasserstein import ClassifiedWasserstein, linear_softmax
from medbench_plugins.generators.feature_gans.dense_networks import DenseCritic
from medbench_plugins.generators.image_gans.losses import Wasserstein
from medbench_plugins.generators.placebos import Resample

QUICK_ACGAN, QUICK_CLSWGAN = DenseACGAN(hidden=16, latent=4, steps=5), ClsWGAN(hidden=16, latent=4, steps=5)
ARMS: list[medbench.Augmenter] = [
    FeatureNone(),
    FeatureSMOTE(),
    FeatureSMOTE(kind="borderline"),
    FeatureGaussian(),
    FeatureMixup(),
    FeatureGenerative(generator=QUICK_ACGAN),
    FeatureGenerative("feature-clswgan", generator=QUICK_CLSWGAN),
]
Fill = typing.Literal["equal", "balance"]


def uneven(d: int = 5, *, positive: bool = False, overlap: bool = True) -> medbench.Samples:
    """30 rows of class 0, 8 of class 1, which lies a deviation further, and two without a label."""
    rng = np.random.default_rng(0)
    labels = np.array([0] * 30 + [1] * 8 + [-1] * 2, dtype=np.int64)
    x = rng.normal(size=(40, d)) + (labels == 1)[:, None] * (1.0 if overlap else 50.0)
    return replace(toy_samples(40, size=4), x=(np.maximum(x, 0) if positive else x).astype(np.float32), labels=labels)


@pytest.mark.parametrize(
    "arm",
    [a for a in ARMS if getattr(a, "kind", "") != "borderline"],  # toy classes do not touch: it is skipped
    ids=lambda arm: f"{arm.name}-{getattr(arm, 'kind', '')}",
)
def test_an_arm_of_features_keeps_the_contract(arm: medbench.Augmenter, tmp_path: Path) -> None:
    assert arm.space == "features"

    check_augmenter(arm, tmp_path)


@pytest.mark.parametrize("generator", [QUICK_ACGAN, QUICK_CLSWGAN], ids=lambda generator: generator.name)
def test_a_generator_of_features_keeps_the_contract(generator: medbench.Generator, tmp_path: Path) -> None:
    check_generator(generator, tmp_path)


@pytest.mark.parametrize("fill", ["equal", "balance"])
@pytest.mark.parametrize(
    "arm",
    [a for a in ARMS if "samples" in a.gives and getattr(a, "kind", "") != "borderline"],
    ids=lambda arm: arm.name,
)
def test_synthetic_rows_are_float32_of_the_requested_classes(
    arm: typing.Any, fill: Fill, context: SandboxContext
) -> None:
    train = uneven()

    made = replace(arm, fill=fill).fit(train, context)

    assert made.samples.class_counts.tolist() == ([60, 16] if fill == "equal" else [30, 30])
    assert made.samples.x.dtype == np.float32
    assert np.isfinite(made.samples.x).all()
    assert np.array_equal(made.samples.x[:40], train.x)
    assert made.class_frequencies.tolist() == pytest.approx([0.5, 0.5])


@given(seed=st.integers(0, 2**63 - 1), neighbours=st.integers(1, 5), borderline=st.booleans())
@settings(deadline=None, max_examples=20)
def test_smote_is_that_of_imbalanced_learn(seed: int, neighbours: int, borderline: bool) -> None:
    train = uneven().take(range(38))
    x = train.x.astype(np.float64)
    library = (BorderlineSMOTE if borderline else SMOTE)(
        sampling_strategy={1: 20}, k_neighbors=neighbours, random_state=seed % 2**32
    )
    expected, _ = library.fit_resample(x, train.labels)

    made, labels = smote(x, train.labels, np.array([0, 12]), neighbours=neighbours, borderline=borderline, seed=seed)

    assert np.array_equal(made, expected[38:])
    assert labels.tolist() == [1] * 12


def test_smote_stays_on_lines_between_rows_of_the_class(context: SandboxContext) -> None:
    train = uneven(d=3)

    made = FeatureSMOTE().fit(train, context).samples
    own = train.x[train.labels == 1].astype(np.float64)

    for row in made.x[40:][made.labels[40:] == 1].astype(np.float64):
        a, b = own[:, None], own[None]
        length = ((b - a) ** 2).sum(-1)
        share = ((row - a) * (b - a)).sum(-1) / np.where(length > 0, length, 1)
        off = np.abs(a + share[..., None] * (b - a) - row).max(-1)
        assert (off[(share >= -1e-4) & (share <= 1 + 1e-4)] < 1e-4).any()


def test_fewer_rows_than_neighbours_are_a_skip_that_names_class_and_number(context: SandboxContext) -> None:
    train = uneven()

    with pytest.raises(medbench.Skip, match="needs 9 rows of a class, 'class 1' has 8"):
        FeatureSMOTE(neighbours=8).fit(train, context)
    assert len(FeatureSMOTE(neighbours=7).fit(train, context).samples) == 78


def test_a_class_that_gets_no_rows_needs_no_neighbours(context: SandboxContext) -> None:
    train = uneven().take([*range(4), *range(30, 38)])

    made = FeatureSMOTE(fill="balance", neighbours=3).fit(train, context).samples

    assert made.class_counts.tolist() == [8, 8]


def test_borderline_is_left_out_where_classes_do_not_touch(context: SandboxContext) -> None:
    """It would make no row of the class it is for, under its own name."""
    with pytest.raises(medbench.Skip, match="no borderline row of 'class 1', the rarest class to be filled"):
        FeatureSMOTE(kind="borderline").fit(uneven(overlap=False), context)

    assert not FeatureSMOTE(kind="borderline").fit(uneven(), context).samples.is_real.all()


def test_a_gaussian_needs_two_rows(context: SandboxContext) -> None:
    with pytest.raises(medbench.Skip, match="'class 1' has one or none"):
        FeatureGaussian().fit(uneven().take(range(31)), context)


def test_a_feature_that_hardly_varies_hardly_varies_in_a_draw(context: SandboxContext) -> None:
    rng = np.random.default_rng(0)
    samples = uneven()
    spread = np.where(np.arange(40) % 2, 1e-4, 1.0)
    x = (5 + spread * rng.standard_normal((len(samples), 40))).astype(np.float32)

    made = FeatureGaussian(fill="equal").fit(dataclasses.replace(samples, x=x, masks=None), context).samples

    drawn, real = made.x[~made.is_real].std(0), made.x[made.is_real].std(0)
    np.testing.assert_allclose(drawn / real, 1, atol=0.5)


def test_gaussian_draws_have_the_mean_and_the_ledoit_wolf_covariance() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 4)) @ rng.normal(size=(4, 4)) + 3
    reference = LedoitWolf().fit(x)

    drawn = draw_gaussian(x, 200_000, np.random.default_rng(0))

    scale = np.trace(reference.covariance_)
    np.testing.assert_allclose(drawn.mean(0), reference.location_, atol=0.01 * np.sqrt(scale))
    np.testing.assert_allclose(np.cov(drawn.T), reference.covariance_, atol=0.01 * scale)
    skew = ((drawn - drawn.mean(0)) ** 3).mean(0) / drawn.std(0) ** 3
    assert np.abs(skew).max() < 0.03


def test_mixed_rows_and_labels_have_the_same_share(context: SandboxContext) -> None:
    train = uneven()
    transform = FeatureMixup().fit(train, context).transform
    assert transform is not None
    x = torch.arange(8.0)[:, None].expand(8, 3).contiguous()  # a row tells its own number
    y = torch.eye(8)

    mixed, labels = transform(x, y, torch.Generator().manual_seed(0))

    torch.testing.assert_close(mixed[:, 0], labels @ x[:, 0])
    torch.testing.assert_close(labels.sum(1), torch.ones(8))
    assert ((labels > 0).sum(1) <= 2).all()
    assert (labels.diagonal() < 1).any()


def test_a_generator_of_features_finds_means_and_spread(context: SandboxContext) -> None:
    context.budget = medbench.Budget(generator_steps=1000)
    x = np.random.default_rng(0).normal(size=(400, 4)) * [1, 2, 3, 4]
    train = toy_samples(400, size=4)
    x[train.labels == 1, :2] += 5
    train = replace(train, x=x.astype(np.float32))

    for generator in (
        DenseACGAN(hidden=64, latent=8, lr_g=1e-3, lr_d=2e-3),
        ClsWGAN(hidden=64, latent=8, lr_g=1e-3, lr_d=1e-3),
    ):
        made = generator.fit(train, context).sample(train.labels, 0)
        for label in (0, 1):
            real, own = train.x[train.labels == label], made[train.labels == label]
            assert (np.abs(own.mean(0) - real.mean(0)) / real.std(0)).max() < 0.6, generator.name
            assert np.abs(np.log2(own.std(0) / real.std(0))).max() < 1.3, generator.name


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        (FeatureSMOTE(kind="other"), "feature-smote.kind"),  # type: ignore[arg-type]
        (FeatureSMOTE(neighbours=0), "feature-smote.neighbours"),
        (FeatureSMOTE(ratio=0), "feature-smote.ratio"),
        (FeatureGaussian(fill="half"), "feature-gaussian.fill"),  # type: ignore[arg-type]
        (FeatureMixup(alpha=0), "feature-mixup.alpha"),
        (FeatureGenerative(ratio=float("nan")), "feature-acgan.ratio"),
        (DenseACGAN(variant="other"), "dense-acgan.variant"),  # type: ignore[arg-type]
        (DenseACGAN(hidden=0), "dense-acgan.hidden"),
        (ClsWGAN(critic_steps=0), "clswgan.critic_steps"),
    ],
)
def test_a_field_out_of_range_is_an_error(recipe: typing.Any, field: str, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=field):
        recipe.fit(uneven(), context)


def test_the_controls_lead_to_feature_none() -> None:
    arm = FeatureGenerative("feature-clswgan", generator=ClsWGAN(), fill="balance", ratio=0.5)

    assert arm.control == replace(arm, name="feature-copies", generator=Resample())
    assert arm.control is not None
    assert arm.control.control == FeatureNone()
    assert {a.control for a in (FeatureSMOTE(), FeatureGaussian(), FeatureMixup())} == {FeatureNone()}
    assert FeatureNone().control is None
    assert FeatureNone().gives  # or it would be taken for the footer of every table


@given(weight=st.floats(0, 5), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_the_loss_of_clswgan_is_its_formula_in_float64(weight: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(7, 4)), rng.integers(0, 3, 7)
    W, b, c = rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=4)
    logits = x @ W.T + b
    probability = np.exp(logits)[np.arange(7), labels] / np.exp(logits).sum(1)
    expected = -(x @ c).mean() + weight * -np.log(probability).mean()
    objective = ClassifiedWasserstein(
        Wasserstein(10.0), lambda made: made @ torch.from_numpy(W).T + torch.from_numpy(b), weight
    )

    loss, parts = objective.generator_loss(
        lambda made, own: made @ torch.from_numpy(c), torch.from_numpy(x), torch.from_numpy(labels)
    )

    assert loss.item() == pytest.approx(expected, rel=1e-9)
    assert [part.item() for part in parts] == pytest.approx([-(x @ c).mean(), -np.log(probability).mean()])


def test_the_penalty_of_the_dense_critic_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    critic = DenseCritic(4, 3, hidden=8).double()
    real, fake, labels = torch.randn(6, 4).double(), torch.randn(6, 4).double(), torch.arange(6) % 3
    share = torch.rand(6, 1, generator=torch.Generator().manual_seed(5)).double()
    between, h = share * real + (1 - share) * fake, 1e-6
    with torch.no_grad():
        slope = torch.stack(
            [
                (critic(between + h * e, labels) - critic(between - h * e, labels)) / (2 * h)
                for e in torch.eye(4).double()
            ]
        )
        steep = ((slope.norm(dim=0) - 1) ** 2).mean()
        distance = critic(real, labels).mean() - critic(fake, labels).mean()

    loss, (found, penalty) = ClassifiedWasserstein(Wasserstein(10.0), torch.nn.Identity(), 0.01).discriminator_loss(
        critic, real, fake, labels, torch.Generator().manual_seed(5)
    )

    assert found.item() == pytest.approx(distance.item())
    assert penalty.item() == pytest.approx(steep.item(), rel=1e-5)
    assert loss.item() == pytest.approx((10 * steep - distance).item(), rel=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_frozen_softmax_is_that_of_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % classes
    x = (rng.normal(size=(60, 4)) + labels[:, None]).astype(np.float32)
    reference = LogisticRegression(class_weight="balanced", max_iter=1000).fit(x.astype(np.float64), labels)

    layer = linear_softmax(torch.from_numpy(x), torch.from_numpy(labels), classes)

    np.testing.assert_allclose(layer(torch.from_numpy(x)).softmax(1).numpy(), reference.predict_proba(x), atol=1e-4)
    assert not any(p.requires_grad for p in layer.parameters())


@pytest.mark.slow
def test_arms_of_features_run_from_the_command_line_and_a_skip_is_a_row(tmp_path: Path) -> None:
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}
    command = [sys.executable, "-m", "medbench", "run", "-d", "phantom:ddti", "-c", "small-cnn", "--budget",
               "smoke,size=16", "--folds", "2", "--repeats", "1", "-p", "no:medbench.scores", "-p",
               "no:medbench.extractors"]  # fmt: skip
    for arm in ("feature-smote", "feature-smote[neighbours=90]", "feature-gaussian", "feature-mixup", "feature-acgan",
                "feature-clswgan"):  # fmt: skip
        command += ["-a", arm]

    ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    stages = [json.loads(path.read_text())["stage"] for path in (tmp_path / "runs" / "stages").glob("*/stage.json")]

    assert ran.returncode == 0, ran.stderr
    assert sorted(set(stages)) == ["clswgan", "encoder", "feature-acgan"]
    assert len(stages) == 6
    for line in ("refitted head", "manifold mixup", "copied features", "f-CLSWGAN features"):
        assert line in ran.stdout
    assert "feature-smote needs 91 rows of a class" in " ".join(ran.stdout.split())
