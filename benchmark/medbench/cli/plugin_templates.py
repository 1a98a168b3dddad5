"""Templates of plugins, one a kind: whole, short, and kept true by a test that checks and runs each."""

from __future__ import annotations

from typing import NamedTuple


class Template(NamedTuple):
    """How a plugin of a kind begins.

    Attributes:
        module: Source, with NAME, CLASS and TITLE to be replaced.
        check: Function of :mod:`medbench.testing` that its test calls.
        more: Further files by name, likewise.
    """

    module: str
    check: str
    more: tuple[tuple[str, str], ...] = ()


AUGMENTER = '''"""TITLE: one sentence on what it does and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import medbench


@dataclass(frozen=True)
class CLASS:
    """Adds a copy of every training image with its gray values inverted.

    Attributes:
        share: Share of the training images to add, 0 to 1.
    """

    name: str = "NAME"
    share: float = 1.0

    space: ClassVar[str] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"samples", "sampling"})
    control: ClassVar[str] = "balanced"  # what it is without its ingredient: its gain is measured against that

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """See :class:`medbench.Augmenter`: train.x is uint8 (n, channels, *spatial)."""
        n = round(self.share * len(train))
        made = train.with_synthetic(255 - train.x[:n], train.labels[:n], maker=self.name)
        return medbench.TrainingSet(made, sampling=medbench.balanced_sampling(made))


@medbench.hookimpl
def register_augmenters() -> list[medbench.Augmenter]:
    """Return what this plugin provides."""
    return [CLASS()]
'''
TRANSFORM = '''"""TITLE: changes every batch on the device, while training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import medbench

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class CLASS:
    """Brightens or darkens each image.

    Attributes:
        most: Largest change, in units of the pixels' range of -1 to 1.
    """

    name: str = "NAME"
    most: float = 0.2

    space: ClassVar[str] = "pixels"
    gives: ClassVar[frozenset[str]] = frozenset({"transform", "sampling"})
    control: ClassVar[str] = "balanced"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.TrainingSet:
        """See :class:`medbench.Augmenter`."""
        return medbench.TrainingSet(
            train, transform=partial(brighten, self.most), sampling=medbench.balanced_sampling(train)
        )


def brighten(
    most: float, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change x, float32 (B, channels, *spatial) in [-1, 1]; y is float32 (B, n_classes). Draw from `generator` only."""
    import torch

    shape = (len(x), *[1] * (x.ndim - 1))
    change = torch.rand(shape, generator=generator, device=x.device) * 2 - 1
    return (x + most * change).clamp(-1, 1), y


@medbench.hookimpl
def register_augmenters() -> list[medbench.Augmenter]:
    """Return what this plugin provides."""
    return [CLASS()]
'''
GENERATOR = '''"""TITLE: one sentence on what it does and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import medbench


@dataclass(frozen=True)
class CLASS:
    """Draws every pixel from the normal distribution that it has within its class."""

    name: str = "NAME"
    stored: ClassVar[bool] = True  # False for one that costs nothing to fit

    def fit(self, train: medbench.Samples, context: medbench.Context) -> medbench.Sampler:
        """See :class:`medbench.Generator`."""
        present = [train.x[train.labels == k] for k in range(len(train.classes))]
        means = np.stack([(x if len(x) else train.x).mean(0) for x in present])
        spreads = np.stack([(x if len(x) else train.x).std(0) for x in present])
        return Fitted(means, spreads, train.x.dtype)

    def restore(self, state: Mapping[str, np.ndarray], train: medbench.Samples) -> medbench.Sampler:
        """Rebuild what `fit` returned."""
        return Fitted(state["means"], state["spreads"], train.x.dtype)


@dataclass(frozen=True)
class Fitted:
    """The fitted generator: arrays (n_classes, channels, *spatial)."""

    means: np.ndarray
    spreads: np.ndarray
    dtype: np.dtype

    def sample(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """Draw one row a label; the same seed gives the same rows."""
        rng = np.random.default_rng(seed)
        x = rng.normal(self.means[labels], self.spreads[labels])
        return x.clip(0, 255).astype(self.dtype) if self.dtype == np.uint8 else x.astype(self.dtype)

    def state(self) -> Mapping[str, np.ndarray]:
        """Return all that was fitted, as arrays."""
        return {"means": self.means, "spreads": self.spreads}


@medbench.hookimpl
def register_generators() -> list[medbench.Generator]:
    """Return what this plugin provides; `medbench run -a 'acgan[generator=NAME]'` trains on its samples."""
    return [CLASS()]
'''
CLASSIFIER = '''"""TITLE: one sentence on what it does and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import medbench


@dataclass(frozen=True)
class CLASS:
    """Decides by the distance to the mean image of each class."""

    name: str = "NAME"
    takes: ClassVar[frozenset[str]] = frozenset({"2d", "3d", "samples", "sampling"})  # what it heeds, nothing else

    def fit(
        self,
        training_set: medbench.TrainingSet,
        validation: medbench.Samples,
        context: medbench.Context,
        start: medbench.State | None = None,
    ) -> medbench.Predictor:
        """See :class:`medbench.Classifier`."""
        s = training_set.samples
        rows = s.x.reshape(len(s), -1).astype(np.float64)
        weights = np.ones(len(s)) if training_set.sampling is None else np.asarray(training_set.sampling)
        means = np.stack([
            np.average(rows[s.labels == k], axis=0, weights=weights[s.labels == k] + 1e-12)
            for k in range(len(s.classes))
        ])

        def predict(x: np.ndarray) -> np.ndarray:
            distance = ((x.reshape(len(x), 1, -1) - means) ** 2).mean(2)  # (n, n_classes)
            closeness = np.exp((distance.min(1, keepdims=True) - distance) / 100)
            return np.asarray(closeness / closeness.sum(1, keepdims=True))

        return predict


@medbench.hookimpl
def register_classifiers() -> list[medbench.Classifier]:
    """Return what this plugin provides."""
    return [CLASS()]
'''
DATASET = '''"""TITLE: source, licence, version, number of images, patients and classes, and how labels were derived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

import medbench


@dataclass(frozen=True)
class CLASS:
    """Reads dark/7_1.npy and bright/7_1.npy: patient 7, second image."""

    name: str = "NAME"
    size: int = 16
    card: ClassVar[medbench.Card] = medbench.Card(
        "TITLE", "CC0", "none", "medbench datasets phantom NAME FOLDER", "pictures", layout="dark/*.npy, bright/*.npy"
    )

    def index(self, root: Path) -> medbench.Index:
        """See :class:`medbench.Dataset`."""
        classes = ("dark", "bright")
        paths = sorted(path for name in classes for path in (root / name).glob("*.npy"))
        if not paths:
            raise medbench.DataError(f"{root}: no */*.npy in it; draw some with `medbench datasets phantom NAME`.")
        records = [
            medbench.Record(
                f"{path.parent.name}/{path.stem}",
                (f"{path.parent.name}/{path.name}",),
                classes.index(path.parent.name),
                path.stem.split("_")[0],
            )
            for path in paths
        ]
        return medbench.Index(tuple(records), classes, channels=1, dimensions=2)

    def read(
        self, root: Path, records: Sequence[medbench.Record], size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield pixels uint8 (channels, size, size) and no mask, one pair a record."""
        for record in records:
            x = np.load(root / record.files[0], allow_pickle=False)
            rows = np.arange(size) * len(x) // size
            yield x[None, rows][:, :, rows], None

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Write a look-alike in the real layout."""
        rng = np.random.default_rng(seed)
        for patient in range(patients):
            label = rng.random() < 0.4
            shown = rng.random() < 0.4 if null else label
            folder = root / ("bright" if label else "dark")
            folder.mkdir(parents=True, exist_ok=True)
            for image in range(2):
                x = rng.normal(100, 30, (16, 16))
                x[5:11, 5:11] += 30 * shown
                np.save(folder / f"{patient}_{image}.npy", x.clip(0, 255).astype(np.uint8))


@medbench.hookimpl
def register_datasets() -> list[medbench.Dataset]:
    """Return what this plugin provides."""
    return [CLASS()]
'''
METRIC = '''"""TITLE: one sentence on what it measures and where it comes from."""

from __future__ import annotations

import numpy as np

import medbench


def FUNCTION(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean probability of the true class; higher is better, nan where it is not defined.

    Args:
        labels: int64 (n,).
        probabilities: float64 (n, n_classes), rows summing to 1.
    """
    return float(np.mean(probabilities[np.arange(len(labels)), labels])) if len(labels) else float("nan")


@medbench.hookimpl
def register_metrics() -> list[medbench.Metric]:
    """Return what this plugin provides; a metric is called NAME in tables."""
    return [FUNCTION]
'''
SCORE = '''"""TITLE: one sentence on what it measures and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import medbench


@dataclass(frozen=True)
class CLASS:
    """Distance between the mean features of made and of held-out images; near its floor is good."""

    name: str = "NAME"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """See :class:`medbench.Score`: float64 (n, d), (m, d) and (k, d); nan where it is not defined."""
        return float(np.linalg.norm(held_out.mean(0) - synthetic.mean(0)))


@medbench.hookimpl
def register_scores() -> list[medbench.Score]:
    """Return what this plugin provides."""
    return [CLASS()]
'''
EXTRACTOR = '''"""TITLE: one sentence on what it looks at and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import medbench


@dataclass(frozen=True)
class CLASS:
    """Means of the pixels on a coarse grid, in 2-D and 3-D."""

    name: str = "NAME"
    cells: int = 4

    def features(self, x: np.ndarray) -> np.ndarray:
        """Turn uint8 (n, channels, *spatial) into float64 (n, d), each image by itself."""
        found = x.astype(np.float64)
        for axis in range(2, x.ndim):
            parts = np.array_split(found, min(self.cells, found.shape[axis]), axis=axis)
            found = np.concatenate([part.mean(axis, keepdims=True) for part in parts], axis=axis)
        return found.reshape(len(x), -1)


@medbench.hookimpl
def register_extractors() -> list[medbench.Extractor]:
    """Return what this plugin provides; `medbench run --extractor NAME` scores with it."""
    return [CLASS()]
'''
EXECUTOR = '''"""TITLE: where jobs run."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import medbench


@dataclass(frozen=True)
class CLASS:
    """A fresh process a job, each of which imports everything anew."""

    name: str = "NAME"

    def start(self, *, workers: int, devices: Sequence[str]) -> medbench.Jobs:
        """See :class:`medbench.Executor`."""
        return Started(workers, devices)


class Started:
    """A thread a job, which waits for its process."""

    def __init__(self, workers: int, devices: Sequence[str]) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.threads = ThreadPoolExecutor(workers)
        self.devices = itertools.cycle(devices)
        self.running: set[Any] = set()

    def submit(self, work: Callable[[str, str], int], folder: str, share: float, limit_s: float) -> Future[int]:
        """See :class:`medbench.Jobs`."""
        return self.threads.submit(self.follow, work, folder, next(self.devices), limit_s)

    def follow(self, work: Callable[[str, str], int], folder: str, device: str, limit_s: float) -> int:
        """Return the exit status of one job."""
        process = self.context.Process(target=job, args=(work, folder, device))
        process.start()
        self.running.add(process)
        process.join(limit_s)
        late = process.is_alive()
        if late:
            process.kill()
            process.join()
        self.running.discard(process)
        if late:
            raise TimeoutError
        status = process.exitcode
        if status is None or status < 0:
            raise ProcessLookupError(f"exit status {status}")
        return status

    def close(self) -> None:
        """End what still runs."""
        for process in list(self.running):
            process.kill()
        self.threads.shutdown(cancel_futures=True)


def job(work: Callable[[str, str], int], folder: str, device: str) -> None:
    """Do the work in the process that was started for it."""
    sys.exit(work(folder, device))


@medbench.hookimpl
def register_executors() -> list[medbench.Executor]:
    """Return what this plugin provides; `medbench run --executor NAME` uses it."""
    return [CLASS()]
'''
STUDY = '''"""TITLE: a study of one's own under a name."""

from __future__ import annotations

from pathlib import Path

import medbench


@medbench.hookimpl
def register_studies() -> list[Path]:
    """Return study files; each is called by its stem, as in `medbench run NAME`."""
    return [Path(__file__).with_name("NAME.toml")]
'''
STUDY_FILE = """name = "NAME"
about = "Does geometric augmentation help on thyroid ultrasound?"
datasets = ["ddti:tirads"]
augmenters = ["geometric"]
classifiers = ["small-cnn"]
folds = 5
repeats = 3
worth = 2.0

[budget]
steps = 600
batch = 32
size = 64
"""
TEMPLATES = {
    "augmenter": Template(AUGMENTER, "check_augmenter"),
    "transform": Template(TRANSFORM, "check_augmenter"),
    "generator": Template(GENERATOR, "check_generator"),
    "classifier": Template(CLASSIFIER, "check_classifier"),
    "dataset": Template(DATASET, "check_dataset"),
    "metric": Template(METRIC, "check_metric"),
    "score": Template(SCORE, "check_score"),
    "extractor": Template(EXTRACTOR, "check_extractor"),
    "executor": Template(EXECUTOR, "check_executor"),
    "study": Template(STUDY, "check_study", (("NAME.toml", STUDY_FILE),)),
}
PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "medbench-NAME"
version = "0.1.0"
dependencies = ["medbench"]

