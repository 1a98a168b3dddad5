"""A process does many jobs, and each finds there what a new process would."""

from __future__ import annotations

import importlib
import json
import os
import site
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import jobs
import medbench
from medbench.running import devices
from medbench_plugins.executors import Local, Processes
from medbench_plugins.executors.clean_slate import _drop_strangers

PATIENCE = 200.0
MESSY = '''
"""An augmenter that remembers in its module what it found first, and leaves a mess."""

from dataclasses import dataclass
from typing import ClassVar

import medbench

first = []


@dataclass(frozen=True)
class Messy:
    name: str = "messy"
    space: ClassVar[str] = "pixels"
    gives: ClassVar[frozenset] = frozenset({"samples"})
    control: ClassVar[object] = None

    def fit(self, train, context):
        import torch

        if not first:
            first.extend([context.seed("rows") % 7, torch.initial_seed() % 5, float(torch.rand(())) > 0.5])
        torch.manual_seed(first[0])
        torch.set_num_threads(2)
        torch.set_flush_denormal(True)
        rows = list(range(2 + int(sum(first))))
        return medbench.TrainingSet(train.with_synthetic(255 - train.x[rows], train.labels[rows], maker=self.name))


@medbench.hookimpl
def register_augmenters():
    return [Messy()]
'''


@pytest.fixture(scope="module")
def one() -> Iterator[medbench.Jobs]:
    started = Local().start(workers=1, devices=["cpu"])
    yield started
    started.close()


def do(one: medbench.Jobs, job: Callable[[str, str], int], folder: Path) -> int:
    return one.submit(job, str(folder), 1.0, PATIENCE).result(PATIENCE)


def states(folder: Path) -> list[tuple[int, dict[str, Any]]]:
    return [tuple(json.loads(line)) for line in (folder / "states.txt").read_text().splitlines()]


def test_what_a_job_leaves_is_put_back_before_the_next(one: medbench.Jobs, tmp_path: Path) -> None:
    for job in (jobs.notes_state, jobs.leaves_much, jobs.notes_state):
        do(one, job, tmp_path)

    (first, before), (last, after) = states(tmp_path)
    assert first == last
    assert before == after


@pytest.mark.parametrize(
    "job", [jobs.leaves_a_thread, jobs.leaves_a_child, jobs.replaces_a_function, jobs.leaves_a_hook, jobs.fails]
)
def test_a_process_ends_where_it_cannot_be_put_back(
    one: medbench.Jobs, tmp_path: Path, job: Callable[[str, str], int]
) -> None:
    for each in (jobs.notes_state, job, jobs.notes_state):
        do(one, each, tmp_path)

    (first, before), (last, after) = states(tmp_path)
    assert first != last
    assert before == after


def test_a_job_that_dies_takes_its_process_and_no_other_job(one: medbench.Jobs, tmp_path: Path) -> None:
    do(one, jobs.notes_state, tmp_path)
    with pytest.raises(ProcessLookupError):
        do(one, jobs.is_killed, tmp_path)
    do(one, jobs.notes_state, tmp_path)

    assert len({pid for pid, _ in states(tmp_path)}) == 2


def test_a_process_ends_after_so_many_jobs(tmp_path: Path) -> None:
    three = Processes(1, ["cpu"], (), jobs_a_worker=3)
    try:
        for _ in range(7):
            do(three, jobs.notes_pid, tmp_path)
    finally:
        three.close()

    pids = (tmp_path / "pids").read_text().split()
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_first_last_and_alone_the_same_trial_gives_equal_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training runs in one process, one after the other, and each in a new one; a third party's are among them."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "messy.py").write_text(MESSY)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    found = {}
    for executor in ("local", "local[jobs_a_worker=1]"):
        medbench.run(
            datasets=["phantom:ddti:benign-malignant"], augmenters=["messy", "geometric"], folds=2,
            classifiers=["small-cnn"], repeats=1, yardsticks=False, controls=False, workers=1,
            budget="steps=6,batch=8,size=16", executor=executor, results=tmp_path / executor,
            plugin_folders=[tmp_path / "plugins"], blocked=["medbench.scores"], progress=False,
        )  # fmt: skip
        found[executor] = {
            str(file.relative_to(tmp_path / executor)): file.read_bytes()
            for file in sorted((tmp_path / executor).rglob("*.parquet"))
        }

    assert len(found["local"]) == 8  # of each training run the tested and the watched
    assert found["local"] == found["local[jobs_a_worker=1]"]


def test_libraries_stay_where_python_finds_them_and_modules_of_plugins_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("on_the_path", "installed_for_a_user", "plugins")]
    for folder in folders:
        folder.mkdir()
        (folder / f"of_{folder.name}.py").write_text("")
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(folders[0])]))
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(folders[1]))
    known = frozenset(sys.modules)
    for folder in folders:
        importlib.import_module(f"of_{folder.name}")

    _drop_strangers(known)

    assert {name for name in sys.modules if name not in known} == {"of_on_the_path", "of_installed_for_a_user"}
    del sys.modules["of_on_the_path"], sys.modules["of_installed_for_a_user"]


def test_the_global_random_state_of_a_gpu_begins_alike_in_each_job(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator()
    generator.seed()  # as CUDA's begins: other numbers in each process
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "manual_seed", generator.manual_seed)

    drawn = []
    for _ in range(2):
        devices.use("cuda:0", "fast")
        drawn.append(torch.rand(3, generator=generator))
    torch.set_float32_matmul_precision("highest")

    assert torch.equal(*drawn)
    assert generator.initial_seed() == torch.Generator().initial_seed()  # what torch has on a CPU
