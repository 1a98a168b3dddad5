"""Pooling and resizing whose gradients repeat bit for bit on a GPU. Imported late, since it needs torch.

For some operations CUDA has one kernel, which adds up its gradient in whatever order threads come: two trainings then
differ. Those that networks for images use are linear along each axis, or a maximum, and so can be written as products
and as pools that do repeat. A CPU has no such trouble and keeps its own.

Source:
    Which operations: the page of ``torch.use_deterministic_algorithms``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

LINEAR = ("linear", "bilinear", "trilinear", "bicubic")


def make_repeatable(network: nn.Module, x: torch.Tensor) -> None:
    """Have `network` compute by the functions of this module, if it uses an operation they replace.

    One pass in evaluation mode, which changes nothing in the network, finds out. Most networks use none, and are left
    alone: intercepting calls of torch takes time.

    Args:
        network: In training mode; its ``forward`` is replaced. Copies made before keep theirs.
        x: A batch it takes.
    """
    with _Replace() as replacing:
        network.eval()
        network(x)
        network.train()
    if not replacing.replaced:
        return
    forward: Callable[..., torch.Tensor] = network.forward

    def repeatable(*args: Any, **kwargs: Any) -> torch.Tensor:
        with _Replace():
            return forward(*args, **kwargs)

    network.forward = repeatable


class _Replace(TorchFunctionMode):
    """Computes calls that have a gradient to bring back by the functions of this module."""

    def __init__(self) -> None:
        super().__init__()
        self.replaced: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        done = None
        if name in REPLACED and torch.is_grad_enabled() and args and args[0].requires_grad:
            done = REPLACED[name](*args, **(kwargs or {}))
        if done is None:
            return func(*args, **(kwargs or {}))
        self.replaced.add(name)
        return done


def adaptive_average(x: torch.Tensor, output_size: int | Sequence[int | None]) -> torch.Tensor | None:
    """Average ``x (..., *spatial)`` over windows that cover each axis; None where torch's own repeats.

    That is where one position is left, or where windows do not overlap.
    """
    spatial, target = _axes(x, output_size)
    if all(wide % narrow == 0 for wide, narrow in zip(spatial, target, strict=True)):
        return None
    return _along_axes(x, [_windows(*sizes, x.device) for sizes in zip(spatial, target, strict=True)])


def maximum(
    x: torch.Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> torch.Tensor | None:
    """Take the maximum of ``x (B, C, D, H, W)`` over windows, plane by plane, then across planes.

    Of equal values the first one gets the gradient, as in torch's own. None where windows do not overlap, so that
    torch's own repeats, and for what no network asks: dilation, and places.
    """
    _, kernel = _axes(x, kernel_size, 3)
    _, steps = _axes(x, stride or kernel_size, 3)
    _, beyond = _axes(x, padding, 3)
    if x.ndim != 5 or return_indices or set(_axes(x, dilation, 3)[1]) != {1}:
        return None
    if all(step >= side for step, side in zip(steps, kernel, strict=True)):
        return None
    B, C, D, H, W = x.shape
    planes = F.max_pool2d(x.reshape(B, C * D, H, W), kernel[1:], steps[1:], beyond[1:], ceil_mode=ceil_mode)
    columns = planes.reshape(B, C, D, -1)  # of (B, C * D, h, w)
    along = (kernel[0], 1), (steps[0], 1), (beyond[0], 0)
    pooled = F.max_pool2d(columns, *along, ceil_mode=ceil_mode)  # (B, C, d, h * w)
    return pooled.reshape(B, C, -1, *planes.shape[2:])


def resize(
    x: torch.Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> torch.Tensor | None:
    """Resize ``x (B, C, *spatial)`` to `size` linearly or cubically; None for what repeats, and for scale factors."""
    if mode not in LINEAR or size is None or antialias:
        return None
    spatial, target = _axes(x, size)
    return _along_axes(
        x, [_weights(*sizes, mode, align_corners, x.device) for sizes in zip(spatial, target, strict=True)]
    )


REPLACED: dict[str, Callable[..., torch.Tensor | None]] = {
    "adaptive_avg_pool2d": adaptive_average,
    "adaptive_avg_pool3d": adaptive_average,
    "max_pool3d": maximum,
    "max_pool3d_with_indices": maximum,
    "interpolate": resize,
}


def _axes(x: torch.Tensor, size: int | Sequence[int | None], axes: int = 0) -> tuple[list[int], list[int]]:
    """Return the sides of `x` along its spatial axes, and `size` for each; None there leaves an axis as it is."""
    d = axes or x.ndim - 2
    given = [size] * d if isinstance(size, int) else list(size)
    spatial = list(x.shape[-d:])
    return spatial, [side if target is None else target for side, target in zip(spatial, given, strict=True)]


def _along_axes(x: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Multiply the last axes of `x` by one matrix ``(from, to)`` each, in single precision."""
    with torch.autocast(x.device.type, enabled=False):
        result = x.float()
        for axis, weight in enumerate(weights, start=x.ndim - len(weights)):
            result = (result.movedim(axis, -1) @ weight).movedim(-1, axis)
    return result.to(x.dtype)


def _windows(wide: int, narrow: int, device: torch.device) -> torch.Tensor:
    """Return ``(wide, narrow)``: each column averages the positions of one window."""
    to = torch.arange(narrow, device=device)
    start, stop = to * wide // narrow, -(-(to + 1) * wide // narrow)
    place = torch.arange(wide, device=device)[:, None]
    inside = ((place >= start) & (place < stop)).float()
    return inside / inside.sum(0)


def _weights(wide: int, narrow: int, mode: str, align_corners: bool | None, device: torch.device) -> torch.Tensor:
    """Return ``(wide, narrow)``: what each position gives to each of the resized axis."""
    unit = torch.eye(wide, device=device)
    with torch.no_grad():
        if mode == "bicubic":
            result = F.interpolate(unit[None, None], (wide, narrow), mode="bicubic", align_corners=align_corners)
            return result[0, 0]
        return F.interpolate(unit[None], narrow, mode="linear", align_corners=align_corners)[0]
