"""TrivialAugment, RandAugment and the changes of gray values they draw from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torchvision.transforms.v2 import functional as tv

import medbench
from medbench.testing import SandboxContext, check_augmenter, toy_samples
from medbench_plugins.augmenters.policies import RandAugment, TrivialAugment
from medbench_plugins.plain_augmenters import Balanced
from medbench_plugins.transforms import intensity
from medbench_plugins.transforms.operations import OPERATIONS, apply_operation, random_operation
from medbench_plugins.transforms.ranges import RANGES

SHAPES = [(5, 1, 16, 16), (3, 3, 9, 14), (4, 2, 8, 9, 10)]
CHANGES = sorted(set(OPERATIONS) - {"identity"})


def images(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Every gray value of 8 bits may occur."""
    grays = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed))
    return grays / 127.5 - 1


def grays(x: torch.Tensor) -> torch.Tensor:
    return ((x + 1) * 127.5).round().to(torch.uint8)


def shares(x: torch.Tensor) -> torch.Tensor:
    return (x.double() + 1) / 2


def apply(operation: str, x: torch.Tensor, strength: float, sign: float = 1.0, policy: str = "wide") -> torch.Tensor:
    rows = torch.ones(len(x))
    return apply_operation(
        operation,
        x,
        rows * strength,
        sign=rows * sign,
        place=rows * 0,
        generator=torch.Generator().manual_seed(0),
        ranges=RANGES[policy],
    )


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize("name", ["brightness", "contrast", "sharpness"])
def test_enhancements_are_those_of_torchvision(name: str, factor: float) -> None:
    x = images((4, 1, 16, 16))

    changed = getattr(intensity, name)(x, torch.full((4,), factor))

    expected = getattr(tv, f"adjust_{name}")(shares(x), factor)
    assert torch.allclose(shares(changed), expected, atol=1e-6)


@pytest.mark.parametrize("exponent", [1 / 3, 1.0, 2.5])
def test_gamma_is_that_of_torchvision(exponent: float) -> None:
    x = images((4, 1, 16, 16))

    changed = intensity.gamma(x, torch.full((4,), exponent))

    assert torch.allclose(shares(changed), tv.adjust_gamma(shares(x), exponent), atol=1e-6)


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_that_of_torchvision(bits: int) -> None:
    x = images((4, 3, 16, 16))

    changed = intensity.posterize(x, torch.full((4,), float(bits)))

    assert torch.equal(grays(changed), tv.posterize(grays(x), bits))


@pytest.mark.parametrize("threshold", [0, 90, 254, 255])
def test_solarize_is_that_of_torchvision_but_for_the_threshold_itself(threshold: int) -> None:
    x = images((4, 1, 16, 16))

    changed = intensity.solarize(x, torch.full((4,), (threshold + 0.5) / 255))

    expected = tv.solarize(grays(x), threshold + 1) if threshold < 255 else grays(x)
    assert torch.equal(grays(changed), expected)


@pytest.mark.parametrize("shape", [(4, 3, 16, 16), (4, 1, 40, 40)])
def test_autocontrast_and_equalize_are_those_of_torchvision(shape: tuple[int, ...]) -> None:
    x = images(shape) * 0.3 - 0.2

    all_of_it = torch.ones(len(x))

    assert torch.equal(
        grays(intensity.equalize(intensity.posterize(x, 7 * all_of_it), all_of_it)),
        tv.equalize(grays(intensity.posterize(x, 7 * all_of_it))),
    )
    assert torch.allclose(shares(intensity.autocontrast(x, all_of_it)), tv.autocontrast(shares(x)), atol=1e-6)


def test_a_volume_is_equalized_as_the_picture_of_all_its_slices() -> None:
    x = images((2, 2, 8, 12, 10)) * 0.4

    changed = intensity.equalize(x, torch.ones(2))

    assert torch.equal(grays(changed), tv.equalize(grays(x).flatten(3)).view(x.shape))


def test_a_flat_image_has_neither_contrast_to_stretch_nor_a_histogram_to_flatten() -> None:
    x = torch.full((2, 1, 8, 8), 0.25)

    for change in (intensity.autocontrast, intensity.equalize):
        assert torch.equal(change(x, torch.ones(2)), x)


