"""Geometric copies made before training: what is drawn, what each row says it came from, and what it stands on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import medbench
from medbench.interfaces import TrainingSet
from medbench.protocols.check_training_set import check_training_set
from medbench.protocols.folds import Cut
from medbench.protocols.leaks import find_leaks
from medbench.protocols.protocol import EvaluationProtocol
from medbench.registry import plugins
from medbench.testing import SandboxContext, check_augmenter, check_generator, toy_samples
from medbench_plugins.augmenters import register_augmenters
from medbench_plugins.augmenters.generative import Generative, synthetic_counts
from medbench_plugins.generators.placebos import Resample
from medbench_plugins.generators.transformed import CHANGES, Transformed
from medbench_plugins.generators.wgan import ClippedWGAN
from medbench_plugins.plain_augmenters import Balanced

BUILT_IN: dict[str, Any] = {augmenter.name: augmenter for augmenter in register_augmenters()}
POLICIES = ["spine-hybrid", "spine-best", "safe"]
GAN = ClippedWGAN(width=4, latent=8, steps=4, batch=8, critic_steps=1)


def uneven(counts: tuple[int, ...] = (12, 5), **options: int) -> medbench.Samples:
    samples = toy_samples(sum(counts), **{"size": 16, **options}, classes=len(counts))
    return replace(samples, labels=np.repeat(np.arange(len(counts)), counts))


def by_pillow(x: np.ndarray, change: str) -> np.ndarray:
    """What the changes that move whole pixels are in the library the study used."""
    turn = {
        "rot90": Image.Transpose.ROTATE_90,
        "rot270": Image.Transpose.ROTATE_270,
        "hflip": Image.Transpose.FLIP_LEFT_RIGHT,
        "vflip": Image.Transpose.FLIP_TOP_BOTTOM,
    }
    return np.asarray(Image.fromarray(x).transpose(turn[change]))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("of", ["real", "all"])
def test_it_keeps_the_contract_of_a_generator(policy: Any, of: Any, tmp_path: Path) -> None:
    check_generator(Transformed(policy=policy, of=of), tmp_path)

    assert not Transformed().stored


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("dimensions", "size"), [(2, 16), (2, 21), (3, 12)])
def test_rows_are_like_the_training_rows_and_changed(
    policy: Any, dimensions: int, size: int, context: SandboxContext
) -> None:
    train = uneven(dimensions=dimensions, size=size, channels=2)
    before = train.x.copy()
    labels = np.array([0, 1, 1])

    sampler = Transformed(policy=policy).fit(train, context)
    x = sampler.sample(labels, 3)

    assert x.dtype == np.uint8
    assert x.shape == (3, *train.x.shape[1:])
    assert np.array_equal(x, sampler.sample(labels, 3))
    assert not np.array_equal(x, sampler.sample(labels, 4))
    assert all(not np.array_equal(made, real) for made, real in zip(x, train.x[sampler.rows(labels, 3)], strict=True))
    assert np.array_equal(train.x, before)


@pytest.mark.parametrize(("policy", "copies"), [("spine-hybrid", 7), ("spine-best", 3)])
def test_as_many_copies_as_changes_are_every_image_through_every_change(
    policy: Any, copies: int, context: SandboxContext
) -> None:
    train = uneven()
    labels = np.repeat(train.labels, copies)

    sampler = Transformed(policy=policy).fit(train, context)
    x, sources = sampler.sample(labels, 8), sampler.sources(labels, 8)

    row_of = {name: row for row, name in enumerate(train.ids.tolist())}
    assert Counter(name for (name,) in sources) == Counter({str(name): copies for name in train.ids})
    met: dict[str, set[str]] = {name: set() for name in row_of}
    for made, label, (name,) in zip(x, labels, sources, strict=True):
        assert train.labels[row_of[name]] == label
        for change in {"rot90", "rot270", "hflip", "vflip"} & set(CHANGES[policy]):
            if np.array_equal(made[0], by_pillow(train.x[row_of[name], 0], change)):
                met[name].add(change)
    assert all(seen == {"rot90", "rot270", "hflip", "vflip"} & set(CHANGES[policy]) for seen in met.values())


def test_synthetic_rows_are_drawn_only_on_request_and_keep_their_sources(context: SandboxContext) -> None:
    train = uneven((4, 2))
    both = train.with_synthetic(255 - train.x[4:], np.ones(2), maker="m", sources=[("toy/4",), ("toy/5", "toy/0")])
    labels = np.ones(4, dtype=np.int64)

    of_real, of_all = (Transformed(of=of).fit(both, context).sources(labels, 1) for of in ("real", "all"))  # type: ignore[arg-type]

    assert sorted(of_real) == [("toy/4",), ("toy/4",), ("toy/5",), ("toy/5",)]
    assert sorted(of_all) == [("toy/4",), ("toy/4",), ("toy/5",), ("toy/5", "toy/0")]
    inverted = Transformed(policy="spine-best", of="all").fit(both, context).sample(labels, 1).mean((1, 2, 3))
    assert sorted(inverted > 127) == [False, False, True, True]  # two of four are of rows that were inverted


def test_fields_out_of_range_and_rows_of_another_kind_are_errors(context: SandboxContext) -> None:
    with pytest.raises(medbench.UsageError, match=r"transformed\.policy: 'wild' is unknown"):
        Transformed(policy="wild").fit(uneven(), context)  # type: ignore[arg-type]
    with pytest.raises(medbench.UsageError, match=r"transformed\.of: 'none' is unknown"):
        Transformed(of="none").fit(uneven(), context)  # type: ignore[arg-type]
    features = replace(uneven(), x=np.zeros((17, 5), dtype=np.float32))
    with pytest.raises(medbench.Skip, match="float32 rows with 1 axes"):
        Transformed().fit(features, context)
    empty = replace(uneven(), labels=np.zeros(17, dtype=np.int64))
    with pytest.raises(medbench.Skip, match="'class 1' has no training image"):
        Transformed().fit(empty, context).sample(np.array([1]), 0)


def test_copies_name_the_very_image_too(context: SandboxContext) -> None:
    train = uneven()

    made = Generative("copies", generator=Resample()).fit(train, context).samples

    for row in np.flatnonzero(~made.is_real):
        (name,) = made.sources[row]
        assert np.array_equal(made.x[row], train.x[train.ids.tolist().index(name)])


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 500), min_size=2, max_size=6), ratio=st.floats(0.01, 10))
def test_fill_rare_leaves_the_largest_class_alone(counts: list[int], ratio: float) -> None:
    made = synthetic_counts(np.array(counts), fill="rare", ratio=ratio)
    equal = synthetic_counts(np.array(counts), fill="equal", ratio=ratio)

    assert made.tolist() == [0 if n == max(counts) else m for n, m in zip(counts, equal.tolist(), strict=True)]


def test_the_studys_numbers_come_out() -> None:
    """1000/140/52 images: 2536 with all basic changes, and four times what the hybrid's generator filled up."""
    basic, hybrid = BUILT_IN["geometric-offline"], BUILT_IN["hybrid-offline"]
    real = np.array([1000, 140, 52])

    assert (real + synthetic_counts(real, fill=basic.fill, ratio=basic.ratio)).sum() == 2536
    filled = real + synthetic_counts(real, fill=hybrid.fill, ratio=hybrid.ratio)
    assert filled.tolist() == [1000, 1000, 1000]  # 1000, 980 and 988 in the study, whose epochs came in whole
    quadrupled = filled + synthetic_counts(filled, fill=hybrid.base.fill, ratio=hybrid.base.ratio)
    assert quadrupled.tolist() == [4000, 4000, 4000]


