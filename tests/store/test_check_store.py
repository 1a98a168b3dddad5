"""A store knows what was stored: a changed bit, a swapped file, a half folder is named and moved aside, never lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from _synthetic_store import SyntheticRun
from medbench import sealed_records
from medbench.cli import cli
from medbench.errors import StoreError
from medbench.store.check_store import check_every_file, repair
from medbench.store.store import Store
from medbench.trial.stages import save_state

Medbench = Callable[..., Result]
TREE = {"balanced": "", "geometric": "balanced"}


def filled(root: Path) -> SyntheticRun:
    run = SyntheticRun(root, tree=TREE, patients=24, folds=2, repeats=1, worth=1.0)
    stage = run.store.stage_place("5" * 64)
    stage.mkdir(parents=True)
    record = {"key": "5" * 64, "stage": "noise", "cost": {"seconds": 4.0}, "facts": {}, "stages": {}}
    sha = save_state(stage, {"w": np.arange(6.0)}, record)
    run.fill({"balanced": 0.6, "geometric": 0.9}, stages={"5" * 64: sha})
    (run.root / ".plans").mkdir()
    (run.root / ".plans" / "synthetic-00000000.json").write_text(sealed_records.seal(run.record()))
    (run.root / ".worth.json").write_text(sealed_records.seal({"data patients": 1.0}))
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("whole")).root


@pytest.fixture
def results(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "runs"))


@pytest.fixture
def medbench(results: Path) -> Medbench:
    def call(*words: str) -> Result:
        return CliRunner().invoke(cli, [*words, "--results", str(results)], standalone_mode=False)

    return call


def refused(result: Result, *parts: str) -> None:
    assert isinstance(result.exception, StoreError)
    for part in parts:
        assert part in str(result.exception)


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_sound_store_is_counted(medbench: Medbench) -> None:
    checked = medbench("store", "check")
    found = json.loads(medbench("store", "check", "--json").output)

    assert checked.exception is None
    assert "4 results, 0 failures, 1 fitted stage and 1 plan are as they were stored" in checked.output
    assert found["without_sums"] == 0
    assert found["damaged"] == found["foreign"] == found["missing"] == []


def test_no_flipped_bit_changes_a_board_unnoticed(whole: Path, medbench: Medbench, results: Path) -> None:
    """The light form of docs/benchmarks/bit_flips.py."""
    rng = np.random.default_rng(0)
    before = medbench("leaderboard").output
    files = sorted(p for p in whole.rglob("*") if p.is_file() and p.name != "log.txt")
    noticed = 0
    for _ in range(40):
        path = files[rng.integers(len(files))]
        place = results / path.relative_to(whole)
        flip(place, int(rng.integers(8 * path.stat().st_size)))
        board, check = medbench("leaderboard"), medbench("store", "check")
        assert board.exception is not None or board.output == before, path
        assert check.exception is not None or path.name == "medbench-store.json", path
        noticed += board.exception is not None
        shutil.copyfile(path, place)

    assert noticed > 20


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("spec.json", "spec.json is missing"),
        ("result.json", "result.json is missing"),
        ("predictions.parquet", "predictions.parquet is missing"),
    ],
)
def test_a_file_that_is_gone_is_named_and_the_rest_moved_aside(
    medbench: Medbench, results: Path, name: str, says: str
) -> None:
    victim = next(results.rglob(name))
    victim.unlink()

    refused(medbench("leaderboard"), str(victim.parent), says, "run `medbench store repair`")
    refused(medbench("store", "check"), "1 place is damaged")
    mended = medbench("store", "repair")
    assert "1 place moved aside; run the same command as before" in mended.output
    assert not victim.parent.exists()
    assert len([p for p in (results / ".damaged").rglob("*") if p.is_file()]) == 2
    assert medbench("store", "check").exception is None
    assert "nothing is damaged" in medbench("store", "repair").output


@pytest.mark.parametrize("names", [("predictions.parquet",), ("spec.json", "result.json", "predictions.parquet")])
def test_what_another_fold_predicted_is_refused(medbench: Medbench, results: Path, names: tuple[str, ...]) -> None:
    one, other = sorted((results / "ddti" / "geometric--net" / "patients").iterdir())
    for name in names:
        shutil.copyfile(one / name, other / name)

    refused(medbench("leaderboard"), other.name)
    refused(medbench("store", "check"), "1 place is damaged")


def test_labels_in_the_place_of_predictions_are_refused(medbench: Medbench, results: Path) -> None:
    import polars

    path = next(results.rglob("predictions.parquet"))
    table = polars.read_parquet(path)
    table.with_columns(p1=table["label"].cast(float), p0=1 - table["label"].cast(float)).write_parquet(path)

    refused(medbench("leaderboard"), "predictions.parquet changed since it was stored")


def test_clutter_is_no_part_of_a_store(medbench: Medbench, results: Path) -> None:
    before = medbench("leaderboard").output
    trial = next(results.rglob("result.json")).parent
    for folder in (results, *[trial.parents[n] for n in range(3)], trial, results / ".plans", results / "stages"):
        for name in (".DS_Store", "desktop.ini", "._x", "Thumbs.db"):
            (folder / name).write_bytes(b"\0\0\0\1Bud1")
    for name in (" (1)", " copy", " (conflicted copy 2026-01-01)", ".sync-conflict-20260101-120000-ABCDEFG"):
        shutil.copytree(trial, trial.with_name(trial.name + name))
    shutil.copytree(trial.parents[1], trial.parents[1].with_name(trial.parents[1].name + " (1)"))
    plan = next((results / ".plans").glob("synthetic*"))
    shutil.copyfile(plan, plan.with_name("._" + plan.name))
    for path in results.rglob("*.json"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert medbench("leaderboard").output == before
    checked = medbench("store", "check", "--json")
    found = json.loads(checked.output)
    assert checked.exception is None
    assert (found["results"], found["damaged"]) == (4, [])
    assert sum("copy" in place or "(1)" in place for place in found["foreign"]) == 4


def test_an_empty_folder_holds_nothing(results: Path, medbench: Medbench) -> None:
    place = next(results.rglob("result.json")).parent
    shutil.rmtree(place)
    place.mkdir()
    (place / ".DS_Store").write_text("x")

    assert medbench("leaderboard").exception is None
    assert check_every_file(Store(results)).results == 3


def test_a_half_folder_gives_way_to_a_result_and_is_kept(tmp_path: Path) -> None:
    run = filled(tmp_path)
    trial = run.trial("ddti", "geometric", "net", (0, 0, 0))
    place = run.store.place(trial)
    whole = shutil.copytree(place, run.store.root / ".jobs" / "0123456789abcdef-01234567")
    (place / "result.json").unlink()

    assert run.store.find(trial) is None
    run.store.accept(whole, place)
    assert run.store.find(trial) is not None
    assert len(list((run.root / ".damaged").iterdir())) == 1
    assert "is damaged and was moved to" in run.store.notes[0]


def test_results_of_before_there_were_sums_are_read_and_counted(results: Path, medbench: Medbench) -> None:
    before = medbench("leaderboard").output
    for path in (*results.rglob("result.json"), *results.rglob("stage.json"), *results.rglob("synthetic-*.json")):
        record, _ = sealed_records.read(path)
        path.write_text(json.dumps(record, indent=1))

    assert medbench("leaderboard").output == before
    assert "6 of them without sums" in medbench("store", "check").output


@pytest.mark.parametrize("content", ["[]", "{", '{"seal": "0"}', '{"data patients": "much"}'])
def test_what_matters_is_put_together_again_from_the_plans(results: Path, content: str) -> None:
    (results / ".worth.json").write_text(content)
    store = Store(results)

    assert [place for place, _ in check_every_file(store).damaged] == [".worth.json"]
    repair(store)
    assert list(sealed_records.read(results / ".worth.json")[0].values()) == [1.0]
    assert check_every_file(store).damaged == ()


def test_a_record_without_its_seal_is_damaged() -> None:
    text = sealed_records.seal({"a": 1.5}, {"x": "0"})
    assert sealed_records.unseal(text.encode()) == ({"a": 1.5}, {"x": "0"})
    assert sealed_records.unseal(text.replace("\n", "\r\n").encode()) == ({"a": 1.5}, {"x": "0"})

    for broken in (text.replace("1.5", "1.6"), text.replace("seal", "seam"), text.replace("sums", "sumz"), "[]", ""):
        with pytest.raises(sealed_records.Damaged):
            sealed_records.unseal(broken.encode())
