"""The command line with the toy plugins, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOYS = str(Path(__file__).parents[1] / "toys")


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of a module run, with their cache and ``runs``."""
    return tmp_path_factory.mktemp("toys")


@pytest.fixture(scope="module")
def toy_medbench(toy_folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call ``medbench`` with the toy plugins and without scores of synthetic images."""
    environment = {
        **os.environ, "MEDBENCH_CACHE": str(toy_folder / "cache"), "MEDBENCH_RESULTS": str(toy_folder / "runs"),
    }  # fmt: skip

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        run = [sys.executable, "-m", "medbench", *arguments, "--plugins-dir", TOYS]
        run += ["-p", "no:medbench.scores"] if arguments[0] in ("run", "plan") else []
        run += ["--executor", "forks"] if arguments[0] == "run" else []
        return subprocess.run(run, capture_output=True, text=True, env=environment, cwd=toy_folder, timeout=300)

    return call
