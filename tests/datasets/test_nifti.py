"""NIfTI: what is read equals what nibabel reads; what is damaged or lies is refused, fast and in little memory."""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench import DataError
from medbench_datasets.readers.nifti.header import MAX_BYTES, read_header
from medbench_datasets.readers.nifti.read import is_same_grid, read_labels, read_volume
from medbench_datasets.readers.volumes import (
    bounding_box,
    fit_image,
    fit_labels,
    foreground,
    resample,
    standardise,
)

LPS = np.array([[-2.0, 0, 0, 0], [0, -2, 0, 20], [0, 0, 3, -5], [0, 0, 0, 1]])


def volume(shape: tuple[int, ...] = (5, 6, 7), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)


def write(path: Path, voxels: np.ndarray, affine: np.ndarray = LPS) -> Path:
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def patched(path: Path, offset: int, form: str, *values: float) -> Path:
    """Write a volume whose header holds other values at `offset`."""
    content = bytearray(nib.Nifti1Image(volume(), LPS).to_bytes())
    struct.pack_into(f"<{form}", content, offset, *values)
    path.write_bytes(content)
    return path


def refused(path: Path, words: str, read: Callable[[Path], object] = read_volume) -> str:
    """Check that a file is refused with a message that names it; return the message."""
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert path.name in str(caught.value)
    assert str(path.parent.parent) not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_volume_is_turned_to_ras_as_nibabel_does(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, volume())

    voxels, affine = read_volume(path)

    expected = nib.as_closest_canonical(nib.load(path))
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels, expected.get_fdata())
    np.testing.assert_allclose(affine, expected.affine)


@settings(max_examples=25, deadline=None)
@given(
    axes=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    angles=st.tuples(*[st.floats(-0.4, 0.4)] * 3),
    voxel=st.sampled_from(["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8"]),
    order=st.sampled_from("<>"),
    forms=st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1)]),
    slope=st.sampled_from([1.0, 0.0, 0.5, -2.0]),
    two=st.booleans(),
)
def test_every_orientation_type_and_byte_order_reads_as_nibabel_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    axes: list[int],
    signs: tuple[int, ...],
    angles: tuple[float, ...],
    voxel: str,
    order: str,
    forms: tuple[int, int],
    slope: float,
    two: bool,
) -> None:
    kind = nib.Nifti2Image if two else nib.Nifti1Image
    turn = nib.eulerangles.euler2mat(*angles)
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, axes] @ np.diag(signs) @ np.diag([1.0, 1.5, 4.0])
    affine[:3, 3] = (-3, 40, 7)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype(voxel).newbyteorder(order))
    image = kind(volume((4, 5, 6)) % 100, affine, header)
    image.set_sform(affine, forms[0])
    image.set_qform(affine, forms[1])
    content = bytearray(image.to_bytes())
    struct.pack_into(f"{order}d" if two else f"{order}f", content, 176 if two else 112, slope)
    path = tmp_path_factory.mktemp("nifti") / "a.nii"
    path.write_bytes(content)

    read, read_affine = read_volume(path)

    expected = nib.as_closest_canonical(nib.load(path))
    np.testing.assert_allclose(read, expected.get_fdata(), rtol=1e-6)
    np.testing.assert_allclose(read_affine, expected.affine, atol=1e-3)
    np.testing.assert_allclose(read_header(path).affine, nib.load(path).affine, atol=1e-4)


def test_a_turn_that_is_nearly_half_keeps_its_last_digits_in_nifti_2(tmp_path: Path) -> None:
    image = nib.Nifti2Image(volume(), None)
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(0, 0, np.pi - 4e-4)  # a is 2e-4, its square 4e-8
    image.set_qform(affine, 1)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "a.nii")

    np.testing.assert_allclose(read_header(tmp_path / "a.nii").affine, nib.load(tmp_path / "a.nii").affine, atol=1e-9)


def test_a_header_of_32767_cubed_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    tracemalloc.start()
    message = refused(
        patched(tmp_path / "a.nii", 40, "8h", 3, 32767, 32767, 32767, 1, 1, 1, 1), "32767 x 32767 x 32767"
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "MiB" in message
    assert peak < 10 << 20


def test_a_small_file_that_claims_much_is_cut_off(tmp_path: Path) -> None:
    content = bytearray(nib.Nifti1Image(volume(), LPS).to_bytes())
    struct.pack_into("<8h", content, 40, 3, 500, 500, 500, 1, 1, 1, 1)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(content)))

    refused(tmp_path / "a.nii.gz", "500 x 500 x 500 voxels")


