"""Recalls, macro F1 and macro AUROC at their edges; scikit-learn checks them in test_patient_scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.statistics.class_metrics import confusion_matrix, macro_auroc, macro_f1, recalls_of

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


def test_a_class_that_was_never_tested_lowers_no_mean() -> None:
    confusion = confusion_matrix(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), 3)

    assert np.array_equal(recalls_of(confusion), [1, 0.5, np.nan], equal_nan=True)
    assert macro_f1(confusion) == pytest.approx((1 + 2 / 3) / 2)
