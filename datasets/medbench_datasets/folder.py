"""One's own images: a folder a class, or a table with path, label and patient; nothing to write but a name.

Pictures, DICOM files and NIfTI volumes. What belongs to whom comes from a table's column, from the names of the files
through a regular expression, or from the headers of DICOM files; where nothing says so, each image counts as a patient
of its own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from medbench import UNLABELLED, Card, DataError, Index, Record, UsageError, counted
from medbench_datasets.folder_classes import TABLE, rows_by_folder
from medbench_datasets.folder_paths import Places
from medbench_datasets.folder_table import Row, Titles, read_header, read_table
from medbench_datasets.folder_table_guess import guess_table
from medbench_datasets.readers.dicom.patients import disagreement, patients_in_headers
from medbench_datasets.readers.kinds import Kind
from medbench_datasets.readers.listing import Listing, check_twins, escaped, in_folder, kind_of, list_images, some
from medbench_datasets.readers.sides import of_sides


@dataclass(frozen=True)
class Folder:
    """Images in a folder of one's own.

    Without a table every folder directly in the data folder is a class, whatever folders are nested in it. Where the
    folders are ``train`` and ``test``, each with class folders, they are an official cut; ``val`` joins train, or is
    what is held out where there is no test. With a table only the files it names count.

    Attributes:
        patient: Regular expression with one group, searched in the path relative to the data folder: the group is
            the patient. Or the title of a column of the table. Empty: the table's column patient, else what the headers
            of DICOM files say, else each image is a patient of its own.
        table: CSV file with the columns path and label, and optionally patient, study and part, looked for in the data
            folder first; None is ``samples.csv`` there, where there is one, else class folders.
        path: Title of the column with paths or names of images; the ending may be left out in it, and the folder of a
            name.
        label: Title of the column of classes; or several with "+" between them, one a class, of which one is 1.
        study: Title of the column of examinations.
        part: Title of the column of the official cut.
        channels: 1 reads gray, 3 colour.
        size: Default working size in pixels.
        sides: Classes are sides of the body: no method mirrors left to right.
        join_near: Patients with nearly equal pictures count as one in every split. False where pictures of different
            patients only look alike; equal ones are joined all the same.
    """

    name: str = "folder"
    patient: str = ""
    table: Path | None = None
    path: str = ""
    label: tuple[str, ...] = ()
    study: str = ""
    part: str = ""
    channels: Literal[1, 3] = 1
    size: int = 64
    sides: bool = False
    join_near: bool = True

    summary = "your own images: a folder a class, or a CSV table with path, label, patient"

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.patient).groups
        except re.error as error:
            raise UsageError(
                f"{self.name}.patient is no regular expression (at character {error.pos}); correct it"
            ) from None
        if groups > 1:
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

    def recognise(self, root: Path) -> str:
        """Return how to read a folder whose images a table with columns of other names lists; "" for none."""
        if (root / TABLE).is_file():
            return ""
        guess = guess_table(root, list_images(root))
        return f"{self.name}[{guess}]" if guess else ""

    def within(self, root: Path) -> Folder:
        """Return it with the table of this data folder, where the one that is named lies there."""
        return replace(self, table=table) if (table := in_folder(self.table, root)) else self

    def index(self, root: Path) -> Index:
        """Describe every image without decoding any."""
        listing = list_images(root)
        table = self._table(root)
        own = Counter([table.suffix.lower()] if table is not None and table.is_relative_to(root) else [])
        notes = []
        if others := Counter(listing.others) - own:
            endings = ", ".join(f"{count} {escaped(ending)}" for ending, count in sorted(others.items()))
            notes.append(f"Files that are no images were left out: {endings}.")
        rows = (
            self._from_table(root, table, listing, notes) if table else rows_by_folder(root, listing, notes, self.name)
        )
        check_twins((row.path for row in rows), "files")
        kinds = {row.path: listing.kinds.get(row.path) or kind_of(root, row.path) for row in rows}
        dimensions = self._dimensions(rows, kinds)
        rows = self._with_patients(root, rows, [path for path, kind in kinds.items() if kind == "dicom"], notes)
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

    def _table(self, root: Path) -> Path | None:
        if self.table is not None:
            return in_folder(self.table, root) or self.table
        if (root / TABLE).is_file():
            return root / TABLE
        titles = {"path": self.path, "label": "+".join(self.label), "study": self.study, "part": self.part}
        if named := next((field for field, title in titles.items() if title), ""):
            raise UsageError(
                f"{self.name}.{named} names a column and there is no {TABLE}; give {self.name}[table=FILE]"
            )
        if self.patient and not re.compile(self.patient).groups:
            raise UsageError(
                f"{self.name}.patient has 0 groups, expected 1 around the patient; or give the table whose column it is"
            )
        return None

    def _from_table(self, root: Path, path: Path, listing: Listing, notes: list[str]) -> list[Row]:
        name = escaped(path.name)
        columns = {title.lower() for title in read_header(path)} if self.patient else set()
        is_title = bool(self.patient) and (
            self.patient.lower() in columns or not re.compile(self.patient).groups  # which no pattern may do without
        )
        table = read_table(path, Titles(self.path, self.label, self.patient * is_title, self.study, self.part))
        if self.patient and not is_title and "patient" in table.columns:
            raise UsageError(f"{name} has a column patient and {self.name}.patient is set as well; leave one out")
        places = Places(listing.kinds)
        rows = [replace(row, path=places.find(row.path) or row.path) for row in table.rows]
        named = {row.path for row in rows}
        absent = sorted(p for p in named if p not in listing.kinds and not (root / p).is_file())
        if absent:
            raise DataError(f"{name} names files that are not in the data folder: {some(absent)}; correct the paths")
        odd = sorted(p for p in named if p not in listing.kinds and not kind_of(root, p))
        if odd:
            raise DataError(
                f"{name} names files that are no images by content and ending: {some(odd)}; remove their rows"
            )
        if len(named) < len(rows):
            twice = sorted(path for path, count in Counter(row.path for row in rows).items() if count > 1)
            raise DataError(f"{name} names {some(twice)} more than once; keep one row an image")
        if table.repeated:
            notes.append(f"Rows of {name} that say again what another row of the same image says: {table.repeated}.")
        if unnamed := len(listing.kinds.keys() - named):
            notes.append(f"Images in the folder that {name} does not name were left out: {unnamed}.")
        if table.unused:
            notes.append(f"Columns of {name} that were not used: {table.unused}.")
        return rows

    def _with_patients(self, root: Path, rows: list[Row], dicom: list[str], notes: list[str]) -> list[Row]:
        headers = patients_in_headers(root, dicom)
        if not rows[0].patient and self.patient:
            found = [re.search(self.patient, row.path) for row in rows]
            unmatched = [row.path for row, match in zip(rows, found, strict=True) if not (match and match[1])]
            if unmatched:
                raise DataError(
                    f"{self.name}.patient finds no patient in {some(unmatched)}; widen the expression or give a table"
                )
            rows = [replace(row, patient=match[1]) for row, match in zip(rows, found, strict=True) if match]
        if rows[0].patient:
            what = f"{self.name}.patient" if self.patient else "the table's column patient"
            if said := disagreement(headers, {row.path: row.patient for row in rows}, what):
                notes.append(said)
        elif headers.patient:
            notes.append(headers.note())
            rows = [
                replace(
                    row,
                    patient=headers.patient.get(row.path, row.path),
                    study=row.study or headers.study.get(row.path, ""),
                )
                for row in rows
            ]
        else:
            notes.append(
                "Nothing says which images show the same patient: each image counts as a patient of its own, so one "
                "patient may stand on both sides of a cut. Say who is who: patient = 'PATTERN or column' under [data] "
                "of a study file, --patient of `medbench init`, or a table with a column patient."
            )
            if dicom:
                notes.append("The DICOM headers hold no PatientID or StudyInstanceUID that tells patients apart.")
            return [replace(row, patient=row.path) for row in rows]
        images = Counter(row.patient for row in rows)
        notes.append(
            f"Patients: {len(images)}, with {counted(len(rows), 'image')}, at most {max(images.values())} of one."
        )
        return rows

    def _dimensions(self, rows: list[Row], kinds: Mapping[str, Kind | None]) -> Literal[2, 3]:
        volumes = [row.path for row in rows if kinds[row.path] == "nifti"]
        if not volumes:
            return 2
        if len(volumes) < len(rows):
            flat = next(row.path for row in rows if kinds[row.path] != "nifti")
            raise DataError(
                f"volumes such as {escaped(volumes[0])} ({len(volumes)}) are mixed with flat images such as "
                f"{escaped(flat)} ({len(rows) - len(volumes)}); keep one kind, or name the files to use in a table"
            )
        if self.channels == 3:
            raise UsageError(f"{self.name}.channels is 3 and the files are NIfTI volumes, which are gray; leave it out")
        return 3

    def _read_flat(self, path: Path, name: str, is_dicom: bool, size: int) -> np.ndarray:
        from medbench_datasets.readers.pictures.read import fit_square, read_picture

        if is_dicom:
            from medbench_datasets.readers.dicom.read import read_radiograph

            pixels = read_radiograph(path, name=escaped(name)).repeat(self.channels, axis=0)  # (channels, H, W)
        else:
            pixels = read_picture(path, channels=self.channels)
        return fit_square(pixels, size)


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
    from medbench_datasets.readers.nifti.read import read_volume
    from medbench_datasets.readers.volumes import bounding_box, fit_image, foreground, standardise

    voxels, affine = read_volume(path)
    inside = foreground(voxels)
    box = bounding_box(inside)
    levels = standardise(voxels[box], inside[box], low=-3, high=5)  # lesions are bright: 5 as for brain tumours
    return fit_image(levels, np.linalg.norm(affine[:3, :3], axis=0), size)[None]  # (1, size, size, size)


DATASETS = (Folder(), Folder("source-folder"))  # the second is there to be learnt from, beside the first