def test_a_gzip_bomb_is_read_no_further_than_its_header_claims(tmp_path: Path) -> None:
    content = nib.Nifti1Image(volume(), LPS).to_bytes()
    with gzip.open(tmp_path / "a.nii.gz", "wb", compresslevel=1) as stream:
        stream.write(content)
        for _ in range(64):
            stream.write(bytes(1 << 20))
    tracemalloc.start()
    refused(tmp_path / "a.nii.gz", "goes on for more than")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 16 << 20
    assert MAX_BYTES == 512 << 20


@pytest.mark.parametrize("kept", [0, 1, 100, 351, 360, 500])
def test_a_cut_off_file_is_refused(tmp_path: Path, kept: int) -> None:
    whole = write(tmp_path / "whole.nii", volume()).read_bytes()
    (tmp_path / "a.nii").write_bytes(whole[:kept])

    refused(tmp_path / "a.nii", r"bytes")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_cut_off_gzip_file_is_refused(tmp_path: Path, part: float) -> None:
    whole = write(tmp_path / "whole.nii.gz", volume((20, 20, 20))).read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(whole[: int(part * len(whole))])

    refused(tmp_path / "a.nii.gz", "cut off|checksum")


def test_a_flipped_byte_in_a_gzip_file_is_noticed(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "a.nii.gz", volume((20, 20, 20))).read_bytes())
    content[-6] ^= 1  # in the checksum
    (tmp_path / "a.nii.gz").write_bytes(content)

    refused(tmp_path / "a.nii.gz", "checksum")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, 1e30])
def test_an_impossible_affine_is_refused(tmp_path: Path, value: float) -> None:
    refused(patched(tmp_path / "a.nii", 280, "4f", value, 0, 0, 0), "affine is singular")


def test_an_affine_whose_axes_lie_in_a_plane_is_refused(tmp_path: Path) -> None:
    refused(patched(tmp_path / "a.nii", 280, "12f", 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0), "affine is singular")


def test_a_qform_that_disagrees_is_noted_and_the_sform_used(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), LPS)
    image.set_sform(LPS, 1)
    moved = LPS.copy()
    moved[0, 3] += 2
    image.set_qform(moved, 1)
    nib.save(image, tmp_path / "a.nii")

    header = read_header(tmp_path / "a.nii")

    assert "2.0 mm" in header.note
    np.testing.assert_allclose(header.affine, LPS)
    assert read_header(write(tmp_path / "b.nii", volume())).note == ""


@pytest.mark.parametrize("slope", [float("nan"), float("inf"), 1e38, -1e38])
def test_an_impossible_slope_is_refused(tmp_path: Path, slope: float) -> None:
    refused(patched(tmp_path / "a.nii", 112, "f", slope), "scl_slope")


def test_a_slope_of_zero_means_none(tmp_path: Path) -> None:
    voxels, _ = read_volume(patched(tmp_path / "a.nii", 112, "f", 0.0))

    assert sorted(voxels.ravel()) == sorted(volume().ravel())


@pytest.mark.parametrize("constant", [0, 7])
def test_a_constant_volume_is_refused(tmp_path: Path, constant: int) -> None:
    refused(write(tmp_path / "a.nii", np.full((4, 4, 4), constant, np.int16)), f"all its voxels equal {constant}")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_voxel_that_is_no_number_is_refused(tmp_path: Path, value: float) -> None:
    voxels = volume().astype(np.float64)
    voxels[1, 2, 3] = value

    refused(write(tmp_path / "a.nii", voxels), "NaN or infinite")


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 7, 2), (2, 3, 4, 5, 6)])
def test_anything_but_three_axes_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    refused(write(tmp_path / "a.nii", volume(shape)), " x ".join(map(str, (*shape, 1)[: len(shape)])))


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path: Path) -> None:
    assert read_volume(write(tmp_path / "a.nii", volume((4, 5, 6, 1))))[0].shape == (4, 5, 6)


@pytest.mark.parametrize("n", [0, 9, -1, 768])
def test_a_wrong_number_of_axes_is_refused(tmp_path: Path, n: int) -> None:
    refused(patched(tmp_path / "a.nii", 40, "h", n), r"dim\[0\]")


def test_a_negative_length_is_refused(tmp_path: Path) -> None:
    refused(patched(tmp_path / "a.nii", 42, "h", -5), "-5 x 6 x 7")


@pytest.mark.parametrize(("code", "word"), [(128, "RGB"), (32, "complex"), (1, "binary"), (777, "unknown type 777")])
def test_other_voxels_than_numbers_are_refused(tmp_path: Path, code: int, word: str) -> None:
    refused(patched(tmp_path / "a.nii", 70, "h", code), word)


