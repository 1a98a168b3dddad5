"""What a plugin author needs to test a recipe: toy samples, a context, and contract checks."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medbench.errors import ContractError, Skip, UsageError
from medbench.interfaces import Budget, Dataset, Fitted, Stage, TrainingSet, Transform, source_of
from medbench.samples import Samples

if TYPE_CHECKING:
    import torch

INGREDIENTS = {"samples", "transform", "sampling", "loss", "bags"}
FAR = 10.0
"""Pixels are in [-1, 1]; a transform that standardises them stays below this, one that mistakes their unit does not."""


@dataclass(frozen=True)
class Extent:
    """How far a check goes.

    Attributes:
        dimensions: Spatial axes to try.
        channels: Of the toy samples.
        classes: Of the toy samples.
        budget: What a fit may spend.
        strict: Also refuse the global random generators and what cannot be tried at all. A trial seeds the global
            generators before it begins, so that drawing from them repeats there.
    """

    dimensions: tuple[Literal[2, 3], ...] = (2, 3)
    channels: int = 1
    classes: int = 2
    budget: Budget = field(default_factory=lambda: Budget(steps=40, batch=16, generator_steps=40))
    strict: bool = True

    def samples(self, dimensions: int, *, seed: int = 0, n: int = 24) -> Samples:
        """Draw toy samples."""
        n = max(n, 4 * self.classes)
        return toy_samples(n, classes=self.classes, channels=self.channels, dimensions=dimensions, seed=seed)

    def context(self, folder: Path, dimensions: int) -> SandboxContext:
        """Return a context in which every other data set is made of toy samples too."""
        others: dict[str, Samples] = defaultdict(lambda: self.samples(dimensions, seed=2))
        return SandboxContext(folder, self.budget, sources=others)

    def nothing_tried(self, name: str) -> Exception:
        """Return what to raise where a recipe skipped everything."""
        said = f"{name}: skipped all toy samples in {' and '.join(f'{d}-D' for d in self.dimensions)}"
        return (ContractError if self.strict else Skip)(f"{said}, so nothing could be checked.")


WHOLE = Extent()


def quick(*, dimensions: Literal[2, 3], channels: int, classes: int) -> Extent:
    """Return the extent of the check before a recipe's first trial: samples like the data, a few steps."""
    return Extent((dimensions,), channels, classes, Budget(steps=3, batch=8, generator_steps=3), strict=False)


