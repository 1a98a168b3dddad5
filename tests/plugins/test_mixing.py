"""Mixup and CutMix against torchvision's and against their formulas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms import v2

import medbench
from medbench.testing import SandboxContext, check_augmenter, toy_samples
from medbench_plugins.augmenters.mixing import CutMix, Mixup, beta_quantiles, cut, draw_beta, fade
from medbench_plugins.plain_augmenters import Balanced

SHAPES = [(6, 1, 16, 16), (5, 3, 9, 14), (4, 2, 8, 9, 10)]


def batch(shape: tuple[int, ...], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, shape, generator=generator) / 127.5 - 1
    return x, torch.eye(3)[torch.randint(0, 3, (shape[0],), generator=generator)]


def shifted_by_one(n: int) -> torch.Tensor:
    """The partners torchvision takes: each row's predecessor."""
    return torch.arange(n).roll(1)


@pytest.mark.parametrize("seed", range(10))
def test_mixup_is_that_of_torchvision(seed: int) -> None:
    x, y = batch((6, 3, 16, 12), seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        theirs, their_labels = v2.MixUp(alpha=0.4, num_classes=3)(x, y)
        torch.manual_seed(seed)
        share = torch.distributions.Beta(torch.tensor([0.4]), torch.tensor([0.4])).sample(()).expand(6)

    assert torch.allclose(fade(x, shifted_by_one(6), share), theirs, atol=1e-6)
    assert torch.allclose(fade(y, shifted_by_one(6), share), their_labels, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_is_that_of_torchvision(seed: int) -> None:
    height, width = 16, 23
    x, y = batch((6, 3, height, width), seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        theirs, their_labels = v2.CutMix(alpha=1.0, num_classes=3)(x, y)
        torch.manual_seed(seed)
        share = torch.distributions.Beta(torch.tensor([1.0]), torch.tensor([1.0])).sample(()).expand(6)
        across = torch.randint(width, size=(1,))
        down = torch.randint(height, size=(1,))

    ours, our_labels = cut(x, y, shifted_by_one(6), share, torch.cat([down, across]).expand(6, 2))

    assert torch.equal(ours, theirs)
    assert torch.allclose(our_labels, their_labels, atol=1e-6)


@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_the_labels_of_cutmix_tell_how_many_pixels_came_from_where(shape: tuple[int, ...], seed: int) -> None:
    B, d = shape[0], len(shape) - 2
    x = torch.arange(B).float().view(-1, *[1] * (d + 1)).expand(shape)  # each row is filled with its number
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(B, generator=generator)
    centres = (torch.rand(B, d, generator=generator) * torch.tensor(shape[2:])).long()
    partner = torch.randperm(B, generator=generator)

    mixed, y = cut(x, torch.eye(B), partner, share, centres)

    for row in range(B):
        counts = torch.bincount(mixed[row].long().flatten(), minlength=B)
        assert torch.allclose(y[row], counts / counts.sum(), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (1, 1, 64, 64, 64)])
def test_a_box_in_the_middle_has_the_size_that_was_drawn(shape: tuple[int, ...]) -> None:
    d = len(shape) - 2
    x = torch.cat([torch.zeros(shape), torch.ones(shape)])
    side = 0.5

    mixed, y = cut(x, torch.eye(2), torch.tensor([1, 0]), torch.full((2,), 1 - side**d), torch.full((2, d), 32))

    assert mixed[0].mean().item() == pytest.approx(side**d)
    assert y[0].tolist() == pytest.approx([1 - side**d, side**d])


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 3.0, 100.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    uniform = np.random.default_rng(0).random(20_000).astype(np.float32)

    drawn = draw_beta(torch.from_numpy(beta_quantiles(alpha)).double(), torch.from_numpy(uniform).double()).numpy()

    # The same numbers through the exact quantiles: no further apart than the table's cells are wide in probability.
    apart = np.abs(stats.beta(alpha, alpha).cdf(drawn) - uniform)
    inside = (drawn > 1e-12) & (drawn < 1 - 1e-12)
    assert apart[inside].max(initial=0) <= 1 / 4096
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("augmenter", [Mixup(), CutMix(), CutMix(probability=0.5)])
@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_a_mixture_stays_in_range_and_its_labels_sum_to_one(
    tmp_path_factory: pytest.TempPathFactory, augmenter: medbench.Augmenter, shape: tuple[int, ...], seed: int
) -> None:
    transform = augmenter.fit(toy_samples(8), SandboxContext(tmp_path_factory.getbasetemp())).transform
    assert transform is not None
    x, y = batch(shape, seed)
    before = x.clone()

    results = [transform(x, y, torch.Generator().manual_seed(s)) for s in (seed, seed, *range(seed + 1, seed + 21))]

    mixed, labels = results[0]
    assert torch.equal(mixed, results[1][0])
    assert torch.equal(labels, results[1][1])
    assert not all(torch.equal(mixed, other) for other, _ in results[2:])  # some seeds may leave a batch as it is
    assert mixed.shape == shape
    assert mixed.dtype == labels.dtype == torch.float32
    assert mixed.abs().max() <= 1
    assert labels.min() >= 0
    assert torch.allclose(labels.sum(1), torch.ones(len(x)), atol=1e-6)
    assert torch.equal(x, before)


def test_a_share_of_one_gives_the_batch_back_bit_for_bit() -> None:
    x, y = batch((6, 1, 16, 16))
    partner, share = shifted_by_one(6), torch.ones(6)

    mixed, labels = cut(x, y, partner, share, torch.full((6, 2), 8))

    assert torch.equal(mixed, x)
    assert torch.equal(labels, y)
    assert torch.equal(fade(x, partner, share), x)


def test_cutmix_of_probability_zero_gives_the_batch_back(context: SandboxContext) -> None:
    transform = CutMix(probability=0).fit(toy_samples(8), context).transform
    assert transform is not None
    x, y = batch((6, 1, 16, 16))

    mixed, labels = transform(x, y, torch.Generator().manual_seed(0))

    assert torch.equal(mixed, x)
    assert torch.equal(labels, y)


@pytest.mark.parametrize("augmenter", [Mixup(), CutMix()], ids=lambda augmenter: augmenter.name)
def test_mixing_keeps_the_contract_and_stands_on_balanced_sampling(
    augmenter: medbench.Augmenter, tmp_path: Path, context: SandboxContext
) -> None:
    train = toy_samples(20)
    check_augmenter(augmenter, tmp_path)

    fitted = augmenter.fit(train, context)

    assert augmenter.control == Balanced()
    assert fitted.sampling is not None
    assert np.array_equal(fitted.sampling, medbench.balanced_sampling(train))


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), 1000])
@pytest.mark.parametrize("augmenter", [Mixup(), CutMix()], ids=lambda augmenter: augmenter.name)
def test_an_alpha_out_of_range_is_an_error(augmenter: Mixup | CutMix, alpha: float, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=rf"{augmenter.name}\.alpha: got {alpha:g}; give a number from 0.01"):
        replace(augmenter, alpha=alpha).fit(toy_samples(8), context)


def test_a_probability_out_of_range_is_an_error(context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=r"cutmix\.probability: got 1\.5"):
        CutMix(probability=1.5).fit(toy_samples(8), context)
