"""SnapMix: a box of each image from another one, labels by what a network sees in the boxes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import medbench
from medbench_plugins.augmenters.check_rows import check_pixels
from medbench_plugins.augmenters.mixing import beta_quantiles, draw_beta
from medbench_plugins.classifiers.encoder import TrainedEncoder
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.plain_augmenters import Balanced

if TYPE_CHECKING:
    import torch

GUIDE = TrainedEncoder(SmallCNN())
"""The network whose class-activation maps weigh the boxes."""


@dataclass(frozen=True)
class SnapMix:
    """A box of each image filled with a box of another of its batch, with balanced sampling.

    A label counts by how much of its image's class-activation map remains or was pasted, so the two need not sum to 1:
    a box of background weighs little whatever its size. It is compared with itself with labels by area.

    The maps are those of a small network that is fitted to the same training images before; it is shared by all
    networks of a study. The paper's are those of the network in training, which a transform is not handed: there they
    begin as noise and sharpen, here they are sharp from the first step, and every network is told the same.

    Attributes:
        alpha: Of the Beta(alpha, alpha) of the share that a box leaves, 0.01 to 100; two boxes, a draw each.
        probability: Share of images that are mixed at all, 0 to 1.
        labels: "maps" weighs labels by the maps, "area" by the size of the box that is filled, as CutMix does.

    Source:
        Huang et al., AAAI 2021, arXiv 2012.04846, equations 1 to 6; alpha 5, and one half of all images where training
        begins from scratch, as the authors' commands have it. Deliberate differences: the maps, see above; every row
        draws boxes of its own where the authors' code draws two a batch, and whether it is mixed; a pair of one class
        counts once, where that code counts it twice; a volume's boxes have three sides.
    """

    name: str = "snapmix"
    alpha: float = 5.0
    probability: float = 0.5
    labels: Literal["maps", "area"] = "maps"

    space: ClassVar[Literal["pixels"]] = "pixels"
    summary: ClassVar[str] = "a box of each image from another of the batch, labels by class-activation maps"

    @property
    def gives(self) -> frozenset[str]:
        """A transform and sampling; with maps a loss, in which rows weigh as much as their labels do."""
        return frozenset({"sampling", "transform"} | ({"loss"} if self.labels == "maps" else set()))

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The network that gives the maps."""
        return (GUIDE,) if self.labels == "maps" else ()

    @property
    def control(self) -> medbench.Augmenter:
        """The same with labels by area, and of that no mixture."""
        return replace(self, labels="area") if self.labels == "maps" else Balanced()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with sampling, transform and loss; raises as ``check`` does, or without images."""
        import torch

        self.check()
        check_pixels(self.name, train)
        quantiles = torch.from_numpy(beta_quantiles(self.alpha)).float().to(context.device)
        maps = loss = None
        if self.labels == "maps":
            maps = _MapsOfStage(context.fit(GUIDE, train), context.device)
            loss = WeightedRows()
        transform = partial(self._transform, quantiles, maps, loss)
        return medbench.TrainingSet(train, transform=transform, sampling=medbench.balanced_sampling(train), loss=loss)

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        if not 0.01 <= self.alpha <= 100:
            raise medbench.UsageError(f"{self.name}.alpha: got {self.alpha:g}; give a number from 0.01 to 100.")
        if not 0 <= self.probability <= 1:
            raise medbench.UsageError(f"{self.name}.probability: got {self.probability:g}; give a number from 0 to 1.")
        if self.labels not in ("maps", "area"):
            raise medbench.UsageError(f"{self.name}.labels: {self.labels!r} is unknown; use maps or area.")

    def _transform(
        self,
        quantiles: torch.Tensor,
        maps: _MapsOfStage | None,
        loss: WeightedRows | None,
        x: torch.Tensor,
        y: torch.Tensor,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        from medbench_plugins.transforms.boxes import cut_boxes

        B, d, spatial = len(x), x.ndim - 2, x.shape[2:]
        partner = torch.randperm(B, generator=generator, device=x.device)
        drawn = torch.rand(B, 3 + 2 * d, generator=generator, device=x.device)
        share = torch.where(drawn[:, 2] < self.probability, draw_beta(quantiles, drawn[:, 0]), 1.0)
        to = cut_boxes(share, drawn[:, 3 : 3 + d], spatial)
        of = cut_boxes(draw_beta(quantiles, drawn[:, 1]), drawn[:, 3 + d :], spatial)
        mixed, new_y, weight = mix_boxes(x, y, partner, of, to, None if maps is None else maps(x, y.argmax(1)))
        if loss is not None:
            loss.weigh(weight)
        return mixed, new_y


@dataclass
class _MapsOfStage:
    """Maps of the fitted guide, whose network is copied when the first batch is mixed: what only counts needs none."""

    stage: Any
    device: str
    maps: ActivationMaps | None = None

    def __call__(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if self.maps is None:
            self.maps = ActivationMaps(copy.deepcopy(self.stage.predictor.network).to(self.device).eval())
        return self.maps(x, labels)


def mix_boxes(
    x: torch.Tensor,
    y: torch.Tensor,
    partner: torch.Tensor,
    of: tuple[torch.Tensor, torch.Tensor],
    to: tuple[torch.Tensor, torch.Tensor],
    maps: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Fill the box `to` of each row with the box `of` of its partner, and weigh the labels.

    Args:
        x: ``float32 (B, C, *spatial)``.
        y: ``float32 (B, n_classes)`` class probabilities.
        partner: ``int64 (B,)`` row that the box comes from.
        of: Edges of the partners' boxes as :func:`.cut_boxes` returns them. Where either box is empty, a row stays.
        to: Edges of the rows' boxes.
        maps: ``float32 (B, 1, *spatial)``, each row summing to 1: how much of its class lies where. None weighs by the
            area of the box that is filled.

    Returns:
        Mixed images; their labels, each row summing to 1; and ``float32 (B,)``, what a row's labels summed to before.
    """
    import torch

    from medbench_plugins.transforms.boxes import inside, move_boxes

    filled = ((to[1] > to[0]) & (of[1] > of[0])).all(1)
    (of_low, of_high), (to_low, to_high) = (
        (torch.where(filled[:, None], low, 0), torch.where(filled[:, None], high, 1)) for low, high in (of, to)
    )
    pasted = move_boxes(x[partner], (of_low, of_high), (to_low, to_high))
    there = inside(to_low, to_high, x.shape[2:]) & filled.view(-1, *[1] * (x.ndim - 1))
    mixed = torch.where(there, pasted, x)
    if maps is None:
        came = there.flatten(1).float().mean(1)
        stayed = 1 - came
    else:
        stayed = 1 - (maps * there).flatten(1).sum(1)
        of_partner = inside(of_low, of_high, x.shape[2:]) & filled.view(-1, *[1] * (x.ndim - 1))
        came = (maps[partner] * of_partner).flatten(1).sum(1)
    labels = stayed[:, None] * y + came[:, None] * y[partner]
    weight = labels.sum(1)
    known = weight > 1e-6
    labels = torch.where(known[:, None], labels / weight.clamp(min=1e-6)[:, None], y)
    return mixed, labels, torch.where(known, weight, 0.0)


