"""Posteriors, intervals and sizes from published figures, against scipy, closed forms, enumeration and simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from medbench.statistics import claimed_gain as gains
from medbench.statistics.beta import beta_below, mean_over_beta
from medbench.statistics.class_count_errors import auroc_gain_error, auroc_variance, balanced_gain_error
from medbench.statistics.published_counts import counts_of, fewest_images, figure

COUNT = st.integers(0, 300)


@pytest.mark.parametrize(
    ("x", "a", "b"), [(0.5, 0.5, 0.5), (0.5, 20.5, 10.5), (0.01, 3.5, 1000.5), (0.9999, 50_000, 3), (0.5, 1e5, 1e5)]
)
def test_the_beta_distribution_is_that_of_scipy(x: float, a: float, b: float) -> None:
    assert beta_below(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-9)
    assert mean_over_beta(lambda p: p * p, a, b) == pytest.approx(stats.beta(a, b).moment(2), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(COUNT, COUNT)
def test_no_gain_is_the_mid_p_value_of_mcnemars_test(b: int, c: int) -> None:
    probability = gains.probability_of_none(b, c)
    exact = stats.binomtest(b, b + c, alternative="greater").pvalue if b + c else 1.0

    assert probability == pytest.approx(exact - stats.binom.pmf(b, b + c, 0.5) / 2, abs=1e-10)
    assert probability == pytest.approx(stats.beta.cdf(0.5, b + 1, c + 1), abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(COUNT, COUNT, st.integers(1, 20))
def test_probabilities_are_symmetric_fall_with_n_and_never_fall_with_comparisons(b: int, c: int, m: int) -> None:
    probability = gains.probability_of_none(b, c)

    assert 0 <= probability <= 1
    assert gains.probability_of_none(c, b) == pytest.approx(1 - probability, abs=1e-9)
    if b > c:
        assert gains.probability_of_none(2 * b, 2 * c) <= probability + 1e-12
        assert gains.probability_of_none(b + 1, c + 1) >= probability - 1e-12  # the same gain, more disagreement
    best = [gains.as_best_of(probability, k) for k in (1, m, m + 1)]
    assert best == sorted(best)
    assert best[0] == pytest.approx(probability)
    assert best[-1] <= 1


@pytest.mark.parametrize(("b", "c", "n", "worth"), [(20, 10, 192, 0.02), (3, 0, 40, 0.05), (0, 0, 20, 0.02)])
def test_a_gain_below_what_matters_is_that_of_dirichlet_draws(b: int, c: int, n: int, worth: float) -> None:
    drawn = np.random.default_rng(1).dirichlet([b + 1, c + 1, n - b - c + 1], 400_000)
    simulated = np.mean(drawn[:, 0] - drawn[:, 1] <= worth)

    assert gains.probability_of_none(b, c, n=n, worth=worth) == pytest.approx(simulated, abs=0.003)
    assert gains.probability_of_none(b, c, n=n, worth=worth) >= gains.probability_of_none(b, c)


def test_other_test_images_are_two_independent_posteriors() -> None:
    rng = np.random.default_rng(2)
    simulated = np.mean(rng.beta(151, 41, 400_000) - rng.beta(135, 59, 400_000) <= 0.03)

    found = gains.probability_of_none_apart(134, 192, 150, 190, worth=0.03)
    assert found == pytest.approx(simulated, abs=0.003)
    assert gains.probability_of_none_apart(50, 100, 50, 100) == pytest.approx(0.5, abs=1e-6)
    swapped = gains.probability_of_none_apart(150, 190, 134, 192)
    assert gains.probability_of_none_apart(134, 192, 150, 190) == pytest.approx(1 - swapped, abs=1e-6)


@pytest.mark.parametrize(("n", "disagreement"), [(50, 0.1), (100, 0.15), (500, 0.05), (500, 0.2), (1000, 0.02)])
def test_where_there_is_no_gain_few_posteriors_say_that_there_is_one(n: int, disagreement: float) -> None:
    """Every table enumerated: a posterior below .025 in at most 2.5 % of them."""
    wrong = 0.0
    for m in range(1, n // 2):
        b = np.arange(m + 1)
        says = stats.beta.cdf(0.5, b + 1, m - b + 1) < 0.025
        wrong += stats.binom.pmf(m, n, disagreement) * stats.binom.pmf(b, m, 0.5)[says].sum()

    assert 0.005 < wrong <= 0.025


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_best_of_several_is_no_better_than_its_posterior(correlation: float) -> None:
    """A flat prior over a gain that 12 methods share: what the best says is right if independent, else too careful."""
    rng, m = np.random.default_rng(3), 12
    gain = rng.uniform(-8, 8, 1_200_000)
    common = rng.standard_normal(len(gain)) * math.sqrt(correlation)
    best = np.full(len(gain), -np.inf)
    for _ in range(m):
        best = np.maximum(best, gain + common + rng.standard_normal(len(gain)) * math.sqrt(1 - correlation))
    near = np.abs(best - 2.5) < 0.05
    simulated = np.mean(gain[near] <= 0)
    claimed = gains.as_best_of(gains.probability_by_normal(2.5, 1.0), m)

    if correlation:
        assert simulated < claimed
    else:
        assert claimed == pytest.approx(simulated, abs=0.012)
        luck = np.mean(best - gain)
        assert gains.luck_of_the_best(m) == pytest.approx(luck, abs=0.005)


def tango_by_search(b: int, c: int, n: int) -> tuple[float, float]:
    """Return Tango's interval with its constrained likelihood maximised by a search instead of his formula."""

    def score(gain: float) -> float:
        def minus_log(only_first: float) -> float:
            only_second = only_first + gain
            rest = 1 - only_first - only_second
            parts = [(b, only_second), (c, only_first), (n - b - c, rest)]
            return -sum(k * math.log(max(p, 1e-12)) for k, p in parts if k)

        low, high = max(0.0, -gain), (1 - gain) / 2
        best = optimize.minimize_scalar(minus_log, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
        variance = (2 * best.x + gain - gain * gain) / n
        return ((b - c) / n - gain) / math.sqrt(variance)

    seen, z = (b - c) / n, stats.norm.ppf(0.975)
    low = optimize.brentq(lambda g: score(g) - z, -0.999, seen - 1e-9)
    return low, optimize.brentq(lambda g: score(g) + z, seen + 1e-9, 0.999)


@pytest.mark.parametrize(("b", "c", "n"), [(20, 10, 192), (1, 0, 44), (9, 3, 54), (0, 0, 20), (30, 29, 100)])
def test_the_interval_is_the_score_interval_of_tango(b: int, c: int, n: int) -> None:
    assert gains.paired_interval(b, c, n) == pytest.approx(tango_by_search(b, c, n), abs=2e-4)
    low, high = gains.paired_interval(c, b, n)
    assert gains.paired_interval(b, c, n) == pytest.approx((-high, -low), abs=1e-9)


def test_the_intervals_keep_their_level() -> None:
    rng = np.random.default_rng(4)
    drawn = rng.multinomial(120, [0.15, 0.05, 0.8], 1500)
    held = [low <= 0.1 <= high for low, high in (gains.paired_interval(b, c, 120) for b, c, _ in drawn)]
    pairs = zip(rng.binomial(80, 0.7, 1500), rng.binomial(150, 0.85, 1500), strict=True)
    apart = [low <= 0.15 <= high for low, high in (gains.interval_apart(x, 80, y, 150) for x, y in pairs)]

    assert 0.935 < np.mean(held) < 0.97
    assert 0.935 < np.mean(apart) < 0.97


def test_a_share_has_the_interval_of_wilson() -> None:
    wilson = stats.binomtest(17, 60).proportion_ci(method="wilson")

    assert gains.share_interval(17, 60) == pytest.approx((wilson.low, wilson.high))


@pytest.mark.parametrize(("gain", "disagreement"), [(0.1, 0.2), (0.05, 0.1), (0.3, 0.3), (0.2, 0.5)])
def test_so_many_images_tell_a_gain_with_a_power_of_80_percent(gain: float, disagreement: float) -> None:
    """By the mid-p McNemar test, every table enumerated; with 24 images it is too careful by four of them."""
    n = math.ceil(gains.images_needed(gain, disagreement))
    of_second = (disagreement + gain) / 2 / disagreement
    power = 0.0
    for m in range(1, n + 1):
        b = np.arange(m + 1)
        upper = stats.binom.sf(b - 1, m, 0.5) - stats.binom.pmf(b, m, 0.5) / 2
        power += stats.binom.pmf(m, n, disagreement) * stats.binom.pmf(b, m, of_second)[2 * upper <= 0.05].sum()

    assert 0.78 < power < (0.83 if n > 30 else 0.9)


def test_so_many_other_images_tell_a_gain_with_a_power_of_80_percent() -> None:
    n = math.ceil(gains.images_needed_apart(0.7, 0.8, 2.0))
    rng = np.random.default_rng(5)
    p, q = rng.binomial(n, 0.7, 20_000) / n, rng.binomial(2 * n, 0.8, 20_000) / (2 * n)
    mean = (p + 2 * q) / 3
    z = (q - p) / np.sqrt(mean * (1 - mean) * (1 / n + 1 / (2 * n)))

    assert np.mean(z > 1.96) == pytest.approx(0.8, abs=0.015)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 0.6), st.floats(0, 1), st.integers(1, 20))
