"""Twins: one volume in every encoding that NIfTI has; all are read as the same voxels or refused by name."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medbench import DataError
from medbench_datasets.readers.nifti.read import read_labels, read_volume

VOXELS = (np.arange(4 * 5 * 6).reshape(4, 5, 6) * 7 % 120).astype(np.float32)  # in RAS order, no symmetry
AFFINE = np.array([[1.5, 0, 0, -7], [0, 2, 0, 3], [0, 0, 3.0, 11], [0, 0, 0, 1]])


def image(
    *,
    axes: tuple[int, ...] = (0, 1, 2),
    signs: tuple[int, ...] = (1, 1, 1),
    kind: str = "i2",
    order: str = "<",
    slope: float = 1.0,
    inter: float = 0.0,
    two: bool = False,
    forms: tuple[int, int] = (1, 1),
    fourth: bool = False,
    extension: bool = False,
) -> bytes:
    """Store the volume with other axes first or backwards, as another type, scaled, with its place said otherwise."""
    stored = (VOXELS - inter) / slope
    affine = AFFINE.copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            stored = np.flip(stored, axis)
            affine[:3, 3] += affine[:3, axis] * (VOXELS.shape[axis] - 1)
            affine[:3, axis] *= -1
    stored = stored.transpose(axes)
    affine = np.column_stack([*affine[:, list(axes)].T, affine[:, 3]])
    of = nib.Nifti2Image if two else nib.Nifti1Image
    header = of.header_class(endianness=order)
    header.set_data_dtype(np.dtype(kind).newbyteorder(order))
    if extension:
        header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 40))
    made = of(stored[..., None] if fourth else stored, affine, header)
    made.set_sform(affine, forms[0])
    made.set_qform(affine, forms[1])
    content = bytearray(made.to_bytes())
    voxels = np.asfortranarray(stored).astype(np.dtype(kind).newbyteorder(order)).tobytes(order="F")
    content[len(content) - len(voxels) :] = voxels  # not as nibabel scales them
    place, form = (176, "2d") if two else (112, "2f")
    struct.pack_into(f"{order}{form}", content, place, slope, inter)
    return bytes(content)


ALL_AXES = list(itertools.permutations(range(3)))
TWINS = {
    **{f"axes {a}, signs {s}": image(axes=a, signs=s) for a in ALL_AXES for s in itertools.product((1, -1), repeat=3)},
    **{
        f"{kind}, order {order}, NIfTI-{2 if two else 1}": image(kind=kind, order=order, two=two)
        for kind in ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
        for order in "<>"
        for two in (False, True)
    },
    "slope 0.5": image(slope=0.5),
    "slope -1 and 119": image(slope=-1.0, inter=119.0),
    "slope 0, which means none": image()[:112] + struct.pack("<2f", 0, 5) + image()[120:],
    "sform alone": image(forms=(1, 0), signs=(-1, 1, 1)),
    "qform alone": image(forms=(0, 1), signs=(-1, 1, 1)),
    "a fourth axis of one": image(fourth=True),
    "an extension": image(extension=True),
    "zeros behind": image() + b"\0" * 5000,
    "gzip": gzip.compress(image()),
    "gzip in two members": gzip.compress(image()[:500]) + gzip.compress(image()[500:]),
}


@pytest.mark.parametrize("what", TWINS)
def test_a_volume_is_the_same_in_every_encoding(tmp_path: Path, what: str) -> None:
    path = tmp_path / "case" / "a.nii"
    path.parent.mkdir()
    path.write_bytes(TWINS[what])

    voxels, affine = read_volume(path)
    labels, _ = read_labels(path, range(256))

    np.testing.assert_array_equal(voxels, VOXELS)
    np.testing.assert_array_equal(labels, VOXELS.astype(np.uint8))
    np.testing.assert_allclose(affine, AFFINE, atol=1e-5)


DOUBLED = image(kind="f4")
REFUSED = {
    "goes on for 240 bytes": DOUBLED[:70] + struct.pack("<2h", 4, 16) + DOUBLED[74:],  # says i2 and holds f4
    "goes on for 2400 bytes": image() + image()[352:] * 10,
    "is cut off": image()[:70] + struct.pack("<2h", 16, 32) + image()[74:],  # says f4 and holds i2
    "4 x 5 x 6 x 2 voxels, several volumes in one file": image()[:40]
    + struct.pack("<5h", 4, 4, 5, 6, 2)
    + image()[50:],
}


@pytest.mark.parametrize("says", REFUSED)
def test_a_header_that_contradicts_the_voxels_is_named(tmp_path: Path, says: str) -> None:
    path = tmp_path / "case" / "a.nii"
    path.parent.mkdir()
    path.write_bytes(REFUSED[says])

    with pytest.raises(DataError, match=rf"^case/a\.nii: .*{says}.*; "):
        read_volume(path)


@pytest.mark.parametrize(("side", "kind"), [(810, 2), (500, 16)])
def test_a_small_file_of_a_huge_volume_is_refused_by_its_header(tmp_path: Path, side: int, kind: int) -> None:
    bits = {2: 8, 16: 32}[kind]
    header = image()[:40] + struct.pack("<4h", 3, side, side, side) + image()[48:70] + struct.pack("<2h", kind, bits)
    path = tmp_path / "case" / "a.nii.gz"
    path.parent.mkdir()
    # Half a megabyte that need not be unpacked to see that it cannot be what it says
    path.write_bytes(gzip.compress(header + image()[74:352]) + np.random.default_rng(0).bytes(520_000))

    with pytest.raises(DataError, match=rf"^case/a\.nii\.gz: is a volume of {side} x .* would take .* MB of memory"):
        read_volume(path)


def test_a_small_segmentation_of_a_whole_brain_is_read(tmp_path: Path) -> None:
    made = nib.Nifti1Image(np.zeros((240, 240, 155), np.uint8), AFFINE)
    made.dataobj[100:120, 100:120, 70:90] = 4
    path = tmp_path / "seg.nii.gz"
    path.write_bytes(gzip.compress(made.to_bytes(), compresslevel=1))

    labels, _ = read_labels(path, (0, 1, 2, 4))

    assert (labels == 4).sum() == 8000
