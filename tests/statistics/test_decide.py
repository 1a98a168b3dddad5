"""Decisions: ties are no class's, and a classifier that says the same of everybody knows nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.protocols.folds import assign_folds
from medbench.statistics.decide import decide, decide_units
from medbench.statistics.patient_scores import Cell, score
from medbench.statistics.pool_images_by_patient import Units, units
from medbench.trial.trial import Predictions


@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, 5))
def test_without_ties_the_likeliest_class_is_decided(seed: int, k: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(k), 20)

    found = decide(p)

    assert (found.argmax(1) == p.argmax(1)).all()
    assert np.isin(found, [0, 1]).all()


def test_ties_are_shared() -> None:
    found = decide(np.array([[0.4, 0.4, 0.2], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7]]))

    assert found.tolist() == [[0.5, 0.5, 0], [pytest.approx(1 / 3)] * 3, [0, 0, 1]]


def cells(per_class: tuple[int, ...], says: str, noise: float = 0.0, seed: int = 0) -> dict[Cell, Units]:
    """Return cells of 5 folds x 3 in which everybody gets nearly the same: equal probabilities, or the frequencies.

    Args:
        per_class: Patients.
        says: "half" or "frequencies".
        noise: Standard deviation of the log probabilities.
        seed: Of the noise.
    """
    rng, k = np.random.default_rng(seed), len(per_class)
    labels = np.repeat(range(k), per_class)
    names = np.array([f"p{i:03}" for i in range(len(labels))])
    made: dict[Cell, Units] = {}
    for repeat in range(3):
        fold = assign_folds(names, labels, 5, salt=str(repeat), evenly=True)
        for f in range(5):
            here = fold == f
            frequencies = np.bincount(labels[~here]) / (~here).sum()
            p = np.tile([1 / k] * k if says == "half" else frequencies, (here.sum(), 1))
            p = p * np.exp(noise * rng.standard_normal(p.shape))
            p /= p.sum(1, keepdims=True)
            predictions = Predictions(names[here], names[here], labels[here], p)
            made[repeat, f, 0] = units(predictions, frequencies, by_patient=True)
    return made


@pytest.mark.parametrize("per_class", [(12, 12), (22, 22), (13, 29), (52, 246)])
@pytest.mark.parametrize("says", ["half", "frequencies"])
def test_a_constant_answer_scores_as_chance_does(per_class: tuple[int, int], says: str) -> None:
    """A fold is rich in the class that its training part is poor in, so 12 and 12 had 58.3 by its own frequencies."""
    assert score(cells(per_class, says), 2).balanced_accuracy == pytest.approx(0.5)


@pytest.mark.parametrize("per_class", [(12, 12), (22, 22), (33, 33), (12, 12, 12)])
@pytest.mark.parametrize("noise", [1e-6, 0.005, 0.02])
def test_nearly_constant_answers_score_as_chance_does(per_class: tuple[int, ...], noise: float) -> None:
    """By the frequencies of its folds, one half with noise of a millionth had 58 % at 12 and 12, 55 at 22 and 22."""
    k = len(per_class)
    found = [score(cells(per_class, "half", noise, seed), k).balanced_accuracy for seed in range(30)]

    assert np.mean(found) == pytest.approx(1 / k, abs=0.02)


def test_where_patients_are_told_apart_decisions_follow_the_frequencies_of_the_fold() -> None:
    rng, labels = np.random.default_rng(4), np.repeat([0, 1], [20, 20])
    of_cells = []
    for frequencies in ([0.48, 0.52], [0.52, 0.48]):
        p = 1 / (1 + np.exp(-rng.normal(0, 1, (40, 1)))) * [[1, -1]] + [[0, 1]]
        p[0] = [0.505, 0.495]  # near the threshold, and decided all the same
        of_cells.append(Units(labels.astype(str), labels.astype(str), labels, p, p, None, np.array(frequencies)))

    assert all(
        (found == decide(u.probabilities)).all() for found, u in zip(decide_units(of_cells), of_cells, strict=True)
    )


def test_a_training_that_prefers_a_class_by_far_is_not_tied() -> None:
    """Everybody is rare, at any frequencies: that is a decision, though a poor one."""
    labels = np.repeat([0, 1], [10, 10])
    p = np.tile([0.1, 0.9], (20, 1))
    of_cells = [Units(labels.astype(str), labels.astype(str), labels, p, p, None, np.array(f)) for f in
                ([0.5, 0.5], [0.45, 0.55])]  # fmt: skip

    assert all((one == [0, 1]).all() for one in decide_units(of_cells))
