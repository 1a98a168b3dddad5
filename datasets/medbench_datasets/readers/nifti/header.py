"""The 348 or 540 bytes at the start of a NIfTI file, checked before anything behind them is believed.

Parsed with a NumPy dtype and not with nibabel, whose import takes 0.9 s: an index looks at thousands of headers and
must be quick. The tests compare every value with nibabel's.
"""

from __future__ import annotations

import gzip
import math
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from medbench import DataError
from medbench_datasets.readers.nifti.affine import best_affine

MAX_BYTES = 1 << 29
"""Largest uncompressed voxel array that is read: 512 MiB, 512 x 512 x 1024 of int16."""

MAX_OFFSET = 1 << 24  # 16 MiB of header extensions; real ones hold kilobytes
DEFLATE_LIMIT = 1032  # no deflate stream expands further (zlib.net, "Technical Details")

_NIFTI1 = {
    "dim": ("8i2", 40),
    "datatype": ("i2", 70),
    "pixdim": ("8f4", 76),
    "vox_offset": ("f4", 108),
    "slope": ("f4", 112),
    "inter": ("f4", 116),
    "qform_code": ("i2", 252),
    "sform_code": ("i2", 254),
    "quaternion": ("3f4", 256),
    "qoffset": ("3f4", 268),
    "srow": ("(3,4)f4", 280),
    "magic": ("S4", 344),
}
_NIFTI2 = {
    "magic": ("S4", 4),
    "datatype": ("i2", 12),
    "dim": ("8i8", 16),
    "pixdim": ("8f8", 104),
    "vox_offset": ("i8", 168),
    "slope": ("f8", 176),
    "inter": ("f8", 184),
    "qform_code": ("i4", 344),
    "sform_code": ("i4", 348),
    "quaternion": ("3f8", 352),
    "qoffset": ("3f8", 376),
    "srow": ("(3,4)f8", 400),
}


def _dtype(fields: dict[str, tuple[str, int]], size: int, order: Literal["<", ">"]) -> np.dtype:
    formats, offsets = [f for f, _ in fields.values()], [o for _, o in fields.values()]
    layout = np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": size})
    return layout.newbyteorder(order)


_ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")
_DTYPES = {(o, size): _dtype(f, size, o) for f, size in ((_NIFTI1, 348), (_NIFTI2, 540)) for o in _ORDERS}
_VOXELS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_UNSUPPORTED = {1: "binary", 32: "complex", 128: "RGB", 1536: "128-bit float", 1792: "complex", 2304: "RGBA"}


@dataclass(frozen=True, eq=False)
class Header:
    """What a header says, once it makes sense.

    Attributes:
        shape: Voxels along the three axes as stored.
        affine: ``float64 (4, 4)`` from voxel indices to millimetres, RAS+.
        voxel: NumPy type of a stored voxel, with its byte order.
        offset: Bytes before the first voxel.
        slope: Stored values are multiplied by it,
        inter: and this is added.
        note: A sentence on what looks odd, or empty.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    voxel: np.dtype
    offset: int
    slope: float
    inter: float
    note: str = ""

    @property
    def spacing_mm(self) -> np.ndarray:
        """``float64 (3,)``: length of a voxel along each stored axis."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def n_bytes(self) -> int:
        """Bytes of the voxel array."""
        return math.prod(self.shape) * self.voxel.itemsize


def read_header(path: Path) -> Header:
    """Read and check the header of a ``.nii`` or ``.nii.gz`` file; the voxels stay unread.

    Raises:
        DataError: If the file is no single-file NIfTI-1 or NIfTI-2 image, or its header cannot be true.
    """
    with open_stream(path) as stream:
        return parse_header(stream, path)


def short_name(path: Path) -> str:
    """Return the last two parts of `path`, printable: enough to find the file, and no path of a machine."""
    text = "/".join(path.parts[-2:])
    return text if text.isprintable() else ascii(text)[1:-1]


@contextmanager
def open_stream(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, through gunzip where it starts as gzip does, whatever its name.

    Raises:
        DataError: If it is missing, empty, unreadable or no regular file.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
            raise DataError(f"{short_name(path)}: is no regular file; put the image itself there")
        if found.st_size == 0:
            raise DataError(f"{short_name(path)}: is empty (0 bytes); copy or download it again")
        file = path.open("rb")
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise DataError(f"{short_name(path)}: cannot be opened ({reason}); restore it or make it readable") from error
    with file:
        if file.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file, mode="rb") as stream:
                yield stream  # type: ignore[misc]
        else:
            yield file


def read_exactly(stream: BinaryIO, n: int, path: Path) -> bytearray:
    """Read `n` bytes in small steps, so that a lying size costs no more memory than the file has content.

    Raises:
        DataError: If the file ends early or its compression is damaged.
    """
    content, filled = bytearray(n), 0  # zeros that the system hands out only where something is written
    try:
        while filled < n and (chunk := stream.read(min(n - filled, 1 << 20))):
            content[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{short_name(path)}: its compressed data are cut off or damaged after {filled} of {n} bytes; "
            "copy or download it again"
        ) from error
    if filled < n:
        raise DataError(f"{short_name(path)}: is cut off ({filled} of {n} bytes); copy or download it again")
    return content


