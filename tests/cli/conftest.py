"""The command line with the toy plugins: a run in a process of its own, all else in that of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from in_this_process import in_this_process

TOYS = str(Path(__file__).parents[1] / "toys")


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of a module run, with their cache and ``runs``."""
    return tmp_path_factory.mktemp("toys")


@pytest.fixture(scope="module")
def toy_medbench(toy_folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call ``medbench`` with the toy plugins and without scores of synthetic images."""
    places = {"MEDBENCH_CACHE": str(toy_folder / "cache"), "MEDBENCH_RESULTS": str(toy_folder / "runs")}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [*arguments, "--plugins-dir", TOYS]
        line += ["-p", "no:medbench.scores", "-p", "no:medbench.extractors"] if arguments[0] in ("run", "plan") else []
        if arguments[0] != "run":
            return in_this_process(*line, folder=toy_folder, **places)
        run = [sys.executable, "-m", "medbench", *line, "--executor", "forks"]
        environment = {**os.environ, **places}
        return subprocess.run(run, capture_output=True, text=True, env=environment, cwd=toy_folder, timeout=300)

    return call
