"""Real training images of the class through named changes: one kind of geometric copy at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import medbench
from medbench_plugins.generators.checks import check_pixels
from medbench_plugins.generators.choose_changes import choose_changes
from medbench_plugins.generators.placebos import RealImages

CHUNK = 64  # rows changed at a time
KNOWN = ("rot45", "rot90", "rot270", "hflip", "vflip", "shear", "zoom", "crop")
SHARPER = 2.0  # Pillow's factor of sharpness


@dataclass(frozen=True)
class Changed:
    """Draws training images of the requested class, each through one of the named changes; is never stored.

    What ``transformed`` makes of a whole list, for one change or any combination: the spine preprint has a figure for
    each. An image meets no change twice before it met all.

    Attributes:
        changes: Names with slashes, as in "rot90/rot270/shear": rot45, rot90, rot270, hflip, vflip, shear, zoom, crop.
        sharpen: Sharpen each image before the change.

    Source:
        Sivakumar and Anand, medRxiv 10.64898/2026.04.15.26350121 and its project page. Deliberate differences: those of
        :func:`medbench_plugins.transforms.affine.spine_hybrid`; how strongly was sharpened is not given.
    """

    name: str = "changed"
    changes: str = "rot45"
    sharpen: bool = False

    stored: ClassVar[bool] = False
    summary: ClassVar[str] = "training images of the class, each through one of the named changes"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a change is unknown or stands twice."""
        named = self.changes.split("/")
        if unknown := [change for change in named if change not in KNOWN]:
            raise medbench.UsageError(f"{self.name}.changes: {unknown[0]!r} is unknown; use {', '.join(KNOWN)}.")
        if len(set(named)) < len(named):
            raise medbench.UsageError(f"{self.name}.changes: one stands there twice; name each once.")

    def fit(self, train: medbench.Samples, context: medbench.Context) -> ChangedImages:
        """Return a sampler over `train`.

        Raises:
            medbench.UsageError: If a field is out of its range.
            medbench.Skip: If the rows are no pixels, or no change is left where classes are sides of the body.
        """
        return self.restore({}, train)

    def restore(self, state: medbench.State, train: medbench.Samples) -> ChangedImages:
        """Return a sampler over `train`; raises as ``fit`` does."""
        from medbench_plugins.transforms.affine import left_right_mirror

        self.check()
        check_pixels(self, train)
        left_out = left_right_mirror(train.x.ndim - 2) if train.sides else ""
        changes = tuple(change for change in self.changes.split("/") if change != left_out)
        if not changes:
            raise medbench.Skip(f"{self.name}: classes are sides of the body, and {left_out} exchanges them")
        return ChangedImages(train, changes, self.sharpen)


@dataclass(frozen=True, eq=False)
class ChangedImages:
    """Draws changed real rows of `train`; `changes` and `sharpen` as in the recipe."""

    train: medbench.Samples
    changes: tuple[str, ...]
    sharpen: bool

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one changed image a label, ``uint8 (n, channels, *spatial)``.

        Raises:
            medbench.Skip: If a requested class has no image to draw from.
        """
        import torch

        from medbench_plugins.transforms.affine import spine_change
        from medbench_plugins.transforms.intensity import sharpness

        rows = RealImages(self.train).rows(labels, seed)
        x, choice = np.array(self.train.x[rows]), self._draw_choices(rows, seed)
        draws = torch.Generator().manual_seed(seed)
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            images = torch.from_numpy(x[part]).float() / 127.5 - 1
            if self.sharpen:
                images = sharpness(images, torch.full((len(images),), SHARPER))
            places = torch.rand(len(images), 2, generator=draws)
            changed = spine_change(images, torch.from_numpy(choice[part]), places)
            x[part] = ((changed + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        return x

    def sources(self, labels: np.ndarray, seed: int) -> list[tuple[str, ...]]:
        """Return for each label the id of the image it is a change of."""
        return RealImages(self.train).sources(labels, seed)

    def state(self) -> medbench.State:
        """Return nothing: the training samples are all there is."""
        return {}

    def _draw_choices(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Return the number of each row's change; every image walks through the list in an order of its own."""
        from medbench_plugins.transforms.affine import SPINE_CHANGES

        numbers = np.array([SPINE_CHANGES.index(change) for change in self.changes])
        return choose_changes(numbers, rows, images=len(self.train), seed=seed)
