"""Stored values of a DICOM image, held against the tags that describe them: size, depth, alignment, sign, padding."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame, parse_basic_offsets
from pydicom.pixels.utils import pixel_array

from medbench import DataError, ResourceError
from medbench_datasets.readers.dicom.header import IMAGE_TAGS, LIBRARY_ERRORS, Header, parse, plugin_of, quiet
from medbench_datasets.readers.pictures.jpeg import count_scans

_OVERLAY_POSITIONS = [(0x6000 + 2 * plane) << 16 | 0x0102 for plane in range(16)]  # bit of an overlay within a pixel


@dataclass(frozen=True, eq=False)
class Stored:
    """A decoded image.

    Attributes:
        values: ``int16``, ``uint16``, ``int8`` or ``uint8 (H, W)``, as BitsStored and PixelRepresentation have them.
        padding: ``bool (H, W)``, True where PixelPaddingValue says that nothing was seen; None without that tag.
        tags: The data set, with the tags that say how values become greys.
    """

    values: np.ndarray
    padding: np.ndarray | None
    tags: Dataset


def read_stored(path: Path, header: Header, name: str) -> Stored:
    """Decode the one frame of a file whose header was inspected.

    Raises:
        DataError: Where the pixels are damaged or contradict the header.
        ResourceError: Where memory ends.
    """
    image = parse(path, name, [*IMAGE_TAGS, *_OVERLAY_POSITIONS, "PixelData"], stop_before_pixels=False)
    try:
        with quiet():
            raw = _decode(image, header, name)
    except MemoryError:
        raise ResourceError(f"{name}: there is not enough memory to decode it; free some") from None
    raw = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    words = raw.view(f"u{raw.dtype.itemsize}")
    in_words = _padding(raw, header)  # padding may lie outside of what BitsStored can hold
    if in_words is not None:
        words = np.where(in_words, words.dtype.type(0), words)
    _check_unused_bits(words, image, header, name)
    values = _extract(words, header).view(raw.dtype)
    in_values = _padding(values, header) if in_words is not None else None
    if in_words is None or in_values is None:
        return Stored(values, None, image)
    return Stored(values, in_words | in_values, image)


def _decode(image: Dataset, header: Header, name: str) -> np.ndarray:
    """Return words ``(H, W)``, after a check that the bytes are there and describe the announced image."""
    if "PixelData" not in image:
        raise DataError(f"{name}: has no PixelData, or the file ends before it; download it again")
    wanted = (header.rows, header.columns)
    syntax = image.file_meta.TransferSyntaxUID
    plugin = plugin_of(syntax)
    try:
        if plugin:
            _check_frame(image.PixelData, header, syntax, name)
        else:
            found, expected = len(image.PixelData), math.prod(wanted) * header.bits_allocated // 8
            if found < expected:
                raise DataError(f"{name}: PixelData has {found} bytes, expected {expected}; download it again")
            if found - expected > max(1, header.columns * header.bits_allocated // 8 - 1):
                raise DataError(
                    f"{name}: PixelData has {found} bytes, but Rows, Columns and BitsAllocated describe {expected}; "
                    "correct the tags or download it again"
                )
        pixels = pixel_array(image, decoding_plugin=plugin, correct_unused_bits=False)
    except LIBRARY_ERRORS:
        raise DataError(
            f"{name}: its pixel data is damaged or cut off and cannot be decoded; download it again"
        ) from None
    if pixels.shape != wanted:
        raise DataError(f"{name}: decoded to {pixels.shape}, Rows and Columns say {wanted}; download it again")
    return pixels


def _check_frame(data: bytes, header: Header, syntax: str, name: str) -> None:
    """Compare what the compressed frame says of itself with the tags."""
    if len(parse_basic_offsets(data)) > 1:
        raise DataError(f"{name}: PixelData holds several frames, NumberOfFrames says 1; extract one frame")
    if syntax != uid.RLELossless and header.shift:
        raise DataError(
            f"{name}: HighBit is {header.bits_stored - 1 + header.shift} with BitsStored {header.bits_stored}, "
            "compressed pixels start at bit 0; correct the tag"
        )
    frame = get_frame(data, 0, number_of_frames=1)
    coded = _read_code_stream(frame)
    if coded is None:
        return
    rows, columns, samples, bits = coded
    if (rows, columns, samples) != (header.rows, header.columns, 1):
        raise DataError(
            f"{name}: the compressed frame has {rows} x {columns} pixels of {samples} samples, Rows and "
            f"Columns say {header.rows} x {header.columns} of 1; download it again"
        )
    if frame.startswith(b"\xff\xd8") and count_scans(frame) > 1:
        raise DataError(f"{name}: the compressed frame is a JPEG of several scans, DICOM has one; compress it again")
    if bits > header.bits_allocated:
        raise DataError(
            f"{name}: the compressed frame has {bits} bits, BitsAllocated says {header.bits_allocated}; correct the tag"
        )


def _read_code_stream(frame: bytes) -> tuple[int, int, int, int] | None:
    """Return rows, columns, samples and bits from a JPEG, JPEG-LS or JPEG 2000 header; None for RLE, without one."""
    start = frame.find(b"\xff\x4f\xff\x51")  # start of codestream, then SIZ; behind some boxes where it is a JP2 file
    if start == 0 or (start > 0 and frame[4:8] == b"jP  "):
        x1, y1, x0, y0 = struct.unpack_from(">4I", frame, start + 8)
        samples, depth = struct.unpack_from(">HB", frame, start + 40)
        return y1 - y0, x1 - x0, samples, (depth & 0x7F) + 1
    if not frame.startswith(b"\xff\xd8"):
        return None
    position = 2
    while True:
        marker, length = struct.unpack_from(">HH", frame, position)
        if marker == 0xFFFF:  # fill bytes may stand before a marker
            position += 1
        elif marker == 0xFFF7 or (0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC)):
            bits, rows, columns, samples = struct.unpack_from(">BHHB", frame, position + 4)
            return rows, columns, samples, bits
        else:
            position += 2 + length


def _padding(values: np.ndarray, header: Header) -> np.ndarray | None:
    """Tell where PixelPaddingValue, or the range up to PixelPaddingRangeLimit, stands; whatever sign it is given in."""
    if header.padding is None:
        return None
    words = [limit % 2**header.bits_allocated for limit in header.padding]
    low, high = sorted(np.array(words, dtype=f"u{values.itemsize}").view(values.dtype).tolist())
    return (values >= low) & (values <= high)


def _check_unused_bits(words: np.ndarray, image: Dataset, header: Header, name: str) -> None:
    """Refuse pixels that use bits which BitsStored and HighBit call unused; an old overlay may lie there."""
    if any(tag in image for tag in _OVERLAY_POSITIONS):
        return
    top = header.shift + header.bits_stored
    below = 2**header.shift - 1
    above = 2**header.bits_allocated - 2**top
    if not (below or above):
        return
    unused = words & words.dtype.type(below | above)
    strange = unused != 0
    if header.signed:  # a negative value may repeat its sign to the left
        negative = (words >> np.uint8(top - 1) & 1).astype(bool)
        strange &= ~(negative & (unused == above))
    if strange.any():
        raise DataError(
            f"{name}: its pixels use bits that BitsStored ({header.bits_stored}) and HighBit ({top - 1}) call unused; "
            "correct the tags or convert the image"
        )


def _extract(words: np.ndarray, header: Header) -> np.ndarray:
    """Return words with the stored bits alone, from bit 0 on, and the sign to the left where there is one."""
    if not header.signed:
        return words >> np.uint8(header.shift) & words.dtype.type(2**header.bits_stored - 1)
    to_top = np.uint8(header.bits_allocated - header.bits_stored - header.shift)
    signed = (words << to_top).view(f"i{words.itemsize}")
    return (signed >> signed.dtype.type(header.bits_allocated - header.bits_stored)).view(words.dtype)
