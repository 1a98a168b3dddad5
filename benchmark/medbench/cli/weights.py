"""``medbench weights``: pretrained weights, where they are got, and whether a file fits; no run touches the network.

Classifiers and extractors may have ``list_weights()``, rows of texts (name, kind, recipe, get, licence, needs, state);
``fetch(folder)``, which downloads a file; and ``look_at_weights(samples)``, what became of the weights of a recipe.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from medbench.cli.shared_options import complete, load_catalogue, plugin_options
from medbench.cli.writing import fill
from medbench.errors import UsageError
from medbench.registry.describe_recipe import sha256_of_file
from medbench.registry.recipes import parse


@click.group(short_help="List, get and check pretrained weights.")
def weights() -> None:
    """List, get and check pretrained weights."""


@weights.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plugin_options
def list_weights(as_json: bool, plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> None:
    """List weights: where each is got, its licence, what it needs, and how a recipe names it."""
    from rich.table import Table

    from medbench.tables.writers.terminal import draw_table, screen_of

    catalogue = load_catalogue(plugin_folders, plugin_switches)
    items = [item for kind in ("classifier", "extractor") for item in catalogue.items(kind)]
    rows = [row for item in items if hasattr(item, "list_weights") for row in item.list_weights()]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("weights", "licence", "at hand"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row["name"], row["licence"], row["state"])
    click.echo("\n".join(draw_table(table, screen_of(sys.stdout))))
    for row in rows:  # what is pasted is never broken
        option = "-c" if row["kind"] == "classifier" else "--extractor"
        click.echo(f"\n{row['name']}\n")
        click.echo(fill(row["needs"], "         ", first="  needs: "))
        click.echo(f"  get:   {row['get']}\n  write: {option} '{row['recipe']}'")
    click.echo(
        "\n" + fill("Whether a file fits: medbench weights check RECIPE. How each format was tried: documentation.")
    )


@weights.command("fetch")
@click.argument("name", shell_complete=complete("classifier"))
@click.option("--folder", type=click.Path(path_type=Path), default=Path("weights"), show_default=True, help="Where to.")
@plugin_options
def fetch(name: str, folder: Path, plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> None:
    """Download the weights of classifier NAME, as in ``vgg16`` or ``timm[model=resnet18]``."""
    classifier = load_catalogue(plugin_folders, plugin_switches).resolve("classifier", name)
    if not hasattr(classifier, "fetch"):
        raise UsageError(f"{name} has no published weights; train it from scratch or give pretrained=PATH.")
    path = classifier.fetch(folder)
    click.echo(f"{path}\nsha256 {sha256_of_file(path)}")
    spec = parse(name)
    inner = ",".join([*(f"{k}={v}" for k, v in spec.parameters), f"pretrained={path}"])
    click.echo(f"use it with: -c '{spec.name}[{inner}]'")


# One parameter per option of the command line.
@weights.command("check")
@click.argument("recipe", shell_complete=complete("classifier"))
@click.option("--channels", type=click.IntRange(1), default=1, show_default=True, help="Of an image.")
@click.option("--size", type=click.IntRange(4, 1024), default=64, show_default=True, help="Pixels along each axis.")
@click.option("--classes", type=click.IntRange(2), default=2, show_default=True, help="That are told apart.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plugin_options
def check(
    recipe: str,
    channels: int,
    size: int,
    classes: int,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Put the weights that classifier RECIPE names into its network, and say what became of them."""
    from medbench.testing import toy_samples

    classifier: Any = load_catalogue(plugin_folders, plugin_switches).resolve("classifier", recipe)
    if not hasattr(classifier, "look_at_weights"):
        raise UsageError(f"{recipe} cannot be looked at; give a classifier with pretrained=, as timm.")
    if hasattr(classifier, "check"):
        classifier.check()
    dimensions = 2 if "2d" in classifier.takes else 3
    samples = toy_samples(2, channels=channels, size=size, classes=classes, dimensions=dimensions)
    told = classifier.look_at_weights(samples)
    if as_json:
        click.echo(json.dumps(told, indent=1))
        return
    for name, text in told.items():
        click.echo(f"{name:8} {text}")