def test_geometric_offline_makes_copies_of_the_rare_class_that_name_their_image(context: SandboxContext) -> None:
    train = uneven()

    made = BUILT_IN["geometric-offline"].fit(train, context)

    assert made.samples.class_counts.tolist() == [12, 40]
    assert made.class_frequencies == pytest.approx([0.5, 0.5])
    assert Counter(made.samples.sources[17:]) == Counter({(str(name),): 7 for name in train.ids[12:]})
    check_training_set(made, train, augmenter="geometric-offline")


def test_hybrid_offline_changes_synthetic_rows_as_well(context: SandboxContext) -> None:
    train = uneven()

    made = replace(BUILT_IN["hybrid-offline"], generator=GAN).fit(train, context)

    assert made.samples.class_counts.tolist() == [48, 48]
    makers = Counter(name.split("#")[0] for name in made.samples.ids.tolist())
    assert makers == {f"toy/{i}": 1 for i in range(17)} | {"wgan-clip": 7, "transformed": 72}
    own = Counter(made.samples.sources[24:])  # behind 17 real rows and 7 of the generator
    assert own.pop(tuple(train.ids.tolist())) == 21  # changes of the generator's rows, which come from all images
    assert own == Counter({(str(name),): 3 for name in train.ids})
    check_training_set(made, train, augmenter="hybrid-offline")


