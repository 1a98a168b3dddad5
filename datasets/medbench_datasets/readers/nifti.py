"""NIfTI volumes as arrays in RAS order, read with bounded memory.

Spatial axes always run to the patient's right, front and top, whatever the scanner or the converter stored.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from medbench import DataError
from medbench_datasets.readers.nifti_affine import apart
from medbench_datasets.readers.nifti_header import Header, open_stream, parse_header, read_exactly, short_name

TRAILING_BYTES = 1 << 20  # some converters pad; more than 1 MiB behind the voxels is another thing than claimed


def read_volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read an image.

    Returns:
        ``float32 (X, Y, Z)`` scaled voxels, reordered and flipped to the axes nearest to RAS+ (never resampled), and
        the ``float64 (4, 4)`` affine that goes with them, in millimetres.

    Raises:
        DataError: If the file is damaged, claims more than it holds or more than is read at most, is no volume of
            numbers, or holds NaN, infinite or only equal voxels.
    """
    voxels, affine = _read(path)
    low, high = voxels.min(), voxels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{short_name(path)}: holds NaN or infinite voxels; export it again without them")
    if low == high:
        raise DataError(f"{short_name(path)}: all its voxels equal {low:g}; restore the image")
    return voxels, affine


def read_labels(path: Path, known: Collection[int]) -> tuple[np.ndarray, np.ndarray]:
    """Read a segmentation.

    Args:
        path: A file whose voxels are whole numbers, give or take what scaling in floats does to them (0.99999997).
        known: Labels that may occur, 0 to 255.

    Returns:
        ``uint8 (X, Y, Z)`` in the same order as :func:`read_volume` gives, and its affine.

    Raises:
        DataError: As :func:`read_volume`, or where a voxel is no whole number or no known label.
    """
    voxels, affine = _read(path)
    with np.errstate(invalid="ignore"):
        whole = np.rint(voxels)
        stray = np.abs(np.subtract(voxels, whole, out=voxels), out=voxels).max()
    if not stray < 1e-3:  # False for NaN as well
        raise DataError(f"{short_name(path)}: its labels are no whole numbers; give a segmentation, no probabilities")
    if whole.min() < 0 or whole.max() > 255:
        raise DataError(f"{short_name(path)}: its labels leave 0 to 255; give the segmentation, not the image")
    labels = whole.astype(np.uint8)
    occurs = np.zeros(256, dtype=bool)
    occurs[labels] = True  # np.unique would sort ten million voxels
    unknown = sorted(set(np.flatnonzero(occurs).tolist()) - set(known))
    if unknown:
        found = ", ".join(map(str, unknown[:5]))
        expected = ", ".join(map(str, sorted(known)))
        raise DataError(
            f"{short_name(path)}: holds the label {found}, expected {expected}; name the file's label scheme or mend it"
        )
    return labels, affine


def is_same_grid(header: Header, other: Header) -> bool:
    """Say whether two files have the same voxels at the same places, in whatever order they store them.

    A tenth of a voxel is nothing: the files of one case differ in the last digits of their affines.
    """
    if header.shape == other.shape and _lies_like(header.affine, other.affine, header.shape):
        return True
    (shape, affine), (other_shape, other_affine) = (_turned(h.shape, h.affine) for h in (header, other))
    return shape == other_shape and _lies_like(affine, other_affine, shape)


def _lies_like(affine: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> bool:
    return apart(affine, other, shape) <= 0.1 * np.linalg.norm(affine[:3, :3], axis=0).min()


def _turned(shape: tuple[int, ...], affine: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
    turned, moved = _reorient(np.broadcast_to(np.uint8(0), shape), affine)
    return turned.shape, moved


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with open_stream(path) as stream:
        header = parse_header(stream, path)
        content = read_exactly(stream, header.n_bytes, path)
        try:  # reading to the end makes gzip compare its checksum
            trailing = len(stream.read(TRAILING_BYTES + 1))
        except (EOFError, zlib.error, OSError) as error:
            raise DataError(f"{short_name(path)}: its checksum does not match; copy or download it again") from error
    if trailing > TRAILING_BYTES:
        shape = " x ".join(map(str, header.shape))
        raise DataError(
            f"{short_name(path)}: goes on for more than {TRAILING_BYTES} bytes after its {shape} voxels; "
            "it is not what its header says, export it again"
        )
    stored = np.frombuffer(content, header.voxel).reshape(header.shape, order="F")
    return _reorient(_scale(stored, header), header.affine)


def _scale(stored: np.ndarray, header: Header) -> np.ndarray:
    # Large integers times a slope need float64; what float32 cannot hold becomes inf and is refused by the caller.
    with np.errstate(over="ignore", invalid="ignore"):
        if header.slope == 1 and header.inter == 0:
            return stored.astype(np.float32)
        return (stored * np.float64(header.slope) + header.inter).astype(np.float32)


def _reorient(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from nibabel import orientations  # 0.9 s: not at module level

    turn = orientations.io_orientation(affine)
    moved = affine @ orientations.inv_ornt_aff(turn, voxels.shape)
    return np.ascontiguousarray(orientations.apply_orientation(voxels, turn)), moved
