"""Radiographs from DICOM files: one grey frame, as a display would show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medbench_datasets.readers.dicom.header import inspect
from medbench_datasets.readers.dicom.pixels import read_stored
from medbench_datasets.readers.dicom.windowing import shown_values


def read_radiograph(path: Path, *, name: str) -> np.ndarray:
    """Decode one radiograph as it is meant to be seen.

    Modality LUT or rescale, then the first VOI LUT or window, then smallest to largest value stretched over 0 to 255,
    and MONOCHROME1 inverted, so that bone is bright. A window that leaves a single grey is not applied. Padding
    (PixelPaddingValue, PixelPaddingRangeLimit) takes no contrast and is black, with MONOCHROME1 as well.

    Args:
        path: The file.
        name: What messages call the file.

    Returns:
        ``uint8 (1, height, width)``; an image of one value is 0 everywhere.

    Raises:
        DataError: Where the file is not one intact grey frame of 8 to 16 bits, its tags contradict its pixels, or it
            would take much more memory than it is large.
        ResourceError: Where the decoder of its transfer syntax is not installed, or memory ends.

    Source:
        DICOM PS3.3 C.7.5.1.1.2, C.7.6.3, C.11.1 and C.11.2; order and stretching as in Nguyen et al. 2021,
        arXiv:2106.12930.
    """
    header = inspect(path, name=name)
    stored = read_stored(path, header, name)
    # Everything from here on depends on the stored value alone: a table of at most 65,536 entries, not of millions.
    first = int(stored.values.min())
    index = stored.values.astype(np.int32) - first if first else stored.values
    counts = np.zeros(int(index.max()) + 1, dtype=bool)
    counts[index if stored.padding is None else index[~stored.padding]] = True
    table = np.zeros(len(counts), dtype=np.uint8)
    occurring = np.flatnonzero(counts)
    if occurring.size:
        shown = shown_values(occurring + first, stored.tags, name)
        low, high = float(shown.min()), float(shown.max())
        if high > low:
            grey = np.rint((shown - low) * (255 / (high - low))).astype(np.uint8)
            table[occurring] = 255 - grey if header.inverted else grey
    pixels = table[index]
    if stored.padding is not None:
        pixels[stored.padding] = 0
    return pixels[None]  # (1, H, W)
