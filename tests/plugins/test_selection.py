"""Filters of synthetic rows: what passes, what is kept, what is told of it, and the judges they rest on."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import medbench
from medbench.interfaces import needs
from medbench.protocols.protocol import protocol
from medbench.testing import SandboxContext, check_augmenter, check_generator, check_recipe_is_unchanged, toy_samples
from medbench.trial.context import TrialContext
from medbench.trial.run_one_trial import Recipes, run_trial
from medbench.trial.trial import Trial
from medbench_plugins.augmenters import register_augmenters
from medbench_plugins.augmenters.feature_generative import FeatureGenerative
from medbench_plugins.augmenters.generative import Generative
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.classifiers.timm_nets import VGG16
from medbench_plugins.generators import register_generators
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.dcgan import DCGAN
from medbench_plugins.generators.feature_acgans import DenseACGAN
from medbench_plugins.generators.image_gans.networks import DiscriminatorNetwork, EmbeddingDiscriminator
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.generators.reacgan import ReACGAN
from medbench_plugins.generators.selected import Selected
from medbench_plugins.generators.wgan import PenalisedWGAN
from medbench_plugins.selection.classifier_judge import Selector
from medbench_plugins.selection.judges import make_judge
from medbench_plugins.selection.rules import Rule, draw_selected

SMALL: dict[str, Any] = {"width": 4, "latent": 8, "batch": 8, "batch_3d": 4, "steps": 3}
QUICK = {
    "classifier": Selected(generator=ACGAN(**SMALL), classifier=SmallCNN(width=4)),
    "acgan": Selected(generator=ACGAN(**SMALL), by="discriminator", rule="quantile"),
    "reacgan": Selected(generator=ReACGAN(**SMALL, embedding=6), by="discriminator", rule="top"),
}
every_filter = pytest.mark.parametrize("recipe", QUICK.values(), ids=QUICK)
FEATURES = Selected(generator=DenseACGAN(hidden=16, latent=4, steps=5), by="discriminator")


@dataclass(frozen=True, eq=False)
class Numbers:
    """Draws one number a row, from the seed alone; stands for a generator whose rows need no looking at."""

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).random((len(labels), 1)).astype(np.float32)

    def state(self) -> medbench.State:
        return {}


@dataclass(frozen=True, eq=False)
class Believes:
    """Takes a row's own number for the probability of class 0, and shares the rest among the others."""

    n_classes: int

    def class_probabilities(self, x: np.ndarray) -> np.ndarray:
        p = x[:, 0].astype(np.float64)
        rest = (1 - p) / max(1, self.n_classes - 1)
        return np.stack([p, *[rest] * (self.n_classes - 1)], axis=1)

    def features(self, x: np.ndarray) -> np.ndarray:
        return x.astype(np.float64)


@dataclass(frozen=True)
class HalfWrong:
    """Real images of the class wanted, or of the next one, by the toss of a coin."""

    name: str = "half-wrong"
    stored: ClassVar[bool] = True

    def fit(self, train: medbench.Samples, context: medbench.Context) -> HalfWrongImages:
        return HalfWrongImages(train)

    def restore(self, state: medbench.State, train: medbench.Samples) -> HalfWrongImages:
        return HalfWrongImages(train)


@dataclass(frozen=True, eq=False)
class HalfWrongImages:
    train: medbench.Samples

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        wrong = np.random.default_rng([seed, 1]).random(len(labels)) < 0.5
        shown = np.where(wrong, (labels + 1) % len(self.train.classes), labels)
        return Resample().restore({}, self.train).sample(shown, seed)

    def state(self) -> medbench.State:
        return {}


def restored(recipe: Any, fitted: Any, train: medbench.Samples) -> Any:
    return recipe.restore({name: np.array(array) for name, array in fitted.state().items()}, train)


def features(n: int = 40, d: int = 6) -> medbench.Samples:
    samples = toy_samples(n, size=4)
    x = np.random.default_rng(0).normal(size=(n, d)) + 3 * samples.labels[:, None]
    return replace(samples, x=x.astype(np.float32))


