"""What the tags of a DICOM radiograph say, checked before any of its pixels are touched.

Only the tags named here are read, no text of a file ever reaches a message, and what a file claims is held against a
budget. PixelSpacing is not read: images are scaled to a working size.
"""

from __future__ import annotations

import logging
import math
import os
import stat
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import Tag

from medbench import DataError, ResourceError
from medbench_datasets.readers.budget import check_budget

MAX_PIXELS = 64_000_000
"""The largest radiograph accepted; a detector of 43 cm at 0.1 mm has 18 million."""

_A_PIXEL = 8  # bytes of memory: pydicom takes up to 6.2 (JPEG 2000; RLE 4.3), what follows takes the rest

PACKAGES = {  # what decodes a transfer syntax; None: nothing has to be decoded
    uid.ImplicitVRLittleEndian: None,
    uid.ExplicitVRLittleEndian: None,
    uid.ExplicitVRBigEndian: None,
    uid.RLELossless: "pydicom",  # its own decoder: that of pylibjpeg-rle panics on damaged segments
    uid.JPEGBaseline8Bit: "pylibjpeg-libjpeg",
    uid.JPEGExtended12Bit: "pylibjpeg-libjpeg",
    uid.JPEGLossless: "pylibjpeg-libjpeg",
    uid.JPEGLosslessSV1: "pylibjpeg-libjpeg",
    uid.JPEGLSLossless: "pylibjpeg-libjpeg",
    uid.JPEGLSNearLossless: "pylibjpeg-libjpeg",
    uid.JPEG2000Lossless: "pylibjpeg-openjpeg",
    uid.JPEG2000: "pylibjpeg-openjpeg",
    uid.HTJ2KLossless: "pylibjpeg-openjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg-openjpeg",
    uid.HTJ2K: "pylibjpeg-openjpeg",
}

