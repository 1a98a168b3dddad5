"""A plugin for tests: a data set, recipes that behave and misbehave, and an executor that needs no torch."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

import medbench
from medbench.testing import SandboxContext
from medbench_plugins.executors import Processes


@dataclass(frozen=True)
class ToyData:
    """Images in one npz, two classes, two images a patient; `leaky` puts a patient into both official parts."""

    name: str = "toy"
    size: int = 8
    leaky: bool = False
    dimensions: Literal[2, 3] = 2
    other: int = 0

    card = medbench.Card("Toy", "CC0", "none", "medbench datasets phantom toy FOLDER", "pictures")

    def index(self, root: Path) -> medbench.Index:
        if not (root / "toy.npz").is_file():
            raise medbench.DataError(f"{root / 'toy.npz'}: is missing; write it with `medbench datasets phantom toy`.")
        labels = np.load(root / "toy.npz")["labels"]
        n = len(labels)
        return medbench.Index(
            tuple(
                medbench.Record(
                    f"i{i}",
                    ("toy.npz",),
                    int(label),
                    f"p{i // 2}",
                    part="train" if i < 0.6 * n + self.leaky else "test",
                )
                for i, label in enumerate(labels)
            ),
            ("no", "yes"),
            1,
            self.dimensions,
            notes=("one thing was left out.",),
        )

    def read(self, root: Path, records: Sequence[medbench.Record], size: int) -> Iterator[tuple[np.ndarray, None]]:
        x = np.load(root / "toy.npz")["x"]
        for record in records:
            image = np.resize(x[int(record.id[1:])], (1, *[size] * self.dimensions))
            yield image.astype(np.uint8), None

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        rng = np.random.default_rng(seed + self.other)
        labels = np.repeat(rng.random(patients) < 0.4, 2).astype(np.int64)
        shown = rng.permutation(labels) if null else labels
        x = rng.normal(100, 30, (2 * patients, 8, 8)) + 25 * shown[:, None, None]
        np.savez(root / "toy.npz", x=x.clip(0, 255).astype(np.uint8), labels=labels)


@dataclass(frozen=True)
class Mean:
    """Decides by the distance to each class's mean gray value."""

    name: str = "mean"
    pause: float = 0.0
    takes = frozenset({"2d", "3d", "samples", "sampling", "transform"})

    def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
        s = training_set.samples
        means = np.array([s.x[s.labels == k].mean() if (s.labels == k).any() else 128.0 for k in range(len(s.classes))])
        for step in range(10):
            time.sleep(self.pause / 10)
            context.progress(step + 1, 10)

        def predict(x: np.ndarray) -> np.ndarray:
            closeness = np.exp(-np.abs(x.reshape(len(x), -1).mean(1)[:, None] - means) / 10)
            return closeness / closeness.sum(1, keepdims=True)

        return predict


@dataclass(frozen=True)
class Quarters:
    """An encoder: the mean of the rows of an image, standardised by the training images."""

    name: str = "quarters"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
        (context.folder / "encoder.txt").write_text(str(len(train)))
        means = train.x.reshape(len(train), -1).mean()
        return _Encoding(np.array([means]))

    def restore(self, state: Any, train: medbench.Samples) -> Any:
        return _Encoding(state["mean"])


@dataclass(frozen=True)
class _Encoding:
    mean: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x.reshape(len(x), x.shape[2], -1).mean(2) - self.mean).astype(np.float32)

    def state(self) -> Any:
        return {"mean": self.mean}


@dataclass(frozen=True)
class Features(Mean):
    name: str = "head"
    takes = frozenset({"features", "samples", "sampling", "transform"})


@dataclass(frozen=True)
class Cuttable(Mean):
    name: str = "cuttable"

    def cut(self) -> Any:
        return Quarters(), Features()


@dataclass(frozen=True)
class Fault(Mean):
    """Behaves where it is checked, on toy samples, and misbehaves in a trial."""

    name: str = "fault"
    kind: str = "raise"

    def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
        predict = super().fit(training_set, validation, context)
        if isinstance(context, SandboxContext):
            return predict
        n = len(training_set.samples.classes)
        faults: dict[str, Callable[[], Any]] = {
            "raise": lambda: 1 / 0,
            "exit": lambda: os._exit(3),
            "sysexit": lambda: exit(0),
            "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
            "hang": lambda: time.sleep(600),
            "handles": lambda: (
                resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
                [os.open(os.devnull, os.O_RDONLY) for _ in range(64)],
            ),
            "wrapped": lambda: _raise(ValueError("it could not be read"), OSError(errno.EMFILE, "Too many open files")),
            "disk": lambda: _raise(RuntimeError("write failed: No space left on device (os error 28)")),
            "memory": lambda: (_ for _ in ()).throw(MemoryError()),
            "nan": lambda: lambda x: np.full((len(x), n), np.nan),
            "shape": lambda: lambda x: np.full((len(x), n + 1), 1 / (n + 1)),
            "none": lambda: None,
            "skip": lambda: (_ for _ in ()).throw(medbench.Skip("it makes no sense here")),
            "diverge": lambda: (_ for _ in ()).throw(medbench.Diverged("the loss is nan at step 3.")),
            "random": lambda: random.random() and None,
            "chdir": lambda: os.chdir("/"),
            "escape": lambda: print("\x1b[2J\x1b]0;owned\x07"),
        }
        made = faults[self.kind]()
        return made if callable(made) else predict


