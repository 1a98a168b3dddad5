"""How every classifier is trained: one network, or one for each bag of rows and their mean. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

import medbench
from medbench_plugins.training.classifier_loop import fit_one
from medbench_plugins.training.numeric_precision import SlowTrunk
from medbench_plugins.training.predictor import NetworkPredictor, cross_entropy, get_inverse_link, softmax

Fitted = TypeVar("Fitted")


def fit_network(
    build: Callable[[], nn.Module],
    training_set: medbench.TrainingSet,
    validation: medbench.Samples,
    context: medbench.Context,
    *,
    lr: float = 1e-3,
    min_size: int = 0,
    slow: SlowTrunk | None = None,
) -> NetworkPredictor:
    """Train what `build` returns with AdamW under warm-up and cosine; return its averaged weights as a predictor.

    The statistics of batch norms are measured for the averaged weights, see :mod:`.batch_norms`.

    There is no early stopping and no choice between checkpoints: all arms of a study take equal steps. Only where a
    protocol that is known to leak asks for it (``context.selects``) is the most accurate of ten checkpoints kept.
    Two arms with the same seeds share initial weights, dropout and, where they have equally many rows, batch order.
    Here alone torch's global state is touched: the number of threads stays set, the random state is restored.

    Where the training set has bags, each has a network of its own, and their probabilities are averaged. The networks
    share the budget's steps equally, and what is left over goes one step each to the first bags: an arm of bags takes
    as many steps as every other. The seeds of the first bag are those of a network without bags, the others' have the
    bag's number behind them. `build` begins all of them, so weights of another fit begin all too.

    Args:
        build: Makes a network from ``float32 (B, channels, *spatial)`` to logits ``(B, n_classes)``.
        training_set: Rows labelled -1 are never drawn.
        validation: Evaluated up to ten times with the averaged weights, for the facts only; may be empty.
        context: Gives steps, batch, threads, device and the seeds "batch", "init", "dropout", "transform" and "norms".
        lr: Peak learning rate.
        min_size: Smaller images are resized to this many pixels along every axis, on the device.
        slow: Lowers the rate of all but the head, for a network that begins from pretrained weights.

    Returns:
        A predictor. Of bags its facts are steps and parameters of all networks together, train_loss and
        still_improving as the mean over networks, validation_loss of the averaged probabilities; its learning is the
        mean of theirs.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite.
        medbench.DataError: If no row can be drawn.
        medbench.UsageError: If there are more bags than steps, or a batch norm sees one value a channel.
    """

    def fit(training_set: medbench.TrainingSet, context: medbench.Context) -> NetworkPredictor:
        return fit_one(build, training_set, validation, context, lr=lr, min_size=min_size, slow=slow)

    if training_set.bags is None:
        return fit(training_set, context)
    shares = _share_steps(context, len(training_set.bags))
    fits = [
        fit(_training_set_of_bag(training_set, rows), share)
        for rows, share in zip(training_set.bags, shares, strict=True)
    ]
    mean = MeanOfNetworks([one.network for one in fits], get_inverse_link(training_set.loss)).eval()
    together = NetworkPredictor(mean, torch.device(context.device))
    _merge_records(together, fits, validation.take(validation.labels >= 0))
    return together


def _merge_records(together: NetworkPredictor, fits: list[NetworkPredictor], validation: medbench.Samples) -> None:
    """Give the mean of networks the facts and the learning curve of all of them; `validation` has labels."""
    together.facts = {**fits[0].facts, "networks": len(fits)}
    together.facts["steps"] = sum(int(fit.facts["steps"]) for fit in fits)
    together.facts["parameters"] = sum(float(fit.facts["parameters"]) for fit in fits)
    for name in {"train_loss", "still_improving"} & set(together.facts):
        together.facts[name] = float(np.mean([float(fit.facts[name]) for fit in fits]))
    together.learning = tuple(
        (
            sum(steps for steps, _, _ in evaluations),
            float(np.mean([loss for _, loss, _ in evaluations])),
            float(np.mean([loss for _, _, loss in evaluations])),
        )
        for evaluations in zip(*(fit.learning for fit in fits), strict=False)  # below ten steps some have one less
    )
    if "validation_loss" in together.facts:
        together.facts["validation_loss"] = cross_entropy(together(validation.x), validation.labels)


class MeanOfNetworks(nn.Module):
    """The mean of several networks' probabilities, as logits."""

    def __init__(
        self,
        networks: list[nn.Module],
        inverse_link: Callable[[torch.Tensor], torch.Tensor] = softmax,
    ) -> None:
        """Take networks from ``(B, ...)`` to logits ``(B, n_classes)``, and what makes probabilities of these."""
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.inverse_link = inverse_link

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``float64 (B, n_classes)``, whose softmax is the mean of the networks' probabilities."""
        logits = [network(x).double() for network in self.networks]
        each = torch.stack([self._log_probabilities(own) for own in logits])  # (networks, B, K)
        return each.logsumexp(0) - math.log(len(each))

    def _log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        # The logarithm of a softmax would lose what is very small; another inverse link has no better form at hand.
        return logits.log_softmax(1) if self.inverse_link is softmax else self.inverse_link(logits).log()


def _share_steps(context: medbench.Context, n_bags: int) -> list[_Share]:
    steps = context.budget.steps
    if not 0 < n_bags <= steps:
        raise medbench.UsageError(f"{n_bags} bags cannot share {steps} steps; give fewer bags or a larger budget.")
    shares = [steps // n_bags + (k < steps % n_bags) for k in range(n_bags)]
    done = [0, *accumulate(shares)]
    return [
        _Share(context, replace(context.budget, steps=share), (k,) if k else (), done[k])
        for k, share in enumerate(shares)
    ]


@dataclass(frozen=True)
class _Share:
    """A context with a share of the steps, seeds of its own, and progress counted over all bags."""

    whole: medbench.Context
    budget: medbench.Budget
    purpose: tuple[int, ...]
    done: int

    @property
    def device(self) -> str:
        return self.whole.device

    @property
    def folder(self) -> Path:
        return self.whole.folder

    @property
    def selects(self) -> bool:
        return self.whole.selects

    def seed(self, *purpose: str | int) -> int:
        return self.whole.seed(*purpose, *self.purpose)

    def fit(self, stage: medbench.Stage[Fitted], train: medbench.Samples) -> Fitted:
        return self.whole.fit(stage, train)

    def source(self, dataset: medbench.Dataset) -> medbench.Samples:
        return self.whole.source(dataset)

    def progress(self, step: int, total: int, **values: float) -> None:
        self.whole.progress(self.done + step, self.whole.budget.steps, **values)


def _training_set_of_bag(training_set: medbench.TrainingSet, rows: np.ndarray) -> medbench.TrainingSet:
    """Return the training set of one bag."""
    sampling = training_set.sampling
    if sampling is not None:
        sampling = sampling[rows] / sampling[rows].sum()
    return replace(training_set, samples=training_set.samples.take(rows), sampling=sampling, bags=None)