IMAGE_TAGS = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
]
_IDENTIFYING_TAGS = ["PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "PatientAddress"]

# Everything pydicom and the decoders were seen to raise on damaged files; a bug of ours would be none of these.
LIBRARY_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Header:
    """What a file says about its image, apart from the pixels.

    Attributes:
        rows: Height in pixels.
        columns: Width in pixels.
        inverted: Whether small values are bright (MONOCHROME1).
        bits_allocated: Bits of a stored word, 8 or 16.
        bits_stored: Bits of it that are used.
        shift: Bits below them.
        signed: Whether values are signed.
        padding: The two ends of the range of values that stand for nothing; None where there is no such range.
        instance: SOPInstanceUID, empty where there is none.
        identifying: Keywords of filled tags that may identify a person; their values are not kept.
        executable: Whether the preamble is that of a program; it is ignored.
    """

    rows: int
    columns: int
    inverted: bool
    bits_allocated: int
    bits_stored: int
    shift: int
    signed: bool
    padding: tuple[int, int] | None
    instance: str
    identifying: tuple[str, ...]
    executable: bool


def inspect(path: Path, *, name: str) -> Header:
    """Read the tags of a radiograph and check them; the pixels stay on disk.

    Raises:
        DataError: Where the file is not a DICOM image this reader takes.
    """
    start = _first_bytes(path, name)
    _check_transfer_syntax(path, name)
    tags = parse(path, name, [*IMAGE_TAGS, *_IDENTIFYING_TAGS, "SOPInstanceUID"], stop_before_pixels=True)
    rows, columns = _check_image(tags, name)
    _check_depth(tags, name)
    _check_scales(tags, name)
    check_budget(
        f"{name}:",
        needs=rows * columns * _A_PIXEL,
        held=path.stat().st_size,
        what=f"an image of {columns} x {rows}",
    )
    filled = (key for key in _IDENTIFYING_TAGS if key in tags and bytes(tags.get_item(key).value or b"").strip(b" \0"))
    return Header(
        rows=rows,
        columns=columns,
        inverted=tags.PhotometricInterpretation == "MONOCHROME1",
        bits_allocated=tags.BitsAllocated,
        bits_stored=tags.BitsStored,
        shift=_integer(tags, "HighBit", name, default=tags.BitsStored - 1) + 1 - tags.BitsStored,
        signed=tags.PixelRepresentation == 1,
        padding=_padding(tags, name),
        instance=str(tags.get("SOPInstanceUID", "")),
        identifying=tuple(filled),
        executable=start.startswith((b"MZ", b"\x7fELF")),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from warning and logging: it quotes the values of tags."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _first_bytes(path: Path, name: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a named pipe would wait for ever
            raise DataError(f"{name}: is not a regular file; put the DICOM file itself there")
        with open(path, "rb") as file:
            start = file.read(1024)
    except FileNotFoundError:
        raise DataError(f"{name}: the file is missing; download it again") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({os.strerror(error.errno or 0)}); check its permissions") from None
    if not start:
        raise DataError(f"{name}: has 0 bytes; download it again")
    if start[128:132] == b"DICM":
        return start
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(f"{name}: starts with <, a web page and not a DICOM image; log in and download it again")
    raise DataError(f"{name}: has no DICM at byte 128, so it is not a DICOM file; download it again or remove it")


def _check_transfer_syntax(path: Path, name: str) -> None:
    try:
        with quiet():
            meta = read_file_meta_info(path)
            syntax, kind = meta.get("TransferSyntaxUID", uid.UID("")), meta.get("MediaStorageSOPClassUID")
            title = "an unknown one" if syntax.name == syntax else syntax.name  # the unknown could be any text
    except LIBRARY_ERRORS:
        raise DataError(f"{name}: its file meta information is damaged; download it again") from None
    if kind == uid.MediaStorageDirectoryStorage:
        raise DataError(f"{name}: is a DICOMDIR, a list of files and not an image; give the images themselves")
    if not syntax:
        raise DataError(f"{name}: has no TransferSyntaxUID; convert it with a DICOM toolkit, or download it again")
    if syntax not in PACKAGES:
        raise DataError(f"{name}: its transfer syntax ({title}) is not supported; convert it to explicit little endian")
    package = PACKAGES[syntax]
    if package and plugin_of(syntax) not in get_decoder(syntax).available_plugins:
        raise ResourceError(f"{name}: no decoder for {title}; install the package {package}")


def plugin_of(syntax: str) -> str:
    """Return the plugin of pydicom that decodes a transfer syntax; a fixed one, since another would give other bits."""
    package = PACKAGES[uid.UID(syntax)]
    return (package or "").partition("-")[0]


def parse(path: Path, name: str, keywords: Sequence[str | int], *, stop_before_pixels: bool) -> Dataset:
    try:
        with quiet():
            tags = dcmread(path, specific_tags=[Tag(key) for key in keywords], stop_before_pixels=stop_before_pixels)
            for keyword in keywords:  # values are converted on first access, which is where damage shows
                if keyword != "PixelData" and keyword not in _IDENTIFYING_TAGS:
                    tags.get(keyword)
    except RecursionError:
        raise DataError(f"{name}: its sequences are nested too deeply to be read; download it again") from None
    except LIBRARY_ERRORS:
        raise DataError(f"{name}: its tags are damaged or cut off; download it again") from None
    return tags


def _check_image(tags: Dataset, name: str) -> tuple[int, int]:
    """Return rows and columns, or say which tag rules the image out."""
    photometric = tags.get("PhotometricInterpretation")
    samples = _integer(tags, "SamplesPerPixel", name)
    if not photometric and samples == 1:
        raise DataError(
            f"{name}: the tag PhotometricInterpretation is missing, so nothing says whether small values are dark; "
            "write MONOCHROME2 into it where they are, else MONOCHROME1"
        )
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise DataError(
            f"{name}: PhotometricInterpretation and SamplesPerPixel ({samples}) describe a colour image, expected "
            "MONOCHROME1 or MONOCHROME2 with 1 sample; convert it to grey or remove it"
        )
    frames = _integer(tags, "NumberOfFrames", name, default=1)
    if frames != 1:
        raise DataError(f"{name}: NumberOfFrames is {frames}, multi-frame is not supported; extract one frame")
    rows, columns = _integer(tags, "Rows", name), _integer(tags, "Columns", name)
    for keyword, value in (("Rows", rows), ("Columns", columns)):
        if value < 1:
            raise DataError(f"{name}: {keyword} is {value}, expected at least 1; download it again")
    if rows * columns > MAX_PIXELS:
        raise DataError(
            f"{name}: Rows x Columns is {rows} x {columns}, more than {MAX_PIXELS:,} pixels; scale the image down"
        )
    return rows, columns


def _check_depth(tags: Dataset, name: str) -> None:
    allocated = _integer(tags, "BitsAllocated", name)
    if allocated not in (8, 16):
        raise DataError(f"{name}: BitsAllocated is {allocated}, expected 8 or 16; convert the image")
    bits = _integer(tags, "BitsStored", name)
    if not 1 <= bits <= allocated:
        raise DataError(f"{name}: BitsStored is {bits}, expected 1 to {allocated}; download it again")
    high = _integer(tags, "HighBit", name, default=bits - 1)
    if not bits - 1 <= high < allocated:
        raise DataError(
            f"{name}: HighBit is {high} with BitsStored {bits} and BitsAllocated {allocated}, expected {bits - 1}; "
            "correct the tag"
        )
    signed = _integer(tags, "PixelRepresentation", name)
    if signed not in (0, 1):
        raise DataError(f"{name}: PixelRepresentation is {signed}, expected 0 or 1; download it again")


def _padding(tags: Dataset, name: str) -> tuple[int, int] | None:
    if tags.get("PixelPaddingValue") in (None, ""):
        return None
    value = _integer(tags, "PixelPaddingValue", name)
    return value, _integer(tags, "PixelPaddingRangeLimit", name, default=value)


def _check_scales(tags: Dataset, name: str) -> None:
    slope = _number(tags, "RescaleSlope", name)
    if slope is not None and not 1e-6 <= abs(slope) <= 1e6:
        raise DataError(
            f"{name}: RescaleSlope is {slope:g}, expected 0.000001 to 1000000, or the same below 0; correct the tag"
        )
    intercept = _number(tags, "RescaleIntercept", name)
    if intercept is not None and not abs(intercept) <= 1e9:
        raise DataError(f"{name}: RescaleIntercept is {intercept:g}, expected at most 1000000000; correct the tag")
    width = _number(tags, "WindowWidth", name)
    centre = _number(tags, "WindowCenter", name)
    smallest = 1.0 if (tags.get("VOILUTFunction") or "LINEAR") == "LINEAR" else math.ulp(0.0)
    if width is not None and not smallest <= width <= 1e9:
        raise DataError(f"{name}: WindowWidth is {width:g}, expected at least 1; correct or remove the tag")
    if centre is not None and not abs(centre) <= 1e9:
        raise DataError(f"{name}: WindowCenter is {centre:g}, expected a grey value; correct or remove the tag")


def _integer(tags: Dataset, keyword: str, name: str, *, default: int | None = None) -> int:
    value = tags.get(keyword)
    if value is None or value == "":
        if default is not None:
            return default
        raise DataError(f"{name}: the tag {keyword} is missing; download the file again")
    if not isinstance(value, int):
        raise DataError(f"{name}: the tag {keyword} is not a single whole number; download the file again")
    return int(value)


def _number(tags: Dataset, keyword: str, name: str) -> float | None:
    """Return a decimal tag, the first of several, or None where it is missing or empty."""
    value: Any = tags.get(keyword)
    if value is None or value == "":
        return None
    try:
        return float(value if isinstance(value, (int, float)) else value[0])
    except (ArithmeticError, LookupError, TypeError, ValueError):
        raise DataError(f"{name}: the tag {keyword} is not a number; correct or remove it") from None
