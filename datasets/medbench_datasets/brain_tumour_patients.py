"""Who is who: BraTS renamed its cases every year, and its mapping files tell which names are one patient."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from medbench import DataError


def mapping_rows(folder: Path) -> list[dict[str, str]]:
    """Read every ``name_mapping*.csv`` that lies in a folder."""
    return [row for file in sorted(folder.glob("name_mapping*.csv")) for row in read_rows(file)]


def names_of_patient(row: Mapping[str, str]) -> list[str]:
    """Return the names of a row's patient, the best known first: TCGA's, else that of 2019, else the newest."""

    def rank(column: str) -> tuple[bool, bool, int]:
        year = re.search(r"\d{4}", column)
        return not column.startswith("TCGA"), "2019" not in column, -int(year[0]) if year else 0

    columns = sorted((c for c in row if c.lower().endswith("subject_id")), key=rank)
    return [row[c] for c in columns if row[c] and row[c].upper() not in ("NA", "N/A", "NAN")]


def patients_by_name(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the patient for every name in lower case; rows that share a name, in whatever column, are one patient."""
    patient: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for row in rows:
        names = names_of_patient(row)
        if not names:
            continue
        known = sorted({patient[n.lower()] for n in names if n.lower() in patient})
        best = min([*known, names[0]], key=lambda n: (not n.startswith("TCGA"), not n.lower().startswith("brats19"), n))
        joined = [n.lower() for n in names] + [m for k in known for m in members.pop(k, [])]
        members[best] = sorted(set(joined))
        patient |= dict.fromkeys(members[best], best)
    return patient


def patient_in(name: str) -> str:
    """Return the part of a case's name that names the patient.

    BraTS since 2023 writes ``BraTS-GLI-00005-001``: the last number is the time point, not the patient. Other
    names are taken whole.
    """
    match = re.fullmatch(r"(BraTS-[A-Za-z]+-\d{5})-\d{3}", name)
    return match[1] if match else name


def read_rows(file: Path) -> list[dict[str, str]]:
    """Read a CSV with a row of column names.

    Raises:
        DataError: If it cannot be read, or is no CSV in UTF-8.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = [
                {(k or "").strip(): (v or "").strip() for k, v in row.items() if k} for row in csv.DictReader(stream)
            ]
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read ({error.strerror}); restore it or make it readable") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file.name}: is no CSV in UTF-8; save it as comma-separated text") from error
    return rows
