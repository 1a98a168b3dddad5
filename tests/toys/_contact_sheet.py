"""A sheet of samples as generators leave it, for tests of pages that show one."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def contact_sheet(rows: int, columns: int = 3, side: int = 16, *, colours: int = 0) -> bytes:
    """A white page with gray images in rows, a wider gap after every second one."""
    tops = [4 + i * (side + 4) + (i // 2) * 12 for i in range(rows)]
    page = np.full((tops[-1] + side + 4, 4 + columns * (side + 4)), 255, dtype=np.uint8)
    for number, top in enumerate(tops):
        for column in range(columns):
            left = 4 + column * (side + 4)
            page[top : top + side, left : left + side] = 20 + 10 * number + column
    out = io.BytesIO()
    Image.fromarray(np.repeat(page[..., None], colours, 2) if colours else page).save(out, format="PNG")
    return out.getvalue()
