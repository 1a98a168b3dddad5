"""DDTI: thyroid ultrasound with TI-RADS categories and outlined nodules.

Source: Pedraza, Vargas, Narvaez, Duran, Munoz, Romero, "An open access thyroid ultrasound image database", SIPAIM 2014,
Proc. SPIE 9287, doi:10.1117/12.2073532, as passed on by the Kaggle mirror: 390 cases, 480 JPEG of 560 x 360, one XML a
case. 298 cases (349 images) have a TI-RADS category: 52 benign (2, 3) and 246 suspicious (4a, 4b, 4c, 5).

The category of a case is the label of all its images. Many frames have it burned in as text under the scan, so the
default crop never reaches beyond the scan: see :func:`scan_area`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from medbench import Card, DataError, Index, Record, UsageError
from medbench_datasets.ddti_notes import Notes
from medbench_datasets.ddti_outlines import read_outline
from medbench_datasets.readers.listing import folders_in, names_in
from medbench_datasets.readers.pictures.read import fit_square, fit_square_mask, read_picture, read_picture_size
from medbench_datasets.readers.xml import Element, read_xml

TIRADS = ("2", "3", "4a", "4b", "4c", "5")
PICTURE_NAME = re.compile(r"(\d{1,9})_(\d{1,9})\.jpe?g", re.IGNORECASE)
CASE_NAME = re.compile(r"(\d{1,9})\.xml", re.IGNORECASE)


@dataclass(frozen=True)
class DDTI:
    """DDTI thyroid ultrasound.

    Attributes:
        name: What it is registered under.
        task: Whether the classes are benign and malignant, or the six TI-RADS categories.
        benign: Categories that count as benign; the others are malignant.
        crop: "nodule" is the square around all outlines of an image, as far as it lies in the scan; images without an
            outline show the whole scan. "scan" is the scan without borders and the text around it; one
            picture, 80_2, has a finding written into the scan itself. "frame" is the whole picture,
            with the burned-in labels: only to show what they do to a score.
        margin: Tissue around the outlines, as a part of their longer side.
        size: Working size in pixels.
    """

    name: str = "ddti"
    task: Literal["benign-malignant", "tirads"] = "benign-malignant"
    benign: tuple[str, ...] = ("2", "3")
    crop: Literal["nodule", "scan", "frame"] = "nodule"
    margin: float = 0.15  # as usual for regions of interest on this data set
    size: int = 128
    summary = "thyroid ultrasound, nodules by TI-RADS"
    card = Card(
        title="DDTI: Digital Database of Thyroid Ultrasound Images",
        licence='no licence text found; "open access" by its paper: local use only',
        citation="Pedraza et al., An open access thyroid ultrasound image database, SPIE 9287, 2015, "
        "doi:10.1117/12.2073532",
        access="Download it from a mirror (Kaggle: dasmehdixtr/ddti-thyroid-ultrasound-images) and unpack it.",
        publish="predictions",
        layout="N.xml and N_K.jpg side by side, or in folders of their own (such as xml/ and jpg/)",
    )

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.benign) - set(TIRADS)):
            raise UsageError(f"{self.name}: benign has {unknown[0]!a}; choose from {', '.join(TIRADS)}")
        if len(set(self.benign)) in (0, len(TIRADS)):
            raise UsageError(f"{self.name}: benign leaves a class empty; name some of {', '.join(TIRADS)}, not all")
        if self.crop not in ("nodule", "scan", "frame"):
            raise UsageError(f"{self.name}: crop is {self.crop!a}; choose nodule, scan or frame")
        if self.task not in ("benign-malignant", "tirads"):
            raise UsageError(f"{self.name}: task is {self.task!a}; choose benign-malignant or tirads")
        if not 0 <= self.margin <= 10:
            raise UsageError(f"{self.name}: margin is {self.margin}; give a number from 0 to 10")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return TIRADS if self.task == "tirads" else ("benign", "malignant")

    @property
    def positive(self) -> str:
        """The class that is the disease; "" among categories."""
        return "malignant" if self.task == "benign-malignant" else ""

    def index(self, root: Path) -> Index:
        """Read every XML and the header of every picture under `root`.

        Raises:
            DataError: Where a case or a mark contradicts its files, or an outline or a category makes no sense.
        """
        cases, pictures, strays = _files(root)
        notes = Notes(self.crop)
        notes.strays += strays
        records: list[Record] = []
        for number, xml in cases.items():
            case = _read_case(root / xml, number, notes)
            marks = _marks(case, number)
            own = pictures.pop(number, {})
            for k in sorted(marks.keys() - own.keys()):
                raise DataError(f"{number}.xml marks image {k}, but {number}_{k}.jpg is missing; put the picture back")
            if not own:
                notes.without_picture.append(str(number))
            tirads = _tirads(case, number)
            if not tirads:
                notes.unlabelled.append(len(own))
                continue
            label = TIRADS.index(tirads) if self.task == "tirads" else int(tirads not in self.benign)
            for k, jpg in own.items():
                if k not in marks:
                    notes.without_mark.append(f"{number}_{k}")
                width, height, turned = read_picture_size(root / jpg)
                if turned:
                    notes.turned.append(f"{number}_{k}")
                outline = read_outline(
                    marks.get(k, ""), where=f"{number}.xml, mark of image {k}", frame=(width, height)
                )
                notes.add(outline, f"{number}_{k}")
                detail = {"polygons": json.dumps(outline.polygons), "complete": str(int(outline.is_complete))}
                records.append(Record(f"{number}_{k}", (jpg, xml), label, patient=str(number), detail=detail))
        notes.without_xml = [f"{n}_{k}" for n, own in pictures.items() for k in own]
        if not records:
            raise DataError(f"no case among the {len(cases)} here has a TI-RADS category; fetch the data set again")
        return Index(tuple(records), self.classes, channels=1, dimensions=2, notes=notes.sentences(len(cases)))

    def read(self, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield pixels ``uint8 (1, size, size)`` padded to a square, and the nodules as ``uint8 (size, size)`` 0 or 1.

        The mask is None where the outline is absent or was cut off in the file.
        """
        for record in records:
            frame = read_picture(root / record.files[0])
            polygons = json.loads(record.detail["polygons"])
            rows, columns = self._window(frame[0], polygons, record.id)
            mask = None
            if polygons and record.detail["complete"] == "1":
                mask = fit_square_mask(_mask(polygons, frame.shape[1:])[rows, columns], size)
            yield fit_square(frame[:, rows, columns], size), mask

    def recognise(self, root: Path) -> str:
        """Return how to read a folder of this layout, nothing but folders opened; "" for another."""
        names = [*names_in(root), *(name for folder in folders_in(root) for name in names_in(folder))]
        cases = {found[1] for name in names if (found := re.fullmatch(r"(\d{1,4})\.xml", name, re.IGNORECASE))}
        pictures = {found[1] for name in names if (found := re.fullmatch(r"(\d{1,4})_\d\.jpe?g", name, re.IGNORECASE))}
        return "ddti" if cases and len(cases & pictures) >= len(cases) / 2 else ""

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Write drawn thyroid ultrasound in the real layout."""
        from medbench_datasets.phantoms import ddti

        ddti.write(root, seed=seed, patients=patients, null=null)

    def _window(self, frame: np.ndarray, polygons: list[list[list[float]]], image: str) -> tuple[slice, slice]:
        if self.crop == "frame":
            return slice(0, frame.shape[0]), slice(0, frame.shape[1])
        rows, columns = scan_area(frame)
        if rows.stop - rows.start < MIN_SIDE or columns.stop - columns.start < MIN_SIDE:
            raise DataError(f"{image}.jpg shows no ultrasound scan; fetch it again")
        curves = [np.asarray(polygon, dtype=float) for polygon in polygons]  # each (n, 2): x, y
        curves = [curve for curve in curves if _touches(curve, rows, columns)]  # some are drawn below the scan
        if self.crop == "scan" or not curves:
            return rows, columns
        points = np.concatenate(curves)
        centre, extent = (points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0).max()
        reach = max(extent * (0.5 + self.margin), MIN_SIDE / 2)
        return _part(rows, centre[1], reach), _part(columns, centre[0], reach)


DATASETS = (
    DDTI("ddti"),
    DDTI("ddti:benign-malignant"),
    DDTI("ddti:tirads", task="tirads"),
)

MIN_SIDE = 16  # pixels of a crop
_BLACK = 3  # JPEG leaves up to that around text; the darkest real scans still have noise above it
_PARTLY, _MOSTLY = 0.25, 0.5  # filled part of a line; lines of a text reach 0.47 beside a scan and 0.2 under it


def scan_area(frame: np.ndarray) -> tuple[slice, slice]:
    """Find the ultrasound scan in a frame: one rectangle of well-filled lines, without borders, scales and text.

    Two views side by side count as one scan. Text, gray scale and body mark stand apart from the scan, behind black
    lines, and fill their own lines poorly.

    Args:
        frame: ``uint8 (H, W)``.

    Returns:
        Rows and columns; empty ones where nothing is above black.
    """
    lit = frame > _BLACK
    if not lit.any():
        return slice(0, 0), slice(0, 0)
    columns = _longest_run(lit.mean(0) > _PARTLY, bridge=16)  # two views are up to 15 pixels apart
    rows = _longest_run(lit[:, columns].sum(1) > _PARTLY * (columns.stop - columns.start), bridge=4)
    columns = _longest_run(lit[rows].sum(0) > _MOSTLY * (rows.stop - rows.start), bridge=16)
    return rows, columns


def _longest_run(filled: np.ndarray, *, bridge: int) -> slice:
    places = np.flatnonzero(filled)
    if not len(places):
        return slice(0, 0)
    runs = np.split(places, np.flatnonzero(np.diff(places) > bridge) + 1)
    longest = max(runs, key=lambda run: run[-1] - run[0])
    return slice(int(longest[0]), int(longest[-1]) + 1)


def _touches(curve: np.ndarray, rows: slice, columns: slice) -> bool:
    x, y = curve.T
    return bool(((columns.start <= x) & (x < columns.stop) & (rows.start <= y) & (y < rows.stop)).any())


def _part(line: slice, centre: float, reach: float) -> slice:
    """Return ``centre ± reach`` as far as it lies in `line`, and at least MIN_SIDE of it."""
    start = int(np.clip(np.floor(centre - reach), line.start, line.stop - MIN_SIDE))
    stop = int(np.clip(np.ceil(centre + reach), start + MIN_SIDE, line.stop))
    return slice(start, stop)


def _mask(polygons: list[list[list[float]]], shape: tuple[int, ...]) -> np.ndarray:
    canvas = Image.new("L", (shape[1], shape[0]))
    for polygon in polygons:
        ImageDraw.Draw(canvas).polygon([(x, y) for x, y in polygon], fill=1)
    return np.asarray(canvas)


def _files(root: Path) -> tuple[dict[int, str], dict[int, dict[int, str]], list[str]]:
    """Find the XML and the pictures, here or in folders below: case -> file, case -> image -> file, and the rest."""
    cases: dict[int, str] = {}
    pictures: dict[int, dict[int, str]] = {}
    strays = []
    for path in _list_cases(root):
        relative = path.relative_to(root).as_posix()
        if found := CASE_NAME.fullmatch(path.name):
            known, key = cases, int(found[1])
        elif found := PICTURE_NAME.fullmatch(path.name):
            known, key = pictures.setdefault(int(found[1]), {}), int(found[2])
        else:
            strays.append(ascii(relative)[1:-1])
            continue
        if key in known:
            raise DataError(f"{known[key]} and {relative} have the same number; remove one of them")
        known[key] = relative
    if not cases:
        raise DataError(f"no N.xml of DDTI in {root.name!a} or a folder in it; unpack the data set there")
    if not pictures:
        raise DataError(f"no N_K.jpg of DDTI in {root.name!a} or a folder in it; put the pictures beside the XML")
    ordered = {number: dict(sorted(pictures[number].items())) for number in sorted(pictures)}
    return dict(sorted(cases.items())), ordered, strays


def _list_cases(root: Path) -> list[Path]:
    try:
        top = sorted(root.iterdir())
        below = [path for folder in top if folder.is_dir() for path in sorted(folder.iterdir())]
    except OSError:
        raise DataError(f"{root.name!a} or a folder in it is absent or cannot be listed; check the path") from None
    # A Mac leaves ._1.xml and .DS_Store behind.
    return [path for path in (*top, *below) if not path.name.startswith(".") and not path.is_dir()]


def _read_case(path: Path, number: int, notes: Notes) -> Element:
    case = read_xml(path)
    if case.tag != "case":
        raise DataError(f"{path.name} holds no <case>; put the file of DDTI back")
    found = case.text_of("number")
    if not (found.isdecimal() and int(found) == number):
        raise DataError(f"{path.name} is of another case by its <number>; rename it or fetch it again")
    age = case.text_of("age")
    if age and not (age.isdecimal() and len(age) <= 3 and 1 <= int(age) <= 120):
        notes.without_age.append(str(number))
    return case


def _tirads(case: Element, number: int) -> str:
    tirads = case.text_of("tirads").lower()
    if tirads and tirads not in TIRADS:
        raise DataError(f"{number}.xml has an unknown <tirads>; write one of {', '.join(TIRADS)} or nothing")
    return tirads


def _marks(case: Element, number: int) -> dict[int, str]:
    """Return image -> svg; the order of marks is not that of images."""
    marks: dict[int, str] = {}
    for mark in case.all("mark"):
        image = mark.text_of("image")
        if not (image.isdecimal() and len(image) <= 9):
            raise DataError(f"{number}.xml has a mark whose <image> is no number; write which picture it is of")
        if int(image) in marks:
            raise DataError(f"{number}.xml marks image {int(image)} twice; merge the marks")
        marks[int(image)] = mark.text_of("svg")
    return marks