SCORES = np.array([0.9, 0.2, 0.5, 0.6, 0.3, 0.9, 0.1, 0.4])
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("threshold", 0.5, 1.0, 4), [0, 2, 3, 5]),  # the bar itself passes
        (Rule("threshold", 0.0, 1.0, 4), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Rule("top", 0.0, 0.5, 4), [0, 2, 3, 5]),  # 0.9 0.9 0.6 0.5 of all
        (Rule("top", 0.0, 0.125, 4), [0]),  # of two at 0.9 the first
        (Rule("quantile", 0.0, 0.5, 4), [0, 3, 5, 7]),  # 0.9 0.6 of one class, 0.9 0.4 of the other
        (Rule("quantile", 0.0, 0.25, 4), [0, 5]),
        (Rule("quantile", 0.0, 0.2, 5), []),  # a fifth of four rows is none
    ],
    ids=lambda value: getattr(value, "rule", ""),
)
def test_rules_pass_what_is_counted_by_hand(rule: Rule, expected: list[int]) -> None:
    assert np.flatnonzero(rule.passes(SCORES, LABELS)).tolist() == expected


@pytest.mark.parametrize("rule", ["top", "quantile"])
@pytest.mark.parametrize("keep", [0.07, 0.1, 0.3, 0.7, 1.0])
def test_a_share_is_that_share_in_spite_of_binary_fractions(rule: Any, keep: float) -> None:
    scores = np.random.default_rng(0).random(100)

    passed = Rule(rule, 0.0, keep, 100).passes(scores, np.zeros(100, dtype=np.int64))

    assert passed.sum() == round(100 * keep)
    assert passed.all() or scores[passed].min() > scores[~passed].max()


rules = st.builds(
    Rule,
    rule=st.sampled_from(["threshold", "top", "quantile"]),
    threshold=st.floats(0, 1),
    keep=st.floats(0.01, 1),
    pool=st.integers(1, 6),
)


@given(rule=rules, counts=st.lists(st.integers(0, 12), min_size=1, max_size=4), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=150, deadline=None)
def test_every_class_always_has_its_rows(rule: Rule, counts: list[int], seed: int) -> None:
    n_classes = len(counts)
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(n_classes), counts))
    rounds: list[int] = []

    drawn = draw_selected(
        Numbers(), Believes(n_classes), rule, labels, seed, n_classes=n_classes, report=lambda: rounds.append(1)
    )
    again = draw_selected(Numbers(), Believes(n_classes), rule, labels, seed, n_classes=n_classes)

    assert drawn.x.shape == (len(labels), 1)
    assert np.array_equal(drawn.x, again.x)
    assert len(rounds) <= rule.pool
    assert (drawn.candidates <= rule.pool * np.array(counts)).all()
    assert (drawn.candidates >= counts).all()
    assert (drawn.fallback == np.maximum(np.array(counts) - drawn.passed, 0)).all()
    if rule.rule == "threshold":
        scores = Believes(n_classes).class_probabilities(drawn.x)[np.arange(len(labels)), labels]
        below = np.bincount(labels[scores < rule.threshold], minlength=n_classes)
        assert np.array_equal(below, drawn.fallback)
        assert not (
            drawn.fallback[drawn.candidates < rule.pool * np.array(counts)]
        ).any()  # drawn on until the pool ends
    if rule.rule == "quantile" and rule.keep * rule.pool >= 1:
        assert not drawn.fallback.any()


def test_a_filter_that_all_pass_is_the_draw_of_the_generator() -> None:
    labels = np.array([1, 0, 1, 1, 0])

    for rule in (Rule("threshold", 0.0, 0.5, 4), Rule("top", 0.0, 1.0, 1), Rule("quantile", 0.0, 1.0, 1)):
        drawn = draw_selected(Numbers(), Believes(2), rule, labels, 7, n_classes=2)
        assert np.array_equal(drawn.x, Numbers().sample(labels, 7))


def test_rows_that_pass_come_as_drawn_and_the_best_of_the_others_fill_up() -> None:
    class Listed(Numbers):
        def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
            rows = [[0.7], [0.1], [0.95], [0.2]] if seed == 5 else [[0.4], [0.8], [0.3], [0.45]]
            return np.array(rows, dtype=np.float32)

    labels = np.zeros(4, dtype=np.int64)

    enough = draw_selected(Listed(), Believes(1), Rule("threshold", 0.25, 1.0, 4), labels, 5, n_classes=1)
    short = draw_selected(Listed(), Believes(1), Rule("threshold", 0.6, 1.0, 2), labels, 5, n_classes=1)

    np.testing.assert_allclose(enough.x[:, 0], [0.7, 0.95, 0.4, 0.8])  # not 0.45, which is better than 0.4 and later
    assert enough.fallback.tolist() == [0]
    np.testing.assert_allclose(short.x[:, 0], [0.7, 0.95, 0.8, 0.45])
    assert (short.candidates.tolist(), short.passed.tolist(), short.fallback.tolist()) == ([8], [3], [1])


