"""Mixtures of two images of a batch, and of their labels in the same proportion: mixup and CutMix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.plain_augmenters import Balanced

if TYPE_CHECKING:
    import torch

STEPS = 4096  # of the quantile table; a power of two, so that u * STEPS < STEPS for every float32 u < 1


@dataclass(frozen=True)
class Mixup:
    """Each image faded into another of its batch, with balanced sampling.

    Attributes:
        alpha: Of the Beta(alpha, alpha) of the share that stays, 0.01 to 100; the smaller, the less is mixed.

    Source:
        Zhang et al., ICLR 2018, arXiv 1710.09412, section 2; 0.2 is its choice for ImageNet. Deliberate difference:
        every row draws a share of its own where the paper's figure 1 draws one a batch; the expected loss is the same
        and varies less.
    """

    name: str = "mixup"
    alpha: float = 0.2

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    summary: ClassVar[str] = "images and labels faded into others of the batch"
    control: ClassVar[medbench.Augmenter] = Balanced()  # the same sampling without the transform

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does."""
        self.check()
        quantiles = _quantiles_on_device(self.alpha, context)
        return medbench.TrainingSet(
            train, transform=partial(self._transform, quantiles), sampling=medbench.balanced_sampling(train)
        )

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_alpha(self.name, self.alpha)

    def _transform(
        self, quantiles: torch.Tensor, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        partner = torch.randperm(len(x), generator=generator, device=x.device)
        share = draw_beta(quantiles, torch.rand(len(x), generator=generator, device=x.device))
        return fade(x, partner, share), fade(y, partner, share)


@dataclass(frozen=True)
class CutMix:
    """A box of each image replaced by that of another of its batch, with balanced sampling.

    Attributes:
        alpha: Of the Beta(alpha, alpha) of the share that stays before the box is cropped to the image, 0.01 to 100.
        probability: Share of images that are mixed at all.

    Source:
        Yun et al., ICCV 2019, arXiv 1905.04899, equations 1 and 2 with alpha 1 as there; whole pixels as in
        torchvision. Deliberate differences: every row draws a box of its own; a volume's box has three sides, each
        ``(1 - share) ** (1 / 3)`` of its axis.
    """

    name: str = "cutmix"
    alpha: float = 1.0
    probability: float = 1.0

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    summary: ClassVar[str] = "a box of each image from another of the batch, labels by its size"
    control: ClassVar[medbench.Augmenter] = Balanced()  # the same sampling without the transform

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does."""
        self.check()
        quantiles = _quantiles_on_device(self.alpha, context)
        return medbench.TrainingSet(
            train, transform=partial(self._transform, quantiles), sampling=medbench.balanced_sampling(train)
        )

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_alpha(self.name, self.alpha)
        if not 0 <= self.probability <= 1:
            raise medbench.UsageError(f"{self.name}.probability: got {self.probability:g}; give a number from 0 to 1.")

    def _transform(
        self, quantiles: torch.Tensor, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        from medbench_plugins.transforms.boxes import lengths

        partner = torch.randperm(len(x), generator=generator, device=x.device)
        drawn = torch.rand(len(x), x.ndim, generator=generator, device=x.device)
        share = draw_beta(quantiles, drawn[:, 0])
        share = torch.where(drawn[:, 1] < self.probability, share, 1.0)  # a box of nothing
        sides = lengths(tuple(x.shape[2:]), x.device)
        centres = torch.minimum((drawn[:, 2:] * sides).long(), sides - 1)
        return cut(x, y, partner, share, centres)


def fade(values: torch.Tensor, partner: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return ``share * values + (1 - share) * values[partner]``, row by row.

    Args:
        values: ``float32 (B, ...)``.
        partner: ``int64 (B,)`` row that each row is mixed with.
        share: ``float32 (B,)`` in [0, 1]; at 1 a row comes back bit for bit.
    """
    return values[partner].lerp(values, share.view(-1, *[1] * (values.ndim - 1)))


def cut(
    x: torch.Tensor, y: torch.Tensor, partner: torch.Tensor, share: torch.Tensor, centres: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace a box of each row by that of its partner, and mix the labels by the size of the box.

    Args:
        x: ``float32 (B, C, *spatial)`` with d spatial axes.
        y: ``float32 (B, n_classes)`` class probabilities.
        partner: ``int64 (B,)`` row that the box comes from.
        share: ``float32 (B,)`` in [0, 1] that stays, before the box is cropped to the image.
        centres: ``int64 (B, d)`` middle of the box in pixels.

    Returns:
        Mixed images, and labels mixed by the share of pixels that really stayed.
    """
    import torch

    B, d = len(x), x.ndim - 2
    reach = 0.5 * (1 - share.double()) ** (1 / d)
    inside = torch.ones(B, *[1] * (d + 1), dtype=torch.bool, device=x.device)
    size = torch.ones(B, dtype=torch.float64, device=x.device)
    for axis, side in enumerate(x.shape[2:]):
        half = (reach * side).long()
        low = (centres[:, axis] - half).clamp(min=0)
        high = (centres[:, axis] + half).clamp(max=side)
        pixel = torch.arange(side, device=x.device)
        within = (pixel >= low[:, None]) & (pixel < high[:, None])  # (B, side)
        inside = inside & within.view(B, 1, *[side if a == axis else 1 for a in range(d)])
        size = size * (high - low) / side
    return torch.where(inside, x[partner], x), fade(y, partner, (1 - size).to(y.dtype))


def beta_quantiles(alpha: float) -> np.ndarray:
    """Return the quantiles of Beta(alpha, alpha) at 0, 1 / 4096, ..., 1 as ``float64 (4097,)``."""
    from scipy.special import betaincinv

    return np.asarray(betaincinv(alpha, alpha, np.linspace(0, 1, STEPS + 1)))


def draw_beta(quantiles: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Turn uniform numbers into those of the distribution with these quantiles.

    torch draws from a Beta only by its global generator; with a line between neighbouring quantiles the distribution
    function is off by less than 1 / 4096 everywhere.

    Args:
        quantiles: ``float32 (4097,)`` from :func:`beta_quantiles`.
        uniform: ``float32 (B,)`` in [0, 1).
    """
    place = uniform * STEPS
    left = place.long()
    return quantiles[left].lerp(quantiles[left + 1], place - left)


def _check_alpha(name: str, alpha: float) -> None:
    if not 0.01 <= alpha <= 100:
        raise medbench.UsageError(f"{name}.alpha: got {alpha:g}; give a number from 0.01 to 100.")


def _quantiles_on_device(alpha: float, context: medbench.Context) -> torch.Tensor:
    import torch

    return torch.from_numpy(beta_quantiles(alpha)).float().to(context.device)
