"""Costs and health of stages: what lies inside a stage counts, and counts once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medbench.store.stage_costs import FittedStages
from medbench.store.store import Store


def fitted(store: Store, key: str, seconds: float, *, inside: tuple[str, ...] = (), **facts: float) -> str:
    folder = store.stage_place(key)
    folder.mkdir(parents=True)
    record = {"cost": {"seconds": seconds}, "facts": facts, "stages": dict.fromkeys(inside, "")}
    (folder / "stage.json").write_text(json.dumps(record))
    (folder / "state.safetensors").write_bytes(b"")
    return key


def test_shared_stages_count_once_and_inner_ones_count(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    deep = fitted(store, "a" * 64, 1.0)
    left = fitted(store, "b" * 64, 10.0, inside=(deep,))
    right = fitted(store, "c" * 64, 100.0, inside=(deep,))

    assert FittedStages(store).seconds({left, right}) == 111.0
    assert FittedStages(store).seconds({left, right, "d" * 64}) == 111.0  # one fitted inside a trial is in its cost


def test_what_a_selection_left_is_the_mean_of_all_filters(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    one = fitted(store, "a" * 64, 1.0, accepted=0.5, coverage_before=0.9, coverage_after=0.7)
    two = fitted(store, "b" * 64, 1.0, accepted=0.7, coverage_before=0.7, coverage_after=0.5, inside=(one,))
    plain = fitted(store, "c" * 64, 1.0, accepted=0.1)  # coverage of no class could be measured

    assert FittedStages(store).selection({two}) == pytest.approx((0.6, 0.8, 0.6))
    assert FittedStages(store).selection({plain}) is None


def test_only_generators_that_can_tell_count_as_healthy(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    bad = fitted(store, "a" * 64, 1.0, collapsed=1.0)
    good = fitted(store, "b" * 64, 1.0, collapsed=0.0)
    silent = fitted(store, "c" * 64, 1.0, inside=(bad,))

    assert FittedStages(store).collapsed({good, silent}) == (1, 2)
    assert FittedStages(store).collapsed({"d" * 64}) == (0, 0)
