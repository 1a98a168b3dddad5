"""An arm against a published one: the same numbers as from one store, and nothing that was cut otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from _bundles import TOYS, ToyRun
from medbench.analyses.compare import compare
from medbench.errors import UsageError
from medbench.publishing.bundle.read_bundle import Bundle, read_bundle
from medbench.publishing.entries.arm_against_entry import comparable_entry, compare_with_entry
from medbench.publishing.entries.publish import publish_entry, withdraw_entry
from medbench.publishing.verify.verify_bundle import Setup, verify_bundle
from medbench.tables.compare import render

ID = "e" * 16


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return ToyRun(tmp_path_factory.mktemp("toys") / "runs", folds=3, repeats=2)


def bundle_of(made: ToyRun, folder: Path) -> Bundle:
    path = folder / "toys.medbench.zip"
    path.write_bytes(made.bundle())
    return read_bundle(path)


@pytest.fixture(scope="module")
def bundle(run: ToyRun, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of(run, tmp_path_factory.mktemp("bundle"))


def names(run: ToyRun) -> tuple[str, str]:
    arm = next(a for of_data in run.plan.arms.values() for a in of_data if a.augmenter == "adds")
    return arm.augmenter, arm.control


def test_predictions_of_a_bundle_give_what_the_store_gives_but_for_one_comparison_more(
    run: ToyRun, bundle: Bundle
) -> None:
    here = compare(run.store, run.record, *names(run))
    there = compare_with_entry(run.store, run.record, *names(run), bundle, ID)

    assert len(here) == len(there) == 1
    ours, theirs = here[0].judged.gain, there[0].judged.gain
    assert ours is not None
    assert theirs is not None
    assert theirs.value == ours.value
    assert theirs.standard_error == ours.standard_error
    assert theirs.comparisons == ours.comparisons + 1
    assert theirs.critical >= ours.critical
    assert there[0].auroc == here[0].auroc
    text = " ".join(render(there, "table").split())
    assert f"{names(run)[1]}: predictions of the published entry {ID}" in text
    assert f'"entry": "{ID}"' in render(there, "json")


def test_other_predictions_of_the_same_arm_can_be_its_opponent(run: ToyRun, tmp_path: Path) -> None:
    other = bundle_of(ToyRun(tmp_path / "runs", seed=1, folds=3, repeats=2), tmp_path)
    (found,) = compare_with_entry(run.store, run.record, "adds", "adds", other, ID)

    assert found.judged.gain is not None
    assert found.judged.gain.standard_error > 0
    assert found.other.scores is not None
    assert found.arm.scores is not None
    assert not np.array_equal(found.other.scores.correct, found.arm.scores.correct)


@pytest.mark.parametrize(
    ("study", "says"),
    [
        ({"folds": 2, "repeats": 2}, "6 of 6 training runs have no published predictions"),
        ({"folds": 3, "repeats": 1}, "3 of 6 training runs have no published predictions"),
        ({"folds": 3, "repeats": 2, "patients": 30}, "other decoded images, or under another protocol"),
        ({"folds": 3, "repeats": 2, "protocols": ["images"]}, "other decoded images, or under another protocol"),
    ],
)
def test_what_was_cut_otherwise_is_no_pair(run: ToyRun, tmp_path: Path, study: dict[str, int], says: str) -> None:
    other = bundle_of(ToyRun(tmp_path / "runs", **study), tmp_path)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match=says):
        compare_with_entry(run.store, run.record, *names(run), other, ID)


def test_names_that_no_arm_has_are_told(run: ToyRun, bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="no method of toys is called 'nobody'"):
        compare_with_entry(run.store, run.record, "nobody", "adds", bundle, ID)
    with pytest.raises(UsageError, match=f"no method of entry {ID} is called 'nobody'"):
        compare_with_entry(run.store, run.record, "adds", "nobody", bundle, ID)


def test_only_entries_that_were_computed_again_and_stand_are_opponents(run: ToyRun, tmp_path: Path) -> None:
    path, folder = tmp_path / "toys.medbench.zip", tmp_path / "published"
    path.write_bytes(run.bundle())
    place = publish_entry(path, verify_bundle(path, Setup(plugin_folders=[TOYS])), folder)

    assert comparable_entry(folder, place.name[:6]) == place
    withdraw_entry(folder, place.name, "a slip")
    with pytest.raises(UsageError, match="is withdrawn"):
        comparable_entry(folder, place.name)
    with pytest.raises(UsageError, match="no entry of that name"):
        comparable_entry(folder, "0000")