def toy_samples(
    n: int = 60,
    *,
    classes: int = 2,
    channels: int = 1,
    size: int = 16,
    dimensions: int = 2,
    seed: int = 0,
    images_per_patient: int = 2,
) -> Samples:
    """Draw noise images in which class k has a bright block at a place of its own: learnable in a few steps.

    Returns:
        ``uint8 (n, channels, *[size] * dimensions)``; classes take turns from patient to patient.
    """
    rng = np.random.default_rng(seed)
    patients = np.arange(n) // images_per_patient
    labels = (patients % classes).astype(np.int64)
    x = rng.normal(90, 25, (n, channels, *[size] * dimensions))
    width = max(2, size // 4)
    for row, label in enumerate(labels):
        start = (label * width) % (size - width + 1)
        block = tuple([slice(start, start + width)] * dimensions)
        x[row, :][(slice(None), *block)] += 90
    names = np.array([f"p{p}" for p in patients], dtype=np.str_)
    return Samples(
        x=x.clip(0, 255).astype(np.uint8),
        labels=labels,
        ids=np.array([f"toy/{i}" for i in range(n)], dtype=np.str_),
        patients=names,
        groups=names,
        sources=((),) * n,
        classes=tuple(f"class {k}" for k in range(classes)),
        made_of=hashlib.sha256(x.tobytes()).hexdigest(),
    )


@dataclass
class SandboxContext:
    """A context without a store: fits every stage where it is asked for, and keeps what was reported.

    Attributes:
        reports: ``(step, total, values)`` of every call of ``progress``.
        sources: Samples of other data sets, by name.
    """

    folder: Path
    budget: Budget = field(default_factory=lambda: Budget(steps=40, batch=16, generator_steps=40))
    device: str = "cpu"
    base: int = 0
    selects: bool = False
    reports: list[tuple[int, int, dict[str, float]]] = field(default_factory=list)
    sources: dict[str, Samples] = field(default_factory=dict)

    def seed(self, *purpose: str | int) -> int:
        """Derive a seed in [0, 2**63)."""
        text = "|".join(map(str, (self.base, *purpose)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def fit(self, stage: Stage[Fitted], train: Samples) -> Fitted:
        """Fit `stage`, send its state through ``restore`` as the store would, and return that."""
        dataset = source_of(stage)
        train = train if dataset is None else self.source(dataset)
        fitted: Any = stage.fit(train, self)
        state = {name: np.array(array) for name, array in fitted.state().items()}
        return stage.restore(state, train)

    def source(self, dataset: Dataset) -> Samples:
        """Return what `sources` holds under the data set's name."""
        return self.sources[dataset.name]

    def progress(self, step: int, total: int, **values: float) -> None:
        """Keep the report."""
        self.reports.append((step, total, values))


def check_recipe_is_unchanged(recipe: Any, call: Callable[..., Any], extent: Extent = WHOLE) -> Any:
    """Run `call()`, and raise :class:`medbench.ContractError` if it changed `recipe` or a global random generator."""
    if not extent.strict:
        _seed_global_generators()
    before, drawn = _written(recipe), _global_generators() if extent.strict else {}
    result = call()
    if _written(recipe) != before:
        raise ContractError(f"{recipe.name}: fit changed the recipe; keep what is fitted in what fit returns.")
    after = _global_generators() if drawn else {}
    if touched := [library for library, state in drawn.items() if after[library] != state]:
        raise ContractError(
            f"{recipe.name}: fit used the global generator of {touched[0]}; make one of its own from context.seed()."
        )
    return result


def check_augmenter(augmenter: Any, folder: Path, extent: Extent = WHOLE) -> None:
    """Check that an augmenter keeps its contract on toy samples, in 2-D and 3-D as it can.

    It leaves its input as it is, returns what its interface and its ``gives`` say, makes rows from training rows only,
    and gives the same under the same seed; its transform keeps shape and dtype.

    Raises:
        ContractError: With one sentence on what is wrong.
        LeakError: If it returns rows it cannot have made from its training samples.
    """
    from medbench.protocols import contracts

    name, tried = augmenter.name, 0
    if unknown := set(augmenter.gives) - INGREDIENTS:
        raise ContractError(f"{name}: gives names {sorted(unknown)[0]!r}; it is a subset of {sorted(INGREDIENTS)}.")
    for dimensions in extent.dimensions:
        train = extent.samples(dimensions)
        if augmenter.space == "features":  # one number a row of pixels; there is nothing two- or three-dimensional
            train = replace(train, x=train.x.reshape(len(train), 16, -1).mean(2).astype(np.float32))
        before = _copy(train)
        sandboxes = [extent.context(_fresh(folder, f"{dimensions}d-{n}"), dimensions) for n in ("one", "other")]
        try:
            made, again = (_fit_leaves_input(augmenter, c, train, before, extent) for c in sandboxes)
        except Skip:
            continue
        tried += 1
        _check_input(name, train, before)
        contracts.checked(made, train, augmenter=name, gives=frozenset(augmenter.gives))
        for one, other in ((made.samples.x, again.samples.x), (made.samples.labels, again.samples.labels),
                           (made.sampling, again.sampling), (_joined(made.bags), _joined(again.bags))):  # fmt: skip
            if not np.array_equal(one, other):
                raise ContractError(f"{name}: two fits of one seed differ; draw only from context.seed().")
        if train.x.dtype.kind == "f" and np.abs(made.samples.x).max() > 100 * np.abs(train.x).max():
            raise ContractError(f"{name}: it made features a hundred times as large as those it was given.")
        if made.transform is not None:
            _check_transform(name, made.transform, train)
    if not tried:
        raise extent.nothing_tried(name)


def check_generator(generator: Any, folder: Path, extent: Extent = WHOLE) -> None:
    """Check that a generator keeps its contract on toy samples, in 2-D and 3-D as it can.

    It leaves its input as it is, samples one row a label like the training rows, samples the same under the same seed,
    after another fit and after its state was stored and restored.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    name, tried = generator.name, 0
    wanted = np.array([0, 1, 1, 0, 1])
    for dimensions in extent.dimensions:
        train = extent.samples(dimensions)
        before = _copy(train)
        sandboxes = [extent.context(_fresh(folder, f"{dimensions}d-{n}"), dimensions) for n in ("one", "other")]
        try:
            fitted, again = (_fit_leaves_input(generator, c, train, before, extent) for c in sandboxes)
        except Skip:
            continue
        tried += 1
        drawn = check_recipe_is_unchanged(generator, lambda f=fitted: f.sample(wanted, 7), extent)
        for labels, x in ((wanted, drawn), (wanted[:0], fitted.sample(wanted[:0], 7))):
            expected = (len(labels), *train.x.shape[1:])
            if x.dtype != train.x.dtype or x.shape != expected:
                raise ContractError(
                    f"{name}: sample gave {x.dtype} {x.shape} for {len(labels)} labels, "
                    f"expected {train.x.dtype} {expected}."
                )
        if not np.array_equal(drawn, fitted.sample(wanted, 7)):
            raise ContractError(f"{name}: sample gave different rows for one seed.")
        varies = len({row.tobytes() for row in drawn[wanted == 1]}) > 1
        if varies and np.array_equal(drawn, fitted.sample(wanted, 8)):
            raise ContractError(f"{name}: sample gave the same rows for two seeds; draw from the seed it is given.")
        if not np.array_equal(drawn, again.sample(wanted, 7)):
            raise ContractError(f"{name}: two fits of one seed differ; draw only from context.seed().")
        state = {key: np.array(array) for key, array in fitted.state().items()}
        if not np.array_equal(drawn, generator.restore(state, train).sample(wanted, 7)):
            raise ContractError(f"{name}: what restore builds from state() does not sample the same.")
        _check_input(name, train, before)
    if not tried:
        raise extent.nothing_tried(name)


def check_classifier(classifier: Any, folder: Path, extent: Extent = WHOLE) -> None:
    """Check that a classifier keeps its contract on toy samples of the dimensions it takes.

    It leaves its input as it is, predicts probabilities, each image's without regard to the others, and predicts the
    same after another fit of one seed. One that takes a loss predicts by the loss's ``inverse_link``.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    from medbench.protocols import contracts

    name = classifier.name
    dimensions = [d for d in extent.dimensions if f"{d}d" in classifier.takes]
    if not dimensions:
        raise ContractError(f"{name}: takes {sorted(classifier.takes)}, which has neither 2d nor 3d.")
    for d in dimensions:
        train, test = extent.samples(d), extent.samples(d, seed=1, n=12)
        before, test_before = _copy(train), _copy(test)
        budget = Budget(steps=3, batch=8, generator_steps=3)
        outcomes = []
        for fit in ("one", "other"):
            sandbox = replace(extent.context(_fresh(folder, f"{d}d-{fit}"), d), budget=budget)
            predict = check_recipe_is_unchanged(
                classifier, lambda c=sandbox, t=train, v=test: classifier.fit(TrainingSet(t), v, c), extent
            )
            outcomes.append(contracts.probabilities(predict(test.x), test, classifier=name))
            _check_input(name, train, before)
            _check_input(name, test, test_before)
        if not np.array_equal(outcomes[0], outcomes[1]):
            raise ContractError(f"{name}: two fits of one seed differ; draw only from context.seed().")
        first = contracts.probabilities(predict(test.x[:5]), test.take(range(5)), classifier=name)
        if not np.allclose(first, outcomes[1][:5], atol=1e-3):
            raise ContractError(f"{name}: what it predicts for an image depends on the other images of the call.")
    if "loss" in classifier.takes:  # in the last of the dimensions
        swapped = classifier.fit(TrainingSet(train, loss=_Swapped()), test, sandbox)(test.x)
        if not np.allclose(swapped[:, ::-1], outcomes[0], atol=1e-3):
            raise ContractError(
                f"{name}: takes a loss and predicts without its inverse_link; see medbench.TrainingSet."
            )


class _Swapped:
    """Cross-entropy between two classes, under which logits of the one stand for the other."""

    def __call__(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        return functional.cross_entropy(logits, y)

    def inverse_link(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.flip(1).softmax(1)


def check_dataset(dataset: Any, folder: Path) -> None:
    """Check that a data set reads its own phantom back, the same way twice.

    Raises:
        ContractError: With one sentence on what is wrong.
        Skip: If it has no phantom.
    """
    from medbench.data.decode import check_index

    root = _fresh(folder, "phantom")
    try:
        dataset.phantom(root, seed=0, patients=12, null=False)
    except UsageError as error:
        raise Skip(str(error)) from None
    index = check_index(dataset.index(root), dataset.name)
    records = index.records[:3]
    read = list(dataset.read(root, records, 16))
    if len(read) != len(records):
        raise ContractError(f"{dataset.name}: read gave {len(read)} images for {len(records)} records.")
    for (image, mask), record in zip(read, records, strict=True):
        if image.dtype != np.uint8 or image.shape != (index.channels, *[16] * index.dimensions):
            raise ContractError(f"{dataset.name}: {record.id} was read as {image.dtype} {image.shape}.")
        if mask is not None and mask.shape != image.shape[1:]:
            raise ContractError(
                f"{dataset.name}: the mask of {record.id} is {mask.shape}, its image {image.shape[1:]}."
            )
        [(alone, _)] = dataset.read(root, [record], 16)
        if not np.array_equal(alone, image):
            raise ContractError(f"{dataset.name}: {record.id} is read otherwise alone than among others.")
    if [r.id for r in dataset.index(root).records] != [r.id for r in index.records]:
        raise ContractError(f"{dataset.name}: two calls of index list the images in different order.")


def check_metric(metric: Any, folder: Path) -> None:
    """Check that a metric gives a finite number, the larger the better, for two classes and for three.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    name = metric.__name__
    for classes in (2, 3):
        labels = np.arange(30) % classes
        right = np.full((30, classes), 0.1 / (classes - 1))
        right[np.arange(30), labels] = 0.9
        wrong = np.roll(right, 1, axis=1)
        before = labels.copy(), right.copy()
        values = [metric(labels, p) for p in (right, right, wrong)]
        if not all(isinstance(value, float) and np.isfinite(value) for value in values):
            raise ContractError(f"{name}: it gave {values[0]!r} for {classes} classes, expected a finite float.")
        if not np.array_equal(before[0], labels) or not np.array_equal(before[1], right):
            raise ContractError(f"{name}: it changed the labels or probabilities it was given.")
        if values[0] != values[1]:
            raise ContractError(f"{name}: it gave {values[0]} and {values[1]} for the same predictions.")
        if values[0] <= values[2]:
            raise ContractError(
                f"{name}: {values[0]:.3g} where all is right and {values[2]:.3g} where all is wrong; higher is better."
            )


def check_score(score: Any, folder: Path) -> None:
    """Check that a score gives a finite number for plenty of rows, the same twice, and some number for a single row.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    name, rng = score.name, np.random.default_rng(0)
    if (of := getattr(score, "of", "features")) not in ("features", "probabilities", "pixels"):
        raise ContractError(f"{name}: it is of {of!r}; a score is of features, of probabilities or of pixels.")
    train, held_out, made = (rng.dirichlet(np.ones(6), 40) for _ in range(3))
    if of == "pixels":
        train, held_out, made = (toy_samples(40, seed=seed).x for seed in range(3))
    before = [rows.copy() for rows in (train, held_out, made)]
    labels, told = tuple(np.arange(40) % 2 for _ in range(3)), getattr(score, "with_labels", None)

    def value_of() -> Any:
        return score.score(train, held_out, made) if told is None else told(train, held_out, made, labels, 2)[0]

    values = [check_recipe_is_unchanged(score, value_of) for _ in range(2)]
    if not all(isinstance(value, float) and np.isfinite(value) for value in values):
        raise ContractError(f"{name}: it gave {values[0]!r} for 40 rows of each kind, expected a finite float.")
    if values[0] != values[1]:
        raise ContractError(f"{name}: it gave {values[0]} and {values[1]} for the same rows.")
    if not all(np.array_equal(was, now) for was, now in zip(before, (train, held_out, made), strict=True)):
        raise ContractError(f"{name}: it changed the rows it was given.")
    if not isinstance(alone := score.score(train[:1], held_out[:1], made[:1]), float):
        raise ContractError(
            f"{name}: it gave {alone!r} for one row of each kind, expected a float, nan where undefined."
        )


def check_extractor(extractor: Any, folder: Path) -> None:
    """Check that an extractor gives finite features, an image's own whatever others are there, and the same twice.

    Raises:
        ContractError: With one sentence on what is wrong.
        Skip: If it needs a file that its defaults do not name.
    """
    name, tried = extractor.name, 0
    try:
        getattr(extractor, "check", lambda: None)()
    except UsageError as error:
        raise Skip(str(error)) from None
    for dimensions in (2, 3):
        samples = toy_samples(24, dimensions=dimensions)
        x, before = samples.x, samples.x.copy()
        fit = getattr(extractor, "fit", None)
        eyes = extractor if fit is None else fit(samples, SandboxContext(folder))
        for what in (eyes.features, getattr(eyes, "probabilities", None)):
            if what is None:
                continue
            try:
                rows = check_recipe_is_unchanged(extractor, lambda f=what, x=x: f(x))
            except Skip:
                continue
            tried += 1
            if rows.dtype != np.float64 or rows.ndim != 2 or len(rows) != len(x) or not np.isfinite(rows).all():
                raise ContractError(
                    f"{name}: it gave {rows.dtype} {rows.shape} for {len(x)} images, expected finite float64 (n, d)."
                )
            if what != eyes.features and not np.allclose(rows.sum(1), 1, atol=1e-6):
                raise ContractError(f"{name}: its probabilities do not sum to 1.")
            if not np.array_equal(rows, what(x)):
                raise ContractError(f"{name}: it gave different features for the same images.")
            if not np.allclose(rows[3:8], what(x[3:8]), rtol=1e-4, atol=1e-6):
                raise ContractError(f"{name}: the features of an image depend on the other images of the call.")
        if not np.array_equal(before, x):
            raise ContractError(f"{name}: it changed the images it was given.")
    if not tried:
        raise ContractError(f"{name}: skipped both 2-D and 3-D toy samples, so nothing could be checked.")


def check_executor(executor: Any, folder: Path) -> None:
    """Check that an executor runs work in processes of their own, with their device, and says how each ended.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    from concurrent.futures import CancelledError

    name = executor.name
    wanted = {"ends": 7, "sleeps": TimeoutError, "dies": ProcessLookupError}
    jobs = executor.start(workers=1, devices=["cpu"])
    try:
        for what, expected in wanted.items():
            place = _fresh(folder, what)
            limit_s = 2.0 if what == "sleeps" else 300.0
            try:
                ended: Any = jobs.submit(job_for_checks, str(place), 1.0, limit_s).result(600)
            except (TimeoutError, ProcessLookupError, CancelledError) as error:
                ended = type(error)
            if ended != expected:
                says = {TimeoutError: "TimeoutError", ProcessLookupError: "ProcessLookupError"}.get(expected, expected)  # type: ignore[call-overload]
                raise ContractError(f"{name}: a job that {what} ended with {ended}, expected {says}.")
        noted = json.loads((folder / "ends" / "noted.json").read_text())
        if noted["device"] != "cpu" or noted["process"] == os.getpid():
            raise ContractError(f"{name}: a job runs in a process of its own, on the device it is given.")
    finally:
        jobs.close()


def job_for_checks(folder: str, device: str) -> int:
    """End, sleep or die as the folder is called; what an executor is checked with."""
    place = Path(folder)
    (place / "noted.json").write_text(json.dumps({"device": device, "process": os.getpid()}))
    if place.name == "sleeps":
        time.sleep(600)
    if place.name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


def check_study(path: Any, folder: Path) -> None:
    """Check that a study file is one, and that everything it names is registered.

    Raises:
        UsageError: With one sentence on what is wrong.
    """
    from medbench.planning.study import read
    from medbench.protocols.protocol import protocol
    from medbench.registry.plugins import recipe

    study = read(path)
    names = [("dataset", text.removeprefix("phantom:")) for text in study.datasets]
    names += [("augmenter", text) for text in study.augmenters] + [("classifier", text) for text in study.classifiers]
    for kind, text in names:
        if not set("*?") & set(text):
            recipe(kind, text)
    for text in study.protocols:
        protocol(text)


CHECKS: dict[str, Any] = {
    "augmenter": check_augmenter,
    "generator": check_generator,
    "classifier": check_classifier,
    "dataset": check_dataset,
    "metric": check_metric,
    "score": check_score,
    "extractor": check_extractor,
    "executor": check_executor,
    "study": check_study,
}


def _written(recipe: Any) -> tuple[str, dict[str, int]]:
    return repr(recipe), {key: id(value) for key, value in getattr(recipe, "__dict__", {}).items()}


def _global_generators() -> dict[str, Any]:
    importlib.import_module("rich.style")  # it draws when it is imported, and scikit-learn and monai import it
    states: dict[str, Any] = {
        "random": random.getstate(),
        "numpy": str(np.random.get_state(legacy=False)["state"]),  # noqa: NPY002  looked at, not used
    }
    if torch := sys.modules.get("torch"):  # one that fit imports first is not compared
        states["torch"] = torch.random.get_rng_state().numpy().tobytes()
    return states


def _seed_global_generators() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  as a job does before its trial
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


def _copy(samples: Samples) -> dict[str, np.ndarray]:
    return {column: getattr(samples, column).copy() for column in ("x", "labels", "ids", "patients", "groups")}


def _fit_leaves_input(
    recipe: Any, context: SandboxContext, train: Samples, before: dict[str, np.ndarray], extent: Extent
) -> Any:
    """Fit once and look at the input at once: what one fit changes, the next may undo."""
    fitted = check_recipe_is_unchanged(recipe, lambda: recipe.fit(train, context), extent)
    _check_input(recipe.name, train, before)
    return fitted


def _check_input(name: str, samples: Samples, before: dict[str, np.ndarray]) -> None:
    for column, was in before.items():
        if not np.array_equal(was, getattr(samples, column)):
            raise ContractError(f"{name}: it changed the {column} of the samples it was given; return new arrays.")


def _joined(bags: tuple[np.ndarray, ...] | None) -> Any:
    """Return all bags in one array, each behind its number of rows."""
    return None if bags is None else np.concatenate([np.r_[len(rows), rows] for rows in bags])


def _check_transform(name: str, transform: Transform, train: Samples) -> None:
    import torch

    x = torch.from_numpy(train.x[:6]).float()
    x = x / 127.5 - 1 if train.x.dtype == np.uint8 else x
    y = torch.nn.functional.one_hot(torch.from_numpy(train.labels[:6]), len(train.classes)).float()
    outcomes = [transform(x.clone(), y.clone(), torch.Generator().manual_seed(3)) for _ in range(2)]
    new_x, new_y = outcomes[0]
    if new_x.shape != x.shape or new_x.dtype != x.dtype or new_y.shape != y.shape or new_y.dtype != y.dtype:
        raise ContractError(
            f"{name}: its transform gave x {new_x.dtype} {tuple(new_x.shape)} and y {new_y.dtype} "
            f"{tuple(new_y.shape)}, expected {x.dtype} {tuple(x.shape)} and {y.dtype} {tuple(y.shape)}."
        )
    if not new_x.isfinite().all() or not torch.allclose(new_y.sum(1), torch.ones(len(y)), atol=1e-4):
        raise ContractError(f"{name}: its transform gave values that are not finite, or classes that do not sum to 1.")
    if not all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True)):
        raise ContractError(f"{name}: two transforms with one generator differ; draw only from the one it is given.")
    if train.x.dtype == np.uint8 and float(new_x.abs().max()) > FAR:
        raise ContractError(
            f"{name}: its transform gave pixels up to {float(new_x.abs().max()):.3g}; what it is given lies in -1..1."
        )


def _fresh(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    return place
