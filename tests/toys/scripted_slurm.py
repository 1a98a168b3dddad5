"""A cluster whose programs are shell scripts of a line, each of which notes how it was called."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from medbench_plugins.executors.slurm import Slurm
from medbench_plugins.executors.slurm_jobs import SlurmJobs

PATIENCE = 60.0
LIMIT_S = 7200.0
QUICK = Slurm(poll_s=0.02)
ACCEPTS = "echo 1"
QUEUED = 'echo "1_[0-9]|PENDING|0:0"'
Start = Callable[..., tuple[SlurmJobs, list["Future[int]"]]]


class Cluster:
    """Programs that are shell scripts, each of which notes how it was called."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.programs = place / "programs"
        self.programs.mkdir(parents=True)
        self.say(sbatch=ACCEPTS, sacct=QUEUED, squeue="exit 1", scancel="")

    def say(self, **scripts: str) -> None:
        for name, script in scripts.items():
            noted = f'printf "%s\\n" "$*" >> {shlex.quote(str(self.place / name))}'
            fresh = self.programs / f"{name}.new"
            fresh.write_text(f"#!/bin/sh\ncd {shlex.quote(str(self.place))}\n{noted}\n{script}\n")
            fresh.chmod(0o755)
            fresh.replace(self.programs / name)

    def calls(self, name: str) -> list[str]:
        path = self.place / name
        return path.read_text().splitlines() if path.is_file() else []

    def wait_for(self, name: str, calls: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(self.calls(name)) < calls and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.calls(name)) >= calls


def error_of(future: Future[int]) -> str:
    """Return what a job raised, as a sentence."""
    return str(future.exception(PATIENCE))
