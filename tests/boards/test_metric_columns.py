"""Metrics of plugins from end to end: none costs a trial, and each is shown wherever further measures are."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from _bundles import ToyRun
from medbench import sealed_records
from medbench.boards.build import boards
from medbench.cli.bundle import bundle
from medbench.cli.compare import compare
from medbench.cli.leaderboard import leaderboard
from medbench.cli.report import report
from medbench.publishing.bundle import zip_container
from medbench.publishing.bundle.read_bundle import read_members
from medbench.trial.prior_correction import correct_prior

TOYS = str(Path(__file__).parents[1] / "toys")
NO_SCORES = ("-p", "no:medbench.scores")
TOY = ("-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds", "2", "--repeats", "1", "--no-controls")
HEAD = "import os\nimport numpy as np\nimport medbench\n\n"
GOOD = """
def hits(labels, probabilities):
    print("a metric that talks")
    return (probabilities.argmax(1) == labels).mean()
"""
BAD = """
def raising(labels, probabilities):
    raise ValueError("patient p0001 in /home/ada")

def by_class(labels, probabilities):
    return probabilities.mean(0)

def undefined(labels, probabilities):
    return float("nan")

def overwrites(labels, probabilities):
    os.chdir("/")
    probabilities[:] = 0
    return 1.0
"""
HOOK = "\n@medbench.hookimpl\ndef register_metrics():\n    return [{}]\n"
SCORES = """
import medbench
from dataclasses import dataclass

@dataclass(frozen=True)
class Rows:
    name: str = "rows"
    def score(self, train, held_out, synthetic):
        return 1.0 * len(synthetic)

@dataclass(frozen=True)
class Breaks(Rows):
    name: str = "breaks"
    def score(self, train, held_out, synthetic):
        raise ValueError("patient p0001")

@medbench.hookimpl
def register_scores():
    return [Rows(), Breaks()]
"""
WHY = {
    "metric raising": "ValueError",
    "metric by-class": "gave ndarray, not a number",
    "metric undefined": "gave nan",
    "metric overwrites": "ValueError",
}
Ran = subprocess.CompletedProcess[str]
Medbench = Callable[..., Ran]


def write(folder: Path, *parts: str) -> None:
    names = [line[4:].partition("(")[0] for part in parts for line in part.splitlines() if line.startswith("def ")]
    folder.mkdir(exist_ok=True)
    (folder / "own_metrics.py").write_text(HEAD + "".join(parts) + HOOK.format(", ".join(names)))


def calling(folder: Path) -> Medbench:
    places = {"MEDBENCH_CACHE": str(folder / "cache"), "MEDBENCH_RESULTS": str(folder / "runs")}

    def call(*arguments: str, **more: Any) -> Ran:
        run = [sys.executable, "-m", "medbench", *arguments]
        if arguments[0] == "run":
            run += ["--plugins-dir", TOYS, *NO_SCORES, "--executor", "forks"]
        return subprocess.run(
            run, capture_output=True, text=True, env={**os.environ, **places}, cwd=folder, timeout=300, **more
        )

    return call


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A run with good and bad metrics in a folder of plugins."""
    folder = tmp_path_factory.mktemp("metrics")
    write(folder / "own", GOOD, BAD)
    (folder / "own" / "own_scores.py").write_text(SCORES)
    return folder, calling(folder)("run", *TOY, "--plugins-dir", "own")


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "runs").rglob("result.json"))]


def test_no_metric_costs_a_trial(done: tuple[Path, Ran]) -> None:
    folder, ran = done
    found = results(folder)

    assert ran.returncode == 0, ran.stderr
    assert len(found) == 2
    for result in found:
        made = {"score breaks": "ValueError"} if result["scored"] else {}
        assert result["unmeasured"] == WHY | made
        assert {name for name, value in result["metrics"].items() if value is None} == {n[7:] for n in WHY}
        assert 0 <= result["metrics"]["hits"] <= 1
        assert set(result["metric_keys"]) == set(result["metrics"])
    assert "p0001" not in json.dumps(found)


