"""The built-in augmenters, their controls, and what they hand to a classifier."""

from __future__ import annotations

import subprocess
import sys
import typing
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import medbench
from medbench.registry.plugins import load
from medbench.testing import SandboxContext, check_recipe_is_unchanged, toy_samples
from medbench_plugins.augmenters import register_augmenters
from medbench_plugins.augmenters.chosen import Chosen
from medbench_plugins.augmenters.generative import Generative, synthetic_counts
from medbench_plugins.augmenters.geometric import Geometric
from medbench_plugins.augmenters.synthetic import SyntheticOnly
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.feature_acgans import FeatureACGAN, RefinedACGAN
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.plain_augmenters import Balanced

BUILT_IN = {augmenter.name: augmenter for augmenter in register_augmenters()}
QUICK = ACGAN(width=4, latent=8, steps=3, batch=8, batch_3d=4)


def uneven(dimensions: int = 2, channels: int = 1) -> medbench.Samples:
    """30 rows of class 0, 6 of class 1 and two without a label."""
    samples = toy_samples(80, dimensions=dimensions, channels=channels, size=12)
    first, second = np.flatnonzero(samples.labels == 0), np.flatnonzero(samples.labels == 1)
    samples = samples.take([*first[:30], *second[:8]])
    return replace(samples, labels=np.array([0] * 30 + [1] * 6 + [-1] * 2, dtype=np.int64))


def quick(augmenter: medbench.Augmenter) -> medbench.Augmenter:
    generator = getattr(augmenter, "generator", None)
    if isinstance(generator, FeatureACGAN):  # here its rows are whole volumes, far larger than any encoder's maps
        return replace(augmenter, generator=replace(generator, refined=RefinedACGAN(width=2)))
    if isinstance(augmenter, Chosen):  # its judge is a VGG-16, for images
        judge = SmallCNN(width=4)
        return replace(augmenter, generator=replace(augmenter.generator, generator=QUICK, classifier=judge))  # type: ignore[type-var, call-arg]
    return replace(augmenter, generator=QUICK) if isinstance(augmenter, Generative | SyntheticOnly) else augmenter


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", BUILT_IN)
def test_an_augmenter_gives_what_it_declares_and_keeps_the_real_rows(
    name: str, dimensions: int, context: SandboxContext
) -> None:
    augmenter, train = quick(BUILT_IN[name]), uneven(dimensions, channels=2)
    before = train.x.copy()

    made = check_recipe_is_unchanged(augmenter, lambda: augmenter.fit(train, context))

    assert isinstance(augmenter, medbench.Augmenter)
    given = {field for field in ("transform", "sampling", "loss", "bags") if getattr(made, field) is not None}
    given |= {"samples"} if not made.samples.is_real.all() else set()
    assert augmenter.gives == given
    if name != "synthetic-only":
        assert np.array_equal(made.samples.x[: len(train)], before)
    assert np.array_equal(train.x, before)
    assert made.samples.x.dtype == np.uint8


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_augmenter_repeats_itself(name: str, context: SandboxContext) -> None:
    augmenter, train = quick(BUILT_IN[name]), uneven()

    first, second = augmenter.fit(train, context), augmenter.fit(train, context)

    assert np.array_equal(first.samples.x, second.samples.x)
    assert list(first.samples.ids) == list(second.samples.ids)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("policy", ["safe", "spine-hybrid"])
