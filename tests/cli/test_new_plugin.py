"""What ``medbench plugins new`` starts: every kind keeps its contract, and all of them run together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medbench.cli.new_plugin import CONTRACTS, plugin_files
from medbench.registry.plugins import load
from medbench.testing import CHECKS

KIND_OF = {"transform": "augmenter"}


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_template_keeps_the_contract_of_its_kind(kind: str, tmp_path: Path) -> None:
    name = f"own-{kind}"
    for path, text in plugin_files(kind, name).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    catalogue = load(folders=[tmp_path], installed=False)
    registered = KIND_OF.get(kind, kind)

    assert [p.error for p in catalogue.plugins if p.error] == []
    CHECKS[registered](catalogue.registered(registered, name), tmp_path / "scratch")
    compile((tmp_path / "tests" / f"test_medbench_own_{kind}.py").read_text(), "test", "exec")


def test_templates_of_all_kinds_run_together_and_need_no_other_plugin(tmp_path: Path) -> None:
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}

    def medbench(*arguments: str) -> subprocess.CompletedProcess[str]:
        run = [sys.executable, "-m", "medbench", *arguments]
        return subprocess.run(run, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=400)

    folders = []
    for kind in CONTRACTS:
        started = medbench("plugins", "new", f"own-{kind}", "--kind", kind) if kind == "study" else None
        assert started is None or started.returncode == 0
        for path, text in plugin_files(kind, f"own-{kind}").items():
            (tmp_path / f"medbench-own-{kind}" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"medbench-own-{kind}" / path).write_text(text, encoding="utf-8")
        folders += ["--plugins-dir", f"medbench-own-{kind}"]
    ran = medbench(
        "run", "-d", "phantom:own-dataset", "-a", "own-augmenter", "-a", "acgan[generator=own-generator]", "-c",
        "own-classifier", "--executor", "own-executor", "--extractor", "own-extractor", "--folds", "2", "--repeats",
        "1", "--no-controls", "--workers", "1", "--format", "json", "-p", "no:medbench.scores", *folders,
    )  # fmt: skip
    studied = medbench("plan", "own-study", "--phantom", "-a", "own-transform", *folders, "--json")
    records = [json.loads(p.read_text()) for p in (tmp_path / "runs").glob("*/*/*/*/result.json")]

    assert ran.returncode == 0, ran.stderr
    assert len(records) == 4
    assert all(0 < r["metrics"]["own-metric"] < 1 for r in records)
    assert all(r["scores"]["own-score"] > 0 for r in records)
    assert {outcome for r in records for outcome in r["provenance"]["checks"].values()} == {"passed"}
    assert studied.returncode == 0, studied.stderr
    assert "own-transform / small-cnn" in json.dumps(json.loads(studied.stdout)["arms"])