@dataclass(frozen=True, eq=False)
class ActivationMaps:
    """Class-activation maps of a fitted network.

    Attributes:
        network: :class:`medbench_plugins.networks.small.SmallCNN` on the device of the images.
    """

    network: torch.nn.Module

    def __call__(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return where the network sees the given class, ``float32 (B, 1, *spatial)``, each row summing to 1.

        Args:
            x: ``float32 (B, C, *spatial)`` in [-1, 1].
            labels: ``int64 (B,)``.

        Source:
            Huang et al., equation 3: the maps before the last average, weighted as the class weighs them, enlarged to
            the image, less their least value, over their sum; a map without differences is even.
        """
        import torch

        network: torch.nn.Module = self.network
        with torch.no_grad():
            features = network.features(x)  # type: ignore[operator]  # (B, c, *smaller), behind a ReLU
            rows = network.head.weight[labels].to(features.dtype)  # type: ignore[index, union-attr]  # (B, c)
            seen = (features * rows.view(*rows.shape, *[1] * (x.ndim - 2))).sum(1, keepdim=True)
            mode = ("bilinear", "trilinear")[x.ndim - 4]
            seen = torch.nn.functional.interpolate(seen.float(), x.shape[2:], mode=mode, align_corners=False)
            flat = seen.flatten(1)
            flat = flat - flat.amin(1, keepdim=True)
            total = flat.sum(1, keepdim=True)
            even = torch.full_like(flat, 1 / flat.shape[1])
            return torch.where(total > 1e-6, flat / total.clamp(min=1e-6), even).view_as(seen)


@dataclass(eq=False)
class WeightedRows:
    """Cross-entropy in which each row weighs as much as its labels summed to; it is told of them batch by batch.

    The weights stand in a tensor of their own that is written in place, so that a step recorded on a GPU reads those of
    its own batch.
    """

    _weights: dict[int, torch.Tensor] = field(default_factory=dict)

    def weigh(self, weight: torch.Tensor) -> None:
        """Keep the weights ``float32 (B,)`` of the batch that is scored next."""
        kept = self._weights.get(len(weight))
        if kept is None:
            self._weights[len(weight)] = weight.clone()
        else:
            kept.copy_(weight)

    def __call__(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the mean over rows of weight times cross-entropy; ``float (B, n_classes)`` both."""
        rows = -(y * logits.log_softmax(1)).sum(1)
        weight = self._weights.get(len(logits))
        return (rows if weight is None else weight * rows).mean()
