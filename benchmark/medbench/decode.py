"""Decode a data set once, in parallel, into a memory-mapped array at working size, keyed by content.

A second start reads nothing but that array: the folder's listing (paths, sizes, times) tells which one it is. Where the
listing is new, the files' bytes decide.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs

from medbench.duplicates import near
from medbench.errors import DataError, ResourceError
from medbench.findings import Findings, Link, across_cut
from medbench.identity import digest, identity
from medbench.interfaces import Dataset, Index, Record
from medbench.protocols import groups_united
from medbench.samples import Samples
from medbench.shortcuts import Header, header, measure

AUDIT = 3  # version of what is looked for when images are decoded; raise it where groups or findings must change
MANY = 3000  # images; comparing more takes long enough to say so
CHUNK = 16  # records a task: large enough to share a volume's slices, small enough for a smooth bar
Progress = Callable[[str, int, int], None]
"""``(what, done, total)``."""


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
    content = digest([recipe, [[path, _sha256(root / path)] for path, _, _ in listing]])
    folder = cache / f"{name}-{size}-{content[:16]}"
    if not (folder / "manifest.json").is_file():
        partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            _decode_into(partial, dataset, root, size, workers, progress, prefix)
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
    listing = _listing(root)
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
    )
    return samples if (labels >= 0).all() else samples.take(labels >= 0)


def check_index(index: Index, name: str) -> Index:
    """Return the index if it describes something one can train on.

    Raises:
        DataError: For no labelled images, one class only, or two records of one id.
    """
    labels = [record.label for record in index.records if record.label >= 0]
    if not labels:
        raise DataError(f"{name}: no labelled image was found; see `medbench datasets show {name}` for the layout.")
    present = sorted(set(labels))
    if len(present) < 2:
        raise DataError(
            f"{name}: only the class {index.classes[present[0]]!r} occurs; a classifier needs at least two."
        )
    ids = [record.id for record in index.records]
    if len(set(ids)) != len(ids):
        twice = sorted({i for i in ids if ids.count(i) > 1})[:5] if len(ids) < 5000 else []
        raise DataError(f"{name}: the same id stands for two images {', '.join(twice)}; remove the doubled files.")
    return index


def _decode_into(
    folder: Path, dataset: Dataset, root: Path, size: int, workers: int, progress: Progress | None, prefix: str
) -> None:
    index = check_index(dataset.index(root), dataset.name)
    n = len(index.records)
    folder.mkdir(parents=True)
    shape = (n, index.channels, *[size] * index.dimensions)
    for name, of_rows in (("pixels", shape), ("masks", (n, *shape[2:]))):  # workers write rows into these files
        path = folder / f"{name}.npy"
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=of_rows).flush()
        with path.open("r+b") as file:  # a full disk is an error here; met through the map, it kills the process
            getattr(os, "posix_fallocate", lambda *_: None)(file.fileno(), 0, path.stat().st_size)  # not on macOS
    with_mask = np.zeros(n, dtype=bool)
    headers = np.zeros((n, 4), dtype=np.int64)
    starts = range(0, n, CHUNK)
    done = 0
    if progress:
        progress(f"decoding {dataset.name}", 0, n)
    for rows, found, of_files in _run(dataset, root, index.records, starts, size, folder, workers):
        with_mask[rows], headers[rows] = found, of_files
        done += len(found)
        if progress:
            progress(f"decoding {dataset.name}", done, n)
    if not with_mask.any():
        (folder / "masks.npy").unlink()
    compared = f"comparing the images of {dataset.name}"
    if progress and n > MANY:
        progress(compared, 0, n)
    _finish(folder, index, f"{prefix}{dataset.name.partition(':')[0]}", headers)
    if progress and n > MANY:
        progress(compared, n, n)


def _run(
    dataset: Dataset, root: Path, records: Sequence[Record], starts: range, size: int, folder: Path, workers: int
) -> Iterator[tuple[slice, list[bool], list[Header]]]:
    tasks = [(dataset, root, records[start : start + CHUNK], start, size, folder) for start in starts]
    if workers <= 1 or len(tasks) <= 1:
        yield from map(_decode_chunk, tasks)
        return
    # Not the fork server: a process has one, and the executor wants it with its own libraries imported.
    pool = concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        for future in concurrent.futures.as_completed([pool.submit(_decode_chunk, task) for task in tasks]):
            yield future.result()
    except concurrent.futures.process.BrokenProcessPool:
        raise ResourceError(
            f"{dataset.name}: a decoding process was ended, most likely for want of memory; use --workers 1."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _decode_chunk(
    task: tuple[Dataset, Path, Sequence[Record], int, int, Path],
) -> tuple[slice, list[bool], list[Header]]:
    dataset, root, records, start, size, folder = task
    pixels = np.load(folder / "pixels.npy", mmap_mode="r+")
    masks = np.load(folder / "masks.npy", mmap_mode="r+")
    found = []
    for row, (image, mask) in enumerate(dataset.read(root, records, size), start=start):
        if image.dtype != np.uint8 or image.shape != pixels.shape[1:]:
            raise DataError(
                f"{dataset.name} read {records[row - start].files[0]} as {image.dtype} {image.shape}, "
                f"expected uint8 {pixels.shape[1:]}; this is a fault of the data set's recipe."
            )
        pixels[row] = image
        if mask is not None:
            masks[row] = mask
        found.append(mask is not None)
    if len(found) != len(records):
        raise DataError(f"{dataset.name} read {len(found)} of {len(records)} images; this is a fault of its recipe.")
    pixels.flush()
    masks.flush()
    return slice(start, start + len(records)), found, [header(root / record.files[0]) for record in records]


def _finish(folder: Path, index: Index, prefix: str, headers: np.ndarray) -> None:
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    # A blank picture says nothing about who is in it: it unites nobody.
    contents = [hashlib.sha256(row.tobytes()).hexdigest() for row in pixels]
    hashes = ["" if row.min() == row.max() else content for row, content in zip(pixels, contents, strict=True)]
    patients = [f"{prefix}/{record.patient}" for record in index.records]
    studies = [f"{prefix}/{record.study}" if record.study else "" for record in index.records]
    declared = groups_united(patients, studies)
    exact = groups_united(patients, studies, hashes)
    pairs = near(pixels, exact)
    groups = linked(exact, [(pair.first, pair.second) for pair in pairs])
    ids = [f"{prefix}/{record.id}" for record in index.records]
    labels = [record.label for record in index.records]
    columns = {
        "ids": ids,
        "labels": labels,
        "patients": patients,
        "groups": groups.tolist(),
        "parts": [record.part for record in index.records],
    }
    sha = hashlib.sha256(json.dumps([columns, index.classes], sort_keys=True).encode())
    for content in contents:
        sha.update(content.encode())
    masks = folder / "masks.npy"
    if masks.is_file():
        sha.update(_sha256(masks).encode())
    by_pixels: dict[str, list[int]] = {}
    for row, key in enumerate(hashes):
        if key:
            by_pixels.setdefault(key, []).append(row)
    same = [rows for rows in by_pixels.values() if len(rows) > 1]
    labelled = [[row for row in rows if labels[row] >= 0] for rows in same]
    conflicts = [[ids[r] for r in rows] for rows in labelled if len({labels[r] for r in rows}) > 1]
    shortcuts, neighbour, looked_at = measure(pixels, np.array(labels), groups, headers, len(index.classes))
    findings = Findings(
        images=len(ids),
        patients=len(set(patients)),
        declared=len(set(declared.tolist())),
        exact=len(set(exact.tolist())),
        groups=len(set(groups.tolist())),
        same=tuple(tuple(ids[r] for r in rows) for rows in same),
        near=tuple(Link(ids[p.first], ids[p.second], round(p.value, 4)) for p in pairs),
        conflicts=tuple(map(tuple, conflicts)),
        shortcuts=shortcuts,
        neighbour=neighbour,
        looked_at=looked_at,
    )
    rows = [row for row, label in enumerate(labels) if label >= 0]
    own = [str(row) for row in range(len(ids))]
    pictures = linked(groups_united(own, hashes), [(pair.first, pair.second) for pair in pairs])
    told = (
        [column[row] for row in rows]
        for column in (ids, columns["parts"], declared.tolist(), groups.tolist(), pictures.tolist())
    )
    manifest = {
        "fingerprint": sha.hexdigest(),
        "classes": list(index.classes),
        "notes": list(index.notes),
        "merged": findings.merged,
        "conflicts": conflicts,
        "findings": findings.to_json(),
        "across": across_cut(*told),
    }
    (folder / "columns.json").write_text(json.dumps(columns))
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))


def linked(groups: np.ndarray, links: Sequence[tuple[int, int]]) -> np.ndarray:
    """Unite the groups of linked rows under the name of the one that comes first."""
    names = groups.tolist()
    place = {name: row for row, name in reversed(list(enumerate(names)))}
    called = {name: name for name in place}

    def name_of(name: str) -> str:
        while called[name] != name:
            name = called[name]
        return name

    for first, second in links:
        one, other = sorted((name_of(names[first]), name_of(names[second])), key=place.__getitem__)
        called[other] = one
    return np.array([name_of(name) for name in names], dtype=np.str_)


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


def _listing(root: Path) -> list[tuple[str, int, int]]:
    """Return (relative path, size, time in ns) of every file, sorted; hidden files do not count."""
    found: list[tuple[str, int, int]] = []
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(str(root), frozenset())]
    while waiting:
        folder, above = waiting.pop()
        try:
            status = os.stat(folder)
            here = (status.st_dev, status.st_ino)
            if here in above:
                raise DataError(f"{_escaped(folder)}: is a link to a folder above it; remove the link.")
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if not _is_utf8(entry.name):
                        raise DataError(f"{_escaped(entry.path)}: its name is not UTF-8; rename it.")
                    if entry.is_dir():  # links are followed: what lies behind them is data as well
                        waiting.append((entry.path, above | {here}))
                    elif entry.is_file():
                        status = entry.stat()
                        relative = os.path.relpath(entry.path, root).replace(os.sep, "/")
                        found.append((relative, status.st_size, status.st_mtime_ns))
        except OSError as error:
            place = _escaped(error.filename or folder)
            raise DataError(f"{place}: cannot be listed ({error.strerror}); mend it or remove it.") from None
    return sorted(found)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give it read permission or remove it.") from None


def _rename(partial: Path, final: Path) -> None:
    """Move a finished folder into place; where another process was first, its folder stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.rename(final)
    except OSError:
        if not final.is_dir():
            raise
