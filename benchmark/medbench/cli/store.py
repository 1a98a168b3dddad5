"""``medbench store``: is what is stored still what was stored?"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from medbench.cli.shared_options import results_option
from medbench.errors import StoreError
from medbench.store.check_store import check_every_file
from medbench.store.check_store import repair as mend
from medbench.store.store import Store
from medbench.text import clean, counted

SHOWN = 20


@click.group(short_help="Check and repair stored results.")
def store() -> None:
    """Check stored results, and move aside what is damaged."""


@store.command("check")
@results_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(results: Path, as_json: bool) -> None:
    """Compare every stored file with its SHA-256; exit with 5 and a list where one is damaged."""
    found = check_every_file(Store(results, create=False))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        click.echo(
            f"{counted(found.results, 'result')}, {counted(found.failures, 'failure')}, "
            f"{counted(found.stages, 'fitted stage')} and {counted(found.plans, 'plan')} are as they were stored"
        )
        if found.without_sums:
            click.echo(f"note: {found.without_sums:,} of them without sums: an earlier version stored them")
        if found.missing:
            click.echo(f"note: {counted(len(found.missing), 'fitted stage')} that results stand on are not there; "
                       "costs leave them out")  # fmt: skip
        _list("not of the store, never read:", list(found.foreign))
        _list("damaged:", [f"{place}: {why}" for place, why in found.damaged])
    if found.damaged:
        raise StoreError(
            f"{results}: {counted(len(found.damaged), 'place', 'are')} damaged; run `medbench store repair`, which "
            "moves them aside, then the same command as before."
        )


@store.command("repair")
@results_option
def repair(results: Path) -> None:
    """Move what is damaged into the folder .damaged of the store; delete nothing."""
    moved = mend(Store(results, create=False))
    for place, aside in moved:
        click.echo(f"moved {clean(place)} to {clean(aside)}")
    if moved:
        click.echo(f"{counted(len(moved), 'place')} moved aside; run the same command as before, it does them again.")
    else:
        click.echo("nothing is damaged.")


def _list(title: str, lines: list[str]) -> None:
    if lines:
        click.echo(title)
    for line in lines[:SHOWN]:
        click.echo(f"  {clean(line)}")
    if len(lines) > SHOWN:
        click.echo(f"  and {len(lines) - SHOWN:,} more; --json lists all")
