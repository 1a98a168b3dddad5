"""From a decoded picture to bytes, in strips: colour spaces, transparency, and what has more than 8 bits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from medbench_datasets.readers.pictures.header import is_wide

STRIP = 1 << 20  # pixels that are converted at once
_PHOTOMETRIC, _SAMPLE_FORMAT = 262, 339  # TIFF tags
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2

Strip = tuple[np.ndarray, np.ndarray | None]
"""Values ``(bands, rows, W)`` and opacity ``float (rows, W)`` in [0, 1], None where all is opaque."""


@dataclass(frozen=True)
class _Wide:
    """A picture of more than 8 bits a channel.

    Attributes:
        strip: Returns rows from the first to before the second.
        size: Width and height.
        bands: 1 or 3.
        inverted: Whether small values are bright.
        premultiplied: Whether the opacity is in the values already.
    """

    strip: Callable[[int, int], Strip]
    size: tuple[int, int]
    bands: int = 1
    inverted: bool = False
    premultiplied: bool = False


def as_bytes(picture: ImageFile, channels: int, reopened: Callable[[], ImageFile]) -> np.ndarray:
    """Decode an opened picture.

    Args:
        picture: Not loaded yet.
        channels: 1 or 3.
        reopened: Opens the same file once more: Pillow gives one byte of each 16 in a go.

    Returns:
        ``uint8 (channels, H, W)``, as stored: an EXIF orientation is not applied.

    Raises:
        FloatingPointError: For pixels that are not finite.
    """
    wide = _wide(picture, reopened)
    if wide is not None:
        return _stretch(wide, channels)
    width, height = picture.size
    is_opaque = picture.format == "BMP" and picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (0, 0)
    result = np.empty((channels, height, width), dtype=np.uint8)
    for top, bottom in _strips(width, height):
        strip = picture.crop((0, top, width, bottom))
        # Programs that know no opacity leave that byte of a BMP at 0.
        result[:, top:bottom] = _eight_bits(strip.convert("RGB") if is_opaque else strip, channels)
    return result


def _wide(picture: ImageFile, reopened: Callable[[], ImageFile]) -> _Wide | None:
    if is_wide(picture):
        return _colours(picture, reopened)
    tags = picture.tag_v2 if isinstance(picture, TiffImageFile) else None
    rawmode = str(picture.tile[0][3]) if picture.tile else ""
    picture.load()
    key = picture.info.get("transparency")
    if tags is not None and picture.mode == "L" and tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED:
        return _Wide(_one_channel(picture, np.int8, None), picture.size, inverted=False)
    if picture.mode == "L" and isinstance(key, int):  # what PNG calls transparent counts in its own depth
        picture.info["transparency"] = key * {"L;2": 85, "L;4": 17}.get(rawmode, 1)
    if picture.mode != "F" and not picture.mode.startswith("I"):
        return None
    unsigned = tags is not None and picture.mode == "I" and tags.get(_SAMPLE_FORMAT, (1,))[0] == _UNSIGNED
    return _Wide(
        _one_channel(picture, np.uint32 if unsigned else None, key if isinstance(key, int) else None),
        picture.size,
        inverted=tags is not None and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
    )


def _one_channel(picture: ImageFile, view: type[np.generic] | None, key: int | None) -> Callable[[int, int], Strip]:
    def strip(top: int, bottom: int) -> Strip:
        values = np.asarray(picture.crop((0, top, picture.width, bottom)))
        values = values if view is None else values.view(view)
        return values[None], None if key is None else (values != key).astype(np.float64)

    return strip


def _colours(picture: ImageFile, reopened: Callable[[], ImageFile]) -> _Wide:
    """Put 16 bits together from two passes: the unpackers for the two byte orders each keep one byte of a sample."""
    rawmode = picture.tile[0][3]
    rawmode = str(rawmode[0] if isinstance(rawmode, tuple) else rawmode)
    layout, order = rawmode.partition(";")[0], rawmode[-1]
    if layout == "LA":  # gray and opacity of 16 bits are four bytes a pixel, as RGBA has them
        _load(picture, "RGBA")

        def both(top: int, bottom: int) -> Strip:
            four = np.asarray(picture.crop((0, top, picture.width, bottom))).astype(np.uint16)
            grey, opacity = (four[..., at] << 8 | four[..., at + 1] for at in (0, 2))
            return grey[None], opacity / 65535

        return _Wide(both, picture.size)
    if order == "N":
        order = "L" if sys.byteorder == "little" else "B"
    # A premultiplied colour over black is the colour as stored: Pillow's division by the opacity would cut to 8 bits.
    plain = "RGBA" if layout == "RGBa" else layout
    low = reopened()
    _load(picture, f"{plain};16{order}")
    _load(low, f"{plain};16{'B' if order == 'L' else 'L'}")
    key = picture.info.get("transparency")

    def strip(top: int, bottom: int) -> Strip:
        box = (0, top, picture.width, bottom)
        most, least = (np.asarray(half.crop(box)).astype(np.uint16) for half in (picture, low))
        values = (most << 8 | least).transpose(2, 0, 1)  # (3 or 4, rows, W)
        if len(values) == 4:
            return values[:3], values[3] / 65535
        if isinstance(key, tuple):
            return values, (values != np.array(key, dtype=np.uint16)[:, None, None]).any(0).astype(np.float64)
        return values, None

    return _Wide(strip, picture.size, bands=3, premultiplied=layout == "RGBa")


def _load(picture: ImageFile, rawmode: str) -> None:
    tiles = []
    for codec, extents, offset, args in picture.tile:
        tiles.append((codec, extents, offset, (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode))
    picture.tile = [type(old)(*new) for old, new in zip(picture.tile, tiles, strict=True)]
    picture.load()


def _stretch(wide: _Wide, channels: int) -> np.ndarray:
    """Scale from the smallest to the largest visible value of all bands to 0..255; what is transparent is black."""
    width, height = wide.size
    low, high = _range(wide)
    factor = 255 / max(high - low, 1e-12)
    result = np.empty((channels, height, width), dtype=np.uint8)
    for top, bottom in _strips(width, height):
        values, opacity = wide.strip(top, bottom)
        scaled = (values.astype(np.float64).clip(low, high) - low) * factor
        scaled = 255 - scaled if wide.inverted and high > low else scaled
        if opacity is not None:
            scaled *= (opacity > 0) if wide.premultiplied else opacity
        grey = np.round(scaled).astype(np.uint8)  # (bands, rows, W)
        if len(grey) == 3 and channels == 1:
            grey = np.asarray(Image.fromarray(np.ascontiguousarray(grey.transpose(1, 2, 0))).convert("L"))[None]
        result[:, top:bottom] = grey
    return result


def _range(wide: _Wide) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for top, bottom in _strips(*wide.size):
        values, opacity = wide.strip(top, bottom)
        seen = values if opacity is None else values[:, opacity > 0]
        if seen.size:
            low, high = min(low, float(seen.min())), max(high, float(seen.max()))
        if not (np.isfinite(seen).all()):
            raise FloatingPointError("pixels that are not finite")
    return (low, high) if low <= high else (0.0, 0.0)


def _eight_bits(strip: Image.Image, channels: int) -> np.ndarray:
    if strip.has_transparency_data:
        strip = strip.convert("LA") if strip.mode == "La" else strip  # Pillow has no direct way on from there
        coloured = strip.convert("RGBA")
        strip = Image.alpha_composite(Image.new("RGBA", strip.size, (0, 0, 0, 255)), coloured)
    if channels == 1:
        # Pillow has no direct way from CMYK, LAB or YCbCr to gray that agrees with the one over RGB.
        gray = strip if strip.mode in ("1", "L", "RGB") else strip.convert("RGB")
        return np.asarray(gray.convert("L"))[None]
    return np.asarray(strip.convert("RGB")).transpose(2, 0, 1)  # (3, rows, W)


def _strips(width: int, height: int) -> Iterator[tuple[int, int]]:
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        yield top, min(height, top + rows)
