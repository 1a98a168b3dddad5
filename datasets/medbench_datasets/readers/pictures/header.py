"""Opening a picture: what its header says is held against limits and against itself before a pixel is decoded."""

from __future__ import annotations

import mmap
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from medbench import DataError, ResourceError
from medbench_datasets.readers.budget import check_budget
from medbench_datasets.readers.pictures.jpeg import count_scans

MAX_PIXELS = 40_000_000  # a radiograph of 43 x 43 cm at 0.1 mm has 18 million
MAX_SIDE = 30_000  # a whole spine at 0.1 mm has 9,000; longer ones cost memory where they are brought into a square
MAX_SCANS = 500_000_000  # pixels that a JPEG may pass over: 12 scans of 40 million, about 2 s
ORIENTATION = 0x0112  # the EXIF tag
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP")  # no EPS, PSD and the like: less code that strangers can reach

_STRIPS = 10_000_000  # bytes: what is converted at once, in float64

_BITS, _PHOTOMETRIC, _PLANAR, _SUBSAMPLING = 258, 262, 284, 530  # TIFF tags
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_YCBCR = 6

# Whatever a decoder of Pillow was seen to raise on damaged files; the text of these may quote the file and is dropped.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, RuntimeError),
    *(OverflowError, ZeroDivisionError, struct.error, zlib.error),
)


@contextmanager
def opened(path: Path, *, channels: int = 1) -> Iterator[ImageFile]:
    """Lend a picture whose header was read, and turn whatever its decoder raises into a sentence.

    Args:
        path: An existing file.
        channels: Channels of ``uint8`` that will be made of it.

    Raises:
        DataError: Where the file is absent, empty, no picture, damaged, too large for its bytes, or of a kind whose
            pixels would come out wrong.
        ResourceError: Where memory ends.
    """
    name = shown(path)
    _check_start(path, name)
    many = f"more than {MAX_PIXELS // 10**6} million pixels; put a smaller copy in its place"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # corrupt metadata and large pictures: judged here, not by Pillow
        try:
            # A file and not its name: where Pillow maps a file that it knows by name, it decodes a turned TIFF wrong.
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise DataError(f"{name} is a picture of {width} x {height}, {many}")
                if max(width, height) > MAX_SIDE:
                    raise DataError(
                        f"{name} is a picture of {width} x {height}, longer than {MAX_SIDE:,} pixels; "
                        "put a smaller copy in its place"
                    )
                scans = _scans(path) if picture.format in ("JPEG", "MPO") else 1
                if scans * width * height > MAX_SCANS:
                    raise DataError(
                        f"{name} is a JPEG of {width} x {height} in {scans} scans, which would take minutes; save it "
                        "again"
                    )
                check_budget(
                    name,
                    needs=_working_bytes(picture, channels, scans),
                    held=path.stat().st_size,
                    what=f"a picture of {width} x {height}",
                )
                if isinstance(picture, TiffImageFile):
                    _check_tiff(picture, name)
                # Whether there is a second one: to count them all takes long. A JPEG of a phone may hold a preview.
                if picture.format in ("TIFF", "GIF", "PNG", "WEBP") and getattr(picture, "is_animated", False):
                    raise DataError(f"{name} holds several pictures, expected one; save each as a file of its own")
                yield picture
        except Image.DecompressionBombError:
            raise DataError(f"{name} is a picture of {many}") from None
        except MemoryError:
            raise ResourceError(f"{name}: there is not enough memory to decode it; free some") from None
        except _DAMAGE:
            size = path.stat().st_size
            raise DataError(
                f"{name} is truncated, damaged, no picture, or of a kind that is not read ({size} bytes); fetch it "
                "again, or save it as PNG"
            ) from None


def shown(path: Path) -> str:
    """Name a file in a message: the last two parts, so that no path of a machine gets into a record."""
    return ascii("/".join(path.parts[-2:]))[1:-1]


def is_wide(picture: ImageFile) -> bool:
    """Tell whether a picture that is not loaded yet has several channels of 16 bits, of which Pillow gives 8."""
    wide = (";16L", ";16B", ";16N")  # "BGR;16" of BMP has 16 bits in all
    return picture.mode in ("RGB", "RGBA", "CMYK") and any(_rawmode(tile).endswith(wide) for tile in picture.tile)


def _rawmode(tile: tuple[object, ...]) -> str:
    args = tile[3]
    return str(args[0] if isinstance(args, tuple) and args else args)


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


def _working_bytes(picture: ImageFile, channels: int, scans: int) -> int:
    """Return what decoding holds at once: Pillow's pixels, what its decoder keeps beside them, and the result."""
    a_pixel = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}.get(picture.mode, 4)
    turned = a_pixel if picture.format == "TIFF" and picture.getexif().get(ORIENTATION, 1) != 1 else 0
    beside = {"WEBP": 12, "GIF": 4}.get(picture.format or "", turned)  # measured: WebP keeps two canvases and a copy
    if is_wide(picture):
        beside += a_pixel  # high and low bytes are decoded apart
    tile = 0
    if isinstance(picture, TiffImageFile):  # libtiff unpacks a tile whole, however small the picture in it is
        across, down = picture.tag_v2.get(_TILE_WIDTH, 0), picture.tag_v2.get(_TILE_LENGTH, 0)
        tile = across * down * sum(picture.tag_v2.get(_BITS, (1,))) // 8
    width, height = picture.size
    kept = 2 * _samples(picture) if scans > 1 else 0  # the coefficients of the whole picture, 16 bits each
    return _STRIPS + tile + round(width * height * (a_pixel + beside + channels + kept))


def _samples(picture: ImageFile) -> float:
    """Return how many samples a pixel of a JPEG has: 3 in colour, 1.5 where colours have half the resolution."""
    layers = [(across, down) for _, across, down, *_ in getattr(picture, "layer", [])] or [(1, 1)]
    return sum(a * d for a, d in layers) / (max(a for a, _ in layers) * max(d for _, d in layers) or 1)


def _scans(path: Path) -> int:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return count_scans(data)


def _check_tiff(picture: TiffImageFile, name: str) -> None:
    """Refuse what Pillow would decode to other pixels than the tags describe."""
    tags = picture.tag_v2
    photometric = tags.get(_PHOTOMETRIC)
    if photometric is None:
        raise DataError(
            f"{name} is a TIFF without PhotometricInterpretation, so nothing says whether small values are dark; "
            "save it again"
        )
    is_deep = max(tags.get(_BITS, (1,))) > 8 and len(picture.getbands()) > 1
    if is_deep and (picture.mode == "CMYK" or tags.get(_PLANAR, 1) == 2):
        kind = "CMYK" if picture.mode == "CMYK" else "separate colour planes"
        raise DataError(f"{name} is a TIFF of 16 bits with {kind}, which is not read; save it as PNG")
    is_raw = picture.info.get("compression") == "raw"
    if photometric == _YCBCR and is_raw and tuple(tags.get(_SUBSAMPLING, (2, 2))) != (1, 1):
        raise DataError(f"{name} is a TIFF of subsampled YCbCr without compression, which is not read; save it as PNG")
