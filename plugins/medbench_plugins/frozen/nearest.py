"""Nearest neighbours on an encoder's features: a classifier without a step of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

import medbench
from medbench_plugins.row_vectors import feature_units, position_means, rows_to_scale_by


@dataclass(frozen=True)
class NearestHead:
    """A vote of the nearest training rows by cosine of standardised features.

    Each neighbour votes with ``exp(cosine / temperature)``, times how often the training set would draw it: a row that
    class balancing draws twice as often counts twice. One vote's worth is spread over the classes as the training set
    has them, so that no class has probability 0.

    Attributes:
        neighbours: How many vote, 1 or more; all of them where there are fewer rows.
        temperature: Above 0; the lower, the more the nearest count.

    Source:
        Wu et al., CVPR 2018, arXiv 1805.01978, section 3.4: weighted votes, temperature .07; 20 neighbours as Caron et
        al., ICCV 2021, arXiv 2104.14294, found best. Deliberate differences: features are standardised before, and the
        spread vote.
    """

    neighbours: int = 20
    temperature: float = 0.07
    name: ClassVar[str] = "nearest-head"
    summary: ClassVar[str] = "a vote of the nearest rows of features"
    takes: ClassVar[frozenset[str]] = frozenset({"features", "samples", "sampling"})

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        if self.neighbours < 1 or not self.temperature > 0:
            raise medbench.UsageError(
                f"{self.name}: got neighbours={self.neighbours}, temperature={self.temperature:g}; "
                "give 1 or more neighbours and a temperature above 0."
            )

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> Votes:
        """Keep the labelled rows that the training set may draw.

        Raises:
            medbench.DataError: If there is none.
        """
        from sklearn.neighbors import NearestNeighbors

        self.check()
        samples, n = training_set.samples, len(training_set.samples)
        shares = np.full(n, 1.0) if training_set.sampling is None else training_set.sampling * n
        kept = np.flatnonzero((samples.labels >= 0) & (shares > 0))
        if not len(kept):
            raise medbench.DataError("no labelled row can be drawn; give training images with labels.")
        rows = position_means(samples.x)
        mean, deviation = feature_units(position_means(rows_to_scale_by(samples)))
        index = NearestNeighbors(n_neighbors=min(self.neighbours, len(kept)), metric="cosine", algorithm="brute")
        index.fit((rows[kept] - mean) / deviation)
        votes = Votes(
            index,
            mean,
            deviation,
            samples.labels[kept],
            shares[kept],
            training_set.class_frequencies,
            self.temperature,
        )
        votes.facts["rows"] = len(kept)
        context.progress(context.budget.steps, context.budget.steps)
        return votes


@dataclass(frozen=True, eq=False)
class Votes:
    """A fitted vote: call it on features ``float32 (n, d)`` for ``float64 (n, n_classes)`` probabilities."""

    index: Any
    mean: np.ndarray
    deviation: np.ndarray
    labels: np.ndarray
    shares: np.ndarray
    frequencies: np.ndarray
    temperature: float
    facts: dict[str, float | str] = field(default_factory=dict)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, n_classes)``, rows summing to 1."""
        n_classes = len(self.frequencies)
        if not len(x):
            return np.zeros((0, n_classes))
        distances, places = self.index.kneighbors((position_means(x) - self.mean) / self.deviation)
        # Beside the nearest one's cosine, so that no weight is too large for a number.
        weights = np.exp((distances[:, :1] - distances) / self.temperature) * self.shares[places]
        votes = np.stack([(weights * (self.labels[places] == k)).sum(1) for k in range(n_classes)], axis=1)
        votes += self.frequencies
        return votes / votes.sum(1, keepdims=True)
