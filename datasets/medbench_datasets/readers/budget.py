"""How much memory a file may take while it is decoded: judged by its header, before anything is unpacked."""

from __future__ import annotations

from medbench import DataError

SMALL = 180_000_000
"""Bytes that any file may take: a radiograph of 40 million pixels, a volume of 240 x 240 x 155 voxels."""

PER_BYTE = 64
"""Bytes that a byte of the file adds. Real images at their best compression, skull-stripped volumes, need about 40."""


def check_budget(name: str, *, needs: int, held: int, what: str) -> None:
    """Refuse a small file that would unpack to something huge; what is large on the disk may be large in memory.

    Args:
        name: What messages call the file.
        needs: Bytes that decoding takes at its peak, as the header says.
        held: Bytes of the file.
        what: What the header announces, such as "a picture of 20 x 30".

    Raises:
        DataError: Where the file is too small for what it would unpack to.
    """
    allowed = SMALL + PER_BYTE * held
    if needs > allowed:
        raise DataError(
            f"{name} is {what} and would take {needs / 1e6:,.0f} MB of memory, more than the {allowed / 1e6:,.0f} MB "
            f"that a file of {held:,} bytes gets; put a smaller copy in its place or fetch it again"
        )
