"""Scores that need classes, copies of pictures, the mark for poor generators, and the choice of an extractor."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medbench
from medbench.boards.generator_health import POOR, TWINS, count_copies, why_poor
from medbench.planning.study import build, to_toml
from medbench.protocols.protocol import EvaluationProtocol
from medbench.registry import plugins
from medbench.samples import Samples
from medbench.tables.copied_images import Copied, copies
from medbench.testing import toy_samples
from medbench.trial.context import TrialContext
from medbench.trial.generator_scores import score_synthetic
from medbench.trial.run_one_trial import Measures, Recipes, run_trial
from medbench.trial.trial import Trial
from medbench_plugins.augmenters.generative import Generative
from medbench_plugins.augmenters.synthetic import SyntheticOnly
from medbench_plugins.extractors.own_classifier import OwnClassifier
from medbench_plugins.extractors.random_convolutions import RandomConvolutions
from medbench_plugins.generator_scores import neighbours
from medbench_plugins.generator_scores.by_class import DomainInceptionScore, Origin, TrainedOnMade, TriedOnMade
from medbench_plugins.generator_scores.copied_pictures import CopiesLimit, CopiesPixels, copy_limit, least_share
from medbench_plugins.generator_scores.inception_score import InceptionScore
from medbench_plugins.generator_scores.kid import KIDByClass, kernel_distance
from medbench_plugins.generator_scores.likeness import find_most_alike
from medbench_plugins.generator_scores.neighbours import Coverage
from medbench_plugins.generators.placebos import Blur, Resample

# -- the numbers, against loops written out -----------------------------------------------------------------------


@given(seed=st.integers(0, 2**20), n=st.integers(6, 14), m=st.integers(6, 14), d=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_prdc_and_kid_agree_with_loops_to_a_millionth(seed: int, n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    real, made = rng.normal(size=(n, d)), rng.normal(0.5, 1, (m, d))

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))

    def reach(rows: np.ndarray, k: int) -> list[float]:
        return [sorted(apart(a, b) for j, b in enumerate(rows) if j != i)[k - 1] for i, a in enumerate(rows)]

    def inside(rows: np.ndarray, balls: np.ndarray, k: int) -> list[list[bool]]:
        far = reach(balls, k)
        return [[apart(row, ball) <= far[i] for i, ball in enumerate(balls)] for row in rows]

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (sum(float(x) * float(y) for x, y in zip(a, b, strict=True)) / d + 1) ** 3

    kid = (
        sum(kernel(real[i], real[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
        + sum(kernel(made[i], made[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
        - 2 * sum(kernel(a, b) for a in real for b in made) / (n * m)
    )
    within = inside(made, real, 5)
    covered = sum(any(row[i] for row in within) for i in range(n)) / n

    assert neighbours.precision(real, made, 3) == pytest.approx(
        np.mean([any(r) for r in inside(made, real, 3)]), abs=1e-6
    )
    assert neighbours.recall(real, made, 3) == pytest.approx(np.mean([any(r) for r in inside(real, made, 3)]), abs=1e-6)
    assert neighbours.density(real, made, 5) == pytest.approx(sum(map(sum, within)) / (5 * m), abs=1e-6)
    assert neighbours.coverage(real, made, 5) == pytest.approx(covered, abs=1e-6)
    assert kernel_distance(real, made) == pytest.approx(kid, abs=1e-6)


@given(seed=st.integers(0, 2**20), n=st.integers(8, 40), m=st.integers(8, 40))
@settings(max_examples=15, deadline=None)
def test_precision_and_recall_are_those_of_torch_fidelity(seed: int, n: int, m: int) -> None:
    import torch
    from torch_fidelity.metric_prc import prc_features_to_metric

    rng = np.random.default_rng(seed)
    real, made = rng.normal(size=(n, 4)), rng.normal(0.5, 1, (m, 4))

    theirs = prc_features_to_metric(torch.from_numpy(made), torch.from_numpy(real), prc_neighborhood=3, verbose=False)

    found = sorted([neighbours.precision(real, made, 3), neighbours.recall(real, made, 3)])
    assert found == pytest.approx(sorted([theirs["precision"], theirs["recall"]]), abs=1e-6)


# -- scores by class ----------------------------------------------------------------------------------------------


def clusters(seed: int, n: int, *, mixed: bool = False, apart: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    rows = rng.normal(size=(n, 5))
    rows[np.arange(n), labels] += apart
    return rows, (rng.permutation(labels) if mixed else labels)


def test_synthetic_rows_that_show_their_class_teach_it_and_are_recognised() -> None:
    train, held, made = clusters(0, 90), clusters(1, 60), clusters(2, 90)
    labels = train[1], held[1], made[1]

    value, each = TrainedOnMade().with_labels(train[0], held[0], made[0], labels, 3)
    back, _ = TriedOnMade().with_labels(train[0], held[0], made[0], labels, 3)
    domain, none = DomainInceptionScore().with_labels(train[0], held[0], made[0], labels, 3)

    assert value > 0.95
    assert value == pytest.approx(each.mean())
    assert back > 0.95
    assert 1.5 < domain <= 3
    assert len(none) == 0


def test_synthetic_rows_under_mixed_labels_teach_nothing_and_one_class_is_named() -> None:
    train, held, made = clusters(0, 90), clusters(1, 60), clusters(2, 300, mixed=True)
    lost = made[0].copy()
    right = np.arange(300) % 3
    lost[right == 2] = lost[np.flatnonzero(right == 0)[np.arange((right == 2).sum())]]  # class 2 looks like class 0

    mixed, _ = TrainedOnMade().with_labels(train[0], held[0], made[0], (train[1], held[1], made[1]), 3)
    _, each = TriedOnMade().with_labels(train[0], held[0], lost, (train[1], held[1], right), 3)

    assert mixed < 0.6
    assert each[0] > 0.95
    assert each[2] < 0.05


def test_one_class_alone_gives_no_number() -> None:
    rows, _ = clusters(0, 30)
    one = (np.zeros(30, dtype=int),) * 3

    assert math.isnan(TrainedOnMade().with_labels(rows, rows, rows, one, 3)[0])
    assert math.isnan(DomainInceptionScore().with_labels(rows, rows, rows, one, 3)[0])
    assert math.isnan(Origin().score(rows, rows[:9], rows))


def test_origin_is_half_for_like_and_one_for_unlike_rows() -> None:
    rng = np.random.default_rng(0)
    held, like, unlike = rng.normal(size=(200, 4)), rng.normal(size=(200, 4)), rng.normal(3, 1, (200, 4))

    assert Origin().score(held, held, like) == pytest.approx(0.5, abs=0.1)
    assert Origin().score(held, held, unlike) > 0.98


@dataclasses.dataclass(frozen=True)
class Pixels:
    name: str = "pixels"

    def features(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1) / 255.0


def made_of(train: Samples, counts: tuple[int, ...]) -> Samples:
    labels = np.repeat(np.arange(len(counts)), counts)
    x = np.random.default_rng(0).integers(0, 256, (len(labels), *train.x.shape[1:]), dtype=np.uint8)
    return train.with_synthetic(x, labels, maker="test")


@given(counts=st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(any))
@settings(max_examples=15, deadline=None)
def test_the_label_by_origin_is_the_best_of_all_rules(counts: tuple[int, int]) -> None:
    train, held_out = toy_samples(30, size=4), toy_samples(20, size=4, seed=1)
    training = made_of(train, counts)

    result = score_synthetic(training, held_out, extractor=Pixels(), scores=[], seed=0)

    def correct(rule: tuple[int, int]) -> float:
        told = np.where(training.is_real, rule[0], rule[1])
        return float(np.mean([(told == k)[training.labels == k].mean() for k in range(2)]))

    assert result is not None
    assert result.values["origin-label"] == pytest.approx(max(correct((a, b)) for a in range(2) for b in range(2)))
    assert result.values["origin-label-floor"] == 0.5
    if counts[0] * (train.labels == 1).sum() == counts[1] * (train.labels == 0).sum():
        assert result.values["origin-label"] == pytest.approx(0.5)


def test_scores_by_class_carry_the_name_of_the_class_and_a_floor() -> None:
    train, held_out = toy_samples(60, size=8), toy_samples(40, size=8, seed=1)
    training = made_of(train, (20, 20))
    scores: list[Any] = [TrainedOnMade(), TriedOnMade(), DomainInceptionScore(), KIDByClass()]

    result = score_synthetic(training, held_out, extractor=Pixels(), scores=scores, seed=0)

    assert result is not None
    values = result.values
    for name in ("tstr", "trts"):
        own = [values[f"{name}:{k}"] for k in train.classes]
        assert values[name] == pytest.approx(np.mean(own))
        assert all(f"{name}:{k}-floor" in values for k in train.classes)
    assert values["kid-by-class"] > values["kid-by-class-spread"] > 0
    assert 1 <= values["is-domain"] <= 2


# -- copies of pictures -------------------------------------------------------------------------------------------


def pictures(seed: int, n: int, size: int = 40) -> np.ndarray:
    """Pictures of a few blobs each, ``uint8 (n, 1, size, size)``."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    found = np.full((n, size, size), 60.0)
    for i in range(n):
        for _ in range(8):
            cy, cx, wide = *rng.uniform(0, size, 2), rng.uniform(2, 6)
            found[i] += rng.uniform(-120, 150) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * wide**2))
    return found.clip(0, 255).astype(np.uint8)[:, None]


