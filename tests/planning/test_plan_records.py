"""What is fixed before the first result on some folds: the gain that matters, and the primary comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from _synthetic_store import SyntheticRun
from medbench.errors import UsageError
from medbench.planning.arms import Arm
from medbench.planning.plan import Plan
from medbench.planning.plan_records import keep_question

TREE = {"balanced": "", "geometric": "balanced", "hybrid": "geometric"}


def plan_of(run: SyntheticRun, primary: str, asked: tuple[str, ...] = tuple(TREE)) -> Plan:
    arms = {"ddti": tuple(Arm(name, "net", TREE[name]) for name in asked)}
    trials = tuple(run.trial("ddti", name, "net", run.cells[0]) for name in asked)
    return Plan(run.study.model_copy(update={"primary": primary}), (), arms, trials, {}, {}, ())


def keep(run: SyntheticRun, primary: str, asked: tuple[str, ...] = tuple(TREE)) -> tuple[str, list[str]]:
    said: list[str] = []
    return keep_question(run.store, plan_of(run, primary, asked), said.append).study.primary, said


def test_a_primary_comparison_is_that_of_before_or_none(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, tree=TREE)
    assert keep(run, "hybrid") == ("hybrid", [])
    run.fill()

    assert keep(run, "hybrid") == ("hybrid", [])
    for primary in ("geometric", ""):
        with pytest.raises(UsageError, match="was 'hybrid' when these folds were first run"):
            keep(run, primary)
    assert keep(run, "", ("balanced", "geometric")) == ("", [])  # without that method
    assert keep(run, "hybrid") == ("hybrid", [])


def test_one_that_is_named_after_results_are_there_counts_as_any_other(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path, tree=TREE)
    keep(run, "")
    run.fill()

    for _ in range(2):
        primary, said = keep(run, "hybrid")
        assert primary == ""
        assert "before the primary comparison was named" in said[0]
