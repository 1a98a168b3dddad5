"""What published figures alone say of a gain: the probability that there is none, its interval, the images it needs.

Two methods judged on the same images decide alike on most of them. Only images on which one of them is right and the
other is wrong tell them apart: b of them for the second method, c for the first. Publications give their difference
and not their number, so every function here takes both, and who asks walks over what is possible.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from statistics import NormalDist

from medbench.statistics.beta import beta_below, mean_over_beta

POWER = 0.8
LEVEL = 0.95
PRIOR = 1.0
"""Uniform prior of shares. Where there is no gain, fewer than 2.5 % of tables get a posterior of no gain below .025,
whatever the number of disagreements expected; with Jeffreys' prior, 1/2, up to 2.7 %, and 6 % for four of them."""
_NORMAL = NormalDist()


def widest_disagreement(one: float, other: float) -> float:
    """Return the largest share of images on which exactly one of two methods can be right, of their accuracies."""
    return min(one + other, 2 - one - other)


def probability_of_none(b: float, c: float, *, n: float = 0, worth: float = 0.0) -> float:
    """Return the posterior probability that the true gain is at most `worth`.

    By a uniform prior, Dirichlet(1, 1, 1), on the shares of images that only the second method gets right, only the
    first, and both or neither. For no worth it is the probability that Beta(b + 1, c + 1) is at most 1/2, which is the
    one-sided McNemar test's mid-p value, and does not depend on n.

    Args:
        b: Images that only the second method gets right; need not be whole where images are clustered.
        c: Images that only the first gets right.
        n: Images; needed with a worth.
        worth: 0 to 1.

    Source:
        Altham, "The analysis of matched proportions", Biometrika 58 (1971), on exact tests of pairs as posteriors.
    """
    first, second = b + PRIOR, c + PRIOR
    if not worth:
        return beta_below(0.5, first, second)
    both = n - b - c + PRIOR
    # share of disagreements, and the part of it that the second method wins: independent under a Dirichlet prior
    return mean_over_beta(lambda s: beta_below((1 + worth / s) / 2 if s else 1.0, first, second), first + second, both)


def probability_of_none_apart(
    right: float, n: float, right_other: float, n_other: float, *, worth: float = 0.0
) -> float:
    """Return the posterior probability that the second method gains at most `worth`, tested on other images.

    Independent posteriors under uniform priors.

    Args:
        right: Images that the first method gets right.
        n: Of so many.
        right_other: Images that the second method gets right.
        n_other: Of so many.
        worth: 0 to 1.
    """
    second = partial(beta_below, a=right_other + PRIOR, b=n_other - right_other + PRIOR)
    return mean_over_beta(lambda p: second(p + worth), right + PRIOR, n - right + PRIOR)


def probability_by_normal(gain: float, error: float, *, worth: float = 0.0) -> float:
    """Return the posterior probability that the true gain is at most `worth`: flat prior, normal likelihood."""
    return _NORMAL.cdf((worth - gain) / error)


def interval_by_normal(gain: float, error: float) -> tuple[float, float]:
    """Return the 95 % interval of a gain with a standard error, within -1 and 1."""
    reach = _critical(1) * error
    return max(-1.0, gain - reach), min(1.0, gain + reach)


def as_best_of(probability: float, comparisons: int) -> float:
    """Return the probability that there is no gain where the best of several comparisons was reported.

    The posterior of a gain that all of them share, flat prior, errors independent: the best of m of them has the
    density m f F^(m-1), whose posterior tail is 1 - (1 - P)^m. Comparisons with one reference on the same images go
    together, so it is an upper end.

    Source:
        Šidák, "Rectangular confidence regions for the means of multivariate normal distributions", JASA 62 (1967), for
        the bound; the posterior follows for any location family.
    """
    return -math.expm1(comparisons * math.log1p(-probability)) if probability < 1 else 1.0


def luck_of_the_best(comparisons: int) -> float:
    """Return how many standard errors the best of several equal methods lies above its true gain, on average."""
    if comparisons == 1:
        return 0.0
    steps, reach = 4000, 8.0
    points = (reach * (2 * (step + 0.5) / steps - 1) for step in range(steps))
    width = 2 * reach / steps
    return math.fsum(z * comparisons * _NORMAL.pdf(z) * _NORMAL.cdf(z) ** (comparisons - 1) * width for z in points)


