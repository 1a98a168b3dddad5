"""Operations that repeat bit for bit on a GPU give what torch's own give, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from medbench_plugins.networks import repeatable_gradients


def same(
    own: Callable[[torch.Tensor], Any], other: Callable[[torch.Tensor], Any], shape: tuple[int, ...], levels: int = 0
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    if levels:  # then many values are equal
        x = torch.randint(0, levels, shape, generator=torch.Generator().manual_seed(0)).float()
    one, two = x.clone().requires_grad_(True), x.clone().requires_grad_(True)
    made, wanted = own(one), other(two)
    weights = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    (made * weights).sum().backward()
    (wanted * weights).sum().backward()

    assert made.dtype == wanted.dtype
    torch.testing.assert_close(made, wanted)
    torch.testing.assert_close(one.grad, two.grad)


@pytest.mark.parametrize(("side", "size"), [(1, 7), (4, 7), (5, (7, None)), (9, 2)])
def test_adaptive_averages_are_those_of_torch(side: int, size: Any) -> None:
    same(
        lambda x: repeatable_gradients.adaptive_average(x, size),
        lambda x: F.adaptive_avg_pool2d(x, size),
        (2, 3, side, side + 1),
    )


def test_adaptive_averages_of_volumes_are_those_of_torch() -> None:
    same(
        lambda x: repeatable_gradients.adaptive_average(x, (3, 2, 5)),
        lambda x: F.adaptive_avg_pool3d(x, (3, 2, 5)),
        (2, 3, 4, 5, 6),
    )


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), ((3, 2, 3), (1, 2, 2), (1, 0, 1)), (2, 1, 0)])
def test_maxima_of_volumes_are_those_of_torch(kernel: Any, stride: Any, padding: Any, up: bool) -> None:
    for levels in (0, 3):
        same(
            lambda x: repeatable_gradients.maximum(x, kernel, stride, padding, ceil_mode=up),
            lambda x: F.max_pool3d(x, kernel, stride, padding, ceil_mode=up),
            (2, 3, 6, 7, 8),
            levels,
        )


@pytest.mark.parametrize(
    ("mode", "spatial", "size"),
    [("bilinear", (5, 4), (9, 3)), ("bicubic", (5, 4), (9, 6)), ("trilinear", (3, 4, 5), 6), ("linear", (5,), 8)],
)
@pytest.mark.parametrize("align", [False, True])
def test_resized_images_are_those_of_torch(mode: str, spatial: tuple[int, ...], size: Any, align: bool) -> None:
    same(
        lambda x: repeatable_gradients.resize(x, size, mode=mode, align_corners=align),
        lambda x: F.interpolate(x, size, mode=mode, align_corners=align),
        (2, 3, *spatial),
    )


def test_what_repeats_anyway_is_left_to_torch() -> None:
    x = torch.zeros(1, 1, 4, 4)

    assert repeatable_gradients.adaptive_average(x, 1) is None
    assert repeatable_gradients.adaptive_average(x, 2) is None
    assert repeatable_gradients.maximum(x[None], 2, 2) is None
    assert repeatable_gradients.resize(x, 8, mode="nearest") is None


def test_a_network_is_changed_only_where_it_needs_it() -> None:
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1))
    pooled = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(4)).train()
    before, state = pooled(x), {k: v.clone() for k, v in pooled.state_dict().items()}
    repeatable_gradients.make_repeatable(plain, x)
    repeatable_gradients.make_repeatable(pooled, x)

    assert "forward" not in vars(plain)
    assert "forward" in vars(pooled)
    assert pooled.training
    assert all(torch.equal(state[k], v) for k, v in pooled.state_dict().items())
    torch.testing.assert_close(pooled(x), before)
