"""A score of real and of generated images at equal numbers, each with an interval.

The inception score grows with the number of images, so that 46 real ones and 550 generated ones compare numbers as well
as pictures. At equal numbers what is left is pictures, and chance, which an interval shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DRAWS = 400

ScoreOf = Callable[[np.ndarray], float]
"""Scores ``float64 (n, k)`` class probabilities."""


@dataclass(frozen=True)
class Scored:
    """A score of some images.

    Attributes:
        n: How many images.
        value: In one split.
        in_ten: Mean over ten equal splits, as it is often published; NaN below ten images.
        low: Lower end of the 95 % interval of `value`.
        high: Upper end.
    """

    n: int
    value: float
    in_ten: float
    low: float
    high: float


@dataclass(frozen=True)
class EqualNumbers:
    """Real and generated images, as many as were scored and at equal numbers.

    Attributes:
        real: All real images.
        made: All generated images.
        of_made: As many of them as there are real ones: mean and 95 % range over draws without replacement.
        difference: Generated less real, at equal numbers, and the ends of its 95 % interval.
    """

    real: Scored
    made: Scored
    of_made: Scored
    difference: tuple[float, float, float]

    @property
    def told_apart(self) -> bool:
        """Whether the interval of the difference leaves 0 out."""
        return not self.difference[1] <= 0 <= self.difference[2]


def score_at_equal_numbers(
    real: np.ndarray, made: np.ndarray, score: ScoreOf, rng: np.random.Generator
) -> EqualNumbers:
    """Score real and generated images, all of them and at equal numbers.

    An image drawn twice lowers the score, so an interval of all images is that of a bootstrap moved by its own bias, at
    least 1; in the difference both sides are drawn so, and the bias is alike.

    Args:
        real: ``float64 (n, k)`` class probabilities, n at least 2.
        made: ``float64 (m, k)``, m at least n.
        score: What is computed.
        rng: Of the draws.

    Raises:
        ValueError: If there are fewer generated images than real ones, or fewer than two real ones.
    """
    n = len(real)
    if n < 2 or len(made) < n:
        raise ValueError(f"{n} real and {len(made)} generated images; give at least 2, and no fewer generated ones")
    subsets = [made[rng.permutation(len(made))[:n]] for _ in range(DRAWS)]
    drawn = np.array([score(subset) for subset in subsets])
    low, high = np.percentile(drawn, (2.5, 97.5))
    differences = [score(_again(subset, rng)) - score(_again(real, rng)) for subset in subsets]
    ends = np.percentile(differences, (2.5, 97.5))
    mean = float(drawn.mean())
    of_real = _bootstrap(real, score, rng)
    return EqualNumbers(
        of_real,
        _bootstrap(made, score, rng),
        Scored(n, mean, float("nan"), float(low), float(high)),
        (mean - of_real.value, float(ends[0]), float(ends[1])),
    )


def _again(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rows[rng.integers(0, len(rows), len(rows))]


def _bootstrap(rows: np.ndarray, score: ScoreOf, rng: np.random.Generator) -> Scored:
    value = score(rows)
    drawn = np.array([score(_again(rows, rng)) for _ in range(DRAWS)])
    low, high = np.percentile(drawn + value - drawn.mean(), (2.5, 97.5))
    in_ten = float(np.mean([score(part) for part in np.array_split(rows, 10)])) if len(rows) >= 10 else float("nan")
    return Scored(len(rows), value, in_ten, max(1.0, float(low)), float(high))
