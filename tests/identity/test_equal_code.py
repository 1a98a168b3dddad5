"""Ids of everything built in are those that stored results have, until a change is said to change results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medbench.identity.code_reach import place_of, reach
from medbench.identity.equal_code import known_as
from medbench.identity.identity import CORE
from medbench.registry.plugins import load

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
KEPT = json.loads((Path(__file__).parent / "digests.json").read_text())


def test_code_of_every_recipe_is_known_by_the_digest_that_stored_results_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import equal_code

    now = {name: known_as(own) for name, own in equal_code.digests().items()}

    changed = sorted(name for name in KEPT.keys() | now.keys() if KEPT.get(name) != now.get(name))
    assert not changed, (
        "the ids of stored results change; see docs/benchmarks/equal_code.py: either the predictions are shown to be "
        "the same, or the change is said under Numbers in the changelog"
    )


def test_a_digest_that_is_in_no_line_stands_for_itself() -> None:
    assert known_as("0" * 64) == "0" * 64


def test_the_digest_of_what_is_reached_is_the_one_it_is_known_by() -> None:
    catalogue = load(installed=False)
    for places in (CORE, [place_of(catalogue.registered("augmenter", "hybrid"))]):
        reached = reach(*places)
        assert reached.digest == known_as(reached.own)
