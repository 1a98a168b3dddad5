"""Affine maps of a batch on its device: one grid and one ``grid_sample``, for images and volumes alike.

Imported late, since it needs torch. Positions are measured in pixels from the centre, in the order of the array's
axes; a matrix says for each output position where in the input it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations

import torch
import torch.nn.functional as F

from medbench_plugins.transforms.ranges import FLIP_AXES, AffineRanges


def warp(x: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Resample each row of `x` through an affine map of its own, linearly between pixels.

    Args:
        x: ``float (B, C, *spatial)`` in [-1, 1] with two or three spatial axes.
        matrix: ``float32 (B, d, d)``, output position to input position, both in pixels from the centre.
        shift: ``float32 (B, d)`` added to the input position, as a fraction of each axis.

    Returns:
        Shape and dtype of `x`, in [-1, 1]. What lies outside the input is -1, the background; the edge is never
        mirrored, since a mirrored organ is an anatomy that does not exist.
    """
    return _resample(x.float() + 1, _by_axis(matrix, shift, tuple(x.shape[2:]))).to(x.dtype)


def _by_axis(matrix: torch.Tensor, shift: torch.Tensor, spatial: tuple[int, ...]) -> torch.Tensor:
    """Return ``float32 (B, d, d + 1)``: the map in the [-1, 1] of grid_sample, which counts axes from the last one.

    A row an axis of the input; a column an axis of the output, and the shift.
    """
    half = _constant(tuple(side / 2 for side in spatial), matrix.device)
    matrix = matrix * half / half[:, None]  # pixels to [-1, 1], axis by axis
    return torch.cat([matrix, 2 * shift[..., None]], dim=2).flip(1)


