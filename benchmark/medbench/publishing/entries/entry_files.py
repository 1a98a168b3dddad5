"""Files of published entries, and the rows of the ledger that speak of them: found by id, folder or order."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

from medbench.errors import UsageError
from medbench.publishing.bundle.zip_container import PACKED
from medbench.publishing.entries import ledger
from medbench.publishing.entries.ledger import Row
from medbench.publishing.refusals import Refused

BUNDLE = "bundle.medbench.zip"
ENTRY = "entry.json"
LEDGER = "ledger.jsonl"
LARGEST = 64 * 2**20  # bytes of entry.json


def id_of(bundle: Path) -> str:
    """Return the id of the entry that a bundle is or would be; "" for what is no file or too large for one."""
    try:
        if not bundle.is_file() or bundle.stat().st_size > PACKED:
            return ""
        return hashlib.sha256(bundle.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def authors(folder: Path, entry: str) -> list[str]:
    """Return who an entry says it is by.

    Raises:
        Refused: MB951 if its ``entry.json`` is missing or damaged.
    """
    found = read_entry(folder / entry).get("method")
    listed = found.get("authors") if isinstance(found, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
        raise Refused("MB951", f"{folder / entry / ENTRY}: names no authors; publish the bundle again.")
    return listed


def last_row(folder: Path, name: str) -> Row:
    """Return the last row of an entry, named by its id, the beginning of it, or its folder.

    Raises:
        UsageError: If the ledger knows none, or several.
        Refused: MB950 if the ledger's chain is broken.
    """
    wanted = Path(name).name
    last = {row.entry: row for row in ledger.rows(folder / LEDGER)}
    found = [entry for entry in last if wanted and entry.startswith(wanted)]
    if len(found) != 1:
        what = f"{len(found)} entries" if found else "no entry"
        raise UsageError(f"{folder / LEDGER}: knows {what} named {name!r}; give the 16 hex digits of one.")
    return last[found[0]]


def row_in_force(folder: Path, name: str) -> Row:
    """Return the last row of an entry that is not withdrawn; see :func:`last_row`.

    Raises:
        UsageError: If it is, or there is no such entry.
    """
    row = last_row(folder, name)
    if row.tier == "withdrawn":
        raise UsageError(f"{row.entry}: is withdrawn since {row.date} ({row.detail}), which is final; choose another.")
    return row


def entries_before(folder: Path, entry: str = "", *, replaces: str = "") -> list[tuple[str, Path]]:
    """Return ids and bundles of the entries that were published before one, without those it stands in for.

    Args:
        folder: ``results/published``.
        entry: The one; one that the ledger does not know comes after all.
        replaces: An entry that it is to replace.

    Raises:
        Refused: MB950 if the ledger's chain is broken.
    """
    known = ledger.rows(folder / LEDGER)
    before = itertools.takewhile(lambda row: (row.event, row.entry) != ("published", entry), known)
    replaced = {row.entry for row in known if entry and row.replaced_by == entry} | {replaces}
    names = [row.entry for row in before if row.event == "published" and row.entry not in replaced]
    return [(name, folder / name / BUNDLE) for name in dict.fromkeys(names)]


def read_entry(place: Path) -> dict[str, Any]:
    """Read ``entry.json``.

    Raises:
        Refused: MB951 if it is missing or damaged.
    """
    path = place / ENTRY
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > min(LARGEST, 4 * PACKED):
            raise ValueError
        value: dict[str, Any] = json.loads(data)
        if not isinstance(value, dict) or not isinstance(value["bundle"]["sha256"], str):
            raise ValueError
        return value | {"id": str(value["id"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise Refused("MB951", f"{path}: is missing or damaged; publish the bundle again.") from None


def find_entry(folder: Path, name: str) -> Path:
    """Return the folder of an entry, named by its id, the beginning of it, or its path.

    Raises:
        UsageError: If there is none, or several.
    """
    path = Path(name)
    if (path / BUNDLE).is_file():
        return path
    found = sorted(p for p in folder.glob("*") if p.name.startswith(name) and (p / BUNDLE).is_file())
    if len(found) != 1:
        what = "no entry" if not found else f"{len(found)} entries"
        raise UsageError(f"{folder}: {what} of that name: {name!r}; give the id of one.")
    return found[0]
