"""What is put on an encoder's features: a linear softmax, fitted anew for every arm of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import medbench
from medbench_plugins.classifiers.blueprint import Blueprint
from medbench_plugins.rows import spread


@dataclass(frozen=True)
class LinearHead:
    """Softmax regression on standardised features, trained like every network: all steps, last averaged weights.

    Features are standardised by the real training rows, inside the network: an arm's made rows do not move the units
    that its step size and its weight decay are measured in. Maps are averaged over their positions first.

    Attributes:
        lr: Peak learning rate.
    """

    lr: float = 1e-2
    name: ClassVar[str] = "linear-head"
    summary: ClassVar[str] = "linear softmax on standardised features"
    takes: ClassVar[frozenset[str]] = frozenset({"features", "samples", "sampling", "transform", "loss"})

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> medbench.Predictor:
        """Train on ``float32 (n, d)`` or ``(n, d, *spatial)``."""
        from medbench_plugins import networks

        samples = training_set.samples
        real = samples.x[samples.is_real] if samples.is_real.any() else samples.x
        mean, deviation = spread(real.reshape(*real.shape[:2], -1).mean(2, dtype="float64"))

        blueprint = Blueprint(lambda: networks.StandardisedLinear(mean, deviation, len(samples.classes)))
        return blueprint.fit(training_set, validation, context, lr=self.lr, start=start)
