"""Automatic augmentation without a search: random operations of random or one common strength.

TrivialAugment and RandAugment share a list of operations and differ in how many a row gets and how strong they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import medbench
from medbench_plugins.augmenters.check_rows import check_pixels
from medbench_plugins.plain_augmenters import Balanced
from medbench_plugins.transforms.ranges import RANGES

if TYPE_CHECKING:
    import torch

LEVELS = 31  # both papers number the strengths 0 to 30


@dataclass(frozen=True)
class TrivialAugment:
    """One random operation of a random strength for every image of every batch, with balanced sampling.

    Attributes:
        policy: How strong the operations are: "wide" as in the paper, which turns a picture by up to 135 degrees;
            "narrow" as in RandAugment; "safe" within what keeps the anatomy plausible.

    Source:
        Müller and Hutter, ICCV 2021, arXiv 2103.10158, algorithm 1 and the wide space of its table 1. Deliberate
        differences, shared with RandAugment: gamma takes the place of colour, which does nothing to a gray image, and
        noise is added to the list; translation is a fraction of the axis (32 of 224 pixels) instead of pixels; shear
        is centred and interpolation linear; autocontrast and equalize, all or nothing in the paper, are blended with
        the image, so that strength 0 changes nothing; solarize spares black, the background. A volume draws a plane
        or an axis for its geometry.
    """

    name: str = "trivialaugment"
    policy: Literal["wide", "narrow", "safe"] = "wide"

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    summary: ClassVar[str] = "one random operation of random strength an image"
    control: ClassVar[medbench.Augmenter] = Balanced()  # the same sampling without the transform

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does, or without images."""
        self.check()
        check_pixels(self.name, train)
        return medbench.TrainingSet(train, transform=self._transform, sampling=medbench.balanced_sampling(train))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_policy(self.name, self.policy)

    def _transform(
        self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        from medbench_plugins.transforms.operations import random_operation

        drawn = torch.rand(len(x), generator=generator, device=x.device)
        strength = (drawn * LEVELS).floor().clamp(max=LEVELS - 1) / (LEVELS - 1)
        return random_operation(x, generator, strength, RANGES[self.policy]), y


@dataclass(frozen=True)
class RandAugment:
    """Several random operations of one common strength for every image of every batch, with balanced sampling.

    Attributes:
        operations: How many, one after the other, 0 to 10: the paper's N.
        magnitude: Strength of all of them, 0 to 30: the paper's M.
        policy: What strength 30 means; see TrivialAugment.

    Source:
        Cubuk et al., NeurIPS 2020, arXiv 1909.13719, figure 2, with the ranges and defaults of torchvision. Deliberate
        differences: those of TrivialAugment.
    """

    name: str = "randaugment"
    operations: int = 2
    magnitude: float = 9.0
    policy: Literal["wide", "narrow", "safe"] = "narrow"

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    summary: ClassVar[str] = "several random operations of one strength an image"
    control: ClassVar[medbench.Augmenter] = Balanced()  # the same sampling without the transform

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does, or without images."""
        self.check()
        check_pixels(self.name, train)
        return medbench.TrainingSet(train, transform=self._transform, sampling=medbench.balanced_sampling(train))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_policy(self.name, self.policy)
        for field, limit in {"operations": 10, "magnitude": LEVELS - 1}.items():
            value = getattr(self, field)
            if not 0 <= value <= limit:
                raise medbench.UsageError(f"{self.name}.{field}: got {value:g}; give a number from 0 to {limit}.")

    def _transform(
        self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        from medbench_plugins.transforms.operations import random_operation

        strength = torch.full((len(x),), self.magnitude / (LEVELS - 1), device=x.device)
        for _ in range(self.operations):
            x = random_operation(x, generator, strength, RANGES[self.policy])
        return x, y


def _check_policy(name: str, policy: str) -> None:
    if policy not in RANGES:
        raise medbench.UsageError(f"{name}.policy: {policy!r} is unknown; use wide, narrow or safe.")
