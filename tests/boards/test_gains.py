"""From scored arms to gains and words: who is compared with whom, over which family, and when nobody is."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from medbench.boards.gains import Design, Judged, Key, Tally, compare_with_controls
from medbench.planning.arms import Arm
from medbench.statistics.patient_scores import ArmScores

PATIENTS = 200


def scores(right: float, *, seed: int, auroc: float = 0.7, names: str = "p") -> ArmScores:
    rng = np.random.default_rng(seed)
    ids = np.array([f"{names}{i:04}" for i in range(PATIENTS)])
    labels = np.arange(PATIENTS) % 2
    correct = (rng.random((3, PATIENTS)) < right).astype(float)
    value = float(correct.mean())
    return ArmScores(ids, ids, labels, correct, value, value, auroc, np.full(2, value), value, value)


ROOT, ARM, CHILD = (
    Arm(name, "net", control)
    for name, control in (("balanced", ""), ("geometric", "balanced"), ("hybrid", "geometric"))
)


def compare_all(scored: dict[Key, ArmScores], **more: Any) -> dict[Key, Judged]:
    tallies = {arm.key: Tally(15, 15) for arm in (ROOT, ARM, CHILD)} | more.pop("tallies", {})
    design = Design(folds=5, repeats=3, worth=2.0, rare=100, unit="patients", **more)
    return compare_with_controls([ROOT, ARM, CHILD], scored, tallies, design)


SCORED = {
    ROOT.key: scores(0.5, seed=0),
    ARM.key: scores(0.95, seed=1, auroc=0.9),
    CHILD.key: scores(0.55, seed=2, auroc=0.8),
}


def test_an_arm_that_decides_as_its_control_does_is_the_same_and_says_so() -> None:
    alike = {**SCORED, CHILD.key: SCORED[ARM.key]}
    found = compare_all(alike)[CHILD.key]

    assert found.gain is not None
    assert found.gain.value == 0.0
    assert 0.01 < found.gain.high == -found.gain.low < 0.02  # as one more patient of each class would make it
    assert found.verdict.word == "same"
    assert found.verdict.note == (
        "It is right and wrong about the very same patients as the method it is compared with."
    )


def test_a_range_of_no_width_alone_does_not_make_decisions_the_same() -> None:
    """Always one class against always the other: the gain is 0 for certain, and every patient is decided otherwise."""
    always = [
        scores(0.5, seed=0),
        scores(0.5, seed=0),
    ]
    for k, one in enumerate(always):
        one.correct[:] = one.labels == k
    found = compare_all({**SCORED, ARM.key: always[0], CHILD.key: always[1]})[CHILD.key]

    assert found.gain is not None
    assert found.gain.value == 0.0
    assert found.verdict.note == ""


def test_each_arm_is_compared_with_its_own_control() -> None:
    found = compare_all(SCORED)

    assert set(found) == {ARM.key, CHILD.key}
    assert found[ARM.key].verdict.word == "better"
    assert found[CHILD.key].verdict.word == "worse"
    gain = found[CHILD.key].gain
    assert gain is not None
    np.testing.assert_allclose(
        gain.value,
        np.mean([(SCORED[CHILD.key].correct - SCORED[ARM.key].correct)[:, k::2].mean() for k in (0, 1)]),
    )
    assert found[CHILD.key].auroc < 0 < found[ARM.key].auroc


def test_what_was_looked_at_before_widens_the_ranges() -> None:
    narrow, wide = (compare_all(SCORED, unseen=n)[ARM.key].gain for n in (0, 37))

    assert narrow is not None
    assert wide is not None
    assert (narrow.comparisons, wide.comparisons) == (2, 39)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_arms_tested_on_other_images_have_no_gain() -> None:
    found = compare_all({**SCORED, CHILD.key: scores(0.5, seed=3, names="made")})

    assert found[CHILD.key].gain is None
    assert found[ARM.key].gain is not None


def test_an_arm_waits_for_its_control() -> None:
    found = compare_all(
        {k: v for k, v in SCORED.items() if k != ARM.key}, tallies={ARM.key: Tally(15, 12), CHILD.key: Tally(15, 15)}
    )

    assert found[CHILD.key].gain is None
    assert found[CHILD.key].verdict.withheld == "12 of 15 training runs done, so no verdict yet."


@pytest.mark.parametrize("n_unfinished", [1, 2, 3])
@pytest.mark.parametrize("correlated", [True, False])
def test_no_interval_is_shorter_before_a_run_ends_than_after_it(n_unfinished: int, correlated: bool) -> None:
    """Four methods on one reference: whichever are still to be done, those that are done have no shorter interval."""
    arms = [ROOT, *(Arm(f"method-{k}", "net", ROOT.augmenter) for k in range(4))]
    seeds = [0, 1, 1, 1, 1] if correlated else range(5)
    scored = {arm.key: scores(0.5 + 0.05 * k, seed=seed) for k, (arm, seed) in enumerate(zip(arms, seeds, strict=True))}
    design = Design(folds=5, repeats=3, worth=2.0, rare=100, unit="patients")
    after = compare_with_controls(arms, scored, {arm.key: Tally(15, 15) for arm in arms}, design)

    for waiting in itertools.combinations(arms[1:], n_unfinished):
        tallies = {arm.key: Tally(15, 12 if arm in waiting else 15) for arm in arms}
        known = {arm.key: scored[arm.key] for arm in arms if arm not in waiting}
        before = compare_with_controls(arms, known, tallies, design)
        for key in known.keys() - {ROOT.key}:
            first, last = before[key].gain, after[key].gain
            assert first is not None
            assert last is not None
            assert first.low <= last.low < last.high <= first.high
            assert first.comparisons == last.comparisons == 4


def test_failures_and_leaks_reach_the_word() -> None:
    failed = compare_all(SCORED, tallies={ARM.key: Tally(15, 15, 15, "diverged")})[ARM.key]
    leaky = compare_all(SCORED, leaks=("copy",))[ARM.key]

    assert failed.verdict.withheld == "15 of 15 diverged, so no verdict."
    few = compare_all(SCORED, tallies={ARM.key: Tally(15, 15, 2, "diverged"), CHILD.key: Tally(15, 15)})
    assert few[ARM.key].verdict.withheld == "2 of 15 diverged, more than one training run in 10, so no verdict."
    of_control = "2 of 15 training runs of the method it is compared with failed, so no verdict."
    assert few[CHILD.key].verdict.withheld == of_control
    assert leaky.verdict.word == ""
    assert leaky.verdict.withheld == "Leaky protocol, so no verdict: copies of test images in training."


def test_the_primary_comparison_is_tested_by_itself_and_the_others_behind_it() -> None:
    open_first = {**SCORED, ARM.key: scores(0.53, seed=4)}
    together, first = compare_all(SCORED, unseen=5), compare_all(SCORED, primary="geometric", unseen=5)

    gain, other = first[ARM.key].gain, first[CHILD.key].gain
    assert gain is not None
    assert other is not None
    assert (gain.comparisons, other.comparisons) == (1, 6)
    assert (gain.low, gain.high) == (gain.low_single, gain.high_single)
    assert together[ARM.key].gain is not None
    assert gain.low > together[ARM.key].gain.low  # type: ignore[union-attr]
    assert [first[a.key].verdict.word for a in (ARM, CHILD)] == ["better", "worse"]

    closed = compare_all(open_first, primary="geometric")
    assert closed[ARM.key].verdict.word == "can't tell"
    assert closed[CHILD.key].gain is not None
    assert closed[CHILD.key].verdict.word == ""
    assert "only once the primary comparison is decided" in closed[CHILD.key].verdict.withheld


def test_a_primary_comparison_keeps_wrong_words_rare() -> None:
    """Neither arm gains anything: the second is looked at only where the first is wrongly said to."""
    wrong = 0
    for seed in range(200):
        nothing = {arm.key: scores(0.6, seed=3 * seed + i) for i, arm in enumerate((ROOT, ARM, CHILD))}
        found = compare_all(nothing, primary="geometric")
        wrong += any(one.verdict.word in ("better", "worse", "threshold") for one in found.values())

    assert wrong / 200 < 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