def test_what_images_detect_is_what_needs_that_many(gain: float, more: float, m: int) -> None:
    disagreement = gain + more * (1 - gain)
    needed: Callable[[float], float] = lambda g: gains.images_needed(g, max(disagreement, g), comparisons=m)  # noqa: E731

    assert gains.detectable(needed, needed(gain), 1.0) == pytest.approx(gain, rel=1e-6)
    assert gains.images_needed(gain, disagreement, comparisons=m + 1) > needed(gain)
    assert gains.images_needed(-gain, disagreement) == gains.images_needed(gain, disagreement)
    assert math.isnan(gains.detectable(needed, 0.1, 1.0))


def aurocs(scores: np.ndarray, positive: int) -> np.ndarray:
    """Return the AUROC of every row, whose first scores are those of the positive cases."""
    n = scores.shape[1]
    above = stats.rankdata(scores, axis=1)[:, :positive].sum(1) - positive * (positive + 1) / 2
    return above / (positive * (n - positive))


def test_the_variance_of_an_auroc_is_that_of_simulated_ones() -> None:
    rng = np.random.default_rng(6)
    labels = np.repeat([1, 0], [40, 100])
    shift = 1.2
    values = aurocs(rng.standard_normal((20_000, 140)) + shift * labels, 40)
    truth = stats.norm.cdf(shift / math.sqrt(2))

    assert auroc_variance(truth, 40, 100) == pytest.approx(np.var(values), rel=0.03)
    two = stats.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]]).cdf([shift / math.sqrt(2)] * 2)
    by_triples = (truth * (1 - truth) + 138 * (two - truth**2)) / 4000
    assert auroc_variance(truth, 40, 100) == pytest.approx(by_triples, rel=1e-4)
    assert auroc_variance(1.0, 40, 100) > 0
    assert auroc_variance(0.3, 40, 100) == pytest.approx(auroc_variance(0.7, 100, 40), rel=1e-9)


