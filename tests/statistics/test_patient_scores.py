"""Scores, gains and ranges against scikit-learn, closed forms and simulations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from medbench.statistics.class_metrics import confusion_matrix
from medbench.statistics.patient_scores import ArmScores, score
from medbench.statistics.pool_images_by_patient import Units
from medbench.trial.prior_correction import correct_prior

SEEDS = st.integers(0, 2**32)


def named(n: int) -> np.ndarray:
    return np.array([f"p{i:05d}" for i in range(n)])


def cell(labels: np.ndarray, probabilities: np.ndarray, names: np.ndarray | None = None) -> Units:
    names = named(len(labels)) if names is None else names
    return Units(names, names, labels, probabilities, probabilities)


def sure(decided: np.ndarray, n_classes: int = 2) -> np.ndarray:
    return np.eye(n_classes)[decided]


def arm(correct: np.ndarray, labels: np.ndarray, clusters: np.ndarray | None = None) -> ArmScores:
    """Return an arm of which only what a gain is computed from is known; `correct` has one row a repeat."""
    names = named(len(labels))
    nothing = np.zeros(0)
    known = names if clusters is None else clusters
    return ArmScores(names, known, labels, np.atleast_2d(correct).astype(float), 0.0, 0.0, 0.0, nothing, 0.0)


@given(seed=SEEDS, n=st.integers(2, 60), k=st.integers(2, 5), levels=st.integers(2, 30))
@settings(max_examples=80, deadline=None)
def test_scores_equal_those_of_scikit_learn(seed: int, n: int, k: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    probabilities = rng.integers(1, levels + 1, (n, k)).astype(float)  # few levels: many ties
    probabilities /= probabilities.sum(1, keepdims=True)
    decided = probabilities.argmax(1)
    present = np.unique(labels)
    rows, classes = np.nonzero(np.isclose(probabilities, probabilities.max(1, keepdims=True), rtol=1e-12))
    shared = labels[rows], classes  # what is tied counts for each of its classes, by shares of 1
    weights = 1 / np.bincount(rows)[rows]

    found = score({(0, 0, 0): cell(labels, probabilities)}, k)

    assert np.array_equal(
        confusion_matrix(labels, decided, k), metrics.confusion_matrix(labels, decided, labels=range(k))
    )
    each: dict[str, Any] = {"labels": present, "zero_division": 0, "sample_weight": weights}
    expected = metrics.recall_score(*shared, average=None, **each)
    assert found.recalls[present] == pytest.approx(expected)
    assert np.isnan(np.delete(found.recalls, present)).all()
    assert found.balanced_accuracy == pytest.approx(expected.mean())
    assert found.macro_f1 == pytest.approx(metrics.f1_score(*shared, average="macro", **each))
    if len(present) == k:
        areas = [metrics.roc_auc_score(labels == j, probabilities[:, j]) for j in range(k)]
        assert found.auroc == pytest.approx(np.mean(areas))
    else:
        assert math.isnan(found.auroc)


def test_moving_the_threshold_is_free_balanced_accuracy() -> None:
    """The binormal row of AUROC .80 at prevalence 52/298: 60.5 by argmax, 72.4 after dividing by the prior."""
    prevalence, n = 52 / 298, 200_000
    labels = (np.arange(n) < n / 2).astype(np.int64)  # both recalls, whatever the prevalence
    distance = math.sqrt(2) * stats.norm.ppf(0.8)
    x = np.random.default_rng(1).normal(size=n) + distance * labels
    odds = prevalence / (1 - prevalence) * np.exp(distance * x - distance**2 / 2)
    p = np.c_[1 / (1 + odds), odds / (1 + odds)]
    corrected = correct_prior(p, np.array([1 - prevalence, prevalence]))

    found = score({(0, 0, 0): Units(named(n), named(n), labels, corrected, p)}, 2)

    assert 100 * found.argmax_balanced_accuracy == pytest.approx(60.5, abs=0.4)
    assert 100 * found.balanced_accuracy == pytest.approx(72.4, abs=0.4)
    assert found.auroc == pytest.approx(0.8, abs=0.004)


def test_folds_are_pooled_seeds_averaged_and_repeats_averaged() -> None:
    labels = np.array([0, 0, 0, 1, 1, 0])
    names = named(6)
    decided = {  # (repeat, seed): decisions
        (0, 0): np.array([0, 0, 1, 1, 1, 0]),
        (0, 1): np.array([0, 1, 1, 1, 0, 0]),
        (1, 0): np.array([1, 1, 1, 1, 1, 0]),
        (1, 1): np.array([0, 0, 0, 0, 0, 0]),
    }
    cells = {}
    for (repeat, seed), d in decided.items():
        for fold in range(2):
            part = np.arange(6) % 2 == (fold + repeat) % 2  # another partition each repeat
            cells[repeat, fold, seed] = cell(labels[part], sure(d[part]), names[part])

    found = score(cells, 2)

    balanced = [metrics.balanced_accuracy_score(labels, d) for d in decided.values()]
    assert found.balanced_accuracy == pytest.approx(np.mean(balanced))
    assert found.macro_f1 == pytest.approx(
        np.mean([metrics.f1_score(labels, d, average="macro") for d in decided.values()])
    )
    assert found.correct.shape == (2, 6)
    assert found.correct[0].tolist() == [1, 0.5, 0, 1, 0.5, 1]
    assert found.names.tolist() == names.tolist()


def test_auroc_is_taken_inside_folds() -> None:
    """Two networks that rank perfectly, each on a scale of its own, are perfect; pooled they would not be."""
    low = cell(np.array([0, 1]), np.array([[0.95, 0.05], [0.9, 0.1]]), np.array(["a", "b"]))
    high = cell(np.array([0, 1]), np.array([[0.2, 0.8], [0.1, 0.9]]), np.array(["c", "d"]))

    assert score({(0, 0, 0): low, (0, 1, 0): high}, 2).auroc == 1.0


def test_repeats_over_different_patients_are_refused() -> None:
    one = cell(np.array([0, 1]), sure(np.array([0, 1])), np.array(["a", "b"]))
    other = cell(np.array([0, 1]), sure(np.array([0, 1])), np.array(["a", "c"]))

    with pytest.raises(ValueError, match="different patients"):
        score({(0, 0, 0): one, (1, 0, 0): other}, 2)
