"""``medbench verify``: check a bundle, or an entry that was published."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import NoReturn

import click

from medbench.api.terminal_progress import Display
from medbench.cli.shared_options import blocked, plugin_options
from medbench.publishing.entries.check_entry import check_entry
from medbench.publishing.entries.entry_files import BUNDLE, entries_before, find_entry
from medbench.publishing.refusals import Refused
from medbench.publishing.verify.verify_bundle import Setup, Verified, check_lines, verify_bundle
from medbench.text import WIDTH, clean, wrapped


# One parameter per option of the command line.
@click.command(short_help="Check a bundle: recompute every number from its predictions.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--to", "folder", type=click.Path(path_type=Path), default=Path("results/published"),
              show_default=True, help="Where entries are published, to look an id up.")  # fmt: skip
@click.option(
    "--data", multiple=True, metavar="[NAME=]FOLDER", help="Folder of the data set; synthetic test images are drawn."
)
@click.option("--allowed-signers", "allowed", type=click.Path(path_type=Path, exists=True), metavar="FILE",
              help="It must be signed by one of these; see man ssh-keygen.")  # fmt: skip
@click.option("--accept-repeated", is_flag=True, help="You looked at predictions that occur twice, and they are right.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that decode.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@plugin_options
def verify(
    bundle: Path,
    folder: Path,
    data: tuple[str, ...],
    allowed: Path | None,
    accept_repeated: bool,
    workers: int,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> int:
    """Check BUNDLE: every number is computed again from its predictions.

    BUNDLE is a file, or a published entry: its folder, its id or the beginning of that. Ends with 9 where it is
    refused. Nothing of it is extracted or run.
    """
    if not bundle.exists() and re.fullmatch(r"[0-9a-f]{1,16}", str(bundle)):
        bundle = find_entry(folder, str(bundle))
    is_entry = bundle.is_dir()
    file = bundle / BUNDLE if is_entry else bundle
    with Display() as display:
        found = verify_bundle(
            file,
            Setup(data, standing(), plugin_folders, blocked(plugin_switches), workers),
            allowed=allowed,
            accept_repeated=accept_repeated,
            progress=display.decoding,
            others=entries_before(bundle.absolute().parent, bundle.absolute().name) if is_entry else None,
        )
    show(found, as_json=as_json)
    if found.refused is not None:
        refuse(found.refused)
    if is_entry:
        try:
            said = check_entry(bundle, found)
        except Refused as refused:
            refuse(refused)
        click.echo("\n".join(line.strip() for line in wrapped(said, WIDTH)), err=as_json)
    return 0


def standing() -> tuple[str, ...]:
    """Return the folders that are there for every command."""
    return tuple(filter(None, [os.environ.get("MEDBENCH_DATA", "")]))


def refuse(refused: Refused) -> NoReturn:
    """Say why something is refused, in lines of a terminal, and end with 9."""
    click.echo("\n".join(line.strip() for line in wrapped(f"Error: {refused}", WIDTH)), err=True)
    click.get_current_context().exit(refused.exit_code)


_ANSWERS = {
    "recomputed": "Recomputed: every number follows from the predictions and our labels. Only `medbench reproduce` "
    "rules out invented predictions.",
    "claimed": "Claimed, not ranked: not every number could be computed again here; the lines below say why.",
}
"""What is said first, by the tier that the checks lead to."""


def show(found: Verified, *, as_json: bool) -> None:
    """Print what the checks lead to, then each of them; why it is refused is left to :func:`refuse`."""
    if as_json:
        refused = None
        if found.refused is not None:
            refused = {"code": found.refused.code, "message": clean(found.refused.message)}
        value = {"tier": found.tier, "refused": refused, "checks": found.checks, "entry": found.entry}
        click.echo(json.dumps(value, indent=1, ensure_ascii=True, sort_keys=True))
        return
    for line in wrapped(_ANSWERS.get(found.tier, ""), WIDTH) if found.entry is not None else ():
        click.echo(line.strip())
    passed = tuple(check for check in found.checks if check["outcome"] != "failed")
    for line in check_lines(Verified(passed, found.entry, found.refused)):
        click.echo(line)
    if found.entry is not None:
        click.echo(f"{'tier':<26}{found.tier}" + (", not ranked" if found.tier == "claimed" else ""))
