"""Twins: the same images and labels in every encoding that npz has; all are read alike or refused by name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medbench import DataError
from medbench_datasets.readers.npz import open_archive

IMAGES = (np.arange(5 * 4 * 6).reshape(5, 4, 6) * 2 % 251).astype(np.uint8)
LABELS = np.array([[3], [0], [1], [2], [1]])


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def archive(images: bytes, labels: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("images.npy", images)
        file.writestr("labels.npy", labels)
    return buffer.getvalue()


TWINS = {
    **{
        f"labels {kind}": archive(npy(IMAGES), npy(LABELS.astype(kind)))
        for kind in ("u1", "i1", "<u2", ">u2", "<i4", ">i4", "<i8", ">i8", "<u8")
    },
    "labels in one axis": archive(npy(IMAGES), npy(LABELS[:, 0])),
    "header of version 2": archive(npy(IMAGES, (2, 0)), npy(LABELS, (2, 0))),
    **{
        f"compression {c}": archive(npy(IMAGES), npy(LABELS), c)
        for c in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    },
}


@pytest.mark.parametrize("what", TWINS)
def test_an_archive_is_the_same_in_every_encoding(tmp_path: Path, what: str) -> None:
    (tmp_path / "a.npz").write_bytes(TWINS[what])

    with open_archive(tmp_path / "a.npz") as opened:
        rows = [opened.row("images", k, (4, 6)) for k in range(opened.expect_images("images", (4, 6)))]
        labels = opened.integers("labels")

    np.testing.assert_array_equal(rows, IMAGES)
    np.testing.assert_array_equal(labels.ravel(), LABELS.ravel())


REFUSED = {
    "images is uint16": archive(npy(IMAGES.astype(np.uint16)), npy(LABELS)),
    "images is float32": archive(npy(IMAGES.astype(np.float32)), npy(LABELS)),
    "images is int8": archive(npy(IMAGES.astype(np.int8)), npy(LABELS)),
    "expected rows of plain numbers": archive(npy(np.asfortranarray(IMAGES)), npy(LABELS)),
    "labels is float64": archive(npy(IMAGES), npy(LABELS.astype(float))),
    "images has 120 bytes, its header says 240": archive(npy(np.tile(IMAGES, 2))[:-120], npy(LABELS)),
    "truncated, damaged or no npz file": archive(npy(IMAGES), npy(LABELS))[:-40],
}


def read_both(path: Path) -> None:
    with open_archive(path) as opened:
        opened.expect_images("images", (4, 6))
        opened.integers("labels")


@pytest.mark.parametrize("says", REFUSED)
def test_what_is_stored_otherwise_is_named(tmp_path: Path, says: str) -> None:
    (tmp_path / "a.npz").write_bytes(REFUSED[says])

    with pytest.raises(DataError, match=rf"^a\.npz.*{says}"):
        read_both(tmp_path / "a.npz")
