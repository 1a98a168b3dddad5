"""Features and class probabilities of a classifier trained on the fold's own real training images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

import medbench
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.selection.classifier_judge import FittedSelector, Selector


@dataclass(frozen=True)
class OwnClassifier:
    """What a network sees that was trained on the real training images of the fold, classes drawn equally often.

    It looks at what parts the classes of this data set, and gives an inception score by the data set's own classes.
    Every fold has another network: only methods on the same folds can be compared. It never sees a held-out row under
    an honest protocol.

    Attributes:
        classifier: Whose network it is, trained for the budget's steps.
    """

    classifier: medbench.Classifier = field(default_factory=SmallCNN)
    name: ClassVar[str] = "own-classifier"
    summary: ClassVar[str] = "a classifier of the fold's real training images; holds within a fold only"

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        """The trained network, shared by all arms of a fold."""
        return (Selector(self.classifier),)

    def fit(self, train: medbench.Samples, context: medbench.Context) -> FittedOwnClassifier:
        """Train the network, or take it from the store.

        Raises:
            medbench.Skip: If the classifier does not take images like these, or its network cannot be cut.
        """
        return FittedOwnClassifier(context.fit(Selector(self.classifier), train))

    def features(self, x: np.ndarray) -> np.ndarray:
        """Refuse: nothing was trained.

        Raises:
            medbench.Skip: Always.
        """
        raise medbench.Skip(f"{self.name} is trained within a fold; without one it has no features")


@dataclass(frozen=True, eq=False)
class FittedOwnClassifier:
    """A trained network that images are looked at with."""

    selector: FittedSelector

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return what the last linear layer is given, ``float64 (n, d)``."""
        return self.selector.features(x)

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities, ``float64 (n, n_classes)``."""
        return self.selector.class_probabilities(x)
