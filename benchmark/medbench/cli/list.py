"""``medbench list``: what there is to choose from, a line each."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from medbench.cli.shared_options import load_catalogue, plugin_options
from medbench.cli.writing import fill
from medbench.interfaces import needs
from medbench.planning import study as studies
from medbench.registry.catalogue import Catalogue
from medbench.registry.dataset_facts import DOWNLOAD, FACTS, SIZES, facts_of
from medbench.registry.descriptions import describe_for_people
from medbench.registry.display_names import classifier_name, dataset_name, generator_name, method_name
from medbench.text import clean, columns, cut, pad

KINDS = {
    "datasets": "dataset",
    "augmenters": "augmenter",
    "generators": "generator",
    "classifiers": "classifier",
    "metrics": "metric",
    "scores": "score",
    "extractors": "extractor",
    "executors": "executor",
    "studies": "study",
}
ABOUT = {
    "datasets": "public data sets, and your own images",
    "augmenters": "methods: augmentations and ways to balance classes",
    "generators": "models that make images, such as GANs",
    "classifiers": "networks that are trained and tested",
    "metrics": "what predictions are measured by",
    "scores": "what generated images are measured by",
    "extractors": "networks that scores look through",
    "executors": "where training runs are done: this machine or a cluster",
    "studies": "comparisons that are ready to run",
}
LEAST = 40
"""Columns that are left for what a thing is, before other columns are dropped."""
HEADS = {"gpu": "GPU advised", "get": "how to get"}
Row = dict[str, Any]


# One parameter per option of the command line.
@click.command(name="list", short_help="List what there is to choose from.")
@click.argument("kind", type=click.Choice([*KINDS, "methods"]), required=False)
@click.argument("words", nargs=-1)
@click.option("--2d", "two", is_flag=True, help="Only what is for pictures, 2-D.")
@click.option("--3d", "three", is_flag=True, help="Only what is for volumes, 3-D.")
@click.option("--modality", metavar="WORD", help="Only data sets of a modality, such as ultrasound, X-ray or CT.")
@click.option("--download", is_flag=True, help="Only data sets that `medbench datasets fetch` downloads.")
@click.option("--no-gpu", is_flag=True, help="Only what trains within minutes without a GPU.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plugin_options
def list_kind(
    kind: str | None,
    words: tuple[str, ...],
    two: bool,
    three: bool,
    modality: str | None,
    download: bool,
    no_gpu: bool,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """List all of a KIND, a line each; with WORDS only those whose line holds them.

    KIND is datasets, augmenters, generators, classifiers, metrics, scores, extractors, executors or studies.
    """
    catalogue = load_catalogue(plugin_folders, plugin_switches)
    if kind is None:
        for title, one in KINDS.items():
            click.echo(f"medbench list {title:<12} {len(catalogue.names(one)):>3} {ABOUT[title]}")
        return
    kind = "augmenters" if kind == "methods" else kind
    rows = list_rows(catalogue, kind)
    wanted = [*words, *([modality] if modality else [])]
    dimensions = [digit for digit, on in (("2", two), ("3", three)) if on]
    kept = [
        row
        for row in rows
        if all(word.lower() in _searched(row) for word in wanted)
        and all(digit in str(row.get("for", "2/3-D")) for digit in dimensions)
        and (not download or row.get("get") == DOWNLOAD)
        and (not no_gpu or not row.get("gpu"))
    ]
    if as_json:
        click.echo(json.dumps(kept, indent=1, ensure_ascii=False))
        return
    print_rows(kind, kept, len(rows))


def list_rows(catalogue: Catalogue, kind: str) -> list[Row]:
    """Return a row for everything of a kind: its name, what it is, and what helps to choose."""
    one = KINDS[kind]
    make = _OF_KIND.get(kind, _other)
    rows: list[Row] = []
    for name in catalogue.names(one):
        item = catalogue.registered(one, name)
        if kind == "datasets" and name == "medmnist":
            rows += [_dataset(catalogue, text, item) for text in FACTS if text.startswith("medmnist[")]
        else:
            rows.append(make(catalogue, name, item) | {"plugin": catalogue.owner(one, name)})
    return rows


def print_rows(kind: str, rows: Sequence[Row], of: int) -> None:
    """Print rows as a table as wide as the terminal; whole in a pipe."""
    shown = [key for key in _COLUMNS[kind] if any(row.get(key) not in ("", None) for row in rows)]
    cells = [{key: _cell(row.get(key)) for key in shown} for row in rows]
    titles = {key: HEADS.get(key, key) for key in shown}
    widths = {key: max(columns(row[key]) for row in (titles, *cells)) for key in shown}
    dropped = _fit(widths, shutil.get_terminal_size().columns) if sys.stdout.isatty() else []
    if not rows:
        click.echo(f"none of {of} fits; leave a word or a filter out.")
        return
    right = {"classes", "patients", "images"}
    for row in (titles, *cells):
        parts = [pad(_short(row[key], n), -n if key in right else n) for key, n in widths.items()]
        click.echo("  ".join(parts).rstrip())
    told = []
    if dropped:
        told.append(f"In a wider terminal, a pipe and --json also: {', '.join(dropped)}.")
    if kind == "datasets":
        if any(row["name"].startswith("medmnist") for row in rows):
            told.append(SIZES)
        if any(row["name"].startswith("vindr") for row in rows):
            told.append("VinDr-SpineXR: examinations stand for patients, who were not released.")
        told.append("More on one: medbench datasets show NAME. Your own images: medbench init FOLDER")
    if told:
        click.echo()
    for sentence in told:
        click.echo(fill(sentence))


def _fit(widths: dict[str, int], width: int) -> list[str]:
    """Drop columns from the right, then shorten what a thing is, until a row fits; return what was dropped."""

    dropped: list[str] = []

    def too_wide() -> int:
        return sum(widths.values()) + 2 * (len(widths) - 1) - width

    for key in ("licence", "compared with", "on", "get", "images", "patients", "gpu", "classes"):
        if key in widths and too_wide() > max(0, widths["what"] - LEAST):
            del widths[key]
            dropped.insert(0, HEADS.get(key, key))
    if too_wide() > 0:
        widths["what"] = max(10, widths["what"] - too_wide())
    return dropped


def _short(text: str, width: int) -> str:
    return text if columns(text) <= width else cut(text, width - 3).rstrip() + "..."


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:,}" if isinstance(value, int) else clean(str(value or ""))


def _searched(row: Row) -> str:
    return " ".join(str(value) for value in row.values()).lower()


def _dataset(catalogue: Catalogue, name: str, item: Any) -> Row:
    facts = facts_of(name)
    title = dataset_name(name, "" if facts else item.card.title)
    if facts is None:
        card = item.card
        return {"name": name, "what": card.title, "title": title, "licence": card.licence, "size": item.size}
    recipe = catalogue.resolve("dataset", name)
    return {
        "name": name,
        "what": facts.what,
        "for": f"{facts.dimensions}-D" if facts.dimensions else "2/3-D",
        "classes": facts.classes or None,
        "patients": facts.patients or None,
        "images": facts.images or None,
        "get": facts.get,
        "licence": facts.licence,
        "title": title,
        "size": recipe.size,
    }


def _augmenter(catalogue: Catalogue, name: str, item: Any) -> Row:
    above = catalogue.control("augmenter", item)
    return {
        "name": name,
        "what": describe_for_people("augmenter", name, item),
        "gpu": any(getattr(stage, "stored", False) for stage in needs(item)) and item.space == "pixels",
        "compared with": method_name(catalogue.spec(above)) if above is not None else "",
        "title": method_name(name),
    }


def _generator(catalogue: Catalogue, name: str, item: Any) -> Row:
    is_trained = bool(item.stored)
    of_features = any(word in name for word in ("feature", "map-", "dense", "refined", "clswgan"))
    return {
        "name": name,
        "what": describe_for_people("generator", name, item),
        "gpu": is_trained and not of_features,
        "title": generator_name(name),
    }


def _classifier(catalogue: Catalogue, name: str, item: Any) -> Row:
    taken = [digit for digit, short in (("2", "2d"), ("3", "3d")) if short in item.takes]
    return {
        "name": name,
        "what": describe_for_people("classifier", name, item),
        "for": f"{'/'.join(taken)}-D" if taken else "",
        "gpu": name not in ("small-cnn", "frozen"),
        "title": classifier_name(name),
    }


def _study(catalogue: Catalogue, name: str, item: Any) -> Row:
    study = studies.read(item)
    return {"name": name, "what": study.about, "on": ", ".join(dataset_name(text) for text in study.datasets)}


def _other(catalogue: Catalogue, name: str, item: Any) -> Row:
    kind = next(kind for kind in ("metric", "score", "extractor", "executor") if name in catalogue.names(kind)
                and catalogue.registered(kind, name) is item)  # fmt: skip
    return {"name": name, "what": describe_for_people(kind, name, item)}


_OF_KIND: dict[str, Callable[[Catalogue, str, Any], Row]] = {
    "datasets": _dataset,
    "augmenters": _augmenter,
    "generators": _generator,
    "classifiers": _classifier,
    "studies": _study,
}
_COLUMNS: dict[str, tuple[str, ...]] = {
    "datasets": ("name", "what", "for", "classes", "patients", "images", "get", "licence"),
    "augmenters": ("name", "what", "gpu", "compared with"),
    "generators": ("name", "what", "gpu"),
    "classifiers": ("name", "what", "for", "gpu"),
    "metrics": ("name", "what"),
    "scores": ("name", "what"),
    "extractors": ("name", "what"),
    "executors": ("name", "what"),
    "studies": ("name", "what", "on"),
}