[project.entry-points.medbench]
NAME = "MODULE"

[tool.hatch.build.targets.wheel]
include = ["MODULE.py"MORE]

[tool.pytest.ini_options]
pythonpath = ["."]
"""
TEST = '''"""The contract of its kind."""

from medbench.testing import CONTRACT

from MODULE import ITEM


def test_MODULE_keeps_the_contract(tmp_path):
    CONTRACT(CALL, tmp_path)
'''


def files(kind: str, name: str) -> dict[str, str]:
    """Return the files of a plugin package called ``medbench-NAME`` by their paths in it."""
    template = TEMPLATES[kind]
    function = name.replace("-", "_")
    module = f"medbench_{function}"
    words = {
        "CONTRACT": template.check,
        "MODULE": module,
        "CLASS": "".join(part.capitalize() for part in name.split("-")),
        "FUNCTION": function,
        "TITLE": name.capitalize().replace("-", " "),
        "MORE": "".join(f', "{file}"' for file, _ in template.more),
    }
    words["ITEM"] = {"metric": function, "study": "register_studies"}.get(kind, words["CLASS"])
    words["CALL"] = {"metric": function, "study": "register_studies()[0]"}.get(kind, f"{words['CLASS']}()")

    def filled(text: str) -> str:
        for word, value in (*words.items(), ("NAME", name)):
            text = text.replace(word, value)
        return text

    found = {f"{module}.py": template.module, "pyproject.toml": PROJECT, f"tests/test_{module}.py": TEST}
    return {filled(path): filled(text) for path, text in [*found.items(), *template.more]}
