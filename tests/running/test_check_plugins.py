"""A third party's recipes are checked before their first trial: refused, marked, or on record as passed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medbench.registry.plugins import load
from medbench.running.check_plugins import Part, _outcome, parts_of
from medbench.testing import quick

TOYS = str(Path(__file__).parents[1] / "toys")
SOURCE = """
import os
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

import medbench


def doubled(train, x=None, labels=None):
    labels = train.labels if labels is None else labels
    return train.with_synthetic(255 - train.x if x is None else x, labels, maker="m")


def entropy(train, context):
    rng = np.random.default_rng()
    return medbench.TrainingSet(doubled(train, rng.permutation(train.x)))


def own_generator(train, context):
    import torch

    own = torch.Generator().manual_seed(3)
    return medbench.TrainingSet(train, transform=lambda x, y, g: (x + 0.1 * torch.rand(x.shape, generator=own), y))


def other_shape(train, context):
    return medbench.TrainingSet(train, transform=lambda x, y, g: (x[:, :, 1:], y))


def thousandfold(train, context):
    return medbench.TrainingSet(train, transform=lambda x, y, g: (1000 * x, y))


def unsaid_sampling(train, context):
    return medbench.TrainingSet(train, sampling=np.full(len(train), 1 / len(train)))


def unlabelled(train, context):
    return medbench.TrainingSet(doubled(train, labels=np.full(len(train), -1)))


def through_torch(train, context):
    import torch

    torch.from_numpy(train.x).mul_(-1)
    return medbench.TrainingSet(train)


def by_a_flag(train, context):
    train.labels.setflags(write=True)
    train.labels[:] = 0
    return medbench.TrainingSet(train)


def honest(train, context):
    rng = np.random.default_rng(context.seed("noise"))
    return medbench.TrainingSet(doubled(train, rng.permutation(train.x)))


def legacy(train, context):  # a job seeds the global generators
    return medbench.TrainingSet(doubled(train, np.random.permutation(train.x)))


def raises(train, context):
    return 1 / (len(train.classes) - 2)


def kills(train, context):
    if train.classes != ("no", "yes"):
        os._exit(3)
    return medbench.TrainingSet(doubled(train))


ACTS = [entropy, own_generator, other_shape, thousandfold, unsaid_sampling, unlabelled, through_torch, by_a_flag,
        honest, legacy, raises, kills]


@dataclass(frozen=True)
class Act:
    name: str
    gives: ClassVar[frozenset[str]] = frozenset({"samples", "transform"})
    space: ClassVar[str] = "pixels"
    control: ClassVar[str] = "plain-toy"

    def fit(self, train, context):
        return next(a for a in ACTS if a.__name__.replace("_", "-") == self.name)(train, context)


@dataclass(frozen=True)
class Draws:
    name: str = "ignores-its-seed"
    stored: bool = True

    def fit(self, train, context):
        return Drawn(self.name, train)

    def restore(self, state, train):
        return Drawn(self.name, train)


@dataclass(frozen=True)
class Drawn:
    name: str
    train: medbench.Samples

    def sample(self, labels, seed):
        if self.name == "class-means":
            return np.stack([self.train.x[self.train.labels == k].mean(0) for k in labels]).astype(np.uint8) \\
                if len(labels) else self.train.x[:0]
        return np.random.default_rng(0).integers(0, 256, (len(labels), *self.train.x.shape[1:]), dtype=np.uint8)

    def state(self):
        return {}


@medbench.hookimpl
def register_augmenters():
    return [Act(a.__name__.replace("_", "-")) for a in ACTS]


@medbench.hookimpl
def register_generators():
    return [Draws(), Draws("class-means")]
