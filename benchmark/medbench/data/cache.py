"""Decoded data sets: each decoded once, into a memory-mapped array at working size, keyed by content.

A second start decodes nothing: the folder's listing (paths, sizes, times, inodes, bytes of tables) tells which array it
is. Where the listing is new, the files' bytes decide. What was decoded is used only while its bytes have the SHA-256
they were written with, and its index is the one that is read now.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs

from medbench import sealed_records
from medbench.data.audit_findings import Findings
from medbench.data.decode import AUDIT, Progress, check_index, decode_into, index_sum
from medbench.data.files import Seen, files_in, sha256_of
from medbench.errors import DataError, ResourceError, StoreError
from medbench.identity.identity import digest, identity
from medbench.interfaces import Dataset
from medbench.samples import Samples

FORMAT = 2  # of what is written here; raise it where the next version could not read it
SUMS = ".sums.json"
"""Sums of a phantom's files; hidden, so that it is no file of the data set."""
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
        across: Groups that the official cut parts, as :func:`medbench.data.audit_findings.across_cut` gives them.
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
    """Write the phantom of a data set's family, once, and return its folder; one that changed is drawn again."""
    family = dataset.name.partition(":")[0]
    code = digest([identity(dataset)["code"], seed, patients, null, FORMAT])[:8]
    root = cache_folder() / "phantoms" / f"{family}-{patients}-s{seed}{'-null' if null else ''}-{code}"
    if root.is_dir():
        if (why := _changed(root, SUMS)) is None:
            return root
        _set_aside(root, why, "it is drawn again")
    partial = root.with_name(f"{root.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        partial.mkdir(parents=True)
        dataset.phantom(partial, seed=seed, patients=patients, null=null)
        names = (str(path.relative_to(partial)) for path in partial.rglob("*") if path.is_file())
        (partial / SUMS).write_text(sealed_records.seal({}, sealed_records.sums_of(partial, names)))
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
    content_of = {path: table or sha256_of(root / path) for path, _, _, _, _, table in listing}
    cache = cache_folder() / "decoded"
    name = dataset.name.replace(":", "-").replace("/", "-")
    content = digest([recipe, sorted(content_of.items())])
    folder = cache / f"{name}-{size}-{content[:16]}"
    if folder.is_dir() and (why := _stale(folder, dataset, root)) is not None:
        _set_aside(folder, why, "its data are decoded again")
    if not folder.is_dir():
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

    None also where it is no longer what was written, or the folder's index another; its pixels are read once a process.

    Raises:
        DataError: If the folder does not exist or cannot be listed.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the data set's folder with --data, or use --phantom.")
    _, _, pointer = _seen(dataset, root, size, prefix)
    if not pointer.is_file():
        return None
    folder = cache_folder() / "decoded" / pointer.read_text(errors="replace").replace("\0", "")
    if not folder.is_dir() or (why := _stale(folder, dataset, root)) is not None:
        if folder.is_dir():
            _LOG.warning("note: %s: %s; it is not used, a run decodes its data again", folder, why)
        return None
    return _opened(folder)


def _stale(folder: Path, dataset: Dataset, root: Path) -> str | None:
    """Say why a decoded folder is not to be used, or return None."""
    why = _changed(folder, "manifest.json")
    if why is None:
        manifest, _ = sealed_records.read(folder / "manifest.json")
        if manifest["index"] != index_sum(check_index(dataset.index(root), dataset.name)):
            why = "the data folder's tables or names say other things than when it was decoded"
    return why


def _changed(folder: Path, record: str) -> str | None:
    """Say what of a folder is not what was written, or return None; what did not change since is not read again."""
    try:
        state = [(str(p), s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for p, s in _stats(folder)]
        return _compared(folder, record, tuple(sorted(state)))
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def _stats(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.rglob("*"):
        yield path, path.stat()


@functools.lru_cache(maxsize=256)
def _compared(folder: Path, record: str, state: tuple[object, ...]) -> str | None:
    try:
        _, sums = sealed_records.read(folder / record)
        sealed_records.check(folder, {record: ""} if sums is None else sums)
    except sealed_records.Damaged as error:
        return str(error)
    return None


def _set_aside(folder: Path, why: str, then: str) -> None:
    aside = folder.parent / ".damaged" / f"{folder.name}.{uuid.uuid4().hex[:8]}"
    try:
        aside.parent.mkdir(exist_ok=True)
        folder.rename(aside)
    except OSError as error:
        raise _not_written(folder, error) from None
    _LOG.warning("note: %s: %s; it was moved to %s, %s", folder, why, aside, then)


def _seen(dataset: Dataset, root: Path, size: int, prefix: str) -> tuple[str, list[Seen], Path]:
    recipe = digest([identity(dataset), size, prefix, AUDIT, FORMAT])
    listing = files_in(root)
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


def _opened(folder: Path) -> Decoded:
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


def _rename(partial: Path, final: Path) -> None:
    """Move a finished folder into place; where another process was first, its folder stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise
