"""``leaderboard --table scores``: every score beside the gain of the methods that trained with the images."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from _synthetic_store import SyntheticRun
from medbench.analyses.scores_and_gains import ScoresAndGains, find_scores_and_gains
from medbench.cli import cli
from medbench.registry.display_names import is_of_copies
from medbench.tables.scores_and_gains import answer, render
from medbench.tables.writers.terminal import Screen
from medbench.text import columns
from medbench.trial.trial import Trial

COPIES = "reacgan[generator=resample]"
TREE = {"balanced": "", COPIES: "balanced", "acgan": COPIES, "reacgan": COPIES, "diffusion": COPIES}
SKILL = {"balanced": 0.6, COPIES: 0.62, "acgan": 0.6, "reacgan": 0.7, "diffusion": 0.85}


def scores_of(trial: Trial) -> Mapping[str, float | None]:
    """KID falls with skill, coverage is noise, recall is known of one generator, nothing is a copy."""
    if trial.augmenter == "balanced":
        return {}
    rng = np.random.default_rng([trial.repeat, trial.fold, len(trial.augmenter)])
    kid = 1.5 - SKILL[trial.augmenter] + rng.normal(0, 0.02)
    recall = 0.5 + rng.random() / 9 if trial.augmenter == "acgan" else None
    return {"kid": kid, "kid-floor": 0.0, "kid:yes": kid, "coverage": rng.random(), "copies": 0.0, "recall": recall}


def run_of(place: Path, **more: object) -> SyntheticRun:
    run = SyntheticRun(place, tree=TREE, datasets=("phantom:ddti",), **{"repeats": 3, **more})  # type: ignore[arg-type]
    run.scores_of = scores_of
    return run.fill(SKILL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    made = run_of(tmp_path_factory.mktemp("scores"))
    made.save()
    return made


@pytest.fixture(scope="module")
def found(run: SyntheticRun) -> ScoresAndGains:
    return find_scores_and_gains(run.store, [run.record()], draws=200)


def test_the_correlation_is_spearmans_over_all_cells(run: SyntheticRun, found: ScoresAndGains) -> None:
    """From the predictions by scikit-learn and scipy."""
    board = run.boards(keep=[(name, "net") for name in TREE])[0]
    rows = {row.arm.augmenter: row for row in board.rows}
    kids, coverages, gains = [], [], []
    for name in ("acgan", "reacgan", "diffusion"):
        for cell, own in rows[name].cells.items():
            above = rows[COPIES].cells[cell]
            of_both = [balanced_accuracy_score(u.labels, u.probabilities.argmax(1)) for u in (own, above)]
            gains.append(round(of_both[0] - of_both[1], 12))
            known = rows[name].trials[cell].scores
            kids.append(known["kid"])
            coverages.append(known["coverage"])
    by_name = {one.name: one for one in found.scores}

    assert is_of_copies(COPIES)
    assert (found.cells, found.generators, found.patients, len(found.methods)) == (45, 3, 90, 3)
    assert by_name["kid"].correlation == pytest.approx(stats.spearmanr(kids, gains).statistic)
    assert by_name["coverage"].correlation == pytest.approx(stats.spearmanr(coverages, gains).statistic)
    assert (by_name["recall"].why, by_name["recall"].cells, by_name["recall"].generators) == ("too few", 15, 1)
    assert by_name["copies"].why == "constant"
    assert set(by_name) == {"kid", "coverage", "recall", "copies"}


def test_ranges_enclose_and_leaving_out_one_method_shows_what_rests_on_it(found: ScoresAndGains) -> None:
    kid, coverage = (next(one for one in found.scores if one.name == name) for name in ("kid", "coverage"))

    assert kid.high is not None
    assert kid.low is not None
    assert kid.without_one is not None
    assert kid.low < kid.correlation < kid.high < 0  # type: ignore[operator]
    assert coverage.low < 0 < coverage.high  # type: ignore[operator]
    assert kid.without_one[0] < kid.without_one[1] <= 0
    assert answer(found).startswith("KID (-.")
    assert answer(found).endswith("goes with the gain; the other intervals include 0.")


def test_what_rests_on_one_method_is_said(found: ScoresAndGains) -> None:
    scores = tuple(replace(one, without_one=(-0.5, 0.1)) if one.name == "kid" else one for one in found.scores)

    assert re.match(r"KID \(-\.\d\d, not without one of the methods\) goes", answer(replace(found, scores=scores)))


def test_every_format_has_the_same_numbers(run: SyntheticRun, found: ScoresAndGains) -> None:
    text, wide = render(found, "table"), render(found, "table", screen=Screen(120))
    rows = json.loads(render(found, "json"))
    of_csv = list(csv.DictReader(io.StringIO(render(found, "csv"))))
    kid = next(row for row in rows if row["score"] == "kid")
    shown = f"{kid['correlation']:+.2f}".replace("0.", ".")

    assert max(map(columns, text.split("\n"))) <= 80
    assert max(map(columns, wide.split("\n"))) <= 120
    assert re.search(rf"^ KID +lower +{re.escape(shown)} +-\.\d\d to -\.\d\d$", text, re.MULTILINE)
    assert "without one method" not in text
    assert "without one method" in wide
    assert f"| KID | lower | {shown} |" in render(found, "md")
    assert [float(row["correlation"]) for row in of_csv if row["score"] == "kid"] == [kid["correlation"]]
    assert "Synthetic test images" in text
    assert "KID & lower & " in render(found, "latex")


def test_the_command_counts_every_run_of_the_store_once(run: SyntheticRun) -> None:
    """A second run of the same cells adds none; one that is named stands alone."""
    second = run.root / ".plans" / "again-00000000.json"
    record = run.record()
    record["study"]["name"] = "again"
    second.write_text(json.dumps(record))
    ask = ["leaderboard", "--results", str(run.root), "--table", "scores"]

    every = CliRunner().invoke(cli, ask, catch_exceptions=False)
    short = CliRunner().invoke(cli, [*ask[:-2], "--scores"], catch_exceptions=False)
    named = CliRunner().invoke(cli, [*ask, "again", "--format", "json"], catch_exceptions=False)

    assert short.stdout == every.stdout
    assert every.stderr == ""
    assert "45 training runs with images of 3 generators" in " ".join(every.stdout.split())
    assert {row["cells"] for row in json.loads(named.stdout)} == {45, 15}
    second.unlink()


def test_folders_of_ones_own_stand_there_by_their_names(tmp_path: Path) -> None:
    run = run_of(tmp_path, folds=2, repeats=1)
    run.save()
    record = run.record()
    record["sources"][0] |= {"dataset": "phantom:ddti", "title": "Necks of one ward"}
    (run.root / ".plans" / "synthetic-00000000.json").write_text(json.dumps(record))
    said = CliRunner().invoke(
        cli, ["leaderboard", "--results", str(run.root), "--table", "scores"], catch_exceptions=False
    )

    assert "on Necks of one ward (SYNTHETIC images):" in " ".join(said.stdout.split())


@pytest.mark.parametrize("unit", ["patient", "image"])
def test_status_says_what_is_split_as_the_table_does(tmp_path: Path, unit: str) -> None:
    run = SyntheticRun(tmp_path, folds=2, repeats=1).fill()
    run.save()
    record = run.record()
    record["sources"][0]["unit"] = unit  # as many images as patients: "image" says that nobody knows whose they are
    (run.root / ".plans" / "synthetic-00000000.json").write_text(json.dumps(record))
    where = ["--results", str(run.root)]

    assert f"split by {unit}" in CliRunner().invoke(cli, ["status", *where], catch_exceptions=False).stdout
    table = CliRunner().invoke(cli, ["leaderboard", *where], catch_exceptions=False).stdout
    assert f"cross-validation by {unit}" in " ".join(table.split())


def test_too_few_leaky_and_no_generators_are_said(tmp_path: Path) -> None:
    few = run_of(tmp_path / "few", folds=2, repeats=1)
    leaky = run_of(tmp_path / "leaky", folds=2, repeats=1, protocols=["patients[leak=selection]"])
    none = SyntheticRun(tmp_path / "none", repeats=1).fill()

    found = find_scores_and_gains(few.store, [few.record()])
    assert "Too few to say: 6 training runs with images of 3 generators; it takes 15" in answer(found)
    assert {one.correlation for one in found.scores} == {None}
    found = find_scores_and_gains(leaky.store, [leaky.record()])
    assert (found.cells, found.leaky) == (0, 1)
    found = find_scores_and_gains(none.store, [none.record()])
    assert answer(found).startswith("No training run has scores")
    assert render(found, "table")
    assert render(found, "csv") == ""
