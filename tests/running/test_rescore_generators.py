"""Scores of other code: when they count as such, what is kept of them, and what boards make of a mixture."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from _bundles import ToyRun
from medbench import sealed_records
from medbench.boards.build import scores_of_made
from medbench.identity.code_reach import reach
from medbench.identity.identity import CORE
from medbench.running.rescore_generators import rescore
from medbench.running.resources import LoadedPlugins, Workers
from medbench.store import recomputed_scores
from medbench.store.trial_files import Stored
from medbench.trial.score_keys import is_stale, score_keys, score_of
from medbench_plugins.generator_scores.kid import KID, KIDByClass

HOW = {"extractor": "toy", "sha256": "6" * 64, "key of kid": "a", "key of kid-by-class": "b"}


@pytest.mark.parametrize(
    ("how", "stale"),
    [
        (HOW, False),
        ({**HOW, "key of other": "c"}, False),  # a score that nobody provides here
        ({**HOW, "key of kid": "c"}, True),
        ({k: v for k, v in HOW.items() if k != "key of kid"}, True),  # new, or stored before keys were
        ({**HOW, "sha256": "7" * 64}, True),
        ({"extractor": "toy", "sha256": "6" * 64, "skipped": "no photographs"}, False),
        ({"extractor": "toy", "sha256": "6" * 64, "failed": "ValueError"}, False),
        ({"extractor": "toy", "sha256": "", "failed": "MemoryError"}, True),
    ],
)
def test_scores_are_of_other_code_where_a_key_differs(how: dict[str, Any], stale: bool) -> None:
    assert is_stale(how, extractor="6" * 64, scores={"kid": "a", "kid-by-class": "b"}) == stale


def test_every_score_and_the_core_have_keys() -> None:
    keys = score_keys([KID(), KIDByClass()])

    assert list(keys) == ["kid", "kid-by-class", "origin-label"]
    assert len(set(keys.values())) == 3


def test_code_that_scores_is_part_of_their_keys_and_of_no_trial() -> None:
    of_scores = {
        name
        for module, name in reach(("medbench.trial.generator_scores", "*")).definitions
        if module in ("medbench.trial.generator_scores", "medbench.trial.score_pool")
    }
    of_trials = {
        name
        for module, name in reach(*CORE).definitions
        if module in ("medbench.trial.generator_scores", "medbench.trial.score_pool", "medbench.trial.run_one_trial")
    }

    assert {"score_synthetic", "Pool", "_draw", "_score_origin_label", "MOST"} <= of_scores
    assert "run_trial" in of_trials
    assert not of_trials & {*of_scores, "score_again", "_score"}


@pytest.mark.parametrize(
    ("name", "score"),
    [("kid", "kid"), ("kid-floor", "kid"), ("kid-by-class:a-floor", "kid-by-class"), ("kid-by-class-spread",
     "kid-by-class"), ("kidney", "")],
)  # fmt: skip
def test_a_number_belongs_to_the_score_it_is_named_after(name: str, score: str) -> None:
    assert score_of(name, HOW) == score


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ToyRun:
    return ToyRun(tmp_path_factory.mktemp("rescoring") / "runs")


def scored(run: ToyRun) -> list[Stored]:
    return [stored for stored in run.store.rows("phantom:toy") if stored.scored]


def test_without_its_generator_a_trial_keeps_its_scores_and_no_job_is_started(run: ToyRun, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    shutil.copytree(run.store.root, root)
    shutil.rmtree(root / "stages")
    store = type(run.store)(root)
    none: Any = None

    found = rescore(run.plan, store, LoadedPlugins(run.catalogue), Workers(none, 1), print)

    assert (found.done, found.kept, found.failed) == (0, len(scored(run)), 0)
    assert found.sentence == "2 training runs keep older scores, their generators are not stored"


def test_what_was_computed_again_stands_for_what_was_stored_until_the_result_is_another(run: ToyRun) -> None:
    (first, *_) = scored(run)
    made = {
        "scores": {"kid": 0.5},
        "scored": {**first.scored, "key of kid": "x"},
        "unmeasured": {"score fid": "ValueError"},
    }
    content = (first.folder / "result.json").read_bytes()

    recomputed_scores.write(run.store.root, first.folder, made)
    again = run.store.find(first.trial)
    record, sums = sealed_records.unseal(content)
    (first.folder / "result.json").write_text(
        sealed_records.seal({**record, "cost": {**record["cost"], "seconds": 9.0}}, sums)
    )
    other = run.store.find(first.trial)
    (first.folder / "result.json").write_bytes(content)
    shutil.rmtree(run.store.root / ".measures")
    gone = run.store.find(first.trial)

    assert again is not None
    assert (again.scores, again.unmeasured) == ({"kid": 0.5}, {"score fid": "ValueError"})
    assert again.metrics == first.metrics
    for read in (other, gone):
        assert read is not None
        assert read.scores == first.scores == record["scores"]


def test_cells_of_different_code_have_no_mean(run: ToyRun) -> None:
    one, other = scored(run)
    keyed = [
        dataclasses.replace(
            row, scores={"kid": 1.0, "kid-floor": 0.5, "fid": 2.0}, scored={**HOW, "key of fid": "f", **how}
        )
        for row, how in ((one, {}), (other, {"key of kid": "c"}))
    ]

    assert scores_of_made(keyed) == {"fid": 2.0}
    assert scores_of_made(keyed[:1]) == {"kid": 1.0, "kid-floor": 0.5, "fid": 2.0}
