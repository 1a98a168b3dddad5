"""Measures of wide tables, against scikit-learn and closed forms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from medbench.statistics.further_measures import calibration_error, calibration_slope, measures
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units, units
from medbench.trial.trial import Predictions


def cells(seed: int, n: int, k: int, folds: int = 2) -> dict[Cell, Units]:
    """Return two repeats of `folds` folds in each of which every class occurs."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.tile(np.arange(k), folds * 2), rng.integers(0, k, n)])
    names = np.array([f"p{i:03d}" for i in range(len(labels))])
    found = {}
    for repeat in range(2):
        p = rng.dirichlet(np.ones(k), len(labels)) + 0.3 * np.eye(k)[labels]
        p /= p.sum(1, keepdims=True)
        fold = np.arange(len(labels)) // k % folds
        for f in range(folds):
            mine = fold == f
            drawn = Predictions(names[mine], names[mine], labels[mine], p[mine])
            found[repeat, f, 0] = units(drawn, [1 / k] * k, by_patient=True)
    return found


@given(seed=st.integers(0, 2**32), n=st.integers(0, 40), k=st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_measures_are_scikit_learns(seed: int, n: int, k: int) -> None:
    drawn = cells(seed, n, k)
    found = measures(drawn, k)
    pooled = []
    for repeat in range(2):
        of_repeat = [u for (r, _, _), u in drawn.items() if r == repeat]
        truth = np.concatenate([u.labels for u in of_repeat])
        pooled.append((truth, np.concatenate([u.probabilities.argmax(1) for u in of_repeat])))

    expected = np.mean([metrics.confusion_matrix(t, d, labels=range(k)) for t, d in pooled], axis=0)
    np.testing.assert_allclose(found.confusion, expected)
    assert found.mcc == pytest.approx(np.mean([metrics.matthews_corrcoef(t, d) for t, d in pooled]))
    by_fold = [
        np.mean([metrics.average_precision_score(u.labels == c, u.probabilities[:, c]) for c in range(k)])
        for u in drawn.values()
    ]
    assert found.auprc == pytest.approx(np.mean(by_fold))
    brier = [np.sum((u.probabilities - np.eye(k)[u.labels]) ** 2, axis=1).mean() for u in drawn.values()]
    assert found.brier == pytest.approx(np.mean(brier))
    decided = found.confusion.sum(0)
    assert np.isnan(found.precisions[decided == 0]).all()
    assert ((found.precisions >= 0) | np.isnan(found.precisions)).all()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_the_slope_is_that_of_an_unpenalised_logistic_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.standard_normal(300)
    positive = rng.random(300) < 1 / (1 + np.exp(-(0.3 + 0.7 * odds)))

    reference = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(odds[:, None], positive)

    assert calibration_slope(positive, 1 / (1 + np.exp(-odds))) == pytest.approx(reference.coef_[0, 0], abs=1e-4)


def test_the_slope_tells_overconfident_from_calibrated_probabilities() -> None:
    rng = np.random.default_rng(0)
    odds = 1.5 * rng.standard_normal(20_000)
    positive = rng.random(20_000) < 1 / (1 + np.exp(-odds))

    assert calibration_slope(positive, 1 / (1 + np.exp(-odds))) == pytest.approx(1, abs=0.05)
    assert calibration_slope(positive, 1 / (1 + np.exp(-3 * odds))) == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize(
    ("positive", "p"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),  # parted: infinite
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]),  # constant
        ([1, 1, 1, 1], [0.1, 0.2, 0.8, 0.9]),  # one class
        ([0, 0, 1, 1], [0.0, 0.0, 1.0, 1.0]),
    ],
)
def test_there_is_no_slope_where_it_is_not_finite(positive: list[int], p: list[float]) -> None:
    assert np.isnan(calibration_slope(np.array(positive, dtype=bool), np.array(p)))


def test_a_fold_without_a_class_counts_in_what_needs_none() -> None:
    drawn = next(iter(cells(1, 10, 3, folds=1).values()))
    wider = np.pad(drawn.probabilities, ((0, 0), (0, 1)))  # a fourth class that nobody has
    found = measures({(0, 0, 0): dataclasses.replace(drawn, probabilities=wider, raw=wider)}, 4)

    assert np.isnan(found.auprc)
    assert np.isfinite(found.brier)
    assert found.confusion.shape == (4, 4)


def test_calibration_error_is_that_of_quantile_bins() -> None:
    """scikit-learn's curve of equal-mass bins gives what is said and how often it is right, bin by bin."""
    rng = np.random.default_rng(5)
    p = rng.dirichlet([1, 1, 1], 1500)
    labels = np.array([rng.choice(3, p=row**2 / (row**2).sum()) for row in p])
    right, said = calibration_curve(labels == p.argmax(1), p.max(1), n_bins=15, strategy="quantile")

    assert calibration_error(labels, p) == pytest.approx(np.abs(right - said).mean(), abs=2e-4)
    assert calibration_error(np.array([0, 1]), np.array([[0.8, 0.2], [0.4, 0.6]])) == pytest.approx(0.3)


def test_probabilities_that_are_right_have_little_calibration_error() -> None:
    p = np.random.default_rng(6).uniform(size=60000)
    labels = (np.random.default_rng(7).uniform(size=60000) < p).astype(int)

    assert calibration_error(labels, np.stack([1 - p, p], axis=1)) < 0.01
    assert np.isnan(calibration_error(labels[:0], np.zeros((0, 2))))
