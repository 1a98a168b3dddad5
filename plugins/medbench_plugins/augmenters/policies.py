"""Automatic augmentation without a search: random operations of random or one common strength.

TrivialAugment and RandAugment share a list of operations and differ in how many a row gets and how strong they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar, Literal

import medbench
from medbench_plugins.augmenters.plain import Balanced

if TYPE_CHECKING:
    import torch

LEVELS = 31  # both papers number the strengths 0 to 30

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


@dataclass(frozen=True)
class Ranges:
    """What each operation does at its full strength; at half of it, half as much.

    Attributes:
        rotate: Degrees, either way, in a random plane of axes.
        shear: Pixels along one axis a pixel along another, either way.
        translate: Fraction of an axis, either way.
        enhance: Distance of the factor of brightness, contrast and sharpness from 1, either way.
        gamma: Factor by which the exponent is multiplied or divided.
        bits: How many of 8 posterize takes away.
        solarize: Share of the gray values, from white downwards, that are inverted.
        noise: Standard deviation as a share of white.
    """

    rotate: float
    shear: float
    translate: float
    enhance: float
    gamma: float
    bits: int
    solarize: float
    noise: float


RANGES = {
    "wide": Ranges(rotate=135, shear=0.99, translate=1 / 7, enhance=0.99, gamma=3, bits=6, solarize=1, noise=0.2),
    "narrow": Ranges(rotate=30, shear=0.3, translate=150 / 331, enhance=0.9, gamma=2, bits=4, solarize=1, noise=0.1),
    "safe": Ranges(rotate=15, shear=0.14, translate=0.08, enhance=0.4, gamma=1.5, bits=3, solarize=0.1, noise=0.05),
}


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

    @property
    def control(self) -> medbench.Augmenter:
        """The same sampling without the transform."""
        return Balanced()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform.

        Raises:
            medbench.UsageError: If the policy is unknown or the rows are no images.
        """
        self.check()
        _check_rows(self.name, train.x.ndim - 2)
        return medbench.TrainingSet(train, transform=self._transform, sampling=medbench.balanced_sampling(train))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_policy(self.name, self.policy)

    def _transform(
        self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

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

    @property
    def control(self) -> medbench.Augmenter:
        """The same sampling without the transform."""
        return Balanced()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform.

        Raises:
            medbench.UsageError: If a field is out of its range or the rows are no images.
        """
        self.check()
        _check_rows(self.name, train.x.ndim - 2)
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

        strength = torch.full((len(x),), self.magnitude / (LEVELS - 1), device=x.device)
        for _ in range(self.operations):
            x = random_operation(x, generator, strength, RANGES[self.policy])
        return x, y


def random_operation(
    x: torch.Tensor, generator: torch.Generator, strength: torch.Tensor, ranges: Ranges
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
    import torch

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
    ranges: Ranges,
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
    from medbench_plugins.transforms import intensity

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
    import torch

    from medbench_plugins.transforms.affine import rotation, warp

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


def _check_policy(name: str, policy: str) -> None:
    if policy not in RANGES:
        raise medbench.UsageError(f"{name}.policy: {policy!r} is unknown; use wide, narrow or safe.")


def _check_rows(name: str, dimensions: int) -> None:
    if dimensions not in (2, 3):
        raise medbench.UsageError(f"{name}: works on images and volumes, got rows with {dimensions} axes.")
