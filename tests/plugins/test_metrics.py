"""The built-in metrics against their formulas."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench_plugins import metrics

ALL = tuple(metrics.register_metrics())


def draw(seed: int, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(k), n)
    return rng.integers(0, k, n), probabilities


def test_the_primary_metric_comes_first_and_names_are_unique() -> None:
    names = [metric.__name__ for metric in ALL]

    assert names == ["balanced_accuracy", "macro_auroc", "macro_f1", "auprc", "mcc", "brier"]


@given(seed=st.integers(0, 2**32), n=st.integers(2, 60), k=st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_no_metric_warns_and_none_depends_on_the_order_of_rows(seed: int, n: int, k: int) -> None:
    labels, probabilities = draw(seed, n, k)
    order = np.random.default_rng(seed + 1).permutation(n)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in ALL:
            here, there = metric(labels, probabilities), metric(labels[order], probabilities[order])
            assert isinstance(here, float)
            assert here == pytest.approx(there, nan_ok=True)


@given(seed=st.integers(0, 2**32), k=st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_perfect_predictions_score_best(seed: int, k: int) -> None:
    labels = np.concatenate([np.arange(k), np.random.default_rng(seed).integers(0, k, 20)])

    for metric in ALL:
        assert metric(labels, np.eye(k)[labels]) == pytest.approx(0 if metric.__name__ == "brier" else 1)


def test_balanced_accuracy_is_the_mean_recall_of_the_classes_there_are() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    predicted = np.eye(3)[[0, 0, 0, 2, 1, 0]]

    assert metrics.balanced_accuracy(labels, predicted) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_macro_auroc_is_the_chance_of_a_right_order() -> None:
    labels, probabilities = draw(3, 40, 3)
    areas = []
    for k in range(3):
        positive, negative = probabilities[labels == k, k], probabilities[labels != k, k]
        areas.append((positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean())

    assert metrics.macro_auroc(labels, probabilities) == pytest.approx(np.mean(areas))


def test_two_classes_have_one_auroc() -> None:
    labels, probabilities = draw(4, 30, 2)

    from sklearn.metrics import roc_auc_score

    assert metrics.macro_auroc(labels, probabilities) == pytest.approx(roc_auc_score(labels, probabilities[:, 1]))


def test_areas_leave_out_a_class_that_does_not_occur() -> None:
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0.3, 0.6, 0.1]])

    assert metrics.macro_auroc(labels, probabilities) == 1
    assert metrics.auprc(labels, probabilities) == 1
    assert math.isnan(metrics.macro_auroc(np.zeros(4, dtype=int), probabilities))
    assert math.isnan(metrics.auprc(np.zeros(4, dtype=int), probabilities))


def test_macro_f1_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    predicted = np.eye(2)[[0, 0, 1, 1, 0]]

    # class 0: precision 2/3, recall 2/3; class 1: precision 1/2, recall 1/2
    assert metrics.macro_f1(labels, predicted) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_auprc_by_hand() -> None:
    labels = np.array([1, 0, 1, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.1])

    # class 1 is found at ranks 1 and 3, class 0 at ranks 1 and 3 from the other end
    assert metrics.auprc(labels, np.stack([1 - scores, scores], 1)) == pytest.approx((1 + 2 / 3) / 2)


def test_mcc_by_hand() -> None:
    labels = np.array([1] * 6 + [0] * 4)
    predicted = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
    tp, fn, tn, fp = 4, 2, 3, 1

    expected = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert metrics.mcc(labels, np.eye(2)[predicted]) == pytest.approx(expected)
    assert metrics.mcc(labels, np.eye(2)[np.ones(10, dtype=int)]) == 0


def test_brier_is_minus_the_squared_distance_summed_over_classes() -> None:
    labels = np.array([0, 1])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]])

    expected = -((0.3**2 + 0.2**2 + 0.1**2) + (0.5**2 + 0.75**2 + 0.25**2)) / 2
    assert metrics.brier(labels, probabilities) == pytest.approx(expected)
    assert metrics.brier(labels, np.eye(3)[[1, 0]]) == -2
