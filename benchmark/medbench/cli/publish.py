"""``medbench publish``, ``withdraw`` and ``reproduce``: entries that others have checked."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

import click

from medbench.api.terminal_progress import Display
from medbench.cli.shared_options import blocked, load_catalogue, plugin_options
from medbench.cli.verify import refuse, show, standing
from medbench.data.describe import DatasetDescription
from medbench.errors import DataError, UsageError
from medbench.publishing.bundle import signatures
from medbench.publishing.bundle.allowed_texts import check_text
from medbench.publishing.bundle.read_bundle import read_bundle
from medbench.publishing.entries import ledger
from medbench.publishing.entries.entry_files import (
    BUNDLE,
    LEDGER,
    authors,
    entries_before,
    find_entry,
    id_of,
    read_entry,
    row_in_force,
)
from medbench.publishing.entries.publish import check_authors, publish_entry, replace_entry, withdraw_entry
from medbench.publishing.verify import evidence, our_data, rerun_cell, sandbox_tasks
from medbench.publishing.verify.verify_bundle import Setup, Verified, verify_bundle
from medbench.running.resources import LoadedPlugins, Resources, choose_workers
from medbench.text import clean

_to = click.option("--to", "folder", type=click.Path(path_type=Path), default=Path("results/published"),
                   show_default=True, help="Where entries are published.")  # fmt: skip
_data = click.option("--data", multiple=True, metavar="[NAME=]FOLDER", help="Where the data set lies.")
_allowed = click.option("--allowed-signers", "allowed", type=click.Path(path_type=Path, exists=True), metavar="FILE",
                        help="It must be signed by one of these.")  # fmt: skip
_workers = click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True,
                        help="Processes that decode.")  # fmt: skip


# One parameter per option of the command line.
@click.command(short_help="Verify a bundle and add it to the published entries.")
@click.argument("bundle", type=click.Path(path_type=Path))
@_to
@_data
@_allowed
@click.option("--accept-repeated", is_flag=True, help="You looked at predictions that occur twice, and they are right.")
@click.option("--as-claimed", is_flag=True, help="Publish it even if its numbers cannot be recomputed here.")
@click.option("--replaces", metavar="ENTRY", help="An entry that this one corrects; a new row of the ledger says so.")
@_workers
@plugin_options
def publish(
    bundle: Path,
    folder: Path,
    replaces: str | None,
    data: tuple[str, ...],
    allowed: Path | None,
    accept_repeated: bool,
    as_claimed: bool,
    workers: int,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Verify BUNDLE, store it with the numbers that were computed from it, and add a row to the ledger.

    What was published as claimed can be published again once its numbers can be recomputed.
    """
    ledger.rows(folder / LEDGER)  # a broken chain shows before all else
    ledger.check_committed(folder / LEDGER)
    old = None if replaces is None else row_in_force(folder, replaces).entry
    with Display() as display:
        others = entries_before(folder, id_of(bundle), replaces=old or "")
        setup = Setup(data, standing(), plugin_folders, blocked(plugin_switches), workers)
        found = verify_bundle(bundle, setup, allowed=allowed, accept_repeated=accept_repeated, others=others,
                              progress=display.decoding)  # fmt: skip
    show(found, as_json=False)
    if found.refused is not None:
        refuse(found.refused)
    if found.tier == "claimed" and not as_claimed:
        raise DataError(f"{bundle}: {_reason(found)}, so it would be claimed and never ranked; mend that, or give "
                        "--as-claimed.")  # fmt: skip
    if old is not None and found.entry is not None:
        check_authors(authors(folder, old), found.entry["method"]["authors"], old)
    place = publish_entry(bundle, found, folder)
    if old is not None:
        replace_entry(folder, old, place.name)
    click.echo(f"published as {clean(str(place))}" + (f", {old} is withdrawn" if old else ""))


@click.command(short_help="Take a published entry back, with a reason.")
@click.argument("entry")
@click.option("--reason", required=True, metavar="TEXT", help="A sentence that readers see, at most 200 characters.")
@_to
def withdraw(entry: str, reason: str, folder: Path) -> None:
    """Add a row to the ledger that takes ENTRY back for good: it stays, with the reason, and is never ranked again."""
    ledger.check_committed(folder / LEDGER)
    row = withdraw_entry(folder, entry, reason)
    click.echo(f"row {row.row} of {clean(str(folder / LEDGER))}: {row.entry} is withdrawn: {clean(row.detail)}")


# One parameter per option of the command line.
@click.command(short_help="Repeat one training run of a published entry and compare.")
@click.argument("entry")
@_to
@_data
@click.option("--salt", default="", help="Text that its author could not know, such as the hash of the merge commit; "
              "drawn at random where it is left out.")  # fmt: skip
@click.option("--sign", "key", type=click.Path(path_type=Path, exists=True), metavar="KEY",
              help="SSH key of a maintainer; without it nothing is written.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or cuda.")
