"""Measure what the core spends on a training run, and simulate a million of them on a thousand GPUs.

    python docs/benchmarks/scale.py [--jobs 3000] [--gpus 1000] [--runs 1000000] [--cpu]

Prints a line a measured part, in seconds a training run, then the simulation for training runs of several lengths.
Jobs that train nothing stand for training; everything else is this code: the runner's loop with all GPUs busy, the
store with its fsyncs, the scan of a resumed run, the planner and the leaderboard. `--cpu` simulates with seconds of CPU
in place of those of the clock, for a machine on which other work runs.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from compare_speed import PROVENANCE, build, results, study_of

from medbench.planning.plan import Plan
from medbench.registry import plugins
from medbench.running.outcome import Summary
from medbench.running.resources import LoadedPlugins, Workers
from medbench.running.resume import find_left
from medbench.running.runner import run
from medbench.running.watcher import Silent
from medbench.store.store import Store
from medbench.store.trial_files import write_result
from medbench.trial.trial import Result

LENGTHS = (600, 300, 60, 20, 10, 5)
"""Seconds that a training run takes on its GPU, on average."""


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, and of CPU."""

    wall: float
    cpu: float

    def each(self, n: int) -> Cost:
        """Return the same for one of `n`."""
        return Cost(self.wall / n, self.cpu / n)


@contextlib.contextmanager
def timed() -> Iterator[list[Cost]]:
    """Measure a block."""
    found: list[Cost] = []
    began, spent = time.perf_counter(), time.process_time()
    yield found
    found.append(Cost(time.perf_counter() - began, time.process_time() - spent))


class NoTraining:
    """An executor whose jobs leave a result that is there already, the oldest one as soon as all GPUs are busy."""

    name = "no-training"

    def __init__(self, made: Mapping[str, Result], gpus: int) -> None:
        self.made, self.gpus, self.left = made, gpus, len(made)
        self.busy: deque[tuple[Future[int], str]] = deque()
        self.written = Cost(0, 0)

    def start(self, *, workers: int, devices: Sequence[str]) -> NoTraining:
        """Start nothing."""
        return self

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """Take a job; end the oldest where there is no room."""
        future: Future[int] = Future()
        self.busy.append((future, folder))
        self.left -= 1
        while self.busy and (len(self.busy) >= self.gpus or not self.left):
            self._end(*self.busy.popleft())
        return future

    def _end(self, future: Future[int], folder: str) -> None:
        with timed() as spent:
            key = Path(folder).name.partition("-")[0]
            write_result(Path(folder), self.made[key], PROVENANCE)
        self.written = Cost(self.written.wall + spent[0].wall, self.written.cpu + spent[0].cpu)
        future.set_result(0)

    def close(self) -> None:
        """Nothing is left."""


def plan_of(asked: argparse.Namespace, made: Sequence[Result]) -> Plan:
    """Return a plan of trials that need no stage."""
    study, arms = study_of(asked)
    trials = tuple(result.trial for result in made)
    source: Any = SimpleNamespace(text="synthetic", folder="", other_folders={}, title="")
    return Plan(study, (source,), {"synthetic": tuple(arms)}, trials, {}, {t.id: () for t in trials}, ())


def measure_runner(root: Path, asked: argparse.Namespace) -> tuple[Cost, Cost, Cost]:
    """Return what a job costs the runner, what writing costs its worker, and what a resumed run's scan costs."""
    made = list(itertools.islice(results(asked), asked.jobs))
    plan, store = plan_of(asked, made), Store(root)
    loaded = LoadedPlugins(plugins.load(installed=False))
    executor = NoTraining({result.trial.id[:16]: result for result in made}, asked.gpus)
    with timed() as whole:
        done = run(plan, store, loaded, Workers(executor, asked.gpus), Silent()).done
    assert done == len(made), done
    with timed() as scanned:
        assert not find_left(plan, store, loaded, Summary(), share=1.0).trials
    written, both = executor.written, whole[0]
    step = Cost(both.wall - written.wall, both.cpu - written.cpu)
    return step.each(done), written.each(done), scanned[0].each(done)


