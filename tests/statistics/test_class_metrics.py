"""Recalls, macro F1 and macro AUROC at their edges; scikit-learn checks them in test_patient_scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.statistics.class_metrics import (
    confusion_matrix,
    macro_auroc,
    macro_aurocs,
    macro_aurocs_and_moves,
    macro_f1,
    recalls_of,
)

SEEDS = st.integers(0, 2**32)


def test_ties_count_half_in_auroc() -> None:
    labels = np.array([0, 0, 1, 1])

    assert macro_auroc(labels, np.full((4, 2), 0.5)) == 0.5
    assert macro_auroc(labels, np.array([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.2, 0.8]])) == 3.5 / 4


@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_auroc_depends_on_order_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.r_[0, 1, rng.integers(0, 2, 20)]
    p = rng.random(22).round(1)

    assert macro_auroc(labels, np.c_[1 - p, p]) == pytest.approx(macro_auroc(labels, np.c_[1 - p**3, p**3]))


def covariance_of_delong(labels: np.ndarray, scores: np.ndarray, others: np.ndarray) -> float:
    """Return their covariance of two AUROCs of the same units, as their equations (5) and (6) are written."""

    def kernel(x: float, y: float) -> float:
        return 1.0 if x > y else 0.5 if x == y else 0.0

    diseased, healthy = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    of_diseased = [[np.mean([kernel(s[i], s[j]) for j in healthy]) for i in diseased] for s in (scores, others)]
    of_healthy = [[np.mean([kernel(s[i], s[j]) for i in diseased]) for j in healthy] for s in (scores, others)]
    return float(np.cov(of_diseased)[0, 1] / len(diseased) + np.cov(of_healthy)[0, 1] / len(healthy))


@given(seed=SEEDS, rare=st.integers(2, 9), digits=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_what_units_move_an_auroc_by_has_the_variances_of_delong(seed: int, rare: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [rng.permutation(np.r_[np.ones(n), np.zeros(n + 3)].astype(np.int64)) for n in (rare, 4)]
    scores = [[(rng.normal(size=len(y)) + y).round(digits) for y in labels] for _ in range(2)]
    ends = np.cumsum([len(y) for y in labels])[:-1]

    moves = [
        np.split(macro_aurocs_and_moves(labels, [np.c_[-p, p] for p in of_method])[1], ends) for of_method in scores
    ]

    for part, y in enumerate(labels):
        one, other = (of_method[part] for of_method in moves)
        p, q = (of_method[part] for of_method in scores)
        assert one @ other == pytest.approx(covariance_of_delong(y, p, q), abs=1e-12)
        assert one @ one == pytest.approx(covariance_of_delong(y, p, p), abs=1e-12)


def test_a_class_that_was_never_tested_lowers_no_mean() -> None:
    confusion = confusion_matrix(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), 3)

    assert np.array_equal(recalls_of(confusion), [1, 0.5, np.nan], equal_nan=True)
    assert macro_f1(confusion) == pytest.approx((1 + 2 / 3) / 2)


@given(seed=SEEDS, k=st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_parts_ranked_at_once_have_the_bits_of_each_alone(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [rng.integers(0, k, n) for n in rng.integers(1, 40, 8)]
    p = [rng.dirichlet(np.ones(k), len(of_part)).round(int(rng.integers(1, 9))) for of_part in labels]

    np.testing.assert_array_equal(
        macro_aurocs(labels, p), [auroc_by_definition(*both) for both in zip(labels, p, strict=True)]
    )


def auroc_by_definition(labels: np.ndarray, p: np.ndarray) -> float:
    """Return the mean over classes of the share of pairs in the right order, ties counted half."""
    values = []
    for k in range(p.shape[1]):
        own, others = p[labels == k, k], p[labels != k, k]
        if not len(own) or not len(others):
            return float("nan")
        right = (own[:, None] > others).sum() + 0.5 * (own[:, None] == others).sum()
        values.append(right / (len(own) * len(others)))
    return float(np.mean(values))
