"""Ids of trials that are planned by the thousand are the digests they always were."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from medbench.identity import identity
from medbench.identity.identity import digest, identities_once
from medbench.interfaces import Budget
from medbench.planning.trials_of_arm import TrialsOfArm
from medbench.trial.trial import Trial


@pytest.mark.parametrize("numerics", ["exact", "portable"])
@pytest.mark.parametrize("extractor", ["", "features[size=3]"])
def test_every_trial_has_the_digest_of_all_of_it(numerics: Any, extractor: str) -> None:
    first = Trial(
        'phantom:"Brüste"[n="1",fold=2]', "patients[share=0.75]", 0, 0, 7, 0, 0, "hybrid[generator=resample]",
        "small-cnn", Budget(numerics=numerics), data="d" * 64, arm="a" * 64,
    )  # fmt: skip

    made = [TrialsOfArm(first, extractor).trial(*cell) for cell in ((0, 0, 0, 0), (12, 6, 3, 3), (1, 2, 30, 4))]

    for trial in made:
        assert trial == dataclasses.replace(
            first, repeat=trial.repeat, fold=trial.fold, seed=trial.seed, stage_seed=trial.stage_seed,
            id=digest(dataclasses.replace(trial, id="", extractor="").to_json()), extractor=extractor,
        )  # fmt: skip
    assert [(t.repeat, t.fold, t.seed, t.stage_seed) for t in made] == [(0, 0, 0, 0), (12, 6, 3, 3), (1, 2, 30, 4)]


@dataclass(frozen=True)
class Recipe:
    name = "recipe"
    size: Any = 1


def test_identities_are_worked_out_once_and_numbers_that_are_written_differently_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(identity, "_identity", lambda recipe: asked.append(recipe) or {"size": repr(recipe.size)})

    with identities_once():
        found = [identity.identity(Recipe(size)) for size in (1, 1, 1.0, True, [2], [2])]

    assert [one["size"] for one in found] == ["1", "1", "1.0", "True", "[2]", "[2]"]
    assert len(asked) == 5  # a recipe that cannot be hashed is asked each time
    identity.identity(Recipe(1))
    assert len(asked) == 6
