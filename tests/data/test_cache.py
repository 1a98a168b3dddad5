"""Decoding: once, in parallel, keyed by content; groups know of duplicates."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import medbench
from medbench.data.cache import decode, find_decoded
from medbench.data.find_phantom import phantom_root
from medbench.errors import StoreError
from toy_pictures import Pictures

Log = pytest.LogCaptureFixture


@pytest.fixture
def log(caplog: Log) -> Log:
    return caplog


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


def test_pixels_come_back_and_a_second_start_decodes_nothing(root: Path) -> None:
    told: list[tuple[str, int, int]] = []
    first = decode(Pictures(), root, size=8)
    second = decode(Pictures(), root, size=8, progress=lambda *step: told.append(step))

    assert told == []
    assert first == second
    samples = second.samples()
    assert isinstance(samples.x, np.memmap)
    row = samples.ids.tolist().index("pictures/p7_1_0")
    assert np.array_equal(samples.x[row, 0], np.load(root / "p7_1_0.npy"))
    assert samples.made_of == first.fingerprint


def test_of_a_large_folder_every_step_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medbench.data import cache, files
    from medbench.data import decode as decoding

    for module in (cache, decoding, files):
        monkeypatch.setattr(module, "TOLD", 8)
        monkeypatch.setattr(module, "MANY", 8, raising=False)
    told: list[tuple[str, int, int]] = []
    found = decode(Pictures(), root, size=8, progress=lambda *step: told.append(step))

    assert list(dict.fromkeys(what for what, _, _ in told)) == [
        "listing the files", "reading the files", "reading names and tables", "decoding pictures",
        "hashing the images of pictures", "preparing to compare the images of pictures",
        "comparing the images of pictures", "looking for shortcuts in the images of pictures",
    ]  # fmt: skip
    n = found.findings.images
    assert ("listing the files", 8, 0) in told
    assert ("hashing the images of pictures", n, n) in told


def test_one_and_three_workers_decode_the_same(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = decode(Pictures(), root, size=8, workers=1).fingerprint
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "other"))

    assert decode(Pictures(), root, size=8, workers=3).fingerprint == one


def test_a_copied_folder_is_known_by_its_content_and_a_changed_file_is_seen(root: Path, tmp_path: Path) -> None:
    import shutil

    first = decode(Pictures(), root, size=8)
    copied = shutil.copytree(root, tmp_path / "copy")
    assert find_decoded(Pictures(), copied, size=8) is None
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


@dataclass(frozen=True)
class InTable(Pictures):
    """Labels in a table, which may be hidden from the listing."""

    name: str = "in-table"
    table: str = "labels.csv"

    def index(self, root: Path) -> medbench.Index:
        labels = dict(line.split(",") for line in (root / self.table).read_text().splitlines())
        plain = super().index(root)
        return replace(plain, records=tuple(replace(r, label=int(labels[r.id])) for r in plain.records))


@pytest.mark.parametrize("table", ["labels.csv", ".labels.csv"])
def test_a_corrected_table_of_the_same_size_and_time_is_noticed(root: Path, table: str, log: Log) -> None:
    recipe = InTable(table=table)
    lines = [f"{p.stem},{p.stem.split('_')[1]}" for p in sorted(root.glob("*.npy"))]

    def put(text: str) -> None:
        (root / table).write_text(text)
        os.utime(root / table, (0, 0))

    put("\n".join(lines))
    before = decode(recipe, root, size=8)
    corrected = [f"{lines[0][:-1]}{1 - int(lines[0][-1])}", *lines[1:]]
    put("\n".join(corrected))

    assert find_decoded(recipe, root, size=8) is None
    after = decode(recipe, root, size=8)
    assert after.fingerprint != before.fingerprint
    assert sorted(after.samples().labels.tolist()) != sorted(before.samples().labels.tolist()) or table[0] == "."
    assert decode(recipe, root, size=8) == after
    assert ("say other things than when it was decoded" in log.text) == (table[0] == ".")


@pytest.mark.parametrize("name", ["pixels.npy", "columns.json", "manifest.json"])
@pytest.mark.parametrize("how", ["flip", "cut", "missing"])
def test_a_changed_cache_is_moved_aside_and_decoded_again(
    root: Path, cache: Path, name: str, how: str, log: Log
) -> None:
    first = decode(Pictures(), root, size=8)
    before = np.array(first.samples().x)
    path = first.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    {
        "flip": lambda: path.write_bytes(content),
        "cut": lambda: path.write_bytes(content[:-9]),
        "missing": path.unlink,
    }[how]()

    assert find_decoded(Pictures(), root, size=8) is None
    second = decode(Pictures(), root, size=8)
    assert second == first
    assert np.array_equal(second.samples().x, before)
    assert len(list((cache / "decoded" / ".damaged").iterdir())) == 1
    assert f"note: {first.folder}: {name} " in log.text
    assert "its data are decoded again" in log.text


def test_a_changed_phantom_is_drawn_again(cache: Path, log: Log) -> None:
    first = phantom_root(Pictures(), patients=12)
    path = first / "p3_1_0.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    assert phantom_root(Pictures(), patients=12) == first
    assert path.read_bytes() == whole
    assert "p3_1_0.npy changed since it was stored" in log.text


def test_decoded_data_that_vanish_are_a_store_error(root: Path) -> None:
    decoded = decode(Pictures(), root, size=8)
    (decoded.folder / "pixels.npy").unlink()

    with pytest.raises(StoreError, match="run the same command again"):
        decoded.samples()
