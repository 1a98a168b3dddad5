"""``medbench verify``: check a bundle, or an entry that was published."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from medbench.cli.display import Display
from medbench.cli.options import blocked, plugin_options
from medbench.publishing.entries import check_entry, earlier
from medbench.publishing.verifying import Verified, written
from medbench.publishing.verifying import verify as verify_bundle
from medbench.text import clean


@click.command(short_help="Check a bundle: recompute every number from its predictions.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--data", multiple=True, metavar="[NAME=]FOLDER", help="Where the data set lies; phantoms are drawn.")
@click.option("--allowed-signers", "allowed", type=click.Path(path_type=Path, exists=True), metavar="FILE",
              help="It must be signed by one of these; see man ssh-keygen.")  # fmt: skip
@click.option("--accept-repeated", is_flag=True, help="You looked at predictions that occur twice.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that decode.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plugin_options
def verify(
    bundle: Path,
    data: tuple[str, ...],
    allowed: Path | None,
    accept_repeated: bool,
    workers: int,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> int:
    """Check BUNDLE, a file or a folder of results/published: every number is computed again from its predictions.

    Ends with 9 where it is refused. Nothing of it is extracted or run.
    """
    is_entry = bundle.is_dir()
    file = bundle / "bundle.medbench.zip" if is_entry else bundle
    with Display() as display:
        found = verify_bundle(
            file,
            data=data or tuple(filter(None, [os.environ.get("MEDBENCH_DATA", "")])),
            allowed=allowed,
            accept_repeated=accept_repeated,
            plugin_folders=plugin_folders,
            blocked=blocked(plugin_switches),
            workers=workers,
            progress=display.decoding,
            others=earlier(bundle.absolute().parent, bundle.absolute().name) if is_entry else None,
        )
    show(found, as_json=as_json)
    if found.refused is not None:
        raise found.refused
    if is_entry:
        click.echo(check_entry(bundle, found), err=as_json)
    return 0


def show(found: Verified, *, as_json: bool) -> None:
    """Print the checks, and the tier they lead to."""
    if as_json:
        refused = None
        if found.refused is not None:
            refused = {"code": found.refused.code, "message": clean(found.refused.message)}
        value = {"tier": found.tier, "refused": refused, "checks": found.checks, "entry": found.entry}
        click.echo(json.dumps(value, indent=1, ensure_ascii=True, sort_keys=True))
        return
    for line in written(found):
        click.echo(line)
    if found.entry is not None:
        click.echo(f"{'tier':<26}{found.tier}" + (", not ranked" if found.tier == "claimed" else ""))
