"""Where classes are sides of the body no arm mirrors left to right, and people are told."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import medbench
from medbench.data.cache import decode
from medbench.testing import SandboxContext, toy_samples
from medbench_datasets.folder import Folder
from medbench_datasets.medmnist import MedMNIST
from medbench_datasets.medmnist_releases import RELEASES
from medbench_datasets.readers.sides import of_sides
from medbench_plugins.augmenters.geometric import Geometric
from medbench_plugins.generators import transformed
from medbench_plugins.generators.transformed import Transformed
from medbench_plugins.transforms.ranges import AffineRanges

STILL: dict[str, Any] = {"rotation": 0, "scale": 0, "shear": 0, "translation": 0, "probability": 1}


def of(dimensions: int, *, sides: bool, n: int = 1) -> medbench.Samples:
    return replace(toy_samples(8 * n, dimensions=dimensions, size=8), sides=sides)


def left_right(x: np.ndarray) -> np.ndarray:
    """Mirror rows along the last axis of images, the first of volumes."""
    return np.flip(x, 3 if x.ndim == 4 else 2)


def alike(rows: np.ndarray, others: np.ndarray) -> int:
    return int((np.abs(rows.astype(float) - others).reshape(len(rows), -1).max(1) < 2).sum())


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("sides", [False, True])
@pytest.mark.parametrize("geometric", [Geometric(**STILL), Geometric(policy="spine-hybrid", probability=1)])
def test_geometric_mirrors_left_to_right_only_where_classes_are_no_sides(
    geometric: Geometric, sides: bool, dimensions: int, context: SandboxContext
) -> None:
    samples = of(dimensions, sides=sides, n=25)
    transform = geometric.fit(samples, context).transform
    assert transform is not None
    x = torch.from_numpy(samples.x).float() / 127.5 - 1

    changed, _ = transform(x, torch.zeros(len(x), 2), torch.Generator().manual_seed(0))

    mirrored = alike(((changed.numpy() + 1) * 127.5).round(), left_right(samples.x))
    assert (mirrored == 0) == sides


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("policy", ["spine-hybrid", "safe"])
def test_transformed_mirrors_left_to_right_only_where_it_may(
    policy: Any, dimensions: int, context: SandboxContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformed, "SAFE", AffineRanges(rotation=0, scale=0, shear=0, translation=0))
    samples = of(dimensions, sides=False)
    labels = np.tile(samples.labels, 14)

    def mirrored(recipe: Transformed, train: medbench.Samples) -> int:
        sampler = recipe.fit(train, context)
        return alike(sampler.sample(labels, 0), left_right(train.x[sampler.rows(labels, 0)]))

    assert mirrored(Transformed(policy=policy), samples) > 10
    assert mirrored(Transformed(policy=policy, flip_left_right=False), samples) == 0
    assert mirrored(Transformed(policy=policy), replace(samples, sides=True)) == 0


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        (("femur-left", "femur-right", "liver"), ("femur-left", "femur-right")),
        (("Left", "right"), ("Left", "right")),
        (("kidney_L", "kidney_R"), ("kidney_L", "kidney_R")),
        (("OD", "OS"), ("OD", "OS")),
        (("left", "healthy"), ()),
        (("bright", "dull"), ()),
        (("lung", "lurg"), ()),
    ],
)
def test_classes_are_sides_where_the_other_side_is_a_class_too(
    classes: tuple[str, ...], named: tuple[str, ...]
) -> None:
    assert of_sides(classes) == named


def test_the_sets_of_organs_have_sides_and_volumes_are_said_to_lie_as_stored(tmp_path: Path) -> None:
    organs = {flag for flag in RELEASES if flag.startswith("organ")}
    assert {flag for flag in set(RELEASES) - {"chestmnist"} if MedMNIST(flag=flag).sides} == organs

    shape = {"train": 12, "val": 3, "test": 3}
    images = {f"{part}_images": np.zeros((n, 28, 28, 28), np.uint8) for part, n in shape.items()}
    labels = {f"{part}_labels": (np.arange(n) % 11)[:, None].astype(np.uint8) for part, n in shape.items()}
    np.savez(tmp_path / "organmnist3d.npz", **images, **labels)
    md5 = hashlib.md5((tmp_path / "organmnist3d.npz").read_bytes()).hexdigest()
    notes = " ".join(MedMNIST(flag="organmnist3d", md5=md5).index(tmp_path).notes)
    assert "taken as stored" in notes
    assert "sides of the body" in notes


def test_a_folder_of_sides_is_noted_and_told_it_is_another_data_set_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in ("femur-left", "femur-right"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(6):
            Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).save(tmp_path / "data" / name / f"{k}.png")

    assert any("folder[sides=true]" in note for note in Folder().index(tmp_path / "data").notes)
    told = Folder(sides=True)
    assert not any("named after sides" in note for note in told.index(tmp_path / "data").notes)
    plain, sided = (decode(recipe, tmp_path / "data", size=8) for recipe in (Folder(), told))
    assert (plain.samples().sides, sided.samples().sides) == (False, True)
    assert sided.samples().take([0]).sides
    assert plain.fingerprint != sided.fingerprint

    arguments = ["--data", str(tmp_path / "data"), "--folds", "2", "--repeats", "1", "-a", "geometric"]
    for dataset, is_said in (("folder[size=8,sides=true]", True), ("folder[size=8]", False)):
        run = [sys.executable, "-m", "medbench", "plan", "-d", dataset, *arguments]
        shown = subprocess.run(run, capture_output=True, text=True, check=True).stdout
        assert ("leave the left-right mirror out" in " ".join(shown.split())) == is_said, shown
