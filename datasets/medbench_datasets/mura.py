"""MURA: radiographs of the upper limb, each study normal or abnormal (Rajpurkar et al. 2017, arXiv:1712.06957).

Source: Stanford ML Group, version 1.1 (1.0 was withdrawn). The paper counts 40,561 images of 14,863 studies and 12,173
patients; its test part was never released, which leaves 11,184 patients in ``train`` and 783 in ``valid``. Radiologists
called each study normal or abnormal when they read it; abnormal is a fracture, an implant, a degenerated joint or
another lesion. The label of a study is the label of all its images, also of those that do not show what is wrong.

A patient is a number: the same number under several body parts is one person. Patients of the two parts are numbered
one after the other, so no number should occur in both; where one does, it counts as one person and is noted.

The reader follows the layout as documented and was never run on the released files.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from medbench import Card, DataError, Index, Record, UsageError, counted
from medbench_datasets.readers.listing import list_images, names_in, some
from medbench_datasets.readers.pictures.read import fit_square, read_picture

BODY_PARTS = ("XR_ELBOW", "XR_FINGER", "XR_FOREARM", "XR_HAND", "XR_HUMERUS", "XR_SHOULDER", "XR_WRIST")
TOP = "MURA-v1.1"

CARD = Card(
    title="MURA: musculoskeletal radiographs, version 1.1",
    licence="Stanford University School of Medicine MURA Dataset Research Use Agreement: non-commercial research; "
    "it forbids passing the images on",
    citation="Rajpurkar et al., MURA: Large Dataset for Abnormality Detection in Musculoskeletal Radiographs, 2017, "
    "arXiv:1712.06957",
    access="Accept the agreement at https://stanfordmlgroup.github.io/competitions/mura/ or "
    "https://aimi.stanford.edu/datasets/mura-msk-xrays and unpack MURA-v1.1.zip.",
    publish="nothing",  # predictions carry names and labels of images; whether those may be passed on is not said
    layout=f"{TOP}/ or what is in it: train_image_paths.csv, train_labeled_studies.csv, the same for valid, and "
    "train|valid/XR_PART/patientNNNNN/studyK_positive|negative/imageM.png; one part without the other is accepted",
)

_STUDY = re.compile(r"(train|valid)/(XR_[A-Z]{1,20})/patient(\d{1,9})/study(\d{1,4})_(positive|negative)")
_PARTS: tuple[tuple[str, Literal["train", "test"]], ...] = (("train", "train"), ("valid", "test"))


@dataclass(frozen=True)
class MURA:
    """MURA radiographs.

    Attributes:
        name: What it is registered under.
        case: Whether the classes are normal and abnormal studies, or the seven parts of the upper limb.
        part: The part of the body that is read; "all" reads every one.
        size: Working size in pixels.
    """

    name: str = "mura:abnormal"
    case: Literal["abnormal", "part"] = "abnormal"
    part: Literal["all", "XR_ELBOW", "XR_FINGER", "XR_FOREARM", "XR_HAND", "XR_HUMERUS", "XR_SHOULDER", "XR_WRIST"] = (
        "all"
    )
    size: int = 128

    summary = "radiographs of the upper limb, normal or abnormal (MURA)"
    card = CARD

    def __post_init__(self) -> None:
        if self.case not in ("abnormal", "part"):
            raise UsageError(f"{self.name}: case is {self.case!a}; choose abnormal or part")
        if self.part not in ("all", *BODY_PARTS):
            raise UsageError(f"{self.name}: part is {self.part!a}; choose all or one of {', '.join(BODY_PARTS)}")
        if self.case == "part" and self.part != "all":
            raise UsageError(f"{self.name}: part={self.part} leaves one class of seven; take part=all")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return ("normal", "abnormal") if self.case == "abnormal" else BODY_PARTS

    def index(self, root: Path) -> Index:
        """Describe every listed image; no image file is opened.

        Raises:
            DataError: Where a table is missing or cannot be read, names an image that is not there, or contradicts
                the name of a study's folder.
        """
        top = _top(root)
        notes: list[str] = []
        records: list[Record] = []
        for part, official in _PARTS:
            if not _is_here(root, top, part, notes):
                continue
            listed = _read_paths(root, top, part)
            labels = _read_labels(root, top, part)
            _compare(root, top, part, listed, labels, notes)
            for path, study in listed:
                _, body_part, patient, number, _ = study.groups()
                if self.part not in ("all", body_part):
                    continue
                label = labels[study[0]] if self.case == "abnormal" else BODY_PARTS.index(body_part)
                person = f"patient{int(patient):05d}"
                records.append(
                    Record(
                        path.removesuffix(".png"),
                        (top + path,),
                        label,
                        patient=person,
                        study=f"{part}/{body_part}/{person}/study{int(number)}",
                        part=official,
                    )
                )
        if not records:
            raise DataError(f"{root.name!a} lists no image of {self.part}; choose another part or fetch the data again")
        notes += _oddities(records)
        return Index(tuple(records), self.classes, channels=1, dimensions=2, notes=tuple(notes))

    def read(self, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, None]]:
        """Yield pixels ``uint8 (1, size, size)``, padded to a square; there are no masks.

        Raises:
            DataError: For the first image that cannot be read.
        """
        for record in records:
            yield fit_square(read_picture(root / record.files[0]), size), None

    def recognise(self, root: Path) -> str:
        """Return how to read a folder of this layout, nothing but folders opened; "" for another."""
        for top in (root, root / TOP):
            for part, _ in _PARTS:
                body_parts = [name for name in names_in(top / part) if re.fullmatch(r"XR_[A-Z]+", name)]
                if (top / f"{part}_image_paths.csv").is_file() or body_parts:
                    return "mura:abnormal"
        return ""

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Write drawn radiographs of limbs in the released layout."""
        from medbench_datasets.phantoms import mura

        mura.write(root, seed=seed, patients=patients, null=null)


