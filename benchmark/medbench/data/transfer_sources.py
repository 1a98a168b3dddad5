"""Other data sets that recipes learn from: what they may take from them, by name, with and without pixels."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench import sealed_records
from medbench.data.cache import open_samples
from medbench.errors import DataError, UsageError
from medbench.identity.identity import digest
from medbench.interfaces import Dataset
from medbench.registry.describe_recipe import describe, with_inner
from medbench.samples import Samples
from medbench.text import counted


def datasets_in(*recipes: Any) -> Iterator[Dataset]:
    """Yield the data sets that recipes name in a field, at any depth."""
    for recipe in recipes:
        for part in with_inner(recipe):
            if isinstance(part, Dataset):
                yield part


def key_of_dataset(dataset: Dataset) -> str:
    """Return what tells a data set from every other: the SHA-256 of its recipe."""
    return digest(describe(dataset))


def usable_samples(folder: Path, target: Path, *, named: str) -> Samples:
    """Open a decoded data set without every row that shares a group or pixels with any row of the target.

    It is the whole target that counts, not one fold's test part: so one fit serves all folds.

    Args:
        folder: Decoded data set to learn from.
        target: Decoded data set under test, at the same working size.
        named: What an error calls the first.

    Raises:
        DataError: If images differ in channels or axes, or nothing is left.
    """
    samples, other = open_samples(folder), open_samples(target)
    if samples.x.shape[1:] != other.x.shape[1:]:
        raise DataError(
            f"{named}: its images are {_shape(samples)}, the target's {_shape(other)}; "
            "choose a source with the same channels and axes."
        )
    groups, pixels = set(other.groups.tolist()), set(pictures_of(target, other))
    own = pictures_of(folder, samples)
    kept = [
        row
        for row, group in enumerate(samples.groups.tolist())
        if group not in groups and (not own[row] or own[row] not in pixels)
    ]
    if len(kept) == len(samples):
        return samples
    left = samples.take(kept)
    if not len(left) or not left.class_counts.all():
        raise DataError(
            f"{named}: {len(samples) - len(kept)} of its {counted(len(samples), 'image')} are the target's own "
            "patients or pictures, and a class is empty without them; choose another source."
        )
    return left


def without_pixels(samples: Samples) -> Samples:
    """Return samples without pixels: all that a plan needs."""
    return replace(samples, x=np.zeros((len(samples), 0), dtype=np.uint8), masks=None)


def open_sources(folders: Mapping[str, str], target: Path) -> Callable[[Dataset], Samples]:
    """Return what a context asks for other data sets.

    Args:
        folders: Decoded folder by ``name_of``.
        target: Decoded folder of the data set under test.
    """
    known: dict[str, Samples] = {}

    def source(dataset: Dataset) -> Samples:
        name = key_of_dataset(dataset)
        if name not in folders:
            raise UsageError(f"{dataset.name}: no such source was announced; name it in a field of the recipe.")
        if name not in known:
            known[name] = usable_samples(Path(folders[name]), target, named=dataset.name)
        return known[name]

    return source


def pictures_of(folder: Path, samples: Samples) -> Sequence[str]:
    """Return the SHA-256 of each labelled row's pixels, empty for a blank picture; kept beside what was decoded."""
    kept = folder / "contents.json"
    hashes: dict[str, str] = {}
    if kept.is_file():
        with contextlib.suppress(sealed_records.Damaged):  # it is worked out again
            record, sums = sealed_records.read(kept)
            if sums is not None and record["of"] == samples.made_of:
                hashes = record["pixels"]
    if not hashes:
        rows = zip(samples.ids.tolist(), samples.x, strict=True)
        hashes = {i: "" if row.min() == row.max() else hashlib.sha256(row.tobytes()).hexdigest() for i, row in rows}
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_text(sealed_records.seal({"of": samples.made_of, "pixels": hashes}))
        fresh.replace(kept)
    return [hashes[i] for i in samples.ids.tolist()]


def _shape(samples: Samples) -> str:
    channels, *spatial = samples.x.shape[1:]
    return f"{channels} x {' x '.join(map(str, spatial))}"