def test_the_end_of_a_run_names_what_gave_no_number(done: tuple[Path, Ran]) -> None:
    notes = [line for line in done[1].stderr.splitlines() if line.startswith("note: metric")]

    assert "note: score breaks: no number in 2 training runs, ValueError." in done[1].stderr
    assert notes == [f"note: {name}: no number in 2 training runs, {why}." for name, why in WHY.items()]


def test_a_score_whose_code_changed_is_computed_again_and_nothing_is_trained(done: tuple[Path, Ran]) -> None:
    folder, _ = done
    kept = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in results_of(folder)}
    before = scores_of(folder)
    text = SCORES.replace("1.0 * len", "2.0 * len").replace("[Rows(), Breaks()]", "[Rows(), Rows('more'), Breaks()]")
    (folder / "own" / "own_scores.py").write_text(text)

    again = calling(folder)("run", *TOY, "--plugins-dir", "own")

    assert again.returncode == 0, again.stderr
    assert "nothing to do, 2 training runs are stored already" in again.stderr
    assert "scores of 2 training runs computed again" in again.stderr
    after = scores_of(folder)
    assert after["score_rows"] == after["score_more"] == 2 * before["score_rows"]
    assert after["score_origin-label"] == before["score_origin-label"]
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in kept} == kept
    assert set(results_of(folder)) == set(kept)


def results_of(folder: Path) -> list[Path]:
    """Return the files of results and stages, without records and what may be thrown away."""
    runs = folder / "runs"
    return [p for p in runs.rglob("*") if p.is_file() and not p.relative_to(runs).parts[0].startswith(".")]


def scores_of(folder: Path) -> dict[str, Any]:
    shown = CliRunner().invoke(leaderboard, ["--format", "json", "--results", str(folder / "runs")])
    return next(row for row in json.loads(shown.stdout) if row["augmenter"] == "adds")


# -- tables, over results that were stored before the plugin was there ----------------------------------------------


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    """A store whose results say nothing of the code that computed their metrics."""
    root = tmp_path_factory.mktemp("old")
    write(root / "own", GOOD, BAD)
    return ToyRun(root / "runs", folds=3, repeats=2)


def ask(command: click.Command, run: ToyRun, *words: str, plugins: bool = True) -> Result:
    own = ("--plugins-dir", str(run.store.root.parent / "own")) if plugins else ()
    result = CliRunner().invoke(command, [*words, *own, "--results", str(run.store.root)], standalone_mode=False)
    assert result.exception is None, result.output
    return result


def stamps(run: ToyRun) -> dict[str, tuple[int, bytes]]:
    """Return time and bytes of every file of the results, without what may be thrown away."""
    files = [p for p in run.store.root.rglob("*") if p.is_file() and ".measures" not in p.parts]
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def expected(run: ToyRun, augmenter: str) -> float:
    """Return the mean of the metric over the cells by patient, computed from the predictions by hand."""
    values = []
    for stored in run.store.rows("phantom:toy"):
        if stored.trial.augmenter == augmenter:
            p = stored.predictions()
            log = np.log(correct_prior(p.probabilities, np.array(stored.frequencies)))
            right = [
                log[p.patients == who].mean(0).argmax() == p.labels[p.patients == who][0] for who in set(p.patients)
            ]
            values.append(np.mean(right))
    assert len(values) == 6
    return float(np.mean(values))


def test_a_metric_that_a_plugin_adds_appears_for_old_trials_and_changes_none(old: ToyRun) -> None:
    before = stamps(old)
    shown = json.loads(ask(leaderboard, old, "--format", "json").output)
    rows = {row["augmenter"]: row for row in shown}

    for name in ("adds", "plain-toy"):
        assert rows[name]["metric_hits"] == pytest.approx(expected(old, name), abs=1e-6)
        assert rows[name]["metric_raising"] is None
        assert rows[name]["unmeasured"] == "; ".join(f"{what}: {why} (6)" for what, why in WHY.items())
        assert [key for key in rows[name] if key.startswith("metric_")] == [
            "metric_hits", "metric_raising", "metric_by-class", "metric_undefined", "metric_overwrites",
        ]  # fmt: skip
    assert stamps(old) == before
    assert list((old.store.root / ".measures").rglob("metrics.json"))


