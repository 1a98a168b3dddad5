"""Decoding: from a data set's files to its arrays, in parallel, then to groups, findings and a fingerprint."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench import sealed_records
from medbench.data.audit_findings import Findings
from medbench.data.audit_images import Inspection, check_contents, inspect_images, is_blank, joins_near
from medbench.data.audit_parts import measure_parts
from medbench.data.audit_shortcuts import Header, measure_shortcuts, read_header
from medbench.data.files import TOLD, sha256_of
from medbench.data.one_thread import one_thread
from medbench.data.picture_planes import comparable_planes
from medbench.errors import DataError, ResourceError
from medbench.interfaces import Dataset, Index, Record

AUDIT = 5  # version of what is looked for when images are decoded; raise it where groups or findings must change
MANY = 3000  # images; comparing more takes long enough to say so
READING = "reading names and tables"
CHUNK = 16  # records a task: large enough to share a volume's slices, small enough for a smooth bar
Progress = Callable[[str, int, int], None]
"""``(what, done, total)``; total is 0 while nobody knows it."""


def decode_into(
    folder: Path, dataset: Dataset, root: Path, size: int, workers: int, progress: Progress | None, prefix: str
) -> None:
    """Decode a data set into a new folder: ``pixels.npy``, ``masks.npy``, ``columns.json`` and ``manifest.json``.

    Args:
        folder: The new folder.
        dataset: The recipe.
        root: The data set's folder; only read.
        size: Working size along every spatial axis.
        workers: Processes that decode.
        progress: Told how far the work is.
        prefix: Put before ids.

    Raises:
        DataError: If a file is missing or damaged, or nothing can be trained on.
        ResourceError: If a decoding process was ended.
    """
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
    decoding = f"decoding {dataset.name}"

    def tell_decoded(done: int) -> None:
        if progress:
            progress(decoding, done, n)

    tell_decoded(0)
    for rows, found, of_files in _run(dataset, root, index.records, size, folder, workers, tell_decoded):
        with_mask[rows], headers[rows] = found, of_files
    tell_decoded(n)
    if not with_mask.any():
        (folder / "masks.npy").unlink()

    def tell(what: str, done: int, total: int) -> None:
        if progress and n > MANY:
            progress(f"{what} of {dataset.name}", done, total)

    _finish(folder, index, f"{prefix}{dataset.name.partition(':')[0]}", headers, dataset, tell)


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


def index_sum(index: Index) -> str:
    """Return the SHA-256 of all that an index says."""
    records = [
        [r.id, list(r.files), int(r.label), r.patient, r.study, r.part, sorted(r.detail.items())] for r in index.records
    ]
    facts = [list(index.classes), index.channels, index.dimensions, list(index.notes)]
    return hashlib.sha256(json.dumps([facts, records], default=str).encode()).hexdigest()


def _run(
    dataset: Dataset,
    root: Path,
    records: Sequence[Record],
    size: int,
    folder: Path,
    workers: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[slice, list[bool], list[Header]]]:
    spans = cut_into_spans(records, workers)
    if workers <= 1 or len(spans) <= 1:
        with one_thread():
            for done in _decode_rows(dataset, root, records, 0, size, folder):
                yield done
                progress(done[0].stop)
        return
    # Not the fork server: a process has one, and the executor wants it with its own libraries imported.
    context = multiprocessing.get_context("spawn")
    count = context.Value("q", 0)
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker, (count,))
    try:
        tasks = [(dataset, root, records[span.start : span.stop], span.start, size, folder) for span in spans]
        waiting = {pool.submit(_decode_span, task) for task in tasks}
        while waiting:
            finished, waiting = concurrent.futures.wait(waiting, 1.0, concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                yield from future.result()
            progress(count.value)
    except concurrent.futures.process.BrokenProcessPool:
        raise ResourceError(
            f"{dataset.name}: a decoding process was ended, most likely for want of memory; use --workers 1."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cut_into_spans(records: Sequence[Record], workers: int) -> list[range]:
    """Cut records into tasks of about CHUNK, never between those of the same files, such as a volume's slices.

    An archive of many images is read from its start up to the last one wanted: it becomes as many tasks as there are
    workers, and a single one where one process reads it all.
    """
    spans: list[range] = []
    start = 0
    at = 0
    for _, same in itertools.groupby(records, key=lambda record: record.files):
        n = sum(1 for _ in same)
        if n <= CHUNK:
            at += n
            if at - start >= CHUNK:
                spans.append(range(start, at))
                start = at
            continue
        part = max(CHUNK, -(-n // max(1, workers)))
        cuts = [*range(start, start + (at > start)), *range(at, at + n, part), at + n]
        spans += [range(one, other) for one, other in itertools.pairwise(cuts)]
        start = at = at + n
    return spans + [range(start, at)] * (at > start)


_decoded: Any = None
"""In a process that decodes: how many images all of them have decoded."""


def _start_worker(decoded: Any) -> None:
    global _decoded
    _decoded = decoded


def _decode_span(
    task: tuple[Dataset, Path, Sequence[Record], int, int, Path],
) -> list[tuple[slice, list[bool], list[Header]]]:
    found = []
    with one_thread():
        for rows, with_mask, headers in _decode_rows(*task):
            found.append((rows, with_mask, headers))
            with _decoded.get_lock():
                _decoded.value += rows.stop - rows.start
    return found


def _decode_rows(
    dataset: Dataset, root: Path, records: Sequence[Record], first: int, size: int, folder: Path
) -> Iterator[tuple[slice, list[bool], list[Header]]]:
    """Decode records into the rows from `first` on, in one pass; yield every CHUNK rows what was found in them."""
    pixels = np.load(folder / "pixels.npy", mmap_mode="r+")
    masks = np.load(folder / "masks.npy", mmap_mode="r+")
    images = iter(dataset.read(root, records, size))
    for start in range(0, len(records), CHUNK):
        part = records[start : start + CHUNK]
        found = []
        for row, (image, mask) in enumerate(itertools.islice(images, len(part)), start=first + start):
            if image.dtype != np.uint8 or image.shape != pixels.shape[1:]:
                raise DataError(
                    f"{dataset.name} read {records[row - first].files[0]} as {image.dtype} {image.shape}, "
                    f"expected uint8 {pixels.shape[1:]}; this is a fault of the data set's recipe."
                )
            pixels[row] = image
            if mask is not None:
                masks[row] = mask
            found.append(mask is not None)
        if len(found) != len(part):
            raise DataError(
                f"{dataset.name} read {start + len(found)} of {len(records)} images; this is a fault of its recipe."
            )
        rows = slice(first + start, first + start + len(part))
        yield rows, found, [read_header(root / record.files[0]) for record in part]
    if next(images, None) is not None:
        raise DataError(f"{dataset.name} read more than {len(records)} images; this is a fault of its recipe.")


def _finish(folder: Path, index: Index, prefix: str, headers: np.ndarray, dataset: Dataset, tell: Progress) -> None:
    """Audit the pixels of a folder and write its columns and its manifest."""
    sides = bool(getattr(dataset, "sides", False))
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    contents: list[str] = []
    for row in pixels:
        if len(contents) % TOLD == 0:
            tell("hashing the images", len(contents), len(pixels))
        contents.append(hashlib.sha256(row.tobytes()).hexdigest())
    tell("hashing the images", len(pixels), len(pixels))
    check_contents(contents, pixels[0], prefix)
    # A blank picture says nothing about who is in it: it unites nobody.
    hashes = ["" if row.min() == row.max() else content for row, content in zip(pixels, contents, strict=True)]
    tell("preparing to compare the images", 0, 0)
    inspection = inspect_images(
        index,
        prefix,
        views=comparable_planes(pixels),
        contents=hashes,
        blank=[is_blank(row) for row in pixels],
        join_near=joins_near(dataset),
        progress=lambda rows, of: tell("comparing the images", rows, of),
    )
    tell("comparing the images", len(pixels), len(pixels))
    tell("looking for shortcuts in the images", 0, 0)
    columns = {
        "ids": inspection.ids,
        "labels": [record.label for record in index.records],
        "patients": inspection.patients,
        "groups": inspection.groups.tolist(),
        "parts": [record.part for record in index.records],
    }
    # Where classes are sides the same pixels are trained on otherwise: that is another data set.
    sha = hashlib.sha256(json.dumps([columns, index.classes, *["sides"] * sides], sort_keys=True).encode())
    for content in contents:
        sha.update(content.encode())
    masks = folder / "masks.npy"
    if masks.is_file():
        sha.update(sha256_of(masks).encode())
    findings = _findings(inspection, pixels, np.array(columns["labels"]), headers, len(index.classes))
    part_differences, neighbour_of_cut = measure_parts(
        pixels, np.array(columns["labels"]), inspection.groups, columns["parts"], headers, len(index.classes)
    )
    findings = replace(findings, part_differences=part_differences, neighbour_of_cut=neighbour_of_cut)
    manifest = {
        "fingerprint": sha.hexdigest(),
        "classes": list(index.classes),
        "sides": sides,
        "notes": list(index.notes),
        "merged": findings.merged,
        "conflicts": inspection.conflicts,
        "findings": findings.to_json(),
        "across": inspection.across,
        "index": index_sum(index),
    }
    (folder / "columns.json").write_text(json.dumps(columns))
    (folder / "manifest.json").write_text(sealed_records.seal(manifest, sealed_records.sums_of_job(folder)))


def _findings(
    inspection: Inspection, pixels: np.ndarray, labels: np.ndarray, headers: np.ndarray, classes: int
) -> Findings:
    with one_thread():
        shortcuts, neighbour, looked_at = measure_shortcuts(pixels, labels, inspection.groups, headers, classes)
    return Findings(
        images=len(labels),
        patients=len(set(inspection.patients)),
        declared=len(set(inspection.declared.tolist())),
        exact=len(set(inspection.exact.tolist())),
        groups=len(set(inspection.groups.tolist())),
        same=inspection.same,
        near=inspection.links,
        conflicts=inspection.conflicts,
        near_conflicts=inspection.near_conflicts,
        blank=inspection.blank,
        overlap=inspection.overlap,
        shortcuts=shortcuts,
        neighbour=neighbour,
        looked_at=looked_at,
    )
