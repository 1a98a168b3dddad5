"""Changes of gray values of a batch on its device, each row by an amount of its own, in images and volumes alike.

Imported late, since it needs torch. Everywhere `x` is ``float32 (B, C, *spatial)`` in [-1, 1] with two or three
spatial axes, -1 is black and 1 is white, the amount is ``float32 (B,)`` on the same device, and shape, dtype and range
of the result are those of `x`. Statistics are those of a channel of a row: the channels may be sequences of one
examination, whose gray values share no scale.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

# Share of a pixel itself in its smoothed value; the rest is the mean of its neighbours. Pillow's ImageFilter.SMOOTH.
CENTRE = 5 / 13


def brightness(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Multiply gray values by `factor`: 0 is black, 1 the image itself (Pillow's ImageEnhance.Brightness)."""
    return ((x + 1) * _over_pixels(factor, x) - 1).clamp(-1, 1)


def contrast(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Multiply the distance from the mean gray value by `factor` (Pillow's ImageEnhance.Contrast)."""
    mean = x.flatten(2).mean(2).view(*x.shape[:2], *[1] * (x.ndim - 2))
    return ((x - mean) * _over_pixels(factor, x) + mean).clamp(-1, 1)


def gamma(x: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    """Raise gray values in [0, 1] to the power `exponent`, above 0; below 1 the shadows become lighter."""
    return (2 * ((x + 1) / 2).clamp(0, 1) ** _over_pixels(exponent, x) - 1).clamp(-1, 1)


def sharpness(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Multiply the distance from the smoothed image by `factor`: below 1 it blurs, above 1 it sharpens.

    In volumes the mean runs over 26 neighbours instead of 8, and the centre keeps its share. The outermost pixels stay
    as they are, and so does an image with an axis shorter than three pixels (Pillow's ImageEnhance.Sharpness).
    """
    d = x.ndim - 2
    if min(x.shape[2:]) < 3:
        return x
    inner = (slice(None), slice(None), *[slice(1, -1)] * d)
    pool = F.avg_pool2d if d == 2 else F.avg_pool3d
    around = (3**d * pool(x, kernel_size=3, stride=1) - x[inner]) / (3**d - 1)
    smooth = x.clone()
    smooth[inner] = CENTRE * x[inner] + (1 - CENTRE) * around
    return (smooth + (x - smooth) * _over_pixels(factor, x)).clamp(-1, 1)


def posterize(x: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Keep the highest `bits` of the 8 bits of each gray value; 8 give the row back as it is."""
    step = _over_pixels(2.0 ** (8 - bits), x)
    kept = _grays(x).div(step, rounding_mode="floor") * step / 127.5 - 1
    return torch.where(step > 1, kept, x)


def solarize(x: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Invert gray values above `threshold`, a share of white in [0, 1]; 1 inverts nothing, and black stays black."""
    return torch.where(x > 2 * _over_pixels(threshold, x) - 1, -x, x)


def autocontrast(x: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """Stretch each channel to the whole range and blend: 0 is the image itself, 1 the stretched one."""
    over_spatial = (*x.shape[:2], *[1] * (x.ndim - 2))
    low, high = (edge.view(over_spatial) for edge in x.flatten(2).aminmax(dim=2))
    span = high - low
    stretched = torch.where(span > 0, 2 * (x - low) / torch.where(span > 0, span, 1) - 1, x)
    return torch.lerp(x, stretched, _over_pixels(amount, x)).clamp(-1, 1)


def equalize(x: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """Flatten each channel's histogram of 256 gray values and blend: 0 is the image itself, 1 the flattened one.

    Source:
        Pillow's ImageOps.equalize, with its integer arithmetic: a channel of fewer than 255 pixels that are not of its
        brightest gray value stays as it is.
    """
    grays = _grays(x).long().flatten(2)  # (B, C, P)
    counts = torch.zeros(*grays.shape[:2], 256, dtype=torch.long, device=x.device)
    counts.scatter_add_(2, grays, torch.ones_like(grays))  # of integers: the order of the sum does not matter
    brightest = counts.gather(2, grays.amax(2, keepdim=True))
    step = (grays.shape[2] - brightest) // 255
    below = counts.cumsum(2) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    flat = table.gather(2, grays).view(x.shape) / 127.5 - 1
    flat = torch.where(step.view(*x.shape[:2], *[1] * (x.ndim - 2)) > 0, flat, x)
    return torch.lerp(x, flat, _over_pixels(amount, x)).clamp(-1, 1)


def noise(x: torch.Tensor, deviation: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Add normal noise of a standard `deviation`, a share of white, to each value; `generator` is on the device."""
    drawn = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return (x + 2 * _over_pixels(deviation, x) * drawn).clamp(-1, 1)


def _grays(x: torch.Tensor) -> torch.Tensor:
    """Return the nearest gray values of 8 bits, as floats from 0 to 255."""
    return ((x + 1) * 127.5).round().clamp(0, 255)


def _over_pixels(rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return rows.to(x.dtype).view(-1, *[1] * (x.ndim - 1))
