"""One trial, driven directly: what it lends, what it refuses, what it records."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medbench.errors import ContractError, LeakError, Skip, StoreError
from medbench.identity.identity import digest, identity
from medbench.interfaces import Budget, Generator, TrainingSet
from medbench.protocols.folds import Cut
from medbench.protocols.protocol import EvaluationProtocol
from medbench.samples import Samples
from medbench.store.trial_files import keep_unmeasured, read_stored, take_unmeasured
from medbench.testing import toy_samples
from medbench.trial.context import TrialContext
from medbench.trial.fit_one_stage import fit_stage, training_part
from medbench.trial.prior_correction import correct_prior
from medbench.trial.run_one_trial import Measures, Recipes, run_trial
from medbench.trial.stages import load_state, save_state, stage_key
from medbench.trial.trial import Result, Trial

SAMPLES = toy_samples(60, size=8)
TRIAL = Trial("toy", "patients", 0, 1, 3, 0, 0, "as-it-is", "mean", Budget(steps=5, generator_steps=5))
PATIENTS = EvaluationProtocol()


def context_of(folder: Path, trial: Trial = TRIAL, **more: Any) -> TrialContext:
    folder.mkdir(parents=True, exist_ok=True)
    return TrialContext(trial, device="cpu", folder=folder, **more)


@dataclass(frozen=True)
class Mean:
    """Learns the mean gray value of each class; keeps what it was lent."""

    name: str = "mean"
    spread: float = 10.0
    seen: list[Any] = field(default_factory=list, compare=False, repr=False)
    takes = frozenset({"2d", "samples", "sampling"})

    def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
        s = training_set.samples
        self.seen.append((training_set, validation, context))
        means = np.array([s.x[s.labels == k].mean() for k in range(len(s.classes))])

        def predict(x: np.ndarray) -> np.ndarray:
            p = np.exp(-np.abs(x.reshape(len(x), -1).mean(1)[:, None] - means) / self.spread)
            return p / p.sum(1, keepdims=True)

        return predict


@dataclass(frozen=True)
class Calls:
    """An augmenter that does what it is told."""

    act: Callable[[Samples, Any], TrainingSet] = field(compare=False, repr=False)
    name: str = "calls"
    needs: tuple[Any, ...] = ()
    space = "pixels"
    gives = frozenset({"samples", "sampling", "transform", "loss", "bags"})
    control = None

    def fit(self, train: Samples, context: Any) -> TrainingSet:
        return self.act(train, context)


@dataclass(frozen=True)
class Offset:
    """A stage whose fit is one number: a seed, the mean of its rows, and that of the stage inside it."""

    name: str = "offset"
    inner: Any = None
    stored: bool = True

    @property
    def needs(self) -> tuple[Any, ...]:
        return () if self.inner is None else (self.inner,)

    def fit(self, train: Samples, context: Any) -> Any:
        below = context.fit(self.inner, train).value if self.inner is not None else 0.0
        return _Fitted(float(context.seed("offset") % 1000) + float(train.x.mean()) + below)

    def restore(self, state: Any, train: Samples) -> Any:
        return _Fitted(float(state["value"][0]))


@dataclass(frozen=True)
class _Fitted:
    value: float

    def state(self) -> Any:
        return {"value": np.array([self.value])}


def untouched(train: Samples, context: Any) -> TrainingSet:
    return TrainingSet(train)


def run(folder: Path, augmenter: Any = None, protocol: Any = PATIENTS, classifier: Any = None, **more: Any) -> Result:
    context = context_of(folder, **more)
    augmenter = augmenter or Calls(untouched)
    return run_trial(TRIAL, Recipes(augmenter, classifier or Mean(), protocol), SAMPLES, context)


def test_a_trial_scores_exactly_its_test_part(tmp_path: Path) -> None:
    result = run(tmp_path)
    _, validation, test = PATIENTS.arrange(SAMPLES, TRIAL.cut, lambda train, *held: (TrainingSet(train), *held))

    assert result.ids.tolist() == test.ids.tolist()
    assert result.labels.tolist() == test.labels.tolist()
    assert result.probabilities.shape == (len(test), 2)
    assert result.counts["real"] + result.counts["validation"] + result.counts["test"] == len(SAMPLES)
    assert result.counts["validation"] == len(validation)
    assert result.leaks == ()
    assert result.cost["device"] == "cpu"
    assert float(result.cost["seconds"]) > 0


def test_metrics_see_prior_corrected_probabilities_and_stored_ones_are_raw(tmp_path: Path) -> None:
    def skewed(train: Samples, context: Any) -> TrainingSet:
        weights = np.where(train.labels == 1, 1.0, 9.0)
        return TrainingSet(train, sampling=weights / weights.sum())

    handed: list[np.ndarray] = []

    def some_metric(labels: np.ndarray, probabilities: np.ndarray) -> float:
        handed.append(probabilities)
        return 0.25

    context = context_of(tmp_path)
    result = run_trial(TRIAL, Recipes(Calls(skewed), Mean(), PATIENTS), SAMPLES, context, Measures([some_metric]))

    rare = result.frequencies[1]
    assert 0.05 < rare < 0.2
    assert result.metrics == {"some-metric": 0.25}
    assert np.array_equal(handed[0], correct_prior(result.probabilities, result.frequencies))
    assert not np.allclose(handed[0], result.probabilities)


def test_two_runs_of_a_trial_give_the_same_bits(tmp_path: Path) -> None:
    def noisy(train: Samples, context: Any) -> TrainingSet:
        rng = np.random.default_rng(context.of(Mean()).seed("noise"))
        made = rng.integers(0, 256, train.x.shape).astype(np.uint8)
        return TrainingSet(train.with_synthetic(made, train.labels, maker="noise"))

    one, other = run(tmp_path / "one", Calls(noisy)), run(tmp_path / "other", Calls(noisy))

    assert np.array_equal(one.probabilities, other.probabilities)


def test_seeds_of_a_classifier_do_not_depend_on_the_arm(tmp_path: Path) -> None:
    seeds = {}
    for name in ("geometric", "hybrid"):
        trial = replace(TRIAL, augmenter=name, arm=name, id=name)
        seeds[name] = context_of(tmp_path, trial).of(Mean()).seed("weights")

    assert seeds["geometric"] == seeds["hybrid"]


@pytest.mark.parametrize(
    "other",
    [
        replace(TRIAL, fold=2), replace(TRIAL, repeat=1), replace(TRIAL, seed=1), replace(TRIAL, dataset="toy:b"),
        replace(TRIAL, folds=4), replace(TRIAL, protocol="official"),
    ],
)  # fmt: skip
def test_another_cut_or_seed_is_another_stream(tmp_path: Path, other: Trial) -> None:
    assert context_of(tmp_path).of(Mean()).seed("a") != context_of(tmp_path, other).of(Mean()).seed("a")


def test_seeds_depend_on_recipe_and_purpose(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    seeds = [context.of(Mean()).seed("a"), context.of(Mean()).seed("b"), context.of(Mean()).seed("a", 1),
             context.of(Mean(spread=2.0)).seed("a"), context.of(Offset()).seed("a")]  # fmt: skip

    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert context.of(Mean()).seed("a") == seeds[0]


def test_a_stage_is_the_same_whichever_arm_and_fold_asks_for_it(tmp_path: Path) -> None:
    stage, rows = Offset(), SAMPLES.take(range(30))
    contexts = [
        context_of(tmp_path, replace(TRIAL, fold=fold, seed=seed, protocol=protocol, augmenter=name))
        for fold, seed, protocol, name in ((0, 0, "patients", "a"), (2, 5, "images", "b"))
    ]
    keys = [context.stage_context(stage, rows)[0] for context in contexts]
    fitted = [context.of(Calls(untouched, needs=(stage,))).fit(stage, rows).value for context in contexts]

    assert keys[0] == keys[1]
    assert fitted[0] == fitted[1]


@pytest.mark.parametrize("numerics", ["exact", "portable"])
@pytest.mark.parametrize("stage_seed", [0, 7, 12345])
def test_a_stage_key_is_the_digest_of_all_it_depends_on(stage_seed: int, numerics: str) -> None:
    stage, budget = Offset(), Budget(generator_steps=40, threads=2, numerics=numerics)

    key = stage_key(stage, made_of='d"\n', ids=["b", "é", "a"], stage_seed=stage_seed, budget=budget)

    seen: list[Any] = [40, 2] if isinstance(stage, Generator) else [40, 2, budget.steps, budget.batch]
    seen += [numerics] if numerics != "exact" else []
    assert key == digest([identity(stage), 'd"\n', ["a", "b", "é"], stage_seed, seen])


def test_a_stage_key_depends_on_recipe_rows_data_seed_and_generator_steps(tmp_path: Path) -> None:
    def key(stage: Any = None, rows: Samples = SAMPLES, **trial: Any) -> str:
        return context_of(tmp_path, replace(TRIAL, **trial)).stage_context(stage or Offset(), rows)[0]

    reference = key()
    others = [
        key(Offset(inner=Offset())), key(rows=SAMPLES.take(range(59))), key(rows=replace(SAMPLES, made_of="x")),
        key(stage_seed=1), key(budget=Budget(steps=5, generator_steps=6)),
        key(budget=Budget(steps=5, generator_steps=5, threads=2)),
    ]  # fmt: skip
    same = [
        key(rows=SAMPLES.take(range(59, -1, -1))), key(seed=7), key(fold=2), key(augmenter="other"),
        key(budget=Budget(steps=9, batch=3, generator_steps=5)),
    ]  # fmt: skip

    assert len({reference, *others}) == 1 + len(others)
    assert set(same) == {reference}


def test_a_stage_that_was_not_announced_is_refused(tmp_path: Path) -> None:
    def asks(train: Samples, context: Any) -> TrainingSet:
        context.fit(Offset(), train)
        return TrainingSet(train)

    with pytest.raises(ContractError, match="'calls' asked for the stage 'offset', which its `needs` does not list"):
        run(tmp_path, Calls(asks))
    with pytest.raises(ContractError, match="does not list"):
        run(tmp_path, Calls(asks, needs=(Offset(inner=Offset()),)))  # another configuration is another stage
    assert run(tmp_path, Calls(asks, needs=(Offset(),))).leaks == ()


def test_a_stage_may_ask_only_for_what_it_announces_itself(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Greedy(Offset):
        name: str = "greedy"
        needs = ()

    def asks(train: Samples, context: Any) -> TrainingSet:
        context.fit(Greedy(inner=Offset()), train)
        return TrainingSet(train)

    with pytest.raises(ContractError, match="'greedy' asked for the stage 'offset'"):
        run(tmp_path, Calls(asks, needs=(Greedy(inner=Offset()), Offset())))


def stored_stage(folder: Path, stage: Any) -> tuple[str, Path]:
    train = training_part(PATIENTS, SAMPLES, TRIAL.cut)
    context = context_of(folder)
    key = context.stage_context(stage, train)[0]
    fit_stage(stage, train, context, key=key, text="offset")
    return key, folder


def test_a_stored_stage_is_restored_bit_for_bit_and_recorded(tmp_path: Path) -> None:
    stage = Offset()
    key, folder = stored_stage(tmp_path / "stage", stage)
    values: list[float] = []

    def asks(train: Samples, context: Any) -> TrainingSet:
        values.append(context.fit(stage, train).value)
        return TrainingSet(train)

    fresh = run(tmp_path / "fresh", Calls(asks, needs=(stage,)))
    stored = run(tmp_path / "stored", Calls(asks, needs=(stage,)), stage_folder=lambda k: folder if k == key else None)

    assert values[0] == values[1]
    assert fresh.stages == {key: ""}
    assert stored.stages == {key: json.loads((folder / "stage.json").read_text())["sha256"]}


def test_a_stage_with_a_stage_inside_is_restored_too(tmp_path: Path) -> None:
    inner_key, inner_folder = stored_stage(tmp_path / "inner", Offset())
    stage = Offset("outer", inner=Offset())
    train = training_part(PATIENTS, SAMPLES, TRIAL.cut)
    context = context_of(tmp_path / "outer", stage_folder=lambda k: inner_folder if k == inner_key else None)
    key = context.stage_context(stage, train)[0]
    fit_stage(stage, train, context, key=key, text="outer")
    record = json.loads((tmp_path / "outer" / "stage.json").read_text())

    assert list(record["stages"]) == [inner_key]
    assert record["fitted_on"] == len(train)


def test_a_stage_that_is_not_what_was_planned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="not what was planned"):
        fit_stage(Offset(), SAMPLES, context_of(tmp_path), key="0" * 64, text="offset")


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "record", "no record"])
def test_a_damaged_stage_is_named_and_not_used(tmp_path: Path, damage: str) -> None:
    sha = save_state(tmp_path, {"w": np.arange(6.0).reshape(2, 3).T}, {"key": "k"})
    state, record = load_state(tmp_path)
    assert np.array_equal(state["w"], np.arange(6.0).reshape(2, 3).T)
    assert record["sha256"] == sha

    path, about = tmp_path / "state.safetensors", tmp_path / "stage.json"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    {
        "flip": lambda: path.write_bytes(content),
        "cut": lambda: path.write_bytes(content[:-4]),
        "missing": path.unlink,
        "record": lambda: about.write_text(about.read_text()[:-9]),
        "no record": about.unlink,
    }[damage]()

    with pytest.raises(StoreError, match="run `medbench store repair`"):
        load_state(tmp_path)


def test_a_stage_fitted_on_the_test_part_is_found(tmp_path: Path) -> None:
    """An augmenter that got hold of more than it was given: the ledger of fits knows."""

    def peeks(train: Samples, context: Any) -> TrainingSet:
        context.fit(Offset(), SAMPLES)
        return TrainingSet(train)

    with pytest.raises(LeakError, match="was fitted on a test image"):
        run(tmp_path, Calls(peeks, needs=(Offset(),)))
    with pytest.raises(LeakError, match="was fitted on a test image"):
        run(tmp_path, Calls(peeks, needs=(Offset(stored=False), Offset())))


def test_a_stage_inside_a_stage_is_in_the_ledger(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Sly(Offset):
        name: str = "sly"

        def fit(self, train: Samples, context: Any) -> Any:
            context.fit(self.inner, SAMPLES)
            return _Fitted(0.0)

    def asks(train: Samples, context: Any) -> TrainingSet:
        context.fit(Sly(inner=Offset()), train)
        return TrainingSet(train)

    with pytest.raises(LeakError, match="was fitted on a test image"):
        run(tmp_path, Calls(asks, needs=(Sly(inner=Offset()),)))


@dataclass(frozen=True)
class Sloppy:
    """A protocol that trains on some test rows and may admit it."""

    leaks: frozenset[str] = frozenset()
    name: str = "sloppy"
    selects: bool = False
    corrupted: str = ""

    def steps(self, steps: int, training_set: Any) -> int:
        return steps

    def arrange(self, samples: Samples, cut: Cut, prepare: Any) -> Any:
        return prepare(samples.take(range(40)), samples.take(range(40, 50)), samples.take(range(39, 60)))


def test_a_leak_that_the_protocol_does_not_declare_stops_the_trial(tmp_path: Path) -> None:
    classifier = Mean()

    with pytest.raises(LeakError, match="both in training or validation and in test") as error:
        run(tmp_path, protocol=Sloppy(), classifier=classifier)
    assert "as-it-is/mean under patients" in str(error.value)
    assert not classifier.seen  # nothing was trained
    with pytest.raises(LeakError, match="validation and test share images"):
        run(tmp_path, protocol=Sloppy(frozenset({"same-patient"})))
    declared = run(tmp_path, protocol=Sloppy(frozenset({"same-patient", "selected-on-test", "copy"})))
    assert declared.leaks == ("same-patient", "selected-on-test")


@pytest.mark.parametrize("name", ["patients", "images", "select-on-test", "augment-first"])
def test_every_protocol_finds_no_more_than_it_declares(tmp_path: Path, name: Any) -> None:
    def doubles(train: Samples, context: Any) -> TrainingSet:
        context.fit(Offset(), train)
        return TrainingSet(train.with_synthetic(train.x.copy(), train.labels, maker="copies"))

    protocol = EvaluationProtocol(name)
    result = run(tmp_path, Calls(doubles, needs=(Offset(),)), protocol)

    assert set(result.leaks) <= protocol.leaks
    assert bool(result.leaks) == (not protocol.is_honest)


def test_skips_pass_through(tmp_path: Path) -> None:
    def skips(train: Samples, context: Any) -> TrainingSet:
        raise Skip("it makes no sense here")

    with pytest.raises(Skip, match="it makes no sense here"):
        run(tmp_path, Calls(skips))


def test_a_result_is_kept_before_anything_is_measured(tmp_path: Path) -> None:
    """What ends the process in a metric or score costs no training."""
    kept: list[Result] = []

    def metric(labels: np.ndarray, probabilities: np.ndarray) -> float:
        assert len(kept) == 1
        return 0.25

    context = context_of(tmp_path)
    result = run_trial(
        TRIAL, Recipes(Calls(untouched), Mean(), PATIENTS), SAMPLES, context, Measures([metric]), keep=kept.append
    )
    job, place = tmp_path / "job", tmp_path / "place"
    for folder in (job, place):
        folder.mkdir()
    keep_unmeasured(job, kept[0], {})
    (job / "result.json").write_text('{"half of')

    assert dict(result.metrics) == {"metric": 0.25}
    assert take_unmeasured(job)
    assert not take_unmeasured(job)
    stored = read_stored(job)
    assert (stored.status, stored.metrics, stored.metric_keys) == ("done", {}, {})
    np.testing.assert_array_equal(stored.predictions().probabilities, result.probabilities)
    files = {"predictions.parquet", "result.json", "spec.json", "validation.parquet"}
    assert {path.name for path in job.iterdir()} == files
    assert set(stored.sums or ()) == files - {"result.json"}
    assert result.watched is not None
    for column, value in vars(result.watched).items():
        np.testing.assert_array_equal(getattr(stored.watched(), column), value)
    assert not take_unmeasured(place)


@pytest.mark.parametrize("name", ["patients", "images", "select-on-test"])
def test_the_watched_are_predicted_after_the_tested_and_only_under_an_honest_protocol(
    tmp_path: Path, name: Any
) -> None:
    classifier, asked = Mean(seen=[]), list[int]()

    class Counting(Mean):
        def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
            predict = classifier.fit(training_set, validation, context)

            def count(x: np.ndarray) -> np.ndarray:
                asked.append(len(x))
                return np.asarray(predict(x))

            return count

    result = run(tmp_path, protocol=EvaluationProtocol(name), classifier=Counting())

    n, watched = result.counts["validation"], result.watched
    if name != "patients":
        assert (asked, watched) == ([len(result.ids)], None)
        return
    assert asked == [len(result.ids), n]
    assert watched is not None
    validation = classifier.seen[0][1]
    np.testing.assert_array_equal(watched.ids, validation.ids)
    assert not set(watched.patients) & set(result.patients)


@pytest.mark.parametrize("column", ["x", "labels", "ids", "patients", "groups", "masks", "parts"])
def test_an_augmenter_cannot_change_what_it_is_given(tmp_path: Path, column: str) -> None:
    samples = replace(SAMPLES, masks=np.zeros((60, 8, 8), np.uint8), parts=np.full(60, "train"))
    before = getattr(samples, column).copy()

    def overwrites(train: Samples, context: Any) -> TrainingSet:
        getattr(train, column)[0] = getattr(train, column)[-1]
        return TrainingSet(train)

    with pytest.raises(ValueError, match="read-only"):
        run_trial(TRIAL, Recipes(Calls(overwrites), Mean(), PATIENTS), samples, context_of(tmp_path))
    assert np.array_equal(getattr(samples, column), before)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (lambda n: np.full((n, 3), 1 / 3), "shape"),
        (lambda n: np.full((n - 1, 2), 0.5), "shape"),
        (lambda n: np.full((n, 2), np.nan), "not finite"),
        (lambda n: np.tile([1.5, -0.5], (n, 1)), "negative"),
        (lambda n: np.full((n, 2), 0.4), "sum to 1"),
    ],
)
def test_what_is_no_probability_is_refused(tmp_path: Path, values: Callable[[int], np.ndarray], says: str) -> None:
    @dataclass(frozen=True)
    class Wrong(Mean):
        def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
            return lambda x: values(len(x))

    with pytest.raises(ContractError, match=says):
        run(tmp_path, classifier=Wrong())


def test_the_classifier_is_never_handed_the_test_part(tmp_path: Path) -> None:
    classifier = Mean()
    result = run(tmp_path, classifier=classifier)
    training_set, validation, context = classifier.seen[0]
    known = set(training_set.samples.ids) | set(validation.ids)

    assert not known & set(result.ids)
    assert not set(training_set.samples.patients) & set(result.patients)
    assert not set(validation.patients) & set(training_set.samples.patients)
    assert not [v for v in vars(context).values() if isinstance(v, Samples)]


def test_progress_reaches_who_listens(tmp_path: Path) -> None:
    heard: list[Any] = []

    def reports(train: Samples, context: Any) -> TrainingSet:
        context.progress(3, 10, loss=0.5)
        return TrainingSet(train)

    def listen(step: int, total: int, values: Any) -> None:
        heard.append((step, total, dict(values)))

    run(tmp_path, Calls(reports), report=listen)

    assert heard == [(3, 10, {"loss": 0.5})]


def test_a_trial_survives_json() -> None:
    assert Trial.from_json(json.loads(json.dumps(TRIAL.to_json()))) == TRIAL
