"""A table of images as a spreadsheet writes it: one row an image, columns path, label, patient, study, part.

Or columns of other names, as published tables have them: image_id, dx and lesion_id, or one column a class.
"""

from __future__ import annotations

import csv
import io
import re
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
class Titles:
    """What the columns of a table are called; empty is the name of the field, where there is such a column.

    Attributes:
        path: Path or name of the image; its ending may be left out.
        label: Class; several columns are one a class, of which one is 1 in every row.
        patient: Person.
        study: Examination.
        part: Of the official cut.
    """

    path: str = ""
    label: tuple[str, ...] = ()
    patient: str = ""
    study: str = ""
    part: str = ""

    @property
    def asked(self) -> dict[str, tuple[str, ...]]:
        """The columns that are called otherwise."""
        given = {"path": (self.path,), "patient": (self.patient,), "study": (self.study,), "part": (self.part,)}
        return {key: titles for key, titles in {**given, "label": self.label}.items() if any(titles)}


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        rows: In the order of the file.
        columns: Those of ``path, label, patient, study, part`` that it has.
        unused: How many other columns it has.
        repeated: How many rows said again what another row of the same image says.
    """

    rows: tuple[Row, ...]
    columns: frozenset[str]
    unused: int
    repeated: int = 0


def read_header(path: Path) -> tuple[str, ...]:
    """Read the titles of a table's columns, without spaces around them.

    Raises:
        DataError: For a file that is no text with columns.
    """
    name = escaped(path.name)
    _, header = next(_rows(_text(path, name), name), (1, []))
    return tuple(title.strip() for title in header)


def read_cells(path: Path) -> tuple[tuple[str, ...], list[list[str]]]:
    """Read the titles and all rows of a table whatever its columns are called; rows of another length are left out.

    Raises:
        DataError: For a file that is no text with columns.
    """
    name = escaped(path.name)
    rows = _rows(_text(path, name), name)
    _, header = next(rows, (1, []))
    return tuple(title.strip() for title in header), [[c.strip() for c in r] for _, r in rows if len(r) == len(header)]


def read_table(path: Path, titles: Titles = Titles()) -> Table:
    """Read a table of images.

    Commas, semicolons or tabs separate the columns, as a first line "sep=;" may say; the header's case does not matter;
    spaces around a value are dropped; "\\" in a path is read as "/". A part val belongs to train. Where the column of
    the path was named, several rows of one image, as for boxes, count once if they say the same.

    Args:
        path: A CSV file in UTF-8, with or without byte order mark, or in UTF-16 with one.
        titles: What the columns are called.

    Raises:
        DataError: For a file that is no such table, without the columns path and label, with a row of another length,
            a path that leaves the folder or comes twice, an unknown part, or a patient missing in some rows.
    """
    name = escaped(path.name)
    rows = _rows(_text(path, name), name)
    number, header = next(rows, (1, []))
    columns = _columns(header, name, titles)
    table: list[Row] = []
    without_patient: list[str] = []
    for number, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{name}, line {number}: {len(cells)} values under {len(header)} columns; put quotes around a value "
                "that holds the separator"
            )
        values = {key: cells[at[0]].strip() for key, at in columns.items()}
        if len(columns["label"]) > 1:
            values["label"] = _one_of(header, cells, columns["label"], f"{name}, line {number}")
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
    read = len(table)
    if titles.path:
        table = list(dict.fromkeys(table))
    twice = sorted(p for p, count in Counter(row.path for row in table).items() if count > 1)
    if twice:
        how = "with different values" if titles.path else "more than once"
        raise DataError(f"{name} names {some(twice)} {how}; keep one row an image")
    if 0 < sum(not row.part for row in table) < len(table):
        raise DataError(f"{name}: the part is given for some rows only; fill the column or delete it")
    used = {at for places in columns.values() for at in places}
    return Table(tuple(table), frozenset(columns), len(header) - len(used), read - len(table))


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
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise DataError(f"{name} is cut off or damaged UTF-16; save it as CSV in UTF-8") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}, line {line}: not UTF-8; save it as CSV in UTF-8") from None


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of every row that is not blank."""
    first, _, rest = text.partition("\n")
    told = re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE)  # what Excel writes for itself
    header = rest.partition("\n")[0] if told else first
    separator = told[1] if told and told[1] in ",;\t" else max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            raise DataError(f"{name}, line {reader.line_num}: the quotes do not match; close them") from None
        if cells is None:
            return
        if any(cell.strip() for cell in cells) and not (told and reader.line_num == 1):
            yield reader.line_num, cells


def _columns(header: list[str], name: str, titles: Titles) -> dict[str, tuple[int, ...]]:
    """Return the places of the columns that are used, by field."""
    found = [title.strip().lower() for title in header]
    wanted = {key: tuple(t.strip().lower() for t in named) for key, named in titles.asked.items()}
    if absent := [t for named in wanted.values() for t in named if t not in found]:
        raise DataError(
            f"{name} has no column {' or '.join(absent)} among its {len(found)}; name those of its first line"
        )
    missing = [column for column in ("path", "label") if column not in wanted and column not in found]
    if missing:
        # What stands there is not repeated: without a header the first row may name a patient.
        raise DataError(
            f"{name} has no column {' and '.join(missing)} among its {len(found)}; its first line must be a header "
            "with path and label, and may have patient, study and part; or say what they are called, as in "
            "folder[path=image_id,label=dx,patient=lesion_id]"
        )
    used = {key: wanted.get(key, (key,)) for key in COLUMNS if key in wanted or key in found}
    double = [title for named in used.values() for title in named if found.count(title) > 1]
    if double:
        raise DataError(f"{name} has the column {double[0]} twice; delete one")
    return {key: tuple(found.index(title) for title in named) for key, named in used.items()}


def _one_of(header: list[str], cells: list[str], places: tuple[int, ...], where: str) -> str:
    """Return the title of the one column that is 1."""
    values = [cells[at].strip() for at in places]
    if any(value not in ("0", "1", "0.0", "1.0") for value in values):
        raise DataError(f"{where}: a column of a class is neither 0 nor 1; name the columns of classes only")
    ones = [header[at].strip() for at, value in zip(places, values, strict=True) if value.startswith("1")]
    if len(ones) != 1:
        raise DataError(
            f"{where}: {len(ones)} of the columns of classes are 1, expected 1; name the columns of all classes"
        )
    return ones[0]


def _relative(text: str, name: str, number: int) -> str:
    path = PurePosixPath(text.replace("\\", "/"))
    if not path.parts:
        raise DataError(f"{name}, line {number}: the path is empty; name a file or delete the row")
    if path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":"):
        raise DataError(f"{name}, line {number}: the path leaves the data folder; write it relative to that folder")
    check_name(str(path))
    return str(path)
