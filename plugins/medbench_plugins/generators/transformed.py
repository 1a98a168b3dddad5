"""Real training images of the class, each through one change: geometric augmentation as rows instead of batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.generators.checks import check_pixels
from medbench_plugins.generators.choose_changes import choose_changes
from medbench_plugins.generators.placebos import RealImages
from medbench_plugins.transforms.ranges import FLIP_AXES, SAFE

if TYPE_CHECKING:
    import torch

CHUNK = 64  # rows changed at a time

CHANGES = {
    "spine-hybrid": ("rot45", "hflip", "rot270", "vflip", "crop", "zoom", "shear"),
    "spine-best": ("rot90", "rot270", "shear"),
}


@dataclass(frozen=True)
class Transformed:
    """Draws training images of the requested class, each through one change; costs nothing and is never stored.

    Made before training, as the spine preprint made them: an image has a few changed copies, the same in every epoch,
    and a protocol that augments first spreads them over training and test. An image is drawn again only when all of its
    class were, and meets no change of a list twice before it met all: at seven rows a real one, "spine-hybrid" is
    every image through every change.

    Attributes:
        policy: "spine-hybrid" is the preprint's list: turns of 45 and 270 degrees, horizontal and vertical flip, crop,
            zoom and shear; "spine-best" its three best: turns of 90 and 270 degrees and shear; "safe" a new draw of
            `geometric`'s default ranges for every row.
        flip_left_right: Whether the mirror from left to right is among the changes; never where classes are sides of
            the body.
        of: "real" draws real images only; "all" also the synthetic rows it is handed, so that what stands under a
            generator changes its samples as well.

    Source:
        Sivakumar and Anand, medRxiv 10.64898/2026.04.15.26350121 and its project page, whose text has a turn of 45
        degrees where its slides have 90. Deliberate differences: those of :func:`.spine_hybrid`.
    """

    name: str = "transformed"
    policy: Literal["spine-hybrid", "spine-best", "safe"] = "spine-hybrid"
    of: Literal["real", "all"] = "real"
    flip_left_right: bool = True

    stored: ClassVar[bool] = False
    summary: ClassVar[str] = "training images of the class, each through one geometric change"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        if self.policy not in (*CHANGES, "safe"):
            raise medbench.UsageError(
                f"{self.name}.policy: {self.policy!r} is unknown; use {', '.join(CHANGES)} or safe."
            )
        if self.of not in ("real", "all"):
            raise medbench.UsageError(f"{self.name}.of: {self.of!r} is unknown; use real or all.")

    def fit(self, train: medbench.Samples, context: medbench.Context) -> TransformedImages:
        """Return a sampler over `train`.

        Raises:
            medbench.UsageError: If a field is out of its range.
            medbench.Skip: If the rows are no pixels.
        """
        return self.restore({}, train)

    def restore(self, state: medbench.State, train: medbench.Samples) -> TransformedImages:
        """Return a sampler over `train`; raises as ``fit`` does."""
        self.check()
        check_pixels(self, train)
        return TransformedImages(train, self.policy, self.of, self.flip_left_right and not train.sides)


@dataclass(frozen=True, eq=False)
class TransformedImages:
    """Draws changed rows of `train`; `policy` and `of` as in the recipe, `mirrors` where left may become right."""

    train: medbench.Samples
    policy: str
    of: str
    mirrors: bool = True

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one changed image a label, ``uint8 (n, channels, *spatial)``.

        Raises:
            medbench.Skip: If a requested class has no image to draw from.
        """
        import torch

        rows = self.rows(labels, seed)
        x = np.array(self.train.x[rows])
        draws = torch.Generator().manual_seed(seed)
        choice = self._draw_choices(rows, seed)
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            changed = self._change(torch.from_numpy(x[part]).float() / 127.5 - 1, choice[part], draws)
            x[part] = ((changed + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        return x

    def sources(self, labels: np.ndarray, seed: int) -> list[tuple[str, ...]]:
        """Return for each label the id of the real image it is a change of, or the sources of the synthetic one."""
        return [self.train.sources[row] or (str(self.train.ids[row]),) for row in self.rows(labels, seed)]

    def rows(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return the row numbers ``int64 (n,)`` of what is changed."""
        train = self.train if self.of == "real" else replace(self.train, sources=((),) * len(self.train))
        return RealImages(train).rows(labels, seed)

    def state(self) -> medbench.State:
        """Return nothing: the training samples are all there is."""
        return {}

    def _draw_choices(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Return the number of each row's change; every image walks through the list in an order of its own."""
        from medbench_plugins.transforms.affine import SPINE_CHANGES, left_right_mirror

        if self.policy == "safe":
            return np.zeros(len(rows), dtype=np.int64)
        left_out = "" if self.mirrors else left_right_mirror(self.train.x.ndim - 2)
        numbers = np.array([SPINE_CHANGES.index(change) for change in CHANGES[self.policy] if change != left_out])
        return choose_changes(numbers, rows, images=len(self.train), seed=seed)

    def _change(self, x: torch.Tensor, choice: np.ndarray, draws: torch.Generator) -> torch.Tensor:
        """Change ``float32 (B, C, *spatial)`` in [-1, 1]."""
        import torch

        from medbench_plugins.transforms.affine import random_affine, spine_change

        if self.policy != "safe":
            return spine_change(x, torch.from_numpy(choice), torch.rand(len(x), 2, generator=draws))
        flips = [FLIP_AXES[x.ndim - 2]["flip_left_right"]] if self.mirrors else []
        return random_affine(x, draws, SAFE, flips=flips, probability=1)
