"""``medbench weights``: get pretrained weights beforehand, since a training run never touches the network."""

from __future__ import annotations

from pathlib import Path

import click

from medbench.cli.shared_options import complete, load_catalogue, plugin_options
from medbench.errors import UsageError
from medbench.registry.describe_recipe import sha256_of_file
from medbench.registry.recipes import parse


@click.group(short_help="Get pretrained weights beforehand.")
def weights() -> None:
    """Get pretrained weights beforehand."""


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
