"""What the notebooks of MediAug make of an image, by itself: no second image, no label, no network. Needs torch.

Everywhere `x` is ``float32 (B, C, *spatial)`` in [-1, 1] and the result has its shape, dtype and range. Each row draws
numbers of its own.

Source:
    Qi et al., MIUA 2025, arXiv 2504.18983: the folder "Image augment batch processing code" of its repository at
    6ec2d81, notebooks of the brain. Deliberate differences: saturation and hue, which do nothing to a gray image, leave
    any image as it is; a blur is in pixels of the working size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F

from medbench_plugins.transforms import intensity
from medbench_plugins.transforms.affine import flip, rotation, warp
from medbench_plugins.transforms.boxes import enlarge, random_window
from medbench_plugins.transforms.chains import mix_chains, run_by_choice

REACH = 6  # pixels to each side of a blur: three standard deviations of the widest
ANGLES = (15.0, 30.0, 45.0)


def fade_into_change(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Fade each row into one change of itself, by a uniform share: "MixUp".

    The changes, each one tenth: brightness, contrast, saturation, gamma, noise, blur, equalising, inverting, and twice
    a quadrangle of one pixel, which gives an image of its first gray value.
    """
    drawn = torch.rand(len(x), 3, generator=generator, device=x.device)
    amount = 0.5 + drawn[:, 1]

    def quadrangle(own: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return own.flatten(2)[..., :1].view(*own.shape[:2], *[1] * (own.ndim - 2)).expand_as(own)

    def same(own: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return own

    changes = (
        lambda own, rows: intensity.brightness(own, amount[rows]),
        lambda own, rows: intensity.contrast(own, amount[rows]),
        same,
        lambda own, rows: intensity.gamma(own, amount[rows]),
        lambda own, rows: intensity.noise(own, torch.full_like(amount[rows], 0.1), generator),  # a variance of 0.01
        lambda own, rows: blur(own, amount[rows]),
        quadrangle,
        lambda own, rows: intensity.equalize(own, torch.ones_like(amount[rows])),
        lambda own, rows: -own,
        quadrangle,
    )
    changed = run_by_choice(x, _pick(drawn[:, 0], len(changes)), changes)
    return torch.lerp(changed, x, _over_pixels(drawn[:, 2], x)).clamp(-1, 1)


def paste_own_crop(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Paste a crop of each row onto another place of the row; its sides are 1/6 to 9/10 of the image's: "CutMix"."""
    B, d, spatial = len(x), x.ndim - 2, x.shape[2:]
    drawn = torch.rand(B, 1 + 2 * d, generator=generator, device=x.device).tolist()
    made = x.clone()
    for row, (share, *places) in enumerate(drawn):
        sizes = [max(1, int(side * (1 / 6 + (9 / 10 - 1 / 6) * share))) for side in spatial]
        starts = [
            int(place * (side - size + 1)) for place, side, size in zip(places, (*spatial,) * 2, sizes * 2, strict=True)
        ]
        of, to = (
            [slice(start, start + size) for start, size in zip(half, sizes, strict=True)]
            for half in (starts[:d], starts[d:])
        )
        made[row][(slice(None), *to)] = x[row][(slice(None), *of)]
    return made


def change_halves(x: torch.Tensor, generator: torch.Generator, *, mirror: int | None) -> torch.Tensor:
    """Mirror the first half of each row, and jitter the other one in half of the rows: "YOCO".

    Args:
        x: See the module.
        generator: On the device of `x`.
        mirror: Spatial axis that is mirrored; None where classes are sides of the body, which leaves it out.
    """
    d = x.ndim - 2
    drawn = torch.rand(len(x), 4, generator=generator, device=x.device)
    jittered = intensity.contrast(intensity.brightness(x, 0.5 + drawn[:, 2]), 0.5 + drawn[:, 3])
    jittered = torch.where(_over_pixels(drawn[:, 1] < 0.5, x), jittered, x)
    made = x
    axis_of = _pick(drawn[:, 0], d)
    for axis in range(d):
        half = x.shape[2 + axis] // 2
        first, second = x.narrow(2 + axis, 0, half), jittered.narrow(2 + axis, half, x.shape[2 + axis] - half)
        if mirror is not None:
            first = flip(first, [mirror], torch.ones(len(x), d, dtype=torch.bool, device=x.device))
        made = torch.where(_over_pixels(axis_of == axis, x), torch.cat([first, second], 2 + axis), made)
    return made


def fade_crops(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Fade a crop of 1/2 to 3/4 of each row into one of 3/4 to all of it, by Beta(1/2, 1/2): "CropMix"."""
    edges = [x.new_full((len(x),), edge) for edge in (0.5, 0.75, 1.0)]
    small, large = (enlarge(x, *random_window(x, generator, low, high)) for low, high in pairwise(edges))
    uniform = torch.rand(len(x), generator=generator, device=x.device)
    share = torch.sin(math.pi / 2 * uniform) ** 2  # the quantiles of Beta(1/2, 1/2)
    return torch.lerp(large, small, _over_pixels(share, x)).clamp(-1, 1)


def mix_chains_twice(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mix each row with three chains of its own, and the mixture with three of its own: "AugMix", without its loss."""
    for _ in range(2):
        x = mix_chains(x, generator, _strong_change, width=3)
    return x


def jitter_blur_noise(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Jitter brightness and contrast by up to 40 %, blur half of the rows, put noise on half: "SnapMix".

    The notebook permutes a batch of one image, so that each box is filled with itself; this is what it does before.
    """
    drawn = torch.rand(len(x), 5, generator=generator, device=x.device)
    x = intensity.contrast(intensity.brightness(x, 0.6 + 0.8 * drawn[:, 0]), 0.6 + 0.8 * drawn[:, 1])
    x = torch.where(_over_pixels(drawn[:, 2] < 0.5, x), blur(x, 0.1 + 1.9 * drawn[:, 3]), x)
    noisy = intensity.noise(x, torch.full_like(drawn[:, 0], 25 / 255), generator)
    return torch.where(_over_pixels(drawn[:, 4] < 0.5, x), noisy, x)


def blur(x: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Smooth each row by a Gaussian of its own ``deviation float32 (B,)`` in pixels, above 0, at most 2."""
    offsets = torch.arange(-REACH, REACH + 1, device=x.device)
    weights = (-0.5 * (offsets / deviation[:, None]) ** 2).softmax(1)  # (B, 2 REACH + 1), summing to 1
    d = x.ndim - 2
    for axis in range(d):
        pad = [0, 0] * (d - 1 - axis) + [REACH, REACH] + [0, 0] * axis  # last axis first
        around = F.pad(x, pad, mode="replicate")
        x = torch.stack(
            [
                _over_pixels(weights[:, k], x) * around.narrow(2 + axis, k, x.shape[2 + axis])
                for k in range(len(offsets))
            ]
        ).sum(0)
    return x.clamp(-1, 1)


def _strong_change(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Put each row through one of the eight operations of the notebook, each equally likely."""
    drawn = torch.rand(len(x), 2, generator=generator, device=x.device)
    amount = 1.2 + 0.8 * drawn[:, 1]

    def turn(own: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        d = own.ndim - 2
        degrees = torch.zeros(len(own), d * (d - 1) // 2, device=own.device)
        degrees[:, 0] = torch.tensor(ANGLES, device=own.device)[_pick(drawn[rows, 1], len(ANGLES))]
        return warp(own, rotation(degrees), torch.zeros(len(own), d, device=own.device))

    changes: tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], ...] = (
        lambda own, rows: intensity.autocontrast(own, torch.ones_like(amount[rows])),
        lambda own, rows: intensity.equalize(own, torch.ones_like(amount[rows])),
        lambda own, rows: intensity.solarize(own, torch.full_like(amount[rows], 0.5)),
        turn,
        lambda own, rows: own,  # colour
        lambda own, rows: intensity.brightness(own, amount[rows]),
        lambda own, rows: intensity.contrast(own, amount[rows]),
        lambda own, rows: intensity.sharpness(own, amount[rows]),
    )
    return run_by_choice(x, _pick(drawn[:, 0], len(changes)), changes)


def _pick(uniform: torch.Tensor, n: int) -> torch.Tensor:
    return (uniform * n).long().clamp(max=n - 1)


def _over_pixels(rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return rows.view(-1, *[1] * (x.ndim - 1))
