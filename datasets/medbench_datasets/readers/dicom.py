"""Radiographs from DICOM files: one grey frame, as a display would show it."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array

from medbench import DataError
from medbench_datasets.readers.dicom_header import IMAGE_TAGS, LIBRARY_ERRORS, Header, inspect, parse, plugin_of, quiet


def read_radiograph(path: Path, *, name: str) -> np.ndarray:
    """Decode one radiograph as it is meant to be seen.

    Modality LUT or rescale, then the first VOI LUT or window, then smallest to largest value stretched over 0 to 255,
    and MONOCHROME1 inverted, so that bone is bright. A window that leaves a single grey is not applied.

    Args:
        path: The file.
        name: What messages call the file.

    Returns:
        ``uint8 (1, height, width)``; an image of one value is 0 everywhere.

    Raises:
        DataError: Where the file is not one intact grey frame of 8 to 16 bits.
        ResourceError: Where the decoder of its transfer syntax is not installed.

    Source:
        DICOM PS3.3 C.11.1 and C.11.2; order and stretching as in Nguyen et al. 2021, arXiv:2106.12930.
    """
    header = inspect(path, name=name)
    image = parse(path, name, [*IMAGE_TAGS, "PixelData"], stop_before_pixels=False)
    with quiet():
        stored = _decode(image, header, name)
        shown = _window(stored, image, name)
    low, high = float(shown.min()), float(shown.max())
    scaled = (shown - low) * (255 / (high - low)) if high > low else np.zeros(shown.shape)
    grey = np.rint(scaled).astype(np.uint8)
    return (255 - grey if header.inverted and high > low else grey)[None]  # (1, H, W)


def _decode(image: Dataset, header: Header, name: str) -> np.ndarray:
    """Return stored values ``(H, W)``, after a check that the bytes are there and describe the announced image."""
    if "PixelData" not in image:
        raise DataError(f"{name}: has no PixelData, or the file ends before it; download it again")
    wanted = (header.rows, header.columns)
    plugin = plugin_of(image.file_meta.TransferSyntaxUID)
    try:
        if plugin:
            coded = _coded_shape(get_frame(image.PixelData, 0, number_of_frames=1))
            if coded is not None and coded != (*wanted, 1):
                raise DataError(
                    f"{name}: the compressed frame has {coded[0]} x {coded[1]} pixels of {coded[2]} samples, Rows and "
                    f"Columns say {wanted[0]} x {wanted[1]} of 1; download it again"
                )
        else:
            found, expected = len(image.PixelData), math.prod(wanted) * image.BitsAllocated // 8
            if found < expected:
                raise DataError(f"{name}: PixelData has {found} bytes, expected {expected}; download it again")
        pixels = pixel_array(image, decoding_plugin=plugin)
    except LIBRARY_ERRORS:
        raise DataError(
            f"{name}: its pixel data is damaged or cut off and cannot be decoded; download it again"
        ) from None
    if pixels.shape != wanted:
        raise DataError(f"{name}: decoded to {pixels.shape}, Rows and Columns say {wanted}; download it again")
    return pixels


def _coded_shape(frame: bytes) -> tuple[int, int, int] | None:
    """Return rows, columns and samples from a JPEG, JPEG-LS or JPEG 2000 header; None for RLE, which has none."""
    start = frame.find(b"\xff\x4f\xff\x51")  # start of codestream, then SIZ; behind some boxes where it is a JP2 file
    if start == 0 or (start > 0 and frame[4:8] == b"jP  "):
        x1, y1, x0, y0 = struct.unpack_from(">4I", frame, start + 8)
        (samples,) = struct.unpack_from(">H", frame, start + 40)
        return y1 - y0, x1 - x0, samples
    if not frame.startswith(b"\xff\xd8"):
        return None
    position = 2
    while True:
        marker, length = struct.unpack_from(">HH", frame, position)
        if marker == 0xFFFF:  # fill bytes may stand before a marker
            position += 1
        elif marker == 0xFFF7 or (0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC)):
            return struct.unpack_from(">HHB", frame, position + 5)
        else:
            position += 2 + length


def _window(stored: np.ndarray, image: Dataset, name: str) -> np.ndarray:
    try:
        values = apply_modality_lut(stored, image)
        shown = apply_voi_lut(values, image)
    except LIBRARY_ERRORS:
        raise DataError(f"{name}: its lookup table or window is damaged; correct or remove the tag") from None
    # A window beside the data would leave nothing to see, and some exporters write one.
    shown = values if shown.min() == shown.max() else shown
    if not np.isfinite(shown).all():
        raise DataError(f"{name}: its rescale or window gives values that are not finite; correct or remove the tags")
    return shown.astype(np.float64)
