"""A look-alike of VinDr-SpineXR: drawn spine radiographs as DICOM files, with CSV files of boxes.

How often a lesion occurs, alone or beside osteophytes, and how studies are cut follow the released data; every lesion
is given to a few studies at least, so that small phantoms have all classes. Files come in several bit depths, transfer
syntaxes and windows, light on dark and dark on light, drawn independently of what the image shows.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from medbench_datasets.phantoms.spine_drawing import View, new_spine
from medbench_datasets.phantoms.spine_lesions import Corners, Finding, draw

_RATES = {  # share of the studies, rarest first; the released test part has them by image
    "Vertebral collapse": 0.025,
    "Spondylolysthesis": 0.03,
    "Foraminal stenosis": 0.03,
    "Surgical implant": 0.031,
    "Other lesions": 0.04,
    "Disc space narrowing": 0.071,
}
_ABNORMAL = 0.485
_BESIDE = 0.7  # of the studies with one of these also have osteophytes
_VISIBLE = 0.88  # that a finding of a study can be seen in another image than the first
_SYNTAXES = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.RLELossless, uid.JPEG2000Lossless)


@dataclass(frozen=True)
class _Study:
    id: str
    part: str
    findings: tuple[Finding, ...]
    seed: tuple[int, ...]


def write(root: Path, *, seed: int, patients: int, null: bool) -> None:
    """Write a phantom; the same arguments write the same images and labels.

    Args:
        root: Folder, made where it is missing.
        seed: Another seed gives other people.
        patients: Studies, each with one to four images, two mostly; a fifth of them is the test part.
        null: Whether labels and boxes are those of somebody else, so that images say nothing about them.
    """
    studies = _plan(seed, patients)
    shown = np.arange(patients)
    if null:
        np.random.default_rng((seed, 3)).shuffle(shown)
    rows: dict[str, list[list[str]]] = {"train": [], "test": []}
    for part in rows:
        (root / f"{part}_images").mkdir(parents=True, exist_ok=True)
    for number, study in enumerate(studies):
        drawn = studies[shown[number]].findings if null else None
        rows[study.part] += _write_study(root, study, drawn)
    (root / "annotations").mkdir(exist_ok=True)
    header = ["study_id", "series_id", "image_id", "rad_id", "lesion_type", "xmin", "ymin", "xmax", "ymax"]
    for part, lines in rows.items():
        with open(root / "annotations" / f"{part}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *lines])


def _plan(seed: int, patients: int) -> list[_Study]:
    """Decide who has what and which part of the cut they belong to."""
    rng = np.random.default_rng((seed, 1))
    abnormal = rng.permutation(patients)[: max(1, round(_ABNORMAL * patients))]
    found: dict[int, list[str]] = {int(study): [] for study in abnormal}
    for lesion, rate in _RATES.items():
        count = min(len(abnormal), max(round(rate * patients), min(6, max(2, patients // 12))))
        candidates = rng.permutation(abnormal)
        first = sorted(candidates, key=lambda study: len(found[int(study)]))[:2]  # alone where there is room
        for study in (*first, *[study for study in candidates if study not in first][: count - 2]):
            found[int(study)].append(lesion)
    for lesions in found.values():
        if not lesions or rng.random() < _BESIDE:
            lesions.append("Osteophytes")
    strata: dict[str, list[int]] = {}
    for study in rng.permutation(patients):
        strata.setdefault(found.get(int(study), [""])[0], []).append(int(study))
    test = {study for members in strata.values() for study in members[: max(1, round(len(members) / 5))]}
    studies = []
    for number in range(patients):
        findings = tuple(
            Finding(lesion, int(rng.integers(1, 5)), float(rng.random()), int(rng.choice((-1, 1))))
            for lesion in found.get(number, [])
        )
        part = "test" if number in test else "train"
        studies.append(_Study(rng.bytes(16).hex(), part, findings, (seed, 2, number)))
    return studies


def _write_study(root: Path, study: _Study, drawn: Sequence[Finding] | None) -> list[list[str]]:
    """Write the images of a study and return its rows; `drawn` is what to draw where it is not what to report."""
    rng = np.random.default_rng(study.seed)
    spine = new_spine(rng)
    rows: list[list[str]] = []
    count = int(rng.choice((1, 2, 3, 4), p=(0.1, 0.75, 0.08, 0.07)))
    for number in range(count):
        view: View = "frontal" if number % 2 == 0 else "lateral"
        series_id, image_id = rng.bytes(16).hex(), rng.bytes(16).hex()
        visible = _visible(study.findings, rng, all_of_them=number == 0)
        picture, boxes = draw(spine, view, visible, rng)
        if drawn is not None:
            picture, _ = draw(spine, view, _visible(drawn, rng, all_of_them=number == 0), rng)
        _write_dicom(root / f"{study.part}_images" / f"{image_id}.dicom", picture, image_id, rng)
        rows += _rows([study.id, series_id, image_id, "rad1"], boxes)
    return rows


def _visible(findings: Sequence[Finding], rng: np.random.Generator, *, all_of_them: bool) -> list[Finding]:
    return [finding for finding in findings if rng.random() < _VISIBLE or all_of_them]


def _rows(ids: list[str], boxes: list[tuple[str, Corners]]) -> list[list[str]]:
    if not boxes:
        return [[*ids, "No finding", "", "", "", ""]]
    return [[*ids, lesion, *(f"{corner:.3f}" for corner in box)] for lesion, box in boxes]


def _write_dicom(path: Path, picture: np.ndarray, image_id: str, rng: np.random.Generator) -> None:
    """Store a picture of [0, 1] in one of the encodings that occur."""
    bits = int(rng.choice((8, 10, 12, 12, 14, 16)))
    syntax = _SYNTAXES[int(rng.choice(4, p=(0.5, 0.15, 0.25, 0.1)))]
    inverted = rng.random() < 0.3
    top = 2**bits - 1
    low, high = np.sort(rng.uniform((0.0, 0.75), (0.15, 1.0))) * top  # the detector's range is rarely filled
    stored = np.rint(low + (1 - picture if inverted else picture) * (high - low)).astype(np.uint16)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if syntax.is_compressed else syntax
    meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = uid.generate_uid(entropy_srcs=[image_id])
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID = meta.MediaStorageSOPClassUID
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.Modality = "DX"
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    image.Rows, image.Columns = picture.shape
    image.BitsAllocated = 8 if bits == 8 else 16
    image.BitsStored, image.HighBit, image.PixelRepresentation = bits, bits - 1, 0
    if rng.random() < 0.6:  # the others are shown from their smallest to their largest value
        image.WindowCenter = f"{(low + high) / 2:.1f}"
        image.WindowWidth = f"{(high - low) * rng.uniform(0.9, 1.05):.1f}"
    pixels = stored.astype(np.uint8 if bits == 8 else "<u2").tobytes()
    image.PixelData = pixels + b"\0" * (len(pixels) % 2)
    image["PixelData"].VR = "OB" if bits == 8 and syntax != uid.ImplicitVRLittleEndian else "OW"
    if syntax.is_compressed:
        image.compress(syntax, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    image.save_as(path, enforce_file_format=True)