def paired_interval(b: float, c: float, n: float) -> tuple[float, float]:
    """Return the 95 % score interval of the gain (b - c) / n, which keeps its level also where b or c is 0.

    Source:
        Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
        design", Statistics in Medicine 17 (1998).
    """
    z = _NORMAL.inv_cdf((1 + LEVEL) / 2)

    def score(gain: float) -> float:
        """Return the distance of what was seen from a gain, in standard errors under it."""
        linear = -b - c + (2 * n - b + c) * gain
        root = math.sqrt(max(0.0, linear * linear + 8 * n * c * gain * (1 - gain)))
        only_first = max(0.0, (root - linear) / (4 * n))  # most likely share of c under this gain
        error = math.sqrt(max(0.0, n * (2 * only_first + gain * (1 - gain))))
        distance = b - c - n * gain
        return distance / error if error > 1e-12 else math.copysign(math.inf, distance) if distance else 0.0

    seen = (b - c) / n
    low = _root(lambda g: score(g) - z, -1.0, seen)
    high = _root(lambda g: score(g) + z, seen, 1.0)
    return low, high


def interval_apart(right: float, n: float, right_other: float, n_other: float) -> tuple[float, float]:
    """Return the 95 % interval of the gain of the second of two methods that were tested on different images.

    Source:
        Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17
        (1998), method 10.
    """
    p, q = right / n, right_other / n_other
    (low, high), (low_other, high_other) = share_interval(right, n), share_interval(right_other, n_other)
    gain = q - p
    return max(-1.0, gain - math.hypot(q - low_other, high - p)), min(1.0, gain + math.hypot(high_other - q, p - low))


def share_interval(right: float, n: float) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 22, 1927)."""
    z = _NORMAL.inv_cdf((1 + LEVEL) / 2)
    p, half = right / n, z * math.sqrt(right / n * (1 - right / n) / n + z * z / (4 * n * n))
    centre, scale = p + z * z / (2 * n), 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def images_needed(gain: float, disagreement: float, *, comparisons: int = 1) -> float:
    """Return how many images tell a gain with a power of 80 %, two-sided at 5 % over all comparisons.

    Args:
        gain: True gain, -1 to 1 without 0.
        disagreement: Share of images on which exactly one of the two is right, at least the size of the gain.
        comparisons: Made on the same images.

    Source:
        Connor, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43 (1987),
        for McNemar's test.
    """
    z, power = _critical(comparisons), _NORMAL.inv_cdf(POWER)
    return (z * math.sqrt(disagreement) + power * math.sqrt(max(0.0, disagreement - gain * gain))) ** 2 / gain**2


def images_needed_apart(one: float, other: float, ratio: float, *, comparisons: int = 1) -> float:
    """Return how many images the first method takes, and `ratio` times as many the second, for the same power.

    Source:
        Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions (2003), chapter 4.
    """
    z, power = _critical(comparisons), _NORMAL.inv_cdf(POWER)
    mean = (one + ratio * other) / (1 + ratio)
    under_none = math.sqrt((1 + 1 / ratio) * mean * (1 - mean))
    as_claimed = math.sqrt(one * (1 - one) + other * (1 - other) / ratio)
    return float((z * under_none + power * as_claimed) ** 2 / (other - one) ** 2)


def detectable(needed: Callable[[float], float], n: float, most: float) -> float:
    """Return the smallest gain that `n` images tell, at most `most`; NaN where they tell none.

    Args:
        needed: Images that a gain takes, falling with the gain.
        n: Images at hand.
        most: The largest gain there can be.
    """
    if most <= 0 or needed(most) > n:
        return math.nan
    return _root(lambda gain: needed(gain) - n, 1e-6, most)


def factor_of_power(comparisons: int = 1) -> float:
    """Return how many standard errors a gain must measure to be told with a power of 80 %."""
    return _critical(comparisons) + _NORMAL.inv_cdf(POWER)


def design_effect(per_patient: float, correlation: float) -> float:
    """Return by how much images of the same patients widen a variance: 1 + (images a patient - 1) x correlation.

    Source:
        Kish, Survey Sampling (1965).
    """
    return 1 + (per_patient - 1) * correlation


def _critical(comparisons: int) -> float:
    return _NORMAL.inv_cdf((1 + LEVEL ** (1 / comparisons)) / 2)


def _root(of: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function crosses 0; the end of the range that it does not cross."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if of(middle) > 0 else (low, middle)
    return (low + high) / 2
