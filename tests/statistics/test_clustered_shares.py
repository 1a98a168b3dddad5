"""Shares of images in clusters: scipy's formulas where clusters are alike, and coverage where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medbench.statistics.claimed_gain import share_interval
from medbench.statistics.clustered_shares import ImageCounts, clustered_interval, count_images, difference_error
from medbench.statistics.patient_scores import score
from medbench.statistics.pool_images_by_patient import units
from medbench.trial.trial import Predictions


def counts(right: np.ndarray, images: np.ndarray | float) -> ImageCounts:
    """Return clusters of one class."""
    n = np.broadcast_to(np.asarray(images, dtype=float), right.shape)
    return ImageCounts(np.array([f"p{i:03}" for i in range(len(right))]), n[:, None], right[:, None].astype(float))


def test_images_of_different_patients_have_wilson_s_interval() -> None:
    right = np.arange(30) < 22

    assert clustered_interval(counts(right, 1)) == pytest.approx(
        tuple(stats.binomtest(22, 30).proportion_ci(method="wilson"))
    )


def test_equal_clusters_have_the_standard_error_of_their_means() -> None:
    rng = np.random.default_rng(0)
    right = rng.binomial(5, rng.beta(2, 1, 25))
    p, error, t = right.mean() / 5, stats.sem(right / 5), stats.t.ppf(0.975, 24)

    for end in clustered_interval(counts(right, 5)):  # where the score test is just rejected, Wilson's equation
        assert (p - end) ** 2 == pytest.approx(t**2 * end * (1 - end) * error**2 / (p * (1 - p)))
    other = rng.binomial(5, 0.5, 25)
    assert difference_error(counts(right, 5), counts(other, 5)) == pytest.approx(stats.sem((right - other) / 5))


def test_two_methods_on_other_images_are_not_paired() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.binomial(3, 0.7, 40), rng.binomial(3, 0.5, 40)
    apart = counts(other, 3)
    renamed = ImageCounts(np.char.add("q", apart.clusters), apart.images, apart.right)
    wanted = np.sqrt(stats.sem(one / 3) ** 2 + stats.sem(other / 3) ** 2)

    assert difference_error(counts(one, 3), renamed) == pytest.approx(wanted, rel=0.01)


def test_the_interval_holds_the_truth_where_images_of_a_patient_are_alike() -> None:
    rng = np.random.default_rng(2)
    held, plain, tables = 0, 0, 400
    for _ in range(tables):
        images = rng.integers(1, 9, 40)
        right = rng.binomial(images, rng.beta(1.5, 0.5, 40))  # .75 of images, correlation 1/3
        low, high = clustered_interval(counts(right, images))
        held += low <= 0.75 <= high
        low, high = share_interval(float(right.sum()), float(images.sum()))
        plain += low <= 0.75 <= high

    assert 0.93 <= held / tables <= 0.98
    assert plain / tables < 0.87


def test_extremes_count_patients_and_one_patient_says_nothing() -> None:
    low, high = clustered_interval(counts(np.full(10, 4), 4))
    assert high == pytest.approx(1)
    assert low < stats.binomtest(10, 10).proportion_ci(method="wilson").low < 0.8
    assert clustered_interval(counts(np.array([3]), 4)) == (0.0, 1.0)


@pytest.mark.parametrize("by_patient", [True, False])
def test_images_are_counted_by_patient_over_folds_and_repeats(by_patient: bool) -> None:
    rng = np.random.default_rng(3)
    patients = np.array([f"p{i // 3}" for i in range(24)])
    labels = np.arange(24) // 3 % 2
    cells, right = {}, np.zeros(24)
    for repeat in range(2):
        for fold in range(2):
            rows = np.flatnonzero(np.arange(24) // 3 % 4 // 2 == fold)
            p = rng.dirichlet([1, 1], len(rows))
            right[rows] += (p.argmax(1) == labels[rows]) / 2
            ids = np.array([f"i{row:02}" for row in rows])
            found = Predictions(ids, patients[rows], labels[rows], p)
            cells[repeat, fold, 0] = units(found, [0.3, 0.7], by_patient=by_patient)
    found = count_images(score(cells, 2), 2)

    assert found.clusters.tolist() == [f"p{i}" for i in range(8)]
    for i in range(8):
        assert found.images[i].tolist() == [3.0 * (i % 2 == k) for k in range(2)]
        assert found.right[i, i % 2] == pytest.approx(right[3 * i : 3 * i + 3].sum())


def test_generated_images_count_one_by_one() -> None:
    ids = np.array(["i0", "i1", "gan#0", "gan#1"])
    patients = np.array(["p0", "p0", "made:gan", "made:gan"])
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.9, 0.1]])
    cells = {(0, 0, 0): units(Predictions(ids, patients, np.array([0, 0, 0, 1]), p), [0.5, 0.5], by_patient=False)}

    assert count_images(score(cells, 2), 2).clusters.tolist() == ["gan#0", "gan#1", "p0"]
