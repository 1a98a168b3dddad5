"""Writers of PNG, TIFF and BMP files that Pillow does not write: every depth, layout, byte order and alignment."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def packed(samples: np.ndarray, bits: int, order: str = ">", *, reverse: bool = False) -> bytes:
    """Pack ``(rows, n)`` samples, each row from a new byte on; `reverse` fills bytes from the lowest bit."""
    if bits in (8, 16, 32):
        return samples.astype(f"{order}u{bits // 8}").tobytes()
    ones = (samples[..., None].astype(np.int64) >> np.arange(bits)[::-1]) & 1
    rows = ones.reshape(len(samples), -1).astype(np.uint8)
    return np.packbits(rows, axis=1, bitorder="little" if reverse else "big").tobytes()


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(
    samples: np.ndarray,
    *,
    bits: int,
    colour: int,
    interlace: bool = False,
    filter_: int = 0,
    chunks: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """Write ``(H, W, bands)`` samples.

    Args:
        samples: Whole numbers of `bits` bits.
        bits: 1, 2, 4, 8 or 16.
        colour: 0 gray, 2 RGB, 3 palette, 4 gray with opacity, 6 RGB with opacity.
        interlace: Whether in the seven passes of Adam7.
        filter_: 0 none, 1 against the byte to the left, 2 against the byte above.
        chunks: Names and contents of further chunks, before the pixels.
    """
    height, width, bands = samples.shape
    a_pixel = max(1, bits * bands // 8)
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlace else [samples]
    raw = b""
    for part in passes:
        if not part.size:
            continue
        rows = np.frombuffer(packed(part.reshape(len(part), -1), bits), np.uint8).reshape(len(part), -1)
        filtered = rows.copy()
        if filter_ == 1:
            filtered[:, a_pixel:] = rows[:, a_pixel:] - rows[:, :-a_pixel]
        elif filter_ == 2:
            filtered[1:] = rows[1:] - rows[:-1]
        raw += b"".join(bytes([filter_]) + row.tobytes() for row in filtered)
    data = zlib.compress(raw)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlace))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data[: len(data) // 2]), (b"IDAT", data[len(data) // 2 :])]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in [*parts, (b"IEND", b"")])


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff(
    samples: np.ndarray,
    *,
    bits: int,
    photometric: int | None,
    order: str = "<",
    sample_format: int = 1,
    planar: bool = False,
    rows: int | None = None,
    tile: int = 0,
    deflate: bool = False,
    predictor: bool = False,
    fill_order: int = 1,
    tags: dict[int, tuple[int, list[int]]] | None = None,
) -> bytes:
    """Write ``(H, W, bands)`` samples, whole numbers of `bits` bits or floats.

    Args:
        samples: The picture.
        bits: Bits of a sample.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr; None leaves the tag out.
        order: "<" or ">".
        sample_format: 1 unsigned, 2 signed, 3 floats.
        planar: Whether each band lies apart.
        rows: Rows of a strip; None is one strip.
        tile: Side of a tile; 0 gives strips.
        deflate: Whether strips are compressed.
        predictor: Whether samples are differences to their left neighbour.
        fill_order: 2 fills bytes from the lowest bit.
        tags: Further tags by number: type (3 short, 4 long) and values.
    """
    height, width, bands = samples.shape
    planes = [samples[..., band : band + 1] for band in range(bands)] if planar else [samples]
    pieces = []
    for plane in planes:
        if tile:
            for y in range(0, height, tile):
                for x in range(0, width, tile):
                    block = np.zeros((tile, tile, plane.shape[2]), samples.dtype)
                    part = plane[y : y + tile, x : x + tile]
                    block[: part.shape[0], : part.shape[1]] = part
                    pieces.append(block)
        else:
            pieces += [plane[y : y + (rows or height)] for y in range(0, height, rows or height)]
    coded = []
    for piece in pieces:
        if predictor:
            piece = np.concatenate([piece[:, :1], np.diff(piece.astype(np.int64), axis=1)], 1) % 2**bits
        flat = piece.reshape(len(piece), -1)
        if sample_format == 3:
            data = flat.astype(f"{order}f{bits // 8}").tobytes()
        else:
            data = packed(flat % 2**bits if sample_format == 2 else flat, bits, order)
        data = zlib.compress(data) if deflate else data
        if fill_order == 2:
            data = np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)), bitorder="little").tobytes()
        coded.append(data)
    entries: dict[int, tuple[int, list[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * bands),
        259: (3, [8 if deflate else 1]),
        266: (3, [fill_order]),
        277: (3, [bands]),
        284: (3, [2 if planar else 1]),
        339: (3, [sample_format] * bands),
    }
    if photometric is not None:
        entries[262] = (3, [photometric])
    if predictor:
        entries[317] = (3, [2])
    offsets, at = [], 8
    for data in coded:
        offsets.append(at)
        at += len(data) + len(data) % 2
    if tile:
        entries |= {322: (4, [tile]), 323: (4, [tile]), 324: (4, offsets), 325: (4, [len(d) for d in coded])}
    else:
        entries |= {273: (4, offsets), 278: (4, [rows or height]), 279: (4, [len(d) for d in coded])}
    entries |= tags or {}
    return _ifd(entries, coded, at, order)


def _ifd(entries: dict[int, tuple[int, list[int]]], coded: list[bytes], at: int, order: str) -> bytes:
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    content += b"".join(data + b"\0" * (len(data) % 2) for data in coded)
    behind = at + 2 + 12 * len(entries) + 4
    directory, extra = struct.pack(f"{order}H", len(entries)), b""
    for number, (kind, values) in sorted(entries.items()):
        data = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        directory += struct.pack(f"{order}HHI", number, kind, len(values))
        if len(data) <= 4:
            directory += data.ljust(4, b"\0")
        else:
            directory += struct.pack(f"{order}I", behind + len(extra))
            extra += data + b"\0" * (len(data) % 2)
    return content + directory + b"\0\0\0\0" + extra


def bmp(
    grey: np.ndarray,
    *,
    bits: int,
    upside_down: bool = False,
    masks: tuple[int, ...] = (),
    header: int = 40,
    opacity: int | None = None,
) -> bytes:
    """Write ``uint8 (H, W)`` gray as a BMP: with a palette up to 8 bits, as colour of 16, 24 or 32 bits above.

    Args:
        grey: The picture.
        bits: Bits a pixel.
        upside_down: Whether the first row comes first, which BMP marks by a negative height.
        masks: Bit masks of red, green, blue and perhaps opacity; empty takes the defaults.
        header: Bytes of the header: 12 (OS/2), 40 or 108.
        opacity: What every pixel has of it, where `masks` has four; None is all.
    """
    height, width = grey.shape
    palette = b""
    if bits <= 8:
        levels = 2**bits
        entry = 3 if header == 12 else 4
        grays = [round(255 * k / (levels - 1)) for k in range(levels)]
        palette = b"".join(bytes([g] * 3 + [0] * (entry - 3)) for g in grays)
        values = np.rint(grey / 255 * (levels - 1)).astype(np.int64)
        rows = [packed(row[None], bits) for row in values]
    elif bits == 24:
        rows = [np.repeat(row[:, None], 3, 1).tobytes() for row in grey]
    else:
        masks = masks or ((0x7C00, 0x3E0, 0x1F) if bits == 16 else (0xFF0000, 0xFF00, 0xFF))
        total = np.zeros(grey.shape, np.int64)
        for at, mask in enumerate(masks):
            shift = (mask & -mask).bit_length() - 1
            most = mask >> shift
            value = (
                np.full(grey.shape, most if opacity is None else opacity)
                if at == 3
                else np.rint(grey / 255 * most).astype(np.int64)
            )
            total |= value << shift
        rows = [row.astype(f"<u{bits // 8}").tobytes() for row in total]
    stride = -(-width * bits // 32) * 4
    rows = [row.ljust(stride, b"\0") for row in rows]
    data = b"".join(rows if upside_down else rows[::-1])
    is_masked = bool(masks) and bits in (16, 32)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack(
            "<IiiHHIIiiII", header, width, -height if upside_down else height, 1, bits, 3 if is_masked else 0,
            len(data), 2835, 2835, 0, 0,
        )  # fmt: skip
        if is_masked:
            info += struct.pack("<3I", *masks[:3])
        if header > 40:
            four = struct.pack("<4I", *masks, *[0] * (4 - len(masks))) if is_masked else b"\0" * 16
            info = info[:40] + (four + b"BGRs").ljust(header - 40, b"\0")
    offset = 14 + len(info) + len(palette)
    return struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset) + info + palette + data
