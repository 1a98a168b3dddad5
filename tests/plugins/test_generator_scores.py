"""Scores of synthetic rows against libraries and formulas, what they find, and how a trial comes to them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medbench
from medbench.protocols.protocol import EvaluationProtocol
from medbench.samples import Samples
from medbench.store.trial_files import Stored, read_stored, write_result
from medbench.testing import SandboxContext, check_score, toy_samples
from medbench.trial.context import TrialContext
from medbench.trial.generator_scores import CHUNK, MOST, score_synthetic
from medbench.trial.run_one_trial import Measures, Recipes, run_trial
from medbench.trial.trial import Trial
from medbench_plugins.augmenters.generative import Generative
from medbench_plugins.extractors.random_convolutions import RandomConvolutions
from medbench_plugins.generator_scores import register_scores
from medbench_plugins.generator_scores.copies import Copies, CopiesAUC
from medbench_plugins.generator_scores.fid import frechet_distance
from medbench_plugins.generator_scores.inception_score import InceptionScore
from medbench_plugins.generator_scores.kid import KID, KIDByClass, kernel_distance
from medbench_plugins.generator_scores.neighbours import Density, Precision
from medbench_plugins.generators.placebos import Blur, Resample

ALL = tuple(register_scores())


def draw(seed: int, n: int, d: int, *, apart: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(apart, 1, (n, d))


# -- the numbers themselves ---------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**20), n=st.integers(2, 40), d=st.integers(1, 20), apart=st.floats(0, 2))
@settings(max_examples=25, deadline=None)
def test_kid_is_that_of_torch_fidelity_on_one_subset_of_all_rows(seed: int, n: int, d: int, apart: float) -> None:
    import torch
    from torch_fidelity.metric_kid import kid_features_to_metric

    a, b = draw(seed, n, d), draw(seed + 1, n, d, apart=apart)
    one, other = torch.from_numpy(a), torch.from_numpy(b)

    theirs = kid_features_to_metric(one, other, kid_subsets=1, kid_subset_size=n, verbose=False)

    assert kernel_distance(a, b) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9, abs=1e-9)


def test_kid_is_what_the_mean_over_random_subsets_estimates() -> None:
    import torch
    from torch_fidelity.metric_kid import kid_features_to_metric

    a, b = draw(0, 60, 8), draw(1, 90, 8, apart=0.5)

    theirs = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subsets=3000, kid_subset_size=30, verbose=False
    )

    standard_error = theirs["kernel_inception_distance_std"] / math.sqrt(3000)
    assert kernel_distance(a, b) == pytest.approx(theirs["kernel_inception_distance_mean"], abs=4 * standard_error)


def test_kid_of_two_draws_of_one_distribution_is_zero_on_average() -> None:
    values = [kernel_distance(draw(2 * s, 40, 6), draw(2 * s + 1, 30, 6)) for s in range(200)]

    assert abs(np.mean(values)) < 3 * np.std(values) / math.sqrt(200)
    assert min(values) < 0


@given(seed=st.integers(0, 2**20), n=st.integers(30, 60), m=st.integers(30, 60), d=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_fid_is_that_of_torch_fidelity(seed: int, n: int, m: int, d: int) -> None:
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = draw(seed, n, d), draw(seed + 1, m, d, apart=0.3)
    statistics = [fid_features_to_statistics(torch.from_numpy(rows)) for rows in (a, b)]
    if d == 1:  # numpy's covariance of one column is a number, which the library refuses
        statistics = [{**s, "sigma": s["sigma"].reshape(1, 1)} for s in statistics]

    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]

    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6)


def test_fid_with_fewer_rows_than_features_is_that_of_the_whole_matrices() -> None:
    """The square root of the product by scipy, in float64."""
    from scipy.linalg import sqrtm

    a, b = draw(3, 12, 30), draw(4, 15, 30, apart=0.2)
    # A little is added on the diagonal of what scipy is given: it warns of matrices without an inverse.
    A, B = (np.cov(rows, rowvar=False) + 1e-10 * np.eye(30) for rows in (a, b))

    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(A + B - 2 * sqrtm(A @ B).real)

    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-3)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_the_inception_score_is_its_formula() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), 40)
    p[0] = [1, 0, 0, 0, 0]
    total = 0.0
    for row in p:
        total += sum(v * math.log(v / q) for v, q in zip(row, p.mean(0), strict=True) if v > 0)

    assert InceptionScore().score(p, p, p) == pytest.approx(math.exp(total / len(p)), rel=1e-9)


def test_the_inception_score_runs_from_one_to_the_number_of_classes() -> None:
    alike, sure = np.full((30, 3), 1 / 3), np.eye(3)[np.arange(30) % 3]

    assert InceptionScore().score(alike, alike, alike) == pytest.approx(1)
    assert InceptionScore().score(sure, sure, sure) == pytest.approx(3)


@pytest.mark.parametrize("score", ALL, ids=lambda s: s.name)
def test_every_score_keeps_the_contract_and_gives_nan_where_there_is_nothing(score: Any, tmp_path: Path) -> None:
    rows = np.full((20, 4), 0.25)

    check_score(score, tmp_path)

    assert math.isnan(score.score(rows, rows, rows[:0]))


@dataclass(frozen=True)
class Bad:
    """A score that does what it should not."""

    act: Callable[..., Any]
    name: str = "bad"
    of: str = "features"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> Any:
        return self.act(train, held_out, synthetic)


def overwrites(train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
    synthetic[:] = 0
    return 0.0


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (Bad(lambda a, b, c: 1), "expected a finite float"),
        (Bad(lambda a, b, c: float("nan")), "expected a finite float"),
        (Bad(lambda a, b, c: float(os.urandom(8).__hash__())), "for the same rows"),
        (Bad(overwrites), "changed the rows"),
        (Bad(lambda a, b, c: 1.0 if len(c) > 1 else None), "for one row"),
        (Bad(lambda a, b, c: 1.0, of="words"), "of features, of probabilities or of pixels"),
    ],
)
def test_a_score_that_breaks_the_contract_is_found(bad: Bad, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        check_score(bad, tmp_path)


# -- copies -------------------------------------------------------------------------------------------------------


def patients(seed: int, n: int) -> np.ndarray:
    """Rows of a population: a few directions vary much, the others little."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 12)) * np.linspace(3, 0.3, 12)


