"""One's own images: a folder a class, or a table with path, label and patient; nothing to write but a name.

Pictures, DICOM files and NIfTI volumes. What belongs to whom comes from a table's column or from the names of the
files through a regular expression; where neither says so, each image counts as a patient of its own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from medbench import UNLABELLED, Card, DataError, Index, Record, UsageError, counted
from medbench_datasets.readers.listing import Listing, check_twins, escaped, kind_of, list_images, some
from medbench_datasets.readers.sample_table import PARTS, Row, read_table
from medbench_datasets.readers.sides import of_sides

TABLE = "samples.csv"
"""A table of this name in the data folder is used without being asked for."""


@dataclass(frozen=True)
class Folder:
    """Images in a folder of one's own.

    Without a table every folder directly in the data folder is a class, whatever folders are nested in it. Where the
    folders are ``train`` and ``test``, each with class folders, they are an official cut; ``val`` joins train, or is
    what is held out where there is no test. With a table only the files it names count.

    Attributes:
        patient: Regular expression with one group, searched in the path relative to the data folder: the group is
            the patient. Empty: the table's column, else each image is a patient of its own.
        table: CSV file with the columns path and label, and optionally patient, study and part; None is
            ``samples.csv`` in the data folder where there is one, else class folders.
        channels: 1 reads gray, 3 colour.
        size: Default working size in pixels.
        sides: Classes are sides of the body: no arm mirrors left to right.
    """

    name: str = "folder"
    patient: str = ""
    table: Path | None = None
    channels: Literal[1, 3] = 1
    size: int = 64
    sides: bool = False

    summary = "your own images: a folder a class, or a CSV table with path, label, patient"

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.patient).groups
        except re.error as error:
            raise UsageError(
                f"{self.name}.patient is no regular expression (at character {error.pos}); correct it"
            ) from None
        if self.patient and groups != 1:
            raise UsageError(f"{self.name}.patient has {groups} groups, expected 1 around the patient; use (?:...)")
        if self.channels not in (1, 3):
            raise UsageError(f"{self.name}.channels is {self.channels}, expected 1 or 3")
        if self.size < 1:
            raise UsageError(f"{self.name}.size is {self.size}, expected at least 1")

    @property
    def card(self) -> Card:
        """What one must know before using it."""
        return Card(
            title="Images in a folder of your own",
            licence="yours to know",
            citation="none",
            access="Point --data at the folder.",
            publish="nothing",
            unit="patient",
            layout=f"CLASS/**/IMAGE, or train|test/CLASS/**/IMAGE, or {TABLE} with path,label[,patient][,study][,part]",
        )

    def index(self, root: Path) -> Index:
        """Describe every image without decoding any."""
        listing = list_images(root)
        own_table = root / TABLE if (root / TABLE).is_file() else None
        others = Counter(listing.others) - Counter([".csv"] * (own_table is not None))
        notes = []
        if others:
            endings = ", ".join(f"{count} {escaped(ending)}" for ending, count in sorted(others.items()))
            notes.append(f"Files that are no images were left out: {endings}.")
        table = self.table or own_table
        rows = self._from_table(root, table, listing, notes) if table else self._from_folders(listing, notes)
        check_twins((row.path for row in rows), "files")
        dimensions = self._dimensions(root, rows)
        rows = self._with_patients(rows, notes)
        classes = _classes(rows)
        if not self.sides and (named := of_sides(classes)):
            notes.append(
                f"Classes named after sides: {', '.join(map(escaped, named[:4]))}. Where they are sides of the body, "
                f"set {self.name}[sides=true], or arms that mirror left to right show one class under the other's name."
            )
        label_of = {"": UNLABELLED} | {name: label for label, name in enumerate(classes)}
        records = tuple(
            Record(
                id=row.path,
                files=(row.path,),
                label=label_of[row.label],
                patient=row.patient,
                study=row.study,
                part=row.part,
            )
            for row in sorted(rows, key=lambda row: row.path)
        )
        _tell_oddities(rows, notes)
        return Index(records, classes, self.channels, dimensions, tuple(notes))

    def read(self, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, None]]:
        """Yield pixels ``uint8 (channels, *[size] * dimensions)`` of each record; there are no masks.

        Pictures and radiographs are padded to a square. Volumes are cropped to what is not background, standardised
        by their own mean and deviation between -3 and 5 deviations, and padded to a cube in proportions of millimetres.
        """
        for record in records:
            path, name = root / record.files[0], record.files[0]
            kind = kind_of(root, name)
            if kind == "nifti":
                yield _read_volume(path, size), None
            else:
                yield self._read_flat(path, name, kind == "dicom", size), None

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Refuse: one's own data set has no look-alike."""
        raise UsageError(f"{self.name} has no phantom; use one of a data set that `medbench datasets list` shows.")

    def _from_folders(self, listing: Listing, notes: list[str]) -> list[Row]:
        if not listing.kinds:
            raise DataError(
                "no image (PNG, JPEG, BMP, TIFF, DICOM, NIfTI) in the data folder; give the one that has them"
            )
        cut = _official_cut({path.partition("/")[0] for path in listing.kinds if "/" in path})
        depth = 2 if cut else 1
        rows, beside = [], []
        for path in listing.kinds:
            parts = path.split("/")
            if len(parts) <= depth or (cut and parts[0] not in cut):
                beside.append(path)
            else:
                rows.append(Row(path, parts[depth - 1], "", "", cut.get(parts[0], "")))
        if not rows:
            raise DataError(
                f"the images lie directly in the data folder: {some(beside)}; put each class into a folder of its own "
                f"or write {TABLE} with the columns path and label"
            )
        if beside:
            where = f"the class folders of {' and '.join(sorted(cut))}" if cut else "the class folders"
            notes.append(f"Images beside {where} were left out: {some(beside)}.")
        return rows

    def _from_table(self, root: Path, path: Path, listing: Listing, notes: list[str]) -> list[Row]:
        table = read_table(path)
        name = escaped(path.name)
        if self.patient and "patient" in table.columns:
            raise UsageError(f"{name} has a column patient and {self.name}.patient is set as well; leave one out")
        named = {row.path for row in table.rows}
        absent = sorted(p for p in named if p not in listing.kinds and not (root / p).is_file())
        if absent:
            raise DataError(f"{name} names files that are not in the data folder: {some(absent)}; correct the paths")
        odd = sorted(p for p in named if p not in listing.kinds and not kind_of(root, p))
        if odd:
            raise DataError(f"{name} names files that are no images by their endings: {some(odd)}; remove their rows")
        if unnamed := len(listing.kinds.keys() - named):
            notes.append(f"Images in the folder that {name} does not name were left out: {unnamed}.")
        if table.unused:
            notes.append(f"Columns of {name} that were not used: {table.unused}.")
        return list(table.rows)

    def _with_patients(self, rows: list[Row], notes: list[str]) -> list[Row]:
        if self.patient:
            found = [re.search(self.patient, row.path) for row in rows]
            unmatched = [row.path for row, match in zip(rows, found, strict=True) if not (match and match[1])]
            if unmatched:
                raise DataError(
                    f"{self.name}.patient finds no patient in {some(unmatched)}; widen the expression or give a table"
                )
            rows = [replace(row, patient=match[1]) for row, match in zip(rows, found, strict=True) if match]
        elif not rows[0].patient:
            notes.append(
                "Nothing says which images show the same patient: each image counts as a patient of its own, so one "
                f"patient may stand on both sides of a cut. Set {self.name}.patient or give a table to mend this."
            )
            return [replace(row, patient=row.path) for row in rows]
        images = Counter(row.patient for row in rows)
        notes.append(
            f"Patients: {len(images)}, with {counted(len(rows), 'image')}, at most {max(images.values())} of one."
        )
        return rows

    def _dimensions(self, root: Path, rows: list[Row]) -> Literal[2, 3]:
        volumes = [row.path for row in rows if kind_of(root, row.path) == "nifti"]
        if not volumes:
            return 2
        if len(volumes) < len(rows):
            flat = next(row.path for row in rows if kind_of(root, row.path) != "nifti")
            raise DataError(
                f"volumes such as {escaped(volumes[0])} ({len(volumes)}) are mixed with flat images such as "
                f"{escaped(flat)} ({len(rows) - len(volumes)}); keep one kind, or name the files to use in a table"
            )
        if self.channels == 3:
            raise UsageError(f"{self.name}.channels is 3 and the files are NIfTI volumes, which are gray; leave it out")
        return 3

    def _read_flat(self, path: Path, name: str, is_dicom: bool, size: int) -> np.ndarray:
        from medbench_datasets.readers.pictures import fit_square, read_picture

        if is_dicom:
            from medbench_datasets.readers.dicom import read_radiograph

            pixels = read_radiograph(path, name=escaped(name)).repeat(self.channels, axis=0)  # (channels, H, W)
        else:
            pixels = read_picture(path, channels=self.channels)
        return fit_square(pixels, size)


