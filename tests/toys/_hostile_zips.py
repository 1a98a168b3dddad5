"""Hostile bundles, made one by one: wrong names, wrong zips, bombs. What is in them is spoilt in the neighbour."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from _bundles import Edit, Members, ToyRun, in_bytes, in_json, sealed, spoilt
from medbench.publishing.bundle import bundle_members, zip_container
from medbench.publishing.bundle.zip_container import DOCUMENTS, MANIFEST, MEMBERS

Make = Callable[[ToyRun, Members], bytes]
CASES: list[tuple[str, str, Make]] = []
"""(name, the codes that fit, how it is made)."""


def case(name: str, codes: str, make: Make) -> None:
    CASES.append((name, codes, make))


def edited(name: str, codes: str, edit: Edit) -> None:
    """Spoil members and seal them as their author would."""
    case(name, codes, lambda run, members: spoilt(members, edit))


def raw(name: str, codes: str, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of an honest bundle."""
    case(name, codes, lambda run, members: change(sealed(members)))


def first(members: Members) -> str:
    """Return the first member that holds predictions."""
    return next(name for name in sorted(members) if name.startswith("predictions/"))


# -- names and kinds of members ---------------------------------------------------------------------------------------

NAMES = [
    "../evil", "../../etc/cron.d/x", "/etc/passwd", "C:\\windows\\x", "C:/x", "\\\\host\\share", "CON",
    "predictions/NUL",
    "predictions/../x.csv", "predictions//x.csv", "./manifest.json", "Manifest.json", "MANIFEST.JSON", "manifest.json ",
    "manifest.json\x00.txt", "mänifest.json", "manifest\u200b.json", "\u202enosj.tsefinam", "a" * 5000, "predictions/",
    f"predictions/{'A' * 64}.csv", f"predictions/{'0' * 63}.csv", "x.pkl", "x.npy", "x.parquet", "x.sqlite", "x.html",
    "x.svg", "x.py", "conftest.py", "inner.medbench.zip", "x\n.json", "\x1b[2J.json", "<script>.json", "-rf", "~/x",
]  # fmt: skip


def with_zipfile(data: bytes, name: str, held: bytes = b"x", **info: Any) -> bytes:
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as file:
        entry = zipfile.ZipInfo(name)
        for key, value in info.items():
            setattr(entry, key, value)
        file.writestr(entry, held)
    return out.getvalue()


def with_member(members: Members, name: str, held: bytes) -> bytes:
    """Our own writer, which asks nobody whether a name is allowed; the manifest lists the member."""
    return spoilt(members, lambda m: m.update({name: held}))


for number, hostile in enumerate(NAMES):
    raw(f"zip: name {number}", "MB902 MB903", lambda data, name=hostile: with_zipfile(data, name))
for number, hostile in enumerate(n for n in NAMES if n.isascii() and len(n) < 60000):
    case(f"own: name {number}", "MB902 MB903", lambda run, m, name=hostile: with_member(m, name, b"x"))
case(
    "a pickle as predictions", "MB911", lambda run, m: spoilt(m, in_bytes(first(m), lambda _: pickle.dumps(os.getcwd)))
)
case("a zip in the zip", "MB903", lambda run, m: spoilt(m, lambda x: x.update({"inner.zip": sealed(m)})))
case("a symbolic link", "MB902 MB903", lambda run, m: with_zipfile(sealed(m), first(m)[:-5] + "0.csv", b"/etc/passwd",
     external_attr=0o120777 << 16))  # fmt: skip
case(
    "a folder", "MB902 MB903", lambda run, m: with_zipfile(sealed(m), "predictions/", b"", external_attr=0o40755 << 16)
)
case("a device", "MB902 MB903", lambda run, m: with_zipfile(sealed(m), "dev", b"", external_attr=0o20666 << 16))
for name in (MANIFEST, *DOCUMENTS):
    case(f"without {name}", "MB903", lambda run, m, name=name: _without(m, name))


