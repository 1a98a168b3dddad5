"""medbench_datasets.medmnist: the official npz files, verified, split as released, and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from medbench import DataError, Dataset, ResourceError, UsageError
from medbench_datasets.medmnist import ADDRESS_VARIABLE, DATASETS, MedMNIST
from medbench_datasets.medmnist_releases import RELEASES


def arrays(release: MedMNIST, counts: tuple[int, int, int] = (6, 3, 4)) -> dict[str, np.ndarray]:
    """Draw what an npz file of a flag holds: noise, and every class in turn."""
    rng = np.random.default_rng(0)
    spatial = (release.resolution,) * release.release.dimensions
    shape = (*spatial, 3) if release.release.channels == 3 else spatial
    made = {}
    for split, n in zip(("train", "val", "test"), counts, strict=True):
        made[f"{split}_images"] = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        made[f"{split}_labels"] = (np.arange(n)[:, None] % len(release.release.classes)).astype(np.uint8)
    return made


def write(root: Path, release: MedMNIST, made: dict[str, np.ndarray]) -> MedMNIST:
    """Write the file and return the recipe that accepts it by its checksum."""
    np.savez_compressed(root / release.file, **made)
    return replace(release, md5=hashlib.md5((root / release.file).read_bytes()).hexdigest())


@pytest.fixture
def breast(tmp_path: Path) -> MedMNIST:
    release = MedMNIST()
    return write(tmp_path, release, arrays(release))


def test_it_is_registered_and_is_a_dataset() -> None:
    assert [recipe.name for recipe in DATASETS] == ["medmnist"]
    assert isinstance(DATASETS[0], Dataset)


def test_every_official_file_has_a_checksum_of_its_own() -> None:
    sums = [md5 for release in RELEASES.values() for md5 in release.md5.values()]

    assert len(RELEASES) == 18
    assert len(set(sums)) == len(sums) == 12 * 4 + 6 * 2
    assert all(len(md5) == 32 and int(md5, 16) >= 0 for md5 in sums)
    assert {flag for flag, release in RELEASES.items() if release.task == "multi-label"} == {"chestmnist"}


def test_the_real_file_is_read_as_it_is(shared_data: Path) -> None:
    """BreastMNIST has 546, 78 and 156 images (Yang et al. 2023, table 2); numpy reads the same file for comparison."""
    root = shared_data / "medmnist"
    index = MedMNIST().index(root)
    with np.load(root / "breastmnist.npz", allow_pickle=False) as file:
        images = np.concatenate([file[f"{split}_images"] for split in ("train", "val", "test")])
        labels = np.concatenate([file[f"{split}_labels"] for split in ("train", "val", "test")])[:, 0]

    assert [record.part for record in index.records] == ["train"] * 624 + ["test"] * 156
    assert [record.label for record in index.records] == labels.tolist()
    assert len({record.patient for record in index.records}) == 780
    assert index.classes == ("malignant", "normal, benign")
    assert (index.channels, index.dimensions) == (1, 2)
    pixels = np.stack([x for x, mask in MedMNIST().read(root, index.records, 28) if mask is None])
    assert np.array_equal(pixels[:, 0], images)


def test_a_silently_altered_file_is_refused(shared_data: Path, tmp_path: Path) -> None:
    data = bytearray((shared_data / "medmnist" / "breastmnist.npz").read_bytes())
    data[-1] ^= 1  # in the comment behind the zip directory: every zip reader still opens it
    (tmp_path / "breastmnist.npz").write_bytes(data)

    with pytest.raises(DataError, match=r"breastmnist.npz is not the official file \(MD5 .* expected 750601b1f"):
        MedMNIST().index(tmp_path)


@pytest.mark.parametrize(
    ("flag", "resolution", "shape"),
    [("breastmnist", 28, (1, 28, 28)), ("pathmnist", 64, (3, 64, 64)), ("nodulemnist3d", 28, (1, 28, 28, 28))],
)
def test_gray_colour_and_volumes_come_channels_first(
    tmp_path: Path, flag: str, resolution: int, shape: tuple[int, ...]
) -> None:
    release = MedMNIST(flag=flag, resolution=resolution)
    made = arrays(release)
    recipe = write(tmp_path, release, made)
    index = recipe.index(tmp_path)

    pixels = [x for x, _ in recipe.read(tmp_path, index.records, resolution)]

    assert (index.channels, index.dimensions) == (shape[0], len(shape) - 1)
    assert all(x.shape == shape and x.dtype == np.uint8 for x in pixels)
    last = made["test_images"][-1]
    assert np.array_equal(pixels[-1], last.transpose(2, 0, 1) if shape[0] == 3 else last[None])


@pytest.mark.parametrize(("flag", "dimensions"), [("bloodmnist", 2), ("synapsemnist3d", 3)])
@pytest.mark.parametrize("size", [14, 40])
def test_another_working_size_is_resized_and_keeps_the_mean(
    tmp_path: Path, flag: str, dimensions: int, size: int
) -> None:
    release = MedMNIST(flag=flag)
    made = arrays(release, (2, 0, 2))
    made["train_images"][:] = 77
    recipe = write(tmp_path, release, made)
    records = recipe.index(tmp_path).records

    pixels = [x for x, _ in recipe.read(tmp_path, records, size)]

    assert all(x.shape == (release.release.channels, *[size] * dimensions) for x in pixels)
    assert (pixels[0] == 77).all()
    assert abs(pixels[-1].mean() - made["test_images"][-1].mean()) < 4


def test_records_can_be_read_in_any_order_and_again(tmp_path: Path, breast: MedMNIST) -> None:
    records = breast.index(tmp_path).records
    straight = [x for x, _ in breast.read(tmp_path, records, 28)]
    order = np.random.default_rng(1).permutation(len(records)).tolist() * 2

    mixed = [x for x, _ in breast.read(tmp_path, [records[i] for i in order], 28)]

    assert all(np.array_equal(straight[i], x) for i, x in zip(order, mixed, strict=True))


def test_without_the_official_cut_no_record_has_a_part(tmp_path: Path, breast: MedMNIST) -> None:
    index = replace(breast, official=False).index(tmp_path)

    assert {record.part for record in index.records} == {""}
    assert "left out" in index.notes[0]


def test_an_unverified_file_is_read_only_on_request_and_noted(tmp_path: Path, breast: MedMNIST) -> None:
    index = replace(breast, md5="any").index(tmp_path)

    assert any("was not verified" in note for note in index.notes)
    with pytest.raises(DataError, match="not the official file"):
        replace(breast, md5="official").index(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"flag": "brestmnist"}, r"no flag 'brestmnist' \(did you mean 'breastmnist'\?\); it has: pathmnist"),
        ({"flag": "chestmnist"}, "14 labels an image"),
        ({"resolution": 96}, "28, 64, 128, 224"),
        ({"flag": "vesselmnist3d", "resolution": 128}, "resolution is one of: 28, 64"),
        ({"md5": "secret"}, "32 lower-case hex digits"),
    ],
)
def test_a_wrong_parameter_is_a_usage_error_that_lists_what_exists(parameters: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MedMNIST(**parameters)


def test_a_missing_file_names_the_resolution_that_is_there(tmp_path: Path, breast: MedMNIST) -> None:
    with pytest.raises(DataError, match=r"breastmnist_64.npz is missing \(breastmnist.npz is there"):
        MedMNIST(resolution=64).index(tmp_path)


def _object_array(made: dict) -> None:
    made["train_labels"] = np.array([[None]] * 6, dtype=object)


def _wrong_resolution(made: dict) -> None:
    made["val_images"] = made["val_images"][:, :27]


def _labels_too_short(made: dict) -> None:
    made["test_labels"] = made["test_labels"][:-1]


def _labels_out_of_range(made: dict) -> None:
    made["test_labels"] = made["test_labels"] + 1


def _labels_as_floats(made: dict) -> None:
    made["test_labels"] = made["test_labels"].astype(np.float32)


def _one_class(made: dict) -> None:
    made.update({key: np.zeros_like(made[key]) for key in made if key.endswith("labels")})


def _no_test(made: dict) -> None:
    del made["test_images"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_object_array, "train_labels is objects"),
        (_wrong_resolution, r"val_images is uint8 \(3, 27, 28\), expected uint8 \(n, 28, 28\)"),
        (_labels_too_short, "3 test labels and 4 test images"),
        (_labels_out_of_range, r"1\.\.2, expected 0\.\.1"),
        (_labels_as_floats, "test_labels is float32"),
        (_one_class, "one class only"),
        (_no_test, "no array test_images"),
    ],
)
def test_a_file_of_another_content_is_refused_without_unpickling(tmp_path: Path, damage, message: str) -> None:
    release = MedMNIST(md5="any")
    made = arrays(release)
    damage(made)
    np.savez(tmp_path / release.file, **made)

    with pytest.raises(DataError, match=message):
        release.index(tmp_path)


@pytest.mark.parametrize("claimed", ["(1000000, 28, 28)", "(99999999999, 28, 28)", "(4294967296, 4294967296, 28)"])
def test_a_header_that_claims_more_than_the_file_holds_is_refused_at_once(tmp_path: Path, claimed: str) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {claimed}, }}".encode().ljust(117) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 784
    with zipfile.ZipFile(tmp_path / "breastmnist.npz", "w") as file:
        file.writestr("train_images.npy", member)

    with pytest.raises(DataError, match="train_images"):
        MedMNIST(md5="any").index(tmp_path)


@pytest.mark.parametrize("keep", [0, 3, 1000, 0.5, 0.999])
def test_a_file_cut_short_is_one_clear_error(tmp_path: Path, breast: MedMNIST, keep: float) -> None:
    path = tmp_path / "breastmnist.npz"
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])

    with pytest.raises(DataError, match=r"breastmnist\.npz is truncated, damaged or no npz file; fetch it again"):
        replace(breast, md5="any").index(tmp_path)


def test_damage_inside_the_archive_is_found_while_reading(tmp_path: Path, breast: MedMNIST) -> None:
    path = tmp_path / "breastmnist.npz"
    records = breast.index(tmp_path).records
    with zipfile.ZipFile(path) as file:
        start = file.getinfo("train_images.npy").header_offset
    data = bytearray(path.read_bytes())
    data[start + 200 : start + 260] = b"\xff" * 60
    path.write_bytes(data)

    with pytest.raises(DataError, match="damaged"):
        list(breast.read(tmp_path, records, 28))


def test_it_has_no_phantom(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no phantom"):
        MedMNIST().phantom(tmp_path, seed=0, patients=4, null=False)


def test_the_card_states_the_licence_of_the_flag() -> None:
    assert MedMNIST().card.licence == "CC BY 4.0"
    assert MedMNIST(flag="dermamnist").card.licence == "CC BY-NC 4.0"
    assert MedMNIST(flag="dermamnist").card.publish == "predictions"
    assert MedMNIST().card.unit == "image"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine only."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_fetch_downloads_verifies_and_leaves_a_right_file_alone(
    tmp_path: Path, breast: MedMNIST, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "data"
    with serving(tmp_path) as address:
        monkeypatch.setenv(ADDRESS_VARIABLE, f"{address}/")
        path = breast.fetch(target)
    written = path.stat().st_mtime_ns

    assert path == target / "breastmnist.npz"
    assert breast.fetch(target) == path  # the server is gone: nothing is asked of it
    assert path.stat().st_mtime_ns == written
    assert len(breast.index(target).records) == 13


def test_fetch_refuses_a_file_that_came_altered_and_keeps_nothing(
    tmp_path: Path, breast: MedMNIST, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "data"
    with serving(tmp_path) as address:
        monkeypatch.setenv(ADDRESS_VARIABLE, address)
        with pytest.raises(DataError, match="another checksum"):
            MedMNIST().fetch(target)

    assert list(target.iterdir()) == []


def test_fetch_says_plainly_that_the_network_or_the_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as address:
        monkeypatch.setenv(ADDRESS_VARIABLE, address)
        with pytest.raises(ResourceError, match="could not be downloaded"):
            MedMNIST().fetch(tmp_path / "data")
    with pytest.raises(ResourceError, match="could not be downloaded"):
        MedMNIST().fetch(tmp_path / "data")


def test_fetch_does_not_overwrite_another_file_of_that_name(tmp_path: Path, breast: MedMNIST) -> None:
    before = (tmp_path / "breastmnist.npz").read_bytes()

    with pytest.raises(DataError, match="not the official file"):
        MedMNIST().fetch(tmp_path)
    assert (tmp_path / "breastmnist.npz").read_bytes() == before


def test_reading_a_big_file_needs_the_memory_of_a_row(tmp_path: Path) -> None:
    """40 MB of images are read while less than 4 MB are held."""
    import tracemalloc

    release = MedMNIST(flag="pathmnist", resolution=224, md5="any")
    with zipfile.ZipFile(tmp_path / release.file, "w", zipfile.ZIP_DEFLATED) as file:
        for split, n in (("train", 250), ("val", 9), ("test", 9)):
            for key, array in (
                ("images", np.zeros((n, 224, 224, 3), np.uint8)),
                ("labels", (np.arange(n) % 9).astype(np.uint8)),
            ):
                buffer = io.BytesIO()
                np.save(buffer, array)
                file.writestr(f"{split}_{key}.npy", buffer.getvalue())
    records = release.index(tmp_path).records

    tracemalloc.start()
    for _ in release.read(tmp_path, records, 224):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 4_000_000