def test_an_analyze_pair_is_refused(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(volume(), np.diag([2, 2, 3, 1.0])), tmp_path / "a.hdr")
    nib.save(nib.Nifti1Pair(volume(), LPS), tmp_path / "b.hdr")

    refused(tmp_path / "a.hdr", "Analyze 7.5")
    refused(tmp_path / "b.hdr", ".img pair")


@pytest.mark.parametrize("size", [-8, 0, 4, 1 << 30])
def test_an_extension_that_lies_about_its_size_is_refused(tmp_path: Path, size: int) -> None:
    image = nib.Nifti1Image(volume(), LPS)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 40))
    content = bytearray(image.to_bytes())
    assert read_header_of(content, tmp_path / "ok.nii").offset > 352
    struct.pack_into("<i", content, 352, size)
    (tmp_path / "a.nii").write_bytes(content)

    refused(tmp_path / "a.nii", "extension claims")


def read_header_of(content: bytes | bytearray, path: Path):
    path.write_bytes(content)
    return read_header(path)


@pytest.mark.parametrize("offset", [0.0, 100.0, 352.5, 1e9, float("nan")])
def test_voxels_that_start_nowhere_are_refused(tmp_path: Path, offset: float) -> None:
    refused(patched(tmp_path / "a.nii", 108, "f", offset), "vox_offset")


def test_other_files_are_named_for_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "page.nii").write_text("<!DOCTYPE html><title>please log in</title>" + " " * 400)
    (tmp_path / "empty.nii").touch()
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"no image" * 100))
    (tmp_path / "folder.nii").mkdir()
    os.mkfifo(tmp_path / "pipe.nii")

    refused(tmp_path / "page.nii", "login page")
    refused(tmp_path / "empty.nii", "0 bytes")
    refused(tmp_path / "text.nii.gz", "no NIfTI file")
    refused(tmp_path / "folder.nii", "no regular file")
    refused(tmp_path / "pipe.nii", "no regular file")
    refused(tmp_path / "absent.nii", "cannot be opened")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_damage_of_a_header_ends_in_anything_but_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(nib.Nifti1Image(volume((3, 4, 5)), LPS).to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 360))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.nii"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])

    with contextlib.suppress(DataError):
        voxels, affine = read_volume(path)
        assert np.isfinite(voxels).all()
        assert np.isfinite(affine).all()


def test_labels_are_rounded_and_unknown_ones_refused(tmp_path: Path) -> None:
    labels = np.zeros((4, 5, 6), np.float32)
    labels[1, 1, 1], labels[2, 2, 2] = 0.99999997, 4
    path = write(tmp_path / "seg.nii.gz", labels)

    read, _ = read_labels(path, (0, 1, 2, 4))

    assert read.dtype == np.uint8
    assert np.unique(read).tolist() == [0, 1, 4]
    refused(path, "label 4, expected 0, 1, 2, 3", lambda p: read_labels(p, (0, 1, 2, 3)))


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_labels_that_are_no_whole_numbers_are_refused(tmp_path: Path, value: float) -> None:
    labels = np.zeros((4, 5, 6), np.float32)
    labels[1, 1, 1] = value

    refused(write(tmp_path / "seg.nii", labels), "no whole numbers", lambda p: read_labels(p, (0, 1)))


def test_an_empty_segmentation_is_no_error(tmp_path: Path) -> None:
    assert not read_labels(write(tmp_path / "seg.nii", np.zeros((4, 5, 6), np.uint8)), (0, 1))[0].any()


def test_a_grid_is_the_same_in_another_order_and_with_other_last_digits(tmp_path: Path) -> None:
    stored = nib.Nifti1Image(volume(), LPS)
    nib.save(stored, tmp_path / "lps.nii")
    nib.save(nib.as_closest_canonical(stored), tmp_path / "ras.nii")
    write(tmp_path / "digits.nii", volume(), LPS + 1e-4)
    write(tmp_path / "moved.nii", volume(), LPS + np.eye(4, k=3))
    write(tmp_path / "shape.nii", volume((5, 7, 6)))

    one = read_header(tmp_path / "lps.nii")
    same = {p.stem: is_same_grid(one, read_header(p)) for p in sorted(tmp_path.iterdir())}
    assert same == {"digits": True, "lps": True, "moved": False, "ras": True, "shape": False}


@pytest.mark.parametrize("background", [0.0, -3.6243944])
def test_the_brain_is_what_differs_from_the_commonest_value_around_it(background: float) -> None:
    voxels = np.full((12, 14, 16), background, np.float32)
    voxels[3:8, 2:9, 4:15] = np.random.default_rng(0).normal(0, 1, (5, 7, 11))

    inside = foreground(voxels)

    assert bounding_box(inside) == (slice(3, 8), slice(2, 9), slice(4, 15))
    assert inside.sum() == 5 * 7 * 11


