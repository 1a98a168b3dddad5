"""Decoding: once, in parallel, keyed by content; groups know of duplicates."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import medbench
from medbench.decode import already_decoded, decode, phantom_root
from toy_pictures import Pictures


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    Pictures().phantom(folder, seed=0, patients=40, null=False)
    return folder


def test_pixels_come_back_and_a_second_start_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decode(Pictures(), root, size=8)
    monkeypatch.setattr(Pictures, "read", None)
    monkeypatch.setattr(Pictures, "index", None)
    second = decode(Pictures(), root, size=8)

    assert first == second
    samples = second.samples()
    assert isinstance(samples.x, np.memmap)
    row = samples.ids.tolist().index("pictures/p7_1_0")
    assert np.array_equal(samples.x[row, 0], np.load(root / "p7_1_0.npy"))
    assert samples.made_of == first.fingerprint


def test_one_and_three_workers_decode_the_same(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = decode(Pictures(), root, size=8, workers=1).fingerprint
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "other"))

    assert decode(Pictures(), root, size=8, workers=3).fingerprint == one


def test_a_copied_folder_is_known_by_its_content_and_a_changed_file_is_seen(root: Path, tmp_path: Path) -> None:
    import shutil

    first = decode(Pictures(), root, size=8)
    copied = shutil.copytree(root, tmp_path / "copy")
    assert already_decoded(Pictures(), copied, size=8) is None
    assert decode(Pictures(), copied, size=8) == first
    image = np.load(root / "p3_1_0.npy")
    np.save(root / "p3_1_0.npy", 255 - image)
    os.utime(root / "p3_1_0.npy", ns=(1, 1))

    assert decode(Pictures(), root, size=8).fingerprint != first.fingerprint


def test_another_size_or_recipe_is_another_array(root: Path) -> None:
    assert decode(Pictures(), root, size=8).folder != decode(Pictures(), root, size=4).folder
    assert decode(Pictures(size=9), root, size=8).folder != decode(Pictures(), root, size=8).folder


def test_identical_pictures_unite_patients_and_conflicting_labels_are_listed(root: Path) -> None:
    image = np.load(root / "p0_0_0.npy")
    np.save(root / "q9_0_0.npy", image)
    np.save(root / "r9_1_0.npy", image)
    decoded = decode(Pictures(), root, size=8)
    samples = decoded.samples()
    groups = {str(i): str(g) for i, g in zip(samples.ids, samples.groups, strict=True)}

    assert groups["pictures/p0_0_0"] == groups["pictures/q9_0_0"] == groups["pictures/r9_1_0"]
    assert decoded.merged == 2
    assert decoded.conflicts == (("pictures/p0_0_0", "pictures/q9_0_0", "pictures/r9_1_0"),)


def test_blank_pictures_unite_nobody(root: Path) -> None:
    for name in ("q1_0_0", "q2_1_0"):
        np.save(root / f"{name}.npy", np.zeros((8, 8), dtype=np.uint8))

    assert decode(Pictures(), root, size=8).merged == 0


def test_a_damaged_image_is_named_and_nothing_half_done_stays(root: Path, cache: Path) -> None:
    np.save(root / "z_1_0.npy", np.full((8, 8), 7, dtype=np.uint8))

    for workers in (1, 2):
        with pytest.raises(medbench.DataError, match=r"z_1_0.npy: holds a seven; remove it"):
            decode(Pictures(), root, size=8, workers=workers)
    assert not list((cache / "decoded").glob("pictures*"))


def test_masks_may_be_there_for_some_images_only(root: Path) -> None:
    np.save(root / "m1_1_m.npy", np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8))
    samples = decode(Pictures(), root, size=8).samples()

    assert samples.masks is not None
    assert samples.masks[samples.ids.tolist().index("pictures/m1_1_m")].sum() == 31
    assert samples.masks.sum() == 31


@pytest.mark.parametrize(
    ("keep", "says"), [("*_0_0.npy", "only the class 'yes' occurs"), ("*.npy", "no labelled image")]
)
def test_a_folder_one_cannot_learn_from_says_so(root: Path, keep: str, says: str) -> None:
    for path in root.glob(keep):
        path.unlink()

    with pytest.raises(medbench.DataError, match=says):
        decode(Pictures(), root, size=8)


def test_a_phantom_is_written_once(cache: Path) -> None:
    one = phantom_root(Pictures(), patients=12)
    written = sorted(p.stat().st_mtime_ns for p in one.iterdir())

    assert phantom_root(Pictures(), patients=12) == one
    assert sorted(p.stat().st_mtime_ns for p in one.iterdir()) == written
    assert phantom_root(Pictures(), patients=12, null=True) != one
    assert not list((cache / "phantoms").glob("*.partial"))
