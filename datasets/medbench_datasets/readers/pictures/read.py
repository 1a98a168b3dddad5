"""Ordinary pictures (PNG, JPEG, BMP, TIFF, GIF, WebP) as arrays, and the one way they are brought to a working size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from medbench import DataError
from medbench_datasets.readers.pictures.depth import as_bytes
from medbench_datasets.readers.pictures.header import FORMATS, MAX_PIXELS, ORIENTATION, opened, shown

__all__ = ["MAX_PIXELS", "fit_square", "fit_square_mask", "read_picture", "read_picture_size", "shown"]


def read_picture(path: Path, *, channels: Literal[1, 3] = 1) -> np.ndarray:
    """Decode a picture upright, as gray or as colour.

    The content decides about the format, not the ending of the name. An EXIF orientation is applied. CMYK, palettes
    and other colour spaces are converted; what is transparent becomes black. What has more than 8 bits a channel is
    scaled from the smallest to the largest value that is visible to 0..255, since such files rarely use the whole
    range: 12 bits in 16 give the same picture as gray, with opacity and in colour.

    Args:
        path: An existing file.
        channels: 1 for gray (luma of ITU-R BT.601 where the file has colour), 3 for RGB.

    Returns:
        ``uint8 (channels, H, W)``.

    Raises:
        DataError: Where the file is absent, empty, no picture, has several pages, is damaged or has more than 40
            million pixels, would take much more memory than the file is large, or is of a kind whose pixels Pillow
            gives wrong; all but damage is found before anything is decoded.
    """
    try:
        with opened(path, channels=channels) as picture, path.open("rb") as again:
            pixels = as_bytes(picture, channels, lambda: Image.open(again, formats=FORMATS))
            # Not before: asking a PNG for it decodes the picture. Pillow turns a TIFF itself.
            turn = 1 if isinstance(picture, TiffImageFile) else picture.getexif().get(ORIENTATION, 1)
    except FloatingPointError:
        raise DataError(f"{shown(path)} holds pixels that are not finite; export it again") from None
    return _upright(pixels, turn)


def read_picture_size(path: Path) -> tuple[int, int, bool]:
    """Read the width and height a picture has when upright, and whether an EXIF orientation turns it, from its header.

    Raises:
        DataError: As :func:`read_picture`, as far as a header can tell.
    """
    with opened(path) as picture:
        is_tiff = isinstance(picture, TiffImageFile)
        turn = picture.getexif().get(ORIENTATION, 1)
        width, height = picture.size
    if turn in (5, 6, 7, 8) and not is_tiff:  # Pillow gives the size of a TIFF upright
        width, height = height, width
    return width, height, turn in (2, 3, 4, 5, 6, 7, 8)


def fit_square(pixels: np.ndarray, size: int, *, fill: float = 0.0) -> np.ndarray:
    """Pad to a centred square and resize it, never squashing.

    Args:
        pixels: ``uint8`` or ``float32 (C, H, W)``.
        size: Wanted pixels along both axes.
        fill: Value of the padding.

    Returns:
        ``(C, size, size)`` of the same dtype. Bilinear; where it shrinks, the filter widens with the factor, so that
        nothing aliases.
    """
    if pixels.dtype not in (np.uint8, np.float32):
        raise ValueError(f"pixels must be uint8 or float32, got {pixels.dtype}")
    height, width = pixels.shape[-2:]
    if max(height, width) == size:
        return _pad(pixels, fill)
    return np.stack([_resize(plane, size, fill) for plane in pixels])


def fit_square_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Bring a mask ``uint8 (H, W)`` where :func:`fit_square` brings its picture; nearest label, 0 in the padding."""
    height, width = mask.shape
    side = max(height, width)
    index = Image.fromarray(np.arange(side, dtype=np.int32)[None]).resize((size, 1), Image.Resampling.NEAREST)
    rows, columns = (np.asarray(index)[0] - (side - length) // 2 for length in (height, width))  # of the mask
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    return np.where(inside, mask[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)], 0).astype(mask.dtype)


def _upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(-2, -1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[..., ::-1, :]
    if turn in (2, 3, 6, 7):
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(pixels)


def _resize(plane: np.ndarray, size: int, fill: float) -> np.ndarray:
    """Resize ``(H, W)`` within its square, without ever holding the square: first along rows, then along columns.

    Pillow filters along rows first as well, so the result is the same to the bit.
    """
    height, width = plane.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    narrow = np.empty((side, size), dtype=plane.dtype)
    if height < side:
        narrow[:] = _along_rows(np.full((1, side), fill, dtype=plane.dtype), size)
    for start, stop in _strips(side, height):
        strip = plane[start:stop]
        if width < side:
            strip = np.full((stop - start, side), fill, dtype=plane.dtype)
            strip[:, left : left + width] = plane[start:stop]
        narrow[top + start : top + stop] = _along_rows(strip, size)
    return np.asarray(Image.fromarray(narrow).resize((size, size), Image.Resampling.BILINEAR))


def _along_rows(strip: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(strip).resize((size, len(strip)), Image.Resampling.BILINEAR))


def _strips(width: int, height: int) -> Iterator[tuple[int, int]]:
    rows = max(1, (1 << 22) // width)
    for start in range(0, height, rows):
        yield start, min(height, start + rows)


def _pad(pixels: np.ndarray, fill: float) -> np.ndarray:
    height, width = pixels.shape[-2:]
    side = max(height, width)
    square = np.full((*pixels.shape[:-2], side, side), fill, dtype=pixels.dtype)
    top, left = (side - height) // 2, (side - width) // 2
    square[..., top : top + height, left : left + width] = pixels
    return square
