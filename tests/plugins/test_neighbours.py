"""Precision, recall, density and coverage against their definitions, written out pair by pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench_plugins.generator_scores import neighbours
from medbench_plugins.generator_scores.neighbours import coverage, density, precision, recall

ALL = (precision, recall, density, coverage)


def by_definition(real: np.ndarray, made: np.ndarray, k: int) -> dict[str, float]:
    """The four by plain loops over pairs, in Python's own exact-rounding sum."""

    def far(a: np.ndarray, b: np.ndarray) -> float:
        return math.sqrt(math.fsum((a - b) ** 2))

    def reach(rows: np.ndarray) -> list[float]:
        return [sorted(far(a, b) for j, b in enumerate(rows) if j != i)[k - 1] for i, a in enumerate(rows)]

    of_real, of_made = reach(real), reach(made)
    in_real = [[far(y, x) <= r for x, r in zip(real, of_real, strict=True)] for y in made]
    return {
        "precision": float(np.mean([any(row) for row in in_real])),
        "recall": float(np.mean([any(far(x, y) <= r for y, r in zip(made, of_made, strict=True)) for x in real])),
        "density": sum(map(sum, in_real)) / (k * len(made)),
        "coverage": float(np.mean(np.any(in_real, axis=0))),
    }


def draw(seed: int, n: int, m: int, d: int, apart: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), apart + rng.normal(size=(m, d))


@given(
    seed=st.integers(0, 2**32),
    n=st.integers(6, 30),
    m=st.integers(6, 30),
    d=st.integers(1, 8),
    k=st.integers(1, 5),
    apart=st.floats(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_all_four_follow_their_definition(seed: int, n: int, m: int, d: int, k: int, apart: float) -> None:
    real, made = draw(seed, n, m, d, apart)

    expected = by_definition(real, made, k)

    assert {f.__name__: f(real, made, k) for f in ALL} == pytest.approx(expected)


def test_small_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = draw(0, 70, 50, 12, apart=0.5)
    whole = [f(real, made) for f in ALL]

    monkeypatch.setattr(neighbours, "BLOCK", 300)

    assert [f(real, made) for f in ALL] == whole


def test_a_copy_of_the_real_rows_scores_best() -> None:
    real, _ = draw(1, 60, 1, 20)

    assert [precision(real, real), recall(real, real), coverage(real, real)] == [1, 1, 1]
    assert density(real, real) > 1


def test_rows_far_away_score_nothing() -> None:
    real, made = draw(2, 40, 40, 4, apart=1e3)

    assert [f(real, made) for f in ALL] == [0, 0, 0, 0]


def test_two_draws_of_one_distribution_have_density_one_and_are_covered() -> None:
    """Naeem et al. 2020, lemma 1: the expectation of coverage is 1 - 1 / 2**k for equally many rows, of density 1."""
    pairs = [draw(seed, 200, 200, 2) for seed in range(60)]

    assert np.mean([density(*pair) for pair in pairs]) == pytest.approx(1, abs=0.02)
    assert np.mean([coverage(*pair) for pair in pairs]) == pytest.approx(1 - 1 / 2**5, abs=0.008)


def test_one_mode_of_two_is_precise_but_neither_recalls_nor_covers() -> None:
    rng = np.random.default_rng(3)
    real = np.concatenate([rng.normal(size=(50, 5)), 50 + rng.normal(size=(50, 5))])
    made = rng.normal(size=(100, 5))

    assert precision(real, made) > 0.6
    assert recall(real, made) <= 0.5
    assert coverage(real, made) <= 0.5


def test_rows_that_are_all_the_same_lie_in_each_others_balls() -> None:
    same = np.full((10, 3), 0.1)

    assert [precision(same, same), recall(same, same), coverage(same, same)] == [1, 1, 1]
    assert [f(same, same + 1e-9) for f in ALL] == [0, 0, 0, 0]


@pytest.mark.parametrize("function", ALL)
def test_too_few_rows_for_a_ball_is_not_a_number(function: object) -> None:
    few, many = np.eye(3), np.arange(30.0).reshape(10, 3)
    balls_of_made = function is recall
    real, made = (many, few) if balls_of_made else (few, many)

    assert math.isnan(function(real, made, 3))  # type: ignore[operator]
    assert math.isfinite(function(real, made, 2))  # type: ignore[operator]
    empty = (many[:0], many) if balls_of_made else (many, many[:0])
    assert math.isnan(function(*empty, 2))  # type: ignore[operator]


@given(seed=st.integers(0, 2**32), n=st.integers(6, 25), m=st.integers(6, 25))
@settings(max_examples=25, deadline=None)
def test_order_scale_and_place_change_nothing(seed: int, n: int, m: int) -> None:
    """Powers of two and whole numbers, so that floating point rounds alike."""
    rng = np.random.default_rng(seed)
    real, made = rng.integers(0, 256, (n, 6)).astype(float), rng.integers(0, 256, (m, 6)).astype(float)
    before = [f(real, made) for f in ALL]

    mixed = rng.permutation(real), rng.permutation(made)

    assert [f(*mixed) for f in ALL] == pytest.approx(before)
    assert [f(4 * real + 7, 4 * made + 7) for f in ALL] == before


def test_a_synthetic_row_more_never_lowers_coverage() -> None:
    real, made = draw(4, 60, 40, 6)
    grown = [coverage(real, made[:m]) for m in range(1, 41)]

    assert grown == sorted(grown)
    assert grown[0] < grown[-1]


@pytest.mark.parametrize("function", ALL)
def test_bad_rows_are_refused(function: object) -> None:
    rows = np.zeros((8, 2))
    broken = rows.copy()
    broken[3, 1] = np.nan

    for real, made, k in ((rows, np.zeros((8, 3)), 3), (rows, broken, 3), (rows[:, 0], rows, 3), (rows, rows, 0)):
        with pytest.raises(ValueError, match=r"must be|not finite"):
            function(real, made, k)  # type: ignore[operator]
