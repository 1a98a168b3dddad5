"""One Gaussian a class, with a covariance shrunk so that it can be estimated from fewer rows than features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.generative import check_filling, synthetic_counts
from medbench_plugins.row_vectors import as_rows_like, as_vectors, feature_units


@dataclass(frozen=True)
class FeatureGaussian:
    """Real features and draws from a Gaussian fitted to each class, with balanced sampling.

    What every generator of features must beat: it knows means and correlations, and nothing else. Features are
    standardised before: the covariance is shrunk towards one variance for all, which in other units would blow up what
    hardly varies.

    Attributes:
        fill: As for ``acgan``: "equal" or "balance".
        ratio: As for ``acgan``, above 0.

    Source:
        Ledoit and Wolf, J. Multivariate Analysis 88, 2004, doi 10.1016/S0047-259X(03)00096-4, the shrinkage
        as scikit-learn has it. Features that are never negative in training may be in a draw.
    """

    name: str = "feature-gaussian"
    fill: Literal["equal", "balance"] = "equal"
    ratio: float = 1.0

    space: ClassVar[Literal["features"]] = "features"
    gives: ClassVar[frozenset[str]] = frozenset({"samples", "sampling"})
    summary: ClassVar[str] = "features drawn from one Gaussian a class, Ledoit-Wolf covariance"
    control: ClassVar[medbench.Augmenter] = FeatureNone()  # the same without synthetic rows

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        check_filling(self.name, fill=self.fill, ratio=self.ratio)

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return real and synthetic rows with balanced sampling.

        Raises:
            medbench.UsageError: If a field is out of its range.
            medbench.Skip: If a class that is to be filled has fewer than two rows.
        """
        self.check()
        counts = train.class_counts
        counts_to_draw = synthetic_counts(counts, fill=self.fill, ratio=self.ratio)
        rng = np.random.default_rng(context.seed("gaussian"))
        vectors = as_vectors(train.x)
        mean, deviation = feature_units(vectors)
        standard = (vectors - mean) / deviation
        x = [standard[:0]]
        for label, n in enumerate(counts_to_draw.tolist()):
            if not n:
                continue
            if counts[label] < 2:
                raise medbench.Skip(f"{self.name} needs two rows of a class, {train.classes[label]!r} has one or none")
            x.append(draw_gaussian(standard[train.labels == label], n, rng))
        labels = np.repeat(np.arange(len(counts_to_draw)), counts_to_draw)
        if len(labels):
            drawn = np.concatenate(x) * deviation + mean
            train = train.with_synthetic(as_rows_like(drawn, train.x), labels, maker=self.name)
        return medbench.TrainingSet(train, sampling=medbench.balanced_sampling(train))


def draw_gaussian(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `n` rows from the Gaussian with the mean and the Ledoit-Wolf covariance of ``float64 (m, d)``.

    That covariance is ``(1 - s) X'X / m + s t I`` for centred rows X, the shrinkage s and the mean variance t. A sum of
    two independent draws, one in the span of the rows and one in all directions alike, has it exactly: no matrix of
    d × d is ever made.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    mean = x.mean(0)
    centred = x - mean
    shrinkage, variance = ledoit_wolf_shrinkage(x), (centred**2).mean()
    along = rng.standard_normal((n, len(x))) @ centred / np.sqrt(len(x))
    return mean + np.sqrt(1 - shrinkage) * along + np.sqrt(shrinkage * variance) * rng.standard_normal((n, x.shape[1]))
