"""Gliomas of low and high grade in MRI: BraTS 2017 to 2020, REMBRANDT, or one's own cases with grades.

Sources: BraTS (Menze et al., IEEE TMI 34, 2015, doi:10.1109/TMI.2014.2377694; Bakas et al., Sci Data 4:170117, 2017;
arXiv 1811.02629), by registration: 2017 and 2018 have 210 HGG and 75 LGG, 2019 has 259 and 76, 2020 has 293 and 76; 335
of the 369 cases of 2020 are those of 2019. REMBRANDT (Scarpace et al., TCIA, doi:10.7937/K9/TCIA.2015.588OZUZB): 61 HGG
and 40 LGG in the copy of the brain-features study, FLAIR only. The grade is the folder's or the mapping file's; in CSVs
of grades WHO 1 and 2 count as low, 3 and 4 as high.

Every volume is normalised by itself: no number of another patient enters it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from medbench import Card, DataError, Index, Record, UsageError, counted
from medbench_datasets.brain_tumour_cases import GRADES, Case, find_cases, holds_cases
from medbench_datasets.brain_tumour_slices import as_picture, slice_positions
from medbench_datasets.readers.listing import in_folder
from medbench_datasets.readers.nifti.affine import apart
from medbench_datasets.readers.nifti.header import Header, read_header
from medbench_datasets.readers.nifti.read import is_same_grid, read_labels, read_volume
from medbench_datasets.readers.volumes import bounding_box, fit_image, fit_labels, foreground, standardise

MODALITIES = ("flair", "t1", "t1ce", "t2")

# What the numbers of a segmentation mean differs from year to year; above 0 they all mean tumour.
LABELS = {"0124": (0, 1, 2, 4), "0123": (0, 1, 2, 3), "01234": (0, 1, 2, 3, 4)}
OTHER_PATIENTS = 1_000_003  # from one seed to the next set's, so that a phantom to learn from first draws others
_BRATS_2017_TO_2020 = ("brats17", "brats18", "brats19", "brats20")


@dataclass(frozen=True)
class BrainTumour:
    """Gliomas in MRI: low or high grade.

    Attributes:
        name: What it is registered under.
        modalities: Channels, in this order: some of flair, t1, t1ce, t2.
        missing: What becomes of a case without one of them. "refuse": an error that names it; "leave-out": a note;
            "blank": the channel is 0 everywhere, which may tell a network where a case comes from.
        grades: CSV with the columns case, grade and perhaps patient, for folders that have none of their own; in the
            data folder, or elsewhere.
        labels: Numbers that a segmentation may hold. "auto": 0124 for cases named as BraTS 2017 to 2020 names them,
            01234 for others.
        mask: "tumour" is 1 wherever a segmentation is above 0; "labels" keeps its numbers.
        slices: Axial slices a case; 0 gives whole volumes.
        chosen: Where slices come from: evenly over the extent of the tumour (of the brain, for a case without
            segmentation), or always over the brain. The tumour's extent is known from the segmentation alone.
        low: z-score within the brain that becomes the darkest gray of the brain,
        high: and the brightest. Tumours reach 5 on FLAIR and contrast-enhanced T1, where 1 % lies above 3.
        size: Working size in voxels or pixels.
    """

    name: str = "brain-tumour"
    modalities: tuple[str, ...] = MODALITIES
    missing: Literal["refuse", "leave-out", "blank"] = "refuse"
    grades: Path | None = None
    labels: Literal["auto", "0124", "0123", "01234"] = "auto"
    mask: Literal["tumour", "labels"] = "tumour"
    slices: int = 0
    chosen: Literal["tumour", "brain"] = "tumour"
    low: float = -3.0
    high: float = 5.0
    size: int = 96
    summary = "glioma MRI, low or high grade"
    card = Card(
        title="Glioma grading in MRI: BraTS 2017-2020, REMBRANDT or own cases",
        licence="BraTS: for research, by registration, no redistribution of the images; REMBRANDT: TCIA, CC BY 3.0",
        citation="Menze et al., The Multimodal Brain Tumor Image Segmentation Benchmark (BRATS), IEEE TMI 34, 2015, "
        "doi:10.1109/TMI.2014.2377694; Bakas et al., Sci Data 4, 2017, doi:10.1038/sdata.2017.117",
        access="Register for BraTS at the CBICA or Synapse and unpack the training data; REMBRANDT is at TCIA.",
        publish="predictions",
        layout="HGG|LGG/CASE/CASE_{flair,t1,t1ce,t2,seg}.nii.gz, or CASE/... beside name_mapping.csv with Grade, or "
        "HGG|LGG/CASE/CASE.nii.gz (FLAIR), or CASE/... beside grades.csv with case,grade",
    )

    def __post_init__(self) -> None:
        if not self.modalities or set(self.modalities) - set(MODALITIES):
            raise UsageError(f"{self.name}: modalities must be some of {', '.join(MODALITIES)}; correct the field")
        if len(set(self.modalities)) < len(self.modalities):
            raise UsageError(f"{self.name}: modalities names one twice; name each once")
        if self.slices < 0 or self.slices > 100:
            raise UsageError(f"{self.name}: slices is {self.slices}; give 1 to 100, or 0 for volumes")
        if not self.low < self.high:
            raise UsageError(f"{self.name}: low {self.low:g} is not below high {self.high:g}; exchange them")

    def within(self, root: Path) -> BrainTumour:
        """Return it with the grades of this data folder, where the file that is named lies there."""
        return replace(self, grades=grades) if (grades := in_folder(self.grades, root)) else self

    def index(self, root: Path) -> Index:
        """List the cases, with the header of every file checked against the others.

        Raises:
            DataError: Where a grade, a modality or a file is missing, or the files of a case do not fit together.
        """
        cases, notes = find_cases(root, in_folder(self.grades, root) or self.grades)
        for case in cases:  # a bare name stands for FLAIR; the Decathlon keeps all four modalities in such a file
            if Path(case.files.get("flair", "")).name.partition(".nii")[0] == case.name:
                read_header(root / case.files["flair"])
        cases = self._complete(cases, notes)
        odd: list[str] = []
        for case in cases:
            odd += _check_headers(root, case)
        if odd:
            notes.append(f"{counted(len(odd), 'file', 'have')} an odd orientation; the first: {odd[0]}")
        unsegmented = sum("seg" not in case.files for case in cases)
        if unsegmented:
            notes.append(f"{unsegmented} of {counted(len(cases), 'case')} without segmentation, so without mask")
        records = tuple(record for case in cases for record in self._records(case))
        return Index(records, GRADES, len(self.modalities), 2 if self.slices else 3, tuple(notes))

    def read(self, root: Path, records: Sequence[Record], size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield pixels ``uint8 (modalities, X, Y, Z)`` or ``(modalities, H, W)``, and the tumour alike or None.

        Volumes run to the patient's right, front and top. Slices show the front up and the patient's right on the
        left. The brain's bounding box fills the cube along its longest side; 0 is background, 1 to 255 brain.
        A volume is read once for consecutive slices of it.

        Raises:
            DataError: For the first file that is damaged.
        """
        for _, same in itertools.groupby(records, key=lambda record: record.files):
            yield from self._read_case(root, list(same), size)

    def recognise(self, root: Path) -> str:
        """Return how to read a folder of this layout, nothing but folders opened; "" for another."""
        return "brain-tumour" if holds_cases(root) else ""

    def phantom(self, root: Path, *, seed: int, patients: int, null: bool) -> None:
        """Write drawn brains with drawn tumours in the layout of BraTS 2020."""
        from medbench_datasets.phantoms import brain_tumour

        other = OTHER_PATIENTS if self.name.startswith("source-") else 0
        brain_tumour.write(root, seed=seed + other, patients=patients, null=null)

    def _complete(self, cases: Sequence[Case], notes: list[str]) -> list[Case]:
        """Return the cases to use; what is not wanted of their files is taken off."""
        kept: list[Case] = []
        lacking, blank = 0, 0
        wanted = (*self.modalities, "seg", "brain")
        for case in cases:
            absent = [m for m in self.modalities if m not in case.files]
            if absent and self.missing == "refuse":
                present = [m for m in MODALITIES if m in case.files]
                raise DataError(
                    f"{case.id}: lacks {', '.join(absent)}, has {', '.join(present) or 'no NIfTI file of a modality'}; "
                    f"restore the files, or use {self.name}[modalities={'+'.join(present) or 'flair'}] or "
                    f"{self.name}[missing=leave-out]"
                )
            if absent and (self.missing == "leave-out" or len(absent) == len(self.modalities)):
                lacking += 1
                continue
            blank += bool(absent)
            kept.append(replace(case, files={role: file for role, file in case.files.items() if role in wanted}))
        if lacking:
            notes.append(f"{counted(lacking, 'case')} without all of {', '.join(self.modalities)} left out")
        if blank:
            notes.append(f"{counted(blank, 'case', 'lack')} one of {', '.join(self.modalities)} (its channel is blank)")
        if not kept:
            raise DataError(
                f"modalities: none of {counted(len(cases), 'case')} has {', '.join(self.modalities)}; ask for others "
                f"by {self.name}[modalities=...]"
            )
        return kept

    def _records(self, case: Case) -> Iterator[Record]:
        roles = [*(m for m in self.modalities if m in case.files), *(r for r in ("seg", "brain") if r in case.files)]
        files = tuple(case.files[role] for role in roles)
        detail = {"roles": ",".join(roles), "labels": self._labels(case)}
        label = GRADES.index(case.grade)
        if not self.slices:
            yield Record(case.id, files, label, case.patient, study=case.id, detail=detail)
        for k in range(self.slices):  # which slice that is, only the segmentation can say
            place = {**detail, "slice": str(k)}
            yield Record(f"{case.id}/{k:02d}", files, label, case.patient, study=case.id, detail=place)

    def _labels(self, case: Case) -> str:
        if self.labels != "auto":
            return self.labels
        return "0124" if case.name.lower().startswith(_BRATS_2017_TO_2020) else "01234"

    def _read_case(
        self, root: Path, records: Sequence[Record], size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        levels, tumour, spacing_mm = self._levels(root, records[0])
        if not self.slices:
            pixels = np.stack([fit_image(channel, spacing_mm, size) for channel in levels])
            yield pixels, None if tumour is None else fit_labels(tumour, spacing_mm, size)
            return
        extent = tumour if tumour is not None and self.chosen == "tumour" else levels.max(0)
        positions = slice_positions(extent > 0, self.slices)
        for record in records:
            z = positions[int(record.detail["slice"])]
            flat_mm = spacing_mm[1::-1]
            pixels = np.stack([fit_image(as_picture(channel[:, :, z]), flat_mm, size) for channel in levels])
            yield pixels, None if tumour is None else fit_labels(as_picture(tumour[:, :, z]), flat_mm, size)

    def _levels(self, root: Path, record: Record) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Return gray levels ``float64 (modalities, X, Y, Z)`` and segmentation in the brain's box, and the spacing."""
        files = dict(zip(record.detail["roles"].split(","), record.files, strict=True))
        volumes: dict[str, np.ndarray] = {}
        for modality in self.modalities:
            if modality in files:
                volumes[modality], affine = read_volume(root / files[modality])
        given = read_labels(root / files["brain"], (0, 1))[0] > 0 if "brain" in files else None
        inside = {modality: _inside(voxels, given) for modality, voxels in volumes.items()}
        brain = np.logical_or.reduce(list(inside.values()))
        box = bounding_box(brain)
        levels = np.zeros((len(self.modalities), *(s.stop - s.start for s in box)))
        for channel, modality in zip(levels, self.modalities, strict=True):
            if modality in volumes:
                channel[:] = standardise(volumes[modality][box], inside[modality][box], low=self.low, high=self.high)
        tumour = None
        if "seg" in files:
            tumour = read_labels(root / files["seg"], LABELS[record.detail["labels"]])[0][box]
            tumour = (tumour > 0).astype(np.uint8) if self.mask == "tumour" else tumour
        return levels, tumour, np.linalg.norm(affine[:3, :3], axis=0)


DATASETS = (
    BrainTumour(),
    BrainTumour(name="brain-tumour:slices", slices=8, size=128),
    BrainTumour(name="source-brain-tumour:slices", slices=8, size=128),  # to be learnt from, beside another
)


def _inside(voxels: np.ndarray, brain: np.ndarray | None) -> np.ndarray:
    found = foreground(voxels)
    both = found if brain is None else found & brain
    return both if both.any() else np.ones(voxels.shape, dtype=bool)


def _check_headers(root: Path, case: Case) -> list[str]:
    """Compare the files of a case; return what is odd about one alone."""
    headers: Mapping[str, Header] = {role: read_header(root / file) for role, file in case.files.items()}
    first, *others = headers
    one = headers[first]
    for role in others:
        other = headers[role]
        if is_same_grid(one, other):
            continue
        here, there = (" x ".join(map(str, h.shape)) for h in (other, one))
        if here != there:
            raise DataError(f"{case.id}: {role} has {here} voxels, {first} has {there}; resample one to the other")
        raise DataError(
            f"{case.id}: {role} lies up to {apart(one.affine, other.affine, one.shape):.1f} mm apart from {first} by "
            "their affines; register one to the other"
        )
    return [header.note for header in headers.values() if header.note]
