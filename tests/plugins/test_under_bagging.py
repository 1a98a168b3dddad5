"""Under-bagging: what is in a bag, and that several networks share the steps of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.under_sampling import RandomUnderSampler

import medbench
from medbench import TrainingSet
from medbench.errors import ContractError, DataError
from medbench.protocols.check_training_set import check_training_set
from medbench.protocols.folds import Cut
from medbench.protocols.protocol import EvaluationProtocol
from medbench.testing import SandboxContext, check_augmenter, toy_samples
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.under_bagging import FeatureUnderBagging, UnderBagging, draw_bags
from medbench_plugins.classifiers import register_classifiers
from medbench_plugins.classifiers.heads import LinearHead
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.networks.small import SmallCNN as SmallNetwork
from medbench_plugins.plain_augmenters import Balanced
from medbench_plugins.training.bagging import fit_network
from medbench_plugins.training.predictor import NetworkPredictor

NOTHING = toy_samples(4).take([])
RARE = toy_samples(40).take([*range(0, 40, 4), *range(1, 40, 4), 2, 3, 6])  # 20 of class 0, 3 of class 1


def uneven(counts: tuple[int, ...] = (20, 6), images_per_patient: int = 2) -> medbench.Samples:
    samples = toy_samples(sum(counts), size=12, classes=len(counts), images_per_patient=images_per_patient)
    return replace(samples, labels=np.repeat(np.arange(len(counts)), counts))


def fit(context: SandboxContext, training_set: TrainingSet, validation: medbench.Samples = NOTHING) -> NetworkPredictor:
    return fit_network(lambda: SmallNetwork(1, 2, width=4), training_set, validation, context, lr=3e-3)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(-1, 3), min_size=1, max_size=60).filter(lambda rows: max(rows) >= 0),
    groups=st.integers(1, 12),
    n_bags=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_a_bag_holds_as_many_rows_of_every_class_as_the_rarest_has(
    labels: list[int], groups: int, n_bags: int, seed: int
) -> None:
    samples = replace(
        toy_samples(len(labels), classes=4, size=4),
        labels=np.array(labels, dtype=np.int64),
        groups=np.array([f"g{i % groups}" for i in range(len(labels))]),
    )
    counts = samples.class_counts
    fewest = counts[counts > 0].min()

    bags = draw_bags(samples, n_bags, seed)

    assert len(bags) == n_bags
    for rows in bags:
        assert rows.dtype == np.int64
        assert len(set(rows.tolist())) == len(rows)
        assert samples.take(rows).class_counts.tolist() == np.where(counts > 0, fewest, 0).tolist()
        for k in np.flatnonzero(counts == fewest):
            assert set(np.flatnonzero(samples.labels == k)) <= set(rows)
        for k in np.flatnonzero(counts):  # at most one group of a class is cut
            own = rows[samples.labels[rows] == k]
            whole = [
                (samples.groups[own] == g).sum() == ((samples.groups == g) & (samples.labels == k)).sum()
                for g in set(samples.groups[own].tolist())
            ]
            assert whole.count(False) <= 1
    assert all(np.array_equal(a, b) for a, b in zip(bags, draw_bags(samples, n_bags, seed), strict=True))
    check_training_set(TrainingSet(samples, bags=bags), samples, augmenter="under-bagging")


def test_a_bag_has_the_counts_of_imbalanced_learns() -> None:
    samples = uneven((30, 11, 4))

    (rows,) = draw_bags(samples, 1, 0)

    _, theirs = RandomUnderSampler(random_state=0).fit_resample(np.zeros((45, 1)), samples.labels)
    assert np.bincount(samples.labels[rows]).tolist() == np.bincount(theirs).tolist() == [4, 4, 4]


def test_every_row_of_a_common_class_has_the_same_chance() -> None:
    samples = uneven((20, 6))

    drawn = np.bincount(np.concatenate(draw_bags(samples, 2000, 0)), minlength=26) / 2000

    assert (drawn[20:] == 1).all()
    assert drawn[:20] == pytest.approx(np.full(20, 0.3), abs=0.05)  # 6 of 20; four standard errors


def test_under_bagging_stands_on_balanced_and_its_twin_on_the_features_root(context: SandboxContext) -> None:
    made = UnderBagging(bags=3).fit(uneven((20, 6, 9)), context)

    assert made.bags is not None
    assert len(made.bags) == 3
    assert made.sampling is None
    assert made.class_frequencies == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert not all(np.array_equal(made.bags[0], rows) for rows in made.bags)
    assert UnderBagging().control == Balanced()
    assert FeatureUnderBagging().control == FeatureNone()


@pytest.mark.parametrize("augmenter", [UnderBagging(), FeatureUnderBagging(bags=2)], ids=lambda a: a.name)
def test_it_keeps_the_contract_of_an_augmenter(augmenter: Any, tmp_path: Path) -> None:
    check_augmenter(augmenter, tmp_path)


def test_what_cannot_be_bagged_is_an_error(context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=r"under-bagging\.bags: got 0"):
        UnderBagging(bags=0).fit(uneven(), context)
    with pytest.raises(medbench.DataError, match="none of the 26 training rows has one"):
        UnderBagging().fit(replace(uneven(), labels=np.full(26, -1)), context)


def test_every_classifier_of_the_training_loop_takes_bags() -> None:
    assert all("bags" in c.takes for c in register_classifiers())
    assert "bags" in LinearHead().takes


def test_one_bag_of_all_rows_is_training_without_bags(context: SandboxContext) -> None:
    samples, unseen = toy_samples(40), toy_samples(20, seed=1)
    sampling = np.random.default_rng(0).dirichlet(np.ones(40))
    for drawn in (None, sampling):
        plain = fit(context, TrainingSet(samples, sampling=drawn), unseen)
        bagged = fit(context, TrainingSet(samples, sampling=drawn, bags=(np.arange(40),)), unseen)

        np.testing.assert_allclose(bagged(unseen.x), plain(unseen.x), atol=1e-6)
        for name in ("steps", "parameters", "train_loss", "still_improving"):
            assert bagged.facts[name] == pytest.approx(plain.facts[name], rel=1e-6)
        assert bagged.facts["validation_loss"] == pytest.approx(plain.facts["validation_loss"], rel=1e-5)


def test_the_networks_share_the_steps_and_average_their_probabilities(context: SandboxContext) -> None:
    context.budget = medbench.Budget(steps=11, batch=4)
    samples, unseen = toy_samples(40), toy_samples(20, seed=1)
    bags = tuple(np.arange(k, 40, 3) for k in range(3))

    together = fit(context, TrainingSet(samples, bags=bags), unseen)

    alone = []
    for k, (rows, steps) in enumerate(zip(bags, (4, 4, 3), strict=True)):
        inner = SandboxContext(context.folder, medbench.Budget(steps=steps, batch=4))
        seed = inner.seed
        inner.seed = lambda *purpose, k=k, seed=seed: seed(*purpose, *([k] if k else []))  # type: ignore[method-assign]
        alone.append(fit(inner, TrainingSet(samples.take(rows)))(unseen.x))
    np.testing.assert_allclose(together(unseen.x), np.mean(alone, axis=0), atol=1e-6)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    assert [step for step, _, _ in context.reports] == list(range(1, 12))
    assert {total for _, total, _ in context.reports} == {11}
    assert together.facts["steps"] == 11
    assert together.facts["networks"] == 3


def test_bags_repeat_bit_for_bit_and_leave_the_global_generator_alone(context: SandboxContext) -> None:
    made = UnderBagging(bags=3).fit(RARE, context)
    before = torch.random.get_rng_state()

    first, second = (fit(context, made).state() for _ in range(2))

    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_of_another_fit_begin_every_network(context: SandboxContext) -> None:
    context.budget = medbench.Budget(steps=2, batch=4)
    samples = toy_samples(40)
    classifier = SmallCNN(width=4, lr=1e-12)  # so small that they stay where they began
    start = {n: a for n, a in fit_state(classifier, samples, context).items() if not n.startswith("head")}
    bags = (np.arange(20), np.arange(20, 40))

    state: Any = classifier.fit(TrainingSet(samples, bags=bags), NOTHING, context, start=start)

    weights = {n: a for n, a in state.state().items() if a.ndim > 2}
    assert len(weights) == 2 * len([a for a in start.values() if a.ndim > 2]) > 0
    for name, array in weights.items():
        np.testing.assert_allclose(array, start[name.split(".", 2)[2]], atol=1e-6)


def fit_state(classifier: Any, samples: medbench.Samples, context: SandboxContext) -> dict[str, np.ndarray]:
    state: dict[str, np.ndarray] = classifier.fit(TrainingSet(samples), NOTHING, replace(context, base=5)).state()
    return state


def test_a_head_behind_an_encoder_takes_bags(context: SandboxContext) -> None:
    train = uneven((30, 8))
    features = replace(train, x=train.x.reshape(len(train), 16, -1).mean(2).astype(np.float32))

    predict = LinearHead().fit(FeatureUnderBagging().fit(features, context), features.take([]), context)

    assert predict(features.x).sum(1) == pytest.approx(np.ones(38))


def test_more_bags_than_steps_are_refused(context: SandboxContext) -> None:
    context.budget = medbench.Budget(steps=4, batch=4)

    with pytest.raises(medbench.UsageError, match="5 bags cannot share 4 steps"):
        fit(context, UnderBagging().fit(RARE, context))


TRAIN = toy_samples(12)


@pytest.mark.parametrize(
    ("bags", "said"),
    [
        ((), "no tuple of bags"),
        ([np.arange(12)], "no tuple of bags"),
        ((np.arange(12), [0, 2]), "bag 1 is no array"),
        ((np.arange(12.0),), "bag 0 is no array"),
        ((np.arange(12)[None],), "bag 0 is no array"),
        ((np.array([0, 12]),), r"holds rows 0\.\.12; they lie in 0\.\.11"),
        ((np.array([-1, 2]),), r"holds rows -1\.\.2"),
        ((np.arange(12), np.array([0, 1, 4])), "bag 1 has no row of class 'class 1'"),
        ((np.arange(0),), "bag 0 has no row of class 'class 0'"),
    ],
)
def test_bags_that_are_none_are_refused(bags: Any, said: str) -> None:
    with pytest.raises(ContractError, match=f"'odd'.*{said}"):
        check_training_set(TrainingSet(TRAIN, bags=bags), TRAIN, augmenter="odd")


def test_a_bag_whose_rows_are_never_drawn_is_refused() -> None:
    sampling = np.where(TRAIN.labels == 0, 1 / 6, 0.0)

    with pytest.raises(ContractError, match="bag 0 has no row of class 'class 1' to draw"):
        check_training_set(TrainingSet(TRAIN, sampling=sampling, bags=(np.arange(12),)), TRAIN, augmenter="odd")


def test_class_frequencies_are_the_mean_over_bags() -> None:
    samples = replace(TRAIN, labels=np.array([0] * 8 + [1] * 3 + [-1]))
    bags = (np.array([0, 1, 8]), np.array([0, 8, 9, 10, 11]))

    assert TrainingSet(samples, bags=bags).class_frequencies == pytest.approx(
        [(2 / 3 + 1 / 4) / 2, (1 / 3 + 3 / 4) / 2]
    )
    assert TrainingSet(samples).class_frequencies == pytest.approx([8 / 11, 3 / 11])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), fold=st.integers(0, 4))
def test_augment_first_keeps_of_each_bag_what_the_cut_leaves(seed: int, fold: int) -> None:
    samples = replace(toy_samples(60, size=4), labels=(np.arange(60) % 4 == 0).astype(np.int64))
    bags = draw_bags(samples, 3, seed)

    made, _, _ = EvaluationProtocol("augment-first").arrange(
        samples, Cut(fold, 5, 0), lambda train, *held: (TrainingSet(train, bags=bags), *held)
    )

    assert made.bags is not None
    kept = set(made.samples.ids.tolist())
    assert 0 < len(kept) < 60
    for before, after in zip(bags, made.bags, strict=True):
        assert made.samples.ids[after].tolist() == [name for name in samples.ids[before].tolist() if name in kept]


def test_augment_first_names_bags_that_the_cut_emptied() -> None:
    samples = toy_samples(60, size=4)

    def only_the_tested(train: medbench.Samples, *held: medbench.Samples) -> tuple[Any, ...]:
        _, _, test = EvaluationProtocol("images").arrange(train, Cut(0, 5, 0), lambda t, *h: (TrainingSet(t), *h))
        rows = np.flatnonzero(np.isin(train.ids, test.ids))
        return TrainingSet(train, bags=(rows,)), *held

    with pytest.raises(DataError, match="left no row in any bag"):
        EvaluationProtocol("augment-first").arrange(samples, Cut(0, 5, 0), only_the_tested)
