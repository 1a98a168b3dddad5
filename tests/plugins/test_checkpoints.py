"""Which weights of a generator are kept, by whom they are judged, and that a collapse is said."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import polynomial_kernel

import medbench
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.extractors.random_convolutions import RandomConvolutions
from medbench_plugins.generators.diversity import COLLAPSED, diversity_facts
from medbench_plugins.generators.feature_acgans import DenseACGAN
from medbench_plugins.generators.feature_gans.loop import relative_diversity
from medbench_plugins.generators.image_gans.checkpoints import (
    draw_held_out_rows,
    evaluation_steps,
    hold_out_images,
)
from medbench_plugins.generators.image_gans.recipe import ImageSampler
from medbench_plugins.generators.reacgan import ReACGAN

QUICK = ReACGAN(width=4, latent=8, batch=8, batch_3d=4, steps=12, embedding=6)
BY_KID = replace(QUICK, checkpoint="kid")
ENOUGH = toy_samples(440, size=12)  # 220 of each class: 22 are held out


def weights(sampler: ImageSampler) -> dict[str, np.ndarray]:
    return {n: a for n, a in sampler.state().items() if n not in ("diversity", "checkpoint", "shape")}


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=60),
    seed=st.integers(0, 999),
    made=st.integers(0, 20),
)
def test_whole_groups_of_real_labelled_rows_are_held_out_and_never_too_many(
    sizes: list[int], seed: int, made: int
) -> None:
    groups = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    train = replace(
        toy_samples(len(groups), classes=3, size=4),
        groups=groups,
        labels=np.random.default_rng(seed).integers(-1, 3, len(groups)),
    )
    train = train.with_synthetic(np.repeat(train.x[:1], made, 0), np.zeros(made), maker="m")

    held = draw_held_out_rows(train, seed)

    assert train.is_real[held].all()
    assert (train.labels[held] >= 0).all()
    real = train.take(train.is_real)
    assert (np.bincount(train.labels[held], minlength=3) <= np.rint(0.1 * real.class_counts)).all()
    rest = np.setdiff1d(np.flatnonzero(train.is_real & (train.labels >= 0)), held)
    assert not set(train.groups[held]) & set(train.groups[rest])
    assert np.array_equal(held, draw_held_out_rows(train, seed))


def test_a_tenth_of_each_class_is_held_out_where_patients_are_small() -> None:
    train = toy_samples(900, classes=3, size=4, images_per_patient=3)

    held, other = draw_held_out_rows(train, 0), draw_held_out_rows(train, 1)

    assert train.take(held).class_counts.tolist() == [30, 30, 30]
    assert set(held) != set(other)


def test_held_out_images_are_not_learnt_from() -> None:
    checkpoints = hold_out_images(ENOUGH, 3)

    assert checkpoints is not None
    held = draw_held_out_rows(ENOUGH, 3)
    assert len(held) == 44
    assert set(checkpoints.rest.ids) | set(ENOUGH.ids[held]) == set(ENOUGH.ids)
    assert not set(checkpoints.rest.groups) & set(ENOUGH.groups[held])
    for k, features in enumerate(checkpoints.real):
        expected = RandomConvolutions().features(ENOUGH.x[held[ENOUGH.labels[held] == k]])
        assert np.array_equal(features, expected)


def test_the_distance_is_the_unbiased_estimate_by_scikit_learns_kernel() -> None:
    checkpoints = hold_out_images(ENOUGH, 3)
    assert checkpoints is not None
    made = toy_samples(44, size=12, seed=9).x

    checkpoints.evaluate(1, torch.nn.Linear(1, 1), lambda labels, seed: made[np.argsort(labels, kind="stable")])

    features = RandomConvolutions().features(made)
    parts = []
    for k, real in enumerate(checkpoints.real):
        a, b = real, features[22 * k : 22 * k + 22]
        within = [polynomial_kernel(rows, degree=3, coef0=1)[~np.eye(22, dtype=bool)].mean() for rows in (a, b)]
        parts.append(sum(within) - 2 * polynomial_kernel(a, b, degree=3, coef0=1).mean())
    assert checkpoints.distances == [(1, pytest.approx(np.mean(parts), rel=1e-9))]


def test_the_weights_with_the_least_distance_are_put_back_and_the_first_of_equals() -> None:
    checkpoints = hold_out_images(ENOUGH, 3)
    assert checkpoints is not None
    held = draw_held_out_rows(ENOUGH, 3)
    network = torch.nn.Linear(1, 1, bias=False)
    order = np.concatenate([held[ENOUGH.labels[held] == k] for k in (0, 1)])
    noise = np.random.default_rng(0).integers(0, 256, ENOUGH.x[order].shape, dtype=np.uint8)
    for step, x in [(1, noise), (2, ENOUGH.x[order]), (3, ENOUGH.x[order]), (4, noise), (5, noise // 2)]:
        network.weight.data.fill_(step)
        checkpoints.evaluate(step, network, lambda labels, seed, x=x: x)

    checkpoints.restore_best(network)

    assert checkpoints.best == 2
    assert network.weight.item() == 2
    assert min(checkpoints.distances, key=lambda look: look[1])[0] == 2


@given(steps=st.integers(1, 20_000))
def test_there_are_ten_evaluations_and_the_last_step_is_one(steps: int) -> None:
    assert max(evaluation_steps(steps)) == steps
    assert min(evaluation_steps(steps)) >= 1
    assert len(evaluation_steps(steps)) == min(10, steps)


def test_reacgan_keeps_the_weights_of_the_least_distance(context: SandboxContext) -> None:
    sampler = BY_KID.fit(ENOUGH, context)

    with (context.folder / "reacgan-curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    distances = {int(row["step"]): float(row["kid"]) for row in rows if row["kid"]}
    assert set(distances) == evaluation_steps(12)
    best = min(distances, key=distances.__getitem__)
    assert sampler.facts["checkpoint_step"] == best
    assert sampler.facts["checkpoint_chosen"] == 1
    # The rows it keeps back are not learnt from, so as many steps on the rest alone end in the same weights.
    checkpoints = hold_out_images(ENOUGH, context.seed("checkpoint"))
    assert checkpoints is not None
    alone = QUICK.fit(checkpoints.rest, context)
    again = BY_KID.fit(ENOUGH, context)
    assert all(np.array_equal(a, b) for a, b in zip(weights(sampler).values(), weights(again).values(), strict=True))
    same = [np.array_equal(weights(alone)[name], array) for name, array in weights(sampler).items() if "judge" in name]
    assert same
    assert all(same)  # the discriminator is that of the last step
    kept_last = all(
        np.array_equal(weights(alone)[name], array) for name, array in weights(sampler).items() if "judge" not in name
    )
    assert kept_last == (best == 12)


def test_an_early_checkpoint_is_what_a_fit_of_so_many_steps_would_average(context: SandboxContext) -> None:
    """Worsened on purpose: a learning rate that ruins the generator makes an early look the best."""
    ruined = replace(BY_KID, lr_g=0.3, lr_d=0.3)

    sampler = ruined.fit(ENOUGH, context)

    step = int(sampler.facts["checkpoint_step"])
    checkpoints = hold_out_images(ENOUGH, context.seed("checkpoint"))
    assert checkpoints is not None
    short = replace(ruined, checkpoint="last", steps=step).fit(checkpoints.rest, context)
    generator = {n: a for n, a in weights(short).items() if "judge" not in n}
    assert step < 12
    assert all(np.array_equal(weights(sampler)[name], array) for name, array in generator.items())
    labels = np.array([0, 1])
    assert np.array_equal(sampler.sample(labels, 1), short.sample(labels, 1))
    assert sampler.diversity.tolist() == short.diversity.tolist()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_with_too_few_images_all_are_learnt_from_and_the_facts_say_so(dimensions: int, context: SandboxContext) -> None:
    train = toy_samples(40, size=12, dimensions=dimensions)

    by_kid, last = BY_KID.fit(train, context), QUICK.fit(train, context)

    assert hold_out_images(train, 0) is None
    assert all(np.array_equal(a, b) for a, b in zip(weights(by_kid).values(), weights(last).values(), strict=True))
    assert by_kid.facts == {**last.facts, "checkpoint_step": 12, "checkpoint_chosen": 0}
    assert not {"checkpoint_step", "checkpoint_chosen"} & set(last.facts)


def test_one_class_too_rare_is_too_few_images() -> None:
    counts = (400, 100)
    train = replace(toy_samples(500, size=4), labels=np.repeat([0, 1], counts))

    assert hold_out_images(train, 0) is None


def test_a_restored_generator_has_the_same_facts(context: SandboxContext) -> None:
    sampler = BY_KID.fit(ENOUGH, context)

    restored = BY_KID.restore({name: np.array(a) for name, a in sampler.state().items()}, ENOUGH)

    assert restored.facts == sampler.facts
    assert np.array_equal(restored.sample(np.array([0, 1, 1]), 4), sampler.sample(np.array([0, 1, 1]), 4))
    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        QUICK.restore(sampler.state(), ENOUGH)


def test_an_unknown_checkpoint_is_an_error(context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=r"reacgan\.checkpoint: 'best' is unknown; use last or kid"):
        replace(QUICK, checkpoint="best").fit(ENOUGH, context)  # type: ignore[arg-type]


def test_a_collapse_is_a_fact_and_a_class_without_a_number_is_left_out() -> None:
    below, above = np.array([0.9, COLLAPSED - 0.01, np.nan]), np.array([0.9, COLLAPSED])

    assert diversity_facts(below)["collapsed"] == 1.0
    assert diversity_facts(above)["collapsed"] == 0.0
    assert diversity_facts(below)["diversity_lowest"] == pytest.approx(0.19)
    assert diversity_facts(np.array([np.nan])) == {}


def test_a_generator_that_draws_one_row_a_class_has_collapsed(context: SandboxContext) -> None:
    """Made to collapse by cutting the noise off: the rows of a class are then equal."""
    train = toy_samples(40, size=12)
    recipe = DenseACGAN(hidden=8, latent=4, steps=60, batch=8)
    sampler = recipe.fit(train, context)
    before = sampler.facts["collapsed"]
    sampler.network.layers[0].weight.data[:, : recipe.latent] = 0

    collapsed = replace(sampler, diversity=relative_diversity(sampler.network, train, 0))

    assert before == float(sampler.facts["diversity_lowest"] < COLLAPSED)
    assert collapsed.facts["collapsed"] == 1.0
    assert collapsed.facts["diversity_lowest"] == pytest.approx(0, abs=1e-3)