def test_what_was_computed_is_shown_without_the_plugin_and_thrown_away_with_its_file(old: ToyRun) -> None:
    first = ask(leaderboard, old, "--format", "json").output
    alone = json.loads(ask(leaderboard, old, "--format", "json", plugins=False).output)
    shutil.rmtree(old.store.root / ".measures")
    gone = json.loads(ask(leaderboard, old, "--format", "json", plugins=False).output)

    assert {r["augmenter"]: r.get("metric_hits") for r in alone} == {
        r["augmenter"]: r.get("metric_hits") for r in json.loads(first)
    }
    assert not [key for row in gone for key in row if key.startswith("metric_")]


def test_a_metric_whose_code_changed_is_computed_again(
    old: ToyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    values = []
    for name, text in (("first_hits", GOOD), ("second_hits", GOOD.replace(".mean()", ".mean() + 1"))):
        (tmp_path / f"{name}.py").write_text(text)
        built = boards(old.store, old.record, metrics=[importlib.import_module(name).hits])
        values.append([row.metrics["hits"] for row in built[0].rows])

    assert values[1] == [pytest.approx((value or 0) + 1) for value in values[0]]


@pytest.mark.parametrize("content", ["NAMES", "VALUES", "UNITS"])
def test_a_file_of_what_was_computed_that_is_not_ours_changes_no_number(old: ToyRun, content: str) -> None:
    first = ask(leaderboard, old, "--format", "json").output
    for path in (old.store.root / ".measures").rglob("metrics.json"):
        whole, _ = sealed_records.read(path)
        spoilt = {
            "NAMES": {name: [] for name in whole},
            "VALUES": {n: {**of, "patient": {"hits": {"key": 1, "value": "x"}}} for n, of in whole.items()},
            "UNITS": {n: {**of, "patient": 3} for n, of in whole.items()},
        }
        path.write_text(json.dumps(spoilt[content]))

    assert ask(leaderboard, old, "--format", "json").output == first


@pytest.mark.parametrize("form", ["table", "md", "csv", "latex"])
def test_every_format_shows_it(old: ToyRun, form: str) -> None:
    text = ask(leaderboard, old, "--wide", "--format", form).output

    value = f"{expected(old, 'adds'):.{4 if form == 'table' else 6}g}"
    assert "hits" in text
    assert value in text
    assert "ValueError" in text
    assert "p0001" not in text
    assert "a metric that talks" not in text
    if form == "table":
        # A command is one line that can be pasted, however long its folders are.
        assert max(len(line) for line in text.splitlines() if "medbench " not in line) <= 80


def test_a_comparison_and_a_report_show_it(old: ToyRun, tmp_path: Path) -> None:
    one, other = (f"{expected(old, name):.4g}" for name in ("adds", "plain-toy"))
    text = ask(compare, old, "adds", "plain-toy", "--details").output
    (row,) = json.loads(ask(compare, old, "adds", "plain-toy", "--details", "--format", "json").output)
    ask(report, old, "--format", "md", "--out", str(tmp_path / "report.md"))
    page = (tmp_path / "report.md").read_text()

    assert f"hits                {one} and {other}, a plugin's metric" in text
    assert "metric raising: no number in 12 training runs, ValueError." in text
    assert f"{row['metric_hits']:.4g}" == one
    assert f"{row['metric_hits_over']:.4g}" == other
    assert "Metrics of plugins, by patient" in page
    assert one in page


def test_a_bundle_holds_it_and_is_verified_as_before(old: ToyRun, tmp_path: Path) -> None:
    out = tmp_path / "toys.mbz"
    ask(bundle, old, "--title", "A toy", "--author", "Ada Lovelace", "--out", str(out))
    held = read_members(out.read_bytes(), zip_container.find(out.read_bytes())).results
    checked = old.judge(out.read_bytes(), tmp_path / "verified")
    before = old.judge(old.bundle(), tmp_path / "without")

    assert all(set(ran.metrics) > {"hits", "raising", "mcc"} for ran in held.values())
    assert {ran.metrics["raising"] for ran in held.values()} == {None}
    assert checked.failed is None
    assert checked.boards == before.boards
    assert [c.name for c in checked.checks if c not in before.checks] == ["other metrics"]
