"""SMOTE on features: synthetic rows on the lines between a row and its neighbours of the same class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.generative import check_filling, synthetic_counts
from medbench_plugins.row_vectors import as_rows_like, as_vectors


@dataclass(frozen=True)
class FeatureSMOTE:
    """Real features and those of imbalanced-learn's SMOTE, with balanced sampling.

    Attributes:
        kind: "regular" starts from any row of the class; "borderline" from those most of whose ten nearest rows, but
            not all, are of other classes. A class without such rows gets none.
        neighbours: Rows of the class that a line may lead to; at least 1.
        fill: As for ``acgan``: "equal" or "balance". SMOTE's own is "balance".
        ratio: As for ``acgan``, above 0.

    Source:
        Chawla et al., JAIR 16, 2002, doi 10.1613/jair.953; Han, Wang and Mao, ICIC 2005, doi 10.1007/11538059_91, its
        borderline-1. Deliberate differences: neighbours are sought among the features of an encoder that was trained
        on the same rows; with "equal" the largest class gets synthetic rows too, so that being one reveals no class.
    """

    name: str = "feature-smote"
    kind: Literal["regular", "borderline"] = "regular"
    neighbours: int = 5
    fill: Literal["equal", "balance"] = "equal"
    ratio: float = 1.0

    space: ClassVar[Literal["features"]] = "features"
    gives: ClassVar[frozenset[str]] = frozenset({"samples", "sampling"})
    summary: ClassVar[str] = "features on the lines between neighbours of a class (imbalanced-learn)"
    control: ClassVar[medbench.Augmenter] = FeatureNone()  # the same without synthetic rows

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where a field is out of its range."""
        if self.kind not in ("regular", "borderline"):
            raise medbench.UsageError(f"{self.name}.kind: {self.kind!r} is unknown; use regular or borderline.")
        if not 1 <= self.neighbours <= 1000:
            raise medbench.UsageError(f"{self.name}.neighbours: got {self.neighbours}; give a number from 1 to 1000.")
        check_filling(self.name, fill=self.fill, ratio=self.ratio)

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """Return real and synthetic rows with balanced sampling.

        Raises:
            medbench.UsageError: If a field is out of its range.
            medbench.Skip: If a class that is to be filled has no more rows than `neighbours`, or the rarest of these
                gets none since it has no borderline rows.
        """
        self.check()
        counts = train.class_counts
        n_synthetic = synthetic_counts(counts, fill=self.fill, ratio=self.ratio)
        for name, count, target in zip(train.classes, counts.tolist(), n_synthetic.tolist(), strict=True):
            if target and count <= self.neighbours:
                raise medbench.Skip(
                    f"{self.name} needs {self.neighbours + 1} rows of a class, {name!r} has {count}; "
                    "ask for fewer neighbours"
                )
        known = train.labels >= 0
        x, labels = smote(
            as_vectors(train.x[known]),
            train.labels[known],
            n_synthetic,
            neighbours=self.neighbours,
            borderline=self.kind == "borderline",
            seed=context.seed("smote"),
        )
        if n_synthetic.any():
            rarest = min(np.flatnonzero(n_synthetic), key=lambda k: counts[k])
            if not (labels == rarest).any():
                raise medbench.Skip(
                    f"{self.name} found no borderline row of {train.classes[rarest]!r}, the rarest class to be filled, "
                    "so that it would make none of it; ask for kind=regular"
                )
            train = train.with_synthetic(as_rows_like(x, train.x), labels, maker=self.name)
        return medbench.TrainingSet(train, sampling=medbench.balanced_sampling(train))


def smote(
    x: np.ndarray, labels: np.ndarray, n_synthetic: np.ndarray, *, neighbours: int, borderline: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that SMOTE adds.

    Args:
        x: ``float64 (n, d)``.
        labels: ``int64 (n,)``.
        n_synthetic: ``int64 (n_classes,)`` rows to add to each class.
        neighbours: See :class:`FeatureSMOTE`.
        borderline: See :class:`FeatureSMOTE`.
        seed: Of the draws.

    Returns:
        ``float64 (m, d)`` and ``int64 (m,)``, class by class.
    """
    from imblearn.over_sampling import SMOTE, BorderlineSMOTE

    target = {k: int((labels == k).sum() + m) for k, m in enumerate(n_synthetic.tolist()) if m}
    if not target:
        return x[:0], labels[:0]
    # Their generator takes 32 bits.
    options = {"sampling_strategy": target, "k_neighbors": neighbours, "random_state": seed % 2**32}
    method = BorderlineSMOTE(m_neighbors=min(10, len(x) - 1), **options) if borderline else SMOTE(**options)
    all_x, all_labels = method.fit_resample(x, labels)
    return all_x[len(x) :], all_labels[len(x) :]
