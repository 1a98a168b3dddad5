"""How often a JPEG passes over its picture: a scan that adds nothing takes ten bytes and as long as any other."""

from __future__ import annotations

import mmap
import re
import struct

# Behind a scan: no 0, which is stuffed, and no restart. In JPEG-LS what is stuffed is below 128.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")


def count_scans(data: bytes | mmap.mmap) -> int:
    """Count the scans of a JPEG or JPEG-LS file up to its end; thumbnails within segments do not count."""
    count, at = 0, 2
    while (found := _MARKER.search(data, at)) and found[0] != b"\xff\xd9" and found.end() + 2 <= len(data):
        (length,) = struct.unpack_from(">H", data, found.end())
        count += found[0] == b"\xff\xda"
        at = found.end() + length
    return count
