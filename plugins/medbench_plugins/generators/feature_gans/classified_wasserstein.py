"""The objective of f-CLSWGAN: Wasserstein, and a frozen classifier. Imported late, since it needs torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from medbench_plugins.generators.image_gans.losses import Judge, Parts, Wasserstein


@dataclass(frozen=True, eq=False)
class ClassifiedWasserstein:
    """Wasserstein with a gradient penalty, and the loss of a frozen classifier on synthetic features.

    Attributes:
        wasserstein: The critic's half, and the first part of the generator's.
        classify: ``(B, d) -> (B, n_classes)`` logits; its weights never change.
        class_weight: The paper's beta.

    Source:
        Xian et al., CVPR 2018, arXiv 1712.00981, f-CLSWGAN: minus the mean of log P(y | x) over synthetic features,
        weighted and added to the generator's loss.
    """

    wasserstein: Wasserstein
    classify: Callable[[torch.Tensor], torch.Tensor]
    class_weight: float

    curves: ClassVar[tuple[str, ...]] = (*Wasserstein.curves, "g_class")

    def discriminator_loss(
        self, judge: Judge, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, noise: torch.Generator
    ) -> tuple[torch.Tensor, Parts]:
        """The critic's loss, without the classifier."""
        return self.wasserstein.discriminator_loss(judge, real, fake, labels, noise)

    def generator_loss(self, judge: Judge, fake: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        """Minus the score, and the weighted cross-entropy."""
        score, parts = self.wasserstein.generator_loss(judge, fake, labels)
        of_class = F.cross_entropy(self.classify(fake), labels)
        return score + self.class_weight * of_class, (*parts, of_class)


def linear_softmax(x: torch.Tensor, labels: torch.Tensor, n_classes: int) -> nn.Linear:
    """Fit a softmax regression that weighs all classes alike, and freeze it.

    Args:
        x: ``float32 (n, d)``.
        labels: ``int64 (n,)``; every class has a row.
        n_classes: At least 2.

    Returns:
        ``(B, d) -> (B, n_classes)`` logits, on the device of `x`: scikit-learn's, with its penalty of C = 1.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(class_weight="balanced", max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a classifier not quite at its optimum teaches as well
        fitted.fit(x.cpu().double().numpy(), labels.cpu().numpy())
    weight, bias = fitted.coef_, fitted.intercept_
    if n_classes == 2:  # one logit there, of the second class against the first
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    with torch.random.fork_rng(devices=[]):  # its first weights are replaced
        layer = nn.Linear(x.shape[1], n_classes).requires_grad_(False)
    layer.weight.copy_(torch.from_numpy(weight))
    layer.bias.copy_(torch.from_numpy(bias))
    return layer.to(x.device)