def changed(x: np.ndarray, how: str) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    f, rng = x.astype(float), np.random.default_rng(9)
    made = {
        "copy": f,
        "noise": f + rng.normal(0, 10, f.shape),
        "blur": gaussian_filter(f, (0, 0, 1, 1)),
        "mirror": f[..., ::-1],
        "turn": np.rot90(f, axes=(2, 3)),
        "contrast": 80 + 0.7 * (f - 80),
        "shift": np.roll(f, 3, axis=2),
    }[how]
    return np.clip(np.round(made), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("how", ["copy", "noise", "blur", "mirror", "turn", "contrast", "shift"])
def test_a_memoriser_is_caught_whatever_it_does_to_its_copies(how: str) -> None:
    train, held_out = pictures(0, 60), pictures(1, 60)

    assert CopiesPixels().score(train, held_out, changed(train, how)) >= 0.95


def test_a_picture_that_nobody_copied_is_not_called_a_copy() -> None:
    shares = [CopiesPixels().score(*(pictures(3 * s + i, 50) for i in range(3))) for s in range(4)]

    assert np.mean(shares) <= 0.01


def test_the_training_picture_that_was_copied_is_named() -> None:
    train = pictures(0, 40)

    likeness, which = find_most_alike(changed(train, "noise"), train)

    assert which.tolist() == list(range(40))
    assert likeness.min() > 0.9
    assert find_most_alike(train, train)[0] == pytest.approx(np.ones(40), abs=1e-5)


def test_pictures_without_contrast_and_volumes_have_a_likeness() -> None:
    flat = np.full((5, 1, 20, 20), 7, dtype=np.uint8)
    volumes = np.random.default_rng(0).integers(0, 256, (6, 1, 12, 12, 12), dtype=np.uint8)

    assert find_most_alike(flat, pictures(0, 9, 20))[0].tolist() == [0] * 5
    assert find_most_alike(volumes, volumes)[1].tolist() == list(range(6))


def test_the_worst_pairs_are_left_as_a_picture(tmp_path: Path) -> None:
    from PIL import Image

    train = pictures(0, 30)

    CopiesPixels().show(tmp_path, train, pictures(1, 30), train[:12])

    shown = np.asarray(Image.open(tmp_path / "copies.png"))
    side = 40 * 3  # enlarged without smoothing, with gaps of 4 pixels
    assert shown.shape[0] == 2 * side + 3 * 4
    assert shown[4 : 4 + side].min() < 100
    assert np.array_equal(shown[4 : 4 + side], shown[8 + side : 8 + 2 * side])  # copies: above as below


# -- the mark for poor generators ---------------------------------------------------------------------------------


def test_a_generator_is_poor_by_distance_or_by_coverage_and_not_by_a_floor_about_nought() -> None:
    good = {"kid-by-class": 0.5, "kid-by-class-spread": 0.1, "kid-by-class-floor": -0.001, "coverage": 0.8}

    assert why_poor(good | {"coverage-floor": 0.9}) == ""
    assert why_poor(good | {"kid-by-class": 0.1 * (POOR + 1)}) == (
        "their KID is 7 times what real images of other patients reach"
    )
    assert why_poor(good | {"coverage-floor": 0.9, "coverage": 0.44}) == (
        "they cover 44 % of the real ones, as many real images 90 %"
    )
    assert why_poor(good | {"recall": 0.36, "recall-floor": 0.94}) == (
        "36 % of the real ones are like them, 94 % are like as many real images"
    )
    assert why_poor(good | {"origin": 0.946}) == "they can be told from real ones (AUROC 0.95)"
    taught = {"tstr": 0.51, "tstr-floor": 0.7, "tstr:benign": 0.9, "tstr:malignant": 0.12, "tstr:benign-floor": 0.7}
    assert why_poor(good | taught) == "a classifier trained on them knows 51 % of real ones, chance is 50 %"
    assert why_poor(good | taught | {"tstr-floor": 0.55}) == ""  # real images teach nothing either
    assert why_poor({}) == ""


def test_copies_are_counted_over_the_cells_that_know() -> None:
    assert count_copies([({"copies-pixels": 0.02}, 150), ({"copies-pixels": None}, 99), ({}, 99)]) == (3, 150, 0)
    assert copies([Copied("acgan", 0, 2910), Copied("none", 0, 0)]) == (
        "Generated images that are copies of training images: acgan 0 of 2,910 (1 in 100 by chance)."
    )
    assert copies([Copied("none", 0, 0)]) == ""
    assert "acgan 0 of 79 (at least 0 % by their nearness)" in copies([Copied("acgan", 0, 79, 0.0)])
    assert copies([Copied("acgan", 0, 0, 0.59, untold=2910), Copied("wgan", 3, 90)]) == (
        "Generated images that are copies of training images: acgan cannot tell (at least 59 % by their nearness), "
        "wgan 3 of 90 (1 in 100 by chance). Cannot tell: held-out images are themselves nearly training images, twins."
    )


def test_a_fold_whose_held_out_images_are_twins_is_counted_neither_as_copies_nor_as_none() -> None:
    twins = {"copies-pixels": 0.0, "copies-limit": TWINS + 0.01}
    assert count_copies([(twins, 150), ({"copies-pixels": 0.02, "copies-limit": 0.9}, 100)]) == (2, 100, 150)
    assert "acgan 2 of 100, cannot tell of 150 others (1 in 100 by chance)." in copies(
        [Copied("acgan", 2, 100, untold=150)]
    )
    assert "by chance" not in copies([Copied("acgan", 0, 0, untold=150)])


def test_a_limit_of_copies_above_which_none_can_be_told_is_that_of_held_out_twins() -> None:
    train, others = pictures(0, 40), pictures(1, 40)

    assert CopiesLimit().score(train, others, others) == copy_limit(others, train) < TWINS
    assert CopiesLimit().score(train, train[:30], others) > TWINS
    assert math.isnan(CopiesLimit().score(train, others[:0], others))


@pytest.mark.parametrize(("copied", "twins"), [(0.0, 0.1), (0.5, 0.0), (0.9, 0.1)])
def test_a_bound_on_copies_is_a_lower_one_and_finds_what_a_limit_misses(copied: float, twins: float) -> None:
    """Copies stand at a likeness of .99, and so do held-out twins, for which the limit of copies is above it."""
    rng, above = np.random.default_rng(0), []
    for _ in range(200):
        honest = np.where(rng.random(150) < twins, 0.99, rng.beta(5, 3, 150))
        made = np.where(rng.random(200) < copied + (1 - copied) * twins, 0.99, rng.beta(5, 3, 200))
        above.append(least_share(made, honest))

    assert np.mean(np.array(above) > copied) <= 0.05
    assert np.mean(above) > copied - 0.3


def test_blurred_images_are_poor_and_real_ones_are_not() -> None:
    train, held_out, others = (toy_samples(120, size=16, seed=seed) for seed in range(3))
    blurred = Blur(size=4).fit(train, None).sample(train.labels, 0)  # type: ignore[arg-type]

    def scored(x: np.ndarray, labels: np.ndarray) -> str:
        training = train.with_synthetic(x, labels, maker="test")
        scores = [KIDByClass(), Coverage()]
        result = score_synthetic(training, held_out, extractor=RandomConvolutions(), scores=scores, seed=0)
        assert result is not None
        return why_poor(result.values)

    assert scored(others.x, others.labels) == ""
    assert scored(blurred, train.labels) != ""


# -- which extractor ----------------------------------------------------------------------------------------------

TRIAL = Trial("toy", "patients", 0, 0, 2, 0, 0, "arm", "mean", medbench.Budget(steps=5, batch=8, generator_steps=5))


@dataclasses.dataclass(frozen=True)
class Mean:
    name: str = "mean"
    takes: ClassVar[frozenset[str]] = frozenset({"2d", "samples", "sampling"})

    def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
        return lambda x: np.full((len(x), 2), 0.5)


def run(folder: Path, augmenter: Any, extractor: Any, scores: Any) -> Any:
    folder.mkdir()
    context = TrialContext(TRIAL, device="cpu", folder=folder)
    samples = toy_samples(160, size=16)
    recipes = Recipes(augmenter, Mean(), EvaluationProtocol())
    return run_trial(TRIAL, recipes, samples, context, Measures(scores=scores, extractor=extractor))


def test_an_arm_without_real_images_is_scored_against_those_its_generator_saw(tmp_path: Path) -> None:
    result = run(tmp_path / "a", SyntheticOnly(generator=Resample()), RandomConvolutions(), [CopiesPixels()])

    assert result.counts["real"] == 0
    assert result.scores["copies-pixels"] == 1
    assert (tmp_path / "a" / "copies.png").is_file()


def test_the_own_classifier_is_trained_within_the_fold_and_gives_an_inception_score(tmp_path: Path) -> None:
    arm = Generative("copies", generator=Resample())

    result = run(tmp_path / "a", arm, OwnClassifier(), [InceptionScore(), KIDByClass()])

    assert result.scored["extractor"] == "own-classifier"
    assert result.scored["scope"] == "fold"
    assert 1 <= result.scores["inception-score"] <= 2
    with pytest.raises(medbench.Skip, match="within a fold"):
        OwnClassifier().features(toy_samples(4, size=8).x)


def test_a_trial_without_an_extractor_of_its_own_is_written_as_before() -> None:
    named = dataclasses.replace(TRIAL, extractor="own-classifier")

    assert "extractor" not in TRIAL.to_json()
    assert Trial.from_json(named.to_json()) == named
    assert Trial.from_json(TRIAL.to_json()) == TRIAL


def plan_of(extractor: str) -> dict[str, tuple[str, str, int]]:
    """Return id, extractor and number of stages of the first trial of each arm."""
    from medbench.data.describe import DatasetDescription
    from medbench.planning.trial_matrix import expand

    samples = toy_samples(120, size=16)
    source = DatasetDescription("toy", "d", None, samples, 2, (), "patient", "nothing")
    values = {"datasets": ["toy"], "augmenters": ["acgan"], "classifiers": ["small-cnn"], "folds": 2, "repeats": 1}
    study = build({**values, "extractor": extractor, "yardsticks": False})
    plan = expand(study, plugins.load(installed=False), [source])
    found: dict[str, tuple[str, str, int]] = {}
    for trial in plan.trials:
        found.setdefault(trial.augmenter, (trial.id, trial.extractor, len(plan.stages_of[trial.id])))
    return found


def test_an_extractor_that_is_trained_is_another_trial_only_with_synthetic_rows() -> None:
    usual, default, own = plan_of(""), plan_of("random-convolutions"), plan_of("own-classifier")

    assert usual == default
    assert {name for name in usual if usual[name][0] != own[name][0]} == {"acgan", "reacgan", "copies"}
    assert own["acgan"][1] == "own-classifier"
    assert own["acgan"][2] == usual["acgan"][2] + 1  # the trained network, planned and shared
    with pytest.raises(medbench.UsageError, match="no extractor is named"):
        plan_of("random-convolution")


def test_another_fixed_extractor_is_no_other_trial() -> None:
    usual, wide = plan_of(""), plan_of("random-convolutions[widths=8+8]")

    assert wide["acgan"][1] == "random-convolutions[widths=8+8]"
    assert [wide[name][0] for name in usual] == [usual[name][0] for name in usual]


def test_a_study_keeps_its_extractor() -> None:
    study = build({"datasets": ["toy"], "augmenters": ["acgan"], "classifiers": [], "extractor": "own-classifier"})

    assert 'extractor = "own-classifier"' in to_toml(study)


def test_the_own_classifier_keeps_the_contract_once_it_is_trained(tmp_path: Path) -> None:
    from medbench.testing import check_extractor

    check_extractor(OwnClassifier(), tmp_path)
