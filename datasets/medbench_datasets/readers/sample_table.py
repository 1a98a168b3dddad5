"""A table of images as a spreadsheet writes it: one row an image, columns path, label, patient, study, part."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from medbench import DataError
from medbench_datasets.readers.listing import check_name, escaped, some

COLUMNS = ("path", "label", "patient", "study", "part")
PARTS: dict[str, Literal["", "train", "test"]] = {
    "": "",
    **dict.fromkeys(("train", "training", "val", "valid", "validation"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
}
MAX_BYTES = 200_000_000


@dataclass(frozen=True)
class Row:
    """One image of a table.

    Attributes:
        path: Relative to the data folder, "/" between its parts.
        label: Name of the class; empty for an unlabelled image.
        patient: Empty where the table has no such column.
        study: Empty where it is not known.
        part: Part of the official cut.
    """

    path: str
    label: str
    patient: str
    study: str
    part: Literal["", "train", "test"]


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        rows: In the order of the file.
        columns: Those of ``path, label, patient, study, part`` that it has.
        unused: How many other columns it has.
    """

    rows: tuple[Row, ...]
    columns: frozenset[str]
    unused: int


def read_table(path: Path) -> Table:
    """Read a table of images.

    Commas, semicolons or tabs separate the columns; the header's case does not matter; spaces around a value are
    dropped; "\\" in a path is read as "/". A part val belongs to train.

    Args:
        path: A CSV file in UTF-8, with or without byte order mark.

    Raises:
        DataError: For a file that is no such table, without the columns path and label, with a row of another length,
            a path that leaves the folder or comes twice, an unknown part, or a patient missing in some rows.
    """
    name = escaped(path.name)
    rows = _rows(_text(path, name), name)
    number, header = next(rows, (1, []))
    columns = _columns(header, name)
    table: list[Row] = []
    without_patient: list[str] = []
    for number, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{name}, line {number}: {len(cells)} values under {len(header)} columns; put quotes around a value "
                "that holds the separator"
            )
        values = {key: cells[at].strip() for key, at in columns.items()}
        part = PARTS.get(values.get("part", "").lower())
        if part is None:
            raise DataError(f"{name}, line {number}: an unknown part, expected train, val or test; correct it")
        row = Row(
            _relative(values["path"], name, number),
            values["label"],
            values.get("patient", ""),
            values.get("study", ""),
            part,
        )
        check_name(row.label)
        if "patient" in columns and not row.patient:
            without_patient.append(row.path)
        table.append(row)
    if not table:
        raise DataError(f"{name} has no rows; list the images in it, one a row")
    if without_patient:
        raise DataError(f"{name}: no patient for {some(without_patient)}; fill the column or delete it")
    twice = sorted(p for p, count in Counter(row.path for row in table).items() if count > 1)
    if twice:
        raise DataError(f"{name} names {some(twice)} more than once; keep one row an image")
    if 0 < sum(not row.part for row in table) < len(table):
        raise DataError(f"{name}: the part is given for some rows only; fill the column or delete it")
    return Table(tuple(table), frozenset(columns), len(header) - len(columns))


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DataError(f"the table {name} is missing; give a CSV file that exists") from None
    except OSError:
        raise DataError(f"the table {name} cannot be opened; make it a readable CSV file") from None
    if len(data) > MAX_BYTES:
        raise DataError(f"{name} has more than {MAX_BYTES // 10**6} MB, too much for a table; name the right file")
    if data[:4] == b"PK\x03\x04":
        raise DataError(f"{name} is a spreadsheet, not a CSV file; save it as CSV")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}, line {line}: not UTF-8; save it as CSV in UTF-8") from None


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of every row that is not blank."""
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            raise DataError(f"{name}, line {reader.line_num}: the quotes do not match; close them") from None
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _columns(header: list[str], name: str) -> dict[str, int]:
    titles = [title.strip().lower() for title in header]
    missing = [column for column in ("path", "label") if column not in titles]
    if missing:
        # What stands there is not repeated: without a header the first row may name a patient.
        raise DataError(
            f"{name} has no column {' and '.join(missing)} among its {len(titles)}; its first line must be a header "
            "with path and label, and may have patient, study and part"
        )
    double = [column for column in COLUMNS if titles.count(column) > 1]
    if double:
        raise DataError(f"{name} has the column {double[0]} twice; delete one")
    return {column: titles.index(column) for column in COLUMNS if column in titles}


def _relative(text: str, name: str, number: int) -> str:
    path = PurePosixPath(text.replace("\\", "/"))
    if not path.parts:
        raise DataError(f"{name}, line {number}: the path is empty; name a file or delete the row")
    if path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":"):
        raise DataError(f"{name}, line {number}: the path leaves the data folder; write it relative to that folder")
    check_name(str(path))
    return str(path)
