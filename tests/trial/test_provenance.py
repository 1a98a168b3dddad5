"""Whatever is augmented and however it is cut: nothing of the test part is learnt from, and nothing made is scored."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from medbench.errors import DataError, LeakError
from medbench.interfaces import Budget, TrainingSet, needs
from medbench.protocols.folds import Cut
from medbench.protocols.protocol import EvaluationProtocol
from medbench.samples import Samples
from medbench.trial.context import TrialContext
from medbench.trial.run_one_trial import Recipes, run_trial
from medbench.trial.trial import Trial
from medbench_plugins.augmenters.generative import Generative
from medbench_plugins.generators.placebos import Blur, Resample, ShuffledLabels


@st.composite
def cohorts(draw: st.DrawFn) -> Samples:
    """Rows of 12 to 30 patients, some joined into one group, each class by a third of them at least; maybe cut."""
    patients = draw(st.integers(12, 30))
    images = draw(st.lists(st.integers(1, 3), min_size=patients, max_size=patients))
    joined = draw(st.lists(st.booleans(), min_size=patients, max_size=patients))
    of_row = np.repeat(np.arange(patients), images)
    group = np.arange(patients)
    for patient in range(3, patients):
        if joined[patient]:  # with one of its own class, so that a class keeps its groups
            group[patient] = group[patient - 3]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = len(of_row)
    tested = set(group[:3].tolist()) | set(np.flatnonzero(rng.random(patients) < 0.3).tolist())
    parts = np.array(["test" if group[p] in tested else "train" for p in of_row])
    assume(all(len(set((of_row % 3)[parts == part].tolist())) == 3 for part in ("train", "test")))
    return Samples(
        x=rng.integers(0, 256, (n, 1, 8, 8), dtype=np.uint8),
        labels=(of_row % 3).astype(np.int64),
        ids=np.array([f"c/{row}" for row in range(n)]),
        patients=np.array([f"p{p}" for p in of_row]),
        groups=np.array([f"g{group[p]}" for p in of_row]),
        sources=((),) * n,
        classes=("a", "b", "c"),
        made_of=str(draw(st.integers(0, 9))),
        parts=parts,
    )


@dataclass(frozen=True)
class Spy:
    """A generator or scaler that keeps the ids it was fitted on and passes the work on."""

    inner: Any
    name: str = "spy"
    stored = False
    seen: ClassVar[list[frozenset[str]]] = []  # no field: those are part of what a stage is

    def fit(self, train: Samples, context: Any) -> Any:
        self.seen.append(frozenset(train.ids.tolist()))
        return self.inner.fit(train, context)

    def restore(self, state: Any, train: Samples) -> Any:
        return self.inner.restore(state, train)


@dataclass(frozen=True)
class Scaled:
    """An augmenter that asks for a stage and leaves training as it is."""

    stage: Any
    name: str = "scaled"
    space = "pixels"
    gives = frozenset({"samples"})
    control = None

    @property
    def needs(self) -> tuple[Any, ...]:
        return (self.stage,)

    def fit(self, train: Samples, context: Any) -> TrainingSet:
        context.fit(self.stage, train)
        return TrainingSet(train)


@dataclass(frozen=True)
class Acts:
    """An augmenter that does what it is told."""

    act: Callable[[Samples, Samples], TrainingSet] = field(compare=False, repr=False)
    everything: Samples = field(compare=False, repr=False)
    name: str = "acts"
    needs = ()
    space = "pixels"
    gives = frozenset({"samples"})
    control = None

    def fit(self, train: Samples, context: Any) -> TrainingSet:
        return self.act(train, self.everything)


@dataclass(frozen=True)
class Watching:
    """A classifier that keeps what it was given."""

    seen: list[Any] = field(default_factory=list, compare=False, repr=False)
    name: str = "watching"
    takes = frozenset({"2d", "samples", "sampling"})

    def fit(self, training_set: TrainingSet, validation: Samples, context: Any, start: Any = None) -> Any:
        self.seen.append((training_set.samples, validation))
        n = len(training_set.samples.classes)
        return lambda x: np.full((len(x), n), 1 / n)


def stranger(train: Samples, everything: Samples) -> TrainingSet:
    """Adds a real row that it was never handed."""
    outside = ~np.isin(everything.ids, train.ids)
    row = everything.take([int(np.flatnonzero(outside)[0])])
    columns = {name: np.concatenate([getattr(train, name), getattr(row, name)])
               for name in ("x", "labels", "ids", "patients", "groups")}  # fmt: skip
    return TrainingSet(replace(train, **columns, sources=(*train.sources, ()), parts=None))


def of_strangers(train: Samples, everything: Samples) -> TrainingSet:
    """Makes a row from one that it was never handed."""
    outside = str(everything.ids[~np.isin(everything.ids, train.ids)][0])
    return TrainingSet(train.with_synthetic(train.x[:1], train.labels[:1], maker="m", sources=[(outside,)]))


def passed_off_as_real(train: Samples, everything: Samples) -> TrainingSet:
    """Changes a row and calls it real."""
    x = np.array(train.x)
    x[0] ^= 1
    return TrainingSet(replace(train, x=x))


def relabelled(train: Samples, everything: Samples) -> TrainingSet:
    """Changes the label of a real row."""
    labels = train.labels.copy()
    labels[-1] = (labels[-1] + 1) % 3
    return TrainingSet(replace(train, labels=labels))


def of_made_rows(train: Samples, everything: Samples) -> TrainingSet:
    """Names a made row as the source of another, which hides what that was made from."""
    made = train.with_synthetic(train.x[:1], train.labels[:1], maker="m")
    hidden = made.with_synthetic(train.x[:1], train.labels[:1], maker="k", sources=[(str(made.ids[-1]),)])
    return TrainingSet(hidden)


MALICIOUS = (stranger, of_strangers, passed_off_as_real, relabelled, of_made_rows)
GENERATORS = (Resample(), Blur(), ShuffledLabels())
HONEST = ("patients", "official")


def run(samples: Samples, augmenter: Any, classifier: Any, protocol: EvaluationProtocol, cut: Cut) -> Any:
    trial = Trial(
        "c", protocol.name, cut.repeat, cut.fold, cut.folds, 0, 0, "a", "watching", Budget(5, generator_steps=5)
    )
    with tempfile.TemporaryDirectory() as folder:
        context = TrialContext(trial, device="cpu", folder=Path(folder))
        return run_trial(trial, Recipes(augmenter, classifier, protocol), samples, context), dict(context.fitted_on)


cuts = st.builds(Cut, fold=st.integers(0, 1), folds=st.integers(2, 4), repeat=st.integers(0, 3))
quiet = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quiet
@given(
    cohorts(), cuts, st.sampled_from(HONEST), st.sampled_from(GENERATORS), st.booleans(), st.sampled_from([1.0, 0.75])
)
def test_nothing_learns_from_what_is_scored_and_nothing_made_is_scored(
    samples: Samples, cut: Cut, name: Any, generator: Any, scaled: bool, share: float
) -> None:
    spy, watching = Spy(generator), Watching()
    spy.seen.clear()
    protocol = EvaluationProtocol(name, share=share)
    augmenter = Scaled(spy) if scaled else Generative("made", generator=spy)
    assert spy in needs(augmenter)
    try:
        result, fitted_on = run(samples, augmenter, watching, protocol, cut)
    except DataError:  # too few groups for such a cut
        reject()
    ((train, validation),) = watching.seen
    real = dict(zip(samples.ids.tolist(), range(len(samples)), strict=True))
    tested = result.ids.tolist()
    groups = {samples.groups[real[i]] for i in tested}

    assert set(tested) <= set(real)  # real, and none that was made
    assert set(validation.ids.tolist()) <= set(real)
    assert all(np.array_equal(validation.x[k], samples.x[real[i]]) for k, i in enumerate(validation.ids.tolist()))
    learnt = set(train.ids[train.is_real].tolist()).union(*train.sources)
    assert not groups & {samples.groups[real[i]] for i in learnt | set(validation.ids.tolist())}
    own = set(train.ids[train.is_real].tolist())
    assert learnt == own  # a made row names rows of its own fold
    assert spy.seen
    assert all(ids <= own for ids in spy.seen)
    assert all(ids <= own for ids in fitted_on.values())
    assert result.leaks == ()


@quiet
@given(cohorts(), cuts, st.sampled_from(HONEST), st.sampled_from(MALICIOUS))
def test_an_augmenter_that_hides_where_rows_come_from_is_refused(
    samples: Samples, cut: Cut, name: Any, act: Callable[[Samples, Samples], TrainingSet]
) -> None:
    watching = Watching()
    try:
        run(
            samples,
            Acts(lambda train, everything: TrainingSet(train), samples),
            Watching(),
            EvaluationProtocol(name),
            cut,
        )
    except DataError:
        reject()
    with pytest.raises(LeakError):
        run(samples, Acts(act, samples), watching, EvaluationProtocol(name), cut)

    assert watching.seen == []  # before anything is trained on it


@quiet
@given(cohorts(), cuts, st.sampled_from(["images", "select-on-test", "augment-first"]))
def test_a_leaky_protocol_leaks_no_more_than_it_says(samples: Samples, cut: Cut, name: Any) -> None:
    protocol = EvaluationProtocol(name)
    try:
        result, _ = run(samples, Generative("made", generator=Resample()), Watching(), protocol, cut)
    except DataError:
        reject()

    assert set(result.leaks) <= protocol.leaks
