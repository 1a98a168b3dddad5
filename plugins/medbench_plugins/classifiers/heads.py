"""What is fitted on an encoder's features, for every arm again: linear, one hidden layer, or for maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import medbench
from medbench_plugins.classifiers.blueprint import Blueprint, fit_blueprint
from medbench_plugins.classifiers.rates_to_try import rates_to_try
from medbench_plugins.row_vectors import channel_units, feature_units, position_means, rows_to_scale_by

TAKES = frozenset({"features", "samples", "sampling", "transform", "loss", "bags", "pretrain"})


@dataclass(frozen=True)
class LinearHead:
    """Softmax regression on standardised features, trained like every network: all steps, last averaged weights.

    Features are standardised by the real training rows, inside the network: an arm's synthetic rows do not move the
    units that its step size and its weight decay are measured in. Maps are averaged over their positions first.

    Attributes:
        lr: Peak learning rate.
    """

    lr: float = 1e-2
    name: ClassVar[str] = "linear-head"
    summary: ClassVar[str] = "linear softmax on standardised features"
    takes: ClassVar[frozenset[str]] = TAKES
    tunable = property(rates_to_try)

    fit = fit_blueprint

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the head for features ``float32 (n, d)`` or ``(n, d, *spatial)``."""
        from medbench_plugins.networks import small

        mean, deviation = feature_units(position_means(rows_to_scale_by(samples)))
        return Blueprint(lambda: small.StandardisedLinear(mean, deviation, len(samples.classes)))


@dataclass(frozen=True)
class MLPHead:
    """One hidden layer on standardised features, trained like every network.

    Features are standardised by the real training rows, inside the network, as in :class:`LinearHead`.

    Attributes:
        lr: Peak learning rate.
        hidden: Units of the hidden layer.
        dropout: Share of them that is left out of a step, at least 0, below 1.
    """

    lr: float = 1e-3
    hidden: int = 128
    dropout: float = 0.5
    name: ClassVar[str] = "mlp-head"
    summary: ClassVar[str] = "one hidden layer on standardised features"
    takes: ClassVar[frozenset[str]] = TAKES
    tunable = property(rates_to_try)

    fit = fit_blueprint

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the head for features ``float32 (n, d)`` or ``(n, d, *spatial)``."""
        from medbench_plugins.networks.standardised_mlp import StandardisedMLP

        mean, deviation = feature_units(position_means(rows_to_scale_by(samples)))
        n_classes, hidden, dropout = len(samples.classes), self.hidden, self.dropout
        return Blueprint(lambda: StandardisedMLP(mean, deviation, n_classes, hidden=hidden, dropout=dropout))


@dataclass(frozen=True)
class ConvHead:
    """Two convolutions and two linear layers on maps of features, trained like every network.

    Channels are standardised by the real training rows, inside the network, as in :class:`LinearHead`.

    Attributes:
        lr: Peak learning rate.
        width: Channels of both convolutions.
        hidden: Units between the linear layers.

    Source:
        Sahoo and Mehra 2019, report: twice convolution, batch norm, ReLU, max-pool, then two linear layers with dropout
        of one half. Their widths are not stated; a softmax instead of a sigmoid, for any number of classes.
    """

    lr: float = 1e-3
    width: int = 64
    hidden: int = 128
    name: ClassVar[str] = "conv-head"
    summary: ClassVar[str] = "two convolutions and two linear layers on standardised maps"
    takes: ClassVar[frozenset[str]] = TAKES
    tunable = property(rates_to_try)

    fit = fit_blueprint

    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the head for features ``float32 (n, d, *spatial)``.

        Raises:
            medbench.Skip: If the features are no maps of two or three axes.
        """
        from medbench_plugins.networks import small

        if samples.x.ndim not in (4, 5):
            raise medbench.Skip(f"{self.name} works on maps of features, got rows of shape {samples.x.shape[1:]}")
        mean, deviation = channel_units(rows_to_scale_by(samples))
        n_classes, spatial = len(samples.classes), samples.x.shape[2:]
        return Blueprint(
            lambda: small.ConvolutionalHead(
                mean, deviation, n_classes, spatial=spatial, width=self.width, hidden=self.hidden
            )
        )
