"""What every classifier that has a blueprint does: train its network, and be cut in two.

The functions are used as methods, ``fit = by_blueprint.fit``: shared without a base class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import medbench
from medbench_plugins.classifiers.blueprint import Blueprint, check_single
from medbench_plugins.classifiers.encoder import TrainedEncoder
from medbench_plugins.classifiers.heads import LinearHead


class Drawn(medbench.Classifier, Protocol):
    """A classifier that says how its network is built for the images at hand."""

    @property
    def lr(self) -> float: ...
    @property
    def pretrained(self) -> Path | None: ...
    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for images like these."""


def fit(
    self: Drawn,
    training_set: medbench.TrainingSet,
    validation: medbench.Samples,
    context: medbench.Context,
    start: medbench.State | None = None,
) -> medbench.Predictor:
    """Train the network; see :func:`medbench_plugins.training.bagging.fit_network`."""
    blueprint = self.blueprint(training_set.samples)
    return blueprint.fit(training_set, validation, context, lr=self.lr, start=start, pretrained=self.pretrained)


def check(self: Drawn) -> None:
    """Raise :class:`medbench.DataError` where the file of weights cannot be read; imports torch if there is one."""
    if self.pretrained is not None:
        from medbench_plugins.networks import weights

        weights.read(self.pretrained)


def check_images(self: Drawn, samples: medbench.Samples, budget: medbench.Budget) -> None:
    """Raise :class:`medbench.UsageError` where a batch leaves the network's batch norms a single value a channel."""
    if budget.batch == 1:
        blueprint, shape = self.blueprint(samples), samples.x.shape[1:]
        check_single(blueprint.build, shape, named=self.name, min_size=blueprint.min_size)


def cut(self: Drawn) -> tuple[TrainedEncoder, LinearHead]:
    """Return what arms of features work between."""
    return TrainedEncoder(self), LinearHead()