def _official_cut(tops: set[str]) -> dict[str, Literal["", "train", "test"]]:
    """Map the folders of an official cut to its parts; empty where the folders are classes."""
    parts = {top: PARTS[top.lower()] for top in sorted(tops) if top.lower() in PARTS}
    training = {top for top in parts if top.lower() in ("train", "training")}
    if not training or len(parts) == len(training):
        return {}
    if "test" in parts.values():
        return parts
    return {top: "train" if top in training else "test" for top in parts}  # train and val only: val is what is held out


def _classes(rows: list[Row]) -> tuple[str, ...]:
    """Sort the names of the classes, numbers by their value."""
    labels = {row.label for row in rows} - {""}
    check_twins(sorted(labels), "classes")
    if len(labels) < 2:
        only = f"only the class {escaped(*labels)}" if labels else "no class"
        inner = {row.path.split("/")[1] for row in rows if row.path.count("/") > 1}
        hint = "; if its folders are the classes, give that folder instead" if len(inner) > 1 else ""
        raise DataError(f"the data folder has {only}, expected at least 2{hint or '; add the images of another class'}")
    is_number = {label: label.isascii() and label.isdecimal() and len(label) < 10 for label in labels}
    return tuple(sorted(labels, key=lambda label: (not is_number[label], int(label) if is_number[label] else 0, label)))


