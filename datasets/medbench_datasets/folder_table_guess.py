"""Guess which columns of a CSV name the image, the class and the patient; rather no guess than a wrong one.

Published tables call them image_id, dx and lesion_id (HAM10000), image_name, benign_malignant and patient_id (ISIC),
patientId and Target (RSNA), or have one column a class.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from medbench import DataError
from medbench_datasets.folder_paths import Places
from medbench_datasets.folder_table import PARTS, read_cells
from medbench_datasets.readers.listing import Listing

LABELS = (
    *(
        "label",
        "labels",
        "class",
        "class_name",
        "dx",
        "benign_malignant",
        "diagnosis",
        "category",
        "target",
        "pathology",
    ),
    *("finding", "outcome", "grade", "severity", "cancer", "malignant", "abnormal", "fractured", "y"),
)
"""Titles of a column of classes, the likeliest first."""
PATIENTS = (
    *("patient_id", "patientid", "patient", "patient_number", "subject_id", "subjectid", "subject", "participant_id"),
    *("person_id", "case_id", "lesion_id"),
)
SPLITS = ("part", "split", "set", "subset")
MOST_CLASSES = 50
NAMED = 0.95  # least part of the rows whose image is there
MAX_TABLES = 20


def guess_table(root: Path, listing: Listing) -> str:
    """Return the parameters of ``folder[...]`` for the table that fits best; empty where none is convincing."""
    tables = [file for file in listing.strays if file.lower().endswith((".csv", ".tsv")) and file.count("/") < 2]
    places = Places(listing.kinds)
    found = [guess for file in tables[:MAX_TABLES] if (guess := _of_table(root, file, places))]
    return max(found, key=lambda guess: guess[0])[1] if found else ""


def _of_table(root: Path, file: str, places: Places) -> tuple[int, str] | None:
    """Return how many images a table names, and the parameters."""
    try:
        titles, rows = read_cells(root / file)
    except DataError:
        return None
    if len(rows) < 2 or not _fits(file) or len(set(titles)) < len(titles):
        return None
    columns = {title: [row[at] for row in rows] for at, title in enumerate(titles) if _fits(title)}
    named = {title: sum(places.knows(value) for value in set(v)) for title, v in columns.items()}
    path = max(named, key=lambda title: named[title], default="")
    if not path or named[path] < max(2, NAMED * len(set(columns[path]))):
        return None
    label = _label(columns, path)
    if not label:
        return None
    parameters = [f"table={file}", f"path={path}", f"label={label}"]
    by_name = {_plain(title): title for title in columns}
    patient = next((by_name[name] for name in map(_plain, PATIENTS) if name in by_name), "")
    if patient and all(columns[patient]):
        parameters.append(f"patient={patient}")
    for name in SPLITS:
        if (title := by_name.get(name)) and {value.lower() for value in columns[title]} <= set(PARTS) - {""}:
            parameters.append(f"part={title}")
            break
    return named[path], ",".join(parameters)


def _label(columns: dict[str, list[str]], path: str) -> str:
    by_name = {_plain(title): title for title in columns if title != path}
    for name in map(_plain, LABELS):
        if name in by_name and 2 <= len(set(columns[by_name[name]]) - {""}) <= MOST_CLASSES:
            return by_name[name]
    ones = [title for title, values in columns.items() if set(values) <= {"0", "1", "0.0", "1.0"}]
    rows: Sequence[tuple[str, ...]] = list(zip(*(columns[title] for title in ones), strict=True))
    if len(ones) > 1 and all(sum(value.startswith("1") for value in row) == 1 for row in rows):
        return "+".join(ones)
    return ""


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", title.lower())


def _fits(title: str) -> bool:
    """Say whether a title or file can stand in ``folder[...]`` as it is."""
    return bool(title) and not re.search(r"[\[\],=+()\\]", title)
