"""The zip: one layout, every byte of it either fixed or hashed, read in place and never extracted.

Headers are rebuilt and compared, so nothing hides in a field that other programs overlook; what stands between them is
the packed members, whose SHA-256 the manifest lists beside that of what they hold. Other zip programs can open it.

Source:
    PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medbench.publishing.refusals import Refused

MEMBERS = 5_000
"""The largest built-in study, 3 data sets x 3 networks x 12 arms x 15 cells with yardsticks and check, has 4,300."""
PACKED = 50 * 2**20  # bytes of the file: what a Git host takes without a warning
MEMBER = 16 * 2**20  # bytes of one member: 100,000 images of ten classes, or 5,000 trials
WHOLE = 200 * 2**20  # bytes of all members: 12 arms x 3 repeats of 10,466 images take 31 MiB, 15 packed
RATIO = 100  # bytes held by a packed one; honest members have 2 to 20
SLACK = 4096  # a member this small may be packed as well as it likes

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
DOCUMENTS = ("claims.json", "environment.json", "failures.json", "generators.json", "method.json", "plan.json",
             "trials.json")  # fmt: skip
_STORED = (MANIFEST, SIGNATURE)  # no spare bits at the end of a deflate stream
_NAME = re.compile(r"(?:manifest\.json|manifest\.sig|(?:predictions|validation)/[0-9a-f]{64}\.csv|" +
                   "|".join(re.escape(name) for name in DOCUMENTS) + ")")  # fmt: skip

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_DATE = 0x21  # 1 January 1980, the first there is
_VERSION = 20  # deflate, no zip64


@dataclass(frozen=True)
class Member:
    """Where a member lies.

    Attributes:
        packed: Its bytes as they stand in the file.
        size: Bytes it holds.
        crc: CRC-32 of these.
        method: 0 stored, 8 deflated.
    """

    packed: memoryview
    size: int
    crc: int
    method: int

    def unpack(self, name: str) -> bytes:
        """Return what it holds.

        Raises:
            Refused: MB905 where it is damaged or longer than said.
        """
        data = bytes(self.packed)
        if self.method == 8:
            inflater = zlib.decompressobj(-15)
            try:
                data = inflater.decompress(self.packed, self.size + 1)  # never more than was said
            except zlib.error as error:
                raise Refused("MB905", f"{name}: cannot be unpacked ({error}); fetch the bundle again.") from None
            if not inflater.eof or inflater.unused_data or inflater.unconsumed_tail:
                raise Refused("MB905", f"{name}: is longer or shorter than it says; fetch the bundle again.")
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise Refused("MB905", f"{name}: is not what its checksum says; fetch the bundle again.")
        return data


def pack(data: bytes) -> bytes:
    """Deflate at a fixed level: the same zlib gives the same bytes."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def order(name: str) -> tuple[int, str]:
    """Sort key of a member: the manifest first, its signature second, the others by name."""
    return (_STORED.index(name) if name in _STORED else len(_STORED), name)


def write(members: Mapping[str, bytes]) -> bytes:
    """Return the zip of these members; the same members give the same bytes."""
    local, central = bytearray(), bytearray()
    for name in sorted(members, key=order):
        data = members[name]
        packed, method = (data, 0) if name in _STORED else (pack(data), 8)
        offset = len(local)
        local += _local(name, method, zlib.crc32(data), len(packed), len(data)) + packed
        central += _entry(name, method, zlib.crc32(data), len(packed), len(data), offset)
    return bytes(local + central + _end(len(members), len(central), len(local)))


def read(path: Path) -> tuple[bytes, dict[str, Member]]:
    """Read a bundle's bytes and find its members, without unpacking any.

    Returns:
        The file, and its members in the order they lie.

    Raises:
        Refused: MB901 to MB904.
    """
    try:
        if not path.is_file():
            raise Refused("MB901", f"{path}: is no file; give a *.medbench.zip.")
        with path.open("rb") as file:
            data = file.read(PACKED + 1)
    except OSError as error:
        raise Refused("MB901", f"{path}: cannot be read ({error.strerror}); give a *.medbench.zip.") from None
    if len(data) > PACKED:
        raise Refused("MB901", f"{path}: is larger than {PACKED:,} bytes; bundle fewer methods or data sets.")
    return data, find(data)


def find(data: bytes) -> dict[str, Member]:
    """Find the members of a bundle; see :func:`read_bundle`."""
    view, members, offsets = memoryview(data), dict[str, Member](), dict[str, int]()
    at, whole = 0, 0
    if data[:4] != b"PK\x03\x04":
        raise Refused("MB902", "the file does not begin like a zip; give a *.medbench.zip.")
    while data[at : at + 4] == b"PK\x03\x04":
        if len(members) == MEMBERS:
            raise Refused("MB904", f"the bundle has more than {MEMBERS:,} members; bundle fewer methods or data sets.")
        if len(data) < at + _LOCAL.size:
            raise _bad_layout(f"header {len(members) + 1} is cut off")
        _, _, _, method, _, _, crc, packed, size, length, _ = _LOCAL.unpack_from(data, at)
        name = _member_name(data[at + _LOCAL.size : at + _LOCAL.size + min(length, 200)], length)
        start = at + _LOCAL.size + length
        if method != (0 if name in _STORED else 8) or data[at:start] != _local(name, method, crc, packed, size):
            raise _bad_layout(
                f"the header of {name} differs: links, folders, encryption, dates and comments are refused"
            )
        whole += size
        if size > MEMBER or whole > WHOLE or size > RATIO * packed + SLACK:
            raise Refused("MB904", f"{name}: {size:,} bytes packed into {packed:,}, {whole:,} so far, are too many.")
        if len(data) < start + packed:
            raise _bad_layout(f"{name} is cut off")
        if members and order(name) <= order(next(reversed(members))):
            raise _bad_layout(f"{name} stands there twice, or out of order")
        members[name], offsets[name] = Member(view[start : start + packed], size, crc, method), at
        at = start + packed
    central = b"".join(
        _entry(name, m.method, m.crc, len(m.packed), m.size, offsets[name]) for name, m in members.items()
    )
    if data[at:] != central + _end(len(members), len(central), at):
        raise _bad_layout("what follows the members is not their directory and nothing else")
    for name in (MANIFEST, *DOCUMENTS):
        if name not in members:
            raise Refused("MB903", f"{name} is missing; make the bundle again with `medbench bundle`.")
    return members


def _member_name(raw: bytes, length: int) -> str:
    name = raw.decode("ascii", "backslashreplace")
    if length > 120 or not _NAME.fullmatch(name):
        shown = name[:60].encode("unicode_escape").decode()
        raise Refused("MB903", f"a member is named {shown!r}; a bundle has no such member.")
    return name


def _bad_layout(what: str) -> Refused:
    return Refused("MB902", f"{what}; make the bundle again with `medbench bundle`.")


def _local(name: str, method: int, crc: int, packed: int, size: int) -> bytes:
    raw = name.encode()
    return _LOCAL.pack(b"PK\x03\x04", _VERSION, 0, method, 0, _DATE, crc, packed, size, len(raw), 0) + raw


def _entry(name: str, method: int, crc: int, packed: int, size: int, offset: int) -> bytes:
    raw = name.encode()
    return (
        _CENTRAL.pack(b"PK\x01\x02", _VERSION, _VERSION, 0, method, 0, _DATE, crc, packed, size, len(raw), 0, 0, 0, 0,
                      0, offset) + raw
    )  # fmt: skip


def _end(count: int, size: int, offset: int) -> bytes:
    return _END.pack(b"PK\x05\x06", 0, 0, count, count, size, offset, 0)