def _without(members: Members, name: str) -> bytes:
    kept = {**members, MANIFEST: bundle_members.manifest_of(members)}
    del kept[name]
    return zip_container.write(kept)


# -- the zip itself ---------------------------------------------------------------------------------------------------


def at(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def directory(data: bytes) -> int:
    return data.index(b"PK\x01\x02")


def end(data: bytes) -> int:
    return data.rindex(b"PK\x05\x06")


def second(data: bytes) -> int:
    """Where the second member's header starts: the first deflated one."""
    return data.index(b"PK\x03\x04", 4)


raw("data before", "MB902 MB903", lambda d: b"MZ" + d)
raw("data behind", "MB902", lambda d: d + b"\0")
raw("data between", "MB902", lambda d: d[: directory(d)] + b"hidden" + d[directory(d) :])
raw("data between members", "MB902 MB903", lambda d: d[: second(d)] + b"hidden" + d[second(d) :])
raw("a comment", "MB902", lambda d: at(d, end(d) + 20, struct.pack("<H", 3)) + b"hey")
raw("another date", "MB902", lambda d: at(d, 10, b"\x21\x43"))
raw("encrypted", "MB902", lambda d: at(d, 6, b"\x01"))
raw("a data descriptor", "MB902", lambda d: at(d, 6, b"\x08"))
raw("UTF-8 names", "MB902", lambda d: at(d, 7, b"\x08"))
raw("another method", "MB902", lambda d: at(d, second(d) + 8, b"\x0c"))
raw("a stored member", "MB902", lambda d: at(d, second(d) + 8, b"\x00"))
raw("a deflated manifest", "MB902", lambda d: at(d, 8, b"\x08"))
raw("an extra field", "MB902", lambda d: at(d, 28, b"\x04"))
raw("a wrong checksum", "MB902 MB905", lambda d: at(d, second(d) + 14, b"\0\0\0\0"))
raw("a longer name", "MB902 MB903", lambda d: at(d, 26, b"\xff\xff"))
raw("another directory name", "MB902", lambda d: at(d, directory(d) + 46, b"M"))
raw("directory offsets", "MB902", lambda d: at(d, directory(d) + 42, b"\x01"))
raw("directory attributes", "MB902", lambda d: at(d, directory(d) + 38, struct.pack("<I", 0o120777 << 16)))
raw("a directory count", "MB902", lambda d: at(d, end(d) + 8, b"\x01"))
raw("a directory size", "MB902", lambda d: at(d, end(d) + 12, b"\x01"))
raw("no directory", "MB902", lambda d: d[: directory(d)])
raw("no end", "MB902", lambda d: d[: end(d)])
raw("two archives", "MB902", lambda d: d + d)
raw("an overlap", "MB902 MB903 MB904", lambda d: at(d, 18, struct.pack("<I", len(d) // 2)))
raw("a size of 4 GB", "MB904 MB902", lambda d: at(d, second(d) + 22, b"\xff\xff\xff\xff"))
raw("a packed size of 4 GB", "MB902", lambda d: at(d, second(d) + 18, b"\xff\xff\xff\xff"))
for share in (0, 1, 3, 29, 30, 200, 0.5, 0.9, 0.999):
    raw(
        f"cut off at {share}",
        "MB902 MB903 MB905",
        lambda d, s=share: d[: int(s * len(d)) if isinstance(s, float) else s],
    )
raw("not a zip", "MB902 MB903", lambda d: b"hello")
raw("gzip", "MB902 MB903", gzip.compress)
raw("a pickle", "MB902 MB903", pickle.dumps)
raw("made by another zip program", "MB902", lambda d: _by_zipfile(d))
raw("noise", "MB902 MB903", lambda d: random.Random(0).randbytes(10_000))


def _by_zipfile(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return out.getvalue()


# -- bombs ------------------------------------------------------------------------------------------------------------


def zeros(count: int) -> bytes:
    """`count` MiB of zeros, deflated, without having them in memory."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join([deflater.compress(bytes(2**20)) for _ in range(count)]) + deflater.flush()


def forged(size: int, packed: bytes, name: str) -> bytes:
    """One deflated member behind an empty manifest, with a size of our choice."""
    whole = zip_container.write({MANIFEST: b"{}"})
    offset = directory(whole)
    head = zip_container._local(name, 8, 0, len(packed), size)
    central = whole[offset : end(whole)] + zip_container._entry(name, 8, 0, len(packed), size, offset)
    body = whole[:offset] + head + packed
    return body + central + zip_container._end(2, len(central), len(body))


def many(size: int, count: int) -> bytes:
    """As many members of predictions, all of the same bytes, packed once."""
    rng = random.Random(0)
    held = b"".join(rng.randbytes(2048) * 16 for _ in range(size // 2**15))  # packed to a fifteenth
    whole, packed, crc = zip_container.write({MANIFEST: b"{}"}), zip_container.pack(held), zlib.crc32(held)
    body, central = bytearray(whole[: directory(whole)]), bytearray(whole[directory(whole) : end(whole)])
    for number in range(count):
        fields = (f"predictions/{number:064x}.csv", 8, crc, len(packed), len(held))
        central += zip_container._entry(*fields, len(body))
        body += zip_container._local(*fields) + packed
    return bytes(body + central + zip_container._end(count + 1, len(central), len(body)))


case("a bomb of 300 MB", "MB904", lambda run, m: forged(300 * 2**20, zeros(300), first(m)))
case("a bomb that lies about its size", "MB903 MB905", lambda run, m: forged(1000, zeros(300), "plan.json"))
case("a lying bomb among honest members", "MB905", lambda run, m: _swapped(m, "trials.json", zeros(100)))
case(
    "a document of 15 MB", "MB904 MB906", lambda run, m: spoilt(m, in_bytes("plan.json", lambda _: b"[" * (15 * 2**20)))
)
case("a member of 17 MB", "MB904", lambda run, m: spoilt(m, in_bytes(first(m), lambda _: os.urandom(2**17) * 136)))
case("240 MB in 16 members", "MB904", lambda run, m: many(15 * 2**20, 16))
case("too many members", "MB904", lambda run, m: many(0, MEMBERS + 1))
case("a million lists", "MB904 MB906", lambda run, m: spoilt(m, in_bytes("plan.json", lambda _: _lists(400_000))))
case("too many lists", "MB904 MB906", lambda run, m: spoilt(m, in_bytes("plan.json", lambda _: _lists(1_200_000))))
case(
    "quotes without end", "MB904 MB906", lambda run, m: spoilt(m, in_bytes("plan.json", lambda _: b'"\\' * (2 * 10**6)))
)
case("long lines", "MB904 MB911", lambda run, m: spoilt(m, in_bytes(first(m), lambda d: d + _noise() + b"\n")))
case("commas", "MB904 MB911", lambda run, m: spoilt(m, in_bytes(first(m), lambda d: d + b"," * 300_000 + b"\n")))
case("a billion trials", "MB920", lambda run, m: spoilt(m, in_json("plan.json", lambda p: p["study"].update(
     repeats=1000, folds=100, seeds=100))))  # fmt: skip


def _noise() -> bytes:
    return random.Random(1).randbytes(2**20).hex().encode()


def _lists(count: int) -> bytes:
    """Nested and noisy enough to be packed honestly."""
    rng = random.Random(0)
    return b"[" + b",".join(b"[%d]" % rng.randrange(10**6) for _ in range(count)) + b"]"


def _swapped(members: Members, name: str, packed: bytes) -> bytes:
    """Put another stream behind an honest header: the packed size is the stream's, the size the honest one."""
    data, target, at_ = sealed(members), name, 0
    out, central, count = bytearray(), bytearray(), 0
    for member, found in zip_container.find(data).items():
        stream = packed if member == target else bytes(found.packed)
        at_ = len(out)
        out += zip_container._local(member, found.method, found.crc, len(stream), found.size) + stream
        central += zip_container._entry(member, found.method, found.crc, len(stream), found.size, at_)
        count += 1
    return bytes(out + central + zip_container._end(count, len(central), len(out)))
