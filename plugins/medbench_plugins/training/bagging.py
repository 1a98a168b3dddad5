"""Bags: one network on each part of the training rows, and the mean of their probabilities. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

import medbench
from medbench_plugins.training import classifier_loop

Fitted = TypeVar("Fitted")


def fit_bags(
    build: Callable[[], nn.Module],
    training_set: medbench.TrainingSet,
    validation: medbench.Samples,
    context: medbench.Context,
    *,
    facts: Mapping[str, float | str] | None = None,
    **options: Any,
) -> classifier_loop.NetworkPredictor:
    """Train one network on each bag by :func:`.fit_network`; average their probabilities.

    The networks share the budget's steps equally, and what is left over goes one step each to the first bags: an arm of
    bags takes as many steps as every other. The seeds of the first bag are those of a network without bags, the
    others' have the bag's number behind them. `build` begins all of them, so weights of another fit begin all too.

    Args:
        build: As for ``fit_network``.
        training_set: With bags.
        validation: May be empty.
        context: Its budget is for all networks together.
        facts: As for ``fit_network``.
        options: As for ``fit_network``.

    Returns:
        A predictor whose facts are: steps and parameters of all networks together, train_loss and still_improving as
        the mean over networks, validation_loss of the averaged probabilities; its learning is the mean of theirs.

    Raises:
        medbench.UsageError: If there are more bags than steps.
    """
    bags, steps = training_set.bags or (), context.budget.steps
    if not 0 < len(bags) <= steps:
        raise medbench.UsageError(f"{len(bags)} bags cannot share {steps} steps; give fewer bags or a larger budget.")
    shares = [steps // len(bags) + (k < steps % len(bags)) for k in range(len(bags))]
    done = [0, *accumulate(shares)]
    fits = [
        classifier_loop.fit_network(
            build,
            _only(training_set, rows),
            validation,
            _Share(context, replace(context.budget, steps=share), (k,) if k else (), done[k]),
            facts=facts,
            **options,
        )
        for k, (share, rows) in enumerate(zip(shares, bags, strict=True))
    ]
    device, batch = torch.device(context.device), context.budget.batch
    mean = MeanOfNetworks([fit.network for fit in fits], classifier_loop.inverse_link_of(training_set.loss))
    together = classifier_loop.NetworkPredictor(mean.eval(), device, batch)
    together.facts = {**fits[0].facts, "networks": len(fits), "steps": steps}
    together.facts["parameters"] = sum(float(fit.facts["parameters"]) for fit in fits)
    for name in {"train_loss", "still_improving"} & set(together.facts):
        together.facts[name] = float(np.mean([float(fit.facts[name]) for fit in fits]))
    together.learning = tuple(
        (sum(at for at, _, _ in look), float(np.mean([of[1] for of in look])), float(np.mean([of[2] for of in look])))
        for look in zip(*(fit.learning for fit in fits), strict=False)  # below ten steps some have a look less
    )
    if "validation_loss" in together.facts:
        known = validation.take(validation.labels >= 0)
        together.facts["validation_loss"] = classifier_loop.cross_entropy(together(known.x), known.labels)
    return together


class MeanOfNetworks(nn.Module):
    """The mean of several networks' probabilities, as logits."""

    def __init__(
        self,
        networks: list[nn.Module],
        inverse_link: Callable[[torch.Tensor], torch.Tensor] = classifier_loop.softmax,
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
        return (
            logits.log_softmax(1) if self.inverse_link is classifier_loop.softmax else self.inverse_link(logits).log()
        )


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


def _only(training_set: medbench.TrainingSet, rows: np.ndarray) -> medbench.TrainingSet:
    """Return the training set of one bag."""
    sampling = training_set.sampling
    if sampling is not None:
        sampling = sampling[rows] / sampling[rows].sum()
    return replace(training_set, samples=training_set.samples.take(rows), sampling=sampling, bags=None)
