"""Decoded data sets: each decoded once, into a memory-mapped array at working size, keyed by content.

A second start reads nothing but that array: the folder's listing (paths, sizes, times) tells which one it is. Where the
listing is new, the files' bytes decide.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs

from medbench.decoding import AUDIT, Progress, decode_into
from medbench.errors import DataError, ResourceError
from medbench.files import files_in, sha256_of
from medbench.findings import Findings
from medbench.identity import digest, identity
from medbench.interfaces import Dataset
from medbench.samples import Samples


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
        across: Groups that the official cut parts, as :func:`medbench.findings.across_cut` gives them.
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


def cache_folder() -> Path:
    """Return the folder for decoded arrays and phantoms: MEDBENCH_CACHE, or the user's cache folder."""
    return Path(os.environ.get("MEDBENCH_CACHE") or platformdirs.user_cache_dir("medbench"))


def phantom_root(dataset: Dataset, *, seed: int = 0, patients: int, null: bool = False) -> Path:
    """Write the phantom of a data set's family, once, and return its folder."""
    family = dataset.name.partition(":")[0]
    code = digest([identity(dataset)["code"], seed, patients, null])[:8]
    root = cache_folder() / "phantoms" / f"{family}-{patients}-s{seed}{'-null' if null else ''}-{code}"
    if root.is_dir():
        return root
    partial = root.with_name(f"{root.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
        dataset.phantom(partial, seed=seed, patients=patients, null=null)
        _rename(partial, root)
    except OSError as error:
        raise _not_written(partial.parent, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


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
    if found := already_decoded(dataset, root, size=size, prefix=prefix):
        return found
    recipe, listing, pointer = _seen(dataset, root, size, prefix)
    cache = cache_folder() / "decoded"
    name = dataset.name.replace(":", "-").replace("/", "-")
    content = digest([recipe, [[path, sha256_of(root / path)] for path, _, _ in listing]])
    folder = cache / f"{name}-{size}-{content[:16]}"
    if not (folder / "manifest.json").is_file():
        partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            decode_into(partial, dataset, root, size, workers, progress, prefix)
            _rename(partial, folder)
        except OSError as error:
            raise _not_written(partial.parent, error) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    try:
        pointer.parent.mkdir(parents=True, exist_ok=True)
        fresh = pointer.with_suffix(f".{uuid.uuid4().hex[:8]}")
        fresh.write_text(folder.name)
        fresh.replace(pointer)
    except OSError as error:
        raise _not_written(pointer.parent, error) from None
    return _opened(folder)


def _not_written(folder: Path, error: OSError) -> ResourceError:
    return ResourceError(
        f"{folder}: decoded or drawn data cannot be written there ({error.strerror}); "
        "free some space or set MEDBENCH_CACHE to a folder that has it."
    )


def already_decoded(dataset: Dataset, root: Path, *, size: int, prefix: str = "") -> Decoded | None:
    """Return what was decoded before from a folder of this listing, or None; decodes nothing.

    Raises:
        DataError: If the folder does not exist or cannot be listed.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the data set's folder with --data, or use --phantom.")
    _, _, pointer = _seen(dataset, root, size, prefix)
    if pointer.is_file():
        folder = cache_folder() / "decoded" / pointer.read_text()
        if (folder / "manifest.json").is_file():
            return _opened(folder)
    return None


def _seen(dataset: Dataset, root: Path, size: int, prefix: str) -> tuple[str, list[tuple[str, int, int]], Path]:
    recipe = digest([identity(dataset), size, prefix, AUDIT])
    listing = files_in(root)
    return (
        recipe,
        listing,
        cache_folder() / "decoded" / "seen" / digest([recipe, os.fsencode(root.resolve()).hex(), listing]),
    )


def open_samples(folder: Path) -> Samples:
    """Open a decoded folder; unlabelled rows are left out."""
    manifest = json.loads((folder / "manifest.json").read_text())
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


def _opened(folder: Path) -> Decoded:
    manifest = json.loads((folder / "manifest.json").read_text())
    return Decoded(
        folder,
        manifest["fingerprint"],
        tuple(manifest["notes"]),
        manifest["merged"],
        tuple(tuple(ids) for ids in manifest["conflicts"]),
        Findings.from_json(manifest["findings"]),
        {name: tuple(map(tuple, groups)) for name, groups in manifest["across"].items()},
    )


def _rename(partial: Path, final: Path) -> None:
    """Move a finished folder into place; where another process was first, its folder stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise
