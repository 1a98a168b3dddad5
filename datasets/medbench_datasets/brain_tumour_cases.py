"""Where brain-tumour data sets keep their cases, grades and modalities: four layouts, one list of cases.

- BraTS 2017 to 2019: ``HGG|LGG/<case>/<case>_{flair,t1,t1ce,t2,seg}.nii.gz``;
- BraTS 2020: ``<case>/<case>_{...}.nii[.gz]`` beside ``name_mapping.csv`` with a column Grade;
- REMBRANDT as copied for the brain-features study: ``HGG|LGG/<case>/<case>.nii.gz`` (FLAIR) and ``<case>_seg.nii.gz``;
- any folder of case folders, with the grades in a CSV of the columns case and grade, and patient if you like.

Several of these may lie side by side in one folder. BraTS renamed its cases from year to year; a mapping file, wherever
it lies, makes one patient of all the names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medbench import DataError, counted
from medbench_datasets.brain_tumour_patients import (
    mapping_rows,
    names_of_patient,
    patient_in,
    patients_by_name,
    read_rows,
)
from medbench_datasets.readers.listing import folders_in, names_in

GRADES = ("LGG", "HGG")
_GRADE = {"LGG": "LGG", "HGG": "HGG", "GBM": "HGG"}
_GRADE |= {"1": "LGG", "I": "LGG", "2": "LGG", "II": "LGG", "3": "HGG", "III": "HGG", "4": "HGG", "IV": "HGG"}

_ROLES = {
    "flair": ("flair", "fla", "t2f", "t2flair"),
    "t1": ("t1", "t1n", "t1w"),
    "t1ce": ("t1ce", "t1c", "t1gd", "t1post"),
    "t2": ("t2", "t2w"),
    # GlistrBoost_ManuallyCorrected: TCGA-GBM and TCGA-LGG; OTMultiClass: BraTS 2013; Segm: case 355 of BraTS 2020
    "seg": ("seg", "segm", "segmentation", "mask", "label", "labels", "otmulticlass", "manuallycorrected"),
    "brain": ("brainmask",),
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words}
MODALITIES = ("flair", "t1", "t1ce", "t2")

_HOW_TO_GRADE = (
    "give a CSV with the columns case,grade (HGG or LGG, or the WHO grade), as grades.csv in the folder or by "
    "brain-tumour[grades=FILE]"
)


@dataclass(frozen=True)
class Case:
    """One examination of a patient.

    Attributes:
        id: Unique name: the folder's, behind its cohort's where there are several.
        name: Name of the folder.
        files: Path below the data folder of each modality, of "seg" and of "brain", where they exist.
        grade: "LGG" or "HGG".
        patient: One name for all cases of a patient.
        cohort: Folder the case was found in, below the data folder; empty where it is the data folder itself.
    """

    id: str
    name: str
    files: Mapping[str, str]
    grade: str
    patient: str
    cohort: str


@dataclass(frozen=True)
class _Found:
    folder: Path
    grade: str
    patient: str = ""


def find_cases(root: Path, grades: Path | None) -> tuple[list[Case], list[str]]:
    """List the graded cases under a folder, and what looked odd.

    Args:
        root: Folder in one of the layouts above, or of folders in these.
        grades: CSV of grades that lies elsewhere; it then decides alone which folders are cases.

    Raises:
        DataError: If there is no case, no grade for any, or two statements about one contradict each other.
    """
    if not root.is_dir():
        raise DataError(f"{root.name}: is no folder; give the one that holds the cases")
    notes: list[str] = []
    cohorts = [root] if grades is not None else list(_cohorts(root, depth=3))
    mapping = patients_by_name([row for cohort in cohorts for row in mapping_rows(cohort)])
    cases: dict[str, Case] = {}
    for cohort in cohorts:
        prefix = cohort.relative_to(root).as_posix() if len(cohorts) > 1 else ""
        for found in _read_grades(cohort, grades, notes):
            name = found.folder.name
            case = Case(
                id=f"{prefix}/{name}" if prefix else name,
                name=name,
                files=_files(found.folder, root),
                grade=found.grade,
                patient=found.patient or mapping.get(name.lower()) or patient_in(name),
                cohort=prefix,
            )
            if case.id in cases:
                raise DataError(f"{case.id}: lies in two folders; keep the one with the right grade")
            cases[case.id] = case
    if not cases:
        raise _nothing(root)
    ordered = [cases[i] for i in sorted(cases)]
    return ordered, notes + _cohort_notes(ordered, mapping)


def _cohorts(folder: Path, depth: int) -> Iterator[Path]:
    """Folders that say their grades: by the folders HGG and LGG, by a mapping file, or by grades.csv."""
    children = _folders(folder)
    is_split = any(child.name in GRADES for child in children)
    if is_split or (folder / "grades.csv").is_file() or any("Grade" in row for row in mapping_rows(folder)):
        yield folder
    elif depth:
        for child in children:
            yield from _cohorts(child, depth - 1)


def _read_grades(cohort: Path, grades: Path | None, notes: list[str]) -> Iterator[_Found]:
    own = grades or cohort / "grades.csv"
    if grades is not None or own.is_file():
        yield from _read_grades_csv(cohort, own, notes)
        return
    stated: dict[str, str] = {}
    for row in mapping_rows(cohort):
        if row.get("Grade"):
            grade = parse_grade(row["Grade"], "name_mapping.csv")
            stated |= {name.lower(): grade for name in names_of_patient(row)}
    in_folders = [child for child in _folders(cohort) if child.name in GRADES]
    for folder in in_folders:
        for case in _folders(folder):
            if stated.get(case.name.lower(), folder.name) != folder.name:
                raise DataError(f"{case.name}: lies in {folder.name}, name_mapping.csv says otherwise; correct one")
            yield _Found(case, folder.name)
    if in_folders:
        return
    ungraded = 0
    for case in _folders(cohort):
        if case.name.lower() in stated:
            yield _Found(case, stated[case.name.lower()])
        else:
            ungraded += 1
    if ungraded:
        notes.append(f"{ungraded} folders without a grade in name_mapping.csv were left out")


def _read_grades_csv(cohort: Path, file: Path, notes: list[str]) -> Iterator[_Found]:
    rows = read_rows(file)
    if not rows or not {"case", "grade"} <= rows[0].keys():
        found = ", ".join(rows[0]) if rows else "no rows"
        raise DataError(f"{file.name}: has {found}, expected the columns case and grade; name them so in its first row")
    missing, seen = [], set()
    for line, row in enumerate(rows, start=2):
        name = row["case"]
        folder = cohort / name
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{file.name}, line {line}: names no folder in column case; write the case folder's name")
        if name in seen:
            raise DataError(f"{file.name}, line {line}: gives {name} a second time; keep one row a case")
        seen.add(name)
        if folder.is_dir():
            yield _Found(folder, parse_grade(row["grade"], f"{file.name}, line {line}"), row.get("patient", ""))
        else:
            missing.append(name)
    if missing:
        raise DataError(
            f"{file.name}: names {len(missing)} of {counted(len(rows), 'case')} that have no folder "
            f"({', '.join(missing[:5])}); take their rows out or restore the folders"
        )
    unnamed = sum(child.name not in seen for child in _folders(cohort) if _files(child, cohort))
    if unnamed:
        notes.append(f"{unnamed} case folders without a row in {file.name} were left out")


def parse_grade(text: str, where: str) -> str:
    """Return "LGG" or "HGG": WHO grades 1 and 2 are low, 3 and 4 high, as in BraTS.

    Raises:
        DataError: If `text` is no grade; `where` names its place.
    """
    grade = re.sub(r"^(who|grade|\s)+", "", text.strip(), flags=re.IGNORECASE).upper()
    if grade not in _GRADE:
        raise DataError(f"{where}: has no grade that is known; write HGG, LGG, or the WHO grade as 2 or II")
    return _GRADE[grade]


def _files(folder: Path, root: Path) -> dict[str, str]:
    """Modality files at any depth of a case folder, by the words in their names."""
    files: dict[str, Path] = {}
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(n for n in inner if not n.startswith((".", "__")))
        if len(Path(place).relative_to(folder).parts) >= 4:
            inner.clear()
        for name in sorted(names):
            role = _role(name, folder.name, Path(place).name)
            if not role:
                continue
            if role in files:
                raise DataError(
                    f"{folder.name}: {files[role].name} and {name} could both be its {role}; take one out of the folder"
                )
            files[role] = Path(place) / name
    return {role: files[role].relative_to(root).as_posix() for role in (*MODALITIES, "seg", "brain") if role in files}


def holds_cases(root: Path) -> bool:
    """Say whether a folder up to three levels below holds several modalities, or one and its segmentation."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        for inner in folders_in(folder)[:20]:
            files = [name for name in names_in(inner) if (inner / name).is_file()]
            if len({role for name in files if (role := _role(name, inner.name, inner.name))}) > 1:
                return True
            if depth < 2:
                waiting.append((inner, depth + 1))
    return False


