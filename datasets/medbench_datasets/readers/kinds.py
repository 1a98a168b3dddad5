"""What a file is, by its first bytes: names end as they like (.jfif, .JPG, nothing, or the wrong thing)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Literal

Kind = Literal["picture", "dicom", "nifti"]

FOREIGN = (".jp2", ".j2k", ".heic", ".avif", ".jxl", ".svg", ".mha", ".mhd", ".nrrd", ".img", ".hdr", ".npy", ".mat")
"""Endings of images that no reader here takes; a folder of them is a class that would vanish."""

_START = 352  # bytes: the NIfTI-1 header and its magic
_BITMAP = (12, 40, 52, 56, 64, 108, 124)  # sizes of the second header of a BMP: "BM" alone may begin a text


def sniff(path: Path) -> Kind | None:
    """Say what a file is by its content; None for what is no image that can be read here.

    Raises:
        OSError: If it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(_START)
        if start[:2] == b"\x1f\x8b":
            start = _unpack(start + file.read(4096))
            return "nifti" if _is_nifti(start) else None
    if start[128:132] == b"DICM":
        return "dicom"
    if _is_nifti(start):
        return "nifti"
    return "picture" if _is_picture(start) else None


def _is_picture(start: bytes) -> bool:
    if start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")):
        return True
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):  # TIFF, and the one for large files
        return True
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return True
    return start[:2] == b"BM" and start[6:10] == bytes(4) and int.from_bytes(start[14:18], "little") in _BITMAP


def _is_nifti(start: bytes) -> bool:
    sizes = {int.from_bytes(start[:4], order) for order in ("little", "big")}
    return (348 in sizes and start[344:348] == b"n+1\0") or (540 in sizes and start[4:8] == b"n+2\0")


def _unpack(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(data, _START)
    except zlib.error:
        return b""
