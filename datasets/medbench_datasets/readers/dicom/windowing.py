"""From stored values to what a display shows: modality and VOI transformation, as a table over all stored values."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from medbench import DataError
from medbench_datasets.readers.dicom.header import LIBRARY_ERRORS, quiet


def shown_values(stored: np.ndarray, tags: Dataset, name: str) -> np.ndarray:
    """Apply the modality LUT or rescale, then the first VOI LUT or window.

    Args:
        stored: ``int64 (n,)``: stored values, each once.
        tags: What the file says about them.
        name: What messages call the file.

    Returns:
        ``float64 (n,)``; the stored order is reversed where the slope is negative. A window that leaves a single
        value of several is not applied: it lies beside the data, and some exporters write one.

    Raises:
        DataError: Where a table, window or slope is damaged or gives values that are not finite.

    Source:
        DICOM PS3.3 C.11.1 and C.11.2.
    """
    try:
        with quiet():
            values = _modality(stored, tags)
            shown = _voi(values, tags)
    except LIBRARY_ERRORS:
        raise DataError(f"{name}: its lookup table or window is damaged; correct or remove the tag") from None
    shown = values if shown.min() == shown.max() else shown
    if not np.isfinite(shown).all():
        raise DataError(f"{name}: its rescale or window gives values that are not finite; correct or remove the tags")
    return shown.astype(np.float64)


def _modality(stored: np.ndarray, tags: Dataset) -> np.ndarray:
    if tags.get("ModalityLUTSequence"):
        return _look_up(stored, tags.ModalityLUTSequence[0], tags)
    slope, intercept = tags.get("RescaleSlope"), tags.get("RescaleIntercept")
    if slope is None and intercept is None:
        return stored
    return stored.astype(np.float64) * (1.0 if slope is None else slope) + (0.0 if intercept is None else intercept)


def _voi(values: np.ndarray, tags: Dataset) -> np.ndarray:
    item = tags.VOILUTSequence[0] if tags.get("VOILUTSequence") else Dataset()
    if item.get("LUTDescriptor") is not None and item.get("LUTData") is not None:
        return _look_up(values, item, tags)
    if tags.get("WindowCenter") is None or tags.get("WindowWidth") is None:
        return values
    if (tags.get("RescaleSlope") or 1) < 0:  # pydicom would turn the window over as well
        tags = Dataset(tags)
        del tags.RescaleSlope, tags.RescaleIntercept
    return apply_windowing(values, tags)


def _look_up(values: np.ndarray, item: Dataset, tags: Dataset) -> np.ndarray:
    """Look values up in a LUT; those before its first and behind its last entry take that one (C.11.1.1.1).

    Not by pydicom, which counts entries in 8 bits where an entry has 8.
    """
    n, first, bits = (int(number) for number in item.LUTDescriptor)
    n = n or 2**16
    if tags.PixelRepresentation == 1 and first > 2**15 - 1:
        first -= 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if tags.file_meta.TransferSyntaxUID.is_little_endian else ">"
        entries = np.frombuffer(data[: len(data) // 2 * 2], f"{order}u2")
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.int64) % 2**16)
    if bits <= 8 and len(entries) < n <= 2 * len(entries):  # two entries a word, the lower byte first
        entries = entries.astype("<u2").view(np.uint8)
    if len(entries) < n or not 1 <= bits <= 16:
        raise ValueError("fewer entries than announced")
    return entries[:n].astype(np.int64)[np.floor(values - first).clip(0, n - 1).astype(np.int64)]
