"""What the tags of many radiographs give away: people, programs, and different images under one identity."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from medbench import DataError, Record, counted
from medbench_datasets.readers.boxes import from_text
from medbench_datasets.readers.dicom.header import inspect
from medbench_datasets.readers.dicom.read import read_radiograph


def audit_radiographs(root: Path, records: Sequence[Record]) -> tuple[str, ...]:
    """Inspect the first file of every record.

    Args:
        root: The data folder.
        records: What to inspect; boxes in their detail are held against the size of the image.

    Returns:
        Sentences with counts. Values of text tags are not in them.

    Raises:
        DataError: For the first file that is no proper radiograph, and for one SOPInstanceUID with different pixels.
    """
    identifying: Counter[str] = Counter()
    instances: defaultdict[str, list[str]] = defaultdict(list)
    inverted = executable = crossing = 0
    for record in records:
        header = inspect(root / record.files[0], name=record.files[0])
        identifying.update(header.identifying)
        inverted += header.inverted
        executable += header.executable
        crossing += any(
            box[:2].min() < 0 or box[2] > header.columns or box[3] > header.rows
            for _, box in from_text(record.detail.get("boxes", ""))
        )
        if header.instance:
            instances[header.instance].append(record.files[0])
    repeated = sum(_same_pixels(root, files) for files in instances.values() if len(files) > 1)
    notes = [
        f"{counted(count, 'file', 'have')} {keyword} filled in: they may identify people, and nothing of it is "
        "read or stored"
        for keyword, count in sorted(identifying.items())
    ]
    found = (
        (inverted, "file", "are", "MONOCHROME1 and inverted"),
        (executable, "file", "start", "like a program; the preamble is ignored"),
        (crossing, "image", "have", "a box that reaches over the border; it is cut there"),
        (repeated, "file", "repeat", "the SOPInstanceUID and the pixels of another"),
    )
    return (*notes, *(f"{counted(count, noun, verb)} {text}" for count, noun, verb, text in found if count))


def _same_pixels(root: Path, files: list[str]) -> int:
    """Return how many files repeat the first one, or raise where one differs from it."""
    hashes = [hashlib.sha256(read_radiograph(root / file, name=file).tobytes()).hexdigest()[:12] for file in files]
    for file, found in zip(files, hashes, strict=True):
        if found != hashes[0]:
            raise DataError(
                f"{file}: has the SOPInstanceUID of {files[0]} but other pixels (SHA-256 {found} and {hashes[0]}); "
                "download both again"
            )
    return len(files) - 1
