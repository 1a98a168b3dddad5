"""A light form of the acceptance: simulated tables in which no method helps; docs/results.md has the whole of it.

Seeds are fixed, so the counts are the same each time. The limits are far from what the rules reach: a broken rule does
not keep to them, one that is a little worse may.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks"
OFFICIAL = "--folds 1 --pool 4 --test 300"


@pytest.mark.parametrize(
    ("design", "tables"),
    [
        ("--auroc", 30),
        ("--mixed", 20),
        ("--fair", 8),
        ("--corruptions 3", 10),
        (f"{OFFICIAL} --auroc", 20),
        (f"{OFFICIAL} --fair", 20),
        (f"{OFFICIAL} --external", 20),
        ("--folds 1 --pool 2 --repeats 5 --test 300", 15),
    ],
)
def test_tables_of_methods_that_do_not_help_seldom_say_one_does(
    design: str, tables: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import simulated_null

    asked = simulated_null.options().parse_args([*design.split(), "--repetitions", str(tables), "--seed", "9"])
    counts = simulated_null.count(asked, "two", 120)

    assert counts.tables == tables
    assert counts.wrong_tables <= max(2, tables // 10)
    for rule, covered in counts.covered.items():
        if rule.endswith("the product's"):
            assert np.mean(covered) >= 0.92, rule


def test_a_true_gain_is_found_and_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import simulated_null

    asked = simulated_null.options().parse_args(["--gain", "25", "--repetitions", "12", "--seed", "9"])
    counts = simulated_null.count(asked, "two", 298)

    assert np.mean(counts.found) >= 0.8
    assert np.mean(counts.planted) == pytest.approx(0.25, abs=0.03)
    assert counts.wrong_tables <= 2