def test_a_volume_is_smoothed_over_its_26_neighbours() -> None:
    x = images((1, 1, 8, 9, 7))
    kernel = np.full((3, 3, 3), (1 - 5 / 13) / 26)
    kernel[1, 1, 1] = 5 / 13

    blurred = intensity.sharpness(x, torch.zeros(1))[0, 0].numpy()

    expected = ndimage.convolve(x[0, 0].double().numpy(), kernel)
    inner = (slice(1, -1),) * 3
    assert np.allclose(blurred[inner], expected[inner], atol=1e-6)
    assert np.array_equal(blurred[0], x[0, 0, 0].numpy())


def test_noise_has_the_requested_deviation() -> None:
    x = torch.zeros(2, 1, 200, 200)

    noisy = intensity.noise(x, torch.tensor([0.05, 0.1]), torch.Generator().manual_seed(0))

    assert (noisy.flatten(1).std(1) / 2).tolist() == pytest.approx([0.05, 0.1], rel=0.02)


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_operation_of_no_strength_changes_nothing_visible(operation: str, shape: tuple[int, ...]) -> None:
    x = images(shape)

    assert (apply(operation, x, 0.0) - x).abs().max() < 1e-5


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize("policy", RANGES)
@given(
    shape=st.sampled_from(SHAPES), strength=st.floats(0, 1), sign=st.sampled_from([-1.0, 1.0]), seed=st.integers(0, 9)
)
@settings(deadline=None, max_examples=6)
def test_an_operation_keeps_shape_dtype_and_range(
    operation: str, policy: str, shape: tuple[int, ...], strength: float, sign: float, seed: int
) -> None:
    x = images(shape, seed)
    before = x.clone()

    changed = apply(operation, x, strength, sign, policy)

    assert changed.shape == x.shape
    assert changed.dtype == torch.float32
    assert changed.abs().max() <= 1
    assert torch.equal(x, before)


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize("shape", [(5, 1, 24, 24), (3, 2, 8, 9, 10)])
def test_an_operation_of_full_strength_changes_every_image(operation: str, shape: tuple[int, ...]) -> None:
    x = images(shape) * 0.8

    assert ((apply(operation, x, 1.0) - x).flatten(1).abs().amax(1) > 0.05).all()


@pytest.mark.parametrize("operation", sorted(set(CHANGES) - {"noise"}))
def test_each_row_has_a_strength_of_its_own(operation: str) -> None:
    x, strengths = images((3, 1, 12, 12)), [0.2, 0.6, 1.0]

    together = apply_operation(
        operation,
        x,
        torch.tensor(strengths),
        sign=torch.tensor([1.0, -1.0, 1.0]),
        place=torch.tensor([0.1, 0.6, 0.9]),
        generator=torch.Generator(),
        ranges=RANGES["narrow"],
    )

    for row, (strength, sign, place) in enumerate(zip(strengths, (1.0, -1.0, 1.0), (0.1, 0.6, 0.9), strict=True)):
        alone = apply_operation(
            operation,
            x[row : row + 1],
            torch.tensor([strength]),
            sign=torch.tensor([sign]),
            place=torch.tensor([place]),
            generator=torch.Generator(),
            ranges=RANGES["narrow"],
        )
        assert torch.allclose(together[row : row + 1], alone, atol=1e-6)


