"""Messages of plugins pass on no id and no path; what helps to find the fault stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medbench.redact import sentence, without_paths

TOYS = str(Path(__file__).parent / "toys")
LEAKY = """
from dataclasses import dataclass
from typing import ClassVar

import medbench


@dataclass(frozen=True)
class Tells:
    name: str = "tells"
    space: ClassVar[str] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"samples"})
    control: ClassVar[None] = None
    skips: bool = False

    def fit(self, train, context):
        if train.classes != ("no", "yes"):
            return medbench.TrainingSet(train)
        said = f"cannot open /home/someone/data/{train.patients[40]}.png of {train.ids[40]}: 40 rows\\nand more"
        raise medbench.Skip(said) if self.skips else RuntimeError(said)


@medbench.hookimpl
def register_augmenters():
    return [Tells()]
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no mask for PAT-0034", "no mask for <id>"),
        ("cannot open 'PAT-0034_2.png'", "cannot open '<id>_2.png'"),
        ("image own/PAT-0034_1 is blank", "image <id> is blank"),
        ("/home/jane/scans/PAT-0034.dcm: not a file", "<path>: not a file"),
        ("C:\\Users\\jane\\x.dcm is gone", "<path> is gone"),
        ("shape (12, 3) instead of (7, 3)", "shape (12, 3) instead of (7, 3)"),
        ("expected 1/2 or and/or", "expected 1/2 or and/or"),
        ("first\nsecond", "first"),
        ("/a/b/weights/resnet.safetensors: too short", ".../weights/resnet.safetensors: too short"),
        ("/a/b/mine.py:12: oops", ".../b/mine.py:12: oops"),
        ("", "no message"),
    ],
)
def test_a_message_keeps_its_sense_and_loses_ids_and_paths(text: str, said: str) -> None:
    assert sentence(text, ["PAT-0034", "own/PAT-0034_1", "12", "7"]) == said


def test_frames_of_a_traceback_keep_the_file_and_its_folder() -> None:
    frame = '  File "/home/jane/site-packages/torch/nn/linear.py", line 7, in forward'

    assert without_paths(frame) == '  File ".../nn/linear.py", line 7, in forward'


def test_what_a_plugin_raises_names_no_patient_on_screen_in_the_log_and_in_the_store(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "tells.py").write_text(LEAKY, encoding="utf-8")
    run = [sys.executable, "-m", "medbench", "run", "-d", "phantom:toy", "-a", "tells", "-a", "tells[skips=true]", "-c",
           "mean", "--folds", "2", "--repeats", "1", "--no-controls", "--executor", "forks", "--plugins-dir", "plugins",
           "--plugins-dir", TOYS, "-p", "no:medbench.scores", "-p", "no:medbench.extractors"]  # fmt: skip
    environment = {**os.environ, "MEDBENCH_CACHE": str(tmp_path / "cache"), "MEDBENCH_RESULTS": str(tmp_path / "runs")}
    ended = subprocess.run(run, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    places = [p for p in (tmp_path / "runs").rglob("*") if p.name in ("failure.json", "log.txt")]
    texts = [ended.stdout, ended.stderr, *(p.read_text() for p in places)]
    said = {json.loads(p.read_text())["message"] for p in places if p.name == "failure.json"}

    assert ended.returncode == 7, ended.stderr
    assert said == {
        "RuntimeError: cannot open <path> of <id>: 40 rows (tells.py, line 20)",
        "cannot open <path> of <id>: 40 rows",
    }
    assert [t for t in texts if "someone" in t or "toy/i" in t] == []
    assert any("RuntimeError: cannot open <path>" in t and "tells.py" in t for t in texts[2:])
