"""What a look at all pictures of a data set says: which belong together, and what contradicts itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medbench.data.audit_duplicates import Pair, find_duplicate_planes
from medbench.data.audit_findings import Blank, Link
from medbench.data.audit_official_cut import Overlap, find_overlap, groups_across_cut
from medbench.data.groups import link_groups, unite_groups
from medbench.data.picture_planes import FLAT
from medbench.errors import DataError
from medbench.interfaces import Dataset, Index
from medbench.text import counted

GLANCE = 16  # every so manieth pixel is enough to see that most images show something


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was seen; arrays have one value an image, in the order of the index.

    Attributes:
        ids: With the prefix.
        patients: With the prefix.
        declared: ``str (n,)`` groups by patient and study.
        exact: ``str (n,)`` with equal pixels united.
        groups: ``str (n,)`` with nearly equal pictures united too: what no cut may part.
        links: Nearly equal pictures, see :func:`medbench.data.audit_duplicates.find_duplicates`.
        same: Ids of equal pixels, one tuple a picture.
        conflicts: Those of them with different labels, labelled ones only.
        near_conflicts: Those of the links whose images have different labels.
        blank: Images that show nothing, of each class and part that has any.
        across: Groups that the official cut parts.
        overlap: The same in images; None where there is no official cut.
    """

    ids: list[str]
    patients: list[str]
    declared: np.ndarray
    exact: np.ndarray
    groups: np.ndarray
    links: tuple[Link, ...]
    same: tuple[tuple[str, ...], ...]
    conflicts: tuple[tuple[str, ...], ...]
    near_conflicts: tuple[Link, ...]
    blank: tuple[Blank, ...]
    across: dict[str, tuple[tuple[str, ...], ...]]
    overlap: Overlap | None


def inspect_images(
    index: Index,
    prefix: str,
    *,
    views: np.ndarray,
    contents: Sequence[str],
    blank: Sequence[bool],
    join_near: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Inspection:
    """Unite what belongs together, and find what stands under two labels, in both parts of a cut, or shows nothing.

    Args:
        index: Of the data set.
        prefix: Put before ids, patients and studies.
        views: ``float32 (n, planes, side, side)`` as :func:`medbench.data.picture_planes.comparable_planes` gives them.
        contents: A hash of each image's pixels; empty for one of a single value, which unites nobody.
        blank: Whether each image shows nothing, as :func:`is_blank` says.
        join_near: Unite the patients of nearly equal pictures; where not, such pictures are listed and nothing more.
        progress: Told how many of the images were compared.
    """
    records = index.records
    ids = [f"{prefix}/{record.id}" for record in records]
    labels = [record.label for record in records]
    parts = [record.part for record in records]
    patients = [f"{prefix}/{record.patient}" for record in records]
    studies = [f"{prefix}/{record.study}" if record.study else "" for record in records]
    declared = unite_groups(patients, studies)
    exact = unite_groups(patients, studies, contents)
    marks = list(zip(labels, parts, strict=True))
    pairs = find_duplicate_planes(views, exact, same=contents, marks=marks, progress=progress)
    united = pairs if join_near else []
    groups = link_groups(exact, [(pair.first, pair.second) for pair in united])
    pictures = _name_pictures(contents, united)
    same = _rows_by_key(list(contents))
    conflicts = _in_conflict(same, labels)
    links = tuple(Link(ids[p.first], ids[p.second], round(p.value, 4)) for p in pairs)
    of_links = [{labels[pair.first], labels[pair.second]} for pair in pairs]
    rows = [row for row, label in enumerate(labels) if label >= 0]
    columns = [[column[row] for row in rows] for column in (ids, parts, declared, groups, pictures)]
    equal = [contents[row] for row in rows]
    return Inspection(
        ids,
        patients,
        declared,
        exact,
        groups,
        links,
        tuple(tuple(ids[r] for r in of_it) for of_it in same),
        tuple(tuple(ids[r] for r in of_it) for of_it in conflicts),
        tuple(link for link, found in zip(links, of_links, strict=True) if len(found) > 1 and min(found) >= 0),
        _count_blanks(index, blank),
        groups_across_cut(*columns),
        find_overlap(*columns, contents=equal),
    )


def check_contents(contents: Sequence[str], image: np.ndarray, name: str) -> None:
    """Refuse images that are all the same.

    Args:
        contents: A hash of each image's pixels, blank ones too.
        image: ``(channels, *spatial)``, the first of them.
        name: Of the data set.

    Raises:
        DataError: If there is one picture only.
    """
    if len(set(contents)) == 1:
        shown = "nothing but one gray level" if is_blank(image) else "pixel for pixel"
        raise DataError(
            f"{name}: all {counted(len(contents), 'image')} show the same, {shown}; there is nothing to learn. Check "
            "the files, and the window they are shown in."
        )


def joins_near(dataset: Dataset) -> bool:
    """Say whether patients with nearly equal pictures are one group: a data set's ``join_near``, else true."""
    return bool(getattr(dataset, "join_near", True))


def is_blank(image: np.ndarray) -> bool:
    """Say whether an image ``(channels, *spatial)`` shows nothing: each channel varies by less than one gray level."""
    some = image.reshape(len(image), -1)[:, ::GLANCE]
    if float(some.var(1).max()) * some.shape[1] > FLAT**2 * image[0].size:  # they vary that much about any mean
        return False
    return float(image.std(tuple(range(1, image.ndim)), dtype=np.float64).max()) < FLAT


def _name_pictures(contents: Sequence[str], pairs: Sequence[Pair]) -> np.ndarray:
    """Name the picture that each row shows: one name for equal and nearly equal ones."""
    own = [str(row) for row in range(len(contents))]
    return link_groups(unite_groups(own, contents), [(pair.first, pair.second) for pair in pairs])


def _rows_by_key(keys: Sequence[str]) -> list[list[int]]:
    """Return the rows of each key that several share; the empty key is none."""
    rows: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        if key:
            rows.setdefault(key, []).append(row)
    return [of_key for of_key in rows.values() if len(of_key) > 1]


def _in_conflict(pictures: Sequence[Sequence[int]], labels: Sequence[int]) -> list[list[int]]:
    """Return the labelled rows of each picture that has several labels."""
    labelled = [[row for row in rows if labels[row] >= 0] for rows in pictures]
    return [rows for rows in labelled if len({labels[row] for row in rows}) > 1]


def _count_blanks(index: Index, blank: Sequence[bool]) -> tuple[Blank, ...]:
    found = []
    for row, record in enumerate(index.records):
        if blank[row]:
            found.append((record.label, record.part))
    counts = []
    for label, name in enumerate(index.classes):
        if n := sum(of == label for of, _ in found):
            counts.append(Blank(name, n, sum(record.label == label for record in index.records)))
    for part in ("train", "test"):
        if n := sum(of == part for _, of in found):
            counts.append(Blank(f"the part {part}", n, sum(record.part == part for record in index.records)))
    return tuple(counts)