def test_geometry_is_that_of_torchvision_around_the_centre() -> None:
    x = images((2, 1, 21, 21))
    bilinear: dict[str, Any] = {"interpolation": tv.InterpolationMode.BILINEAR, "fill": -1.0}
    moves: dict[str, Any] = {"translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}

    turned = apply("rotate", x, 1.0, policy="narrow")
    sheared = apply("shear", x, 1.0, policy="narrow")
    moved = apply("translate", x, 1.0)  # a seventh of 21 pixels along the first axis

    inner = (..., slice(5, -5), slice(5, -5))  # torchvision's edge fades into the fill differently
    assert torch.allclose(turned[inner], tv.affine(x, angle=-30, **moves, **bilinear)[inner], atol=1e-4)
    down = float(np.degrees(np.arctan(0.3)))
    candidates = [tv.affine(x, angle=0, **{**moves, "shear": [0.0, side * down]}, **bilinear) for side in (-1, 1)]
    assert any(torch.allclose(sheared[inner], other[inner], atol=1e-4) for other in candidates)
    assert torch.allclose(moved[:, :, :18], x[:, :, 3:], atol=1e-5)
    assert (moved[:, :, 18:] == -1).all()


@pytest.mark.parametrize("operation", ["rotate", "shear", "translate"])
def test_a_volume_draws_a_plane_or_an_axis(operation: str) -> None:
    x = images((1, 1, 12, 12, 12)).repeat(60, 1, 1, 1, 1)
    rows = torch.ones(60)

    changed = apply_operation(
        operation,
        x,
        rows,
        sign=rows,
        place=torch.arange(60) / 60,
        generator=torch.Generator(),
        ranges=RANGES["narrow"],
    )

    kinds = {tuple(row.flatten().mul(1e4).round().tolist()) for row in changed}
    assert len(kinds) == {"rotate": 3, "shear": 6, "translate": 3}[operation]


def test_every_operation_is_equally_likely() -> None:
    x = images((6000, 1, 4, 4))

    changed = random_operation(x, torch.Generator().manual_seed(0), torch.ones(len(x)), RANGES["wide"])

    # The identity gives an image back, and so does equalize with so few pixels; only a full inversion negates it.
    expected = len(x) / len(OPERATIONS)
    kept = (changed == x).flatten(1).all(1).sum().item()
    black = x == -1
    inverted = torch.where(black, changed == x, changed == -x).flatten(1).all(1).sum().item()
    assert abs(kept - 2 * expected) < 4 * np.sqrt(2 * expected)
    assert abs(inverted - expected) < 4 * np.sqrt(expected)


@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_rows_of_no_strength_come_back_bit_for_bit(shape: tuple[int, ...], seed: int) -> None:
    x = images(shape, seed)
    strength = (torch.arange(len(x)) % 2).float()

    changed = random_operation(x, torch.Generator().manual_seed(seed), strength, RANGES["wide"])

    assert torch.equal(changed[::2], x[::2])


@pytest.mark.parametrize("still", [RandAugment(magnitude=0), RandAugment(operations=0)])
def test_randaugment_of_nothing_is_the_identity(still: RandAugment, context: SandboxContext) -> None:
    transform = still.fit(toy_samples(16), context).transform
    assert transform is not None
    x = images((8, 1, 16, 16))

    assert torch.equal(transform(x, torch.zeros(8, 2), torch.Generator().manual_seed(1))[0], x)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("augmenter", [TrivialAugment(), RandAugment(), TrivialAugment(policy="safe")])
def test_a_policy_keeps_labels_and_repeats_under_a_seed(
    augmenter: medbench.Augmenter, dimensions: int, context: SandboxContext
) -> None:
    train = toy_samples(16, size=12, dimensions=dimensions, channels=2)
    fitted = augmenter.fit(train, context)
    assert fitted.transform is not None
    x = torch.from_numpy(train.x).float() / 127.5 - 1
    y = torch.eye(2)[torch.from_numpy(train.labels)]
    before = x.clone()

    results = [fitted.transform(x, y, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]

    assert torch.equal(results[0][0], results[1][0])
    assert not torch.equal(results[0][0], results[2][0])
    assert all(torch.equal(labels, y) for _, labels in results)
    assert torch.equal(x, before)
    assert results[0][0].abs().max() <= 1
    assert fitted.sampling is not None
    assert np.array_equal(fitted.sampling, medbench.balanced_sampling(train))


@pytest.mark.parametrize("augmenter", [TrivialAugment(), RandAugment()], ids=lambda augmenter: augmenter.name)
def test_a_policy_keeps_the_contract_and_stands_on_balanced_sampling(
    augmenter: medbench.Augmenter, tmp_path: Path
) -> None:
    check_augmenter(augmenter, tmp_path)

    assert augmenter.control == Balanced()


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (TrivialAugment(policy="wild"), r"trivialaugment\.policy: 'wild' is unknown; use wide, narrow or safe\."),  # type: ignore[arg-type]
        (RandAugment(policy="wild"), r"randaugment\.policy: 'wild' is unknown"),  # type: ignore[arg-type]
        (RandAugment(magnitude=31), r"randaugment\.magnitude: got 31; give a number from 0 to 30\."),
        (RandAugment(magnitude=float("nan")), r"randaugment\.magnitude: got nan"),
        (RandAugment(operations=-1), r"randaugment\.operations: got -1"),
    ],
)
def test_a_field_out_of_range_is_an_error(recipe: medbench.Augmenter, said: str, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=said):
        recipe.fit(toy_samples(8), context)


def test_an_unknown_operation_is_an_error() -> None:
    with pytest.raises(ValueError, match="no operation is named 'swirl'"):
        apply("swirl", images((1, 1, 8, 8)), 1.0)