def measure_command(environment: Mapping[str, str], *words: str) -> tuple[Cost, float]:
    """Return what a command costs, and its peak memory in MiB."""
    began, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "medbench", *words], env=environment, check=True, capture_output=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
    return Cost(time.perf_counter() - began, cpu), now.ru_maxrss / 1024


def simulate(runs: int, gpus: int, length: float, step: float, write: float) -> tuple[float, float, float]:
    """Simulate a runner that hands out and stores one job after the other; jobs wait for it while it is busy.

    Args:
        runs: Training runs.
        gpus: GPUs, one training run each at a time.
        length: Seconds of a training run, of a log-normal distribution (sigma .3).
        step: Seconds of the runner for each: handing it out, storing it.
        write: Seconds of the worker for writing it.

    Returns:
        Seconds until all are stored; share of the GPUs' time in which they train; share in which the runner works.
    """
    drawn = np.random.default_rng(0).lognormal(np.log(length) - 0.3**2 / 2, 0.3, runs)
    trained = float(drawn.sum())
    lasts = iter((drawn + write).tolist())
    free_at, ends = 0.0, list[float]()
    for last in itertools.islice(lasts, gpus):  # the runner hands out the first ones one after the other
        free_at += step
        heapq.heappush(ends, free_at + last)
    while ends:
        free_at = max(free_at, heapq.heappop(ends)) + step
        if (last := next(lasts, 0.0)) > 0:
            heapq.heappush(ends, free_at + last)
    return free_at, trained / (gpus * free_at), step * (runs + gpus) / free_at


def main() -> None:
    """Measure, simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("jobs", 3000), ("gpus", 1000), ("runs", 1_000_000)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--cpu", action="store_true")
    asked = parser.parse_args()
    vars(asked).update(arms=20, folds=5, repeats=10, seeds=10, patients=300)
    print(f"seconds a training run, by the clock and of CPU; {os.cpu_count()} cores")

    def show(what: str, cost: Cost, more: str = "") -> float:
        print(f"{what:<52}{cost.wall:10.6f}{cost.cpu:10.6f}{more}")
        return cost.cpu if asked.cpu else cost.wall

    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MEDBENCH_CACHE": f"{folder}/cache", "MEDBENCH_RESULTS": f"{folder}/runs"}
        for name, designs in (("few", "2"), ("many", "20")):
            words = ("plan", "-a", "hybrid", "--folds", "10", "--repeats", designs, "--seeds", "10")
            if name == "few":
                measure_command(environment, *words)  # draws the images
                few, _ = measure_command(environment, *words)
            else:
                many, _ = measure_command(environment, *words)
        plan = show("planner", Cost(many.wall - few.wall, many.cpu - few.cpu).each(9000))
        step, written, scanned = measure_runner(Path(folder) / "run", asked)
        step_s = show(f"runner: hand out, store, with {asked.gpus:,} jobs running", step)
        write_s = show("worker: write the result", written)
        scan_s = show("scan of a resumed run", scanned)
        n = build(Path(folder) / "runs", asked)
        cost, peak = measure_command(environment, "leaderboard")
        board_s = show(f"leaderboard, of {n:,}", cost.each(n), f"   {peak:,.0f} MiB")
    print(f"\n{asked.runs:,} training runs: plan {plan * asked.runs / 60:.1f} min, scan of what is stored "
          f"{scan_s * asked.runs / 60:.1f} min, leaderboard {board_s * asked.runs / 60:.1f} min")  # fmt: skip
    print(f"the runner keeps {asked.gpus:,} GPUs busy down to training runs of {asked.gpus * step_s:.1f} s")
    print("\nlength of one    all stored after    GPUs train    the runner works")
    for length in LENGTHS:
        seconds, busy, works = simulate(asked.runs, asked.gpus, length, step_s, write_s)
        print(f"{length:>10} s{seconds / 3600:>18.2f} h{busy:>14.1%}{works:>20.1%}")


if __name__ == "__main__":
    main()
