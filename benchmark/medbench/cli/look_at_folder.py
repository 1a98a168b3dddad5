"""What a folder of images is read as: which data set, which columns or pattern tell patients, gray or colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from medbench.data.guess_patients import guess_patients
from medbench.errors import DataError, UsageError
from medbench.registry.catalogue import Catalogue
from medbench.registry.recipes import Spec, parse
from medbench.text import clean

LOOKED_AT = 24
"""Images that are looked at for colour."""
COLOURFUL = 6.0
"""Gray levels between the channels of a pixel, on average over a picture, above which it is in colour."""


def find_dataset(catalogue: Catalogue, folder: Path, patient: str | None) -> tuple[str, str]:
    """Return the text of the data set that a folder is, and where its patients come from; print what was recognised."""
    text = _recognise(catalogue, folder) if patient is None else ""
    if not text or text == "folder":
        return _own(catalogue, folder, patient)
    if text.startswith("folder["):
        click.echo("columns     " + ", ".join(f"{key}: {clean(value)}" for key, value in parse(text).parameters))
        column = dict(parse(text).parameters).get("patient")
        return text, f"column {column} of the table" if column else "the table names none"
    title = catalogue.resolve("dataset", text).card.title
    click.echo(f"layout      this looks like {clean(text)}, {clean(title)}")
    return text, "as the data set says"


def add_pixels(catalogue: Catalogue, text: str, folder: Path, channels: str | None, join_near: bool) -> str:
    """Add how the images of a folder of one's own are read: colour where they show it, and who is joined."""
    spec = parse(text)
    if spec.name != "folder":
        if channels is not None or not join_near:
            raise UsageError(
                f"{folder} is read as {text}, which takes no --channels or --no-join-near; leave them out."
            )
        return text
    added: list[tuple[str, str]] = []
    if channels is None and _show_colour(catalogue, spec, folder):
        click.echo(f"{'colour':<12}yes, so channels = 3; --channels 1 reads gray")
        channels = "3"
    if channels == "3":
        added.append(("channels", channels))
    if not join_near:
        added.append(("join_near", "false"))
    return str(Spec(spec.name, (*spec.parameters, *added)))


def _show_colour(catalogue: Catalogue, spec: Spec, folder: Path) -> bool:
    """Say whether most of some images spread over a folder show colours."""
    in_colour = catalogue.resolve("dataset", str(Spec(spec.name, (*spec.parameters, ("channels", "3")))))
    index = catalogue.resolve("dataset", str(spec)).index(folder)
    if index.dimensions != 2:
        return False
    rows = index.records[:: max(1, len(index.records) // LOOKED_AT)][:LOOKED_AT]
    try:
        spreads = [np.ptp(x.astype(np.int64), axis=0).mean() for x, _ in in_colour.read(folder, rows, 32)]
    except DataError:  # a damaged file is named when all are decoded
        return False
    return float(np.median(spreads)) > COLOURFUL


def _recognise(catalogue: Catalogue, folder: Path) -> str:
    """Ask every data set whether a folder has its layout, one's own folder last; "" if none knows it."""
    found: list[Any] = catalogue.items("dataset")
    for dataset in sorted(found, key=lambda d: d.name in ("folder", "source-folder")):
        look = getattr(dataset, "recognise", None)
        if dataset.name != "source-folder" and look is not None and (text := look(folder)):
            return str(text)
    return ""


def _own(catalogue: Catalogue, folder: Path, patient: str | None) -> tuple[str, str]:
    """Return the text of the data set for a folder of one's own, and where its patients come from."""
    if patient is not None:
        click.echo(f"pattern     {clean(patient)}")
        return f"folder[patient={patient}]", "by the pattern"
    index = catalogue.resolve("dataset", "folder").index(folder)
    if any("DICOM headers, hashed" in note for note in index.notes):
        return "folder", "as the DICOM headers say"
    if any(r.patient != r.files[0] for r in index.records):  # a reader that knows no patients takes the paths
        return "folder", "as the table of samples says"
    guess = guess_patients([r.id for r in index.records])
    if guess is None:
        return "folder", "none found in the file names; --patient tells how"
    for path, who in guess.examples[:3]:
        click.echo(f"  for example  {clean(path)}  is of patient {clean(who)}")
    if guess.caution:
        click.echo(f"  caution      {clean(guess.caution)}")
    click.echo(f"pattern     {clean(guess.pattern)}")
    return f"folder[patient={guess.pattern}]", "guessed from file names by the pattern"