@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_a_memoriser_is_caught(jitter: float) -> None:
    train, held_out = patients(0, 300), patients(1, 150)
    rng = np.random.default_rng(2)
    made = train[rng.integers(0, 300, 300)] + jitter * rng.normal(size=(300, 12))

    assert Copies().score(train, held_out, made) > 0.9
    assert CopiesAUC().score(train, held_out, made) > 0.95


def test_a_generator_that_copies_a_fifth_of_its_rows_is_caught() -> None:
    train, held_out = patients(0, 300), patients(1, 150)
    made = np.concatenate([train[:60], patients(2, 240)])

    assert 0.19 < Copies().score(train, held_out, made) < 0.25


def test_an_honest_sampler_is_not_accused() -> None:
    """Over many draws the share is the one in a hundred that the limit lets through, and the chance one half."""
    draws = [(patients(3 * s, 120), patients(3 * s + 1, 120), patients(3 * s + 2, 120)) for s in range(40)]

    shares = [Copies().score(*rows) for rows in draws]
    chances = [CopiesAUC().score(*rows) for rows in draws]

    assert np.mean(shares) == pytest.approx(0.01, abs=0.005)
    assert max(shares) < 0.08
    assert np.mean(chances) == pytest.approx(0.5, abs=0.01)


def test_rows_far_from_everything_are_no_copies() -> None:
    train, held_out = patients(0, 100), patients(1, 100)

    assert Copies().score(train, held_out, patients(2, 50) + 50) == 0
    assert CopiesAUC().score(train, held_out, patients(2, 50) + 50) == 0


def test_held_out_twins_of_training_rows_do_not_hide_a_memoriser() -> None:
    train = patients(0, 100)
    held_out = np.concatenate([train[:5], patients(1, 95)])

    assert Copies().score(train, held_out, train) == 1
    assert Copies().score(train, held_out, patients(2, 100)) == 0


