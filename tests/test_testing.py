"""medbench.testing: every check lets the built-ins pass and catches who breaks the contract."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import medbench
from medbench.registry.plugins import load
from medbench.testing import CHECKS, SandboxContext, check_recipe_is_unchanged, toy_samples

CATALOGUE = load(installed=False)
HEAVY = {
    "augmenter": (),
    "generator": (),
    "classifier": ("vgg16", "inception-v3", "timm", "densenet121-3d", "resnet10-3d", "resnet18-3d", "monai"),
    "dataset": (
        *("vindr-spinexr:case-2", "vindr-spinexr:case-3", "vindr-spinexr:lesions", "brain-tumour:slices"),
        "mura:part",
    ),
    "metric": (),
    "score": (),
    "extractor": (),
    "executor": ("local",),
    "study": (),
}
DIFFUSION = "diffusion[width=4,timesteps=20,sampling_steps=4]"
SELECTED = "selected[classifier=small-cnn[width=4],generator=acgan[width=4]]"
REFINED = "refined-acgan[width=4,hidden=32,rank=4,steps=5]"
LIGHT = {  # the same recipes with smaller networks, where the full ones take minutes on a CPU
    ("generator", "diffusion"): DIFFUSION,
    ("augmenter", "diffusion"): f"diffusion[generator={DIFFUSION}]",
    ("generator", "map-acgan"): "map-acgan[width=4]",
    ("generator", "feature-acgan"): f"feature-acgan[refined={REFINED}]",
    ("generator", "refined-acgan"): REFINED,
    ("generator", "clswgan"): "clswgan[hidden=32]",
    ("generator", "selected"): SELECTED,
    ("augmenter", "acgan-selected"): f"acgan-selected[generator={SELECTED}]",
}
BUILT_IN = [
    pytest.param(kind, name, marks=[pytest.mark.slow] if name in HEAVY[kind] else [])
    for kind in CHECKS
    for name in CATALOGUE.names(kind)
    if (kind, name) not in (("dataset", "medmnist"), ("dataset", "folder"), ("dataset", "source-folder"))
    and name not in ("timm-features", "inception")  # of files; tests/plugins/test_extractors.py has some
    and name not in ("unet-features", "pretrained-on")  # they want masks and a source: test_unet.py, test_transfer.py
]


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_every_built_in_keeps_the_contract_of_its_kind(kind: str, name: str, tmp_path: Path) -> None:
    light = LIGHT.get((kind, name))
    CHECKS[kind](CATALOGUE.resolve(kind, light) if light else CATALOGUE.registered(kind, name), tmp_path)


@pytest.mark.parametrize("name", ["folder", "medmnist"])
def test_a_data_set_without_a_phantom_is_no_failure(name: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.Skip, match="no phantom"):
        CHECKS["dataset"](CATALOGUE.registered("dataset", name), tmp_path)


@dataclass(frozen=True)
class Augmenter:
    """Honest unless told otherwise: `fit` is what the cheat does."""

    cheat: Callable[[Any, medbench.Samples, medbench.Context], Any]
    name: str = "cheat"
    gives: frozenset[str] = frozenset({"samples"})
    seen: list[int] = field(default_factory=list)
    space: ClassVar[str] = "pixels"
    control: ClassVar[None] = None

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
        return self.cheat(self, train, context)


def made(train: medbench.Samples, x: np.ndarray | None = None) -> medbench.TrainingSet:
    return medbench.TrainingSet(train.with_synthetic(train.x.copy() if x is None else x, train.labels, maker="cheat"))


def changes_its_input(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    train.x[0] = 0
    return made(train)


def changes_its_labels(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    train.labels[:] = 0
    return made(train)


def keeps_state_in_a_field(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    recipe.seen.append(len(train))
    return made(train)


def keeps_state_beside_its_fields(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    object.__setattr__(recipe, "train", train)
    return made(train)


def draws_from_numpy(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return made(train, np.random.permutation(train.x))  # noqa: NPY002  that is the cheat


def seeds_random(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    random.seed(0)
    return made(train)


def seeds_torch(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    import torch

    torch.manual_seed(int(torch.randint(9, (1,))))
    return made(train)


def draws_afresh(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return made(train, np.random.default_rng(int.from_bytes(os.urandom(8))).permutation(train.x))


def samples_afresh(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    p = np.random.default_rng(int.from_bytes(os.urandom(8))).dirichlet(np.ones(len(train)))
    return medbench.TrainingSet(train, sampling=p)


def returns_floats(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return medbench.TrainingSet(replace(train, x=train.x.astype(np.float32)))


def returns_an_array(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return train.x


def returns_strangers(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return medbench.TrainingSet(replace(train, ids=np.array([f"stranger{i}" for i in range(len(train))])))


def calls_made_rows_real(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return medbench.TrainingSet(replace(train, x=255 - train.x))


def names_no_source_it_had(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    samples = made(train).samples
    return medbench.TrainingSet(replace(samples, sources=tuple(s and ("elsewhere",) for s in samples.sources)))


def gives_undeclared_sampling(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    return replace(made(train), sampling=np.full(2 * len(train), 0.5 / len(train)))


def asks_to_skip(recipe: Any, train: medbench.Samples, context: Any) -> Any:
    raise medbench.Skip("never mind")


@pytest.mark.parametrize(
    ("cheat", "error", "says"),
    [
        (changes_its_input, medbench.ContractError, "changed the x of the samples it was given"),
        (changes_its_labels, medbench.ContractError, "changed the labels of the samples"),
        (keeps_state_in_a_field, medbench.ContractError, "fit changed the recipe"),
        (keeps_state_beside_its_fields, medbench.ContractError, "fit changed the recipe"),
        (draws_from_numpy, medbench.ContractError, "global generator of numpy"),
        (seeds_random, medbench.ContractError, "global generator of random"),
        (seeds_torch, medbench.ContractError, "global generator of torch"),
        (draws_afresh, medbench.ContractError, "two fits of one seed differ"),
        (returns_floats, medbench.ContractError, "returned float32"),
        (returns_an_array, medbench.ContractError, "return a TrainingSet"),
        (returns_strangers, medbench.LeakError, "not of its training part"),
        (calls_made_rows_real, medbench.LeakError, "changed a real row"),
        (names_no_source_it_had, medbench.LeakError, "outside its training part"),
        (gives_undeclared_sampling, medbench.ContractError, "returned sampling, which its gives does not name"),
        (asks_to_skip, medbench.ContractError, "nothing could be checked"),
    ],
)
def test_an_augmenter_that_cheats_is_caught(cheat: Any, error: type[Exception], says: str, tmp_path: Path) -> None:
    import torch

    torch.manual_seed(20)  # loads torch, since a generator that fit is the first to load is not looked at
    with pytest.raises(error, match=says):
        CHECKS["augmenter"](Augmenter(cheat), tmp_path)


def test_an_honest_augmenter_passes(tmp_path: Path) -> None:
    CHECKS["augmenter"](Augmenter(lambda recipe, train, context: made(train)), tmp_path)


def test_sampling_of_its_own_mood_and_an_unknown_ingredient_are_caught(tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match="two fits of one seed differ"):
        CHECKS["augmenter"](Augmenter(samples_afresh, gives=frozenset({"sampling"})), tmp_path)
    with pytest.raises(medbench.ContractError, match="gives names 'luck'"):
        CHECKS["augmenter"](Augmenter(samples_afresh, gives=frozenset({"luck"})), tmp_path)


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (lambda x, y, g: (x.double(), y), "gave x torch.float64"),
        (lambda x, y, g: (x[:, :, 1:], y), "gave x torch.float32"),
        (lambda x, y, g: (x / 0, y), "not finite"),
        (lambda x, y, g: (x, 2 * y), "do not sum to 1"),
        (lambda x, y, g: (x + os.urandom(1)[0] + os.urandom(1)[0] / 256, y), "two transforms with one generator"),
    ],
)
def test_a_transform_that_cheats_is_caught(transform: Any, says: str, tmp_path: Path) -> None:
    augmenter = Augmenter(
        lambda recipe, train, context: medbench.TrainingSet(train, transform=transform), gives=frozenset({"transform"})
    )

    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["augmenter"](augmenter, tmp_path)


@dataclass(frozen=True)
class Generator:
    """Honest unless told otherwise: `draw` makes the rows."""

    draw: Callable[[medbench.Samples, np.ndarray, int], np.ndarray]
    keeps: bool = True
    restless: bool = False
    name: str = "cheat"
    stored: bool = True

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
        return Fitted(self, train, os.urandom(1)[0] if self.restless else 0)

    def restore(self, state: medbench.State, train: medbench.Samples) -> Any:
        return Fitted(self, train, int(state["shift"][0]) + (not self.keeps))


@dataclass(frozen=True)
class Fitted:
    recipe: Generator
    train: medbench.Samples
    shift: int

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        return self.recipe.draw(self.train, labels, seed) + np.uint8(self.shift)

    def state(self) -> medbench.State:
        return {"shift": np.array([self.shift])}


def rows(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    return train.x[np.random.default_rng(seed).integers(len(train), size=len(labels))] // 2


def flat_only(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    return rows(train, labels, seed).reshape(len(labels), 1, 16, train.x[0].size // 16)


def whole_images(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    train.x[0] = 0
    return rows(train, labels, seed)


def moody(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    return rows(train, labels, int.from_bytes(os.urandom(8)))


def global_numpy(train: medbench.Samples, labels: np.ndarray, seed: int) -> np.ndarray:
    np.random.seed(seed)  # noqa: NPY002  that is the cheat
    return rows(train, labels, seed)


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (Generator(lambda train, labels, seed: rows(train, labels, seed).astype(np.float32)), "sample gave float32"),
        (Generator(lambda train, labels, seed: rows(train, np.zeros(3), seed)), r"sample gave uint8 \(3, 1, 16, 16\)"),
        (Generator(lambda train, labels, seed: rows(train, np.zeros(5), seed)), "for 0 labels"),
        (Generator(flat_only), r"sample gave uint8 \(5, 1, 16, 256\)"),
        (Generator(moody), "different rows for one seed"),
        (Generator(global_numpy), "global generator of numpy"),
        (Generator(whole_images), "changed the x of the samples"),
        (Generator(rows, keeps=False), "what restore builds"),
    ],
)
def test_a_generator_that_cheats_is_caught(generator: Generator, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["generator"](generator, tmp_path)


def test_a_generator_whose_fits_differ_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = iter(range(1, 9))
    monkeypatch.setattr(os, "urandom", lambda n: bytes([next(fits)]))

    with pytest.raises(medbench.ContractError, match="two fits of one seed differ"):
        CHECKS["generator"](Generator(rows, restless=True), tmp_path)


def test_an_honest_generator_passes(tmp_path: Path) -> None:
    CHECKS["generator"](Generator(rows), tmp_path)


@dataclass(frozen=True)
class Classifier:
    """Honest unless told otherwise: `predict` gives one score an image."""

    predict: Callable[[np.ndarray], np.ndarray]
    harm: Callable[[medbench.TrainingSet], Any] = len
    takes: frozenset[str] = frozenset({"2d", "samples"})
    name: str = "cheat"

    def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
        self.harm(training_set.samples)

        def predict(x: np.ndarray) -> np.ndarray:
            p = np.asarray(self.predict(x))
            return np.stack([p, 1 - p], axis=1)

        return predict


def mean(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.reshape(len(x), -1).mean(1) / 255)


def one_less(x: np.ndarray) -> np.ndarray:
    return mean(x)[1:]


def darkens(x: np.ndarray) -> np.ndarray:
    p = mean(x)
    x[:] = 0
    return p


def ranks(x: np.ndarray) -> np.ndarray:
    return np.asarray(mean(x).argsort().argsort() / len(x))


def guesses(x: np.ndarray) -> np.ndarray:
    return np.random.default_rng(int.from_bytes(os.urandom(8))).random(len(x))


def relabels(samples: medbench.Samples) -> None:
    samples.labels[:] = 0


@pytest.mark.parametrize(
    ("classifier", "says"),
    [
        (Classifier(one_less), "probabilities of shape"),
        (Classifier(lambda x: 2 + mean(x)), "negative or not finite"),
        (Classifier(darkens), "changed the x of the samples"),
        (Classifier(ranks), "depends on the other images"),
        (Classifier(guesses), "two fits of one seed differ"),
        (Classifier(mean, harm=relabels), "changed the labels of the samples"),
        (Classifier(mean, takes=frozenset({"samples"})), "neither 2d nor 3d"),
        (Classifier(mean, takes=frozenset({"2d", "loss"})), "predicts without its inverse_link"),
    ],
)
def test_a_classifier_that_cheats_is_caught(classifier: Classifier, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["classifier"](classifier, tmp_path)


def test_an_honest_classifier_passes(tmp_path: Path) -> None:
    CHECKS["classifier"](Classifier(mean), tmp_path)


@dataclass(frozen=True)
class Dataset:
    """Honest unless told otherwise: `change` meets every picture that is read."""

    change: Callable[[np.ndarray, int], Any] = lambda image, row: image
    drops: int = 0
    mask_size: int = 16
    name: str = "cheat"
    size: int = 16
    card: ClassVar[medbench.Card] = medbench.Card("Cheat", "CC0", "none", "none", "nothing")

    def index(self, root: Path) -> medbench.Index:
        records = tuple(
            medbench.Record(f"i{i}", ("all.npy",), i % 2, f"p{i}") for i in range(len(np.load(root / "all.npy")))
        )
        return medbench.Index(records, ("no", "yes"), 1, 2)

    def read(self, root: Path, records: Any, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        x = np.load(root / "all.npy")
        for row, record in enumerate(records[: len(records) - self.drops]):
            mask = np.zeros((self.mask_size, self.mask_size), dtype=np.uint8)
            yield self.change(x[int(record.id[1:])], row), mask

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        x = np.random.default_rng(seed).integers(0, 200, (patients, 1, 16, 16), dtype=np.uint8)
        np.save(root / "all.npy", x)


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        (Dataset(lambda image, row: image / 255), "was read as float64"),
        (Dataset(lambda image, row: image[0]), r"was read as uint8 \(16, 16\)"),
        (Dataset(lambda image, row: image + np.uint8(row)), "read otherwise alone"),
        (Dataset(drops=1), "2 images for 3 records"),
        (Dataset(mask_size=8), r"the mask of i0 is \(8, 8\)"),
    ],
)
def test_a_data_set_that_cheats_is_caught(dataset: Dataset, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["dataset"](dataset, tmp_path)


def test_an_honest_data_set_passes(tmp_path: Path) -> None:
    CHECKS["dataset"](Dataset(), tmp_path)


def error_rate(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(1) != labels).mean())


def two_classes_only(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float("nan") if probabilities.shape[1] > 2 else 1 - error_rate(labels, probabilities)


def per_class(labels: np.ndarray, probabilities: np.ndarray) -> Any:
    return probabilities.mean(0)


def sorts(labels: np.ndarray, probabilities: np.ndarray) -> float:
    accuracy = 1 - error_rate(labels, probabilities)
    probabilities.sort(0)
    return accuracy


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (error_rate, "higher is better"),
        (two_classes_only, "it gave nan for 3 classes"),
        (per_class, "expected a finite float"),
        (sorts, "changed the labels or probabilities"),
    ],
)
def test_a_metric_that_cheats_is_caught(metric: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["metric"](metric, tmp_path)


def test_toy_samples_repeat_and_hold_what_is_asked() -> None:
    samples = toy_samples(12, classes=3, channels=2, size=8, dimensions=3)

    assert samples.x.shape == (12, 2, 8, 8, 8)
    assert samples.x.dtype == np.uint8
    assert samples.class_counts.tolist() == [4, 4, 4]
    assert np.array_equal(samples.x, toy_samples(12, classes=3, channels=2, size=8, dimensions=3).x)


def test_a_sandbox_restores_what_it_fits_and_derives_seeds(context: SandboxContext) -> None:
    train = toy_samples(12)

    assert context.fit(Generator(rows, keeps=False), train).shift == 1
    assert context.seed("a") == context.seed("a") != context.seed("b")
    assert check_recipe_is_unchanged(Generator(rows), lambda: 3) == 3
