"""Leaks between training, validation and test are found by kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.protocols.leaks import find_leaks
from medbench.testing import toy_samples

SAMPLES = toy_samples(40)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_row_on_both_sides_is_always_found(data: st.DataObject) -> None:
    samples = toy_samples(60)
    groups = sorted(set(samples.groups.tolist()))
    side = {g: data.draw(st.sampled_from(["train", "validation", "test"])) for g in groups}
    parts = {
        name: samples.take([side[g] == name for g in samples.groups.tolist()])
        for name in ("train", "validation", "test")
    }
    clean = find_leaks(parts["train"], parts["validation"], parts["test"])
    planted = data.draw(st.integers(0, 59))
    smuggled = np.unique([*np.flatnonzero([side[g] == "train" for g in samples.groups.tolist()]), planted])
    found = find_leaks(samples.take(smuggled), parts["validation"], parts["test"])

    assert clean == frozenset()
    assert ("same-patient" in found) == (side[str(samples.groups[planted])] == "test")


def test_every_kind_of_leak_is_told_apart() -> None:
    train, test = SAMPLES.take(range(20)), SAMPLES.take(range(20, 40))
    nothing = SAMPLES.take([])
    copy_of_test = replace(
        train.with_synthetic(test.x[:1], test.labels[:1], maker="m"), sources=(*train.sources, (str(test.ids[0]),))
    )

    assert find_leaks(copy_of_test, nothing, test) == {"copy"}
    assert find_leaks(train, nothing, test.with_synthetic(test.x[:1], test.labels[:1], maker="m")) == {
        "synthetic-scored"
    }
    assert find_leaks(train, nothing, test, [frozenset({str(test.ids[3])})]) == {"fitted-on-test"}
    assert find_leaks(train, test, test) == {"selected-on-test"}