def test_the_transform_repeats_under_a_seed_and_differs_under_another(
    policy: typing.Literal["safe", "spine-hybrid"], dimensions: int, context: SandboxContext
) -> None:
    train = toy_samples(16, size=12, dimensions=dimensions)
    transform = Geometric(policy=policy).fit(train, context).transform
    assert transform is not None
    x = torch.from_numpy(train.x).float() / 127.5 - 1
    y = torch.eye(2)[torch.from_numpy(train.labels)]
    before = x.clone()

    results = [transform(x, y, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]

    assert torch.equal(results[0][0], results[1][0])
    assert not torch.equal(results[0][0], results[2][0])
    assert all(torch.equal(labels, y) for _, labels in results)
    assert torch.equal(x, before)
    assert results[0][0].shape == x.shape
    assert results[0][0].dtype == torch.float32
    assert results[0][0].abs().max() <= 1


def test_a_left_right_flip_is_the_last_axis_of_an_image_and_the_first_of_a_volume(context: SandboxContext) -> None:
    only_flips = Geometric(rotation=0, scale=0, shear=0, translation=0, probability=1)
    for dimensions, axis in ((2, 3), (3, 2)):
        train = toy_samples(16, size=12, dimensions=dimensions)
        transform = only_flips.fit(train, context).transform
        assert transform is not None
        x = torch.from_numpy(train.x).float() / 127.5 - 1
        flipped, _ = transform(x, torch.zeros(16, 2), torch.Generator().manual_seed(0))

        same = (flipped - x).flatten(1).abs().amax(1) < 1 / 255
        mirrored = (flipped - x.flip(axis)).flatten(1).abs().amax(1) < 1 / 255
        assert torch.all(same | mirrored)
        assert same.any()
        assert mirrored.any()


@given(labels=st.lists(st.integers(-1, 3), min_size=1, max_size=60).filter(lambda rows: max(rows) >= 0))
def test_balanced_sampling_gives_every_present_class_the_same_weight(labels: list[int]) -> None:
    samples = replace(
        toy_samples(len(labels), classes=4, size=4, images_per_patient=1), labels=np.array(labels, dtype=np.int64)
    )

    sampling = medbench.balanced_sampling(samples)

    present = sorted(set(labels) - {-1})
    assert sampling.sum() == pytest.approx(1)
    for label in present:
        assert sampling[samples.labels == label].sum() == pytest.approx(1 / len(present))
    assert not sampling[samples.labels < 0].any()


def test_balanced_sampling_needs_a_label() -> None:
    samples = replace(toy_samples(4), labels=np.full(4, -1))

    with pytest.raises(medbench.DataError, match="none of the 4 training rows has one"):
        medbench.balanced_sampling(samples)


def test_fill_equal_makes_the_same_share_of_every_class() -> None:
    assert synthetic_counts(np.array([100, 7, 0]), fill="equal", ratio=0.5).tolist() == [50, 4, 0]


def test_fill_balance_makes_what_a_class_lacks() -> None:
    assert synthetic_counts(np.array([100, 7, 0]), fill="balance", ratio=1).tolist() == [0, 93, 100]


@given(
    counts=st.lists(st.integers(0, 500), min_size=2, max_size=6),
    ratio=st.floats(0.01, 4),
    fill=st.sampled_from(["equal", "balance"]),
)
def test_filling_never_makes_a_negative_number(
    counts: list[int], ratio: float, fill: typing.Literal["equal", "balance"]
) -> None:
    made = synthetic_counts(np.array(counts), fill=fill, ratio=ratio)

    assert made.dtype == np.int64
    assert made.min() >= 0
    if fill == "balance" and ratio == 1:
        assert set(made + counts) == {max(counts)}


@pytest.mark.parametrize("name", ["acgan", "hybrid"])
def test_synthetic_rows_have_the_requested_classes_and_list_their_sources(name: str, context: SandboxContext) -> None:
    train = uneven()

    made = quick(BUILT_IN[name]).fit(train, context)

    assert made.samples.class_counts.tolist() == [60, 12]
    synthetic = ~made.samples.is_real
    assert synthetic.sum() == 36
    assert set(made.samples.sources[-1]) == set(train.ids)
    assert made.class_frequencies.tolist() == pytest.approx([0.5, 0.5])


def test_the_controls_form_the_tree_of_the_design() -> None:
    hybrid, acgan, geometric = BUILT_IN["hybrid"], BUILT_IN["acgan"], BUILT_IN["geometric"]

    assert hybrid.control == replace(typing.cast("Generative", hybrid), generator=Resample())
    assert hybrid.control is not None
    assert hybrid.control.control == geometric
    assert geometric.control == Balanced()
    assert acgan.control == BUILT_IN["copies"] == BUILT_IN["reacgan"].control
    assert acgan.control is not None
    assert acgan.control.control == Balanced()
    assert BUILT_IN["balanced"].control is None
    assert BUILT_IN["none"].control is None
    assert BUILT_IN["none"].gives == frozenset()


def test_a_weak_gans_arm_brings_the_strong_ones() -> None:
    resolve = load(installed=False).resolve

    assert BUILT_IN["acgan"].companions == (BUILT_IN["reacgan"],)
    assert BUILT_IN["wgan"].companions == (BUILT_IN["reacgan"],)
    assert BUILT_IN["hybrid"].companions == (resolve("augmenter", "hybrid[generator=reacgan]"),)
    assert resolve("augmenter", "acgan[fill=balance]").companions == (resolve("augmenter", "reacgan[fill=balance]"),)
    assert BUILT_IN["reacgan"].companions == BUILT_IN["copies"].companions == ()


def test_the_control_keeps_everything_but_the_ingredient() -> None:
    policy = Geometric(policy="spine-hybrid")
    arm = Generative("hybrid", base=policy, fill="balance", ratio=0.5)

    assert arm.control == Generative("hybrid", generator=Resample(), base=policy, fill="balance", ratio=0.5)
    assert arm.control.control == policy


def test_acgan_and_hybrid_share_one_fitted_generator() -> None:
    assert medbench.interfaces.needs(BUILT_IN["acgan"]) == medbench.interfaces.needs(BUILT_IN["hybrid"]) == (ACGAN(),)


def test_the_types_of_a_recipes_fields_are_found_at_run_time() -> None:
    hints = typing.get_type_hints(Generative)

    assert hints["generator"] is medbench.Generator
    assert hints["base"] is medbench.Augmenter


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        (Geometric(rotation=-1), "geometric.rotation"),
        (Geometric(scale=1), "geometric.scale"),
        (Geometric(probability=float("nan")), "geometric.probability"),
        (Geometric(policy="wild"), "geometric.policy"),  # type: ignore[arg-type]
        (Geometric(flip_front_back=True), "geometric.flip_front_back"),
        (Generative(ratio=0), "acgan.ratio"),
        (Generative("hybrid", fill="half"), "hybrid.fill"),  # type: ignore[arg-type]
    ],
)
def test_a_field_out_of_range_is_an_error(recipe: medbench.Augmenter, field: str, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=field):
        recipe.fit(toy_samples(8), context)


def test_registering_imports_nothing_heavy() -> None:
    code = (
        "import sys, medbench_plugins.augmenters, medbench_plugins.generators\n"
        "assert not {'torch', 'timm', 'monai', 'sklearn', 'PIL'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
