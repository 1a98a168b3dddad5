"""Manifold mixup: features, not pixels, are mixed, and their labels in the same proportion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import medbench
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.mixing import beta_quantiles, draw_beta, fade

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FeatureMixup:
    """Each row of features faded into another of its batch, with balanced sampling.

    Attributes:
        alpha: Of the Beta(alpha, alpha) of the share that stays, above 0, at most 100; the smaller, the less is mixed.

    Source:
        Verma et al., ICML 2019, arXiv 1806.05236, section 2. Deliberate differences: it mixes at one layer, the last,
        behind an encoder that was trained without mixing, where the paper draws a layer for every batch and trains all
        of the network; every row draws a share of its own.
    """

    name: str = "feature-mixup"
    alpha: float = 0.4

    space: ClassVar[Literal["features"]] = "features"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    summary: ClassVar[str] = "features and labels faded into others of the batch (manifold mixup)"
    control: ClassVar[medbench.Augmenter] = FeatureNone()  # the same sampling without the transform

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        if not 0 < self.alpha <= 100:
            raise medbench.UsageError(f"{self.name}.alpha: got {self.alpha:g}; give a number above 0, at most 100.")

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does."""
        import torch

        self.check()
        quantiles = torch.from_numpy(beta_quantiles(self.alpha)).float().to(context.device)
        return medbench.TrainingSet(
            train, transform=partial(mix_rows, quantiles), sampling=medbench.balanced_sampling(train)
        )


def mix_rows(
    quantiles: torch.Tensor, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fade every row of ``x (B, ...)`` and ``y (B, n_classes)`` into another, by a share of its own."""
    import torch

    partner = torch.randperm(len(x), generator=generator, device=x.device)
    share = draw_beta(quantiles, torch.rand(len(x), generator=generator, device=x.device))
    return fade(x, partner, share), fade(y, partner, share)
