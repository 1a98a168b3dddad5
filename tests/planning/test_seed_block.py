"""The seed block: what is planned, that boards do not see it, and that it tells generators from classifiers."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from _synthetic_store import SyntheticRun
from medbench.analyses.compare import compare
from medbench.cli import cli
from medbench.data.describe import DatasetDescription
from medbench.errors import UsageError
from medbench.identity.identity import digest
from medbench.planning import study
from medbench.planning.seed_block import SEEDS
from medbench.planning.stored_part import StoredPart
from medbench.planning.time_forecast import Timing
from medbench.planning.trial_matrix import expand
from medbench.registry import plugins
from medbench.samples import Samples
from medbench.statistics.cross_checks import spread_with_block
from medbench.tables.board_table import render
from medbench.tables.compare import render as render_versus
from medbench.tables.plan_text import facts
from medbench.trial.trial import Trial

PAIRS = list(itertools.product(SEEDS, SEEDS))


def planned(most: int | None = None, **more: Any) -> Any:
    values: dict[str, Any] = {"folds": 3, "repeats": 2, "yardsticks": False, "companions": False, **more}
    asked = study.build(
        {"datasets": ["ddti"], "augmenters": ["hybrid"], "classifiers": ["small-cnn"], "seed_block": True, **values}
    )
    names = np.array([f"p{i:02d}" for i in range(40)])
    samples = Samples(
        x=np.zeros((40, 0), np.uint8), labels=(np.arange(40) % 3 == 0).astype(np.int64), ids=names, patients=names,
        groups=names, sources=((),) * 40, classes=("no", "yes"),
    )  # fmt: skip
    source = DatasetDescription("ddti", "d" * 64, None, samples, 2, (), "patient", "nothing")
    return expand(asked, plugins.load(), [source], most=most)


def test_nine_pairs_of_seeds_of_an_arm_with_a_generator_and_of_its_control_are_planned_on_one_fold() -> None:
    plan = planned()
    usual = planned(seed_block=False)
    further = plan.trials[len(usual.trials) :]

    assert plan.trials[: len(usual.trials)] == usual.trials
    arms = {"hybrid", "hybrid[generator=resample]"}
    assert {t.augmenter for t in further} == arms
    assert {(t.repeat, t.fold, t.protocol) for t in further} == {(0, 0, "patients")}
    for arm in arms:
        of_arm = {
            (t.stage_seed, t.seed): t.id for t in plan.trials if t.augmenter == arm and (t.repeat, t.fold) == (0, 0)
        }
        assert set(of_arm) == set(PAIRS)  # the first pair is the trial of the design
    fits = {t.stage_seed: plan.stages_of[t.id] for t in further if t.augmenter == "hybrid"}
    assert len(set(fits.values())) == 3
    for trial in further:  # a generator depends on its own seed, not on the classifier's
        if trial.augmenter == "hybrid":
            assert plan.stages_of[trial.id] == fits[trial.stage_seed]


def test_a_plan_says_the_steps_of_each_generator() -> None:
    methods = ["acgan", "dcgan[generator=dcgan[steps=100]]"]
    plan = planned(augmenters=methods, seed_block=False, budget={"generator_steps": 8000})

    assert facts(plan, StoredPart(), Timing())["generator_steps"] == {"acgan": 8000, "dcgan[steps=100]": 100}


@pytest.mark.parametrize("more", [{"protocols": ["images"]}, {"augmenters": ["geometric"]}, {"controls": False}])
def test_without_honest_cuts_generators_or_controls_there_is_no_block(more: dict[str, Any]) -> None:
    assert all(t.seed == t.stage_seed for t in planned(**more).trials)


def test_a_plan_says_which_further_trainings_there_are_none_of(tmp_path: Path) -> None:
    asked = ["-d", "ddti:benign-malignant", "--phantom", "-c", "small-cnn", "--budget", "smoke", "--results"]
    ask = ["plan", *asked, str(tmp_path), "-a", "mixup"]
    blocks, alone, both = (
        " ".join(CliRunner().invoke(cli, [*ask, *more], catch_exceptions=False).output.split())
        for more in (["--seed-block"], ["--check-steps", "--no-controls"], ["--check-steps"])
    )

    assert "--seed-block adds nothing here: no method that was asked for fits a generator" in blocks
    assert "--check-steps adds nothing here" in alone
    assert "At last" not in alone
    assert "At last" in both
    assert "adds nothing" not in both


def test_without_controls_it_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["plan", "quickstart", "--seed-block", "--no-controls"])

    assert isinstance(result.exception, UsageError)
    assert "--seed-block: it is of methods and those above them" in str(result.exception)


def test_its_trials_count_among_too_many() -> None:
    with pytest.raises(UsageError, match="48 training runs"):
        planned(most=47)


def block_of(run: SyntheticRun, arm: str, left_out: tuple[tuple[int, int], ...] = ()) -> None:
    for generator, seed in PAIRS:
        if generator == seed < run.study.seeds or (generator, seed) in left_out:
            continue
        trial = run.trial("ddti", arm, "net", (0, 0, seed))
        trial = dataclasses.replace(trial, stage_seed=generator, id="")
        run._put(dataclasses.replace(trial, id=digest(trial.to_json())), 0.7, {"k" * 64: "s"})


@pytest.fixture
def fitted(tmp_path: Path) -> SyntheticRun:
    tree = {"balanced": "", "hybrid": "balanced"}
    return SyntheticRun(tmp_path, tree=tree).fill({"balanced": 0.6, "hybrid": 0.7}, stages={"k" * 64: "s"})


def test_a_board_is_the_same_with_and_without_the_block(fitted: SyntheticRun) -> None:
    before = render(fitted.boards(), "json")
    for arm in ("balanced", "hybrid"):
        block_of(fitted, arm)

    assert render(fitted.boards(), "json") == before


def test_details_tell_generators_and_classifiers_apart_once_the_block_is_complete(fitted: SyntheticRun) -> None:
    def details() -> Any:
        (found,) = compare(fitted.store, fitted.record(), "hybrid", "balanced", in_detail=True)
        return found

    assert "--seed-block" in render_versus([details()], "table")
    block_of(fitted, "balanced")
    block_of(fitted, "hybrid", left_out=((2, 1),))
    assert details().details.together
    trial = fitted.trial("ddti", "hybrid", "net", (0, 0, 1))
    trial = dataclasses.replace(trial, stage_seed=2, id="")
    fitted._put(dataclasses.replace(trial, id=digest(trial.to_json())), 0.7, {})

    found = details()

    apart = found.details.spread
    assert not found.details.together
    assert None not in (apart.folds, apart.generators, apart.seeds)
    assert apart.buy
    gains = np.array([[_gain(found, (g, s)) for s in SEEDS] for g in SEEDS])
    assert apart.seeds == pytest.approx(math.sqrt(gains.var(axis=1, ddof=1).mean()))
    text = render_versus([found], "table")
    assert "not separable" not in text
    assert "one fold, 3 x 3 seeds" in text


def _gain(found: Any, pair: tuple[int, int]) -> float:
    def balanced_accuracy(row: Any) -> float:
        u = row.block[pair]
        return float(np.mean([(u.probabilities.argmax(1) == u.labels)[u.labels == k].mean() for k in (0, 1)]))

    return balanced_accuracy(found.arm) - balanced_accuracy(found.other)


def test_the_block_recovers_what_each_draw_adds() -> None:
    """Invented gains of 4,000 runs: the mean of the estimates is what was put in."""
    rng = np.random.default_rng(3)
    parts = {"folds": 5.0, "generators": 3.0, "seeds": 2.0}
    found = []
    for _ in range(4000):
        gains = rng.normal(0, math.sqrt(5**2 + 3**2 + 2**2), (15, 1))
        block = rng.normal(0, 3, (3, 1)) + rng.normal(0, 2, (3, 3))
        found.append(spread_with_block(gains, block))

    for name, size in parts.items():
        variance = np.mean([getattr(one, name) ** 2 for one in found])
        assert variance == pytest.approx(size**2, rel=0.12)  # cut at 0, so a little more than what was put in
    assert {one.buy for one in found} >= {"folds", "generators"}
    few = spread_with_block(np.zeros((2, 1)), np.zeros((3, 3)))
    assert (few.folds, few.buy) == (None, "")


@pytest.mark.slow
def test_a_run_with_the_block_goes_on_and_shows_it(tmp_path: Path) -> None:
    asked = ["quickstart", "--budget", "steps=2,batch=4,size=16,generator_steps=2", "--folds", "2"]
    where = ["--results", str(tmp_path / "r")]

    result = CliRunner().invoke(cli, ["run", *asked, "--seed-block", *where])
    assert result.exit_code == 0, result.output
    planned = CliRunner().invoke(cli, ["plan", *asked, "--seed-block", *where]).output
    assert "Of these, 18 of one fold take 3 generator seeds x 3 classifier seeds" in " ".join(planned.split())
    text = CliRunner().invoke(cli, ["compare", "hybrid", "hybrid[generator=resample]", "--details", *where]).output
    assert "one fold, 3 x 3 seeds" in text


def test_the_cells_of_a_block_are_trials_of_their_own() -> None:
    one = Trial(
        "d", "patients", 0, 0, 5, 0, 0, "a", "c", study.build({"datasets": ["d"], "augmenters": ["a"]}).spending
    )

    assert digest(one.to_json()) != digest(dataclasses.replace(one, stage_seed=1).to_json())