def test_without_a_constant_around_it_everything_is_inside() -> None:
    assert foreground(np.random.default_rng(0).normal(size=(9, 9, 9)).astype(np.float32)).all()


def test_standardising_forgets_scanner_gain_and_offset() -> None:
    voxels = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    inside = np.zeros((8, 8, 8), bool)
    inside[2:6, 2:6, 2:6] = True

    levels = standardise(voxels, inside, low=-3, high=5)

    np.testing.assert_allclose(levels, standardise(voxels * 700 + 50, inside, low=-3, high=5), atol=0.01)
    assert (levels[~inside] == 0).all()
    assert levels[inside].min() >= 1
    # the definition of a z-score, once more
    z = (voxels[inside] - voxels[inside].mean(dtype=float)) / voxels[inside].std(dtype=float)
    np.testing.assert_allclose(levels[inside], 1 + (z.clip(-3, 5) + 3) / 8 * 254, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(*[st.integers(2, 24)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 5)] * 3),
    size=st.integers(8, 30),
)
def test_a_fitted_volume_is_a_cube_whose_longest_side_is_filled(
    shape: tuple[int, ...], spacing: tuple[float, ...], size: int
) -> None:
    image = fit_image(np.full(shape, 100.0), spacing, size)
    labels = fit_labels(np.full(shape, 4, np.uint8), spacing, size)

    assert image.shape == labels.shape == (size, size, size)
    assert np.unique(image).tolist() in ([0, 100], [100])
    np.testing.assert_array_equal(image > 0, labels == 4)
    extents_mm = np.array(shape) * spacing
    filled = [s.stop - s.start for s in bounding_box(image > 0)]
    assert filled[int(extents_mm.argmax())] == size
    np.testing.assert_allclose(filled, (size * extents_mm / extents_mm.max()).clip(1), atol=0.51)


def test_resampling_keeps_a_ramp_and_the_mean() -> None:
    ramp = np.arange(12.0)

    np.testing.assert_allclose(resample(ramp, (24,))[2:-2], ((np.arange(24) + 0.5) / 2 - 0.5)[2:-2])
    noise = np.random.default_rng(0).normal(size=(64, 64))
    assert abs(resample(noise, (16, 16)).mean() - noise.mean()) < 0.02
    assert resample(noise, (16, 16)).std() < noise.std() / 3  # shrinking averages, it does not pick


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 70), min_size=1, max_size=3),
    st.lists(st.integers(1, 80), min_size=3, max_size=3),
    st.integers(0, 999),
)
def test_resizing_in_bands_is_the_product_with_the_whole_filter(shape: list[int], wanted: list[int], seed: int) -> None:
    """Weights that are 0 are left out, which changes no sum."""
    levels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.float64)
    plain = levels
    for axis, n in enumerate(wanted[: len(shape)]):
        n_in = plain.shape[axis]
        if n != n_in:
            scale = n_in / n
            centres = (np.arange(n)[:, None] + 0.5) * scale - 0.5
            weights = np.maximum(0, 1 - np.abs(np.arange(n_in) - centres) / max(1.0, scale))
            weights /= weights.sum(1, keepdims=True)
            plain = np.moveaxis(np.tensordot(weights, plain, (1, axis)), 0, axis)

    found = resample(levels, wanted[: len(shape)])

    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-11)


def test_labels_are_never_mixed_when_resized() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:15, 5:15, 5:15], labels[8:12, 8:12, 8:12] = 2, 4

    fitted = fit_labels(labels, (1, 1, 1), 9)

    assert np.unique(fitted).tolist() == [0, 2, 4]


def test_all_real_volumes_are_read(shared_data: Path) -> None:
    case = shared_data / "brats2013" / "brats_2013_pat0001_1"
    for name in ("Flair_subtrMeanDivStd", "T1c_subtrMeanDivStd"):
        voxels, affine = read_volume(case / f"{name}.nii.gz")
        np.testing.assert_array_equal(
            voxels, nib.as_closest_canonical(nib.load(case / f"{name}.nii.gz")).get_fdata(dtype=np.float32)
        )
        assert nib.aff2axcodes(affine) == ("R", "A", "S")
        assert 0.15 < foreground(voxels).mean() < 0.18  # its background is not 0
    brain, _ = read_labels(case / "brainmask.nii.gz", (0, 1))  # holds 0.99999997
    assert 0.15 < brain.mean() < 0.18
    assert read_header(case / "OTMultiClass.nii.gz").shape == (240, 240, 155)