@pytest.mark.parametrize("rule", ["threshold", "top", "quantile"])
def test_a_generator_that_draws_half_wrong_is_cleaned(rule: Any, context: SandboxContext) -> None:
    train = toy_samples(60, classes=3, size=12)
    known = {row.tobytes(): label for row, label in zip(train.x, train.labels, strict=True)}
    labels = np.repeat([0, 1, 2], 40)
    context.budget = medbench.Budget(steps=60, batch=16)
    recipe = Selected(generator=HalfWrong(), classifier=SmallCNN(width=4), rule=rule, keep=0.4)

    fitted = recipe.fit(train, context)

    def right(x: np.ndarray) -> float:
        return float(np.mean([known[row.tobytes()] == label for row, label in zip(x, labels, strict=True)]))

    assert 0.35 < right(HalfWrongImages(train).sample(labels, 3)) < 0.65
    assert right(fitted.sample(labels, 3)) > 0.9
    assert fitted.facts["accepted"] < 0.7


def test_coverage_falls_where_a_filter_keeps_prototypes(context: SandboxContext) -> None:
    @dataclass(frozen=True)
    class Ring:
        """Points all over a disc; its judge trusts the middle."""

        name: str = "ring"
        stored: ClassVar[bool] = False

        def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
            return RingRows()

        restore = fit

    @dataclass(frozen=True, eq=False)
    class RingRows:
        @property
        def judge(self) -> Any:
            return self

        def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
            return disc(len(labels), seed)

        def class_probabilities(self, x: np.ndarray) -> np.ndarray:
            p = np.exp(-np.linalg.norm(x.astype(np.float64), axis=1))
            return np.stack([p, p], axis=1)  # no probabilities over classes, but a rank within each

        def features(self, x: np.ndarray) -> np.ndarray:
            return x.astype(np.float64)

        def state(self) -> medbench.State:
            return {}

    def disc(n: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        angle, radius = 2 * np.pi * rng.random(n), np.sqrt(rng.random(n))
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)

    samples = toy_samples(200, size=4)
    train = replace(samples, x=disc(200, 1))
    recipe = Selected(generator=Ring(), by="discriminator", rule="quantile", keep=0.1, pool=10)

    facts = recipe.fit(train, context).facts
    harmless = replace(recipe, keep=1.0, pool=1).fit(train, context).facts

    assert facts["coverage_before"] > 0.9
    assert facts["coverage_after"] < 0.4
    assert facts["accepted"] == pytest.approx(0.1)
    assert harmless["coverage_after"] == harmless["coverage_before"] == facts["coverage_before"]
    assert harmless["accepted"] == 1


@pytest.mark.parametrize("dimensions", [2, 3])
@every_filter
def test_a_filter_restored_draws_the_same_rows_and_tells_the_same(
    recipe: Selected, dimensions: int, context: SandboxContext
) -> None:
    train = toy_samples(24, classes=3, size=12, channels=2, dimensions=dimensions)
    labels = np.array([2, 0, 1, 1, 0])

    fitted = check_recipe_is_unchanged(recipe, lambda: recipe.fit(train, context))
    again = restored(recipe, fitted, train)

    assert isinstance(recipe, medbench.Generator)
    assert fitted.sample(labels, 1).shape == (5, *train.x.shape[1:])
    assert np.array_equal(again.sample(labels, 1), fitted.sample(labels, 1))
    assert not np.array_equal(fitted.sample(labels, 2), fitted.sample(labels, 1))
    assert again.facts == fitted.facts
    assert set(fitted.facts) == {"accepted", "fallback", "rows", "coverage_before", "coverage_after"}
    assert fitted.facts["rows"] == 24


@every_filter
def test_a_filter_passes_the_checks_that_authors_run(recipe: Selected, tmp_path: Path) -> None:
    check_generator(recipe, tmp_path)


