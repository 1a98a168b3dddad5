"""``medbench plugins``: what is there, who provides it, and does it keep its contract."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import click

from medbench.cli.new_plugin import CONTRACTS, plugin_files
from medbench.cli.shared_options import complete, load_catalogue, plugin_options
from medbench.cli.writing import fill
from medbench.errors import ContractError, MedbenchError, PluginError, Skip, UsageError
from medbench.planning import study as studies
from medbench.registry.catalogue import HOOKS, WORDS
from medbench.registry.descriptions import describe_for_people
from medbench.registry.display_names import dataset_name, method_name
from medbench.registry.recipes import parameters_of, write_value
from medbench.registry.source_lines import last_plugin_line, source_line
from medbench.testing import CHECKS
from medbench.text import clean, counted

METHODS = {"dataset": "read", "score": "score", "extractor": "features", "executor": "start"}
"""Where to look when a check fails, by kind; fit for the others."""


@click.group(short_help="List, show, start and check plugins.")
def plugins() -> None:
    """List, show, start and check plugins."""


@plugins.command("list")
@plugin_options
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_plugins(as_json: bool, plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> None:
    """List every plugin with what it provides, how long it took to load, and what is wrong with it."""
    found = load_catalogue(plugin_folders, plugin_switches).plugins
    if as_json:
        rows = [
            {
                "name": p.name,
                "distribution": p.distribution,
                "version": p.version,
                "provides": {kind: list(names) for kind, names in p.provides.items()},
                "load_ms": round(1000 * p.seconds, 1),
                "error": p.error or None,
                "blocked": p.blocked,
            }
            for p in found
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    for p in found:
        origin = f"{p.distribution} {p.version}".strip()
        state = "left out" if p.blocked else f"{1000 * p.seconds:.0f} ms"
        click.echo(f"{clean(p.name):<24} {clean(origin):<24} {state}")
        if p.error:
            click.echo(f"  error: {clean(p.error)}")
        for kind, names in p.provides.items():
            click.echo(f"  {plural(kind):<12} {clean(', '.join(names))}")


@plugins.command("show")
@click.argument("name", shell_complete=complete(*HOOKS))
@plugin_options
def show(name: str, plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> None:
    """Show a plugin, or anything a plugin provides, by NAME: its parameters and where it comes from."""
    catalogue = load_catalogue(plugin_folders, plugin_switches)
    shown = 0
    for kind in HOOKS:
        if name in catalogue.names(kind):
            shown += 1
            recipe = catalogue.registered(kind, name)
            click.echo(f"{WORDS.get(kind, kind)} {name}, from {catalogue.owner(kind, name)}")
            if kind == "study":
                _show_study(recipe, name)
                continue
            if summary := describe_for_people(kind, name, recipe):
                click.echo(f"  {clean(summary)}\n")
            for line in _document(recipe).splitlines():
                click.echo(f"  {clean(line)}".rstrip())
            if hasattr(recipe, "__dataclass_fields__"):
                for key, value in parameters_of(recipe).items():
                    click.echo(f"  {key} = {clean(write_value(value))}")
    for plugin in catalogue.plugins:
        if plugin.name == name:
            if plugin.error:
                raise PluginError(f"plugin {name!r} cannot be used: {plugin.error}")
            shown += 1
            provides = "; ".join(f"{plural(kind)}: {', '.join(names)}" for kind, names in plugin.provides.items())
            origin = f"{plugin.distribution} {plugin.version}".strip()
            click.echo(f"plugin {name}, from {origin}, provides {provides or 'nothing to name, but may hear events'}")
    if not shown:
        raise UsageError(f"nothing is named {name!r}; see `medbench plugins list`.")


def plural(kind: str) -> str:
    """Return the word for several of a kind: ``data sets``, ``studies``."""
    word = WORDS.get(kind, kind)
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _show_study(path: Path, name: str) -> None:
    """Print what a study compares on what, and where its file lies."""
    study = studies.read(path)
    split = f"{study.folds} folds x {counted(study.repeats, 'repeat')}"
    for word, text in (
        ("", study.about),
        ("data sets", ", ".join(f"{text} ({dataset_name(text)})" for text in study.datasets)),
        ("methods", ", ".join(f"{text} ({method_name(text)})" for text in study.augmenters)),
        ("classifiers", ", ".join(study.classifiers) or "the first that fits"),
        ("split", f"{', '.join(study.protocols)}; {split}"),
        ("file", str(path)),
        ("run it", f"medbench run {name}"),
    ):
        if text:
            click.echo(fill(text, " " * 15, first=f"  {word:<13}" if word else "  "))


def _document(recipe: Any) -> str:
    document = inspect.cleandoc((type(recipe) if hasattr(recipe, "name") else recipe).__doc__ or "")
    return "" if document.startswith(f"{type(recipe).__name__}(") else document  # dataclass's own repeats the fields


@plugins.command("new")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(list(CONTRACTS)), default="augmenter", show_default=True, help="What it provides."
)
@click.option("--folder", type=click.Path(path_type=Path), default=Path("."), help="Where to start it.")
def new(name: str, kind: str, folder: Path) -> None:
    """Start a plugin package NAME: one module, a test and a pyproject.toml, ready to install."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(f"{name!r} cannot name a plugin; use lower-case letters, digits and hyphens.")
    place = folder / f"medbench-{name}"
    if place.exists():
        raise UsageError(f"{place} is there already; choose another name or --folder.")
    for path, text in plugin_files(kind, name).items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)  # tests stand apart: --plugins-dir loads all beside it
        (place / path).write_text(text, encoding="utf-8")
    click.echo(f"{place}\n  try it     medbench plugins check {name} --plugins-dir {place}")
    click.echo(f"  install it pip install -e {place}")


@plugins.command("check")
@click.argument("name", shell_complete=complete(*HOOKS))
@plugin_options
def check(name: str, plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> None:
    """Run the contract checks on everything named NAME, or on everything the plugin NAME provides."""
    import tempfile

    catalogue = load_catalogue(plugin_folders, plugin_switches)
    items = [
        (kind, item) for kind in CHECKS for item in catalogue.names(kind) if name in (item, catalogue.owner(kind, item))
    ]
    if not items:
        plugin = next((p for p in catalogue.plugins if p.name == name), None)
        if plugin is not None and plugin.error:
            raise PluginError(f"plugin {name!r} cannot be used: {plugin.error}")
        if plugin is not None:
            raise UsageError(f"plugin {name!r} provides no {', '.join(CHECKS)}: there is nothing to check.")
        raise UsageError(f"nothing to check is named {name!r}; see `medbench plugins list`.")
    problems = 0
    for kind, item in items:
        with tempfile.TemporaryDirectory() as folder:
            outcome, why, at = "ok", "", ""
            recipe = catalogue.registered(kind, item)
            try:
                CHECKS[kind](recipe, Path(folder))
            except Skip as skip:
                outcome, why = "skipped", f": {skip}"
            except MedbenchError as error:
                outcome, why, at = "FAILED", f": {error}", last_plugin_line(error)[1]
            except Exception as error:  # noqa: BLE001  a plugin's call may raise anything; the next one is checked too
                outcome, why, at = "FAILED", f": {type(error).__name__}: {error}", last_plugin_line(error)[1]
        problems += outcome == "FAILED"
        click.echo(clean(f"{outcome:<8}{kind} {item}{why}"))
        if outcome == "FAILED" and kind != "study":
            click.echo(clean(f"        at {at or source_line(recipe, METHODS.get(kind, 'fit'))}"))
    if problems:
        raise ContractError(f"{problems} of {len(items)} checks failed.")
