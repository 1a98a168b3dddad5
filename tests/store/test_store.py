"""The store: nothing half there, nothing lost, nothing double."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medbench.errors import StoreError
from medbench.interfaces import Budget
from medbench.store.store import Store
from medbench.store.trial_files import Failure, read_stored, write_result
from medbench.trial.trial import Result, Trial

TRIAL = Trial(
    dataset="phantom:ddti",
    protocol="patients",
    repeat=0,
    fold=2,
    folds=3,
    seed=1,
    stage_seed=1,
    augmenter="hybrid[generator=resample]",
    classifier="small-cnn",
    budget=Budget(),
    data="d" * 64,
    arm="a" * 64,
    id="0123456789abcdef" * 4,
)


def result_of(trial: Trial, value: float = 0.5) -> Result:
    return Result(
        trial,
        ids=np.array(["x/1", "x/2"]),
        patients=np.array(["x/a", "x/b"]),
        labels=np.array([0, 1]),
        probabilities=np.array([[value, 1 - value], [0.25, 0.75]]),
        frequencies=np.array([0.8, 0.2]),
        classes=("no", "yes"),
        metrics={"auroc": 1.0},
        leaks=(),
        cost={"seconds": 1.5, "peak_mb": 10.0, "device": "cpu"},
        stages={"k": "s"},
    )


def put(store: Store, trial: Trial, value: float = 0.5) -> Path:
    job = store.job_folder(trial.id)
    write_result(job, result_of(trial, value), {})
    return store.accept(job, store.place(trial))


def test_a_result_comes_back_bit_for_bit(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    place = put(store, TRIAL, 1 / 3)

    stored = store.find(TRIAL)

    assert place == tmp_path / "runs/phantom-ddti/hybrid-generator-resample--small-cnn/patients/r0-f2-s1-01234567"
    assert stored is not None
    assert stored.trial == TRIAL
    assert stored.status == "done"
    assert stored.predictions().probabilities[0, 0] == 1 / 3
    assert stored.predictions().ids.tolist() == ["x/1", "x/2"]
    assert not list((tmp_path / "runs" / ".jobs").iterdir())


def test_the_first_complete_result_wins(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    put(store, TRIAL, 0.1)
    put(store, TRIAL, 0.9)

    assert read_stored(store.place(TRIAL)).predictions().probabilities[0, 0] == 0.1
    assert len(list(store.rows())) == 1


def test_failures_stay_visible_until_there_is_a_result(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    for attempt in (1, 2):
        place = store.accept_failure(store.job_folder(TRIAL.id), TRIAL, Failure("diverged", f"attempt {attempt}"))
        assert place.name.endswith(f".failed-{attempt}")
    rows = list(store.rows())

    assert [(r.status, r.failure.message) for r in rows if r.failure] == [("failed", "attempt 2")]
    put(store, TRIAL)
    assert [r.status for r in store.rows()] == ["done"]


def test_one_search_lists_each_folder_once_and_finds_what_each_trial_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    trials = [replace(TRIAL, seed=seed, id=f"{seed:064x}"[::-1]) for seed in range(6)]
    for trial in trials[:3]:
        put(store, trial)
    for trial in trials[2:5]:
        store.accept_failure(store.job_folder(trial.id), trial, Failure("bug", "it broke"))
    alone = [store.find(trial) for trial in trials]
    parent = store.place(TRIAL).parent
    asked: list[Path] = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda place: asked.append(Path(place)) or real(place))

    listed: dict[Path, list[str]] = {}
    together = [store.find(trial, listed) for trial in trials]

    said = [found and (found.trial.id, found.status, found.folder) for found in together]
    assert said == [found and (found.trial.id, found.status, found.folder) for found in alone]
    assert [found and found.status for found in together] == ["done"] * 3 + ["failed"] * 2 + [None]
    assert asked.count(parent) == 1


def test_two_stores_copied_together_are_their_union(tmp_path: Path) -> None:
    import shutil

    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    put(one, TRIAL)
    put(two, replace(TRIAL, fold=0, id="f" * 64))
    put(two, TRIAL)
    shutil.copytree(tmp_path / "one", tmp_path / "two", dirs_exist_ok=True)

    assert len(list(Store(tmp_path / "two").rows())) == 2


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    code = (
        "import sys, time; from pathlib import Path; from medbench.store.store import Store;"
        f"print(Store(Path({str(store.root)!r})).claim({TRIAL.id!r}), flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "True"

    assert not store.claim(TRIAL.id)
    assert store.claim("f" * 64)
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    assert store.claim(TRIAL.id)


def test_a_killed_runners_job_folders_are_swept_and_a_living_ones_are_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    mine = store.job_folder(TRIAL.id)
    code = (
        "import time; from pathlib import Path; from medbench.store.store import Store;"
        f"s = Store(Path({str(store.root)!r})); s.claim({'f' * 64!r});"
        f"print(s.job_folder({'f' * 64!r}), flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    theirs = Path(other.stdout.readline().strip())

    store.sweep()

    assert not mine.exists()
    assert theirs.exists()
    other.kill()
    other.wait()
    other.stdout.close()
    store.sweep()
    assert not theirs.exists()


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import TRIAL, put
from medbench.store.store import Store
store = Store(Path(sys.argv[1]))
for i in range(10_000):
    trial = replace(TRIAL, fold=i, id=f"{i:064x}")
    put(store, trial)
    print(i, flush=True)
"""


def test_a_killed_writer_loses_nothing_it_reported(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for attempt in range(6):
        root = tmp_path / f"runs{attempt}"
        run = [sys.executable, "-c", WRITER, str(root), str(Path(__file__).parent)]
        writer = subprocess.Popen(run, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(float(rng.uniform(0.02, 0.3)))
        writer.kill()
        rest = writer.stdout.read()
        writer.wait()
        writer.stdout.close()
        reported = {int(line) for line in (first + rest).split("\n") if line.strip().isdigit()}

        rows = list(Store(root).rows())

        assert reported
        assert {r.trial.fold for r in rows} >= reported
        assert all(len(r.predictions().ids) == 2 for r in rows)


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda root: root.write_text("x"), "is a file"),
        (lambda root: (root.mkdir(), (root / "medbench-store.json").write_text('{"schema": 99}')), "newer medbench"),
        (lambda root: (root.mkdir(), (root / "medbench-store.json").write_text("{")), "is damaged"),
    ],
)
def test_a_store_that_cannot_be_used_says_why(tmp_path: Path, prepare: object, says: str) -> None:
    prepare(tmp_path / "runs")  # type: ignore[operator]

    with pytest.raises(StoreError, match=says):
        Store(tmp_path / "runs")


def test_a_folder_without_results_is_not_made_into_a_store_by_looking(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results here yet"):
        Store(tmp_path / "nothing", create=False)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", ["spec.json", "result.json", "predictions.parquet"])
def test_a_damaged_file_is_named_and_never_overwritten(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "runs")
    place = put(store, TRIAL)
    (place / name).write_bytes(b"\0" * 40)

    with pytest.raises(StoreError, match=str(place.name)):
        read_stored(place).predictions()
    assert (place / name).read_bytes() == b"\0" * 40


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_is_a_store_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "runs")


def test_a_record_says_nothing_of_paths_or_people(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    place = put(store, TRIAL)
    text = (place / "result.json").read_text() + json.dumps(TRIAL.to_json())

    assert str(tmp_path) not in text
    assert os.path.expanduser("~") not in text
