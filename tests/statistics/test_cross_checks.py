"""Details of a comparison against scipy, an integral in float64 and simulated components; sentences 3, 4 and 6."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn import metrics

from medbench.statistics.cross_checks import corrected_t, fold_gains, fold_overlap, share_tested, spread
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units

SEEDS = st.integers(0, 2**32)
Gains = dict[tuple[int, int], np.ndarray]


def gains_of(rng: np.random.Generator, repeats: int, folds: int, seeds: int = 1, mean: float = 0.03) -> Gains:
    return {(r, f): rng.normal(mean, 0.05, seeds) for r in range(repeats) for f in range(folds)}


@given(seed=SEEDS, repeats=st.integers(1, 5), folds=st.integers(2, 8), ratio=st.floats(0.05, 1))
@settings(max_examples=60, deadline=None)
def test_sentence_4_the_corrected_t_is_nadeau_and_bengios(seed: int, repeats: int, folds: int, ratio: float) -> None:
    gains = gains_of(np.random.default_rng(seed), repeats, folds)

    found = corrected_t(gains, ratio=ratio, worth=0.02)

    assert found is not None
    d = np.concatenate(list(gains.values()))
    n = len(d)
    t = d.mean() / math.sqrt(d.var(ddof=1) * (1 / n + ratio))
    assert found.df == n - 1
    assert found.value == pytest.approx(d.mean())
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), n - 1), abs=1e-9)
    low, high = stats.t.interval(0.95, n - 1, loc=d.mean(), scale=math.sqrt(d.var(ddof=1) * (1 / n + ratio)))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_without_the_correction_it_is_the_t_test_of_scipy() -> None:
    gains = gains_of(np.random.default_rng(0), 1, 10)

    found = corrected_t(gains, ratio=0.0, worth=0.02)

    expected = stats.ttest_1samp(np.concatenate(list(gains.values())), 0.0)
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


@given(seed=SEEDS, worth=st.floats(0.001, 0.1))
@settings(max_examples=25, deadline=None)
def test_sentence_3_better_same_and_worse_are_the_posterior_of_the_correlated_t_test(seed: int, worth: float) -> None:
    """The likelihood of correlated normals is integrated over mean and variance, prior 1 / variance.

    Benavoli et al. 2017: x = mu 1 + v with covariance sigma^2 ((1 - rho) I + rho 1 1'), rho = 1 / K.
    """
    n, rho = 10, 0.2
    d = np.random.default_rng(seed).normal(0.02, 0.05, n)
    spread_of_d = ((d - d.mean()) ** 2).sum()

    def density(mu: float) -> float:
        # The two eigenvalues of the covariance: 1 - rho, and 1 + (n - 1) rho along the mean.
        squares = spread_of_d / (1 - rho) + n * (d.mean() - mu) ** 2 / (1 + (n - 1) * rho)
        return squares ** (-n / 2)

    scale = d.std()
    pieces = [(-8 * scale + d.mean(), -worth), (-worth, worth), (worth, 8 * scale + d.mean())]
    masses = np.array(
        [
            integrate.quad(
                lambda x: density(x) / density(d.mean()), a, b, points=[d.mean()] if a < d.mean() < b else None
            )[0]
            if b > a
            else 0.0
            for a, b in pieces
        ]
    )
    worse, same, better = masses / masses.sum()

    found = corrected_t(
        {(r, f): d[[5 * r + f]] for r in range(2) for f in range(5)}, ratio=rho / (1 - rho), worth=worth
    )

    assert found is not None
    assert (found.worse, found.same, found.better) == pytest.approx((worse, same, better), abs=2e-3)
    assert found.worse + found.same + found.better == pytest.approx(1)


@given(seed=SEEDS, first=st.floats(0.001, 0.1), more=st.floats(0, 0.1))
@settings(max_examples=40, deadline=None)
def test_the_more_is_worth_having_the_more_is_the_same(seed: int, first: float, more: float) -> None:
    gains = gains_of(np.random.default_rng(seed), 3, 5)

    one, other = (corrected_t(gains, ratio=0.31, worth=w) for w in (first, first + more))

    assert one is not None
    assert other is not None
    assert other.same >= one.same - 1e-12
    assert other.better <= one.better + 1e-12


def test_sentence_6_seeds_are_no_repeats() -> None:
    gains = gains_of(np.random.default_rng(1), 3, 5)
    tripled = {key: np.repeat(value, 3) for key, value in gains.items()}

    assert corrected_t(tripled, ratio=0.31, worth=0.02) == corrected_t(gains, ratio=0.31, worth=0.02)


def test_sentence_6_an_official_cut_has_no_folds_to_test() -> None:
    assert corrected_t({(r, 0): np.ones(1) for r in range(5)}, ratio=0.3, worth=0.02) is None


def test_equal_folds_have_no_error() -> None:
    equal = {(0, f): np.full(1, 0.05) for f in range(5)}

    found = corrected_t(equal, ratio=0.31, worth=0.02)

    assert found is not None
    assert (found.better, found.same, found.worse, found.p) == (1, 0, 0, 0)
    nothing = corrected_t({(0, f): np.zeros(1) for f in range(5)}, ratio=0.31, worth=0.02)
    assert nothing is not None
    assert (nothing.better, nothing.same, nothing.worse, nothing.p) == (0, 1, 0, 1)


def test_sentence_6_the_ratio_is_of_patients_without_validation() -> None:
    assert share_tested([20, 20], [64, 64]) == pytest.approx(0.3125)
    assert share_tested([10, 30], [74, 54]) == pytest.approx((10 / 74 + 30 / 54) / 2)


def units(rng: np.random.Generator, labels: np.ndarray, first: int = 0) -> Units:
    names = np.array([f"p{first + i:04d}" for i in range(len(labels))])
    p = rng.dirichlet(np.ones(3), len(labels))
    return Units(names, names, labels, p, p)


def test_gains_of_folds_are_differences_of_balanced_accuracy() -> None:
    rng = np.random.default_rng(2)
    labels = {f: np.r_[0, 1, 2, rng.integers(0, 3, 20)] for f in range(2)}
    arm, control = (
        {(r, f, s): units(rng, labels[f], 100 * f) for r in range(2) for f in range(2) for s in range(3)}
        for _ in range(2)
    )

    found = fold_gains(arm, control, 3)

    assert set(found) == {(r, f) for r in range(2) for f in range(2)}
    for (r, f), values in found.items():
        expected = [
            metrics.balanced_accuracy_score(labels[f], arm[r, f, s].probabilities.argmax(1))
            - metrics.balanced_accuracy_score(labels[f], control[r, f, s].probabilities.argmax(1))
            for s in range(3)
        ]
        assert values == pytest.approx(expected)


def test_gains_of_different_patients_are_refused() -> None:
    rng, labels = np.random.default_rng(3), np.array([0, 1, 2])
    one: dict[Cell, Units] = {(0, 0, 0): units(rng, labels)}

    for other in ({(0, 1, 0): units(rng, labels)}, {(0, 0, 0): units(rng, labels, 50)}):
        with pytest.raises(ValueError, match="different patients"):
            fold_gains(one, other, 3)


def test_fresh_partitions_overlap_by_one_in_k_and_repeated_ones_wholly() -> None:
    rng = np.random.default_rng(4)
    fresh = np.stack([rng.permutation(500) % 5 for _ in range(4)])

    assert fold_overlap(fresh) == pytest.approx(1 / 5, abs=0.01)
    assert fold_overlap(np.stack([fresh[0], (fresh[0] + 1) % 5])) == 1
    assert math.isnan(fold_overlap(fresh[:1]))


def test_variance_of_folds_generators_and_seeds_is_told_apart() -> None:
    """Known components: standard deviations of .05, .03 and .02, over 600 blocks."""
    rng = np.random.default_rng(5)
    shape = (600, 4, 5)
    gains = rng.normal(0, 0.05, (600, 1, 1)) + rng.normal(0, 0.03, (600, 4, 1)) + rng.normal(0, 0.02, shape)

    found = spread(gains)

    assert (found.folds, found.generators, found.seeds) == pytest.approx((0.05, 0.03, 0.02), rel=0.08)


def test_components_of_a_balanced_block_by_hand() -> None:
    gains = np.array(
        [[[1.0, 2, 3], [2, 4, 6], [0, 0, 3]], [[5, 5, 8], [7, 7, 7], [9, 6, 9]], [[1, 0, 2], [3, 3, 3], [2, 2, 5]]]
    )

    found = spread(gains)

    within = np.mean([row.var(ddof=1) for block in gains for row in block])
    of_generators = np.mean([block.mean(1).var(ddof=1) for block in gains])
    of_folds = gains.mean((1, 2)).var(ddof=1)
    assert found.seeds == pytest.approx(math.sqrt(within))
    assert found.generators == pytest.approx(math.sqrt(max(0, of_generators - within / 3)))
    assert found.folds == pytest.approx(math.sqrt(of_folds - of_generators / 3))
    assert found.buy == "folds"


@pytest.mark.parametrize(
    ("shape", "known"),
    [((1, 3, 3), (False, True, True)), ((5, 1, 3), (True, False, True)), ((5, 3, 1), (True, False, False)),
     ((1, 2, 3), (False, False, True)), ((5, 1, 1), (False, False, False)), ((2, 2, 2), (False, False, False))],
)  # fmt: skip
def test_with_fewer_than_three_draws_nothing_is_separable_and_nothing_is_zero(
    shape: tuple[int, int, int], known: tuple[bool, bool, bool]
) -> None:
    found = spread(np.random.default_rng(6).normal(size=shape))

    assert tuple(v is not None for v in (found.folds, found.generators, found.seeds)) == known
    assert found.buy == ""


@pytest.mark.parametrize("largest", ["folds", "generators", "seeds"])
def test_what_to_buy_next_is_what_the_mean_varies_with_most(largest: str) -> None:
    rng = np.random.default_rng(7)
    size = {"folds": 0.01, "generators": 0.01, "seeds": 0.01, largest: 1.0}
    gains = (
        size["folds"] * rng.normal(size=(40, 1, 1))
        + size["generators"] * rng.normal(size=(40, 4, 1))
        + size["seeds"] * rng.normal(size=(40, 4, 4))
    )

    assert spread(gains).buy == largest
