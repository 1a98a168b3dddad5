"""FracAtlas: radiographs of limbs, hips and shoulders with and without a fracture (Abedeen et al. 2023).

Source: Scientific Data 10, 521, doi:10.1038/s41597-023-02432-4; figshare 22363012, CC BY 4.0. 4,083 JPEG, 717 of them
fractured, from three hospitals in Bangladesh. Labels are those of ``dataset.csv``; two radiologists gave them.

No patients were released, so every image counts as one of its own. Files with neighbouring numbers are likely to show
one person, and no cut by image keeps those together: scores on this set may be too good. The cut in ``Utilities`` is
one of fractured images only, made for detection, and is not used.

59 JPEGs of the release, none of them fractured, are reported to be cut short. Shown with a gray rest they would tell
their class, so what the reader of pictures refuses is left out, and counted by class; ``truncated=refuse`` makes it an
error. The first version called IMG0003298 not fractured in its table, against its folder; that is refused.

The reader was run on 4,024 of the pictures, scaled down and without the files of boxes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from medbench import Card, DataError, Index, Record, UsageError
from medbench_datasets.readers.boxes import Box, as_mask, as_text
from medbench_datasets.readers.listing import list_images, some
from medbench_datasets.readers.pictures.read import fit_square, fit_square_mask, read_picture
from medbench_datasets.readers.xml import read_xml

TABLE = "dataset.csv"
FOLDERS = ("Non_fractured", "Fractured")
"""By label."""
SITES = ("hand", "leg", "hip", "shoulder")
BOXES = "Annotations/PASCAL VOC"

CARD = Card(
    title="FracAtlas: fractures in musculoskeletal radiographs",
    licence="CC BY 4.0",
    citation="Abedeen et al., FracAtlas, Scientific Data 10, 521, 2023, doi:10.1038/s41597-023-02432-4",
    access="Download FracAtlas.zip from https://doi.org/10.6084/m9.figshare.22363012 and unpack it.",
    publish="pictures",
    unit="image",
    layout=f"FracAtlas/ or what is in it: {TABLE}, images/Fractured/IMG*.jpg, images/Non_fractured/IMG*.jpg, and for "
    f"masks {BOXES}/IMG*.xml",
)

_USED = ("image_id", *SITES, "fractured")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\.jpe?g", re.IGNORECASE)
_TAIL = 4096  # bytes; some programs write a little behind the end of a picture
_AGAIN = "fetch the current version of the data set"


@dataclass(frozen=True)
class FracAtlas:
    """FracAtlas radiographs, with boxes around fractures as masks.

    Attributes:
        name: What it is registered under.
        part: The part of the body that is read, also from pictures that show several; "all" reads every one.
        truncated: "omit" leaves out JPEGs that are cut short, with a note; "refuse" makes them an error.
        size: Working size in pixels.
    """

    name: str = "fracatlas:fracture"
    part: Literal["all", "hand", "leg", "hip", "shoulder"] = "all"
    truncated: Literal["omit", "refuse"] = "omit"
    size: int = 128

    summary = "radiographs of limbs, hips and shoulders, fractured or not (FracAtlas)"
    card = CARD
    classes = ("not fractured", "fractured")
    positive = "fractured"

    def __post_init__(self) -> None:
        if self.part not in ("all", *SITES):
            raise UsageError(f"{self.name}: part is {self.part!a}; choose all or one of {', '.join(SITES)}")
        if self.truncated not in ("omit", "refuse"):
            raise UsageError(f"{self.name}: truncated is {self.truncated!a}; choose omit or refuse")

    def index(self, root: Path) -> Index:
        """Read the table and the end of every JPEG; only those that seem cut short are decoded.

        Raises:
            DataError: Where the table is missing or cannot be read, names an image that is not there, or contradicts
                the folder of an image, and where a box makes no sense.
        """
        top = _top(root)
        rows = _read_table(root / top / TABLE)
        files = _files(root, top)
        notes = ["No patients were released: every image counts as one, and images of one person may be in two parts."]
        if gone := sorted(rows.keys() - files.keys()):
            raise DataError(f"{TABLE} names images that are missing: {some(gone)}; unpack the data set again")
        if surplus := sorted(files.keys() - rows.keys()):
            notes.append(f"Images that {TABLE} does not name were left out: {some(surplus)}.")
        if wrong := [name for name, row in rows.items() if files[name][0] != int(row["fractured"])]:
            raise DataError(
                f"{TABLE} contradicts the folders Fractured and Non_fractured about {some(wrong)}; {_AGAIN}"
            )
        chosen = {name: row for name, row in rows.items() if self.part == "all" or row[self.part] == "1"}
        cut_short = [name for name in chosen if _is_cut_short(root / files[name][1])]
        if cut_short and self.truncated == "refuse":
            raise DataError(f"JPEGs that are cut short: {some(cut_short)}; fetch them again or take truncated=omit")
        if cut_short:
            fractured = sum(files[name][0] for name in cut_short)
            notes.append(
                f"JPEGs that are cut short were left out: {some(cut_short)}; {fractured} of them fractured, "
                f"{len(cut_short) - fractured} not."
            )
        has_boxes = (root / top / BOXES).is_dir()
        if not has_boxes:
            notes.append(f"There is no {BOXES}/: no image has a mask.")
        records = []
        without_box = []
        for name in sorted(chosen.keys() - set(cut_short)):
            label, path = files[name]
            stem = name.rpartition(".")[0]
            xml = f"{top}{BOXES}/{stem}.xml"
            boxes = _read_boxes(root / xml) if has_boxes and (root / xml).is_file() else []
            if has_boxes and bool(boxes) != bool(label):
                without_box.append(name)
            detail = {"boxes": as_text(boxes)} if has_boxes and bool(boxes) == bool(label) else {}
            records.append(Record(stem, (path, xml) if boxes else (path,), label, patient=stem, detail=detail))
        if without_box:
            notes.append(f"Images whose boxes do not fit their label have no mask: {some(without_box)}.")
        if not records:
            raise DataError(f"{TABLE} has no readable image of the part {self.part}; choose another one")
        return Index(tuple(records), self.classes, channels=1, dimensions=2, notes=tuple(notes))

    def read(self, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield pixels ``uint8 (1, size, size)`` padded to a square, and ``uint8 (size, size)``, 1 in a fracture's box.

        The mask is None where boxes are absent or do not fit the label.

        Raises:
            DataError: For the first image that cannot be read, or that a box lies outside of.
        """
        for record in records:
            pixels = read_picture(root / record.files[0])
            mask = None
            if "boxes" in record.detail:
                height, width = pixels.shape[1:]
                mask = as_mask(record.detail["boxes"], height=height, width=width, name=f"{record.id}.xml, object in")
                mask = fit_square_mask(mask, size)
            yield fit_square(pixels, size), mask

    def recognise(self, root: Path) -> str:
        """Return how to read a folder of this layout, nothing but folders opened; "" for another."""
        tops = (root, root / "FracAtlas")
        found = any((top / TABLE).is_file() and (top / "images" / FOLDERS[1]).is_dir() for top in tops)
        return "fracatlas:fracture" if found else ""

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Write drawn radiographs of limbs in the released layout, one for each of `patients`."""
        from medbench_datasets.phantoms import fracatlas

        fracatlas.write(root, seed=seed, patients=patients, null=null)


DATASETS = (FracAtlas(),)


def _top(root: Path) -> str:
    """Return what stands before ``images/`` in paths relative to `root`."""
    for top in ("", "FracAtlas/"):
        if (root / top / TABLE).is_file():
            return top
    raise DataError(f"{root.name!a} holds no {TABLE} of FracAtlas; expected {CARD.layout}")


def _read_table(path: Path) -> dict[str, Mapping[str, str]]:
    """Return the rows by image, those of :data:`_USED` checked."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{TABLE} cannot be read as CSV in UTF-8; {_AGAIN}") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
    rows: dict[str, Mapping[str, str]] = {}
    try:
        if missing := [column for column in _USED if column not in (reader.fieldnames or ())]:
            raise DataError(f"{TABLE} has no column {', '.join(missing)}; {_AGAIN}")
        for row in reader:
            name, line = row["image_id"], reader.line_num
            if not _NAME.fullmatch(name):
                raise DataError(f"{TABLE}, line {line}: image_id is no name of a JPEG; {_AGAIN}")
            if name in rows:
                raise DataError(f"{TABLE}, line {line}: {name} is listed a second time; {_AGAIN}")
            if wrong := [column for column in _USED[1:] if row[column] not in ("0", "1")]:
                raise DataError(f"{TABLE}, line {line}: {wrong[0]} is neither 0 nor 1; {_AGAIN}")
            rows[name] = row
    except csv.Error:
        raise DataError(f"{TABLE}, line {reader.line_num}: it cannot be read as CSV; {_AGAIN}") from None
    if not rows:
        raise DataError(f"{TABLE} has no rows; {_AGAIN}")
    return rows


