"""Rank correlations within groups, against scipy; their ranges, against simulated patients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from medbench.statistics.rank_correlation import (
    PairedCell,
    cell_gains,
    joint_ranges,
    noise_of_draws,
    rank_correlation,
    widened,
)

VALUES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=40)


@settings(max_examples=80, deadline=None)
@given(VALUES)
def test_one_group_is_spearmans_correlation_with_ties(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, dtype=np.float64).T
    found = rank_correlation(one, other[:, None], np.zeros(len(one), dtype=np.int64))[0]

    if len(set(one)) == 1 or len(set(other)) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)


def test_groups_are_ranked_apart() -> None:
    """Another scale, or more gain, on a second data set does not matter; correlations of equal groups are averaged."""
    rng = np.random.default_rng(1)
    scores, gains, groups = rng.random(40), rng.random(40), np.repeat([0, 1], 20)
    moved = rank_correlation(scores + 100 * groups, (gains + 5 * groups)[:, None], groups)[0]
    apart = [stats.spearmanr(scores[groups == g], gains[groups == g]).statistic for g in (0, 1)]

    assert moved == pytest.approx(np.mean(apart))
    assert abs(rank_correlation(scores + 100 * groups, (gains + 5 * groups)[:, None], 0 * groups)[0]) > 0.6


def test_gains_of_cells_are_differences_in_balanced_accuracy() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 60)
    one, other = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    names = np.array([f"p{k % 30}" for k in range(60)])
    difference = (one == labels).astype(float) - (other == labels)
    cells = [PairedCell(names[rows], labels[rows], difference[rows], "d") for rows in (slice(0, 30), slice(30, 60))]
    found = cell_gains(cells, [3, 3], draws=50)

    for row, rows in enumerate((slice(0, 30), slice(30, 60))):
        of_one, of_other = (balanced_accuracy_score(labels[rows], decided[rows]) for decided in (one, other))
        assert found[row, 0] == pytest.approx(of_one - of_other)
    assert found.shape == (2, 51)
    assert np.array_equal(found, cell_gains(cells, [3, 3], draws=50))
    assert 0.02 < found[0, 1:].std() < 0.3


def test_patients_are_drawn_alike_for_all_cells_of_a_data_set_and_not_of_others() -> None:
    rng = np.random.default_rng(3)
    names, labels = np.array([f"p{k}" for k in range(40)]), np.arange(40) % 2
    difference = rng.integers(-1, 2, 40).astype(float)
    again = rng.permutation(40)
    cells = [
        PairedCell(names, labels, difference, "one"),
        PairedCell(names[again], labels[again], difference[again], "one"),
        PairedCell(np.array([f"q{k}" for k in range(41)]), np.arange(41) % 2, np.append(difference, 0.0), "two"),
    ]
    found = cell_gains(cells, [2, 2, 2], draws=200)

    assert found[0] == pytest.approx(found[1])
    assert np.corrcoef(found[0, 1:], found[2, 1:])[0, 1] < 0.5


def test_the_ranges_hold_together_in_95_percent_of_draws_of_patients() -> None:
    """Generators and scores stay, patients are new; docs/benchmarks/scores_and_gains.py has larger runs."""
    rng = np.random.default_rng(4)
    skill = np.array([-1.0, 0.2, 1.0])
    cells = [(repeat, fold, g) for repeat in range(2) for fold in range(3) for g in range(3)]
    scores = np.array([[skill[g] * weight + rng.normal() for _, _, g in cells] for weight in (0.0, 0.5, 1.5)])
    groups, labels = np.zeros(len(cells), dtype=np.int64), (np.arange(60) % 3 == 0).astype(np.int64)
    names = np.array([f"p{k}" for k in range(60)])
    seen, low, high = [], [], []
    for _ in range(120):
        difficulty = rng.normal(size=60)
        paired = []
        for _repeat in range(2):
            order = rng.permutation(60)
            for fold in range(3):
                part = order[fold::3]
                above = difficulty[part] + rng.normal(0, 0.7, len(part)) < 0.8
                for g in range(3):
                    right = difficulty[part] + rng.normal(0, 0.7, len(part)) < 0.8 + 0.3 * skill[g]
                    paired.append(PairedCell(names[part], labels[part], right.astype(float) - above, "d"))
        gains = cell_gains(paired, [2] * len(paired), draws=200)
        drawn = np.array([rank_correlation(one, gains, groups) for one in scores])
        again = np.array([widened(one[1:], gains, groups) for one in drawn])
        ends = joint_ranges(drawn[:, 0], again, df=19)
        seen.append(drawn[:, 0])
        low.append(ends[0])
        high.append(ends[1])
    truth = np.mean(seen, axis=0)
    held = ((np.array(low) <= truth) & (truth <= np.array(high))).all(1)

    assert 0.89 <= held.mean() <= 1.0
    assert truth[2] > truth[0]


def test_draws_of_pure_luck_are_noisier_by_the_root_of_two() -> None:
    rng = np.random.default_rng(5)
    gains = rng.normal(size=(2000, 1))
    drawn = np.hstack([gains, gains + rng.normal(size=(2000, 200))])

    assert noise_of_draws(drawn, np.zeros(2000, dtype=np.int64)) == pytest.approx(2**0.5, rel=0.03)
    assert noise_of_draws(np.zeros((5, 3)), np.zeros(5, dtype=np.int64)) == 1.0
