"""Intervals of what an arm reaches by itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medbench.statistics.absolute_intervals import ranges_of
from medbench.statistics.patient_scores import score
from medbench.statistics.pool_images_by_patient import Units


def arm_of(rng: np.random.Generator, n: int = 400, shift: float = 1.0, sure: float = 1.0):  # type: ignore[no-untyped-def]
    labels = np.repeat([0, 1], [n // 2, n // 2])
    names = np.array([f"p{i:05}" for i in range(n)])
    p = stats.norm.cdf(sure * (rng.standard_normal(n) + shift * (2 * labels - 1) / 2))
    p = np.stack([1 - p, p], axis=1)
    return score({(0, 0, 0): Units(names, names, labels, p, p)}, 2)


def test_of_one_test_part_they_are_those_of_shares_and_of_delong() -> None:
    found = arm_of(np.random.default_rng(0))
    ranges = ranges_of(found, folds=1)

    for k, (low, high) in enumerate(ranges.recalls):
        share, t = found.recalls[k], stats.t.ppf(0.975, 199)
        half = t * np.sqrt(share * (1 - share) / 200)
        assert (low, high) == pytest.approx((share - half, share + half))
    halves = [(high - low) / 2 for low, high in ranges.recalls]
    assert ranges.balanced_accuracy[1] - found.balanced_accuracy == pytest.approx(np.hypot(*halves) / 2)


@pytest.mark.slow
def test_they_cover_what_is_true() -> None:
    """Binormal scores one deviation apart: balanced accuracy .69, AUROC .76; 400 patients, one test part."""
    rng, hits = np.random.default_rng(1), []
    truth = stats.norm.cdf(0.5), stats.norm.cdf(1 / np.sqrt(2))
    for _ in range(400):
        ranges = ranges_of(arm_of(rng), folds=1)
        each = (ranges.balanced_accuracy, truth[0]), (ranges.auroc, truth[1]), (ranges.recalls[1], truth[0])
        hits.append([low <= value <= high for (low, high), value in each])

    assert np.mean(hits, axis=0) == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / 400))


def test_ends_stay_within_what_can_be() -> None:
    ranges = ranges_of(arm_of(np.random.default_rng(2), n=40, shift=8), folds=1)

    assert ranges.balanced_accuracy[1] == ranges.auroc[1] == 1
    assert 0.8 < ranges.recalls[0][0] < 1  # 20 of 20 right leaves room below
