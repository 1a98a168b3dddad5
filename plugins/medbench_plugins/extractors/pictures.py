"""Images as networks for photographs want them: two-dimensional, in three channels, in blocks of one size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import medbench


def colour_blocks(x: np.ndarray, rows: int, *, what: str) -> Iterator[np.ndarray]:
    """Yield ``uint8 (rows, 3, height, width)`` blocks of ``x uint8 (n, 1 or 3, height, width)``, at least one.

    A gray image becomes three equal channels. The last block is filled up with zeros: the bits of a network's output
    may depend on the number of rows, and the features of an image should not.

    Raises:
        medbench.Skip: For images of other dimensions or channels; `what` is the extractor's name in it.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise medbench.Skip(f"{what} takes 2-D images of one or three channels, not {x.shape[1:]}")
    for start in range(0, max(1, len(x)), rows):
        part = x[start : start + rows]
        block = np.zeros((rows, 3, *x.shape[2:]), dtype=np.uint8)
        block[: len(part)] = part  # one channel is repeated
        yield block
