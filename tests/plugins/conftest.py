"""Fixtures of tests of plugins: a cluster of scripts, and an executor that submits to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jobs
from medbench_plugins.executors import slurm_jobs
from medbench_plugins.executors.slurm import Slurm
from scripted_slurm import LIMIT_S, QUICK, Cluster, Start


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(tmp_path / "cluster")
    monkeypatch.setenv("PATH", f"{made.programs}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm_jobs, "GATHER_SECONDS", 0.02)
    return made


@pytest.fixture
def start(cluster: Cluster, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts an executor and submits jobs, which no program of this cluster runs."""
    started = []

    def call(recipe: Slurm = QUICK, count: int = 1, workers: int = 4, share: float = 0.25) -> Any:
        made: Any = recipe.start(workers=workers, devices=["cpu"])
        started.append(made)
        futures = []
        for number in range(count):
            (tmp_path / "jobs" / f"{number}").mkdir(parents=True, exist_ok=True)
            futures.append(made.submit(jobs.returns, str(tmp_path / "jobs" / f"{number}"), share, LIMIT_S))
        return made, futures

    yield call
    for made in started:
        made.close()