def test_a_table_and_a_picture_are_left(context: SandboxContext) -> None:
    train = toy_samples(24, classes=3, size=12)

    fitted = QUICK["classifier"].fit(train, context)

    with (context.folder / "selected-selection.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(train.classes)
    assert [int(row["rows"]) for row in rows] == [8, 8, 8]
    assert sum(int(row["passed"]) for row in rows) / sum(int(row["candidates"]) for row in rows) == pytest.approx(
        fitted.facts["accepted"]
    )
    assert np.mean([float(row["coverage_after"]) for row in rows]) == pytest.approx(
        fitted.facts["coverage_after"], abs=1e-4
    )
    with Image.open(context.folder / "selected-samples.png") as picture:
        assert picture.size[0] > 10 * 96
    assert context.reports[-1][0] == context.reports[-1][1]


def test_classes_too_small_for_coverage_leave_it_out(context: SandboxContext) -> None:
    facts = QUICK["acgan"].fit(toy_samples(8, size=12), context).facts

    assert set(facts) == {"accepted", "fallback", "rows"}


GANS = {"acgan": ACGAN(**SMALL), "reacgan": ReACGAN(**SMALL, embedding=6), "dense-acgan": FEATURES.generator}


@pytest.mark.parametrize("gan", GANS.values(), ids=GANS)
def test_a_discriminators_probabilities_are_restored_bit_for_bit(gan: Any, context: SandboxContext) -> None:
    train = features() if gan.name == "dense-acgan" else toy_samples(70, size=12)

    fitted = gan.fit(train, context)
    again = restored(gan, fitted, train)

    opinion, real = fitted.judge.class_probabilities(train.x), fitted.judge.realness(train.x)
    assert opinion.shape == (len(train), 2)
    assert opinion.dtype == real.dtype == np.float64
    assert real.shape == (len(train),)
    np.testing.assert_allclose(opinion.sum(1), 1)
    assert np.array_equal(again.judge.class_probabilities(train.x), opinion)
    assert np.array_equal(again.judge.realness(train.x), real)
    assert np.array_equal(again.judge.features(train.x), fitted.judge.features(train.x))
    assert fitted.judge.class_probabilities(train.x[:0]).shape == (0, 2)
    assert len(fitted.judge.features(train.x[:0])) == 0


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("kind", [DiscriminatorNetwork, EmbeddingDiscriminator])
def test_probabilities_are_the_softmax_of_the_class_logits(kind: Any, temperature: float) -> None:
    torch.manual_seed(0)
    options = {"embedding": 5} if kind is EmbeddingDiscriminator else {}
    network = kind((1, 12, 12), 3, width=4, **options)
    judge = make_judge(network, lambda x: x.astype(np.float32) / 127.5 - 1, temperature=temperature)
    x = toy_samples(6, size=12).x

    said = network(torch.from_numpy(x).float() / 127.5 - 1)
    logits = said[1] if len(said) == 2 else said[1] @ said[2].T
    expected = torch.softmax(logits.double() / temperature, dim=1).numpy()

    assert judge is not None
    np.testing.assert_allclose(judge.class_probabilities(x), expected, rtol=1e-5)
    np.testing.assert_allclose(judge.realness(x), said[0].double().numpy(), rtol=1e-4, atol=1e-6)


def test_a_discriminator_learns_to_name_the_class_of_real_images(context: SandboxContext) -> None:
    train, other = toy_samples(60, size=12), toy_samples(40, size=12, seed=1)
    context.budget = medbench.Budget(generator_steps=60)

    judge = ACGAN(width=8, latent=8, batch=16, lr_d=2e-3).fit(train, context).judge

    assert (judge.class_probabilities(other.x).argmax(1) == other.labels).mean() > 0.9


@pytest.mark.parametrize(
    "gan", [PenalisedWGAN(**SMALL), DCGAN(**{**SMALL, "steps": 4}), Resample()], ids=lambda g: g.name
)
def test_a_generator_without_class_logits_is_a_skip_that_lists_those_with(gan: Any, context: SandboxContext) -> None:
    with pytest.raises(medbench.Skip, match=f"^{gan.name} has no .* acgan, reacgan and dense-acgan"):
        Selected(generator=gan, by="discriminator").fit(toy_samples(12, size=12), context)


def test_a_classifier_that_does_not_take_the_rows_is_a_skip(context: SandboxContext) -> None:
    with pytest.raises(medbench.Skip, match="vgg16 does not take 3-D images"):
        Selected(generator=Resample()).fit(toy_samples(12, dimensions=3), context)
    with pytest.raises(medbench.Skip, match="vgg16 does not take features"):
        Selected(generator=Resample()).fit(features(), context)


def test_a_classifier_without_a_network_is_a_skip(context: SandboxContext) -> None:
    @dataclass(frozen=True)
    class Nearest:
        name: str = "nearest"
        takes: ClassVar[frozenset[str]] = frozenset({"2d"})

        def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
            raise AssertionError("it must not be fitted")

    with pytest.raises(medbench.Skip, match="nearest does not say how its network is built"):
        Selected(generator=Resample(), classifier=Nearest()).fit(toy_samples(12), context)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"by": "nobody"}, "selected.by: 'nobody' is unknown; use classifier or discriminator"),
        ({"rule": "best"}, "selected.rule"),
        ({"threshold": 1.5}, "selected.threshold"),
        ({"threshold": float("nan")}, "selected.threshold"),
        ({"keep": 0.0}, "selected.keep"),
        ({"keep": float("nan")}, "selected.keep"),
        ({"pool": 0}, "selected.pool"),
        ({"rule": "top", "keep": 0.1}, "give at least 10"),
    ],
)
def test_a_field_out_of_range_is_an_error(fields: dict[str, Any], named: str, context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=named):
        Selected(**fields).fit(toy_samples(12), context)


