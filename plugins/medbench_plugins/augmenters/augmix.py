"""AugMix: each image mixed with chains of random changes of itself, and a loss that asks for one answer to all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import medbench
from medbench_plugins.augmenters.check_rows import check_pixels
from medbench_plugins.plain_augmenters import Balanced

if TYPE_CHECKING:
    import torch

VIEWS = 3  # under the consistency loss: the image itself and two mixtures


@dataclass(frozen=True)
class Chains:
    """One chain of one to three random changes for every image of every batch, with balanced sampling.

    What AugMix mixes, unmixed: it is compared with this.

    Attributes:
        severity: Largest level of a change, 0.1 to 10.
    """

    name: str = "chains"
    severity: float = 3.0

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"sampling", "transform"})
    summary: ClassVar[str] = "one to three random changes an image, one after the other"
    control: ClassVar[medbench.Augmenter] = Balanced()  # the same sampling without the transform

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with balanced sampling and the transform; raises as ``check`` does, or without images."""
        self.check()
        check_pixels(self.name, train)
        return medbench.TrainingSet(train, transform=self._transform, sampling=medbench.balanced_sampling(train))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_severity(self.name, self.severity)

    def _transform(
        self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        from medbench_plugins.transforms.chains import augmix_change, chain, draw_depth

        depth = draw_depth(torch.rand(len(x), generator=generator, device=x.device))
        return chain(x, depth, generator, partial(augmix_change, severity=self.severity)), y


@dataclass(frozen=True)
class AugMix:
    """Each image mixed with several chains of random changes of itself, with balanced sampling.

    Its loss asks the network for one answer to an image and to two mixtures of it. It is compared with itself without
    that loss, and that one with a single chain, unmixed.

    Attributes:
        width: How many chains, 1 to 10.
        severity: Largest level of a change, 0.1 to 10.
        consistency: Weight of the Jensen-Shannon divergence of the three answers, 0 to 100; at 0 every row of a batch
            is a mixture and the loss is cross-entropy.

    Source:
        Hendrycks et al., ICLR 2020, arXiv 1912.02781, algorithm 1 and equation 1 with its weight of 12; changes, levels
        and the clamped mixture as in the authors' code. Deliberate differences: a batch keeps its number of rows, so
        that a step costs what it costs other methods: of 32 rows, ten images stand there three times, and two once;
        translation and shear are centred, interpolation is linear, and solarize spares black, the background.
    """

    name: str = "augmix"
    width: int = 3
    severity: float = 3.0
    consistency: float = 12.0

    space: ClassVar[Literal["pixels"]] = "pixels"
    summary: ClassVar[str] = "images mixed with chains of random changes, one answer to all"

    @property
    def gives(self) -> frozenset[str]:
        """A transform and sampling; a loss where consistency is asked for."""
        return frozenset({"sampling", "transform"} | ({"loss"} if self.consistency else set()))

    @property
    def control(self) -> medbench.Augmenter:
        """The same without the loss, and of that a single chain."""
        return replace(self, consistency=0.0) if self.consistency else Chains(severity=self.severity)

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with sampling, transform and loss; raises as ``check`` does, or without images."""
        self.check()
        check_pixels(self.name, train)
        loss = ConsistencyLoss(self.consistency) if self.consistency else None
        return medbench.TrainingSet(
            train, transform=self._transform, sampling=medbench.balanced_sampling(train), loss=loss
        )

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        _check_severity(self.name, self.severity)
        if not 1 <= self.width <= 10:
            raise medbench.UsageError(f"{self.name}.width: got {self.width}; give a whole number from 1 to 10.")
        if not 0 <= self.consistency <= 100:
            raise medbench.UsageError(
                f"{self.name}.consistency: got {self.consistency:g}; give a number from 0 to 100."
            )

    def _transform(
        self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        from medbench_plugins.transforms.chains import augmix_change, mix_chains

        change = partial(augmix_change, severity=self.severity)
        if not self.consistency:
            return mix_chains(x, generator, change, width=self.width), y
        n = len(x) // VIEWS
        mixed = mix_chains(torch.cat([x[:n]] * (VIEWS - 1)), generator, change, width=self.width)
        return torch.cat([x[:n], mixed, x[VIEWS * n :]]), torch.cat([y[:n]] * VIEWS + [y[VIEWS * n :]])


@dataclass(frozen=True)
class ConsistencyLoss:
    """Cross-entropy of the images, and how far the answers to an image and its two mixtures are apart.

    Attributes:
        weight: Of the Jensen-Shannon divergence.
    """

    weight: float

    def __call__(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch whose first third are images, the second and the last their mixtures.

        Args:
            logits: ``float (B, n_classes)``; rows beyond three times B // 3 are images without mixtures.
            y: ``float (B, n_classes)`` class probabilities.
        """
        import torch

        n = len(logits) // VIEWS
        rest = VIEWS * n
        loss = torch.nn.functional.cross_entropy(torch.cat([logits[:n], logits[rest:]]), torch.cat([y[:n], y[rest:]]))
        if not n:
            return loss
        answers = logits[:rest].view(VIEWS, n, -1).softmax(2)
        mean = answers.mean(0).clamp(1e-7, 1).log()
        apart = torch.nn.functional.kl_div(mean.expand(VIEWS, -1, -1), answers, reduction="sum") / (VIEWS * n)
        return loss + self.weight * apart


def _check_severity(name: str, severity: float) -> None:
    if not 0.1 <= severity <= 10:
        raise medbench.UsageError(f"{name}.severity: got {severity:g}; give a number from 0.1 to 10.")