@click.option("--executor", default="local", show_default=True, help="Where it runs; medbench list executors.")
@_workers
@plugin_options
def reproduce(
    entry: str,
    folder: Path,
    data: tuple[str, ...],
    salt: str,
    key: Path | None,
    device: str,
    executor: str,
    workers: int,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Repeat one training run of ENTRY, which the entry's hash and a salt choose, and compare its predictions.

    With --sign, of a key that the file "maintainers" beside the ledger lists, a signed row "reproduced" is added.
    """
    place = find_entry(folder, entry)
    file, left_out = place / BUNDLE, blocked(plugin_switches)
    published = _recomputed_entry(place, folder)
    ledger.check_committed(folder / LEDGER)
    by = "" if key is None else _maintainer(key, folder)
    salt = _salt(salt)
    with Display() as display:
        setup = Setup(data, standing(), plugin_folders, left_out, workers)
        found = verify_bundle(file, setup, accept_repeated=True, progress=display.decoding)
        if found.refused is not None:
            refuse(found.refused)
        if found.tier != "recomputed":
            why = next(c["detail"] for c in found.checks if c["outcome"] == "unknown")
            raise UsageError(f"{place}: its numbers could not be recomputed here ({clean(why)}); that comes first.")
        bundle = read_bundle(file)
        catalogue = load_catalogue(plugin_folders, plugin_switches)
        ours = our_data.find_our_data(
            our_data.needed(sandbox_tasks.needed_data(bundle)),
            catalogue,
            data or standing(),
            workers=workers,
            progress=display.decoding,
        )
        sources = {name: one for name, one in ours.items() if isinstance(one, DatasetDescription)}
        trial = rerun_cell.cell_to_rerun(bundle, salt)
        with tempfile.TemporaryDirectory(prefix="medbench-reproduce-") as store:
            plugins = LoadedPlugins(catalogue, tuple(str(f.absolute()) for f in plugin_folders), left_out)
            one = choose_workers(Resources(1, device, executor), catalogue, trial.budget)
            rerun = rerun_cell.rerun_cell(bundle, trial, sources, plugins, one, display, folder=Path(store))
    click.echo(f"reproduced: {clean(rerun.detail)} (salt {clean(salt)})")
    if key is None:
        click.echo("No row was written: that takes --sign and the key of a maintainer.")
        return
    new = ledger.NewRow(
        "reproduced",
        published,
        "reproduced",
        bundle.sha256,
        detail=rerun_cell.ledger_sentence(rerun),
        evidence=rerun_cell.evidence_of(bundle, rerun, salt=salt, by=by),
    )
    ledger.append(
        folder / LEDGER,
        new,
        sign=lambda row: signatures.one_line(signatures.sign(row, key, namespace=evidence.NAMESPACE)),
    )
    click.echo(f"signed by {clean(by)}; commit {clean(str(folder / LEDGER))}")


def _recomputed_entry(place: Path, folder: Path) -> str:
    """Return the id of an entry whose numbers were recomputed, which comes before it is reproduced."""
    known = [row for row in ledger.rows(folder / LEDGER) if row.entry == read_entry(place)["id"]]
    if not known:
        raise UsageError(f"{place}: the ledger does not know this entry; publish its bundle first.")
    last = row_in_force(folder, known[-1].entry)
    if last.tier == "claimed" and last.event == "published":
        raise UsageError(f"{place}: is only claimed, there is nothing to reproduce yet; first recompute it with "
                         f"`medbench publish {place / BUNDLE} --to {folder} --data FOLDER`.")  # fmt: skip
    if last.tier == "claimed":
        raise UsageError(f"{place}: a correction of {last.date} made it claimed; publish a better bundle with "
                         "--replaces.")  # fmt: skip
    return known[-1].entry


def _maintainer(key: Path, folder: Path) -> str:
    """Return whose key it is, before anything is run."""
    path = folder / evidence.MAINTAINERS
    by = signatures.principal(key, evidence.maintainers(folder / LEDGER), namespace=evidence.NAMESPACE)
    if not by:
        raise UsageError(f"--sign {key}: {path} does not list this key; maintainers add theirs by a reviewed change, "
                         "see man ssh-keygen, ALLOWED SIGNERS.")  # fmt: skip
    return by


def _salt(given: str) -> str:
    """Return a salt that a row may hold: the one that was given, else one that nobody could know."""
    salt = given.strip() or secrets.token_hex(8)
    try:
        return check_text(salt, "it")
    except ValueError as error:
        raise UsageError(f"--salt: {error}; give the hash of a commit.") from None


def _reason(found: Verified) -> str:
    """Say what keeps a bundle from being recomputed, by the names of its checks."""
    unknown = list(dict.fromkeys(check["name"] for check in found.checks if check["outcome"] == "unknown"))
    if unknown:
        return f"{' and '.join(unknown)} could not be checked (give --data FOLDER)"
    return "predictions occur twice (give --accept-repeated once you looked at them)"
