"""Geometric transforms of each batch on the device, in ranges that keep the anatomy plausible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import medbench
from medbench_plugins.augmenters.check_rows import check_pixels
from medbench_plugins.plain_augmenters import Balanced
from medbench_plugins.transforms.ranges import FLIP_AXES, SAFE, AffineRanges


@dataclass(frozen=True)
class Geometric:
    """Rotation, flips, scaling, shear and translation, new for every image of every batch, with balanced sampling.

    Attributes:
        policy: "safe" draws all of the following at once, uniformly; "spine-hybrid" draws one change of the spine
            preprint's list instead and reads only `probability`.
        rotation: Largest angle in degrees, 0 to 180, in every plane of axes.
        scale: Largest relative change of size, 0 to 0.95.
        shear: Largest angle in degrees, 0 to 80.
        translation: Largest move along an axis as a fraction of it, 0 to 1; what leaves the frame is cropped.
        flip_left_right: Mirror half of the images left to right: the last axis of an image, the first of a volume. Left
            out where classes are sides of the body, from "spine-hybrid" too.
        flip_up_down: The same for the first axis of an image, the last of a volume.
        flip_front_back: The same for the middle axis of a volume; images have no such axis.
        probability: Share of images that are changed at all.
    """

    name: str = "geometric"
    policy: Literal["safe", "spine-hybrid"] = "safe"
    rotation: float = SAFE.rotation
    scale: float = SAFE.scale
    shear: float = SAFE.shear
    translation: float = SAFE.translation
    flip_left_right: bool = True
    flip_up_down: bool = False
    flip_front_back: bool = False
    probability: float = 0.9

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    tunable: ClassVar[Mapping[str, tuple[float, ...]]] = {
        "rotation": (SAFE.rotation / 2, SAFE.rotation, 2 * SAFE.rotation),
        "scale": (SAFE.scale / 2, SAFE.scale, 2 * SAFE.scale),
        "probability": (0.5, 0.9),
    }
    summary: ClassVar[str] = "rotation, flip, scaling, shear, translation of each batch"
    control: ClassVar[medbench.Augmenter] = Balanced()  # the same sampling without the transform

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does."""
        self.check()
        check_pixels(self.name, train)
        if self.flip_front_back and train.x.ndim - 2 == 2:
            raise medbench.UsageError("geometric.flip_front_back: images have no such axis; leave it out for 2-D data.")
        transform = self._transform(train.x.ndim - 2, train.sides)
        return medbench.TrainingSet(train, transform=transform, sampling=medbench.balanced_sampling(train))

    def _transform(self, dimensions: int, sides: bool) -> medbench.Transform:
        from medbench_plugins.transforms import affine

        if self.policy == "spine-hybrid":
            drawn = partial(affine.draw_spine_hybrid, probability=self.probability, sides=sides)
            return medbench.DrawnAhead(drawn, affine.move)
        flips = tuple(
            axis
            for name, axis in FLIP_AXES[dimensions].items()
            if getattr(self, name) and not (sides and name == "flip_left_right")
        )
        ranges = AffineRanges(self.rotation, self.scale, self.shear, self.translation)
        drawn = partial(affine.draw_affine, ranges=ranges, flips=flips, probability=self.probability)
        return medbench.DrawnAhead(drawn, partial(affine.move, flips=flips))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        if self.policy not in ("safe", "spine-hybrid"):
            raise medbench.UsageError(f"geometric.policy: {self.policy!r} is unknown; use safe or spine-hybrid.")
        # The largest value still allowed: a size of nothing and a shear of a right angle have no picture.
        limits = {"rotation": 180.0, "scale": 0.95, "shear": 80.0, "translation": 1.0, "probability": 1.0}
        for field, limit in limits.items():
            value = getattr(self, field)
            if not 0 <= value <= limit:
                raise medbench.UsageError(f"geometric.{field}: got {value:g}; give a number from 0 to {limit:g}.")