def test_the_controls_are_the_same_without_the_generator_and_without_the_changes() -> None:
    basic, hybrid = BUILT_IN["geometric-offline"], BUILT_IN["hybrid-offline"]

    assert basic.control == Generative("copies", generator=Resample(), fill="rare", ratio=7)
    assert basic.control.control == Balanced()
    assert hybrid.control == replace(hybrid, generator=Resample())
    assert hybrid.control.control == hybrid.base
    assert hybrid.base.control == Generative("copies", generator=Resample(), ratio=3)
    assert [stage.name for stage in hybrid.needs] == ["wgan-clip", "transformed"]


@pytest.mark.parametrize("name", ["geometric-offline", "hybrid-offline"])
def test_the_arms_keep_the_contract(name: str, tmp_path: Path) -> None:
    arm = BUILT_IN[name]
    check_augmenter(arm if name == "geometric-offline" else replace(arm, generator=GAN), tmp_path)


def test_what_an_arm_is_called_means_it_again() -> None:
    catalogue = plugins.load()
    arm = BUILT_IN["hybrid-offline"]
    for augmenter in (arm, arm.control, arm.base, BUILT_IN["geometric-offline"].control):
        assert catalogue.resolve("augmenter", catalogue.spec(augmenter)) == augmenter
    text = "geometric-offline[generator=transformed[policy=safe],fill=equal]"
    assert catalogue.resolve("augmenter", text) == Generative(
        "geometric-offline", generator=Transformed(policy="safe"), fill="equal", ratio=7
    )


def test_augmenting_first_is_found_out_by_the_rows_own_sources(context: SandboxContext) -> None:
    """Rows made of a test image are copies of it; without exactly those, no copy is found."""
    samples = toy_samples(60, size=16, images_per_patient=1)
    samples = replace(samples, labels=(np.arange(60) % 3 == 0).astype(np.int64))
    arm = BUILT_IN["geometric-offline"]

    def prepare(train: medbench.Samples, *held: medbench.Samples) -> tuple[Any, ...]:
        return arm.fit(train, context), *held

    leaky, honest = (EvaluationProtocol(name) for name in ("augment-first", "patients"))  # type: ignore[arg-type]
    made, validation, test = leaky.arrange(samples, Cut(0, 5, 0), prepare)
    assert find_leaks(made.samples, validation, test) >= {"copy", "synthetic-scored"}
    tested = set(test.ids[test.is_real].tolist())
    clean = made.samples.take([not tested & set(sources) for sources in made.samples.sources])
    assert 0 < (~clean.is_real).sum() < (~made.samples.is_real).sum()
    assert "copy" not in find_leaks(clean, validation, test.take(test.is_real))
    made, validation, test = honest.arrange(samples, Cut(0, 5, 0), prepare)
    assert find_leaks(made.samples, validation, test) == frozenset()


@pytest.mark.parametrize(
    ("sources", "said"),
    [([("toy/0",)], "made 2 rows and named sources of 1"), ([("toy/0",), ()], "named sources of 1 of them")],
)
def test_a_synthetic_row_without_a_source_is_refused(sources: list[tuple[str, ...]], said: str) -> None:
    train = uneven()

    with pytest.raises(ValueError, match=said):
        train.with_synthetic(train.x[:2], np.zeros(2), maker="m", sources=sources)


def test_synthetic_rows_of_synthetic_rows_have_ids_of_their_own_and_real_sources() -> None:
    train = uneven().take(range(3))

    once = train.with_synthetic(train.x[:1], np.zeros(1), maker="m", sources=[("toy/2",)])
    twice = once.with_synthetic(train.x[:2], np.zeros(2), maker="m")

    assert twice.ids.tolist() == ["toy/0", "toy/1", "toy/2", "m#0", "m#1", "m#2"]
    assert twice.sources[3:] == (("toy/2",), ("toy/0", "toy/1", "toy/2"), ("toy/0", "toy/1", "toy/2"))
    alone = once.take([3]).with_synthetic(train.x[:1], np.zeros(1), maker="n")
    assert alone.sources == (("toy/2",), ("toy/2",))
    check_training_set(TrainingSet(twice), train, augmenter="m")
