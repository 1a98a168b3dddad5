"""Thresholds learnt on watched patients: the fit, and that nobody's label reaches the own threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special

from medbench.statistics.fair_threshold import LEAST_SLOPE, at_fair_thresholds, learn_threshold
from medbench.statistics.patient_scores import Cell, score
from medbench.statistics.pool_images_by_patient import Units


def units_of(rng: np.random.Generator, rows: np.ndarray, labels: np.ndarray, shift: float) -> Units:
    odds = 2 * rng.standard_normal(len(rows)) + 3 * (labels[rows] - 0.5) + shift
    p = np.stack([1 - special.expit(odds), special.expit(odds)], axis=1)
    names = np.array([f"p{row:03}" for row in rows])
    return Units(names, names, labels[rows], p, p)


def arm_of(shift: float, seed: int = 0, n: int = 200) -> tuple[dict[Cell, Units], dict[Cell, Units], np.ndarray]:
    """Return tested and watched units of 5 folds, each watching the fold behind it."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) // 5 % 4 == 0).astype(np.int64)
    parts = [np.flatnonzero(np.arange(n) % 5 == fold) for fold in range(5)]
    tested = {(0, fold, 0): units_of(rng, parts[fold], labels, shift) for fold in range(5)}
    watched = {(0, fold, 0): units_of(rng, parts[(fold + 1) % 5], labels, shift) for fold in range(5)}
    return tested, watched, labels


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("penalty", [0.03, 1.0])
@pytest.mark.parametrize("known", [1.5, -0.5])
def test_the_fit_minimises_the_loss_that_is_stated(n_classes: int, penalty: float, known: float) -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(90) % 7 % n_classes
    patients = np.arange(90).astype(str)
    logs = rng.standard_normal((90, n_classes)) + np.eye(n_classes)[labels] * known - np.arange(n_classes)
    p = special.softmax(logs, axis=1)
    rarest = np.bincount(labels).min()

    def loss(at: np.ndarray) -> float:
        lost = -special.log_softmax(at[0] * np.log(p) + at[1:], axis=1)[np.arange(90), labels]
        of_classes = [lost[labels == k].mean() for k in range(n_classes)]
        return float(np.mean(of_classes) + penalty / rarest * ((at[0] - 1) ** 2 + (at[1:] ** 2).sum()))

    found = learn_threshold(p, labels, patients, penalty)
    bounds = [(LEAST_SLOPE, None), *[(None, None)] * n_classes]
    start = np.r_[1.0, np.zeros(n_classes)]
    reference = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"gtol": 1e-9, "ftol": 0}).x

    assert found is not None
    assert (found.slope == LEAST_SLOPE) == (known < 0)  # scores that mislead
    assert np.r_[found.slope, found.bias] == pytest.approx(reference, abs=1e-5)
    assert found.bias.sum() == pytest.approx(0, abs=1e-9)


def test_a_moved_threshold_gains_nothing() -> None:
    (plain, watched, _), (moved, of_moved, _) = arm_of(0.0), arm_of(-4.0)
    fixed = [score(cells, 2).balanced_accuracy for cells in (plain, moved)]
    fair = [score(at_fair_thresholds(*both), 2).balanced_accuracy for both in ((plain, watched), (moved, of_moved))]

    assert fixed[0] - fixed[1] > 0.15
    assert abs(fair[0] - fair[1]) < 0.03


def test_a_threshold_keeps_the_order_of_patients() -> None:
    tested, watched, _ = arm_of(-2.0)
    fair = at_fair_thresholds(tested, watched)

    assert score(fair, 2).auroc == pytest.approx(score(tested, 2).auroc)


def test_no_label_of_a_tested_patient_reaches_the_own_threshold() -> None:
    tested, watched, _ = arm_of(-1.0)
    before = at_fair_thresholds(tested, watched)
    cell = (0, 2, 0)
    planted = {  # every watched label of the patients tested in this training run, wherever they are watched
        key: replace(u, labels=np.where(np.isin(u.clusters, tested[cell].clusters), 1 - u.labels, u.labels))
        for key, u in watched.items()
    }
    after = at_fair_thresholds(tested, planted)

    assert np.array_equal(before[cell].probabilities, after[cell].probabilities)
    assert not np.array_equal(before[0, 0, 0].probabilities, after[0, 0, 0].probabilities)


def test_who_shares_a_picture_with_a_tested_patient_is_left_out_too() -> None:
    tested, watched, _ = arm_of(-1.0)
    joined = {
        key: replace(u, clusters=np.where(u.names == "p001", "p000", u.clusters)) for key, u in watched.items()
    }  # p000 is tested in fold 0
    planted = {key: replace(u, labels=np.where(u.names == "p001", 1 - u.labels, u.labels)) for key, u in joined.items()}
    before, after = (at_fair_thresholds(tested, of_it)[0, 0, 0].probabilities for of_it in (joined, planted))

    assert np.array_equal(before, after)


def test_the_same_for_everybody_scores_what_chance_does() -> None:
    tested, watched, _ = arm_of(0.0)
    alike = [
        {
            key: replace(u, probabilities=np.tile([0.5 + key[1] / 50, 0.5 - key[1] / 50], (len(u.labels), 1)))
            for key, u in cells.items()
        }
        for cells in (tested, watched)
    ]

    assert score(at_fair_thresholds(*alike), 2).balanced_accuracy == pytest.approx(0.5)


def test_scores_that_mislead_are_not_turned_round() -> None:
    tested, watched, _ = arm_of(0.0)
    turned = {key: replace(u, probabilities=u.probabilities[:, ::-1]) for key, u in watched.items()}

    fair = score(at_fair_thresholds(tested, turned), 2)

    assert fair.auroc == pytest.approx(score(tested, 2).auroc)
    assert fair.balanced_accuracy > 0.7  # a threshold midway between the classes, not one that tells nobody apart


def test_a_class_that_was_never_watched_gives_no_threshold() -> None:
    tested, watched, _ = arm_of(0.0)
    healthy = {key: replace(u, labels=np.zeros_like(u.labels)) for key, u in watched.items()}

    assert at_fair_thresholds(tested, healthy) == {}
    assert at_fair_thresholds(tested, {}) == {}
