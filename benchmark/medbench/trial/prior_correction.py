"""Predicted probabilities: the check of what a classifier returns, and the correction for the class frequencies."""

from __future__ import annotations

import numpy as np

from medbench.errors import ContractError
from medbench.samples import Samples


def check_probabilities(values: np.ndarray, test: Samples, *, classifier: str) -> np.ndarray:
    """Return ``float64 (n, n_classes)`` probabilities if a classifier kept to its contract.

    Raises:
        ContractError: If the shape is wrong, a value is not finite or negative, or a row does not sum to 1.
    """
    p = np.asarray(values, dtype=np.float64)
    expected = (len(test), len(test.classes))
    if p.shape != expected:
        raise ContractError(
            f"classifier {classifier!r} returned probabilities of shape {p.shape}, expected {expected}."
        )
    if not np.isfinite(p).all() or (p < 0).any():
        raise ContractError(f"classifier {classifier!r} returned probabilities that are negative or not finite.")
    if not np.allclose(p.sum(1), 1, atol=1e-4):
        raise ContractError(f"classifier {classifier!r} returned rows that do not sum to 1.")
    return p / p.sum(1, keepdims=True)


def correct_prior(probabilities: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Divide probabilities by the class frequencies the classifier saw, and scale rows to sum to 1.

    The decision is then the same whether a class was rare in training or drawn as often as the others.

    Source:
        Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, arXiv 2007.07314, equation 9.
    """
    seen = frequencies > 0
    scaled = np.where(seen, probabilities / np.where(seen, frequencies, 1.0), 0.0)
    total = scaled.sum(1, keepdims=True)
    return np.where(total > 0, scaled / np.where(total > 0, total, 1.0), 1.0 / len(frequencies))
