"""A placebo: real training images of the class, through a generator's size and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import medbench
from medbench_plugins.generators.checks import check_pixels
from medbench_plugins.generators.resample import RealImages

CHUNK = 64  # rows resized at a time


@dataclass(frozen=True)
class Blur:
    """Draws real training images of the requested class, without their detail; costs nothing and is never stored.

    What it gains over its control is what a regulariser gains that shows the shape of a class and no texture, as a
    generator of small images does.

    Attributes:
        size: Pixels along every axis on the way, at least 1 and fewer than the images have; None is half of those.
    """

    name: str = "blur"
    size: int | None = None

    stored: ClassVar[bool] = False
    summary: ClassVar[str] = "real training images of the class without their detail: a placebo"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        if self.size is not None and self.size < 1:
            raise medbench.UsageError(f"{self.name}.size: got {self.size}; give at least 1.")

    def fit(self, train: medbench.Samples, context: medbench.Context) -> BlurredImages:
        """Return a sampler over `train`.

        Raises:
            medbench.UsageError: If `size` is below 1.
            medbench.Skip: If the rows are no pixels or `size` would leave them as they are.
        """
        return self.restore({}, train)

    def restore(self, state: medbench.State, train: medbench.Samples) -> BlurredImages:
        """Return a sampler over `train`; raises as ``fit`` does."""
        check_pixels(self, train)
        spatial = train.x.shape[2:]
        self.check()
        if self.size is None:
            return BlurredImages(train, tuple(max(1, side // 2) for side in spatial))
        if self.size >= min(spatial):
            raise medbench.Skip(f"{self.name} through {self.size} pixels leaves images of {min(spatial)} as they are")
        return BlurredImages(train, (self.size,) * len(spatial))


@dataclass(frozen=True, eq=False)
class BlurredImages:
    """Draws from the real rows of `train`, through `size` pixels along each axis."""

    train: medbench.Samples
    size: tuple[int, ...]

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one image a label, ``uint8 (n, channels, *spatial)``, averaged down and interpolated up linearly.

        Raises:
            medbench.Skip: If a requested class has no real training image.
        """
        import torch
        from torch.nn.functional import interpolate

        x = np.array(RealImages(self.train).sample(labels, seed))
        spatial = x.shape[2:]
        mode = "bilinear" if len(spatial) == 2 else "trilinear"
        for start in range(0, len(x), CHUNK):
            small = interpolate(torch.from_numpy(x[start : start + CHUNK]).float(), size=self.size, mode="area")
            large = interpolate(small, size=spatial, mode=mode, align_corners=False)
            x[start : start + CHUNK] = large.round().clamp(0, 255).to(torch.uint8).numpy()
        return x

    def state(self) -> medbench.State:
        """Return nothing: the training samples are all there is."""
        return {}
