"""Probabilities of classifiers: the check, and the correction for class frequencies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.errors import ContractError
from medbench.testing import toy_samples
from medbench.trial.prior_correction import check_probabilities, correct_prior


@pytest.mark.parametrize(
    "values",
    [
        np.full((40, 3), 1 / 3),
        np.full((39, 2), 0.5),
        np.full((40, 2), np.nan),
        np.full((40, 2), 0.4),
        np.tile([1.5, -0.5], (40, 1)),
    ],
)
def test_values_that_are_no_probabilities_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ContractError, match="'broken'"):
        check_probabilities(values, toy_samples(40), classifier="broken")


@given(seed=st.integers(0, 2**32), k=st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_prior_correction_is_menons_subtraction_of_the_log_prior(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    logits, frequencies = rng.normal(size=(20, k)), rng.dirichlet(np.ones(k)) + 1e-3
    frequencies /= frequencies.sum()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    corrected = correct_prior(p, frequencies)

    adjusted = logits - np.log(frequencies)  # Menon et al. 2021, equation 9 with tau = 1
    assert np.array_equal(corrected.argmax(1), adjusted.argmax(1))
    assert corrected == pytest.approx(np.exp(adjusted) / np.exp(adjusted).sum(1, keepdims=True))


def test_prior_correction_by_hand_and_at_its_edges() -> None:
    assert correct_prior(np.array([[0.8, 0.2]]), np.array([0.9, 0.1])) == pytest.approx(
        np.array([[0.8 / 0.9, 2.0]]) / (0.8 / 0.9 + 2.0)
    )
    p = np.random.default_rng(0).dirichlet(np.ones(3), 10)
    assert correct_prior(p, np.full(3, 1 / 3)) == pytest.approx(p)
    assert correct_prior(np.array([[0.5, 0.5]]), np.array([1.0, 0.0])).tolist() == [[1.0, 0.0]]
    assert correct_prior(np.array([[0.0, 1.0]]), np.array([1.0, 0.0])).tolist() == [[0.5, 0.5]]
