"""How classifiers are trained, as methods sections say it: the numbers of the loop that trains them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from medbench.registry import plugins
from medbench.registry.training_facts import ONE_LOOP, WARM_UP, WEIGHT_DECAY, training_text


def test_the_numbers_are_those_of_the_loop() -> None:
    from medbench_plugins.training import classifier_loop, numeric_precision

    assert (classifier_loop.WEIGHT_DECAY, numeric_precision.WARM_UP) == (WEIGHT_DECAY, WARM_UP)


@pytest.mark.parametrize("name", sorted(ONE_LOOP))
def test_what_is_said_to_be_trained_by_the_loop_is(name: str) -> None:
    recipe = plugins.load().resolve("classifier", name)

    assert type(recipe).fit.__module__ == "medbench_plugins.classifiers.blueprint" or name == "pretrained-on"
    assert training_text(recipe).startswith(f"AdamW with a weight decay of 0.05, peak learning rate {recipe.lr:g}, ")


def test_of_a_loop_of_a_plugin_nothing_is_made_up() -> None:
    assert training_text(SimpleNamespace(name="own", lr=0.1)) == "peak learning rate 0.1"
    assert training_text(SimpleNamespace(name="own")) == training_text(None) == ""