def _role(name: str, case: str, place: str) -> str:
    stem = re.sub(r"\.nii(\.gz)?$", "", name.lower())
    if stem == name.lower() or name.startswith("."):
        return ""
    words = [w for w in re.split(r"[^a-z0-9]+", stem.removeprefix(case.lower())) if w]
    if not words:
        return "flair"  # REMBRANDT: <case>/<case>.nii.gz
    if stem == "simple" and place == "fusion":
        return "seg"  # BraTS Toolkit: majority vote of several algorithms
    if "brain" in words and "mask" in words:
        return "brain"
    roles = {_ROLE_OF[word] for word in words if word in _ROLE_OF}
    for role in ("brain", "seg"):  # "t1_seg" is a segmentation
        if role in roles:
            return role
    return roles.pop() if len(roles) == 1 else ""


def _cohort_notes(cases: Sequence[Case], mapping: Mapping[str, str]) -> list[str]:
    notes = []
    cohorts = {case.cohort for case in cases}
    by_patient: dict[str, list[Case]] = {}
    for case in cases:
        by_patient.setdefault(case.patient, []).append(case)
    shared = sum(len({c.cohort for c in same}) > 1 for same in by_patient.values())
    if shared:
        notes.append(
            f"{counted(shared, 'patient', 'have')} cases in several cohorts; each is kept together as one patient"
        )
    unmapped = sum(case.name.lower() not in mapping for case in cases)
    if len(cohorts) > 1 and unmapped:
        notes.append(
            f"{counted(unmapped, 'case')} of {len(cohorts)} cohorts {'stands' if unmapped == 1 else 'stand'} in no "
            "name_mapping.csv, so the same patient may hide under two names; "
            "add the mapping file of the newest BraTS year"
        )
    mixed = sum(len({c.grade for c in same}) > 1 for same in by_patient.values())
    if mixed:
        notes.append(f"{counted(mixed, 'patient', 'have')} cases of both grades")
    return notes


def _nothing(root: Path) -> DataError:
    ungraded = [child.name for child in _folders(root) if _files(child, root)]
    if ungraded:
        first = ", ".join(ungraded[:3])
        return DataError(
            f"{root.name}: holds {counted(len(ungraded), 'case')} ({first}) without grades; {_HOW_TO_GRADE}"
        )
    return DataError(
        f"{root.name}: holds no case; expected the folders HGG and LGG, case folders with name_mapping.csv, "
        "or case folders with grades.csv"
    )


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(c for c in folder.iterdir() if c.is_dir() and not c.name.startswith((".", "__")))
    except OSError as error:
        raise DataError(f"{folder.name}: cannot be listed ({error.strerror}); make the folder readable") from error
