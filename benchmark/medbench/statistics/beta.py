"""The beta distribution in plain Python: posteriors of shares, without numpy or scipy (0.2 s to import)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

STEPS = 400
"""Points at which an expectation over a beta distribution is taken; more change no printed digit."""
_TINY = 1e-300
_MOST = 20_000  # terms of the continued fraction; it takes about the root of a + b


def beta_below(x: float, a: float, b: float) -> float:
    """Return the probability that a beta variable lies below `x`, the regularised incomplete beta function.

    Args:
        x: Any number; below 0 gives 0, above 1 gives 1.
        a: First parameter, above 0.
        b: Second parameter, above 0.

    Source:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5.8, by Lentz's method.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    log_factor = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return min(1.0, math.exp(log_factor) * _fraction(x, a, b) / a)
    return max(0.0, 1 - math.exp(log_factor) * _fraction(1 - x, b, a) / b)


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, _no_zero(1 - (a + b) * x / (a + 1))
    d = 1 / d
    value = d
    for m in range(1, _MOST):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _no_zero(1 + term * d)
            c = _no_zero(1 + term / c)
            value *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return value


def _no_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def mean_over_beta(of: Callable[[float], float], a: float, b: float) -> float:
    """Return the expectation of ``of(X)`` for a beta variable X; parameters at least 1/2.

    The midpoint rule in the angle whose squared sine X is, where the density has no pole for parameters of 1/2.
    """
    points = [*_weighted(a, b)]
    total = math.fsum(weight for _, weight in points)
    return math.fsum(weight * of(x) for x, weight in points) / total


def _weighted(a: float, b: float) -> Iterator[tuple[float, float]]:
    """Yield points and their weights, where the density in the angle is not negligible."""
    middle = math.asin(math.sqrt(a / (a + b)))
    reach = 6.0 / math.sqrt(a + b)  # the angle has a standard deviation of about half of 1 / sqrt(a + b): 12 of them
    low, high = max(0.0, middle - reach), min(math.pi / 2, middle + reach)
    angles = [low + (high - low) * (step + 0.5) / STEPS for step in range(STEPS)]
    logs = [(2 * a - 1) * math.log(math.sin(t)) + (2 * b - 1) * math.log(math.cos(t)) for t in angles]
    top = max(logs)
    for angle, log in zip(angles, logs, strict=True):
        yield math.sin(angle) ** 2, math.exp(log - top)
