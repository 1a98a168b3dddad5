"""Twins: one picture in every encoding that PNG, TIFF, BMP, JPEG, WebP and GIF have; all decode to the same pixels."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medbench
from _encodings import bmp, png, tiff  # type: ignore[import-not-found]
from medbench_datasets.readers.pictures.read import read_picture, read_picture_size

# 16 levels from 0 to 255, so that 4 bits hold it and neither a flip nor a turn leaves it as it is; odd sides, so that
# rows and tiles end within a byte.
Y, X = np.mgrid[:21, :37]
LEVELS = ((X // 2 + Y * Y // 9) % 16 * (X + Y < 50)).astype(np.int64)
LEVELS[0, 0], LEVELS[3, 30] = 0, 15
GREY = (LEVELS * 17).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
PART = np.where(X < 18, 255, 128).astype(np.int64)  # half transparent to the right

TRANSPOSED: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # how a picture is stored that is to be turned
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def exif(turn: int) -> bytes:
    return b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHHI", 0x0112, 3, 1, turn, 0, 0)


def bands(*planes: np.ndarray) -> np.ndarray:
    return np.stack(planes, axis=-1).astype(np.int64)


def wide(bits: int = 12, *, left: bool = False) -> np.ndarray:
    """The picture with `bits` bits in 16, from the lowest bit on or up to the highest."""
    values = LEVELS * ((2**bits - 1) // 15)
    return values << (16 - bits) if left else values


RAMP = b"".join(bytes([17 * k] * 3) for k in range(16))
W12, FULL = wide(12), np.full_like(LEVELS, 65535)

PNG = {
    **{
        f"gray {bits}{' interlaced' * i}": (png(bands(LEVELS * (2**bits // 16)), bits=bits, colour=0, interlace=i))
        for bits in (4,)
        for i in (False, True)
    },
    **{f"gray 8 filter {f}": png(bands(GREY), bits=8, colour=0, filter_=f) for f in (0, 1, 2)},
    "gray 8 interlaced": png(bands(GREY), bits=8, colour=0, interlace=True),
    **{f"gray {n} in 16": png(bands(wide(n)), bits=16, colour=0) for n in (8, 12, 16)},
    "gray 12 in 16, high": png(bands(wide(12, left=True)), bits=16, colour=0),
    "gray 12 in 16, interlaced": png(bands(W12), bits=16, colour=0, interlace=True),
    "gray 12 in 16, from 1000": png(bands(W12 + 1000), bits=16, colour=0),
    "gray and opacity 8": png(bands(GREY, np.full_like(LEVELS, 255)), bits=8, colour=4),
    "gray and opacity 12 in 16": png(bands(W12, FULL), bits=16, colour=4),
    "gray and opacity 12 in 16, interlaced": png(bands(W12, FULL), bits=16, colour=4, interlace=True),
    "gray and opacity 16, filtered": png(bands(wide(16), FULL), bits=16, colour=4, filter_=1),
    "colour 8": png(bands(GREY, GREY, GREY), bits=8, colour=2),
    "colour 8 interlaced": png(bands(GREY, GREY, GREY), bits=8, colour=2, interlace=True),
    "colour 12 in 16": png(bands(W12, W12, W12), bits=16, colour=2),
    "colour 12 in 16, high": png(bands(*[wide(12, left=True)] * 3), bits=16, colour=2),
    "colour 12 in 16, interlaced": png(bands(W12, W12, W12), bits=16, colour=2, interlace=True),
    "colour 16, filtered": png(bands(*[wide(16)] * 3), bits=16, colour=2, filter_=2),
    "colour and opacity 8": png(bands(GREY, GREY, GREY, np.full_like(LEVELS, 255)), bits=8, colour=6),
    "colour and opacity 12 in 16": png(bands(W12, W12, W12, FULL), bits=16, colour=6),
    "colour and opacity 12 in 16, interlaced": png(bands(W12, W12, W12, FULL), bits=16, colour=6, interlace=True),
    "palette 4": png(bands(LEVELS), bits=4, colour=3, chunks=((b"PLTE", RAMP),)),
    "palette 4 interlaced": png(bands(LEVELS), bits=4, colour=3, interlace=True, chunks=((b"PLTE", RAMP),)),
    "palette 8": png(bands(LEVELS), bits=8, colour=3, chunks=((b"PLTE", RAMP),)),
    "palette 8, reversed": png(bands(15 - LEVELS), bits=8, colour=3, chunks=((b"PLTE", RAMP[::-1]),)),
    "palette 4, first transparent": png(bands(LEVELS), bits=4, colour=3, chunks=((b"PLTE", RAMP), (b"tRNS", b"\0"))),
    "gray 4, 0 transparent": png(bands(LEVELS), bits=4, colour=0, chunks=((b"tRNS", b"\0\0"),)),
    "gray 8, 0 transparent": png(bands(GREY), bits=8, colour=0, chunks=((b"tRNS", b"\0\0"),)),
    "colour 8, 0 transparent": png(bands(GREY, GREY, GREY), bits=8, colour=2, chunks=((b"tRNS", b"\0" * 6),)),
    **{
        f"turned {t}": png(bands(TRANSPOSED[t](GREY)), bits=8, colour=0, chunks=((b"eXIf", exif(t)),))
        for t in TRANSPOSED
    },
    "turned 6, colour of 16": png(bands(*[TRANSPOSED[6](W12)] * 3), bits=16, colour=2, chunks=((b"eXIf", exif(6)),)),
}


def by_pillow(kind: str, image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


GRAYS = Image.fromarray(GREY)
PALETTE = {320: (3, [v * 257 for v in [*range(0, 256, 17)] * 3])}

TIFF = {
    **{
        f"gray {bits}, photometric {p}, order {o}, {'deflate' if d else 'raw'}": tiff(
            bands((LEVELS if p else 15 - LEVELS) * (2**bits - 1) // 15), bits=bits, photometric=p, order=o, deflate=d
        )
        for bits in (4, 8)
        for p in (0, 1)
        for o in "<>"
        for d in (False, True)
    },
    **{
        f"gray {n} in 16, photometric {p}, {'deflate' if d else 'raw'}": tiff(
            bands(2**n - 1 - wide(n) if p == 0 else wide(n)), bits=16, photometric=p, deflate=d
        )
        for n in (12, 16)
        for p in (0, 1)
        for d in (False, True)
    },
    "gray 12 in 16, big endian": tiff(bands(W12), bits=16, photometric=1, order=">"),
    "gray 12 in 16, big endian, deflate": tiff(bands(W12), bits=16, photometric=1, order=">", deflate=True),
    "gray 12 in 16, high": tiff(bands(wide(12, left=True)), bits=16, photometric=1),
    "gray 12 packed": tiff(bands(W12), bits=12, photometric=1),
    "gray 8 signed": tiff(bands(GREY.astype(int) - 128), bits=8, photometric=1, sample_format=2),
    "gray 16 signed": tiff(bands(W12 - 2048), bits=16, photometric=1, sample_format=2),
    "gray 16 signed, big endian": tiff(bands(W12 - 2048), bits=16, photometric=1, sample_format=2, order=">"),
    "gray 32": tiff(bands(LEVELS * (2**32 // 16)), bits=32, photometric=1),
    "gray 32 signed": tiff(bands(LEVELS * 2**27 - 2**30), bits=32, photometric=1, sample_format=2),
    "gray 32 signed, big endian": tiff(
        bands(LEVELS * 2**27 - 2**30), bits=32, photometric=1, sample_format=2, order=">"
    ),
    **{
        f"gray floats, photometric {p}, order {o}": tiff(
            np.where(p, 1, -1) * (LEVELS[..., None] / 15.0 - 3), bits=32, photometric=p, sample_format=3, order=o
        )
        for p in (0, 1)
        for o in "<>"
    },
    "gray 8, strips": tiff(bands(GREY), bits=8, photometric=1, rows=4),
    "gray 8, tiles": tiff(bands(GREY), bits=8, photometric=1, tile=16),
    "gray 8, tiles, deflate": tiff(bands(GREY), bits=8, photometric=1, tile=16, deflate=True),
    "gray 12 in 16, tiles": tiff(bands(W12), bits=16, photometric=1, tile=16),
    "gray 12 in 16, strips, deflate": tiff(bands(W12), bits=16, photometric=1, rows=5, deflate=True),
    "gray 8, predictor": tiff(bands(GREY), bits=8, photometric=1, deflate=True, predictor=True),
    "gray 12 in 16, predictor": tiff(bands(W12), bits=16, photometric=1, deflate=True, predictor=True),
    "gray 12 in 16, predictor, big endian": tiff(
        bands(W12), bits=16, photometric=1, deflate=True, predictor=True, order=">"
    ),
    "gray 8, bits reversed": tiff(bands(GREY), bits=8, photometric=1, fill_order=2),
    "gray 4, bits reversed, deflate": tiff(bands(LEVELS), bits=4, photometric=1, fill_order=2, deflate=True),
    "gray 8 and more": tiff(bands(GREY, 255 - GREY), bits=8, photometric=1, tags={338: (3, [0])}),
    "gray and opacity 8": tiff(bands(GREY, np.full_like(LEVELS, 255)), bits=8, photometric=1, tags={338: (3, [2])}),
    "gray and opacity 8, multiplied": tiff(
        bands(GREY, np.full_like(LEVELS, 255)), bits=8, photometric=1, tags={338: (3, [1])}
    ),
    **{
        f"colour {8 if b == 8 else '12 in 16'}, order {o}, {'deflate' if d else 'raw'}{', strips' * bool(r)}": tiff(
            bands(*[GREY if b == 8 else W12] * 3), bits=b, photometric=2, order=o, deflate=d, rows=r
        )
        for b in (8, 16)
        for o in "<>"
        for d in (False, True)
        for r in (None, 4)
    },
    "colour 16, tiles": tiff(bands(*[wide(16)] * 3), bits=16, photometric=2, tile=16),
    "colour 16, predictor": tiff(bands(*[wide(16)] * 3), bits=16, photometric=2, deflate=True, predictor=True),
    **{
        f"colour and opacity {b}, extra {e}, order {o}, {'deflate' if d else 'raw'}": tiff(
            bands(*[GREY if b == 8 else W12] * 3, np.full_like(LEVELS, 2**b - 1)),
            bits=b,
            photometric=2,
            tags={338: (3, [e])},
            order=o,
            deflate=d,
        )
        for b in (8, 16)
        for e in (0, 1, 2)
        for o in "<>"
        for d in (False, True)
    },
    "colour 8, planes apart": tiff(bands(GREY, GREY, GREY), bits=8, photometric=2, planar=True),
    "colour 8, planes apart, deflate": tiff(bands(GREY, GREY, GREY), bits=8, photometric=2, planar=True, deflate=True),
    "palette 4": tiff(bands(LEVELS), bits=4, photometric=3, tags=PALETTE),
    "palette 4, deflate": tiff(bands(LEVELS), bits=4, photometric=3, tags=PALETTE, deflate=True),
    "CMYK": tiff(bands(LEVELS * 0, LEVELS * 0, LEVELS * 0, 255 - GREY), bits=8, photometric=5),
    "YCbCr": tiff(bands(GREY, LEVELS * 0 + 128, LEVELS * 0 + 128), bits=8, photometric=6, tags={530: (3, [1, 1])}),
    **{
        f"{c}, {m}": by_pillow("TIFF", GRAYS if m == "L" else GRAYS.convert(m), compression=c)
        for c in ("tiff_lzw", "packbits", "zstd", "lzma")
        for m in ("L", "RGB")
    },
    "lzw, 16": by_pillow("TIFF", Image.fromarray(W12.astype(np.uint16)), compression="tiff_lzw"),
    "big": by_pillow("TIFF", GRAYS, big_tiff=True),
    **{
        f"turned {t}, {b}": tiff(
            bands(TRANSPOSED[t](GREY if b == 8 else W12)), bits=b, photometric=1, tags={274: (3, [t])}, deflate=b == 8
        )
        for t in TRANSPOSED
        for b in (8, 16)
    },
}

BMP = {
    "palette 4": bmp(GREY, bits=4),
    "palette 8": bmp(GREY, bits=8),
    "palette 8, upside down": bmp(GREY, bits=8, upside_down=True),
    "palette 8, OS/2": bmp(GREY, bits=8, header=12),
    "colour 24": bmp(GREY, bits=24),
    "colour 24, upside down": bmp(GREY, bits=24, upside_down=True),
    "colour 24, OS/2": bmp(GREY, bits=24, header=12),
    "colour 32": bmp(GREY, bits=32),
    "colour 32, masks": bmp(GREY, bits=32, masks=(0xFF0000, 0xFF00, 0xFF)),
    "colour 32, other masks": bmp(GREY, bits=32, masks=(0xFF000000, 0xFF0000, 0xFF00)),
    "colour 32 with an opacity of 0": bmp(
        GREY, bits=32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000), header=108, opacity=0
    ),
    "colour and opacity 32": bmp(GREY, bits=32, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000), header=108),
}

WEBP = {
    "lossless": by_pillow("WEBP", GRAYS, lossless=True),
    "lossless with opacity": by_pillow("WEBP", GRAYS.convert("RGBA"), lossless=True),
    **{
        f"turned {t}": by_pillow(
            "WEBP", Image.fromarray(np.ascontiguousarray(TRANSPOSED[t](GREY))), lossless=True, exif=exif(t)
        )
        for t in TRANSPOSED
    },
}

GIF = {
    "plain": by_pillow("GIF", GRAYS),
    "interlaced": by_pillow("GIF", GRAYS, interlace=1),
    "first colour transparent": by_pillow("GIF", GRAYS, transparency=0),
}

EXACT = {
    f"{kind}: {what}": content
    for kind, files in (("PNG", PNG), ("TIFF", TIFF), ("BMP", BMP), ("WebP", WEBP), ("GIF", GIF))
    for what, content in files.items()
}


@pytest.mark.parametrize("what", EXACT)
def test_a_picture_is_the_same_in_every_lossless_encoding(tmp_path: Path, what: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(EXACT[what])

    np.testing.assert_array_equal(read_picture(path)[0], GREY)
    np.testing.assert_array_equal(read_picture(path, channels=3), np.repeat(GREY[None], 3, axis=0))
    assert read_picture_size(path) == (37, 21, "turned" in what)


JPEGS = {
    "gray": (GRAYS, {}),
    "gray, progressive": (GRAYS, {"progressive": True}),
    "gray, restarts": (GRAYS, {"restart_marker_rows": 1}),
    "colour": (GRAYS.convert("RGB"), {"subsampling": "4:4:4"}),
    "colour, subsampled": (GRAYS.convert("RGB"), {"subsampling": "4:2:0"}),
    "colour, progressive": (GRAYS.convert("RGB"), {"progressive": True}),
    "colour, untransformed": (GRAYS.convert("RGB"), {"keep_rgb": True}),
    "CMYK": (Image.merge("CMYK", [*[Image.new("L", GRAYS.size)] * 3, Image.fromarray(255 - GREY)]), {}),
    **{
        f"turned {t}": (Image.fromarray(np.ascontiguousarray(TRANSPOSED[t](GREY))), {"exif": b"Exif\0\0" + exif(t)})
        for t in TRANSPOSED
    },
}
CLOSE = {
    **{f"JPEG: {what}": by_pillow("JPEG", image, quality=100, **more) for what, (image, more) in JPEGS.items()},
    "TIFF: jpeg": by_pillow("TIFF", GRAYS, compression="jpeg", quality=100),
    "TIFF: jpeg, colour": by_pillow("TIFF", GRAYS.convert("RGB"), compression="jpeg", quality=100),
    "WebP: lossy": by_pillow("WEBP", GRAYS, quality=100),
    "BMP: 16": bmp(GREY, bits=16),
    "BMP: 16, masks": bmp(GREY, bits=16, masks=(0xF800, 0x7E0, 0x1F)),
}
LOSS = {"WebP: lossy": 24, "BMP: 16": 4, "BMP: 16, masks": 4}  # gray levels; a JPEG of quality 100 keeps 3


@pytest.mark.parametrize("what", CLOSE)
def test_a_picture_is_nearly_the_same_in_every_lossy_encoding(tmp_path: Path, what: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(CLOSE[what])

    for pixels in read_picture(path, channels=3):
        np.testing.assert_allclose(pixels.astype(int), GREY, atol=LOSS.get(what, 3))
    np.testing.assert_allclose(read_picture(path)[0].astype(int), GREY, atol=LOSS.get(what, 3))
    assert read_picture_size(path) == (37, 21, "turned" in what)


def few_bits(bits: int) -> dict[str, bytes]:
    levels, most = LEVELS * (2**bits - 1) // 15, 2**bits - 1
    ramp = b"".join(bytes([255 * k // most] * 3) for k in range(most + 1))
    gray = tuple(255 * k // most * 257 for k in range(most + 1)) * 3
    files = {
        "PNG gray": png(bands(levels), bits=bits, colour=0),
        "PNG gray, interlaced": png(bands(levels), bits=bits, colour=0, interlace=True),
        "PNG gray, 0 transparent": png(bands(levels), bits=bits, colour=0, chunks=((b"tRNS", b"\0\0"),)),
        "PNG palette": png(bands(levels), bits=bits, colour=3, chunks=((b"PLTE", ramp),)),
        "TIFF palette": tiff(bands(levels), bits=bits, photometric=3, tags={320: (3, list(gray))}),
        "TIFF bits reversed": tiff(bands(levels), bits=bits, photometric=1, fill_order=2),
    }
    for p in (0, 1):
        for d in (False, True):
            stored = levels if p else most - levels
            files[f"TIFF {p} {d}"] = tiff(bands(stored), bits=bits, photometric=p, deflate=d)
    if bits == 1:  # a BMP has 1, 4 or 8
        files["BMP"] = bmp((levels * 255).astype(np.uint8), bits=1)
        bilevel = Image.fromarray((levels * 255).astype(np.uint8)).convert("1")
        files |= {c: by_pillow("TIFF", bilevel, compression=c) for c in ("group3", "group4", "packbits")}
    return files


@pytest.mark.parametrize("bits", [1, 2])
def test_few_bits_spread_over_all_greys(tmp_path: Path, bits: int) -> None:
    expected = LEVELS * (2**bits - 1) // 15 * (255 // (2**bits - 1))
    for what, content in few_bits(bits).items():
        (tmp_path / "picture").write_bytes(content)

        np.testing.assert_array_equal(read_picture(tmp_path / "picture")[0], expected, err_msg=what)


HALF = {
    "PNG gray 8": png(bands(GREY, PART), bits=8, colour=4),
    "PNG gray 12 in 16": png(bands(W12, PART * 257), bits=16, colour=4),
    "PNG colour 8": png(bands(GREY, GREY, GREY, PART), bits=8, colour=6),
    "PNG colour 12 in 16": png(bands(W12, W12, W12, PART * 257), bits=16, colour=6),
    "TIFF colour 8": tiff(bands(GREY, GREY, GREY, PART), bits=8, photometric=2, tags={338: (3, [2])}),
    "TIFF colour 12 in 16": tiff(bands(W12, W12, W12, PART * 257), bits=16, photometric=2, tags={338: (3, [2])}),
    "WebP": by_pillow(
        "WEBP", Image.merge("RGBA", [GRAYS, GRAYS, GRAYS, Image.fromarray(PART.astype(np.uint8))]), lossless=True
    ),
}


@pytest.mark.parametrize("what", HALF)
def test_what_is_half_transparent_is_half_as_bright(tmp_path: Path, what: str) -> None:
    (tmp_path / "picture").write_bytes(HALF[what])

    np.testing.assert_allclose(read_picture(tmp_path / "picture")[0], GREY * (PART / 255), atol=1)


OUTSIDE = np.where(X + Y < 45, 1, 0)  # the field of a detector; a dark frame around it must not take the contrast


@pytest.mark.parametrize(
    "content",
    [
        png(bands(np.where(OUTSIDE, W12 + 1000, 0), OUTSIDE * 65535), bits=16, colour=4),
        png(bands(*[np.where(OUTSIDE, W12 + 1000, 0)] * 3, OUTSIDE * 65535), bits=16, colour=6),
        png(bands(np.where(OUTSIDE, W12 + 1000, 7)), bits=16, colour=0, chunks=((b"tRNS", b"\0\7"),)),
        png(bands(*[np.where(OUTSIDE, W12 + 1000, 7)] * 3), bits=16, colour=2, chunks=((b"tRNS", b"\0\7" * 3),)),
    ],
)
def test_what_is_transparent_takes_no_contrast(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "picture").write_bytes(content)

    np.testing.assert_array_equal(read_picture(tmp_path / "picture")[0], GREY * OUTSIDE)


C12 = COLOUR.astype(np.int64) // 17 * 273
COLOURED = {
    "PNG 8": png(COLOUR.astype(np.int64), bits=8, colour=2),
    "PNG 12 in 16": png(C12, bits=16, colour=2),
    "PNG 12 in 16, interlaced": png(C12, bits=16, colour=2, interlace=True),
    "PNG opacity 12 in 16": png(np.concatenate([C12, FULL[..., None]], -1), bits=16, colour=6),
    "TIFF 12 in 16": tiff(C12, bits=16, photometric=2),
    "TIFF 12 in 16, big endian, deflate": tiff(C12, bits=16, photometric=2, order=">", deflate=True),
    "TIFF planes apart": tiff(COLOUR.astype(np.int64), bits=8, photometric=2, planar=True),
    "WebP": by_pillow("WEBP", Image.fromarray(COLOUR), lossless=True),
}


@pytest.mark.parametrize("what", COLOURED)
def test_colours_keep_their_order_in_every_encoding(tmp_path: Path, what: str) -> None:
    (tmp_path / "picture").write_bytes(COLOURED[what])

    np.testing.assert_array_equal(read_picture(tmp_path / "picture", channels=3), COLOUR.transpose(2, 0, 1))
    luma = np.asarray(Image.fromarray(COLOUR).convert("L"))
    np.testing.assert_array_equal(read_picture(tmp_path / "picture")[0], luma)


REFUSED = {
    "without PhotometricInterpretation": tiff(bands(GREY), bits=8, photometric=None),
    "16 bits with separate colour planes": tiff(bands(W12, W12, W12), bits=16, photometric=2, planar=True),
    "16 bits with CMYK": tiff(bands(W12, W12, W12, W12), bits=16, photometric=5),
    "subsampled YCbCr": tiff(bands(GREY, GREY, GREY), bits=8, photometric=6),
    "of a kind that is not read": tiff(bands(W12), bits=16, photometric=0, order=">"),
    "several pictures": by_pillow("PNG", GRAYS, save_all=True, append_images=[Image.fromarray(255 - GREY)]),
    "holds several pictures": by_pillow("WEBP", GRAYS, save_all=True, append_images=[Image.fromarray(255 - GREY)]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_picture_that_would_come_out_wrong_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "picture").write_bytes(REFUSED[what])

    with pytest.raises(medbench.DataError, match=rf"picture .*{what}.*; "):
        read_picture(tmp_path / "picture")
