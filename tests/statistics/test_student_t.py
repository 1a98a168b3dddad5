"""Student's t against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medbench.statistics.student_t import cumulative, quantile, two_sided


@given(t=st.floats(-50, 50), df=st.integers(1, 3000))
@settings(max_examples=200, deadline=None)
def test_probabilities_equal_those_of_scipy(t: float, df: int) -> None:
    assert cumulative(t, df) == pytest.approx(stats.t.cdf(t, df), abs=1e-10)


@given(level=st.floats(1e-4, 1 - 1e-4), df=st.integers(1, 3000))
@settings(max_examples=100, deadline=None)
def test_quantiles_equal_those_of_scipy(level: float, df: int) -> None:
    assert quantile(level, df) == pytest.approx(stats.t.ppf(level, df), rel=1e-7, abs=1e-9)


def test_the_t_of_every_textbook() -> None:
    assert two_sided(4) == pytest.approx(2.776, abs=5e-4)
    assert two_sided(10**5) == pytest.approx(1.95999, abs=1e-4)


@pytest.mark.parametrize("df", [1, 2, 19, 120])
def test_independent_comparisons_widen_as_sidak_says(df: int) -> None:
    found = [two_sided(df, comparisons=m) for m in (1, 2, 5, 12)]

    expected = [stats.t.ppf((1 + 0.95 ** (1 / m)) / 2, df) for m in (1, 2, 5, 12)]
    assert found == pytest.approx(expected)


def test_the_ends_are_the_ends() -> None:
    assert (cumulative(math.inf, 3), cumulative(-math.inf, 3), cumulative(0.0, 3)) == (1.0, 0.0, 0.5)


def test_what_is_no_distribution_is_refused() -> None:
    with pytest.raises(ValueError, match="degree of freedom"):
        cumulative(0.0, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile(1.0, 5)
