"""VinDr-SpineXR: spine radiographs with boxes around lesions (Nguyen et al., MICCAI 2021, arXiv:2106.12930).

Source: PhysioNet, https://doi.org/10.13026/q45h-5h59, version 1.0.0, restricted access. About 10,470 images of 5,000
studies, 4,000 of them for training; sources disagree about the exact number of images, so none is checked.

Labels are derived from ``annotations/*.csv``, one row a box, eight values of ``lesion_type``. The paper names thirteen
lesions; the six that were released as "Other lesions" are read as such. No PatientID was released, so a study stands
for a patient. An image gets one label:

``abnormal``
    Any lesion or none; no image is left out.
``case-1``
    No finding, Disc space narrowing, Vertebral collapse: the first case of the study this suite started from.
``case-2``, ``case-3``
    No finding with Spondylolysthesis and Surgical implant, and with Foraminal stenosis and Other lesions. That study
    does not name the lesions of its other two cases; taking the remaining rare ones, two a case, is our choice.
``lesions``
    No finding and every released lesion.

An image with several lesions of its case counts as the rarest of them (field `several`); one with lesions of which
none belongs to the case is left out and counted in the notes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from medbench import Card, DataError, Index, Record, counted
from medbench_datasets.readers.boxes import as_mask, as_text
from medbench_datasets.readers.listing import names_in
from medbench_datasets.vindr_spinexr_annotations import Annotated, read_annotations

NORMAL = "No finding"

RAREST_FIRST = (
    "Vertebral collapse",
    "Spondylolysthesis",
    "Foraminal stenosis",
    "Surgical implant",
    "Other lesions",
    "Disc space narrowing",
    "Osteophytes",
)
"""The released lesions by number of boxes in the training annotations (table 1 of the paper).

