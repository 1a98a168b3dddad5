"""One part of a method alone learns from test images: the scaler, the encoder or the generator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SWITCHES = ("scaler-on-all", "encoder-on-all", "generator-on-all")


@pytest.mark.slow
def test_each_part_by_itself_learns_from_all_images_and_is_named(tmp_path: Path) -> None:
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}
    command = [sys.executable, "-m", "medbench", "run", "-d", "phantom:ddti", "-c", "small-cnn", "-a", "feature-acgan",
               "--folds", "2", "--repeats", "1", "--no-controls", "--no-companions", "--no-yardsticks",
               "--budget", "steps=8,batch=8,size=16,generator_steps=4", "-p", "no:medbench.scores", "-p",
               "no:medbench.extractors", "--protocol", "patients"]  # fmt: skip
    for switch in SWITCHES:
        command += ["--protocol", f"patients[leak={switch}]"]

    ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    assert ran.returncode == 0, ran.stderr
    records = [json.loads(path.read_text()) for path in (tmp_path / "runs" / "stages").glob("*/stage.json")]
    made = {record["key"]: record["stage"] for record in records}
    leaks, stages = dict[str, set[str]](), dict[str, dict[str, set[str]]]()
    for path in (tmp_path / "runs").glob("*/*/*/*/result.json"):
        text = json.loads(path.with_name("spec.json").read_text())["protocol"]
        record = json.loads(path.read_text())
        leaks.setdefault(text, set()).add(",".join(record["leaks"]))
        for key in record["stages"]:
            stages.setdefault(text, {}).setdefault(made[key], set()).add(key)
    honest, scaler, encoder, generator = ("patients", *(f"patients[leak={switch}]" for switch in SWITCHES))
    assert leaks == {
        honest: {""},
        scaler: {"fitted-on-test"},
        encoder: {"fitted-on-test"},
        generator: {"copy,fitted-on-test"},
    }
    assert stages[scaler] == stages[honest]
    assert len(stages[honest]["encoder"]) == 2
    assert len(stages[encoder]["encoder"]) == 1  # one of all images, whatever the fold
    assert stages[generator]["encoder"] == stages[honest]["encoder"]
    assert not stages[generator]["feature-acgan"] & stages[honest]["feature-acgan"]
