"""Pooling of images into patients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.statistics.class_metrics import confusion_matrix
from medbench.statistics.pool_images_by_patient import Units, labels_agree, units, units_of
from medbench.trial.prior_correction import correct_prior
from medbench.trial.trial import Predictions

SEEDS = st.integers(0, 2**32)


def named(n: int) -> np.ndarray:
    return np.array([f"p{i:05d}" for i in range(n)])


def test_a_patient_is_the_geometric_mean_of_the_images() -> None:
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    predictions = Predictions(np.array(["a", "b", "c"]), np.array(["z", "z", "y"]), np.array([1, 1, 0]), p)

    of_patients = units(predictions, [0.5, 0.5], by_patient=True)
    of_images = units(predictions, [0.5, 0.5], by_patient=False)

    geometric = np.sqrt(p[0] * p[1])
    assert of_patients.names.tolist() == ["y", "z"]
    assert of_patients.labels.tolist() == [0, 1]
    assert of_patients.probabilities[1] == pytest.approx(geometric / geometric.sum())
    assert of_images.names.tolist() == ["a", "b", "c"]
    assert of_images.clusters.tolist() == ["z", "z", "y"]


@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_images_of_a_patient_count_once_in_whatever_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    patients = rng.integers(0, 6, 20)
    labels = np.arange(6)[patients] % 3
    p = rng.dirichlet(np.ones(3), 20)
    names, order = named(20), rng.permutation(20)
    frequencies = [0.5, 0.3, 0.2]

    here = units(Predictions(names, patients.astype(str), labels, p), frequencies, by_patient=True)
    there = units(
        Predictions(names[order], patients[order].astype(str), labels[order], p[order]), frequencies, by_patient=True
    )

    assert here.names.tolist() == sorted(set(patients.astype(str)))
    assert here.probabilities == pytest.approx(there.probabilities)
    assert here.labels.tolist() == there.labels.tolist()


def test_certain_images_give_finite_patients() -> None:
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = units(Predictions(named(2), np.array(["a", "a"]), np.array([0, 0]), p), [0.5, 0.5], by_patient=True)

    assert found.probabilities == pytest.approx(np.array([[0.5, 0.5]]))


def test_a_patient_with_two_labels_is_noticed() -> None:
    assert labels_agree(np.array(["a", "a", "b"]), np.array([1, 1, 0]))
    assert not labels_agree(np.array(["a", "a", "b"]), np.array([1, 0, 0]))


@given(seed=SEEDS, k=st.integers(2, 12), by_patient=st.booleans())
@settings(max_examples=60, deadline=None)
def test_cells_computed_together_have_the_bits_of_each_alone(seed: int, k: int, by_patient: bool) -> None:
    rng = np.random.default_rng(seed)
    cells, frequencies = [], []
    shared = rng.integers(0, 7, 20).astype(str)
    for i in range(6):
        n = 20 if i % 2 else int(rng.integers(1, 30))
        patients = shared if i % 2 else rng.integers(0, 7, n).astype(str)
        p = rng.dirichlet(np.full(k, 0.3), n)
        p[rng.random(n) < 0.1] = np.eye(k)[0]
        cells.append(Predictions(named(n), patients, rng.integers(0, k, n), p))
        frequencies.append((np.arange(k) > 0) / (k - 1) if i < 2 else rng.dirichlet(np.ones(k)))
    frequencies[4] = frequencies[5]

    together = units_of(cells, frequencies, by_patient=by_patient)

    for found, alone in zip(together, map(units_by_definition, cells, frequencies, [by_patient] * 6), strict=True):
        for one, other in zip(vars(found).values(), vars(alone).values(), strict=True):
            if one is None:  # one image each
                assert other is None
                continue
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)


def units_by_definition(p: Predictions, frequencies: np.ndarray, by_patient: bool) -> Units:
    """Return the units of one cell, patient by patient."""
    corrected = correct_prior(p.probabilities, frequencies)
    decisions = confusion_matrix(p.labels, p.probabilities.argmax(1), p.probabilities.shape[1])
    if not by_patient:
        return Units(p.ids, p.patients, p.labels, corrected, p.probabilities, decisions, np.asarray(frequencies))
    names, first = np.unique(p.patients, return_index=True)
    pooled = []
    for of_images in (corrected, p.probabilities):
        logs = np.log(np.maximum(of_images, 1e-12))
        mean = np.empty((len(names), logs.shape[1]))
        for i, name in enumerate(names):
            total = np.zeros(logs.shape[1])
            for row in logs[p.patients == name]:
                total += row
            mean[i] = total / (p.patients == name).sum()
        powers = np.exp(mean - mean.max(1, keepdims=True))
        pooled.append(powers / powers.sum(1, keepdims=True))
    right = p.probabilities.argmax(1) == p.labels
    counts = (np.array([np.sum(of[p.patients == name]) for name in names]) for of in (np.ones(len(right), int), right))
    return Units(names, names, p.labels[first], *pooled, decisions, np.asarray(frequencies), *counts)


@pytest.mark.parametrize("by_patient", [True, False])
def test_patients_who_share_a_picture_are_drawn_together(by_patient: bool) -> None:
    patients, groups = np.array(["a", "a", "b", "c"]), np.array(["ab", "ab", "ab", "c"])
    p = np.full((4, 2), 0.5)

    found = units(Predictions(named(4), patients, np.array([1, 1, 1, 0]), p, groups), [0.5, 0.5], by_patient=by_patient)

    assert found.clusters.tolist() == (["ab", "ab", "c"] if by_patient else ["ab", "ab", "ab", "c"])
