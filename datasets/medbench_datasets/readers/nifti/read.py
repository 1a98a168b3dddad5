"""NIfTI volumes as arrays in RAS order, read with bounded memory.

Spatial axes always run to the patient's right, front and top, whatever the scanner or the converter stored.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from medbench import DataError, ResourceError
from medbench_datasets.readers.budget import check_budget
from medbench_datasets.readers.nifti.affine import apart
from medbench_datasets.readers.nifti.header import Header, open_stream, parse_header, read_exactly, short_name

TRAILING_BYTES = 1 << 20  # some converters pad; more than 1 MiB behind the voxels is another thing than claimed
SLAB = 1 << 20  # voxels that are converted at once

# Bytes of memory a voxel takes at the peak: reading and standardising an image (measured: 19), and a segmentation
A_VOXEL, A_LABEL = 20, 3


def read_volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read an image.

    Returns:
        ``float32 (X, Y, Z)`` scaled voxels, reordered and flipped to the axes nearest to RAS+ (never resampled), and
        the ``float64 (4, 4)`` affine that goes with them, in millimetres.

    Raises:
        DataError: If the file is damaged, claims more than it holds or more than is read at most, would take much more
            memory than it is large, goes on behind its voxels, is no volume of numbers, or holds NaN, infinite or only
            equal voxels.
        ResourceError: Where memory ends.
    """
    header, stored, affine = _read(path, A_VOXEL)
    voxels = np.empty(stored.shape, dtype=np.float32)
    for slab, values in _slabs(stored, header):
        voxels[slab] = values
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
    header, stored, affine = _read(path, A_LABEL)
    labels = np.empty(stored.shape, dtype=np.uint8)
    is_whole, low, high = True, np.inf, -np.inf
    for slab, values in _slabs(stored, header):
        with np.errstate(invalid="ignore"):
            whole = np.rint(values)
            is_whole &= bool(np.abs(values - whole).max() < 1e-3)  # False for NaN as well
            low, high = min(low, whole.min()), max(high, whole.max())
            labels[slab] = whole.clip(0, 255)
    if not is_whole:
        raise DataError(f"{short_name(path)}: its labels are no whole numbers; give a segmentation, no probabilities")
    if low < 0 or high > 255:
        raise DataError(f"{short_name(path)}: its labels leave 0 to 255; give the segmentation, not the image")
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
    (shape, affine), (other_shape, other_affine) = (_turn(h.shape, h.affine) for h in (header, other))
    return shape == other_shape and _lies_like(affine, other_affine, shape)


def _lies_like(affine: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> bool:
    return apart(affine, other, shape) <= 0.1 * np.linalg.norm(affine[:3, :3], axis=0).min()


def _turn(shape: tuple[int, ...], affine: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
    turned, moved = _reorient(np.broadcast_to(np.uint8(0), shape), affine)
    return turned.shape, moved


def _read(path: Path, a_voxel: int) -> tuple[Header, np.ndarray, np.ndarray]:
    """Return the header, the stored numbers as a view in RAS order, and the affine that goes with that order."""
    with open_stream(path) as stream:
        header = parse_header(stream, path)
        shape = " x ".join(map(str, header.shape))
        check_budget(
            f"{short_name(path)}:",
            needs=math.prod(header.shape) * (a_voxel + max(0, header.voxel.itemsize - 4)),
            held=path.stat().st_size,
            what=f"a volume of {shape}",
        )
        try:
            content = read_exactly(stream, header.n_bytes, path)
        except MemoryError:
            raise ResourceError(f"{short_name(path)}: there is not enough memory to read it; free some") from None
        try:  # reading to the end makes gzip compare its checksum
            trailing = stream.read(TRAILING_BYTES + 1)
        except (EOFError, zlib.error, OSError) as error:
            raise DataError(f"{short_name(path)}: its checksum does not match; copy or download it again") from error
    if len(trailing) > TRAILING_BYTES:
        raise DataError(
            f"{short_name(path)}: goes on for more than {TRAILING_BYTES} bytes after its {shape} voxels; "
            "it is not what its header says, export it again"
        )
    if any(trailing) and len(trailing) >= header.n_bytes // header.shape[2]:
        raise DataError(
            f"{short_name(path)}: goes on for {len(trailing)} bytes after its {shape} voxels of "
            f"{header.voxel.itemsize} bytes; its header gives another size or type than it has, export it again"
        )
    stored = np.frombuffer(content, header.voxel).reshape(header.shape, order="F")
    return header, *_reorient(stored, header.affine)


def _slabs(stored: np.ndarray, header: Header) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices along the first axis and their scaled values, ``float32``."""
    rows = max(1, SLAB // math.prod(stored.shape[1:]))
    for start in range(0, len(stored), rows):
        slab = slice(start, min(len(stored), start + rows))
        # Large integers times a slope need float64; what float32 cannot hold becomes inf and is refused by the caller.
        with np.errstate(over="ignore", invalid="ignore"):
            if header.slope == 1 and header.inter == 0:
                yield slab, stored[slab].astype(np.float32)
            else:
                yield slab, (stored[slab] * np.float64(header.slope) + header.inter).astype(np.float32)


def _reorient(voxels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a view whose axes are nearest to RAS+, and its affine."""
    from nibabel import orientations  # 0.9 s: not at module level

    turn = orientations.io_orientation(affine)
    moved = affine @ orientations.inv_ornt_aff(turn, voxels.shape)
    return orientations.apply_orientation(voxels, turn), moved
