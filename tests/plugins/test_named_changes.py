"""Copies through named changes, and generators of the rarer classes alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medbench
from medbench.registry.plugins import load
from medbench.testing import SandboxContext, check_generator, toy_samples
from medbench_plugins.generators.changed import Changed
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.generators.rare_only import RareOnly, only_classes, rare_classes
from medbench_plugins.generators.selected import Selected
from medbench_plugins.generators.transformed import CHANGES, Transformed


def uneven(*counts: int, **options: Any) -> medbench.Samples:
    samples = toy_samples(sum(counts), size=16, classes=len(counts), **options)
    return replace(samples, labels=np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize("recipe", [Changed(), Changed(changes="vflip/zoom/hflip", sharpen=True)])
def test_named_changes_keep_the_contract(recipe: Changed, tmp_path: Path) -> None:
    check_generator(recipe, tmp_path)


def test_all_named_are_what_transformed_makes_of_its_list(tmp_path: Path) -> None:
    train, context = uneven(6, 4), SandboxContext(tmp_path)
    labels = np.repeat([0, 1], [12, 8])

    ours = Changed(changes="/".join(CHANGES["spine-best"])).fit(train, context)
    theirs = Transformed(policy="spine-best").fit(train, context)

    assert np.array_equal(ours.sample(labels, 5), theirs.sample(labels, 5))
    assert ours.sources(labels, 5) == theirs.sources(labels, 5)


def test_one_change_is_that_change(tmp_path: Path) -> None:
    train = uneven(5, 5)
    labels = np.zeros(5, dtype=np.int64)
    made = Changed(changes="hflip").fit(train, SandboxContext(tmp_path))
    row_of = {str(name): row for row, name in enumerate(train.ids)}

    for image, (source,) in zip(made.sample(labels, 1), made.sources(labels, 1), strict=True):
        assert np.array_equal(image, train.x[row_of[source]][:, :, ::-1])


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    context = SandboxContext(tmp_path)
    for changes, words in (("rot46", "'rot46' is unknown"), ("zoom/zoom", "stands there twice")):
        with pytest.raises(medbench.UsageError, match=words):
            Changed(changes=changes).check()
    with pytest.raises(medbench.Skip, match="sides of the body"):
        Changed(changes="hflip").fit(replace(uneven(3, 3), sides=True), context)
    with pytest.raises(medbench.UsageError, match="stands on others"):
        RareOnly(generator=Selected()).check()
    with pytest.raises(medbench.Skip, match="as many images"):
        RareOnly(generator=Resample()).fit(uneven(4, 4), context)


def test_the_largest_class_is_neither_learned_from_nor_drawn(tmp_path: Path) -> None:
    train = uneven(9, 3, 5)
    rare = rare_classes(train)
    kept = only_classes(train, rare)
    fitted = RareOnly(generator=Resample()).fit(train, SandboxContext(tmp_path))
    labels = np.array([2, 1, 2])

    assert rare.tolist() == [1, 2]
    assert kept.classes == train.classes[1:]
    assert kept.labels.tolist() == [0] * 3 + [1] * 5
    for label, image in zip(labels, fitted.sample(labels, 0), strict=True):
        assert any(np.array_equal(image, row) for row in train.x[train.labels == label])
    with pytest.raises(medbench.Skip, match="largest class"):
        fitted.sample(np.array([0]), 0)


def test_a_gan_of_the_rare_classes_is_restored_as_it_was(tmp_path: Path) -> None:
    from medbench_plugins.generators.wgan import ClippedWGAN

    train, recipe = (
        uneven(12, 6, 5),
        RareOnly(generator=ClippedWGAN(width=4, latent=8, steps=2, batch=4, critic_steps=1)),
    )
    fitted = recipe.fit(train, SandboxContext(tmp_path))
    labels = np.array([1, 2, 1])

    again = recipe.restore({name: np.array(array) for name, array in fitted.state().items()}, train)

    assert np.array_equal(fitted.sample(labels, 3), again.sample(labels, 3))


def test_chosen_samples_stand_under_all_of_them(tmp_path: Path) -> None:
    from medbench_plugins.augmenters.chosen import Chosen
    from medbench_plugins.augmenters.generative import Generative
    from medbench_plugins.generators.acgan import ACGAN

    names, one = [], Chosen()
    recipe: Any = one
    while recipe is not None:
        names.append(recipe.name)
        recipe = recipe.control

    assert names == ["acgan-chosen", "acgan", "copies", "balanced"]
    assert one.control == Generative()
    gan = ACGAN(width=4, latent=8, steps=2, batch=4)
    inner = Selected(generator=gan, by="discriminator")
    same = [
        augmenter.fit(toy_samples(12), SandboxContext(tmp_path))
        for augmenter in (Chosen(generator=inner), Generative("acgan-selected", generator=inner))
    ]
    assert np.array_equal(same[0].samples.x, same[1].samples.x)
    with pytest.raises(medbench.UsageError, match="filters no other generator"):
        Chosen(generator=gan).check()


@pytest.mark.parametrize("fill", ["balance", "rare"])
def test_a_generator_of_the_rarer_classes_is_taken_where_these_are_filled(fill: str) -> None:
    recipe: Any = load(installed=False).resolve("augmenter", f"wgan[generator=rare-only,fill={fill}]")

    recipe.check()