def test_the_state_of_other_classes_is_refused(context: SandboxContext) -> None:
    train = toy_samples(12, size=12)
    state = QUICK["acgan"].fit(train, context).state()

    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        QUICK["acgan"].restore(state, toy_samples(12, classes=3, size=12))
    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        replace(QUICK["acgan"], generator=ACGAN(**{**SMALL, "width": 8})).restore(state, train)


def test_a_filter_of_features_works_by_the_discriminator(context: SandboxContext) -> None:
    train = features()

    fitted = FEATURES.fit(train, context)
    training_set = FeatureGenerative(generator=FEATURES).fit(train, context)

    x = fitted.sample(train.labels, 0)
    assert x.dtype == np.float32
    assert x.shape == train.x.shape
    assert np.array_equal(restored(FEATURES, fitted, train).sample(train.labels, 0), x)
    assert not (context.folder / "selected-samples.png").exists()
    assert len(training_set.samples) == 80


def test_the_selector_is_a_stage_of_its_own() -> None:
    by_classifier, by_discriminator = QUICK["classifier"], QUICK["acgan"]

    assert needs(by_classifier) == (by_classifier.generator, Selector(SmallCNN(width=4)))
    assert needs(by_discriminator) == (by_discriminator.generator,)
    assert isinstance(needs(by_classifier)[1], medbench.Stage)
    assert not isinstance(needs(by_classifier)[1], medbench.Generator)  # it trains for the steps of a classifier
    assert Selected().classifier == VGG16(head="narrow")


def test_the_arm_stands_on_copies(tmp_path: Path) -> None:
    arms = {arm.name: arm for arm in register_augmenters()}

    assert arms["acgan-selected"] == Generative("acgan-selected", generator=Selected())
    assert arms["acgan-selected"].control == arms["copies"]
    assert "selected" in {generator.name for generator in register_generators()}
    check_augmenter(Generative("acgan-selected", generator=QUICK["classifier"]), tmp_path)


def test_a_trial_runs_through_the_filter_and_its_stages(tmp_path: Path) -> None:
    samples = toy_samples(48, size=12)
    arm, classifier = Generative("acgan-selected", generator=QUICK["classifier"]), SmallCNN(width=4)
    budget = medbench.Budget(steps=4, batch=8, generator_steps=3)
    trial = Trial("toy", "patients", 0, 0, 3, 0, 0, "acgan-selected", "small-cnn", budget)
    context = TrialContext(trial, device="cpu", folder=tmp_path)

    result = run_trial(trial, Recipes(arm, classifier, protocol("patients")), samples, context)

    assert result.counts["made"] == result.counts["real"]
    assert len(result.stages) == 3  # the filter, the generator and the selector
    assert (tmp_path / "selected-selection.csv").is_file()
