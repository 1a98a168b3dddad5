"""Scores by a small classifier of features: do synthetic rows teach the classes, show them, and look real?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from medbench_plugins.generator_scores.inception_score import InceptionScore

STRENGTH = 0.1
"""Inverse of the penalty on standardised features: there are often more features than rows of a class."""
PARTS = 5
Labels = tuple[np.ndarray, np.ndarray, np.ndarray]


def _score_without_labels(self: Any, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
    """Return NaN: without labels there is no classifier."""
    return float("nan")


@dataclass(frozen=True)
class TrainedOnMade:
    """Balanced accuracy on held-out rows of a classifier of features that was trained on synthetic rows alone.

    And the recall of each class. It is a cheap relative of the method `synthetic-only`, which trains the whole
    classifier: a logistic regression on the extractor's features. The floor is that with as many real training rows.

    Source:
        Classification accuracy score, Ravuri and Vinyals, NeurIPS 2019, arXiv 1905.10887, with a small classifier.
    """

    name: ClassVar[str] = "tstr"
    summary: ClassVar[str] = "train on made, test on real: balanced accuracy of a small classifier; higher is better"

    score = _score_without_labels

    def with_labels(
        self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray, labels: Labels, n_classes: int
    ) -> tuple[float, np.ndarray]:
        """Return the mean recall and the recall of each class; NaN where synthetic rows are of one class only."""
        return _recalls(synthetic, labels[2], held_out, labels[1], n_classes)


@dataclass(frozen=True)
class TriedOnMade:
    """Balanced accuracy on synthetic rows of a classifier of features that was trained on real training rows.

    Low where a generator mixes up its classes. High says that classes are shown, and nothing of variety: one good
    picture a class is enough for all of it. The floor is the same on held-out rows.

    Source:
        GAN-test, Shmelkov et al., ECCV 2018, arXiv 1807.09499, with a small classifier.
    """

    name: ClassVar[str] = "trts"
    floor: ClassVar[str] = "held-out"
    summary: ClassVar[str] = "train on real, test on made: balanced accuracy of a small classifier; beside its floor"

    score = _score_without_labels

    def with_labels(
        self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray, labels: Labels, n_classes: int
    ) -> tuple[float, np.ndarray]:
        """Return the mean recall and the recall of each class; NaN where real rows are of one class only."""
        return _recalls(train, labels[0], synthetic, labels[2], n_classes)


@dataclass(frozen=True)
class DomainInceptionScore:
    """The inception score of synthetic rows by a small classifier of the data set's own classes; beside its floor only.

    It says how well classes can be told apart and that all of them are there. It sees no realism and no variety within
    a class, lies between 1 and the number of classes, and is no figure to hold against another paper's. The floor is
    that of held-out rows.

    Source:
        As for `inception-score`, with the classifier of `trts` in place of the Inception network.
    """

    name: ClassVar[str] = "is-domain"
    floor: ClassVar[str] = "held-out"
    summary: ClassVar[str] = "inception score by a small classifier of the data set's own classes; beside its floor"

    score = _score_without_labels

    def with_labels(
        self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray, labels: Labels, n_classes: int
    ) -> tuple[float, np.ndarray]:
        """Return the score and nothing by class; NaN where real rows are of one class only, or none was made."""
        nothing = np.empty(0)
        if len(set(labels[0].tolist())) < 2 or not len(synthetic):
            return float("nan"), nothing
        probabilities = classifier().fit(train, labels[0]).predict_proba(synthetic)
        return InceptionScore().score(probabilities, probabilities, probabilities), nothing


@dataclass(frozen=True)
class Origin:
    """How well a small classifier tells made from held-out rows within a class: AUROC, the mean over classes.

    0.5: made and real rows of a class look alike to it. 1: a network trained on both can tell them apart, and will use
    that wherever synthetic rows are more common in one class, see `origin-label`. Cross-validated in five parts, so
    that nothing is memorised; the floor has real training rows in place of synthetic ones.

    Source:
        A classifier two-sample test, Lopez-Paz and Oquab, ICLR 2017, arXiv 1610.06545, by AUROC.
    """

    name: ClassVar[str] = "origin"
    each_class: ClassVar[bool] = True
    summary: ClassVar[str] = "AUROC of telling made from real rows of a class; 0.5 is best, 1 is seen at a glance"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Tell made from held-out rows; NaN where either has fewer than ten."""
        if min(len(held_out), len(synthetic)) < 2 * PARTS:
            return float("nan")
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedKFold

        rows = np.concatenate([held_out, synthetic])
        made = np.repeat([0, 1], [len(held_out), len(synthetic)])
        found = []
        for learnt, tested in StratifiedKFold(PARTS, shuffle=True, random_state=0).split(rows, made):
            fitted = classifier().fit(rows[learnt], made[learnt])
            found.append(roc_auc_score(made[tested], fitted.decision_function(rows[tested])))
        return float(np.mean(found))


def classifier() -> Any:
    """Return an unfitted logistic regression on standardised features, classes weighing the same; it draws nothing."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=500))


def _recalls(
    learnt: np.ndarray, labels: np.ndarray, tested: np.ndarray, truth: np.ndarray, n_classes: int
) -> tuple[float, np.ndarray]:
    each = np.full(n_classes, np.nan)
    if len(set(labels.tolist())) < 2 or not len(tested):
        return float("nan"), each
    right = classifier().fit(learnt, labels).predict(tested) == truth
    for k in sorted(set(truth.tolist())):
        each[k] = right[truth == k].mean()
    return float(np.nanmean(each)), each
