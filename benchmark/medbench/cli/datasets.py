"""``medbench datasets``: what there is, how to get it, and what is odd in a folder."""

from __future__ import annotations

import hashlib
import json
import textwrap
from pathlib import Path
from typing import Any

import click
import numpy as np

from medbench.api.terminal_progress import Display
from medbench.cli.list import list_rows, print_rows
from medbench.cli.shared_options import complete, load_catalogue, plugin_options
from medbench.data.audit_findings import describe_blanks, describe_label_conflicts
from medbench.data.audit_images import check_contents, inspect_images, is_blank
from medbench.data.decode import MANY, READING, check_index
from medbench.data.files import list_files
from medbench.data.one_thread import one_thread
from medbench.data.picture_planes import BATCH, SIDE, comparable_planes
from medbench.errors import DataError, UsageError
from medbench.interfaces import Dataset, Index
from medbench.registry.catalogue import Catalogue
from medbench.text import clean, counted

SHOWN = 20


@click.group(short_help="Show, check, download or draw a data set.")
def datasets() -> None:
    """List, show, check, draw and fetch data sets."""


@datasets.command("list")
@plugin_options
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_datasets(as_json: bool, plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> None:
    """List the registered data sets, as `medbench list datasets` does."""
    rows = list_rows(load_catalogue(plugin_folders, plugin_switches), "datasets")
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    print_rows("datasets", rows, len(rows))


@datasets.command("show")
@click.argument("name", shell_complete=complete("dataset"))
@plugin_options
def show(name: str, plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> None:
    """Show what a data set is, its licence, how to get it, and the files it expects."""
    dataset: Dataset = load_catalogue(plugin_folders, plugin_switches).resolve("dataset", name)
    card = dataset.card
    click.echo(clean(card.title))
    for title, text in (
        ("licence", card.licence),
        ("citation", card.citation),
        ("access", card.access),
        ("layout", card.layout),
        ("published", f"a result may hold: {card.publish}"),
        ("scored", f"per {card.unit}"),
        ("size", f"{dataset.size} pixels along every axis by default"),
        *((("positive", str(positive)),) if (positive := getattr(dataset, "positive", "")) else ()),
    ):
        lines = textwrap.wrap(clean(text.replace("\n", " ")), 66) or [""]
        click.echo(f"  {title:<10}  " + "\n              ".join(lines))


@datasets.command("check")
@click.argument("name", shell_complete=complete("dataset"))
@click.argument("root", type=click.Path(path_type=Path))
@plugin_options
@click.option("--pixels/--no-pixels", default=True, help="Also decode every image, small.")
@click.option("--strict", is_flag=True, help="Notes are errors.")
def check(
    name: str,
    root: Path,
    pixels: bool,
    strict: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Say what is missing or odd in the folder ROOT of data set NAME, before anything is run."""
    dataset = load_catalogue(plugin_folders, plugin_switches).resolve("dataset", name)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the data set's folder.")
    with Display() as display:
        # Before a reader walks the folder: refuses links that leave it.
        if len(list_files(root, display.decoding)) > MANY:
            display.decoding(READING, 0, 0)
        index = check_index(dataset.index(root), name)
    counts = ", ".join(
        f"{sum(r.label == k for r in index.records)} {clean(label)}" for k, label in enumerate(index.classes)
    )
    patients = len({r.patient for r in index.records})
    click.echo(
        f"{counted(len(index.records), 'image')}, {counted(patients, 'patient')}, {index.dimensions}-D, "
        f"{counted(index.channels, 'channel')}: {counts}"
    )
    look: Any = getattr(dataset, "check", None)  # what a data set can say only by opening its files
    notes = [*index.notes, *(look(root, index.records) if look and pixels else ())]
    for note in notes:
        click.echo(f"note: {clean(note)}")
    bad: list[str] = []
    if pixels:
        with Display() as display, one_thread():
            found = _decode(dataset, root, index, bad, display)
        for note in found:
            click.echo(f"note: {clean(note)}")
        notes += found
    for problem in bad[:SHOWN]:
        click.echo(f"bad:  {clean(problem)}")
    if bad:
        raise DataError(
            f"{root}: {len(bad)} of {counted(len(index.records), 'image')} cannot be read; mend or remove them."
        )
    if strict and notes:
        raise DataError(f"{root}: {len(notes)} notes under --strict; see above.")
    click.echo("every image can be read." if pixels else "pixels were not looked at.")


def _decode(dataset: Dataset, root: Path, index: Index, bad: list[str], display: Display) -> list[str]:
    """Decode every image small, and say what their pixels contradict; files that cannot be read are added to `bad`."""
    size = min(dataset.size, SIDE)
    views: list[np.ndarray] = []
    waiting: list[np.ndarray] = []
    contents, uniform, blank = [], [], []
    done, n = 0, len(index.records)
    while done < n:
        try:  # all in one go: a reader may have to open a volume or an archive anew for each call
            for image, _ in dataset.read(root, index.records[done:], size):
                waiting.append(image)
                if len(waiting) == BATCH:
                    views.append(comparable_planes(np.stack(waiting)))
                    waiting.clear()
                contents.append(hashlib.sha256(image.tobytes()).hexdigest())
                uniform.append(image.min() == image.max())
                blank.append(is_blank(image))
                done += 1
                display.decoding("decoding", done, n)
            if done < n:
                raise DataError(f"{dataset.name} read {done} of {n} images; this is a fault of its recipe.")
        except DataError as error:
            bad.append(str(error))
            done += 1
            display.decoding("decoding", done, n)
    if bad:
        return []
    check_contents(contents, image, str(root))
    if waiting:
        views.append(comparable_planes(np.stack(waiting)))
    contents = ["" if same else content for content, same in zip(contents, uniform, strict=True)]

    def tell(rows: int, of: int) -> None:
        if n > MANY:
            display.decoding("comparing", rows, of)

    if n > MANY:
        display.decoding("preparing to compare", 0, 0)

    inspected = inspect_images(
        index,
        dataset.name.partition(":")[0],
        views=np.concatenate(views),
        contents=contents,
        blank=blank,
        progress=tell,
    )
    sentences = describe_label_conflicts(inspected.conflicts, inspected.near_conflicts)
    pairs = [*inspected.conflicts, *((link.first, link.second) for link in inspected.near_conflicts)]
    sentences += [f"different labels: {', '.join(ids[:SHOWN])}" for ids in pairs[:SHOWN]]
    sentences += [describe_blanks(inspected.blank)] if inspected.blank else []
    # A run compares images at its own size, and may find a pair more or less.
    overlap = inspected.overlap.sentences() if inspected.overlap else []
    return sentences + [f"its official cut, compared at {size} px: {text}" for text in overlap]


@datasets.command("phantom")
@click.argument("name", shell_complete=complete("dataset"))
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--patients", type=click.IntRange(12, 100_000), default=120, show_default=True, help="About how many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed draws others.")
@click.option("--null", is_flag=True, help="Labels are noise.")
@plugin_options
def phantom(
    name: str,
    root: Path,
    patients: int,
    seed: int,
    null: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Draw synthetic test images in the layout of data set NAME into the new folder ROOT."""
    dataset = load_catalogue(plugin_folders, plugin_switches).resolve("dataset", name)
    if root.is_file() or (root.is_dir() and any(root.iterdir())):
        raise UsageError(f"{root} is {'a file' if root.is_file() else 'not empty'}; give a new folder.")
    root.mkdir(parents=True, exist_ok=True)
    dataset.phantom(root, seed=seed, patients=patients, null=null)
    click.echo(f"{root}: {counted(sum(1 for p in root.rglob('*') if p.is_file()), 'file')}. Read them with: "
               f"medbench datasets check {name} {root}")  # fmt: skip


@datasets.command("fetch")
@click.argument("name", shell_complete=complete("dataset"))
@click.argument("root", type=click.Path(path_type=Path))
@plugin_options
def fetch(name: str, root: Path, plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> None:
    """Download data set NAME into ROOT, where its licence lets a program do that."""
    catalogue: Catalogue = load_catalogue(plugin_folders, plugin_switches)
    dataset = catalogue.resolve("dataset", name)
    download: Any = getattr(dataset, "fetch", None)
    if download is None:
        raise UsageError(f"{name} cannot be fetched by a program: {dataset.card.access}")
    click.echo(str(download(root)))