def _raise(error: Exception, cause: Exception | None = None) -> None:
    raise error from cause


@dataclass(frozen=True)
class Noise:
    """Real rows of the class plus noise; `fails` diverges."""

    name: str = "noise"
    fails: bool = False
    stored: bool = True

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
        if self.fails:
            raise medbench.Diverged("the generator's loss is nan at step 1.")
        (context.folder / "fitted.txt").write_text(str(context.seed("noise")))
        return _Sampler(train.x, train.labels, np.array([context.seed("noise") % 1000]))

    def restore(self, state: Any, train: medbench.Samples) -> Any:
        return _Sampler(train.x, train.labels, state["seed"])


@dataclass(frozen=True)
class _Sampler:
    x: np.ndarray
    labels: np.ndarray
    offset: np.ndarray

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        rng = np.random.default_rng([seed, int(self.offset[0])])
        rows = [rng.choice(np.flatnonzero(self.labels == k)) for k in labels]
        made = self.x[rows].astype(np.float64) + rng.integers(-5, 6, (len(rows), *self.x.shape[1:]))
        return made.clip(0, 255).astype(np.uint8) if self.x.dtype == np.uint8 else made.astype(self.x.dtype)

    def state(self) -> Any:
        return {"seed": self.offset}


@dataclass(frozen=True)
class Plain:
    name: str = "plain-toy"
    space = "pixels"
    gives = frozenset({"sampling"})
    control = None

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        return medbench.TrainingSet(train, sampling=np.full(len(train), 1 / len(train)))


@dataclass(frozen=True)
class Adds:
    """As many made rows as there are real ones."""

    name: str = "adds"
    generator: medbench.Generator = field(default_factory=Noise)
    honest: bool = True
    space = "pixels"
    gives = frozenset({"samples"})
    control = Plain()

    @property
    def needs(self) -> tuple[medbench.Generator, ...]:
        return (self.generator,) if self.honest else ()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        made = context.fit(self.generator, train).sample(train.labels, context.seed("draw"))
        return medbench.TrainingSet(train.with_synthetic(made, train.labels, maker=self.name))


@dataclass(frozen=True)
class Elsewhere:
    """The mean of each class of another data set, after an augmenter there."""

    source: medbench.Dataset
    extra: medbench.Augmenter
    name: str = "elsewhere"

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        return tuple(getattr(self.extra, "needs", ()))

    def fit(self, train: medbench.Samples, context: medbench.Context) -> Any:
        s = self.extra.fit(train, context).samples
        (context.folder / "rows.txt").write_text(f"{len(train)} {len(s)} {train.ids[0]}")
        return _Means(np.array([s.x[s.labels == k].mean() for k in range(len(s.classes))]))

    def restore(self, state: Any, train: medbench.Samples) -> Any:
        return _Means(state["means"])


@dataclass(frozen=True)
class _Means:
    means: np.ndarray

    def state(self) -> Any:
        return {"means": self.means}


@dataclass(frozen=True)
class Before(Mean):
    """Learns another data set first; its controls do so without the augmenter's ingredient, and then not at all."""

    name: str = "before"
    source: medbench.Dataset | None = None
    extra: medbench.Augmenter = field(default_factory=Plain)

    @property
    def needs(self) -> tuple[medbench.Stage, ...]:
        return () if self.source is None else (Elsewhere(self.source, self.extra),)

    @property
    def control(self) -> Any:
        return Mean() if self.extra.control is None else replace(self, extra=self.extra.control)

    def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
        context.fit(self.needs[0], training_set.samples)
        return super().fit(training_set, validation, context)


@dataclass(frozen=True)
class PlainFeatures(Plain):
    name: str = "plain-features"
    space = "features"


@dataclass(frozen=True)
class AddsFeatures(Adds):
    name: str = "adds-features"
    space = "features"
    control = PlainFeatures()


@dataclass(frozen=True)
class Steals:
    """Overwrites its input, in a trial."""

    name: str = "overwrites"
    space = "pixels"
    gives = frozenset({"samples"})
    control = Plain()

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        if isinstance(context, SandboxContext):
            return medbench.TrainingSet(train.with_synthetic(255 - train.x, train.labels, maker=self.name))
        train.x[:] = 0
        return medbench.TrainingSet(train)


@dataclass(frozen=True)
class Forks:
    """The local executor with less in its server: toys train nothing."""

    name: str = "forks"

    def start(self, *, workers: int, devices: Sequence[str]) -> medbench.Jobs:
        return Processes(workers, devices, preloaded=("medbench.running.job", "sklearn.metrics"))


@medbench.hookimpl
def register_datasets() -> list[Any]:
    return [
        ToyData(),
        ToyData("toy:leaky", leaky=True),
        ToyData("toy:volumes", dimensions=3),
        ToyData("other", other=100),
        ToyData("other:volumes", other=100, dimensions=3),
    ]


@medbench.hookimpl
def register_augmenters() -> list[Any]:
    return [Plain(), Adds(), Steals(), PlainFeatures(), AddsFeatures()]


@medbench.hookimpl
def register_generators() -> list[Any]:
    return [Noise()]


@medbench.hookimpl
def register_classifiers() -> list[Any]:
    return [Mean(), Fault(), Cuttable(), Before()]


@medbench.hookimpl
def register_executors() -> list[Any]:
    return [Forks()]
