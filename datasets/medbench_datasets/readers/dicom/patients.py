"""Who is in a DICOM file by its header: PatientID, else StudyInstanceUID, hashed.

Files are often named by UID, so that nothing else tells which of them show one person. Values are hashed at once: no
identifier gets into an index, a message or a result.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medbench import counted
from medbench_datasets.readers.listing import some

_PLACEHOLDERS = {
    *("anon", "anonymous", "anonymized", "anonymised", "deidentified", "de-identified", "removed", "unknown", "none"),
    *("null", "na", "n/a", "nan", "patient", "patientid", "patient id", "no id", "noid", "test", "xxx", "-", "."),
}


@dataclass(frozen=True)
class InHeaders:
    """What the headers of DICOM files say about people.

    Attributes:
        patient: File to person, hashed; files whose header says neither are absent.
        study: File to examination, hashed.
        by_study: How many of the files are known by their examination alone.
        silent: How many say neither.
        placeholder: Whether one PatientID stands in every file, as anonymisers leave it, and was not believed.
    """

    patient: Mapping[str, str]
    study: Mapping[str, str]
    by_study: int
    silent: int
    placeholder: bool

    def note(self) -> str:
        """Say where the patients come from; `patient` is not empty."""
        said = (
            f"Patients are those of the DICOM headers, hashed: {len(set(self.patient.values()))} in "
            f"{counted(len(self.patient), 'image')}, by PatientID"
        )
        if self.by_study == len(self.patient):
            said = said.replace("by PatientID", "by StudyInstanceUID")
        elif self.by_study:
            said += f", {self.by_study} of them by StudyInstanceUID for want of one"
        said += "; one PatientID stands in every file and was not believed" * self.placeholder
        return f"{said}{f'; {self.silent} say neither and count as their own' if self.silent else ''}."


def patients_in_headers(root: Path, files: Sequence[str]) -> InHeaders:
    """Read the two tags of each DICOM file under `root`; one that cannot be read says nothing, its reader will."""
    found = {file: _tags(root / file) for file in files}
    people = {patient for patient, _ in found.values()}
    studies = {study for _, study in found.values()}
    placeholder = len(people) == 1 and people != {""} and len(files) > 1
    patients: dict[str, str] = {}
    by_study = 0
    for file, (patient, study) in found.items():
        if patient and not placeholder:
            patients[file] = _hash("patient", patient)
        elif study and len(studies) > 1:
            patients[file] = _hash("study", study)
            by_study += 1
    known = {file: _hash("study", study) for file, (_, study) in found.items() if study and file in patients}
    return InHeaders(patients, known, by_study, len(files) - len(patients), placeholder)


def disagreement(found: InHeaders, given: Mapping[str, str], what: str) -> str:
    """Say how the patients that were given contradict those of the headers; empty where they agree.

    Args:
        found: Of the headers.
        given: File to patient.
        what: What gave them, as in "folder.patient" or "the column patient".
    """
    files = [file for file in given if file in found.patient]
    of_header: defaultdict[str, set[str]] = defaultdict(set)
    of_given: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        of_header[found.patient[file]].add(given[file])
        of_given[given[file]].add(found.patient[file])
    parted = {person for person, names in of_header.items() if len(names) > 1}
    united = sum(len(people) > 1 for people in of_given.values())
    if not parted and not united:
        return ""
    said = f"{what} gives {counted(len(of_given), 'patient')}, the DICOM headers give {len(of_header)}"
    if len(files) < len(given):
        said += f" in the {counted(len(files), 'image')} whose header names one"
    if parted:
        first = [file for file in files if found.patient[file] in parted]
        first = [file for file in first if found.patient[file] == found.patient[first[0]]]
        said += (
            f": {what} parts {counted(len(parted), 'patient')} of the headers, the first with the images {some(first)}"
        )
    if united:
        said += (
            f"{';' if parted else ':'} {what} unites several patients of the headers in {counted(united, 'patient')}"
        )
    return f"{said}. {what[0].upper()}{what[1:]} is used."


def _tags(path: Path) -> tuple[str, str]:
    """Return PatientID and StudyInstanceUID, empty where there is none or it stands for nobody."""
    import pydicom

    from medbench_datasets.readers.dicom.header import LIBRARY_ERRORS, quiet

    try:
        with quiet():
            tags = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=["PatientID", "StudyInstanceUID"], force=False
            )
            patient, study = (str(tags.get(key) or "").strip(" \0") for key in ("PatientID", "StudyInstanceUID"))
    except (*LIBRARY_ERRORS, RecursionError):
        return "", ""
    bare = patient.casefold().strip("*_-. ")
    return "" if bare in _PLACEHOLDERS or not bare.strip("0x^") else patient, study


def _hash(kind: str, value: str) -> str:
    return f"header-{hashlib.sha256(f'medbench|{kind}|{value}'.encode(errors='replace')).hexdigest()[:16]}"
