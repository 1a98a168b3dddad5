"""What every GAN of features keeps to, whatever its networks."""

from __future__ import annotations

import csv
import typing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import medbench
from medbench.testing import SandboxContext, check_generator, toy_samples
from medbench_plugins.generators.clswgan import ClsWGAN
from medbench_plugins.generators.feature_acgans import DenseACGAN, FeatureACGAN, MapACGAN, RefinedACGAN

DENSE = DenseACGAN(hidden=8, latent=4, steps=5)
MAPS = MapACGAN(width=4, latent=4, steps=5, lr_g=5e-3)
REFINED = RefinedACGAN(hidden=8, width=4, rank=3, steps=5)
VECTOR, IMAGE, VOLUME = (5,), (5, 3, 2), (6, 2, 3, 2)
CASES: dict[str, tuple[typing.Any, tuple[int, ...]]] = {
    "dense-acgan": (DENSE, VECTOR),
    "clswgan": (ClsWGAN(hidden=8, latent=4, steps=5), VECTOR),
    "map-acgan": (MAPS, IMAGE),
    "map-acgan-3d": (MAPS, VOLUME),
    "feature-acgan": (FeatureACGAN(start="noise", dense=DENSE, maps=MAPS), IMAGE),
    "refined-acgan": (REFINED, VECTOR),
    "refined-acgan-2d": (REFINED, IMAGE),
    "refined-acgan-3d": (REFINED, VOLUME),
}
SINGLE = {name: case for name, case in CASES.items() if name != "feature-acgan"}
every_case = pytest.mark.parametrize(("generator", "shape"), CASES.values(), ids=CASES)
every_single = pytest.mark.parametrize(("generator", "shape"), SINGLE.values(), ids=SINGLE)


def uneven(shape: tuple[int, ...], *, positive: bool = True) -> medbench.Samples:
    """30 rows of class 0, 8 of class 1, which lies a deviation further, and two without a label."""
    rng = np.random.default_rng(0)
    labels = np.array([0] * 30 + [1] * 8 + [-1] * 2, dtype=np.int64)
    x = rng.normal(size=(40, *shape)) + (labels == 1).reshape(40, *[1] * len(shape))
    return replace(toy_samples(40, size=4), x=(np.maximum(x, 0) if positive else x).astype(np.float32), labels=labels)


@pytest.mark.parametrize("name", ["map-acgan", "feature-acgan", "refined-acgan"])
def test_it_passes_the_checks_that_authors_run(name: str, tmp_path: Path) -> None:
    check_generator(CASES[name][0], tmp_path)


@every_case
@pytest.mark.parametrize("positive", [True, False])
def test_samples_restore_bit_for_bit_and_are_negative_only_where_real_rows_are(
    generator: typing.Any, shape: tuple[int, ...], positive: bool, context: SandboxContext
) -> None:
    train, labels = uneven(shape, positive=positive), np.arange(200) % 2

    fitted = generator.fit(train, context)
    x = fitted.sample(labels, 0)
    stored = {name: np.ascontiguousarray(array) for name, array in fitted.state().items()}  # as the store keeps them
    restored = generator.restore(stored, train)

    assert x.shape == (200, *shape)
    assert (x.min() >= 0) == positive
    assert np.array_equal(restored.sample(labels, 0), x)
    assert np.array_equal(generator.fit(train, context).sample(labels, 0), x)
    assert fitted.facts["diversity"] > 0
    if fitted.judge is not None:
        assert np.array_equal(restored.judge.class_probabilities(x), fitted.judge.class_probabilities(x))
    with pytest.raises(medbench.StoreError, match="fit the generator again"):
        generator.restore(stored, uneven((9, *shape[1:]), positive=positive))


@every_case
def test_unlabelled_rows_teach_nothing(generator: typing.Any, shape: tuple[int, ...], context: SandboxContext) -> None:
    train = uneven(shape)
    changed = train.x.copy()
    changed[38:] = -1e3

    one, other = (generator.fit(t, context).state() for t in (train, replace(train, x=changed)))

    assert all(np.array_equal(one[name], other[name]) for name in one)


@every_single
def test_curves_and_progress_are_kept(generator: typing.Any, shape: tuple[int, ...], context: SandboxContext) -> None:
    generator.fit(uneven(shape), context)

    with (context.folder / f"{generator.name}-curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    discriminator = ["d_distance", "d_penalty", "g_score"] if generator.name == "clswgan" else ["d_source", "d_class"]
    assert list(rows[0]) == [*discriminator, *(["g_source"] if generator.name != "clswgan" else []), "g_class"]
    assert len(rows) == 5
    assert context.reports[-1][:2] == (5, 5)


@every_single
def test_what_it_cannot_learn_is_a_skip_or_divergence(
    generator: typing.Any, shape: tuple[int, ...], context: SandboxContext
) -> None:
    with pytest.raises(medbench.Skip, match="class 1"):
        generator.fit(uneven(shape).take(range(30)), context)
    with pytest.raises(medbench.Skip, match=r"map-acgan draws maps of features|got 70,000"):
        generator.fit(replace(uneven(shape), x=np.zeros((40, 70_000), np.float32)), context)
    with pytest.raises(medbench.Diverged, match=r"(step \d+ of 5|after 5 steps)"):
        replace(generator, lr_g=1e38, lr_d=1e38).fit(uneven(shape), context)