def _files(root: Path, top: str) -> dict[str, tuple[int, str]]:
    """Return label and relative path of the images in the two folders, by name."""
    found: dict[str, tuple[int, str]] = {}
    for label, folder in enumerate(FOLDERS):
        place = f"{top}images/{folder}"
        if not (root / place).is_dir():
            raise DataError(f"{place}/ is missing; unpack the data set again")
        for path in list_images(root / place).kinds:
            name = path.rpartition("/")[2]
            if name in found:
                raise DataError(f"{name} is in images/ more than once; keep the one that {TABLE} agrees with")
            found[name] = (label, f"{place}/{path}")
    return found


def _is_cut_short(path: Path) -> bool:
    """Tell whether a JPEG lacks its end and cannot be decoded for that."""
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(max(0, path.stat().st_size - _TAIL))
        if start != b"\xff\xd8" or b"\xff\xd9" in file.read():
            return False
    try:
        read_picture(path)
    except DataError:
        return True
    return False


def _read_boxes(path: Path) -> list[Box]:
    boxes = []
    for row, found in enumerate(read_xml(path).all("object"), start=1):
        for box in found.all("bndbox"):
            try:
                xmin, ymin, xmax, ymax = (float(box.text_of(key)) for key in ("xmin", "ymin", "xmax", "ymax"))
            except ValueError:
                raise DataError(f"{path.name}, object {row}: a corner of its box is no number; {_AGAIN}") from None
            if not (0 <= xmin < xmax < 1e6 and 0 <= ymin < ymax < 1e6):
                raise DataError(f"{path.name}, object {row}: its box has no area or no place; {_AGAIN}")
            boxes.append(Box("fractured", row, xmin, ymin, xmax, ymax))
    return boxes
