"""Affine maps of a batch, in two and three dimensions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medbench_plugins.transforms import affine
from medbench_plugins.transforms.affine import flip, random_affine, rotation, spine_hybrid, warp
from medbench_plugins.transforms.ranges import AffineRanges

STILL = AffineRanges(0.0, 0.0, 0.0, 0.0)
SHAPES = st.sampled_from([(3, 1, 16, 16), (2, 3, 12, 20), (2, 1, 9, 9, 9), (1, 4, 8, 10, 6)])


def images(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def identity(x: torch.Tensor) -> torch.Tensor:
    return torch.eye(x.ndim - 2).repeat(len(x), 1, 1)


def blob(d: int, size: int = 24) -> torch.Tensor:
    axes = torch.meshgrid(*[torch.arange(size) - (size - 1) / 2] * d, indexing="ij")
    return torch.exp(-sum(a**2 for a in axes) / 18)[None, None] * 2 - 1


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_ranges_of_nothing_give_the_image_back(shape: tuple[int, ...], seed: int) -> None:
    x = images(shape, seed)

    warped = random_affine(x, torch.Generator().manual_seed(seed), STILL, flips=(), probability=1.0)

    assert (warped - x).abs().max() < 1 / 255


@given(
    shape=SHAPES,
    seed=st.integers(0, 99),
    rotate=st.floats(0, 180),
    scale=st.floats(0, 0.9),
    shear=st.floats(0, 60),
    shift=st.floats(0, 0.5),
)
@settings(deadline=None, max_examples=30)
def test_the_result_stays_within_the_range_of_pixels(
    shape: tuple[int, ...], seed: int, rotate: float, scale: float, shear: float, shift: float
) -> None:
    x = images(shape, seed)
    before = x.clone()

    ranges = AffineRanges(rotate, scale, shear, shift)
    warped = random_affine(x, torch.Generator().manual_seed(seed), ranges, flips=(0, 1), probability=1.0)

    assert warped.shape == x.shape
    assert warped.dtype == x.dtype
    assert warped.min() >= -1
    assert warped.max() <= 1
    assert torch.equal(x, before)


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (2, 3, 15, 15)])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_quarter_turn_is_that_of_rot90(shape: tuple[int, ...], quarters: int) -> None:
    x = images(shape)

    turned = warp(x, rotation(torch.full((len(x), 1), 90.0 * quarters)), torch.zeros(len(x), 2))

    assert torch.allclose(turned, torch.rot90(x, quarters, (2, 3)), atol=1 / 255)


@pytest.mark.parametrize(("plane", "axes"), [(0, (2, 3)), (1, (2, 4)), (2, (3, 4))])
def test_a_quarter_turn_of_a_volume_is_that_of_rot90(plane: int, axes: tuple[int, int]) -> None:
    x = images((2, 1, 8, 8, 8))
    degrees = torch.zeros(2, 3)
    degrees[:, plane] = 90

    turned = warp(x, rotation(degrees), torch.zeros(2, 3))

    assert torch.allclose(turned, torch.rot90(x, 1, axes), atol=1 / 255)


@given(first=st.floats(-180, 180), second=st.floats(-180, 180), third=st.floats(-180, 180))
@settings(deadline=None, max_examples=30)
def test_a_rotation_keeps_lengths_and_handedness(first: float, second: float, third: float) -> None:
    turn = rotation(torch.tensor([[first, second, third]]))[0].double()

    assert torch.allclose(turn @ turn.T, torch.eye(3, dtype=torch.float64), atol=1e-5)
    assert torch.det(turn).item() == pytest.approx(1, abs=1e-5)


@given(shape=SHAPES, axis=st.integers(0, 1))
@settings(deadline=None, max_examples=20)
def test_a_flip_is_exact(shape: tuple[int, ...], axis: int) -> None:
    x = images(shape)
    chosen = (torch.arange(len(x)) % 2 == 0)[:, None].expand(-1, 2)

    flipped = flip(x, (axis,), chosen)

    for row in range(len(x)):
        assert torch.equal(flipped[row], x[row].flip(axis + 1) if row % 2 == 0 else x[row])


@given(shape=SHAPES, axis=st.integers(0, 1), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_half_of_the_rows_are_mirrored_and_what_is_not_changed_comes_back_bit_for_bit(
    shape: tuple[int, ...], axis: int, seed: int
) -> None:
    x = images((8, *shape[1:]), seed)
    drawn = affine.draw_affine(8, shape[2:], torch.Generator().manual_seed(seed), STILL, flips=(axis,), probability=0.5)

    moved = affine.move(x, *drawn, flips=(axis,))

    stays, unmirrored = drawn[0][:, -2], drawn[0][:, -1]
    assert {*stays.tolist(), *unmirrored.tolist()} <= {0.0, 1.0}
    for row in range(8):
        expected = x[row] if unmirrored[row] else x[row].flip(axis + 1)
        if stays[row]:
            assert torch.equal(moved[row], x[row])
        else:
            assert (moved[row] - expected).abs().max() < 1 / 255


@pytest.mark.parametrize("policy", ["affine", "spine-hybrid"])
@pytest.mark.parametrize("spatial", [(12, 20), (8, 10, 6)])
def test_what_is_drawn_for_many_rows_is_what_is_drawn_for_few_and_few_again(
    policy: str, spatial: tuple[int, ...]
) -> None:
    def draw(rows: int, generator: torch.Generator) -> tuple[torch.Tensor]:
        if policy == "spine-hybrid":
            return affine.draw_spine_hybrid(rows, spatial, generator, probability=0.8)
        ranges = AffineRanges(40.0, 0.3, 20.0, 0.2)
        return affine.draw_affine(rows, spatial, generator, ranges, flips=(0, 1), probability=0.8)

    one, many = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    few = [draw(7, one) for _ in range(40)]

    for whole, *parts in zip(draw(280, many), *few, strict=True):
        assert torch.equal(whole, torch.cat(parts))
    assert torch.equal(one.get_state(), many.get_state())


@pytest.mark.parametrize("d", [2, 3])
def test_a_turn_keeps_the_mass_of_a_centred_blob(d: int) -> None:
    x = blob(d)
    degrees = torch.full((1, d * (d - 1) // 2), 33.0)

    turned = warp(x, rotation(degrees), torch.zeros(1, d))

    assert (turned + 1).sum().item() == pytest.approx((x + 1).sum().item(), rel=0.01)


@pytest.mark.parametrize("d", [2, 3])
def test_a_larger_picture_has_more_mass_by_the_power_of_the_dimensions(d: int) -> None:
    x = blob(d)

    larger = warp(x, identity(x) / 1.15, torch.zeros(1, d))

    assert ((larger + 1).sum() / (x + 1).sum()).item() == pytest.approx(1.15**d, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 1, 8, 16), (1, 1, 8, 4, 16)])
def test_a_shift_moves_by_a_fraction_of_its_own_axis_and_brings_in_background(shape: tuple[int, ...]) -> None:
    x = images(shape)
    shift = torch.zeros(1, len(shape) - 2)
    shift[0, -1] = 0.25  # a quarter of 16 pixels

    moved = warp(x, identity(x), shift)

    assert torch.allclose(moved[..., :12], x[..., 4:], atol=1 / 255)
    assert torch.all(moved[..., 12:] == -1)


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_any_map_samples_as_scipy_does(shape: tuple[int, ...], seed: int) -> None:
    x, draws = images(shape, seed), torch.Generator().manual_seed(seed)
    d = len(shape) - 2
    matrix = torch.randn(len(x), d, d, generator=draws) * 0.5 + torch.eye(d)
    shift = torch.rand(len(x), d, generator=draws) - 0.5

    warped = warp(x, matrix, shift)

    sides = np.array(shape[2:])
    for row in range(len(x)):
        turn, middle = matrix[row].double().numpy(), (sides - 1) / 2
        start = middle + shift[row].double().numpy() * sides - turn @ middle
        for image, got in zip(x[row].double().numpy(), warped[row].numpy(), strict=True):
            reference = ndimage.affine_transform(image, turn, start, order=1, mode="grid-constant", cval=-1)
            assert np.abs(got - reference).max() < 1e-4


@pytest.mark.parametrize("d", [2, 3])
def test_a_random_map_turns_shrinks_and_slants_in_that_order(d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, asked, planes = images((5, 1, *[8] * d)), [], d * (d - 1) // 2
    ranges = AffineRanges(rotation=40.0, scale=0.3, shear=20.0, translation=0.2)
    by_axis = affine._by_axis
    monkeypatch.setattr(affine, "_by_axis", lambda *given: asked.append(given[:2]) or by_axis(*given))

    random_affine(x, torch.Generator().manual_seed(1), ranges, flips=(), probability=1.0)

    drawn = torch.rand(5, 2 + 2 * planes + 2 * d, generator=torch.Generator().manual_seed(1)).double().numpy()
    amounts = 2 * drawn[:, 1 : 2 + 2 * planes + d] - 1
    for row, (matrix, shift) in enumerate(zip(*asked[0], strict=True)):
        degrees, slants = np.split(amounts[row, 1 : 1 + 2 * planes] * ([40.0] * planes + [20.0] * planes), 2)
        slant = np.eye(d)
        for tangent, (i, j) in zip(np.tan(np.deg2rad(slants)), combinations(range(d), 2), strict=True):
            slant[j, i] = tangent
        turn = rotation(torch.from_numpy(degrees)[None].float())[0].double().numpy()
        assert np.allclose(matrix, turn / (1 + 0.3 * amounts[row, 0]) @ slant, atol=1e-5)
        assert np.allclose(shift, 0.2 * amounts[row, 1 + 2 * planes :], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(4, 1, 16, 16), (4, 1, 8, 8, 8)])
def test_the_study_list_keeps_shape_dtype_and_range(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = images(shape).to(dtype)

    changed = spine_hybrid(x, torch.Generator().manual_seed(3), probability=1.0)

    assert changed.shape == x.shape
    assert changed.dtype == dtype
    assert changed.abs().max() <= 1


def test_the_study_list_holds_its_turns_flips_and_the_original() -> None:
    x = images((1, 1, 16, 16)).repeat(400, 1, 1, 1)
    known = [x[0], *(torch.rot90(x[0], k, (1, 2)) for k in (1, 3)), x[0].flip(1), x[0].flip(2)]

    changed = spine_hybrid(x, torch.Generator().manual_seed(0), probability=1.0)

    counts = [sum(torch.allclose(row, one, atol=1 / 255) for row in changed) for one in known]
    expected = 400 / 9
    assert all(abs(count - expected) < 4 * np.sqrt(expected) for count in counts)


def test_no_row_changes_at_probability_zero() -> None:
    x = images((8, 1, 16, 16))
    wild = AffineRanges(90.0, 0.0, 0.0, 0.0)

    assert torch.equal(random_affine(x, torch.Generator().manual_seed(0), wild, flips=(0, 1), probability=0.0), x)
    assert torch.equal(spine_hybrid(x, torch.Generator().manual_seed(0), probability=0.0), x)