def _tell_oddities(rows: list[Row], notes: list[str]) -> None:
    """Note what is no error and still changes how a result must be read."""
    if unlabelled := sum(not row.label for row in rows):
        notes.append(f"Images without a label: {unlabelled}.")
    labels_of = defaultdict(set)
    for row in rows:
        labels_of[row.patient].add(row.label)
    if several := sum(len(labels - {""}) > 1 for labels in labels_of.values()):
        notes.append(f"Patients with images of more than one class: {several}.")
    if any(row.part for row in rows):
        counts = Counter(row.part for row in rows)
        notes.append(
            f'An official cut: {counted(counts["train"], "image", "are")} the part "train", {counts["test"]} the part '
            '"test".'
        )
        for part in ("train", "test"):
            lacking = sorted({r.label for r in rows} - {r.label for r in rows if r.part == part} - {""})
            if lacking:
                notes.append(f'The part "{part}" has no image of {some(lacking)}.')


def _read_volume(path: Path, size: int) -> np.ndarray:
    from medbench_datasets.readers.nifti import read_volume
    from medbench_datasets.readers.volumes import bounding_box, fit_image, foreground, standardise

    voxels, affine = read_volume(path)
    inside = foreground(voxels)
    box = bounding_box(inside)
    levels = standardise(voxels[box], inside[box], low=-3, high=5)  # lesions are bright: 5 as for brain tumours
    return fit_image(levels, np.linalg.norm(affine[:3, :3], axis=0), size)[None]  # (1, size, size, size)


DATASETS = (Folder(), Folder("source-folder"))  # the second is there to be learnt from, beside the first
