"""Ordinary pictures (PNG, JPEG, BMP, TIFF, GIF, WebP) as arrays, and the one way they are brought to a working size."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from medbench import DataError

MAX_PIXELS = 40_000_000  # a radiograph of 43 x 43 cm at 0.1 mm has 18 million
ORIENTATION = 0x0112  # the EXIF tag
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP")  # no EPS, PSD and the like: less code that strangers can reach

# Whatever a decoder of Pillow was seen to raise on damaged files; the text of these may quote the file and is dropped.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, RuntimeError),
    *(OverflowError, ZeroDivisionError, struct.error, zlib.error),
)


def read_picture(path: Path, *, channels: Literal[1, 3] = 1) -> np.ndarray:
    """Decode a picture upright, as gray or as colour.

    The content decides about the format, not the ending of the name. An EXIF orientation is applied. CMYK, palettes
    and other colour spaces are converted; what is transparent becomes black. Gray with more than 8 bits is scaled
    from its own minimum and maximum to 0..255, since such files rarely use the whole range.

    Args:
        path: An existing file.
        channels: 1 for gray (luma of ITU-R BT.601 where the file has colour), 3 for RGB.

    Returns:
        ``uint8 (channels, H, W)``.

    Raises:
        DataError: Where the file is absent, empty, no picture, has several pages, is damaged or has more than 40
            million pixels, which is found before anything is decoded.
    """
    name = shown(path)
    with _opened(path, name) as picture:
        if picture.format in ("TIFF", "GIF") and getattr(picture, "n_frames", 1) > 1:
            raise DataError(f"{name} holds several pictures, expected one; save each as a file of its own")
        pixels = _as_array(ImageOps.exif_transpose(picture), channels)
    if not np.isfinite(pixels).all():
        raise DataError(f"{name} holds pixels that are not finite; export it again")
    return pixels if pixels.dtype == np.uint8 else _scaled(pixels)


def read_picture_size(path: Path) -> tuple[int, int, bool]:
    """Read the width and height a picture has when upright, and whether an EXIF orientation turns it, from its header.

    Raises:
        DataError: As :func:`read_picture`, as far as a header can tell.
    """
    with _opened(path, shown(path)) as picture:
        orientation = picture.getexif().get(ORIENTATION, 1) if picture.info.get("exif") else 1
        width, height = picture.size
    return (height, width, True) if orientation in (5, 6, 7, 8) else (width, height, orientation in (2, 3, 4))


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
    square = _padded(pixels, fill)
    if square.shape[-1] == size:
        return square
    planes = [Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR) for plane in square]
    return np.stack([np.asarray(plane) for plane in planes])


def fit_square_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Bring a mask ``uint8 (H, W)`` where :func:`fit_square` brings its picture; nearest label, 0 in the padding."""
    square = _padded(mask[None], 0)[0]
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.NEAREST))


def shown(path: Path) -> str:
    """Name a file in a message: the last two parts, so that no path of a machine gets into a record."""
    return ascii("/".join(path.parts[-2:]))[1:-1]


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Image.Image]:
    """Lend a picture whose header was read, and turn whatever its decoder raises into a sentence."""
    _check_start(path, name)
    many = f"more than {MAX_PIXELS // 10**6} million pixels; put a smaller copy in its place"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # corrupt metadata and large pictures: judged here, not by Pillow
        try:
            with Image.open(path, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise DataError(f"{name} is a picture of {width} x {height}, {many}")
                yield picture
        except Image.DecompressionBombError:
            raise DataError(f"{name} is a picture of {many}") from None
        except _DAMAGE:
            size = path.stat().st_size
            raise DataError(f"{name} is truncated, damaged or no picture ({size} bytes); fetch it again") from None


def _check_start(path: Path, name: str) -> None:
    if not path.exists():
        raise DataError(f"{name} is missing; put the file back or fetch the data set again")
    if not path.is_file():
        raise DataError(f"{name} is no ordinary file; put the picture itself in its place")
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        raise DataError(f"{name} cannot be opened; make it readable") from None
    if not start:
        raise DataError(f"{name} has 0 bytes; fetch it again")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise DataError(f"{name} is a text or web page, not a picture, perhaps of a login; fetch it again")


def _as_array(picture: Image.Image, channels: int) -> np.ndarray:
    if picture.mode == "F" or picture.mode.startswith("I"):  # one channel of 16 or 32 bits
        wide = np.asarray(picture).astype(np.float64)
        return np.repeat(wide[None], channels, axis=0)
    if picture.has_transparency_data:
        coloured = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), coloured)
    if channels == 1:
        # Pillow has no direct way from CMYK, LAB or YCbCr to gray that agrees with the one over RGB.
        gray = picture if picture.mode in ("1", "L", "RGB") else picture.convert("RGB")
        return np.array(gray.convert("L"))[None]
    return np.array(picture.convert("RGB")).transpose(2, 0, 1).copy()  # (3, H, W)


def _scaled(pixels: np.ndarray) -> np.ndarray:
    low, high = pixels.min(), pixels.max()
    return np.round((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)


def _padded(pixels: np.ndarray, fill: float) -> np.ndarray:
    height, width = pixels.shape[-2:]
    side = max(height, width)
    square = np.full((*pixels.shape[:-2], side, side), fill, dtype=pixels.dtype)
    top, left = (side - height) // 2, (side - width) // 2
    square[..., top : top + height, left : left + width] = pixels
    return square
