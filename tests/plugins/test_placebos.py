"""Generators that learn nothing, and training on synthetic rows alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medbench
from medbench.testing import SandboxContext, check_augmenter, check_generator, toy_samples
from medbench_plugins.augmenters.geometric import Geometric
from medbench_plugins.augmenters.synthetic import SyntheticOnly
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.placebos import Blur, Resample, ShuffledLabels
from medbench_plugins.plain_augmenters import Balanced

PLACEBOS = [Blur(), Blur(size=5), ShuffledLabels()]
COPIES = SyntheticOnly(generator=Resample())


def uneven(n: int = 40, **options: int) -> medbench.Samples:
    samples = toy_samples(n, size=12, **options)
    return replace(samples, labels=np.where(np.arange(n) < n // 4, 1, 0).astype(np.int64))


@pytest.mark.parametrize("generator", PLACEBOS)
def test_a_placebo_keeps_the_contract_of_a_generator(generator: medbench.Generator, tmp_path: Path) -> None:
    check_generator(generator, tmp_path)

    assert not generator.stored


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("generator", PLACEBOS)
def test_a_placebo_draws_rows_like_the_training_rows(
    generator: medbench.Generator, dimensions: int, context: SandboxContext
) -> None:
    train = uneven(dimensions=dimensions, channels=2)
    before = train.x.copy()

    x = generator.fit(train, context).sample(np.array([0, 1, 1]), 3)

    assert x.dtype == np.uint8
    assert x.shape == (3, *train.x.shape[1:])
    assert np.array_equal(train.x, before)
    assert generator.fit(train, context).sample(np.zeros(0, dtype=np.int64), 3).shape == (0, *train.x.shape[1:])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_blur_through_half_the_size_is_the_mean_of_blocks_interpolated(
    dimensions: int, context: SandboxContext
) -> None:
    train = uneven(dimensions=dimensions)
    labels = train.labels

    blurred = Blur().fit(train, context).sample(labels, 1)

    real = Resample().fit(train, context).sample(labels, 1).astype(np.float64)
    for axis in range(2, 2 + dimensions):
        pairs = np.moveaxis(real, axis, -1)
        pairs = pairs.reshape(*pairs.shape[:-1], -1, 2).mean(-1)
        edged = np.concatenate([pairs[..., :1], pairs, pairs[..., -1:]], -1)
        # Halfway between block centres, a quarter of the way from the nearer one.
        left, right = 0.75 * pairs + 0.25 * edged[..., :-2], 0.75 * pairs + 0.25 * edged[..., 2:]
        real = np.moveaxis(np.stack([left, right], -1).reshape(*pairs.shape[:-1], -1), -1, axis)
    assert np.abs(blurred - real).max() <= 0.51


def test_blur_agrees_with_pillows_box_filter_on_the_way_down(context: SandboxContext) -> None:
    train = replace(toy_samples(1, size=16), labels=np.zeros(1, dtype=np.int64))

    blurred = Blur(size=1).fit(train, context).sample(np.zeros(1, dtype=np.int64), 0)

    one = np.asarray(Image.fromarray(train.x[0, 0]).resize((1, 1), Image.Resampling.BOX))
    assert np.abs(blurred.astype(int) - int(one[0, 0])).max() <= 1


def test_blur_that_changes_nothing_is_a_skip_and_one_without_pixels_is_refused(context: SandboxContext) -> None:
    with pytest.raises(medbench.Skip, match="through 12 pixels leaves images of 12 as they are"):
        Blur(size=12).fit(uneven(), context)
    with pytest.raises(medbench.UsageError, match=r"blur\.size: got 0; give at least 1"):
        Blur(size=0).fit(uneven(), context)


def test_shuffled_labels_keep_the_images_and_the_counts_and_lose_the_classes(context: SandboxContext) -> None:
    train = uneven(200)
    train = replace(train, x=np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None, None], train.x.shape))

    drawn = ShuffledLabels().fit(train, context).sample(train.labels, 5)[:, 0, 0, 0]

    assert sorted(drawn) == list(range(200))
    # By chance three quarters of class 0's draws are of class 0.
    right = (train.labels[drawn] == train.labels)[train.labels == 0].mean()
    assert right == pytest.approx(0.75, abs=0.08)


def test_shuffled_labels_depend_on_the_seed_of_the_context(context: SandboxContext) -> None:
    train = uneven()

    first, same, other = (
        ShuffledLabels().fit(train, where).state()["labels"] for where in (context, context, replace(context, base=1))
    )

    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_shuffled_labels_of_other_rows_are_refused(context: SandboxContext) -> None:
    state = ShuffledLabels().fit(uneven(), context).state()

    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        ShuffledLabels().restore(state, uneven(44))


def test_synthetic_only_holds_no_real_row_and_as_many_of_each_class(context: SandboxContext) -> None:
    train = uneven()
    recipe = SyntheticOnly(generator=ACGAN(width=4, latent=8, steps=2, batch=8))

    fitted = recipe.fit(train, context)

    assert not fitted.samples.is_real.any()
    assert fitted.samples.class_counts.tolist() == train.class_counts.tolist()
    assert set(fitted.samples.sources[0]) == set(train.ids)
    assert fitted.class_frequencies.tolist() == pytest.approx([0.5, 0.5])


def test_synthetic_only_of_copies_is_balanced_training(context: SandboxContext) -> None:
    train = uneven()

    fitted = COPIES.fit(train, context)

    def rows(samples: medbench.Samples) -> list[tuple[int, bytes]]:
        return sorted((int(k), x.tobytes()) for k, x in zip(samples.labels, samples.x, strict=True))

    assert rows(fitted.samples) == rows(train)
    assert fitted.sampling is not None
    assert sorted(fitted.sampling) == sorted(medbench.balanced_sampling(train))


def test_the_controls_of_synthetic_only_are_copies_and_then_its_base() -> None:
    assert SyntheticOnly().control == COPIES
    assert COPIES.control == Balanced()
    assert SyntheticOnly(base=Geometric()).control == SyntheticOnly(generator=Resample(), base=Geometric())


def test_synthetic_only_keeps_the_contract(tmp_path: Path) -> None:
    check_augmenter(COPIES, tmp_path)


@pytest.mark.parametrize(
    ("ratio", "said"), [(0, "got 0; give a number above 0"), (0.001, r"0\.001 of \[30, 10\] images makes none")]
)
def test_a_ratio_that_makes_nothing_is_an_error(ratio: float, said: str, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=rf"synthetic-only\.ratio: {said}"):
        replace(COPIES, ratio=ratio).fit(uneven(), context)
