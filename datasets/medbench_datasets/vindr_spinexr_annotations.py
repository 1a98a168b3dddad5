"""The CSV files of VinDr-SpineXR, one row a box, checked row by row."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medbench import DataError
from medbench_datasets.readers.boxes import Box

COLUMNS = ("study_id", "series_id", "image_id", "rad_id", "lesion_type", "xmin", "ymin", "xmax", "ymax")
_USED = ("study_id", "image_id", "lesion_type", "xmin", "ymin", "xmax", "ymax")
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass
class Annotated:
    """An image of the CSV.

    Attributes:
        id: Name of the file without its ending.
        study: The examination it belongs to.
        boxes: Its lesions; none where it is normal.
        normal_rows: Rows that call it normal.
    """

    id: str
    study: str
    boxes: list[Box] = field(default_factory=list)
    normal_rows: int = 0


def read_annotations(path: Path, *, name: str, labels: Mapping[str, str], normal: str) -> dict[str, Annotated]:
    """Read one CSV file of boxes.

    Args:
        path: The file.
        name: What messages call it.
        labels: Accepted values of ``lesion_type`` and what each is read as.
        normal: The label of an image without boxes.

    Returns:
        Images by their id, in the order of the file.

    Raises:
        DataError: Where a column or value is missing, not a number, unknown or contradicts another row.
    """
    images: dict[str, Annotated] = {}
    for row, values in _rows(path, name):
        study, image_id, raw = (values[key].strip() for key in ("study_id", "image_id", "lesion_type"))
        for key, value in (("study_id", study), ("image_id", image_id)):
            if not _PLAIN.fullmatch(value) or set(value) == {"."}:
                raise DataError(
                    f"{name} row {row}: {key} is empty or no plain name of letters, digits, dot, dash and underscore; "
                    "download the file again"
                )
        if raw not in labels:
            close = difflib.get_close_matches(raw, labels, n=1, cutoff=0.0)[0]
            raise DataError(f"{name} row {row}: unknown lesion_type {raw[:40]!r}; did you mean {close!r}?")
        image = images.setdefault(image_id, Annotated(image_id, study))
        if image.study != study:
            raise DataError(
                f"{name} row {row}: image {image_id} is in study {study} here and in {image.study} above; correct one"
            )
        if labels[raw] == normal:
            image.normal_rows += 1
        else:
            image.boxes.append(Box(labels[raw], row, *_corners(values, f"{name} row {row}")))
    if not images:
        raise DataError(f"{name}: holds no rows below its header; download it again")
    return images


def _rows(path: Path, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            missing = [column for column in _USED if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{name}: has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
            for values in reader:
                if None in values:  # the key of surplus cells
                    raise DataError(f"{name} row {reader.line_num}: has more cells than the header; correct the row")
                yield reader.line_num, values
    except (OSError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{name}: cannot be read as CSV in UTF-8; download it again") from None


def _corners(values: Mapping[str, str], where: str) -> tuple[float, float, float, float]:
    corners = []
    for key in ("xmin", "ymin", "xmax", "ymax"):
        try:
            corners.append(float(values[key]))
        except ValueError:
            corners.append(math.nan)
        if not math.isfinite(corners[-1]):
            raise DataError(f"{where}: {key} of a lesion is empty or not a number; correct the row")
    xmin, ymin, xmax, ymax = corners
    if xmax <= xmin or ymax <= ymin:
        raise DataError(
            f"{where}: the box {xmin:g}, {ymin:g}, {xmax:g}, {ymax:g} has no area, expected xmin < xmax and "
            "ymin < ymax; correct the row"
        )
    return xmin, ymin, xmax, ymax
