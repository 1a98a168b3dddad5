"""``medbench claim``: figures, files and studies, as they are typed; and ``medbench.claim``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import medbench
from medbench.analyses.claim import Claim, examine
from medbench.analyses.claim_facts import read_claim
from medbench.cli import cli
from medbench.errors import UsageError
from medbench.protocols.protocol import LEAKY
from medbench.tables.claim import LEAKS, probability, render, to_json
from medbench.text import columns

DOCS = Path(__file__).parents[2] / "docs"
STUDIES = ("brain-features", "mediaug", "spine-hybrid", "thyroid-gan", "xray-transfer")
FIGURES = ("--n", "192", "--from", "70.0", "--to", "76.0")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["claim", *words])


def said(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.exception
    assert max(map(columns, result.output.split("\n"))) <= 80
    return " ".join(result.output.split())


def facts(*words: str) -> dict[str, object]:
    return dict(json.loads(run(*words, "--json").output)[0])


def test_unknown_agreement_gives_a_range_and_known_agreement_one_figure() -> None:
    open_, known = facts(*FIGURES), facts(*FIGURES, "--agreement", ".9")
    low, high = open_["probability_of_no_gain"]  # type: ignore[misc]
    one, same = known["probability_of_no_gain"]  # type: ignore[misc]

    assert low < one < high
    assert one == same
    assert "depends on how often the two methods agree" in said(*FIGURES)
    assert "70.0 % is no share of 192 images: 134 are 69.8 and 135 are 70.3." in said(*FIGURES)


@settings(max_examples=50, deadline=None)
@given(st.integers(10, 400), st.integers(0, 400), st.integers(0, 400), st.floats(0, 1))
def test_every_possible_agreement_lies_in_the_range(n: int, right: int, more: int, place: float) -> None:
    """Of figures whose counts are known, each table that they allow."""
    right, after = right % (n + 1), more % (n + 1)
    told = read_claim({"n": n, "from": f"{100 * right / n:.6f}%", "to": f"{100 * after / n:.6f}%"})
    found = examine(told)
    fewest, most = max(0, right - after), min(right, n - after)
    only_first = fewest + round(place * (most - fewest))
    disagreement = (2 * only_first + after - right) / n
    one = examine(Claim(**{**vars(told), "agreement": 1 - disagreement}))

    assert found.none is not None
    assert one.none is not None
    assert found.none[0] - 1e-6 <= one.none[0] <= found.none[1] + 1e-6
    assert 0 <= one.none[0] <= 1
    assert one.readings[0].low <= (after - right) / n <= one.readings[0].high


def test_comparisons_and_patients_make_a_claim_less_sure() -> None:
    plain = facts(*FIGURES, "--agreement", ".9")["probability_of_no_gain"]
    of_many = facts(*FIGURES, "--agreement", ".9", "--comparisons", "12")["probability_of_no_gain"]
    clustered = facts(*FIGURES, "--agreement", ".9", "--patients", "60")

    assert of_many[0] > plain[0]  # type: ignore[index]
    assert min(clustered["probability_of_no_gain"]) > plain[0]  # type: ignore[call-overload, index]
    independent = [reading["independent_images"] for reading in clustered["readings"]]  # type: ignore[attr-defined]
    assert independent == pytest.approx([192 / (1 + 2.2 * 0.2), 192 / (1 + 2.2 * 0.8)])
    assert "60 patients with 3.2 images each" in said(*FIGURES, "--patients", "60")


def test_luck_that_explains_nothing_leaves_the_leaks() -> None:
    admitted = ("--split-by", "images", "--selected-on", "test", "--augmented-before-split", "--synthetic-scored")
    more = ("--fitted-on-all", "--longer-training", "--comparisons", "12")
    text = said("--from", "70.0", "--to", "99.3", "--classes", "140/52", *admitted, *more)

    assert "Luck in the test images does not explain this gain" in text
    assert "Its text admits 7 leaks, which may." in text
    assert "Naming the commonest class for every image scores 72.9 %. 70.0 % lies below that." in text
    assert [leak for leak in LEAKS if LEAKS[leak][0] not in text] == []


def test_each_leak_names_switches_that_run_has() -> None:
    named = {name for _, how in LEAKS.values() for name in how.partition("--leak ")[2].split(",") if name}

    assert named
    assert named <= set(LEAKY)
    assert set(read_claim({"n": 5, "split-by": "images", "synthetic_scored": True}).leaks) <= set(LEAKS)


def test_other_metrics() -> None:
    auroc = facts("--metric", "auroc", "--classes", "40/100", "--from", ".81", "--to", ".86")
    correlated = facts(
        "--metric", "auroc", "--classes", "40/100", "--from", ".81", "--to", ".86", "--correlation", ".5"
    )
    balanced = facts("--metric", "balanced-accuracy", "--classes", "40/100", "--from", "81", "--to", "86")
    apart = facts("--n", "200", "--n-to", "300", "--from", "70", "--to", "75")
    lost = said("--n", "570", "--from", ".61", "--to", ".524")

    low, high = auroc["probability_of_no_gain"]  # type: ignore[misc]
    assert low < correlated["probability_of_no_gain"][0] < high  # type: ignore[index]
    assert [len(one["readings"]) for one in (auroc, correlated, balanced, apart)] == [2, 1, 2, 1]  # type: ignore[arg-type]
    assert "No gain is claimed" in lost
    assert "95 % CI of 79.19 %" in said("--n", "716", "--to", "79.19")


@pytest.mark.parametrize(
    ("n", "before", "after"), [("1000", "0.8", "0.9"), ("500", "0.9", "0.9"), ("10000000", "80.0", "80.1")]
)
def test_where_rounding_decides_every_interval_stands_under_the_gain_it_is_of(n: str, before: str, after: str) -> None:
    words = ("--n", n, "--from", before, "--to", after)
    (found,) = json.loads(run(*words, "--json").output)
    text = " ".join(said(*words).split())

    assert "points; before rounding" in text
    assert "The figures are rounded: the gain lies between" in text
    assert "no gain is claimed" in text.lower() or "and on how the figures were rounded" in text
    for reading in found["readings"]:
        assert reading["gain_low"] <= reading["gain"] <= reading["gain_high"]
    assert {reading["gain"] for reading in found["readings"]} != {found["gain"]}


def test_as_many_other_images_are_other_images() -> None:
    words = ("--n", "100", "--from", "80", "--to", "85")
    apart, more = (json.loads(run(*words, "--n-to", n, "--json").output)[0] for n in ("100", "101"))

    assert apart["probability_of_no_gain"] == pytest.approx(more["probability_of_no_gain"], abs=0.02)
    assert len(apart["readings"]) == 1
    assert "tested on different images" in " ".join(said(*words, "--n-to", "100").split())


def test_shares_are_written_as_shares() -> None:
    assert "Claim: accuracy from 0.5 to 1, 100 test images" in said("--n", "100", "--from", "0.5", "--to", "1")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "which claim?"),
        (("--n", "192"), None),
        (("--n", "many", "--from", "70", "--to", "80"), "n is 'many'; give a whole number."),
        (("--n", "0", "--from", "70", "--to", "80"), "n is 0; give a number from 1"),
        (("--from", "70.00", "--to", "78.28"), "needs n, the number of test images; the fewest that give 70.00 and"),
        (("--n", "9", "--from", "70", "--to", "101"), "to is 101; give percent from 0 to 100"),
        (("--n", "9", "--from", "nan", "--to", "80"), "from is 'nan'; give a number."),
        (("--n", "192", "--classes", "100/52", "--from", "70", "--to", "80"), "classes add up to 152 images, n is 192"),
        (("--metric", "auroc", "--n", "9", "--from", ".7", "--to", ".8"), "auroc needs classes"),
        (("--metric", "auroc", "--classes", "9/9/9", "--from", ".7", "--to", ".8"), "an AUROC is of two classes"),
        (("--metric", "auroc", "--classes", "9/9", *FIGURES[2:], "--agreement", ".9"), "give correlation"),
        ((*FIGURES, "--correlation", ".9"), "correlation is that of two AUROCs"),
        ((*FIGURES, "--agreement", ".99"), "right or wrong together on 46.0 to 94.0 % of the images, not on 99.0 %"),
        ((*FIGURES, "--patients", "500"), "500 patients cannot have 192 images"),
        ((*FIGURES, "--comparisons", "0"), "comparisons is 0"),
        ((*FIGURES, "--n-to", "99", "--agreement", ".9"), "have no agreement"),
        (("--n", "100", "--from", ".8", "--to", "85"), "from is .8 and to is 85: one reads as a share, the other as"),
        (("--n", "100", "--from", "80", "--to", ".5"), "to as .5% where that is meant"),
        (("--n", "100", "--from", "1", "--to", "2"), None),
        (("--n", "100", "--from", ".8%", "--to", "85"), None),
        (("--metric", "auroc", "--classes", "9/9", *FIGURES[2:], "--correlation", "-2"), "give a number from 0 to 1."),
        (("spine-hybird",), "did you mean 'spine-hybrid'"),
        (("spine-hybrid", "--n", "9"), "leave out either"),
        (("nowhere.toml",), "nowhere.toml: cannot be read"),
    ],
)  # fmt: skip
def test_what_makes_no_claim_is_one_sentence(words: tuple[str, ...], says: str | None) -> None:
    result = run(*words)

    if says is None:
        assert result.exit_code == 0
    else:
        assert isinstance(result.exception, UsageError)
        assert says in str(result.exception)
        assert UsageError.exit_code == 2


def test_a_file_has_the_keys_of_the_options(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('split-by = "images"\n[[claim]]\nn = 192\nfrom = "70.0"\nto = 76.0\n[[claim]]\nn = 50\nto = 0.9\n')

    assert said(str(file)).count("Claim: ") == 2
    assert [one["leaks"][0]["name"] for one in json.loads(run(str(file), "--json").output)] == ["images"] * 2
    for text, says in (
        ("[[claim]]\nnn = 5", "claim 1: a claim has no 'nn'; did you mean 'n'?"),
        ("[[claim]]\nn = true", "n is True"),
        ("[[claim]]\nfitted-on-all = 1", "fitted-on-all is 1; give true or false"),
        ('[[claim]]\nsplit-by = "slices"', "split-by is 'slices'; give images or patients"),
        ("claim = 5", "holds no claim"),
        ("[[claim", "is not TOML"),
    ):
        file.write_text(text)
        assert says in str(run(str(file)).exception)


@pytest.mark.parametrize("study", STUDIES)
def test_the_claims_of_every_study_have_their_source_and_are_printed_as_in_the_docs(study: str) -> None:
    found = json.loads(run(study, "--json").output)
    page = (DOCS / "how-to" / "claims.md").read_text(encoding="utf-8")
    printed = re.search(rf"^\$ medbench claim {study}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    assert all(one["source"] for one in found)
    assert printed is not None
    assert printed[1].rstrip() == run(study).output.rstrip()


def test_python_has_the_same_record() -> None:
    claim = medbench.claim("70.0", "76.0", n=192, comparisons=12, split_by="images")

    assert claim.values == json.loads(run(*FIGURES, "--comparisons", "12", "--split-by", "images", "--json").output)
    assert str(claim) == run(*FIGURES, "--comparisons", "12", "--split-by", "images").output.rstrip("\n")
    assert str(medbench.claim(70, 76, n=50))
    with pytest.raises(UsageError, match="no format"):
        claim.write("latex")


def test_figures_alone_wait_for_no_library() -> None:
    code = "import sys, medbench.cli.claim; print({'numpy', 'scipy', 'torch', 'pydantic', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "set()\n"


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {"from": st.integers(0, 1000).map(lambda k: f"{k / 10:.1f}"), "to": st.floats(0, 1) | st.just(100)},
        optional={
            "n": st.integers(1, 2000),
            "n-to": st.integers(1, 2000),
            "classes": st.lists(st.integers(1, 200), min_size=2, max_size=3),
            "metric": st.sampled_from(["accuracy", "recall", "auroc", "balanced-accuracy"]),
            "patients": st.integers(1, 100),
            "comparisons": st.integers(1, 50),
            "agreement": st.floats(0, 1),
            "worth": st.floats(0, 100),
        },
    )
)
def test_whatever_is_typed_is_examined_or_refused_in_one_sentence(typed: dict[str, object]) -> None:
    try:
        found = examine(read_claim(typed))
    except UsageError:
        return
    text = render([found])
    json.loads(to_json([found]))

    assert max(map(columns, text.split("\n"))) <= 80
    for reading in found.readings:
        assert 0 <= reading.none <= reading.none_as_best + 1e-12
        assert reading.none - 1e-6 <= reading.below_worth <= 1 + 1e-9
        assert -1 <= reading.low <= reading.high <= 1
    if len(found.readings) == 2 and (found.claim.gain or 0) > 0:
        assert found.readings[0].none <= found.readings[1].none + 1e-9


def test_small_probabilities_are_not_written_as_0() -> None:
    assert [probability(p) for p in (1e-9, 0.0312, 0.5, 0.99999)] == ["<.001", ".031", ".500", ">.999"]
