"""Words, reasons and sentences; sentences 2, 3, 4, 7, 8, 9 and 10 of the statistics."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.boards.gains import Judged
from medbench.boards.yardstick_results import Kind, YardstickResult
from medbench.planning.arms import Arm
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.verdicts import WORDS, Evidence, GivenWord, Verdict, failures, judge, reason_withheld
from medbench.tables.wording import SYNTHETIC, answer, cases, detectable, legend, looks, what_helps, yardstick
from medbench.text import auroc_text, points, printed

DDTI = Evidence(folds=5, repeats=3, planned=15, settled=15, rare=52, patients=298)
GAINS = st.floats(-0.3, 0.3)


def interval(low: float, high: float, error: float = 0.02) -> Interval:
    """Return an interval in points."""
    middle, half = (low + high) / 200, (high - low) / 200
    ends = (middle - half, middle + half)
    return Interval(middle, error, *ends, *ends, 51, error**2, 0.0, 5, half / error)


def word(low: float, high: float, *, evidence: Evidence = DDTI, worth: float = 2.0, auroc: float = 0.01) -> str:
    return judge(interval(low, high), evidence, worth=worth, auroc=auroc).word


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.8, 16.0, "better"),
        (-16.0, -1.8, "worse"),
        (-1.5, 1.9, "same"),
        (-2.0, 2.0, "same"),
        (-5.1, 7.9, "can't tell"),
        (-2.1, 1.0, "can't tell"),
        (0.0, 1.5, "same"),
        (0.0, 5.0, "can't tell"),
        (0.3, 1.5, "better"),
    ],
)
def test_sentence_3_the_word_is_the_interval(low: float, high: float, expected: str) -> None:
    assert word(low, high) == expected


def test_sentence_3_the_word_is_read_off_the_interval_as_printed() -> None:
    """A range that is printed as +0.0 to +5.0 does not lie above 0, and one printed as -2.0 lies within 2 points."""
    assert word(0.04, 5.0) == "can't tell"
    assert word(0.06, 5.0) == "better"
    assert word(-2.04, 1.0) == "same"
    assert word(-5.0, -0.04) == "can't tell"


def test_sentence_3_what_is_worth_having_is_fixed_before_the_run() -> None:
    assert [word(-1.5, 1.9, worth=w) for w in (1.0, 1.9, 5.0)] == ["can't tell", "same", "same"]


def test_sentence_2_a_gain_without_one_in_auroc_is_a_threshold() -> None:
    assert [word(1.8, 16.0, auroc=a) for a in (0.01, 0.0, -0.01)] == ["better", "threshold", "threshold"]
    assert word(-16.0, -1.8, auroc=-0.1) == "worse"
    unknown = judge(interval(1.8, 16.0), DDTI, worth=2, auroc=math.nan)
    assert (unknown.word, unknown.withheld[:7]) == ("", "No fold")


def test_every_word_has_a_style_and_a_mark_of_its_own() -> None:
    assert set(WORDS) == set(get_args(GivenWord))
    assert len({style.mark for style in WORDS.values()}) == len(WORDS)
    assert [style.rank for style in WORDS.values()] == sorted(style.rank for style in WORDS.values())


ORDER = {"worse": 0, "can't tell": 1, "same": 1, "threshold": 2, "better": 2}


@given(low=GAINS, width=st.floats(0, 0.3), shift=st.floats(0, 0.3), worth=st.floats(0.1, 20))
@settings(max_examples=200, deadline=None)
def test_a_range_that_lies_higher_never_gets_a_lower_word(low: float, width: float, shift: float, worth: float) -> None:
    here, above = (100 * low, 100 * (low + width)), (100 * (low + shift), 100 * (low + shift + width))

    assert ORDER[word(*here, worth=worth)] <= ORDER[word(*above, worth=worth)]


@given(low=GAINS, width=st.floats(0, 0.3), wider=st.floats(0, 0.3), worth=st.floats(0.1, 20))
@settings(max_examples=200, deadline=None)
def test_a_wider_range_never_says_more(low: float, width: float, wider: float, worth: float) -> None:
    inner, outer = (100 * low, 100 * (low + width)), (100 * (low - wider), 100 * (low + width + wider))

    said = word(*outer, worth=worth)

    assert said in ("can't tell", "same", word(*inner, worth=worth))
    if word(*inner, worth=worth) == "can't tell":
        assert said == "can't tell"


@given(low=GAINS, width=st.floats(0, 0.3), worth=st.floats(0.1, 20))
@settings(max_examples=100, deadline=None)
def test_an_arm_and_its_control_change_places(low: float, width: float, worth: float) -> None:
    other = {"better": "worse", "worse": "better"}
    forth = word(100 * low, 100 * (low + width), worth=worth)

    assert word(-100 * (low + width), -100 * low, worth=worth) == other.get(forth, forth)


PRACTICE = (
    "Practice run, so no verdict: a verdict needs 5-fold cross-validation repeated 3 times (--folds 5 --repeats 3)."
)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"settled": 12}, "12 of 15 training runs done, so no verdict yet."),
        ({"rare": 14}, "Only 14 patients in the rarest class, so no verdict: it needs 20."),
        ({"rare": 19, "unit": "images"}, "Only 19 images in the rarest class, so no verdict: it needs 20."),
        ({"repeats": 1}, PRACTICE),
        ({"folds": 2}, PRACTICE),
        ({"folds": 1, "repeats": 2}, "Practice run, so no verdict: a verdict needs 3 repeats (--repeats 3)."),
        ({"failed": 15, "kind": "diverged"}, "15 of 15 diverged, so no verdict."),
        ({"failed": 2, "kind": "diverged"}, "2 of 15 diverged, more than one training run in 10, so no verdict."),
        (
            {"control_failed": 2},
            "2 of 15 training runs of the method it is compared with failed, so no verdict.",
        ),
        (
            {"leaks": ("copy", "fitted-on-test")},
            "Leaky protocol, so no verdict: copies of test images in training, a scaler, encoder or "
            "generator learned from test images.",
        ),
    ],
)
def test_sentences_4_7_and_8_when_there_is_no_verdict(changed: dict, sentence: str) -> None:
    evidence = replace(DDTI, **changed)

    found = judge(interval(1.8, 16.0), evidence, worth=2, auroc=0.1)

    assert found == Verdict("", sentence)
    assert reason_withheld(evidence) == sentence
    comparison = Judged(interval(1.8, 16.0), 0.1, evidence, found)
    assert answer(comparison, arm="a", control="b", worth=2) == sentence


def test_sentence_8_nothing_is_said_before_the_control_is_complete() -> None:
    assert judge(None, DDTI, worth=2, auroc=0.1).word == ""
    assert reason_withheld(DDTI) == ""
    assert reason_withheld(replace(DDTI, rare=20)) == ""
    assert reason_withheld(replace(DDTI, folds=1)) == ""


def test_sentence_8_a_failed_cell_stays_visible_and_makes_no_arm_the_same() -> None:
    one = replace(DDTI, failed=1, kind="diverged")

    assert one.failures == "1 of 15 diverged"
    assert replace(one, kind="resources").failures == "1 of 15 failed (resources)"
    assert failures(2, 1500, ["data", "diverged"]) == "2 of 1,500 failed (data, diverged)"
    assert DDTI.failures == ""
    assert word(1.8, 16.0, evidence=one) == "better"
    found = judge(interval(-1.0, 1.0), one, worth=2, auroc=0.0)
    assert found.word == "can't tell"
    assert "1 of 15 diverged" in found.note


def say(low: float, high: float, *, auroc: float = 0.09, ends: tuple[float, float] | None = None) -> str:
    found = interval(low, high, error=0.0252)
    area = interval(100 * ends[0], 100 * ends[1]) if ends else None
    verdict = judge(found, DDTI, worth=2, auroc=auroc, auroc_range=area)
    return answer(Judged(found, auroc, DDTI, verdict, area), arm="hybrid", control="resample", worth=2)


def test_sentence_3_each_word_has_its_sentence() -> None:
    assert say(1.8, 16.0) == (
        "Yes: +8.9 points for hybrid compared with resample (95 % CI +1.8 to +16.0); AUROC rises too (+.090)."
    )
    assert say(-16.0, -1.8) == "Worse: hybrid 8.9 points lower than resample (95 % CI -16.0 to -1.8)."
    assert say(-1.5, 1.9) == ("No relevant difference: hybrid within 2 points of resample (95 % CI -1.5 to +1.9).")
    moved = "Only the decision threshold moved with hybrid, compared with resample: balanced accuracy +8.9 points"
    assert say(1.8, 16.0, auroc=-0.004) == f"{moved} (95 % CI +1.8 to +16.0), AUROC -.004."
    assert say(1.8, 16.0, auroc=-0.004, ends=(-0.03, 0.019)) == (
        f"{moved} (95 % CI +1.8 to +16.0), AUROC -.004 (-.030 to +.019)."
    )
    assert say(1.8, 16.0, auroc=-0.004, ends=(-0.03, 0.022)) == (
        "Yes: +8.9 points for hybrid compared with resample (95 % CI +1.8 to +16.0). "
        "The gain in AUROC is open (-.004, 95 % CI -.030 to +.022)."
    )
    assert "AUROC rises too (+.090)" in say(1.8, 16.0, ends=(0.01, 0.17))


def test_sentence_3_inconclusive_is_followed_by_what_the_design_can_detect() -> None:
    """(2.58 + .84) x 2.52 = 8.6 points; 2 points take 298 x (8.6 / 2)^2 patients."""
    assert say(-5.1, 7.9) == (
        "Inconclusive: +1.4 points for hybrid compared with resample (95 % CI -5.1 to +7.9). This design can detect a "
        "gain of 8.6 points or more (80 % power); detecting a 2-point gain would need about 5,500 patients."
    )


def test_a_design_that_detects_what_matters_asks_for_no_more_patients() -> None:
    said = detectable(interval(-0.5, 2.5, error=0.005), DDTI, worth=2)

    assert said == "This design can detect a gain of 1.9 points or more (80 % power)."


def test_no_difference_is_never_said_without_relevant() -> None:
    for low in range(-6, 7):
        assert "difference" not in say(low, low + 3.0).lower().replace("no relevant difference", "")


def test_a_sure_gain_that_is_not_worth_having_says_so() -> None:
    assert say(0.3, 1.5).endswith("The whole interval lies below the 2 points that are relevant.")
    assert judge(interval(0.3, 2.5), DDTI, worth=2, auroc=0.1).note == ""


@given(value=st.floats(-1, 1))
def test_what_is_printed_is_what_is_judged(value: float) -> None:
    assert float(points(value)) == printed(value)


def test_numbers_are_written_as_tables_write_them() -> None:
    assert [points(v) for v in (0.014, -0.0001, 0.0)] == ["+1.4", "+0.0", "+0.0"]
    assert [auroc_text(v) for v in (0.012, -0.1, -0.0001, 1.0)] == ["+.012", "-.100", "+.000", "+1.000"]


def test_what_helps_names_the_surest_first() -> None:
    named = [("mixup", -5.0, 7.4), ("geometric", 1.8, 16.0), ("cutmix", 3.0, 5.0)]
    found = [(n, judge(interval(a, b), DDTI, worth=2, auroc=0.1), interval(a, b)) for n, a, b in named]

    assert what_helps(found) == "What helps: cutmix, +4.0 (+3.0 to +5.0); geometric, +8.9 (+1.8 to +16.0)."
    assert what_helps(found[:1]) == ""


def test_sentence_9_the_number_of_looks_stands_under_every_table() -> None:
    tried = "methods were tried on these splits so far."
    assert looks(5, 7) == f"Simultaneous 95 % confidence intervals for 5 comparisons (max-t). 7 {tried}"
    assert looks(1, 1) == "95 % confidence interval of one comparison. 1 method was tried on these splits so far."
    assert looks(0, 2) == f"Nothing is compared yet. 2 {tried}"


def test_sentence_10_yardsticks_carry_a_remark_in_place_of_a_verdict() -> None:
    def of(kind: Kind) -> tuple[str, str]:
        return yardstick(YardstickResult(kind, Arm("plain", "net", ""), planned=2, done=2, trainings=3, seconds=480.0))

    assert of("seeds") == ("same method, other seeds", "noise of training")
    assert of("fewer") == ("3/4 of the patients", "what data adds")
    assert of("average") == ("3 networks averaged", "what 8 min add")


def test_three_data_sets_are_three_cases() -> None:
    assert cases(3) == "Not averaged over data sets: three are three cases, not a sample."
    assert cases(12).endswith("12 are 12 cases, not a sample.")
    assert cases(1) == ""


def test_marks_are_explained() -> None:
    assert legend(2.0) == "+ better   - worse   = no relevant difference (within 2 points)   . inconclusive"
    assert legend(2.5, ["threshold"]).endswith("t only the decision threshold moved")
    assert [Verdict(w).mark for w in ("better", "worse", "same", "can't tell", "threshold", "")] == [*"+-=.t", ""]
    assert SYNTHETIC == "Synthetic test images: the result says nothing about patients."