"""
OUTCOMES = {
    "entropy": "failed: entropy: two fits of one seed differ; draw only from context.seed().",
    "own-generator": "failed: own-generator: two transforms with one generator differ",
    "other-shape": "failed: other-shape: its transform gave x torch.float32",
    "thousandfold": "failed: thousandfold: its transform gave pixels up to",
    "unsaid-sampling": "failed: augmenter 'unsaid-sampling' returned sampling, which its gives does not name",
    "unlabelled": "failed: augmenter 'unlabelled' made rows without a label",
    "through-torch": "failed: through-torch: it changed the x of the samples",
    "by-a-flag": "failed: by-a-flag: it changed the labels of the samples",
    "ignores-its-seed": "failed: ignores-its-seed: sample gave the same rows for two seeds",
    "class-means": "passed",
    "honest": "passed",
    "legacy": "passed",
    "raises": "unchecked: it raised ZeroDivisionError on toy samples (",
}


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    folder = tmp_path_factory.mktemp("vetted")
    # A name of its own each time: two processes share the tests of a file, and one may build this twice.
    (folder / f"{folder.name}_here.py").write_text(SOURCE, encoding="utf-8")
    catalogue = load(folders=[folder], installed=False)
    return {
        name: Part(kind, name, catalogue.registered(kind, name))
        for kind in ("augmenter", "generator")
        for name in catalogue.names(kind)
    }


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_quick_check_finds_what_breaks_the_contract(recipes: dict[str, Part], name: str, tmp_path: Path) -> None:
    outcome = _outcome(recipes[name], tmp_path, quick(dimensions=2, channels=1, classes=2))

    assert outcome.startswith(OUTCOMES[name])


def medbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "vetted.py").write_text(SOURCE, encoding="utf-8")
    run = [sys.executable, "-m", "medbench", *arguments, "-c", "mean", "-d", "phantom:toy", "--folds", "2", "--repeats",
           "1", "--no-yardsticks", "--executor", "forks", "--plugins-dir", "plugins", "--plugins-dir", TOYS, "-p",
           "no:medbench.scores", "-p", "no:medbench.extractors"]  # fmt: skip
    environment = {**os.environ, "MEDBENCH_CACHE": str(folder / "cache"), "MEDBENCH_RESULTS": str(folder / "runs")}
    return subprocess.run(run, capture_output=True, text=True, env=environment, cwd=folder, timeout=300)


def test_a_recipe_that_breaks_its_contract_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    ran = medbench(tmp_path, "run", "-a", "honest", "-a", "entropy")

    assert ran.returncode == 4, ran.stderr
    assert (
        "augmenter entropy breaks its contract, so nothing is run: entropy: two fits of one seed differ" in ran.stderr
    )
    assert "(vetted.py, line " in ran.stderr
    assert not list((tmp_path / "runs").rglob("result.json"))
    assert list((tmp_path / "runs" / ".jobs").glob("*")) == []


def test_the_outcome_is_part_of_the_record_and_a_mark_on_the_board(tmp_path: Path) -> None:
    ran = medbench(tmp_path, "run", "-a", "honest", "-a", "kills")
    records = {p.parts[-4].partition("--")[0]: json.loads(p.read_text())["provenance"]["checks"]
               for p in (tmp_path / "runs").glob("*/*/*/*/result.json")}  # fmt: skip
    cached = list((tmp_path / "cache" / "checks").glob("*.json"))

    assert ran.returncode == 0, ran.stderr
    assert "note: augmenter kills is unchecked: its process died" in ran.stderr
    assert records["honest"]["augmenter honest"] == "passed"
    assert records["kills"]["augmenter kills"] == "unchecked: its process died"
    assert "u: unchecked: a plugin's recipe that could not be checked" in " ".join(ran.stdout.split())
    assert [line.split()[-1] for line in ran.stdout.splitlines() if "kills" in line and "└" in line] == ["u"]
    assert len(cached) >= 2


def test_a_recipe_inside_another_plugins_is_reached_and_medbenchs_own_are_not(tmp_path: Path) -> None:
    (tmp_path / "vetted_inside.py").write_text(SOURCE, encoding="utf-8")
    catalogue = load(folders=[tmp_path], installed=False)
    arms = [("hybrid[generator=class-means]", "small-cnn"), ("geometric", "small-cnn")]
    found: list[Any] = [(arm, part.label) for arm, part in parts_of(catalogue, arms)]

    assert found == [(arms[0], "generator class-means")]
