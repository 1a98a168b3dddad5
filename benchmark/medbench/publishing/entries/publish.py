"""Publish, replace and withdraw entries: a folder each with the bundle and ``entry.json``, and a row of the ledger."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import StoreError, UsageError
from medbench.publishing.bundle.allowed_texts import check_text, scan
from medbench.publishing.entries import ledger
from medbench.publishing.entries.entry_files import BUNDLE, ENTRY, LEDGER, authors, last_row, row_in_force
from medbench.publishing.entries.ledger import Row
from medbench.publishing.refusals import Refused
from medbench.publishing.verify.verify_bundle import Verified


def publish_entry(bundle: Path, verified: Verified, folder: Path, *, date: str = "") -> Path:
    """Store a verified bundle among the published entries and add a row to the ledger.

    An entry that was published as claimed is published again once its numbers were recomputed: ``entry.json`` is
    written anew and a row says so.

    Args:
        bundle: The file that was verified.
        verified: With an entry.
        folder: ``results/published``.
        date: Of the row; today where it is empty.

    Returns:
        The entry's folder.

    Raises:
        UsageError: If the entry is there already.
        Refused: MB950 if the ledger's chain is broken; nothing is written then.
        StoreError: If the folder cannot be written.
    """
    if verified.entry is None:
        raise UsageError("a bundle that is refused cannot be published.")
    entry, place = verified.entry, folder / str(verified.entry["id"])
    upgrades = _upgrades_claimed(ledger.rows(folder / LEDGER), entry, place)
    data = bundle.read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["bundle"]["sha256"]:
        raise Refused("MB901", f"{bundle}: was changed after it was checked; check it again.")
    partial, text = folder / f".{entry['id']}.partial", entry_text(entry).encode()
    try:
        shutil.rmtree(partial, ignore_errors=True)
        if not upgrades:
            shutil.rmtree(place, ignore_errors=True)  # the ledger does not know it: a publication that was cut off
        partial.mkdir(parents=True)
        (partial / BUNDLE).write_bytes(data)
        (partial / ENTRY).write_bytes(text)
        if upgrades:  # the bundle there is the same one, by its SHA-256
            (partial / ENTRY).replace(place / ENTRY)
            shutil.rmtree(partial)
        else:
            partial.rename(place)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}); give another --to.") from None
    new = ledger.NewRow(
        "published",
        entry["id"],
        entry["tier"],
        entry["bundle"]["sha256"],
        detail=f"recomputed by medbench {entry['medbench']}" if upgrades else f"by medbench {entry['medbench']}",
        entry_sha256=hashlib.sha256(text).hexdigest(),
    )
    ledger.append(folder / LEDGER, new, date=date)
    return place


def _upgrades_claimed(known: Sequence[Row], entry: Mapping[str, Any], place: Path) -> bool:
    """Say whether a verified bundle lifts an entry that was published as claimed; refuse what is published otherwise.

    Raises:
        UsageError: If the bundle is published already and nothing is upgrades.
    """
    of_entry = [row for row in known if row.entry == entry["id"]]
    if not of_entry:
        return False
    last = of_entry[-1]
    if last.tier == "withdrawn":
        raise UsageError(f"{place}: this bundle was published and withdrawn, which is final; publish a new one.")
    if last.tier != "claimed":
        raise UsageError(f"{place}: this bundle is published already; `medbench reproduce {entry['id']}` comes next.")
    if last.event != "published":
        raise UsageError(f"{place}: a correction of {last.date} made this entry claimed; publish a better bundle with "
                         "--replaces.")  # fmt: skip
    if entry["tier"] != "recomputed":
        raise UsageError(f"{place}: this bundle is published already, as claimed; give --data FOLDER with its data set "
                         "to have its numbers recomputed.")  # fmt: skip
    return last.bundle == entry["bundle"]["sha256"]


def replace_entry(folder: Path, old: str, new: str, *, date: str = "") -> None:
    """Add a row that withdraws an entry in favour of another; its folder stays.

    Raises:
        UsageError: If the ledger does not know one of the two, the old one is withdrawn already, or they have no author
            in common.
    """
    last, better = row_in_force(folder, old), last_row(folder, new)
    if last.entry == better.entry:
        raise UsageError(f"{old}: is the same entry and cannot replace itself; publish the better bundle.")
    check_authors(authors(folder, last.entry), authors(folder, better.entry), last.entry)
    new_row = ledger.NewRow("corrected", last.entry, "withdrawn", last.bundle, detail=f"replaced by {better.entry}")
    ledger.append(folder / LEDGER, new_row, date=date)


def check_authors(old: Sequence[str], new: Sequence[str], entry: str) -> None:
    """Refuse to let an entry be replaced by strangers: what it replaces is not looked for copies either.

    Args:
        old: Authors of the entry.
        new: Those of the one that is to stand in its place.
        entry: Its id.

    Raises:
        UsageError: If none of them is the same.
    """
    if not {name.casefold() for name in old} & {name.casefold() for name in new}:
        raise UsageError(f"{entry}: is by {', '.join(old)}, the other entry by none of them; only authors replace "
                         "their entries.")  # fmt: skip


def withdraw_entry(folder: Path, name: str, reason: str, *, date: str = "") -> Row:
    """Add a row that withdraws an entry; its folder stays.

    Args:
        folder: ``results/published``.
        name: The entry, as :func:`last_row` takes it.
        reason: A sentence for readers, at most 200 characters.
        date: Of the row; today where it is empty.

    Returns:
        The row.

    Raises:
        UsageError: If the reason cannot be published, no entry is named so, or it is withdrawn already.
        Refused: MB950 if the ledger's chain is broken; nothing is written then.
    """
    reason = reason.strip()
    if not reason:
        raise UsageError("--reason: is empty; say in a sentence why readers must not use the entry.")
    try:
        check_text(reason, "it")
        scan("ledger.jsonl", {"reason": reason})
    except ValueError as error:
        raise UsageError(f"--reason: {error}; write it in plain words.") from None
    except Refused as refused:
        what = refused.message.partition(" holds ")[2]
        raise UsageError(f"--reason: it holds {what}") from None
    last = row_in_force(folder, name)
    new = ledger.NewRow("withdrawn", last.entry, "withdrawn", last.bundle, detail=reason)
    return ledger.append(folder / LEDGER, new, date=date)


def entry_text(entry: Mapping[str, Any]) -> str:
    """Write an entry as its file has it."""
    return json.dumps(entry, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
