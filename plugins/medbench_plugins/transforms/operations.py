"""The operations of TrivialAugment and RandAugment: one for each row of a batch. Needs torch."""

from __future__ import annotations

from itertools import combinations

import torch

from medbench_plugins.transforms import intensity
from medbench_plugins.transforms.affine import rotation, warp
from medbench_plugins.transforms.ranges import OperationRanges

# Shear and translation stand twice, as in the papers, where each has one entry an axis; here the axis is drawn, so
# that a volume sees as much geometry as an image.
OPERATIONS = (
    "identity",
    "rotate",
    "shear",
    "shear",
    "translate",
    "translate",
    "brightness",
    "contrast",
    "gamma",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
    "noise",
)


def random_operation(
    x: torch.Tensor, generator: torch.Generator, strength: torch.Tensor, ranges: OperationRanges
) -> torch.Tensor:
    """Apply one of ``OPERATIONS`` to each row, each equally likely.

    Args:
        x: ``float32 (B, C, *spatial)`` in [-1, 1] with two or three spatial axes.
        generator: On the device of `x`.
        strength: ``float32 (B,)`` in [0, 1]; rows of strength 0 come back bit for bit.
        ranges: What strength 1 means.

    Returns:
        Shape, dtype and range of `x`.
    """
    drawn = torch.rand(len(x), 3, generator=generator, device=x.device)
    choice = (drawn[:, 0] * len(OPERATIONS)).long().clamp(max=len(OPERATIONS) - 1)
    choice = torch.where(strength > 0, choice, 0)
    # Each operation sees its own rows only; the device is waited for once, to learn how many they are.
    order = choice.argsort(stable=True)
    counts = torch.bincount(choice, minlength=len(OPERATIONS)).tolist()
    changed = x.clone()
    for operation, rows in zip(OPERATIONS, order.split(counts), strict=True):
        if operation != "identity" and len(rows):
            sign = torch.where(drawn[rows, 1] < 0.5, -1.0, 1.0)
            changed[rows] = apply_operation(
                operation, x[rows], strength[rows], sign=sign, place=drawn[rows, 2], generator=generator, ranges=ranges
            )
    return changed


def apply_operation(
    operation: str,
    x: torch.Tensor,
    strength: torch.Tensor,
    *,
    sign: torch.Tensor,
    place: torch.Tensor,
    generator: torch.Generator,
    ranges: OperationRanges,
) -> torch.Tensor:
    """Apply one operation to all rows.

    Args:
        operation: One of ``OPERATIONS``.
        x: ``float32 (B, C, *spatial)`` in [-1, 1].
        strength: ``float32 (B,)`` in [0, 1].
        sign: ``float32 (B,)``, -1 or 1: the direction, where the operation has two.
        place: ``float32 (B,)`` in [0, 1): picks the axis or the plane of a geometric operation.
        generator: Of the noise, on the device of `x`.
        ranges: What strength 1 means.

    Raises:
        ValueError: If the operation is unknown.
    """
    signed = sign * strength
    match operation:
        case "identity":
            return x
        case "rotate" | "shear" | "translate":
            return _move(operation, x, signed * getattr(ranges, operation), place)
        case "brightness":
            return intensity.brightness(x, 1 + ranges.enhance * signed)
        case "contrast":
            return intensity.contrast(x, 1 + ranges.enhance * signed)
        case "sharpness":
            return intensity.sharpness(x, 1 + ranges.enhance * signed)
        case "gamma":
            return intensity.gamma(x, ranges.gamma**signed)
        case "posterize":
            return intensity.posterize(x, 8 - (ranges.bits * strength).round())
        case "solarize":
            return intensity.solarize(x, 1 - ranges.solarize * strength)
        case "autocontrast":
            return intensity.autocontrast(x, strength)
        case "equalize":
            return intensity.equalize(x, strength)
        case "noise":
            return intensity.noise(x, ranges.noise * strength, generator)
    raise ValueError(f"no operation is named {operation!r}; there are {', '.join(sorted(set(OPERATIONS)))}")


def _move(operation: str, x: torch.Tensor, amount: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Turn by `amount` degrees, shear by a factor, or move by a fraction, each row in a plane or along an axis."""
    B, d = len(x), x.ndim - 2
    rows = torch.arange(B, device=x.device)
    matrix = torch.eye(d, device=x.device).repeat(B, 1, 1)
    shift = torch.zeros(B, d, device=x.device)
    planes = torch.tensor(list(combinations(range(d), 2)), device=x.device)  # (p, 2)
    if operation == "rotate":
        degrees = torch.zeros(B, len(planes), device=x.device)
        degrees[rows, (place * len(planes)).long()] = amount
        matrix = rotation(degrees)
    elif operation == "shear":
        pairs = torch.cat([planes, planes.flip(1)])[(place * 2 * len(planes)).long()]
        matrix[rows, pairs[:, 0], pairs[:, 1]] = amount
    else:
        shift[rows, (place * d).long()] = amount
    return warp(x, matrix, shift)
