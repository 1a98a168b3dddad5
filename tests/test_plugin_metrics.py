"""Metrics of plugins from end to end: none costs a trial, and each is shown wherever further measures are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOYS = str(Path(__file__).parent / "toys")
NO_SCORES = ("-p", "no:medbench.scores")
TOY = ("-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds", "2", "--repeats", "1", "--no-yardsticks")
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
    return folder, calling(folder)("run", *TOY, "--plugins-dir", "own")


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "runs").rglob("result.json"))]


def test_no_metric_costs_a_trial(done: tuple[Path, Ran]) -> None:
    folder, ran = done
    found = results(folder)

    assert ran.returncode == 0, ran.stderr
    assert len(found) == 6  # adds, plain-toy and none in two folds
    for result in found:
        assert result["unmeasured"] == WHY
        assert {name for name, value in result["metrics"].items() if value is None} == {n[7:] for n in WHY}
        assert 0 <= result["metrics"]["hits"] <= 1
        assert set(result["metric_keys"]) == set(result["metrics"])
    assert "p0001" not in json.dumps(found)