def _resample(lifted: torch.Tensor, by_axis: torch.Tensor) -> torch.Tensor:
    """Resample ``float32 (B, C, *spatial)`` in [0, 2] through the maps of :func:`_by_axis`, and return it in [-1, 1].

    Zeros outside become -1 by lifting the image and back.
    """
    d = lifted.ndim - 2
    by_axis = _over_pixels(by_axis, d)
    places = _places(tuple(lifted.shape[2:]), lifted.device)
    of_axes = [by_axis[:, :, axis] * where for axis, where in enumerate(places)]
    # Sums of lines are less work than a product with the place of every pixel, and round alike on all processors.
    grid = sum(reversed(of_axes[:-1]), start=of_axes[-1]).add_(by_axis[:, :, d]).movedim(1, -1)
    resampled = F.grid_sample(lifted, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return resampled.sub_(1).clamp_(-1, 1)


def move(x: torch.Tensor, moves: torch.Tensor, *, flips: Sequence[int] = ()) -> torch.Tensor:
    """Mirror and resample each row, or leave it as it is, bit for bit.

    Args:
        x: ``float (B, C, *spatial)`` in [-1, 1].
        moves: ``float32 (B, d * (d + 1) + 1 + len(flips))``, all that is drawn and nothing that needs pixels: the map
            of :func:`_by_axis`; 1 for a row that stays; and for each of `flips` 1 for a row that is not mirrored.
        flips: Spatial axes.
    """
    d = x.ndim - 2
    weights = moves.to(x.dtype)
    mirrored = x
    for column, axis in enumerate(flips, start=d * (d + 1) + 1):
        # Exact at weights of 0 and 1, and vectorised, which a choice by rows is not.
        mirrored = mirrored.flip(axis + 2).lerp_(mirrored, _over_pixels(weights[:, column], d + 1))
    lifted = mirrored.float() + 1 if mirrored is x else mirrored.float().add_(1)
    resampled = _resample(lifted, moves[:, : d * (d + 1)].view(-1, d, d + 1)).to(x.dtype)
    return resampled.lerp_(x, _over_pixels(weights[:, d * (d + 1)], d + 1))


def _moves(by_axis: torch.Tensor, stays: torch.Tensor, *unmirrored: torch.Tensor) -> torch.Tensor:
    """Put what moves each row side by side, as :func:`move` takes it."""
    return torch.cat([by_axis.flatten(1), torch.stack([stays, *unmirrored], dim=1).float()], dim=1)


def rotation(degrees: torch.Tensor) -> torch.Tensor:
    """Return ``(B, d, d)`` rotations, counter-clockwise as ``torch.rot90`` counts.

    Args:
        degrees: ``float32 (B, p)``, one angle a plane of axes: p = 1 for images; p = 3 for volumes, in the planes
            (0, 1), (0, 2), (1, 2), applied in that order.
    """
    return _turn(torch.deg2rad(degrees))


def _turn(radians: torch.Tensor) -> torch.Tensor:
    d = {1: 2, 3: 3}[radians.shape[1]]
    cosines, sines = radians.cos(), radians.sin()
    if d == 2:
        return torch.cat([cosines, sines, -sines, cosines], dim=1).view(-1, 2, 2)
    turned = _identity(len(radians), d, radians.device)
    for plane, (i, j) in enumerate(combinations(range(d), 2)):
        cos, sin = cosines[:, plane], sines[:, plane]
        turn = _identity(len(radians), d, radians.device)
        turn[:, i, i], turn[:, i, j], turn[:, j, i], turn[:, j, j] = cos, sin, -sin, cos
        turned = turned @ turn
    return turned


def flip(x: torch.Tensor, axes: Sequence[int], chosen: torch.Tensor) -> torch.Tensor:
    """Mirror the chosen rows of `x`, exactly.

    Args:
        x: ``(B, C, *spatial)``.
        axes: Spatial axes, 0 for the first one behind the channels.
        chosen: ``bool (B, d)``: which rows to mirror along which spatial axis.
    """
    for axis in axes:
        x = torch.where(_over_pixels(chosen[:, axis], x.ndim - 1), x.flip(axis + 2), x)
    return x


def random_affine(
    x: torch.Tensor,
    generator: torch.Generator,
    ranges: AffineRanges,
    *,
    flips: Sequence[int],
    probability: float,
) -> torch.Tensor:
    """Rotate, scale, shear, move and mirror each row by amounts of its own, uniform in their ranges.

    Args:
        x: ``float (B, C, *spatial)`` in [-1, 1].
        generator: On the device of `x`; as many numbers are drawn whatever the ranges are.
        ranges: Largest amounts.
        flips: Spatial axes, each mirrored in half of the rows.
        probability: Share of rows that are changed; the others come back bit for bit.
    """
    drawn = draw_affine(len(x), tuple(x.shape[2:]), generator, ranges, flips=flips, probability=probability)
    return move(x, *drawn, flips=flips)


def draw_affine(
    rows: int, spatial: tuple[int, ...], generator: torch.Generator, ranges: AffineRanges, *,
    flips: Sequence[int], probability: float,
) -> tuple[torch.Tensor]:  # fmt: skip
    """Draw what :func:`random_affine` does with `rows` images of `spatial` pixels; all rows of a fit, if wanted."""
    B, d, device = rows, len(spatial), generator.device
    n_planes = d * (d - 1) // 2
    drawn = torch.rand(B, 2 + 2 * n_planes + 2 * d, generator=generator, device=device)
    changed, amounts, mirrors = drawn.split((1, 1 + 2 * n_planes + d, d), dim=1)
    # A number in [0, 1) less one half, times twice the largest amount.
    angle = (math.pi / 180,) * 2 * n_planes
    largest = [ranges.scale, *[ranges.rotation] * n_planes, *[ranges.shear] * n_planes, *[ranges.translation] * d]
    amounts = (amounts - 0.5) * _constant(tuple(2 * one for one in largest), device)
    amounts = amounts * _constant((1.0, *angle, *[1.0] * d), device)
    sizes, angles, shears, moves = amounts.split((1, n_planes, n_planes, d), dim=1)
    # Output to input: the content grows by a factor when the positions shrink by it.
    matrix = _turn(angles) / (1 + sizes)[:, :, None]
    slants = torch.tan(shears)[:, None]
    for plane, (i, j) in enumerate(combinations(range(d), 2)):  # a column j is whole yet where it is added to i < j
        matrix[:, :, i].add_(matrix[:, :, j] * slants[:, :, plane])
    unmirrored = [mirrors[:, axis] >= 0.5 for axis in flips]
    return (_moves(_by_axis(matrix, moves, spatial), changed[:, 0] >= probability, *unmirrored),)


SPINE_CHANGES = ("original", "rot45", "rot90", "rot270", "hflip", "vflip", "shear", "zoom", "crop")
"""What :func:`spine_change` knows, by number."""


def left_right_mirror(dimensions: int) -> str:
    """Return which of ``SPINE_CHANGES`` mirrors left to right: the last axis of images, the first of volumes."""
    return ("vflip", "hflip")[FLIP_AXES[dimensions]["flip_left_right"]]


def spine_hybrid(
    x: torch.Tensor, generator: torch.Generator, *, probability: float, sides: bool = False
) -> torch.Tensor:
    """Apply one change of the spine preprint's list to each row, each equally likely, the original among them.

    The list: turns of 45, 90 and 270 degrees, horizontal and vertical flip, crop, zoom, shear. A quarter turn of a
    spine is no anatomy; the list is here because a published result rests on it. In volumes all of it happens in the
    plane of the first two axes.

    Args:
        x: ``float (B, C, *spatial)`` in [-1, 1].
        generator: On the device of `x`.
        probability: Share of rows that draw from the list; the others come back bit for bit.
        sides: Leave the mirror from left to right out of the list.

    Source:
        Sivakumar and Anand, medRxiv 10.64898/2026.04.15.26350121 and its project page. Deliberate differences: the
        crop is a window of three quarters at a random place instead of a fixed box in the corner, the zoom the same
        window at the centre, and the shear, given as "30 radians", is 30 degrees.
    """
    return move(x, *draw_spine_hybrid(len(x), tuple(x.shape[2:]), generator, probability=probability, sides=sides))


def draw_spine_hybrid(
    rows: int, spatial: tuple[int, ...], generator: torch.Generator, *, probability: float, sides: bool = False
) -> tuple[torch.Tensor]:
    """Draw what :func:`spine_hybrid` does with `rows` images of `spatial` pixels; all rows of a fit, if wanted."""
    device = generator.device
    drawn = torch.rand(rows, 4, generator=generator, device=device)
    left_out = left_right_mirror(len(spatial)) if sides else ""
    listed = [k for k, name in enumerate(SPINE_CHANGES) if name != left_out]
    place = (drawn[:, 0] * len(listed)).long().clamp(max=len(listed) - 1)
    choice = _constant(tuple(float(k) for k in listed), device)[place].long()
    stays = (drawn[:, 3] >= probability) | (choice == 0)
    return (_moves(_spine_maps(choice, drawn[:, 1:3], spatial), stays),)


def spine_change(x: torch.Tensor, choice: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Apply to each row the change of its own number, see :func:`spine_hybrid`.

    Args:
        x: ``float (B, C, *spatial)`` in [-1, 1].
        choice: ``int64 (B,)``, positions in ``SPINE_CHANGES``.
        place: ``float32 (B, 2)`` in [0, 1]: where the window of a crop lies along the first two axes.
    """
    return _resample(x.float() + 1, _spine_maps(choice, place, tuple(x.shape[2:]))).to(x.dtype)


def _spine_maps(choice: torch.Tensor, place: torch.Tensor, spatial: tuple[int, ...]) -> torch.Tensor:
    B, d, device = len(choice), len(spatial), choice.device
    tan = math.tan(math.radians(30))
    r = math.sqrt(0.5)
    matrices = (
        ((1, 0), (0, 1)),  # the original
        ((r, r), (-r, r)),  # 45 degrees
        ((0, 1), (-1, 0)),  # 90 degrees
        ((0, -1), (1, 0)),  # 270 degrees
        ((1, 0), (0, -1)),  # horizontal flip
        ((-1, 0), (0, 1)),  # vertical flip
        ((1, 0), (tan, 1)),  # shear
        ((0.75, 0), (0, 0.75)),  # zoom
        ((0.75, 0), (0, 0.75)),  # crop: the zoom elsewhere
    )
    plane = _constant(tuple(number for matrix in matrices for row in matrix for number in row), device).view(-1, 2, 2)
    matrix = _identity(B, d, device)
    matrix[:, :2, :2] = plane[choice]
    shift = torch.zeros(B, d, device=device)
    is_crop = (choice == len(plane) - 1)[:, None]
    shift[:, :2] = torch.where(is_crop, 0.25 * (place - 0.5), shift[:, :2])  # the window stays inside
    return _by_axis(matrix, shift, spatial)


@cache
def _constant(numbers: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return ``float32 (n,)``, copied to a device once: a copy in every step is one that the device waits for."""
    return torch.tensor(numbers, dtype=torch.float32, device=device)


@cache
def _places(spatial: tuple[int, ...], device: torch.device) -> tuple[torch.Tensor, ...]:
    """Return where the pixels lie in [-1, 1] along each axis, ``float32 (1, ..., side, ..., 1)``, first axis first."""
    unmoved = torch.eye(2, 3, device=device)[None]
    lines = [F.affine_grid(unmoved, [1, 1, 1, side], align_corners=False)[0, 0, :, 0] for side in spatial]
    return tuple(line.view(*[-1 if k == axis else 1 for k in range(len(spatial))]) for axis, line in enumerate(lines))


def _identity(n: int, d: int, device: torch.device) -> torch.Tensor:
    flat = tuple(float(i == j) for i in range(d) for j in range(d))
    return _constant(flat, device).repeat(n, 1).view(n, d, d)


def _over_pixels(rows: torch.Tensor, axes: int) -> torch.Tensor:
    """Append so many axes of one."""
    return rows.view(*rows.shape, *[1] * axes)