DATASETS = (MURA("mura:abnormal"), MURA("mura:part", case="part"))


def _top(root: Path) -> str:
    """Return what stands before ``train/`` in paths relative to `root`."""
    for top in ("", f"{TOP}/"):
        if any(
            (root / top / f"{part}_image_paths.csv").is_file() or (root / top / part).is_dir() for part, _ in _PARTS
        ):
            return top
    raise DataError(f"{root.name!a} holds neither train_image_paths.csv nor {TOP}/ with it; expected {CARD.layout}")


def _is_here(root: Path, top: str, part: str, notes: list[str]) -> bool:
    """Tell whether a part of the release is there as a whole; a part that is half there is an error."""
    names = (f"{part}_image_paths.csv", f"{part}_labeled_studies.csv", part)
    missing = [name for name in names if not (root / top / name).exists()]
    if len(missing) == len(names):
        notes.append(f"The {part} part is not here: neither {part}/ nor its tables.")
        return False
    if missing:
        raise DataError(f"{top}{missing[0]} is missing, but others of the {part} part are there; put it back")
    return True


def _read_paths(root: Path, top: str, part: str) -> list[tuple[str, re.Match[str]]]:
    """Return image and study of every line, as paths below the folder of the release, sorted."""
    name = f"{part}_image_paths.csv"
    listed = []
    for number, line in _lines(root / top / name, name):
        path = line.removeprefix(f"{TOP}/")
        study, _, image = path.rpartition("/")
        if not re.fullmatch(r"image\d{1,4}\.png", image):
            raise DataError(f"{name}, line {number}: no path of an image, expected {_EXAMPLE}image1.png; {_RESTORE}")
        listed.append((path, _study(study, part, name, number)))
    twice = [path for path, count in Counter(path for path, _ in listed).items() if count > 1]
    if twice:
        raise DataError(f"{name} names {some(sorted(twice))} more than once; {_RESTORE}")
    return sorted(listed, key=lambda image: image[0])


def _read_labels(root: Path, top: str, part: str) -> dict[str, int]:
    """Return the label of every study, 0 or 1."""
    name = f"{part}_labeled_studies.csv"
    labels: dict[str, int] = {}
    for number, line in _lines(root / top / name, name):
        path, _, label = line.rpartition(",")
        study = path.strip().removeprefix(f"{TOP}/").removesuffix("/")
        _study(study, part, name, number)
        if label.strip() not in ("0", "1"):
            raise DataError(f"{name}, line {number}: the label is neither 0 nor 1; {_RESTORE}")
        if study in labels:
            raise DataError(f"{name}, line {number}: {study} is listed a second time; {_RESTORE}")
        labels[study] = int(label)
        if labels[study] != (study.endswith("_positive")):
            raise DataError(
                f"{name}, line {number}: {study} is labelled {labels[study]}, which its name contradicts; {_RESTORE}"
            )
    return labels


_RESTORE = "put the file of the release back"
_HEADER = re.compile(r"[A-Za-z_ ]+(,[A-Za-z_ ]+)*|0(,1)?")  # names of columns, or their numbers; no path
_EXAMPLE = f"{TOP}/train/XR_WRIST/patient00001/study1_positive/"


def _lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of every line that is not blank; the released tables have no header, copies may."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{name} cannot be read as text in UTF-8; {_RESTORE}") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if lines and _HEADER.fullmatch(lines[0][1]):
        del lines[0]
    if not lines:
        raise DataError(f"{name} is empty; {_RESTORE}")
    yield from lines


def _study(study: str, part: str, name: str, number: int) -> re.Match[str]:
    found = _STUDY.fullmatch(study)
    if found is None or found[1] != part or found[2] not in BODY_PARTS:
        raise DataError(
            f"{name}, line {number}: no study of the part {part}, expected a path as {_EXAMPLE}; {_RESTORE}"
        )
    return found


def _compare(
    root: Path, top: str, part: str, listed: list[tuple[str, re.Match[str]]], labels: dict[str, int], notes: list[str]
) -> None:
    """Hold tables and files against each other."""
    studies = {study[0] for _, study in listed}
    if unlabelled := sorted(studies - labels.keys()):
        raise DataError(
            f"{part}_labeled_studies.csv lacks studies of {part}_image_paths.csv: {some(unlabelled)}; {_RESTORE}"
        )
    there = {f"{part}/{path}" for path in list_images(root / top / part).kinds}
    paths = {path for path, _ in listed}
    if gone := sorted(paths - there):
        raise DataError(f"{part}_image_paths.csv names images that are missing: {some(gone)}; unpack the data again")
    if surplus := sorted(there - paths):
        notes.append(f"Images that {part}_image_paths.csv does not name were left out: {some(surplus)}.")
    if empty := sorted(labels.keys() - studies):
        notes.append(f"Labelled studies without an image in {part}_image_paths.csv: {some(empty)}.")


def _oddities(records: Sequence[Record]) -> Iterator[str]:
    """Yield what is no error and still changes how a result must be read."""
    labels, parts = defaultdict(set), defaultdict(set)
    for record in records:
        labels[record.patient].add(record.label)
        parts[record.patient].add(record.part)
    if several := sum(len(found) > 1 for found in labels.values()):
        yield f"Patients with images of more than one class: {several}."
    if both := sorted(patient for patient, found in parts.items() if len(found) > 1):
        yield f"Patients in both train and valid, which the official cut would leak: {some(both)}."
    counts = Counter(record.part for record in records)
    train = counted(counts["train"], "image", "are")
    yield f'An official cut: {train} the part "train", {counts["test"]} (valid) the part "test".'