def test_the_error_of_a_gain_in_auroc_falls_with_correlation() -> None:
    rng = np.random.default_rng(7)
    labels = np.repeat([1, 0], [40, 100])
    noise = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], (5000, 140))
    shift = np.array([1.2, 1.5])
    values = np.stack([aurocs(noise[:, :, k] + shift[k] * labels, 40) for k in (0, 1)], axis=1)
    truth = stats.norm.cdf(shift / math.sqrt(2))
    correlation = np.corrcoef(values.T)[0, 1]

    error = auroc_gain_error(truth[0], truth[1], 40, 100, correlation)
    assert error == pytest.approx(np.std(values[:, 1] - values[:, 0]), rel=0.05)
    assert auroc_gain_error(0.8, 0.85, 40, 100, 0.8) < auroc_gain_error(0.8, 0.85, 40, 100, 0.0)


def test_the_error_of_a_gain_in_balanced_accuracy_is_that_of_simulated_ones() -> None:
    rng = np.random.default_rng(8)
    gained = [rng.choice([1, -1, 0], (20_000, n), p=[0.15, 0.05, 0.8]).mean(1) for n in (30, 120)]

    assert balanced_gain_error(0.1, 0.2, (30, 120)) == pytest.approx(np.std(sum(gained) / 2), rel=0.02)
    assert balanced_gain_error(0.0, 0.0, (30, 120)) > 0


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 3), st.data())
def test_counts_are_those_that_are_printed_like_the_figure(n: int, digits: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    text = f"{100 * right / n:.{digits}f}"
    found = counts_of(figure(text, percent=True), n)
    printed = [k for k in range(n + 1) if abs(100 * k / n - float(text)) <= 0.5 * 10**-digits + 1e-9]

    assert found.how == "rounded"
    assert (found.fewest, found.most) == (printed[0], printed[-1])
    assert found.fewest <= right <= found.most


def test_figures_that_no_count_gives_are_found() -> None:
    seventy = counts_of(figure("70.0", percent=True), 192)
    cut = counts_of(figure("0.384", percent=False), 208)

    assert (seventy.how, seventy.below, seventy.above) == ("", 134, 135)
    assert counts_of(figure("94.1", percent=True), 140).how == ""
    assert (cut.how, cut.fewest) == ("cut", 80)  # 80 of 208 is .3846
    assert fewest_images([figure(text, percent=True) for text in ("70.00", "78.28")], 2000) == 290
    assert fewest_images([figure("33.33", percent=True)], 2) is None


def test_the_figures_of_single_changes_of_spine_hybrid_are_shares_of_all_its_images() -> None:
    texts = ["81.65", "80.92", "81.36", "77.31", "82.30", "83.67", "72.25", "81.79", "81.21", "75.65", "82.44"]

    assert fewest_images([figure(text, percent=True) for text in texts], 2000) == 1384


def test_images_of_a_patient_count_for_less() -> None:
    rng = np.random.default_rng(9)
    shared = rng.standard_normal((20_000, 30, 1)) * math.sqrt(0.4)
    means = (shared + rng.standard_normal((20_000, 30, 5)) * math.sqrt(0.6)).mean((1, 2))

    assert np.var(means) * 150 == pytest.approx(gains.design_effect(5, 0.4), rel=0.04)
