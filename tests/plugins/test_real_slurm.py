"""A run on the SLURM that is here, where there is one: the bits of processes of this machine, and clear refusals."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOYS = Path(__file__).parents[1] / "toys"


def has_slurm() -> bool:
    if shutil.which("sinfo") is None or shutil.which("sbatch") is None:
        return False
    try:
        said = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return False
    return said.returncode == 0 and any(state in said.stdout for state in ("idle", "mixed", "allocated"))


pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def _slurm() -> None:
    if not has_slurm():
        pytest.skip("sinfo names no node that takes jobs")


def run(place: Path, executor: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "medbench", "run", "-d", "phantom:toy", "-a", "adds", "-c", "mean", "--folds", "2",
         "--repeats", "1", "--no-yardsticks", "--workers", "2", "--plugins-dir", str(TOYS), "-p", "no:medbench.scores",
         "--limit", "600", "--executor", executor, "--results", str(place)],
        env={**os.environ, "MEDBENCH_CACHE": str(place.parent / "cache")}, capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip


def test_it_gives_the_bits_of_this_machine(tmp_path: Path) -> None:
    stored = []
    for executor in ("local", "slurm[poll_s=1]"):
        place = tmp_path / executor[:5]
        ended = run(place, executor)
        assert ended.returncode == 0, ended.stderr
        files = sorted(place.glob("[!.]*/**/*.parquet"))
        stored.append({str(file.relative_to(place)): file.read_bytes() for file in files})

    assert stored[0] == stored[1] != {}


def test_a_partition_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    ended = run(tmp_path / "runs", "slurm[poll_s=1,options=--partition=no-such-partition]")

    assert ended.returncode == 6
    assert "jobs could not be submitted: sbatch: error: invalid partition specified" in ended.stderr
