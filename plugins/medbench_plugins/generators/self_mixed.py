"""Real training images, each mixed with itself as the notebooks of MediAug do it, made before training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.generators.checks import check_pixels
from medbench_plugins.generators.placebos import RealImages
from medbench_plugins.transforms.ranges import FLIP_AXES

if TYPE_CHECKING:
    import torch

CHUNK = 64  # rows changed at a time
HOW = ("fade", "crop", "halves", "crops", "chains", "jitter")


@dataclass(frozen=True)
class SelfMixed:
    """Draws training images of the requested class, each changed by itself; costs nothing and is never stored.

    Made before training, as that study made them: an image has a changed copy, the same in every epoch, and a protocol
    that makes copies first spreads them over training and test. No second image takes part, so labels stay.

    Attributes:
        how: "fade" into a changed copy of itself (the study's MixUp); "crop" of itself pasted elsewhere (its CutMix);
            "halves", one mirrored and one jittered (its YOCO); two "crops" faded (its CropMix); "chains" of changes,
            twice (its AugMix); "jitter", blur and noise (its SnapMix, which permutes a batch of one).

    Source:
        Qi et al., MIUA 2025, arXiv 2504.18983, see :mod:`medbench_plugins.transforms.self_mixes`.
    """

    name: str = "self-mixed"
    how: Literal["fade", "crop", "halves", "crops", "chains", "jitter"] = "fade"

    stored: ClassVar[bool] = False
    summary: ClassVar[str] = "training images of the class, each mixed with itself"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where `how` is unknown."""
        if self.how not in HOW:
            raise medbench.UsageError(f"{self.name}.how: {self.how!r} is unknown; use {', '.join(HOW)}.")

    def fit(self, train: medbench.Samples, context: medbench.Context) -> SelfMixedImages:
        """Return a sampler over `train`.

        Raises:
            medbench.UsageError: If `how` is unknown.
            medbench.Skip: If the rows are no pixels.
        """
        return self.restore({}, train)

    def restore(self, state: medbench.State, train: medbench.Samples) -> SelfMixedImages:
        """Return a sampler over `train`; raises as ``fit`` does."""
        self.check()
        check_pixels(self, train)
        return SelfMixedImages(train, self.how)


@dataclass(frozen=True, eq=False)
class SelfMixedImages:
    """Draws changed real rows of `train`; `how` as in the recipe."""

    train: medbench.Samples
    how: str

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one changed image a label, ``uint8 (n, channels, *spatial)``.

        Raises:
            medbench.Skip: If a requested class has no image to draw from.
        """
        import torch

        x = np.array(self.train.x[RealImages(self.train).rows(labels, seed)])
        draws = torch.Generator().manual_seed(seed)
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            changed = self._change(torch.from_numpy(x[part]).float() / 127.5 - 1, draws)
            x[part] = ((changed + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        return x

    def sources(self, labels: np.ndarray, seed: int) -> list[tuple[str, ...]]:
        """Return for each label the id of the image it is a change of."""
        return RealImages(self.train).sources(labels, seed)

    def state(self) -> medbench.State:
        """Return nothing: the training samples are all there is."""
        return {}

    def _change(self, x: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        """Change ``float32 (B, C, *spatial)`` in [-1, 1]."""
        from medbench_plugins.transforms import self_mixes

        match self.how:
            case "fade":
                return self_mixes.fade_into_change(x, draws)
            case "crop":
                return self_mixes.paste_own_crop(x, draws)
            case "halves":
                mirror = None if self.train.sides else FLIP_AXES[x.ndim - 2]["flip_left_right"]
                return self_mixes.change_halves(x, draws, mirror=mirror)
            case "crops":
                return self_mixes.fade_crops(x, draws)
            case "chains":
                return self_mixes.mix_chains_twice(x, draws)
        return self_mixes.jitter_blur_noise(x, draws)
