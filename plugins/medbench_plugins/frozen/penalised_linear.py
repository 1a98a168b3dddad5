"""A penalised linear layer on an encoder's features: logistic regression, fitted to its minimum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import medbench

if TYPE_CHECKING:
    from medbench_plugins.training.predictor import NetworkPredictor


@dataclass(frozen=True)
class PenalisedLinear:
    """Softmax regression with a penalty on its weights, on standardised features; see :func:`.fit_penalised`.

    A fixed encoder's features are many more than training images, and a layer without a penalty fits these nearly
    without error. The minimum has no step size and no number of steps to choose; it is the same for every seed unless
    a method draws.

    Attributes:
        penalty: On the squared weights; 0 or more. At 1 a two-class layer is scikit-learn's logistic regression with
            C=2 on standardised features that are divided by the root of their number, with n rows of equal weight.

    Source:
        Ridge penalty of le Cessie and van Houwelingen, Applied Statistics 41 (1992), 10.2307/2347628; minimised by
        L-BFGS, Liu and Nocedal, Mathematical Programming 45 (1989), 10.1007/BF01589116.
    """

    penalty: float = 1.0
    name: ClassVar[str] = "penalised-linear-head"
    summary: ClassVar[str] = "linear softmax with a penalty, on standardised features"
    takes: ClassVar[frozenset[str]] = frozenset({"features", "samples", "sampling", "transform", "loss", "bags"})
    tunable: ClassVar[Mapping[str, tuple[float, ...]]] = {"penalty": (0.1, 1.0, 10.0)}

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where the penalty is out of its range."""
        if not 0 <= self.penalty <= 1e6:
            raise medbench.UsageError(f"{self.name}.penalty: got {self.penalty:g}; give a number from 0 to 1000000.")

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> NetworkPredictor:
        """Return the layer at the minimum; raises as :func:`.fit_penalised` does."""
        from medbench_plugins.training.penalised import fit_penalised

        self.check()
        return fit_penalised(training_set, validation, context, penalty=self.penalty)