@given(seed=st.integers(0, 2**20), m=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_the_chance_of_being_nearer_counts_pairs(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    train, held_out, made = (rng.integers(0, 4, (n, 2)).astype(float) for n in (5, 12, m))

    def far(row: np.ndarray) -> float:
        return min(float(((row - t) ** 2).sum()) for t in train)

    pairs = [(far(f), far(h)) for f in made for h in held_out]
    expected = np.mean([1.0 if f < h else 0.5 if f == h else 0.0 for f, h in pairs])

    assert CopiesAUC().score(train, held_out, made) == pytest.approx(expected)


# -- scoring a training set ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pixels:
    """Every pixel is a feature; the mean of the image gives two probabilities."""

    name: str = "pixels"
    seen: ClassVar[list[int]] = []

    def features(self, x: np.ndarray) -> np.ndarray:
        self.seen.append(len(x))
        return x.reshape(len(x), -1) / 255.0

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        p = x.reshape(len(x), -1).mean(1) / 255.0
        return np.stack([p, 1 - p], axis=1)


@dataclass(frozen=True)
class Refuses:
    name: str = "refuses"

    def features(self, x: np.ndarray) -> np.ndarray:
        raise medbench.Skip("it takes photographs only")


@dataclass(frozen=True)
class Short:
    name: str = "short"

    def features(self, x: np.ndarray) -> np.ndarray:
        return np.zeros((len(x) - 1, 2))


@dataclass(frozen=True)
class Notes:
    """Keeps what it is handed, and gives the number of synthetic rows."""

    name: str = "notes"
    each_class: bool = False
    floor: bool = True
    of: str = "features"
    handed: ClassVar[list[tuple[np.ndarray, ...]]] = []

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        self.handed.append((train, held_out, synthetic))
        return float(len(synthetic))


@pytest.fixture(autouse=True)
def _forget() -> None:
    Notes.handed.clear()
    Pixels.seen.clear()


def with_made(train: Samples, counts: tuple[int, ...], value: int = 200) -> Samples:
    labels = np.repeat(np.arange(len(counts)), counts)
    x = np.full((len(labels), *train.x.shape[1:]), value, dtype=np.uint8)
    return train.with_synthetic(x, labels, maker="test")


def of_class(n: int, classes: tuple[int, ...], seed: int = 0) -> Samples:
    """Toy samples with so many rows of each class; the class is in no pixel."""
    samples = toy_samples(n, size=4, seed=seed)
    labels = np.repeat(np.arange(len(classes)), classes)
    assert len(labels) == n
    return Samples(**{**vars(samples), "labels": labels})


def test_synthetic_rows_are_scored_against_held_out_ones_in_the_same_mix_of_classes() -> None:
    training = with_made(of_class(40, (30, 10)), (20, 20))
    held_out = of_class(24, (12, 12), seed=1)

    result = score_synthetic(training, held_out, extractor=Pixels(), scores=[Notes()], seed=0)

    assert result is not None
    train, held, made = Notes.handed[0]
    assert np.all(made == 200 / 255)
    assert (len(train), len(made)) == (40, 30)  # of the second class no more than stand in for it: 20 + 10
    assert len(held) == 12 + 6  # two thirds and one third, as the synthetic rows
    assert {k: v for k, v in result.values.items() if k.startswith("notes")} == {"notes": 30.0, "notes-floor": 30.0}
    stand_in = Notes.handed[1][2]
    assert {row.tobytes() for row in stand_in} <= {row.tobytes() for row in train}
    assert {k: v for k, v in result.how.items() if k != "sha256" and not k.startswith("key of ")} == {
        "extractor": "pixels", "d": 16, "classes": 2, "train": 40, "held_out": 18, "made": 30,
    }  # fmt: skip


def test_a_class_without_synthetic_rows_is_left_out() -> None:
    training = with_made(of_class(40, (30, 10)), (0, 25))

    result = score_synthetic(training, of_class(24, (12, 12), seed=1), extractor=Pixels(), scores=[Notes()], seed=0)

    assert result is not None
    assert [len(rows) for rows in Notes.handed[0]] == [10, 12, 10]  # real, held-out, made
    assert result.how["classes"] == 1


def test_scores_by_class_are_averaged_over_the_classes_they_are_defined_for() -> None:
    training = with_made(of_class(41, (40, 1)), (20, 20))
    held_out = of_class(20, (10, 10), seed=1)

    by_class = score_synthetic(training, held_out, extractor=Pixels(), scores=[Notes(each_class=True)], seed=0)
    kid = score_synthetic(training, held_out, extractor=Pixels(), scores=[KIDByClass()], seed=0)

    assert by_class is not None
    assert by_class.values["notes"] == (20 + 1) / 2
    assert (by_class.values["notes:class 0"], by_class.values["notes:class 1"]) == (20, 1)
    assert kid is not None
    assert math.isfinite(kid.values["kid-by-class"])  # one synthetic row of the second class has no KID


def test_a_score_of_all_classes_at_once_may_be_that_of_each_class_too() -> None:
    training = with_made(of_class(60, (40, 20)), (20, 20))
    held_out = of_class(24, (12, 12), seed=1)

    result = score_synthetic(training, held_out, extractor=Pixels(), scores=[Precision(), Density(), KID()], seed=0)

    assert result is not None
    of_all_and_each = ("", ":class 0", ":class 1")
    assert {name for name in result.values if name.startswith(("precision", "density", "kid"))} == {
        *(f"{name}{of}{end}" for name in ("precision", "density") for of in of_all_and_each for end in ("", "-floor")),
        "kid", "kid-floor",
    }  # fmt: skip
    rows = {k: held_out.x[held_out.labels == k].reshape(12, -1) / 255.0 for k in (0, 1)}
    made = np.full((20, rows[0].shape[1]), 200 / 255)
    for k in (0, 1):
        assert result.values[f"precision:class {k}"] == Precision().score(made, rows[k], made)
        assert result.values[f"density:class {k}"] == Density().score(made, rows[k], made)


def test_what_an_extractor_does_not_give_is_not_scored() -> None:
    training, held_out = with_made(toy_samples(30, size=4), (10, 10)), toy_samples(20, size=4, seed=1)
    scores = [Notes(of="probabilities"), KID(), Notes("no-floor", floor=False)]

    with_classes = score_synthetic(training, held_out, extractor=Pixels(), scores=scores, seed=0)
    without = score_synthetic(training, held_out, extractor=RandomConvolutions(), scores=scores, seed=0)
    refused = score_synthetic(training, held_out, extractor=Refuses(), scores=scores, seed=0)

    assert with_classes is not None
    of_rows = {"origin-label", "origin-label-floor"}  # no features are needed for it
    assert set(with_classes.values) == {"notes", "notes-floor", "kid", "kid-floor", "no-floor"} | of_rows
    assert Notes.handed[0][0].shape[1] == 2
    assert without is not None
    assert set(without.values) == {"kid", "kid-floor", "no-floor"} | of_rows
    assert refused is not None
    assert refused.values == {}
    assert refused.how["skipped"] == "it takes photographs only"


def test_no_more_than_so_many_rows_are_looked_at() -> None:
    n = MOST + 60
    training = with_made(of_class(n, (n,)), (n,))

    score_synthetic(training, of_class(n, (n,), seed=1), extractor=Pixels(), scores=[Notes()], seed=0)

    assert sum(Pixels.seen) == 3 * MOST
    assert max(Pixels.seen) == CHUNK


def test_the_draw_repeats_and_depends_on_the_seed() -> None:
    training, held_out = with_made(toy_samples(60, size=4), (7, 9)), toy_samples(30, size=4, seed=1)

    one, again, other = (
        score_synthetic(training, held_out, extractor=Pixels(), scores=ALL, seed=seed) for seed in (3, 3, 4)
    )

    assert one is not None
    assert again is not None
    assert other is not None
    assert one.values == pytest.approx(again.values, rel=0, abs=0, nan_ok=True)
    assert one.values["kid-floor"] != other.values["kid-floor"]


def test_nothing_to_score_is_no_score() -> None:
    train, held_out = toy_samples(30, size=4), toy_samples(20, size=4, seed=1)
    unknown = Samples(**{**vars(held_out), "labels": np.full(20, -1)})

    assert score_synthetic(train, held_out, extractor=Pixels(), scores=ALL, seed=0) is None
    assert score_synthetic(with_made(train, (5, 5)), unknown, extractor=Pixels(), scores=ALL, seed=0) is None


@dataclass(frozen=True)
class Breaks:
    what: str
    name: str = "bad"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> Any:
        acts: dict[str, Callable[[], Any]] = {
            "raise": lambda: 1 / 0,
            "exit": lambda: exit(1),
            "text": lambda: "much",
            "array": lambda: np.zeros(3),
            "skip": lambda: (_ for _ in ()).throw(medbench.Skip("p0001 makes no sense")),
            "memory": lambda: (_ for _ in ()).throw(MemoryError()),
            "writes": lambda: overwrites(train, held_out, synthetic),
        }
        return acts[self.what]()


@pytest.mark.parametrize(
    ("what", "why"),
    [("raise", "ZeroDivisionError"), ("exit", "Ended"), ("text", "gave str, not a number"), ("skip", "Skip"),
     ("array", "gave ndarray, not a number"), ("memory", "MemoryError"), ("writes", None)],
)  # fmt: skip
def test_a_score_that_breaks_costs_its_own_number_and_no_other(what: str, why: str | None) -> None:
    training, held_out = with_made(toy_samples(30, size=4), (10, 10)), toy_samples(20, size=4, seed=1)
    alone = score_synthetic(training, held_out, extractor=Pixels(), scores=[KID()], seed=0)

    both = score_synthetic(training, held_out, extractor=Pixels(), scores=[Breaks(what), KID()], seed=0)

    assert alone is not None
    assert both is not None
    assert {k: v for k, v in both.values.items() if not k.startswith("bad")} == dict(alone.values)
    assert dict(both.why) == ({"score bad": why} if why else {})
    assert math.isnan(both.values["bad"]) == (why is not None)
    assert ("key of bad" in both.how) == (what != "memory")  # what the machine did is computed again
    assert both.how["key of kid"] == alone.how["key of kid"]


@pytest.mark.parametrize(
    ("extractor", "why"),
    [(Short(), "gave float64 (15, 2) for 16 images, not finite float64 (n, d)")],
)
def test_an_extractor_that_breaks_costs_the_scores_alone(extractor: Any, why: str) -> None:
    training = with_made(toy_samples(30, size=4), (5, 5))

    result = score_synthetic(training, toy_samples(20, size=4, seed=1), extractor=extractor, scores=ALL, seed=0)

    assert result is not None
    assert result.values == {}
    assert result.how["failed"] == why
    assert result.why == {"extractor short": why}


# -- scores of a trial --------------------------------------------------------------------------------------------

TRIAL = Trial("toy", "patients", 0, 0, 2, 0, 0, "arm", "mean", medbench.Budget(steps=5, generator_steps=5))
SAMPLES = toy_samples(240, size=16)


@dataclass(frozen=True)
class Mean:
    name: str = "mean"
    takes = frozenset({"2d", "samples", "sampling"})

    def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Callable[..., np.ndarray]:
        return lambda x: np.full((len(x), 2), 0.5)


def score_trial(folder: Path, augmenter: Any, samples: Samples = SAMPLES) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    context = TrialContext(TRIAL, device="cpu", folder=folder)
    recipes = Recipes(augmenter, Mean(), EvaluationProtocol())
    return run_trial(TRIAL, recipes, samples, context, Measures(scores=ALL, extractor=RandomConvolutions()))


def test_a_trial_scores_synthetic_rows_and_stores_the_scores(tmp_path: Path) -> None:
    """Copies of training rows: as near as real rows, and caught; the same without detail: far from real ones."""
    copied = score_trial(tmp_path / "copies", Generative("copies", generator=Resample()))
    blurred = score_trial(tmp_path / "blur", Generative("blurred", generator=Blur(size=4)))

    assert copied.scores["copies"] == 1
    assert copied.scores["copies-auc"] > 0.95
    assert copied.scores["coverage"] > 0.7
    assert blurred.scores["kid-by-class"] > 10 * abs(copied.scores["kid-by-class"])
    assert blurred.scores["kid-by-class"] > 10 * abs(blurred.scores["kid-by-class-floor"])
    assert blurred.scores["recall"] < copied.scores["recall"]
    assert "inception-score" not in copied.scores
    assert "copies-floor" not in copied.scores
    assert copied.scored["extractor"] == "random-convolutions"
    assert len(copied.scored["sha256"]) == 64

    write_result(tmp_path / "copies", copied, {})
    stored = read_stored(tmp_path / "copies")
    record = json.loads((tmp_path / "copies" / "result.json").read_text())
    assert stored.scores == pytest.approx(dict(copied.scores))
    assert stored.scored == record["scored"] == dict(copied.scored)


def test_a_trial_without_synthetic_pixels_has_no_scores(tmp_path: Path) -> None:
    from medbench_plugins.plain_augmenters import Balanced

    result = score_trial(tmp_path, Balanced())

    assert result.scores == {}
    assert result.scored == {}


def test_scoring_changes_no_prediction(tmp_path: Path) -> None:
    from medbench_plugins.classifiers.small import SmallCNN

    augmenter = Generative("copies", generator=Resample())
    predicted = []
    for folder, more in (("with", {"scores": ALL, "extractor": RandomConvolutions()}), ("without", {})):
        (tmp_path / folder).mkdir()
        context = TrialContext(TRIAL, device="cpu", folder=tmp_path / folder)
        recipes = Recipes(augmenter, SmallCNN(), EvaluationProtocol())
        result = run_trial(TRIAL, recipes, SAMPLES, context, Measures(**more))
        predicted.append(result.probabilities)

    assert np.array_equal(*predicted)


def test_an_older_result_without_scores_can_be_read(tmp_path: Path) -> None:
    write_result(tmp_path, score_trial(tmp_path, Generative("copies", generator=Resample())), {})
    record = json.loads((tmp_path / "result.json").read_text())
    del record["scores"], record["scored"], record["seal"], record["sums"]
    (tmp_path / "result.json").write_text(json.dumps(record))

    assert read_stored(tmp_path).scores == {}


def test_an_undefined_score_is_stored_as_null(tmp_path: Path) -> None:
    few = SAMPLES.take(np.arange(8))
    result = score_trial(tmp_path, Generative("copies", generator=Resample()), few)

    write_result(tmp_path, result, {})

    assert math.isnan(result.scores["density"])
    assert read_stored(tmp_path).scores["density"] is None


def test_a_real_generator_is_worse_than_its_floor(context: SandboxContext) -> None:
    """An untrained network's pictures against real ones."""
    from medbench_plugins.generators.dcgan import DCGAN

    train = toy_samples(80, size=16)
    fitted = DCGAN().fit(train, context)
    labels = np.arange(40) % 2
    training = train.with_synthetic(fitted.sample(labels, 0), labels, maker="dcgan")

    result = score_synthetic(
        training, toy_samples(80, size=16, seed=5), extractor=RandomConvolutions(), scores=ALL, seed=0
    )

    assert result is not None
    assert result.values["kid"] > 5 * abs(result.values["kid-floor"])
    assert result.values["fid"] > result.values["fid-floor"]
    assert result.values["copies"] < 0.2


def test_a_row_averages_over_cells_and_never_over_extractors() -> None:
    from medbench.boards.build import scores_of_made

    def cell(kid: float | None, sha256: str = "a") -> Stored:
        return Stored(TRIAL, Path(), "done", scores={"kid": kid, "fid": None}, scored={"sha256": sha256})

    unscored = Stored(TRIAL, Path(), "done")

    assert scores_of_made([cell(1.0), cell(None), cell(4.0), unscored]) == {"kid": 2.5}
    assert scores_of_made([cell(1.0), cell(2.0, "b")]) == {}
    assert scores_of_made([unscored]) == {}
