"""Placebos, generators that learn nothing: real training images unchanged, under shuffled labels, or blurred."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

import medbench
from medbench_plugins.generators.checks import check_pixels

CHUNK = 64  # rows blurred at a time


@dataclass(frozen=True)
class Resample:
    """Draws real training images of the requested class; costs nothing and is never stored."""

    name: str = "resample"

    stored: ClassVar[bool] = False
    summary: ClassVar[str] = "real training images of the class: the placebo of every generator"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> RealImages:
        """Return a sampler over `train`."""
        return RealImages(train)

    def restore(self, state: medbench.State, train: medbench.Samples) -> RealImages:
        """Return a sampler over `train`."""
        return RealImages(train)


@dataclass(frozen=True, eq=False)
class RealImages:
    """Draws from the real rows of `train`."""

    train: medbench.Samples

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one real image a label, every image of a class equally often up to one.

        Args:
            labels: ``int64 (n,)``.
            seed: Of the shuffles.

        Returns:
            ``(n, channels, *spatial)`` in the dtype of the training samples.

        Raises:
            medbench.Skip: If a requested class has no real training image.
        """
        return np.asarray(self.train.x[self.rows(labels, seed)])

    def sources(self, labels: np.ndarray, seed: int) -> list[tuple[str, ...]]:
        """Return the id of the image that ``sample`` gives for each label."""
        return [(str(name),) for name in self.train.ids[self.rows(labels, seed)]]

    def rows(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return the row numbers ``int64 (n,)`` of what ``sample`` gives; raises as that does."""
        rng = np.random.default_rng(seed)
        labels = np.asarray(labels)
        rows = np.empty(len(labels), dtype=np.int64)
        is_real = self.train.is_real
        for label in np.unique(labels):
            own = np.flatnonzero(is_real & (self.train.labels == label))
            if not len(own):
                raise medbench.Skip(f"class {self.train.classes[label]!r} has no training image to draw from")
            places = np.flatnonzero(labels == label)
            rounds = -(-len(places) // len(own))
            # Whole shuffled rounds: as a placebo it must not favour some images over others.
            rows[places] = np.concatenate([rng.permutation(own) for _ in range(rounds)])[: len(places)]
        return rows

    def state(self) -> medbench.State:
        """Return nothing: the training samples are all there is."""
        return {}


@dataclass(frozen=True)
class ShuffledLabels:
    """Draws real training images of any class as those of the requested class; costs nothing and is never stored.

    The labels are shuffled once, so that each class keeps its number of images and an image keeps its wrong label.
    What it gains over the method above is what label noise gains; samples that do no better carry nothing of the class.
    """

    name: str = "shuffled-labels"

    stored: ClassVar[bool] = False
    summary: ClassVar[str] = "real training images under shuffled labels: a placebo"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> MislabelledImages:
        """Return a sampler over the real, labelled rows of `train`."""
        rows = np.flatnonzero(train.is_real & (train.labels >= 0))
        labels = np.full(len(train), -1, dtype=np.int64)
        labels[rows] = np.random.default_rng(context.seed("shuffle")).permutation(train.labels[rows])
        return MislabelledImages(train, labels)

    def restore(self, state: medbench.State, train: medbench.Samples) -> MislabelledImages:
        """Return the sampler that `state` came from.

        Raises:
            medbench.StoreError: If `state` is that of another number of rows.
        """
        labels = np.array(state["labels"])
        if len(labels) != len(train):
            raise medbench.StoreError(
                f"{self.name}: the stored labels are those of {len(labels)} rows, not of {len(train)}; "
                "fit the generator again."
            )
        return MislabelledImages(train, labels)


@dataclass(frozen=True, eq=False)
class MislabelledImages:
    """Draws from the real rows of `train` by `labels`, ``int64 (n,)``, instead of their own."""

    train: medbench.Samples
    labels: np.ndarray

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Return one real image a label, drawn as :class:`RealImages` does."""
        return RealImages(replace(self.train, labels=self.labels)).sample(labels, seed)

    def state(self) -> medbench.State:
        """Return the shuffled labels."""
        return {"labels": self.labels}


@dataclass(frozen=True)
class Blur:
    """Draws real training images of the requested class, without their detail; costs nothing and is never stored.

    What it gains over the method above is what a regulariser gains that shows the shape of a class and no texture, as a
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
