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
from medbench.errors import JobLost, ResourceError, UsageError
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


@dataclass
class Elsewhere(Narrow):
    """Jobs on other machines that have memory enough where twice as much was asked for."""

    def more_memory(self) -> str:
        return "with two buckets in place of one"

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        self.had.append((share, 0.0))
        future: Future[int] = Future()
        kind = "skip" if share == 2 else "memory"
        (Path(folder) / "failure.json").write_text(json.dumps({"kind": kind, "message": "as it should"}))
        future.set_result(0 if kind == "skip" else 6)
        return future


@dataclass
class Loses(Narrow):
    """Jobs that are lost so many times as there are errors left, and then skipped; it has something to tell."""

    errors: list[Exception] = field(default_factory=list)
    notes: list[str] = field(default_factory=lambda: ["the cluster is slow"])

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        future: Future[int] = Future()
        if self.errors:
            future.set_exception(self.errors.pop(0))
        else:
            (Path(folder) / "failure.json").write_text(json.dumps({"kind": "skip", "message": "as it should"}))
            future.set_result(0)
        return future

    def close(self) -> None:
        self.notes.append("something is left")


class Listens(Silent):
    def __init__(self) -> None:
        self.again: list[str] = []
        self.failed: list[str] = []
        self.problems: list[str] = []

    def finished(self, job: str, status: str, note: str) -> None:
        {"again": self.again, "failed": self.failed}.get(status, []).append(note)

    def problem(self, text: str) -> None:
        self.problems.append(text)


def test_an_executor_says_how_much_more_memory_a_job_gets(tmp_path: Path) -> None:
    of, heard, elsewhere = ToyRun(tmp_path / "stored", failed=range(100)), Listens(), Elsewhere()
    summary = run(
        of.plan, Store(tmp_path / "runs"), LoadedPlugins(of.catalogue), Workers(elsewhere, 1, ("auto",)), heard
    )

    assert set(heard.again) == {"there was not enough memory; trying once more with two buckets in place of one"}
    assert {share for share, _ in elsewhere.had} == {1.0, 2.0}
    assert summary.skipped == len({t.id for t in of.plan.trials})


@pytest.mark.parametrize(
    ("errors", "again", "kind", "said"),
    [
        ([JobLost("SLURM ended it: NODE_FAIL")] * 2, ["SLURM ended it: NODE_FAIL; trying again"] * 2, "", ""),
        (
            [JobLost("SLURM ended it: PREEMPTED")] * 3,
            ["SLURM ended it: PREEMPTED; trying again"] * 2,
            "lost",
            "it was lost 3 times (SLURM ended it: PREEMPTED).",
        ),
        ([JobLost("it ended at another's limit", "resources")], [], "resources", "it ended at another's limit."),
        (
            [ProcessLookupError("signal 9")] * 3,
            ["its process died (signal 9); trying again"] * 2,
            "lost",
            "its process died 3 times (signal 9).",
        ),
    ],
)
def test_a_lost_job_is_no_failure_of_its_method(
    tmp_path: Path, errors: list[Exception], again: list[str], kind: str, said: str
) -> None:
    of, heard = ToyRun(tmp_path / "stored", failed=range(100)), Listens()
    workers = Workers(Loses(errors=errors), 1)
    summary = run(of.plan, Store(tmp_path / "runs"), LoadedPlugins(of.catalogue), workers, heard)

    assert heard.again == again
    assert heard.failed == [said] * bool(said)
    assert [(failure.kind, failure.message) for failure in summary.interrupted] == [(kind, said)] * bool(said)
    assert summary.failed == 0
    assert heard.problems == ["the cluster is slow", "something is left"]


def test_an_executor_that_can_run_no_more_ends_the_run(tmp_path: Path) -> None:
    of, heard = ToyRun(tmp_path / "stored", failed=range(100)), Listens()
    workers = Workers(Loses(errors=[ResourceError("no job could be submitted.")]), 4)

    with pytest.raises(ResourceError, match="no job could be submitted"):
        run(of.plan, Store(tmp_path / "runs"), LoadedPlugins(of.catalogue), workers, heard)

    assert heard.problems[-1] == "something is left"
    assert not list((tmp_path / "runs" / ".jobs").iterdir())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"workers_per_gpu": 4}, "--workers-per-gpu: which GPUs there are is not known here with --executor slurm"),
        ({"device": "gpuX"}, "--device gpuX: with --executor slurm a job takes the GPU that it is given"),
        ({"device": "cuda:1"}, "--device cuda:1"),
    ],
)
def test_what_says_nothing_of_other_machines_is_refused(asked: dict[str, Any], said: str) -> None:
    catalogue = plugins.load(installed=False)

    assert choose_workers(Resources(executor="slurm", device="cuda"), catalogue, Budget()).devices == ("cuda",)
    with pytest.raises(UsageError, match=said):
        choose_workers(Resources(executor="slurm", **asked), catalogue, Budget())


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