def parse_header(stream: BinaryIO, path: Path) -> Header:
    """Check the header at the start of `stream`, extensions included; leaves the stream at the first voxel.

    Raises:
        DataError: As :func:`read_header`.
    """
    name = short_name(path)
    start = bytes(read_exactly(stream, 4, path))
    order, size = _layout(start, name)
    block = start + bytes(read_exactly(stream, size - 4, path))
    raw = np.frombuffer(block, _DTYPES[order, size])[0]
    magic = bytes(raw["magic"])
    if magic in (b"ni1", b"ni2", b""):
        kind = "header of an .hdr/.img pair" if magic else "Analyze 7.5 header"
        raise DataError(f"{name}: is the {kind}, which says too little or lies apart; convert it to one .nii.gz file")
    if magic not in (b"n+1", b"n+2"):
        raise DataError(f"{name}: has no NIfTI magic in its header; save it again as .nii.gz")
    shape = _shape(raw["dim"], name)
    code = int(raw["datatype"])
    if code not in _VOXELS:
        kind = _UNSUPPORTED.get(code, f"of unknown type {code}")
        raise DataError(f"{name}: its voxels are {kind}, expected integers or floats; export a greyscale volume")
    affine, note = best_affine(raw, name)
    slope, inter = _scaling(raw, name)
    voxel = np.dtype(order + _VOXELS[code])
    header = Header(shape, affine, voxel, _offset(raw, size, name), slope, inter, note)
    _check_size(header, path)
    _check_extensions(read_exactly(stream, header.offset - size, path), order, name)
    return header


def _layout(start: bytes, name: str) -> tuple[Literal["<", ">"], int]:
    for order in _ORDERS:
        size = int(np.frombuffer(start, f"{order}i4")[0])
        if size in (348, 540):
            return order, size
    hint = "; it looks like a web page, perhaps a login page" if start.lstrip()[:1] == b"<" else ""
    raise DataError(f"{name}: is no NIfTI file (its first number is neither 348 nor 540){hint}; download it again")


def _shape(dim: np.ndarray, name: str) -> tuple[int, int, int]:
    n = int(dim[0])
    if not 1 <= n <= 7:
        raise DataError(f"{name}: claims {n} axes (dim[0]), expected 3; export it again")
    lengths = [int(length) for length in dim[1 : n + 1]]
    while len(lengths) > 3 and lengths[-1] == 1:  # many tools write (X, Y, Z, 1)
        lengths.pop()
    if len(lengths) != 3 or min(lengths) < 2:
        found = " x ".join(map(str, lengths))
        if len(lengths) > 3:
            raise DataError(
                f"{name}: has {found} voxels, several volumes in one file, expected a volume with three axes; split it "
                "into one file a modality"
            )
        raise DataError(f"{name}: has {found} voxels, expected a volume with three axes; give one volume a file")
    return lengths[0], lengths[1], lengths[2]


def _offset(raw: np.void, size: int, name: str) -> int:
    offset = float(raw["vox_offset"])
    if not (math.isfinite(offset) and offset == int(offset) and size + 4 <= offset <= MAX_OFFSET):
        raise DataError(
            f"{name}: its voxels start at byte {offset:g} (vox_offset), expected {size + 4} to {MAX_OFFSET}; "
            "save it again"
        )
    return int(offset)


def _check_size(header: Header, path: Path) -> None:
    claimed = header.n_bytes
    shape = " x ".join(map(str, header.shape))
    if claimed > MAX_BYTES:
        raise DataError(
            f"{short_name(path)}: claims {shape} voxels, {claimed >> 20} MiB, more than the {MAX_BYTES >> 20} MiB that "
            "are read; resample it or export it again"
        )
    held = path.stat().st_size
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == b"\x1f\x8b"
    if held * (DEFLATE_LIMIT if is_gzip else 1) < claimed:
        raise DataError(
            f"{short_name(path)}: is cut off ({held} bytes cannot hold {shape} voxels, {claimed} bytes); "
            "copy or download it again"
        )


def _check_extensions(content: bytearray, order: str, name: str) -> None:
    """Walk the chain of extensions: 4 flag bytes, then (size, code, data) until the voxels start."""
    if not content or content[0] == 0:
        return
    at = 4
    while at + 8 <= len(content):
        size = int(np.frombuffer(content, f"{order}i4", count=1, offset=at)[0])
        if size < 8 or at + size > len(content):
            raise DataError(
                f"{name}: a header extension claims {size} bytes where {len(content) - at} lie before the voxels; "
                "save it again without extensions"
            )
        at += size


def _scaling(raw: np.void, name: str) -> tuple[float, float]:
    slope, inter = float(raw["slope"]), float(raw["inter"])
    if slope == 0:  # the standard's way to say "not scaled"
        return 1.0, 0.0
    # Beyond these a value is a damaged header: no scanner's numbers leave the range.
    if not (1e-12 <= abs(slope) <= 1e12 and abs(inter) <= 1e12):  # False for NaN as well
        raise DataError(
            f"{name}: scales its voxels by {slope:g} and adds {inter:g} (scl_slope, scl_inter); save it again"
        )
    return slope, inter
