"""A head on a fixed encoder: features are computed once a data set and shared by methods, folds and workers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import medbench
from medbench.testing import SandboxContext, check_extractor, toy_samples
from medbench.trial.kept_features import FeatureTable, KeptFeatures, digest_of_image
from medbench_plugins.extractors.own_classifier import OwnClassifier
from medbench_plugins.extractors.random_convolutions import RandomConvolutions
from medbench_plugins.extractors.slices import Slices
from medbench_plugins.frozen.classifier import Frozen
from medbench_plugins.frozen.nearest import NearestHead

TOYS = str(Path(__file__).parents[1] / "toys")
SMALL = RandomConvolutions(widths=(4, 8))

COUNTING = '''
"""An extractor that writes down how many images it was given."""
import os
from dataclasses import dataclass
import numpy as np
import medbench

@dataclass(frozen=True)
class Counting:
    """Means of the rows of an image."""
    name: str = "counting"
    summary = "means of rows"

    def features(self, x):
        if len(x):
            with open(os.environ["COUNTED"], "a") as file:
                file.write(f"{len(x)}\\n")
        return x.reshape(len(x), x.shape[2], -1).mean(2) if len(x) else np.zeros((0, x.shape[2]))

@medbench.hookimpl
def register_extractors():
    return [Counting()]
'''

Medbench = Callable[..., subprocess.CompletedProcess[str]]
COUNTED = ("-d", "phantom:toy", "-c", "frozen[encoder=counting]", "-a", "feature-mixup", "--folds", "2", "--repeats",
           "1", "--no-yardsticks", "--budget", "steps=20,batch=8,size=8", "-p", "no:medbench.scores")  # fmt: skip
BOARD = ("-d", "phantom:ddti:benign-malignant", "-c", "frozen[encoder=random-convolutions]", "-a", "feature-mixup",
         "-a", "under-bagging", "--folds", "3", "--repeats", "1", "--no-yardsticks", "--budget",
         "steps=20,batch=8,size=16")  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(tmp_path: Path, cache: Path) -> Medbench:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "counting.py").write_text(COUNTING)

    def call(*arguments: str, results: str = "runs") -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "MEDBENCH_CACHE": str(cache),
            "MEDBENCH_RESULTS": str(tmp_path / results),
            "COUNTED": str(tmp_path / "counted"),
        }
        foreign = ("--plugins-dir", TOYS, "--plugins-dir", str(tmp_path / "plugins"))
        folders = foreign if "phantom:toy" in " ".join(arguments) else ()
        return subprocess.run([sys.executable, "-m", "medbench", *arguments, *folders], capture_output=True, text=True,
                              env=environment, cwd=tmp_path, timeout=300)  # fmt: skip

    return call


def predictions(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_features_are_computed_once_for_all_methods_and_folds(run: Medbench, tmp_path: Path) -> None:
    planned = run("plan", *COUNTED)
    assert "the features of 1 data set to compute, once for all" in " ".join(planned.stdout.split())
    (tmp_path / "counted").unlink(missing_ok=True)  # the check of a stranger's plugin calls it too
    ran = run("run", *COUNTED, "--workers", "1", "--executor", "forks")

    assert ran.returncode == 0, ran.stderr
    assert "the features of 1 data set computed" in ran.stderr
    assert len(predictions(tmp_path / "runs")) == 3 * 2  # none, and two methods on features
    counted = list(map(int, (tmp_path / "counted").read_text().split()))
    images = json.loads(run("plan", *COUNTED, "--json").stdout)["sources"][0]["images"]
    assert images - 5 <= sum(counted) <= images  # equal images are one


def test_bits_do_not_depend_on_workers_and_damage_is_mended(run: Medbench, tmp_path: Path) -> None:
    assert run("run", *BOARD, "--workers", "1").returncode == 0
    assert run("run", *BOARD, "--workers", "2", results="two").returncode == 0
    before = predictions(tmp_path / "runs")
    assert len(before) == 5 * 3
    assert before == predictions(tmp_path / "two")

    (stage,) = (tmp_path / "runs" / "stages").iterdir()
    (stage / "state.safetensors").write_bytes(b"spoilt")
    shutil.rmtree(tmp_path / "runs" / "phantom-ddti-benign-malignant")
    again = run("run", *BOARD)
    assert again.returncode == 0, again.stderr
    assert predictions(tmp_path / "runs") == before


def test_a_method_on_batches_of_pixels_is_left_out_with_the_reason(run: Medbench) -> None:
    planned = run("plan", *BOARD, "-a", "geometric")

    assert "frozen does not take the transform that geometric gives" in " ".join(planned.stdout.split())


def test_volumes_are_refused_by_an_encoder_of_pictures_in_the_plan(run: Medbench) -> None:
    planned = run(
        "plan", "-d", "phantom:toy[dimensions=3]", "-c", "frozen", "-a", "balanced", "-p", "no:medbench.scores"
    )

    assert planned.returncode == 2
    assert "frozen takes 2-D images, the data are 3-D" in planned.stderr


def test_an_encoder_that_is_trained_in_a_fold_is_refused() -> None:
    with pytest.raises(medbench.UsageError, match=r"frozen\.encoder: own-classifier is trained within a fold"):
        Frozen(OwnClassifier()).check()


def test_a_table_gives_what_the_extractor_gives_and_keeps_each_image_once(context: SandboxContext) -> None:
    samples = toy_samples(24)
    table = KeptFeatures(SMALL).fit(samples.take([*range(24), 0, 1]), context)
    restored = KeptFeatures(SMALL).restore(table.state(), samples)
    order = np.random.default_rng(0).permutation(24)

    assert len(table.known) == len(np.unique(samples.x.reshape(24, -1), axis=0))
    assert np.array_equal(restored(samples.x[order]), SMALL.features(samples.x)[order])
    assert restored(samples.x[:0]).shape == (0, 24)
    assert table.state()["features"].dtype == np.float32


def test_images_that_are_not_in_the_table_are_computed_beside_those_that_are() -> None:
    x = toy_samples(6).x
    table = FeatureTable(SMALL, {digest_of_image(x[0]): np.full(24, 7.0)})

    assert np.array_equal(table(x)[0], np.full(24, 7.0))
    assert np.array_equal(table(x)[1:], SMALL.features(x[1:]))


def test_images_of_equal_bytes_and_other_shape_are_two() -> None:
    x = np.arange(24, dtype=np.uint8)

    assert digest_of_image(x.reshape(1, 4, 6)) != digest_of_image(x.reshape(1, 6, 4))


@pytest.mark.parametrize("given", [np.zeros((3, 2)), np.full((4, 2), np.nan), [[1.0]] * 4])
def test_features_that_break_the_contract_are_named(given: object, context: SandboxContext) -> None:
    class Odd:
        name = "odd"

        def features(self, x: np.ndarray) -> object:
            return given

    with pytest.raises(medbench.ContractError, match=r"^odd gave"):
        KeptFeatures(Odd()).fit(toy_samples(4), context)  # type: ignore[arg-type]


@pytest.mark.parametrize("head", ["linear", "mlp", "knn"])
def test_every_head_learns_what_features_show(head: str, context: SandboxContext) -> None:
    samples = toy_samples(60, seed=1)
    classifier = Frozen(SMALL, head=head)  # type: ignore[arg-type]
    training_set = medbench.TrainingSet(samples, sampling=medbench.balanced_sampling(samples))
    predicted = classifier.fit(training_set, samples.take([]), context)(samples.x)

    assert predicted.shape == (60, len(samples.classes))
    assert np.allclose(predicted.sum(1), 1)
    assert (predicted.argmax(1) == samples.labels).mean() > 0.8


def test_votes_are_those_of_their_formula(context: SandboxContext) -> None:
    """All distances by hand, on ten rows."""
    rng = np.random.default_rng(2)
    samples = medbench.Samples(
        x=rng.normal(size=(10, 3)).astype(np.float32), labels=np.arange(10) % 2, ids=np.arange(10).astype(str),
        patients=np.arange(10).astype(str), groups=np.arange(10).astype(str), sources=((),) * 10,
        classes=("a", "b"), made_of="0" * 64,
    )  # fmt: skip
    sampling = rng.random(10)
    sampling /= sampling.sum()
    asked = rng.normal(size=(4, 3)).astype(np.float32)
    fitted = NearestHead(neighbours=4).fit(medbench.TrainingSet(samples, sampling=sampling), samples.take([]), context)

    rows = samples.x.astype(np.float64)
    mean, deviation = rows.mean(0), rows.std(0)
    a, b = (asked - mean) / deviation, (rows - mean) / deviation
    cosine = (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    for row, expected in zip(fitted(asked), cosine, strict=True):
        nearest = np.argsort(-expected)[:4]
        votes = np.array([sampling[samples.labels == k].sum() for k in (0, 1)])
        for place in nearest:
            weight = np.exp((expected[place] - expected[nearest[0]]) / 0.07)
            votes[samples.labels[place]] += weight * sampling[place] * 10
        assert np.allclose(row, votes / votes.sum())


def test_slices_are_means_over_evenly_spaced_slices_of_each_axis() -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 12, 16), dtype=np.uint8)
    seen = Slices(SMALL, slices=3).features(x)

    middle = [SMALL.features(x[:, :, place]) for place in (2, 4, 6)]
    assert np.allclose(seen[:, :24], np.mean(middle, axis=0))
    last = [SMALL.features(np.ascontiguousarray(x[..., place])) for place in (4, 8, 12)]
    assert np.allclose(seen[:, 48:], np.mean(last, axis=0))


def test_slices_keep_the_contract_of_extractors(tmp_path: Path) -> None:
    check_extractor(Slices(SMALL, slices=2), tmp_path)
