"""Equal tuning within the training part: what is tried, on which rows, and what is trained at last."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import medbench
from medbench.interfaces import Budget
from medbench.planning import study
from medbench.protocols.protocol import protocol
from medbench.registry import plugins
from medbench.testing import toy_samples
from medbench.trial.context import TrialContext
from medbench.trial.run_one_trial import Recipes, run_trial
from medbench.trial.trial import Trial
from medbench.trial.tries import draw_tries, inner_cut, space_of

SEEN: list[tuple[str, float, frozenset[str], int]] = []


@dataclass(frozen=True)
class Shifts:
    """Counts what it is handed; nothing it does depends on `strength`."""

    name: str = "shifts"
    strength: float = 1.0
    inner: Any = field(default=None)
    space: ClassVar[str] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset()
    control: ClassVar[None] = None
    tunable: ClassVar[dict[str, tuple[float, ...]]] = {"strength": (0.5, 1.0, 2.0, -1.0)}

    def check(self) -> None:
        if self.strength < 0:
            raise medbench.UsageError("below 0")

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        SEEN.append(("augmenter", self.strength, frozenset(train.ids.tolist()), context.seed("x")))
        return medbench.TrainingSet(train)


@dataclass(frozen=True)
class Threshold:
    """Right where `sharp` is 1, and wrong with 0: what is best is known."""

    name: str = "threshold"
    sharp: float = 0.0
    takes: ClassVar[frozenset[str]] = frozenset({"2d"})
    tunable: ClassVar[dict[str, tuple[float, ...]]] = {"sharp": (0.0, 1.0)}

    def fit(self, training_set: Any, validation: Any, context: medbench.Context, start: Any = None) -> Any:
        SEEN.append(("classifier", self.sharp, frozenset(training_set.samples.ids.tolist()), context.budget.steps))
        s = training_set.samples
        means = np.array([s.x[s.labels == k].mean() for k in range(len(s.classes))])

        def predict(x: np.ndarray) -> np.ndarray:
            near = np.abs(x.reshape(len(x), -1).mean(1)[:, None] - means)
            return np.eye(len(means))[near.argmin(1)] if self.sharp else np.eye(len(means))[near.argmax(1)]

        return predict


def separable() -> medbench.Samples:
    samples = toy_samples(40)
    return replace(samples, x=(samples.x // 4 + 120 * samples.labels[:, None, None, None]).astype(np.uint8))


def tried(tries: int, folder: Path, augmenter: Any = None, classifier: Any = None) -> Any:
    SEEN.clear()
    trial = Trial("d", "patients", 0, 1, 4, 0, 0, "shifts", "threshold", Budget(steps=3, tries=tries))
    recipes = Recipes(augmenter or Shifts(), classifier or Threshold(), protocol("patients"))
    return run_trial(trial, recipes, separable(), TrialContext(trial, device="cpu", folder=folder))


def test_the_best_of_the_inner_cut_is_trained_on_all_and_tested_once(tmp_path: Path) -> None:
    result = tried(6, tmp_path)
    fits = [seen for seen in SEEN if seen[0] == "classifier"]
    inner, whole = fits[0][2], fits[-1][2]

    assert len(fits) == 7
    assert all(rows == inner for _, _, rows, _ in fits[:-1])
    assert inner < whole
    assert len(inner) / len(whole) == pytest.approx(0.75, abs=0.06)
    assert not whole & set(result.ids.tolist())
    assert {steps for _, _, _, steps in fits} == {3}
    assert fits[-1][1] == 1.0
    assert result.facts["tries"] == 6
    assert "classifier.sharp=1" in str(result.facts["chosen"])
    assert result.facts["inner_score"] > result.facts["inner_score_default"]
    assert str(result.facts["inner_scores"]).startswith("as asked for: ")
    assert result.probabilities.argmax(1).tolist() == result.labels.tolist()


def test_one_try_is_the_method_as_it_is(tmp_path: Path) -> None:
    result = tried(1, tmp_path)

    assert [seen[0] for seen in SEEN] == ["augmenter", "classifier"]
    assert "chosen" not in result.facts
    assert Budget().trainings == 1
    assert Budget(tries=6).trainings == 7


def test_of_equals_the_earlier_is_chosen(tmp_path: Path) -> None:
    result = tried(5, tmp_path, classifier=Threshold(sharp=1.0))

    assert result.facts["chosen"] == "as asked for"


def test_a_smaller_space_takes_as_many_trainings(tmp_path: Path) -> None:
    tried(5, tmp_path, augmenter=plugins.load(installed=False).resolve("augmenter", "none"))

    fits = [seen[1] for seen in SEEN if seen[0] == "classifier"]
    assert fits[:5].count(0.0) == 3
    assert fits[:5].count(1.0) == 2


def test_tries_are_drawn_without_repeats_the_first_is_the_default_and_seeds_follow() -> None:
    space = space_of(Shifts(), Threshold())
    some, more = draw_tries(space, 4, 7), draw_tries(space, 9, 7)

    assert len(space) == 6  # a value that `check` refuses is none of them
    assert some[0] == (0, 0)
    assert more[:4] == some
    assert sorted(number for number, _ in more[:6]) == [0, 1, 2, 3, 4, 5]
    assert more[6:] == [(number, 1) for number, _ in more[:3]]
    assert draw_tries(space, 6, 8) != draw_tries(space, 6, 7)


def test_an_augmenter_in_a_field_is_tuned_too() -> None:
    hybrid = plugins.load(installed=False).resolve("augmenter", "hybrid")
    cnn = plugins.load(installed=False).resolve("classifier", "small-cnn")
    changed = {part.partition("=")[0] for one in space_of(hybrid, cnn) for part in one.changed}

    assert changed == {"ratio", "base.rotation", "base.scale", "base.probability", "classifier.lr"}


def test_what_would_need_another_stage_is_not_tried() -> None:
    catalogue = plugins.load(installed=False)
    pretrained = catalogue.resolve("classifier", "pretrained-on[source=mura:abnormal,classifier=small-cnn]")

    assert len(space_of(Shifts(), pretrained)) == 3  # strengths alone: another rate would be another pretraining


def test_the_inner_cut_keeps_groups_together_and_is_that_of_the_cut() -> None:
    samples = toy_samples(40)
    samples = replace(samples, groups=np.array([f"g{i // 3}" for i in range(len(samples))]))
    trial = Trial("d", "patients", 0, 1, 4, 0, 0, "one", "net", Budget(tries=3))
    inner, held_out = inner_cut(samples, trial)

    assert not set(inner.groups.tolist()) & set(held_out.groups.tolist())
    again = inner_cut(samples, replace(trial, augmenter="another", classifier="net2", seed=5))
    assert np.array_equal(again[1].ids, held_out.ids)
    assert not np.array_equal(inner_cut(samples, replace(trial, fold=0))[1].ids, held_out.ids)


def test_a_leaky_protocol_has_no_tries() -> None:
    with pytest.raises(medbench.UsageError, match=r"^options: tries: methods are tuned under honest protocols alone"):
        study.build({"datasets": ["ddti"], "protocols": ["images"], "budget": {"tries": 4}})


def test_a_field_that_there_is_not_is_refused() -> None:
    @dataclass(frozen=True)
    class Wrong(Shifts):
        tunable: ClassVar[dict[str, tuple[float, ...]]] = {"power": (1.0,)}

    with pytest.raises(medbench.UsageError, match="tunable names 'power'"):
        space_of(Wrong(), Threshold())
