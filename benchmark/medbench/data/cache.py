"""Decoded data sets: each decoded once, into a memory-mapped array at working size, keyed by content.

A second start decodes nothing: the folder's listing (paths, sizes, times, inodes, bytes of tables) tells which array it
is. Where the listing is new, the files' bytes decide. What was decoded is used only while its bytes have the SHA-256
they were written with, and its index is the one that is read now.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medbench import sealed_records
from medbench.data.audit_findings import Findings
from medbench.data.cache_folder import FORMAT, cache_folder, find_damage, move_into_place, set_aside, write_error
from medbench.data.decode import AUDIT, MANY, READING, Progress, check_index, decode_into, index_sum
from medbench.data.files import TOLD, FileState, list_files, sha256_of
from medbench.errors import DataError, StoreError
from medbench.identity.identity import digest, identity
from medbench.interfaces import Dataset
from medbench.samples import Samples

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decoded:
    """A data set ready to train on.

    Attributes:
        folder: Where the arrays lie.
        fingerprint: SHA-256 of pixels, masks, labels, ids, patients and groups.
        notes: What the reader left out or found odd.
        merged: How many patients share a picture with another and were therefore united.
        conflicts: Ids of identical pictures with different labels, united.
        findings: What the audit found.
        across: Groups that the official cut parts, as :func:`.groups_across_cut` gives them.
    """

    folder: Path
    fingerprint: str
    notes: tuple[str, ...]
    merged: int
    conflicts: tuple[tuple[str, ...], ...]
    findings: Findings = field(default_factory=Findings)
    across: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)

    def samples(self) -> Samples:
        """Open the labelled rows; pixels stay on disk until they are used."""
        return open_samples(self.folder)


def decode(
    dataset: Dataset, root: Path, *, size: int, workers: int = 1, progress: Progress | None = None, prefix: str = ""
) -> Decoded:
    """Return the decoded data set, from the cache or by decoding it now.

    Args:
        dataset: The recipe.
        root: Its folder; only read.
        size: Working size along every spatial axis.
        workers: Processes that decode.
        progress: Told how far the work is.
        prefix: Put before ids, so that a phantom's are not the real ones'.

    Raises:
        DataError: If a file is missing or damaged.
    """
    recipe, listing, pointer = _cache_key(dataset, root, size, prefix, progress)
    if found := _seen_before(pointer, dataset, root):
        return found
    content_of = {}
    for path, _, _, _, _, table in listing:
        content_of[path] = table or sha256_of(root / path)
        if progress and len(listing) > MANY and len(content_of) % TOLD == 0:
            progress("reading the files", len(content_of), len(listing))
    cache = cache_folder() / "decoded"
    name = dataset.name.replace(":", "-").replace("/", "-")
    content = digest([recipe, sorted(content_of.items())])
    folder = cache / f"{name}-{size}-{content[:16]}"
    if progress and len(listing) > MANY:
        progress(READING, 0, 0)
    if folder.is_dir() and (why := _stale(folder, dataset, root)) is not None:
        set_aside(folder, why, "its data are decoded again")
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            decode_into(partial, dataset, root, size, workers, progress, prefix)
            move_into_place(partial, folder)
        except OSError as error:
            raise write_error(partial.parent, error) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    try:
        pointer.parent.mkdir(parents=True, exist_ok=True)
        fresh = pointer.with_suffix(f".{uuid.uuid4().hex[:8]}")
        fresh.write_text(folder.name)
        fresh.replace(pointer)
    except OSError as error:
        raise write_error(pointer.parent, error) from None
    return _read_decoded(folder)


def find_decoded(dataset: Dataset, root: Path, *, size: int, prefix: str = "") -> Decoded | None:
    """Return what was decoded before from a folder of this listing, or None; decodes nothing.

    None also where it is no longer what was written, or the folder's index another; its pixels are read once a process.

    Raises:
        DataError: If the folder does not exist or cannot be listed.
    """
    return _seen_before(_cache_key(dataset, root, size, prefix)[2], dataset, root)


def _seen_before(pointer: Path, dataset: Dataset, root: Path) -> Decoded | None:
    if not pointer.is_file():
        return None
    folder = cache_folder() / "decoded" / pointer.read_text(errors="replace").replace("\0", "")
    if not folder.is_dir() or (why := _stale(folder, dataset, root)) is not None:
        if folder.is_dir():
            _LOG.warning("note: %s: %s; it is not used, a run decodes its data again", folder, why)
        return None
    return _read_decoded(folder)


def _stale(folder: Path, dataset: Dataset, root: Path) -> str | None:
    """Say why a decoded folder is not to be used, or return None."""
    why = find_damage(folder, "manifest.json")
    if why is None:
        manifest, _ = sealed_records.read(folder / "manifest.json")
        if manifest["index"] != index_sum(check_index(dataset.index(root), dataset.name)):
            why = "the data folder's tables or names say other things than when it was decoded"
    return why


def _cache_key(
    dataset: Dataset, root: Path, size: int, prefix: str, progress: Progress | None = None
) -> tuple[str, list[FileState], Path]:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the data set's folder with --data, or use --phantom.")
    recipe = digest([identity(dataset), size, prefix, AUDIT, FORMAT])
    listing = list_files(root, progress)
    return (
        recipe,
        listing,
        cache_folder() / "decoded" / "seen" / digest([recipe, os.fsencode(root.resolve()).hex(), listing]),
    )


def open_samples(folder: Path) -> Samples:
    """Open a decoded folder; unlabelled rows are left out.

    Raises:
        StoreError: If it cannot be read; whether its bytes are those that were written was looked at before.
    """
    try:
        return _samples_in(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(error) if isinstance(error, sealed_records.Damaged) else f"it cannot be read ({type(error).__name__})"
        raise StoreError(f"{folder}: {why}; run the same command again, which decodes its data again.") from None


def _samples_in(folder: Path) -> Samples:
    manifest, _ = sealed_records.read(folder / "manifest.json")
    columns = json.loads((folder / "columns.json").read_text())
    masks = folder / "masks.npy"
    labels = np.array(columns["labels"], dtype=np.int64)
    text = {key: np.array(columns[key], dtype=np.str_) for key in ("ids", "patients", "groups", "parts")}
    samples = Samples(
        x=np.load(folder / "pixels.npy", mmap_mode="r"),
        labels=labels,
        ids=text["ids"],
        patients=text["patients"],
        groups=text["groups"],
        sources=((),) * len(labels),
        classes=tuple(manifest["classes"]),
        made_of=manifest["fingerprint"],
        masks=np.load(masks, mmap_mode="r") if masks.is_file() else None,
        parts=text["parts"] if any(columns["parts"]) else None,
        sides=manifest.get("sides", False),
    )
    return samples if (labels >= 0).all() else samples.take(labels >= 0)


def _read_decoded(folder: Path) -> Decoded:
    manifest, _ = sealed_records.read(folder / "manifest.json")
    return Decoded(
        folder,
        manifest["fingerprint"],
        tuple(manifest["notes"]),
        manifest["merged"],
        tuple(tuple(ids) for ids in manifest["conflicts"]),
        Findings.from_json(manifest["findings"]),
        {name: tuple(map(tuple, groups)) for name, groups in manifest["across"].items()},
    )
