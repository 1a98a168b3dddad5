"""How many jobs run at a time, how much of a device each may take, and what happens where that was too little."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from _bundles import ToyRun
from medbench.errors import UsageError
from medbench.interfaces import Budget
from medbench.registry import plugins
from medbench.registry.catalogue import Catalogue
from medbench.running import devices
from medbench.running.resources import LoadedPlugins, Resources, Workers, choose_workers
from medbench.running.runner import run
from medbench.running.watcher import Silent
from medbench.store.store import Store

NONE: Any = None


@pytest.mark.parametrize(
    ("count", "found", "share"),
    [(1, 1, 1.0), (4, 1, 0.25), (2, 2, 1.0), (4, 2, 0.5), (3, 2, 0.5), (1, 2, 1.0)],
)
def test_a_share_is_a_part_of_one_device(count: int, found: int, share: float) -> None:
    assert Workers(NONE, count, tuple(f"cuda:{i}" for i in range(found))).share == share


def test_workers_per_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = plugins.load(installed=False)
    monkeypatch.setattr(devices, "gpus", lambda: 2)

    chosen = choose_workers(Resources(workers_per_gpu=3), catalogue, Budget())

    assert (chosen.count, chosen.devices, chosen.share) == (6, ("cuda:0", "cuda:1"), 1 / 3)
    with pytest.raises(UsageError, match="no GPU is used here"):
        choose_workers(Resources(device="cpu", workers_per_gpu=3), catalogue, Budget())
    with pytest.raises(UsageError, match="leave one of the two out"):
        choose_workers(Resources(workers=2, workers_per_gpu=3), catalogue, Budget())


@dataclass
class Narrow:
    """An executor whose jobs lack memory unless they have a device to themselves, and then say that they are skipped.

    A job ends when the runner looks for the next, so that as many run as the runner lets.
    """

    name: str = "narrow"
    had: list[tuple[float, float]] = field(default_factory=list)
    running: dict[Future[int], float] = field(default_factory=dict)

    def start(self, *, workers: int, devices: Sequence[str]) -> Narrow:
        return self

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        for ended in [one for one in self.running if one.done()]:
            del self.running[ended]
        self.had.append((share, share + sum(self.running.values())))
        future: Future[int] = Future()
        kind = "skip" if share == 1 else "memory"
        (Path(folder) / "failure.json").write_text(json.dumps({"kind": kind, "message": "as it should"}))
        threading.Timer(0.02, future.set_result, [0 if kind == "skip" else 6]).start()
        self.running[future] = share
        return future

    def close(self) -> None:
        pass


def test_out_of_memory_gets_a_share_that_is_truly_larger(tmp_path: Path) -> None:
    of = ToyRun(tmp_path / "stored", failed=range(100))
    told: list[str] = []

    class Listens(Silent):
        def finished(self, job: str, status: str, note: str) -> None:
            told.extend([note] * (status == "again"))

    narrow = Narrow()
    workers = Workers(narrow, 4, ("cuda:0", "cuda:1"))
    summary = run(of.plan, Store(tmp_path / "runs"), LoadedPlugins(of.catalogue), workers, Listens())

    assert set(told) == {"there was not enough memory; trying once more with 100 % of a device in place of 50 %"}
    assert summary.skipped == len({t.id for t in of.plan.trials})
    assert {share for share, _ in narrow.had} == {0.5, 1.0}
    assert max(together for _, together in narrow.had) <= 2


def test_beside_the_code_of_a_stranger_each_job_has_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(
        "import medbench\n\n\n@medbench.hookimpl\ndef register_metrics():\n    return []\n"
    )
    ours, theirs = plugins.load(installed=False), plugins.load(installed=False, folders=[tmp_path])

    def jobs_a_worker(catalogue: Catalogue) -> int:
        chosen: Any = choose_workers(Resources(device="cpu"), catalogue, Budget()).executor
        return chosen.jobs_a_worker

    assert jobs_a_worker(ours) > 1
    assert jobs_a_worker(theirs) == 1
