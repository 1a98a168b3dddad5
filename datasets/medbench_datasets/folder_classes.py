"""Which class folder each image of one's own lies in, and whether the folders are an official cut."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Literal

from medbench import DataError, outside_identity
from medbench_datasets.folder_table import PARTS, Row
from medbench_datasets.folder_table_guess import guess_table
from medbench_datasets.readers.kinds import FOREIGN
from medbench_datasets.readers.listing import Listing, escaped, some

TABLE = "samples.csv"
"""A table of this name in the data folder is used without being asked for."""


def rows_by_folder(root: Path, listing: Listing, notes: list[str], name: str) -> list[Row]:
    """Return a row for every image in a class folder.

    Args:
        root: The data folder.
        listing: Of it.
        notes: Takes sentences about what was left out.
        name: Of the data set, for messages.

    Raises:
        DataError: Where the folders are those of a published data set, hold no image, or a class would vanish.
    """
    if found := _published_layout(root):
        raise DataError(
            f"this is the layout of {found}, whose folders are no classes; use -d {found}, or name the images to "
            f"use in {TABLE}"
        )
    if not listing.kinds:
        raise DataError("no image (PNG, JPEG, BMP, TIFF, DICOM, NIfTI) in the data folder; give the one that has them")
    cut = _official_cut({path.partition("/")[0] for path in listing.kinds if "/" in path})
    depth = 2 if cut else 1
    rows, beside = [], []
    for path in listing.kinds:
        parts = path.split("/")
        if len(parts) <= depth or (cut and parts[0] not in cut):
            beside.append(path)
        else:
            rows.append(Row(path, parts[depth - 1], "", "", cut.get(parts[0], "")))
    if not rows:
        raise DataError(
            f"the images lie directly in the data folder: {some(beside)}; put each class into a folder of its own "
            f"or write {TABLE} with the columns path and label"
        )
    _check_vanished(listing, cut, {row.label for row in rows}, notes)
    if beside:
        where = f"the class folders of {' and '.join(sorted(cut))}" if cut else "the class folders"
        notes.append(f"Images beside {where} were left out: {some(beside)}.")
    if guess := guess_table(root, listing):
        notes.append(f"A table here names the images and was not used: {name}[{guess}] would.")
    return rows


@outside_identity  # it refuses a folder, and changes nothing in one that is read
def _published_layout(root: Path) -> str:
    """Return the published data set that a folder holds by its layout, as ``vindr-spinexr:abnormal``; "" for none."""
    from medbench_datasets import brain_tumour, ddti, fracatlas, medmnist, mura, vindr_spinexr

    modules = (vindr_spinexr, mura, fracatlas, medmnist, ddti, brain_tumour)
    return next((found for module in modules if (found := module.DATASETS[0].recognise(root))), "")


def _official_cut(tops: set[str]) -> dict[str, Literal["", "train", "test"]]:
    """Map the folders of an official cut to its parts; empty where the folders are classes."""
    parts = {top: PARTS[top.lower()] for top in sorted(tops) if top.lower() in PARTS}
    training = {top for top in parts if top.lower() in ("train", "training")}
    if not training or len(parts) == len(training):
        return {}
    if "test" in parts.values():
        return parts
    return {top: "train" if top in training else "test" for top in parts}  # train and val only: val is what is held out


def _check_vanished(
    listing: Listing, cut: dict[str, Literal["", "train", "test"]], classes: set[str], notes: list[str]
) -> None:
    """Refuse a class folder without an image: a class that vanishes changes every number."""
    depth = 2 if cut else 1
    files: defaultdict[str, list[str]] = defaultdict(list)
    for folder in listing.folders:
        parts = folder.split("/")
        if len(parts) == depth and (not cut or parts[0] in cut) and parts[-1] not in classes:
            files[parts[-1]] += [path for path in listing.strays if path.startswith(f"{folder}/")]
    if empty := sorted(name for name, inside in files.items() if not inside):
        raise DataError(
            f"class folders without any file: {some(empty)}; add the images of the class, or remove the folder"
        )
    foreign = sorted(name for name, inside in files.items() if any(p.lower().endswith(FOREIGN) for p in inside))
    if foreign:
        first = next(path for path in files[foreign[0]] if path.lower().endswith(FOREIGN))
        raise DataError(
            f"class folders without an image that can be read here: {some(foreign)}, which holds {escaped(first)}; "
            "convert the images to PNG, DICOM or NIfTI, or move the folder away"
        )
    if files:
        notes.append(f"Folders without an image are no classes: {some(sorted(files))}.")
