"""Class imbalance treated in the loss instead of the sampling: class weights and focal loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.plain_augmenters import Unchanged

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ClassWeight:
    """Cross-entropy in which each class weighs in inverse proportion to its number of rows.

    In expectation it is the loss under balanced sampling, so the training set tells equal class frequencies; its
    gradients vary more, since a rare row comes seldom and then counts for many.

    Source:
        King and Zeng, Political Analysis 2001; the weights are scikit-learn's "balanced". As in torch's cross-entropy
        for class probabilities, the sum is divided by the number of rows, not by the sum of their weights.
    """

    name: str = "class-weight"

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"loss"})
    summary: ClassVar[str] = "cross-entropy with weights inverse to class frequency"
    control: ClassVar[medbench.Augmenter] = Unchanged()  # training without weights

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with the weighted loss, and with equal frequencies of the classes that have rows.

        Raises:
            medbench.DataError: If no row has a label.
        """
        import torch

        weights = class_weights(train)
        on_device = torch.from_numpy(weights).float().to(context.device)
        return medbench.TrainingSet(
            train,
            loss=partial(torch.nn.functional.cross_entropy, weight=on_device),
            frequencies=(weights > 0) / np.count_nonzero(weights),
        )


@dataclass(frozen=True)
class Focal:
    """Cross-entropy in which a row counts the less, the surer the network is of its class.

    Attributes:
        gamma: Power of the probability missed, 0 (cross-entropy) to 20.

    Source:
        Lin et al., ICCV 2017, arXiv 1708.02002, equation 4 with gamma 2 as there. Deliberate differences: softmax in
        place of sigmoids; for soft labels the mean over them; no class weights (its alpha), since those are a method of
        their own; and probabilities are those that the softmax stands for, see :class:`FocalLoss`.
    """

    name: str = "focal"
    gamma: float = 2.0

    space: ClassVar[Literal["pixels"]] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"loss"})
    summary: ClassVar[str] = "cross-entropy that looks away from what is easy"
    control: ClassVar[medbench.Augmenter] = Unchanged()  # training with plain cross-entropy

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return `train` with the focal loss; raises as ``check`` does."""
        self.check()
        return medbench.TrainingSet(train, loss=FocalLoss(self.gamma))

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        if not 0 <= self.gamma <= 20:
            raise medbench.UsageError(f"{self.name}.gamma: got {self.gamma:g}; give a number from 0 to 20.")


def class_weights(samples: medbench.Samples) -> np.ndarray:
    """Return ``float64 (n_classes,)``: labelled rows over classes present times rows of the class; 0 without rows.

    Raises:
        medbench.DataError: If no row has a label.
    """
    counts = samples.class_counts
    if not counts.any():
        raise medbench.DataError(
            f"labels: none of the {len(samples)} training rows has one, so no class can be weighed; check the labels."
        )
    return np.where(counts > 0, counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0.0)


@dataclass(frozen=True)
class FocalLoss:
    """The focal loss, and what a softmax that was trained by it says of the classes.

    Attributes:
        gamma: At least 0.
    """

    gamma: float

    def __call__(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the mean over rows of the sum over classes of ``-y * (1 - v) ** gamma * log(v)``.

        Args:
            logits: ``float (B, n_classes)``; v is their softmax.
            y: ``float (B, n_classes)`` class probabilities.
        """
        import torch

        log_v = logits.log_softmax(1)
        # expm1 keeps what is missed exact near 1; above 0, or a gamma below 1 has an infinite slope there.
        missed = (-torch.expm1(log_v)).clamp(min=torch.finfo(log_v.dtype).tiny)
        return -(y * missed**self.gamma * log_v).sum(1).mean()

    def inverse_link(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the class probabilities at which these logits minimise the expected loss.

        The softmax v of that minimum is flatter than the probabilities are: at gamma 2, .26 where they are .10 and .90.

        Args:
            logits: ``float64 (n, n_classes)``.

        Returns:
            ``float64 (n, n_classes)``, rows summing to 1, proportional to
            ``v / ((1 - v) ** gamma - gamma * (1 - v) ** (gamma - 1) * v * log(v))``.

        Source:
            Charoenphakdee et al., CVPR 2021, arXiv 2011.09172, theorem 11. The denominator is written as
            ``(1 - v) ** gamma * (1 + gamma * v * r)`` with ``r = -log(v) / (1 - v)``, so that sure rows stay exact.
        """
        import torch

        log_v = logits.log_softmax(1)
        others = ~torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
        log_missed = torch.stack(
            [log_v[:, other].logsumexp(1) for other in others], dim=1
        )  # of 1 - v, not by taking off
        missed = log_missed.exp()
        r = torch.where(missed > 1e-6, -log_v / missed, 1 + missed / 2)  # its series: log_v is 0 by then, or nearly
        return (log_v - self.gamma * log_missed - torch.log1p(self.gamma * log_v.exp() * r)).softmax(1)