It is fixed, so that a label depends neither on which part was downloaded nor on other images.
"""

_LABELS = {label: label for label in (NORMAL, *RAREST_FIRST)} | {
    "Spondylolisthesis": "Spondylolysthesis",  # the released files spell it with a y
    **dict.fromkeys(
        (
            "Ankylosis",
            "Enthesophytes",
            "Fracture",
            "Sclerotic lesion",
            "Subchondral sclerosis",
            "Foreign body",
        ),
        "Other lesions",
    ),
}

_LESIONS = {
    "case-1": ("Disc space narrowing", "Vertebral collapse"),
    "case-2": ("Spondylolysthesis", "Surgical implant"),
    "case-3": ("Foraminal stenosis", "Other lesions"),
    "lesions": RAREST_FIRST[::-1],
}

CARD = Card(
    title="VinDr-SpineXR: spinal lesions in radiographs",
    licence="PhysioNet Restricted Health Data License 1.5.0; the agreement forbids passing the images on",
    citation="Nguyen et al., MICCAI 2021, arXiv:2106.12930; data doi:10.13026/q45h-5h59",
    access="Sign the data use agreement at https://physionet.org/content/vindr-spinexr/ and download version 1.0.0.",
    publish="predictions",
    unit="patient",
    layout=(
        "annotations/train.csv, annotations/test.csv, train_images/<image_id>.dicom, test_images/<image_id>.dicom; "
        "annotation/ and .dcm are accepted, and so is one part without the other"
    ),
)


@dataclass(frozen=True)
class VinDrSpineXR:
    """Spine radiographs of one case study, with the lesion boxes as masks.

    Attributes:
        case: Which lesions are told apart; the module's docstring lists them.
        several: What an image with several lesions of its case counts as: the "rarest" of them in the released
            training annotations, the "largest" by boxed area, or "omit" to leave it out. Without effect on `abnormal`.
        size: Default working size; 224 is what the authors' classifier takes.
    """

    name: str
    case: Literal["abnormal", "case-1", "case-2", "case-3", "lesions"] = "abnormal"
    several: Literal["rarest", "largest", "omit"] = "rarest"
    size: int = 224

    summary = "spine radiographs with lesion boxes (VinDr-SpineXR)"

    @property
    def card(self) -> Card:
        """Licence, source and layout."""
        return CARD

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, the normal one first."""
        return (NORMAL, "Abnormal") if self.case == "abnormal" else (NORMAL, *_LESIONS[self.case])

    @property
    def positive(self) -> str:
        """The class that is the disease, where there are two."""
        return "Abnormal" if self.case == "abnormal" else ""

    def index(self, root: Path) -> Index:
        """Describe every image of the case; no image file is opened.

        Raises:
            DataError: Where annotations are missing or wrong, or an annotated image has no file.
        """
        records: list[Record] = []
        notes: list[str] = []
        left_out: Counter[str] = Counter()
        seen: set[str] = set()
        for part, annotated, files in _parts(root, notes):
            if both := sorted(seen & annotated.keys()):
                raise DataError(
                    f"annotations: {counted(len(both), 'image', 'are')} in both train.csv and test.csv, the first is "
                    f"{both[0]}; remove them from one"
                )
            seen |= annotated.keys()
            contradicted = sum(1 for image in annotated.values() if image.boxes and image.normal_rows)
            if contradicted:
                notes.append(
                    f"{counted(contradicted, f'{part} image', 'are')} called normal and "
                    f"{'has' if contradicted == 1 else 'have'} boxes; the boxes count"
                )
            for image_id in sorted(annotated):
                image = annotated[image_id]
                label = self._label(image)
                if isinstance(label, str):
                    left_out[label] += 1
                    continue
                detail = {"boxes": as_text(image.boxes)} if image.boxes else {}
                records.append(Record(image_id, (files[image_id],), label, image.study, image.study, part, detail))
        notes += [f"{counted(count, 'image')} with {reason} left out" for reason, count in sorted(left_out.items())]
        return Index(tuple(records), self.classes, channels=1, dimensions=2, notes=tuple(notes))

    def read(self, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield ``uint8 (1, size, size)`` pixels, padded to a square, and ``uint8 (size, size)``, 1 in a lesion box.

        Raises:
            DataError: For the first image that cannot be read, or that a box lies outside of.
        """
        from medbench_datasets.readers.dicom.read import read_radiograph
        from medbench_datasets.readers.pictures.read import fit_square, fit_square_mask

        for record in records:
            pixels = read_radiograph(root / record.files[0], name=record.files[0])
            height, width = pixels.shape[1:]
            mask = as_mask(record.detail.get("boxes", ""), height=height, width=width, name=f"{record.part}.csv")
            yield fit_square(pixels, size), fit_square_mask(mask, size)

    def check(self, root: Path, records: Sequence[Record]) -> tuple[str, ...]:
        """Read the tags of every image, a few milliseconds each, and decode those that claim to be the same one.

        Returns:
            Sentences about what looks odd, with counts.

        Raises:
            DataError: For the first file that is no radiograph, and for one SOPInstanceUID with different pixels.
        """
        from medbench_datasets.readers.dicom.audit import audit_radiographs
        from medbench_datasets.readers.dicom.patients import disagreement, patients_in_headers

        study_of = {record.files[0]: record.study for record in records}
        said = disagreement(patients_in_headers(root, list(study_of)), study_of, "the column study_id")
        return (*audit_radiographs(root, records), *([said] if said else []))

    def recognise(self, root: Path) -> str:
        """Return how to read a folder of this layout, nothing but folders opened; "" for another."""
        images = [name for name in ("train_images", "test_images") if (root / name).is_dir()]
        has_annotations = any((root / name).is_dir() for name in ("annotations", "annotation"))
        has_dicom = any(name.endswith((".dicom", ".dcm")) for part in images for name in names_in(root / part)[:50])
        return "vindr-spinexr:abnormal" if images and (has_annotations or len(images) == 2) and has_dicom else ""

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Write drawn radiographs of `patients` studies under `root`, in the released layout."""
        from medbench_datasets.phantoms import vindr_spinexr

        vindr_spinexr.write(root, seed=seed, patients=patients, null=null)

    def _label(self, image: Annotated) -> int | str:
        """Return the class of an image, or why it has none."""
        found = {box.lesion for box in image.boxes}
        if not found:
            return 0
        if self.case == "abnormal":
            return 1
        wanted = [lesion for lesion in RAREST_FIRST if lesion in found and lesion in self.classes]
        if not wanted:
            return "lesions of other cases only"
        if len(wanted) > 1 and self.several == "omit":
            return "several lesions of the case"
        if self.several == "largest":
            area = {lesion: sum(box.area for box in image.boxes if box.lesion == lesion) for lesion in wanted}
            wanted.sort(key=lambda lesion: -area[lesion])  # stable: the rarer one where both are as large
        return self.classes.index(wanted[0])


def _parts(root: Path, notes: list[str]) -> Iterator[tuple[str, dict[str, Annotated], dict[str, str]]]:
    """Yield name, annotations and files of each part that is there; what looks odd is added to `notes`."""
    folder = next((name for name in ("annotations", "annotation") if (root / name).is_dir()), None)
    if folder is None:
        raise DataError(f"annotations/: the folder is missing in the data folder; expected {CARD.layout}")
    present = 0
    for part in ("train", "test"):
        csv_file, images = f"{folder}/{part}.csv", f"{part}_images"
        has_csv, has_images = (root / csv_file).is_file(), (root / images).is_dir()
        if not has_csv and not has_images:
            notes.append(f"the {part} part is not here: neither {csv_file} nor {images}/")
            continue
        if not has_csv or not has_images:
            missing, other = (f"{images}/", csv_file) if has_csv else (csv_file, f"{images}/")
            raise DataError(f"{missing}: is missing, but {other} is there; download it too")
        present += 1
        annotated = read_annotations(root / csv_file, name=csv_file, labels=_LABELS, normal=NORMAL)
        files = _image_files(root / images, images)
        if gone := sorted(annotated.keys() - files.keys()):
            raise DataError(
                f"{images}/: {counted(len(gone), 'image')} of {csv_file} without a file, among them "
                f"{', '.join(gone[:5])}; download them again"
            )
        if surplus := len(files.keys() - annotated.keys()):
            verb = "is" if surplus == 1 else "are"
            notes.append(f"{counted(surplus, 'file')} in {images}/ {verb} not in {csv_file} and left out")
        yield part, annotated, files
    if not present:
        raise DataError(f"{folder}/: holds neither train.csv nor test.csv; expected {CARD.layout}")


def _image_files(folder: Path, name: str) -> dict[str, str]:
    """Return relative paths by image id."""
    files: dict[str, str] = {}
    for entry in sorted(os.listdir(folder)):
        image_id, dot, ending = entry.rpartition(".")
        if not dot or ending not in ("dicom", "dcm"):
            continue
        if image_id in files:
            raise DataError(f"{name}/: {image_id} is there as .dicom and as .dcm; remove one of the two")
        files[image_id] = f"{name}/{entry}"
    return files


_CASES: tuple[Literal["abnormal", "case-1", "case-2", "case-3", "lesions"], ...] = (
    "abnormal",
    "case-1",
    "case-2",
    "case-3",
    "lesions",
)
DATASETS = tuple(VinDrSpineXR(f"vindr-spinexr:{case}", case) for case in _CASES)
