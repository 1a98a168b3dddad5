"""Mixtures of an image with itself: crops of several sizes (CropMix), and halves changed apart (YOCO)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import medbench
from medbench_plugins.augmenters.check_rows import check_pixels
from medbench_plugins.augmenters.geometric import Geometric
from medbench_plugins.augmenters.mixing import beta_quantiles, draw_beta
from medbench_plugins.plain_augmenters import Balanced

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Crops:
    """One random crop of every image of every batch, enlarged to its size, with balanced sampling.

    Attributes:
        scale: Least share of the image, 0.01 to 1; the largest is all of it.

    Source:
        torchvision's RandomResizedCrop, sides in ratios of 3/4 to 4/3. Deliberate differences: a window longer than the
        image is shortened instead of drawn again; in a volume neighbouring axes have these ratios.
    """

    name: str = "crops"
    scale: float = 0.5

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    summary: ClassVar[str] = "a random crop of each image, enlarged"
    control: ClassVar[medbench.Augmenter] = Balanced()  # the same sampling without the transform

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does, or without images."""
        self.check()
        check_pixels(self.name, train)
        return medbench.TrainingSet(train, transform=self._transform, sampling=medbench.balanced_sampling(train))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_scale(self.name, self.scale)

    def _transform(
        self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return crop_views(x, generator, scale=self.scale, views=1)[0], y


@dataclass(frozen=True)
class CropMix:
    """Crops of several sizes of one image, faded into each other, with balanced sampling; labels stay.

    It is compared with a single random crop from the whole range of sizes.

    Attributes:
        scale: Least share of the image in a crop, 0.01 to 0.99. The range from it to 1 is cut into as many parts as
            there are crops, and each crop is drawn from a part of its own.
        views: How many crops, 2 to 4.
        ratio: Over `views`: of the Beta(ratio / views, ratio / views) of the share of each fade, 0.1 to 100.

    Source:
        Han et al. 2022, arXiv 2205.15955, section 3; sizes, shares and numbers as in the authors' code for small
        images (scale 0.5, two crops, ratio 0.4), mixed as mixup does. Deliberate differences: channels are not
        permuted, since gray images have one, and the colours of a stain mean something; those of ``crops``.
    """

    name: str = "cropmix"
    scale: float = 0.5
    views: int = 2
    ratio: float = 0.4

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    summary: ClassVar[str] = "crops of several sizes of an image faded into each other"

    @property
    def control(self) -> medbench.Augmenter:
        """A single crop."""
        return Crops(scale=self.scale)

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does, or without images."""
        import torch

        self.check()
        check_pixels(self.name, train)
        quantiles = torch.from_numpy(beta_quantiles(self.ratio / self.views)).float().to(context.device)
        transform = partial(self._transform, quantiles)
        return medbench.TrainingSet(train, transform=transform, sampling=medbench.balanced_sampling(train))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_scale(self.name, self.scale, most=0.99)
        if not 2 <= self.views <= 4:
            raise medbench.UsageError(f"{self.name}.views: got {self.views}; give 2, 3 or 4.")
        if not 0.1 <= self.ratio <= 100:
            raise medbench.UsageError(f"{self.name}.ratio: got {self.ratio:g}; give a number from 0.1 to 100.")

    def _transform(
        self, quantiles: torch.Tensor, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        views = crop_views(x, generator, scale=self.scale, views=self.views)
        drawn = torch.rand(len(x), 2 * self.views - 1, generator=generator, device=x.device)
        order = drawn[:, : self.views].argsort(dim=1)  # shares are alike both ways for two, not for more
        stacked = torch.stack(views, dim=1)  # (B, views, C, *spatial)
        rows = torch.arange(len(x), device=x.device)
        mixed = stacked[rows, order[:, 0]]
        for k in range(1, self.views):
            share = draw_beta(quantiles, drawn[:, self.views + k - 1]).view(-1, *[1] * (x.ndim - 1))
            mixed = torch.lerp(stacked[rows, order[:, k]], mixed, share)
        return mixed, y


@dataclass(frozen=True)
class YOCO:
    """Each image cut in two halves that are changed apart, as another augmenter changes whole images.

    It is compared with that augmenter.

    Attributes:
        base: What changes the halves.

    Source:
        Han et al., ICML 2022, arXiv 2201.12078, section 3. Deliberate differences: every row draws the axis of its cut
        where the authors' code draws one a batch; a volume has three; where `base` mixes labels they count by the
        size of the halves.
    """

    name: str = "yoco"
    base: medbench.Augmenter = field(default_factory=Geometric)

    space: ClassVar[Literal["pixels"]] = "pixels"

    @property
    def summary(self) -> str:
        """One line."""
        return f"halves of each image changed apart, by {self.base.name}"

    @property
    def gives(self) -> frozenset[str]:
        """What `base` gives."""
        return self.base.gives

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """What `base` asks for."""
        return tuple(getattr(self.base, "needs", ()))

    @property
    def control(self) -> medbench.Augmenter:
        """The augmenter of whole images."""
        return self.base

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where `base` changes no images, or is out of its range."""
        if "transform" not in self.base.gives:
            raise medbench.UsageError(f"{self.name}.base: {self.base.name} changes no images; give one that does.")
        getattr(self.base, "check", lambda: None)()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return what `base` returns with its transform on halves; raises as ``check`` does, or without images."""
        self.check()
        check_pixels(self.name, train)
        if min(train.x.shape[2:]) < 2:
            raise medbench.UsageError(f"{self.name}: an image of one pixel has no halves.")
        made = self.base.fit(train, context)
        return made if made.transform is None else replace(made, transform=partial(apply_to_halves, made.transform))


def crop_views(x: torch.Tensor, generator: torch.Generator, *, scale: float, views: int) -> list[torch.Tensor]:
    """Return random crops of each row, one from each of `views` equal parts of the sizes from `scale` to 1.

    Args:
        x: ``float32 (B, C, *spatial)`` in [-1, 1].
        generator: On the device of `x`.
        scale: Least share of the image.
        views: How many crops.

    Returns:
        Tensors of the shape, dtype and range of `x`, the smallest crops first.
    """
    from medbench_plugins.transforms.boxes import enlarge, random_window

    found, part = [], (1 - scale) / views
    for k in range(views):
        low, high = (x.new_full((len(x),), scale + part * edge) for edge in (k, k + 1))
        found.append(enlarge(x, *random_window(x, generator, low, high)))
    return found


def apply_to_halves(
    transform: medbench.Transform, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut each row in two along an axis of its own and change the halves apart.

    Args:
        transform: Of batches.
        x: ``float32 (B, C, *spatial)``; an odd axis has the shorter half first.
        y: ``float32 (B, n_classes)`` class probabilities.
        generator: On the device of `x`.

    Returns:
        Rows of shape and dtype of `x`, and the labels of the halves by their sizes.
    """
    import torch

    d = x.ndim - 2
    axis_of = (torch.rand(len(x), generator=generator, device=x.device) * d).long().clamp(max=d - 1)
    new_x, new_y = x, y
    for axis in range(d):
        side = x.shape[2 + axis]
        sizes = (side // 2, side - side // 2)
        pieces = [transform(piece, y, generator) for piece in x.split(sizes, dim=2 + axis)]
        mine = axis_of == axis
        whole = torch.cat([piece for piece, _ in pieces], dim=2 + axis)
        new_x = torch.where(mine.view(-1, *[1] * (d + 1)), whole, new_x)
        labels = torch.lerp(pieces[1][1], pieces[0][1], sizes[0] / side)
        new_y = torch.where(mine[:, None], labels, new_y)
    return new_x, new_y


def _check_scale(name: str, scale: float, most: float = 1.0) -> None:
    if not 0.01 <= scale <= most:
        raise medbench.UsageError(f"{name}.scale: got {scale:g}; give a number from 0.01 to {most:g}.")
