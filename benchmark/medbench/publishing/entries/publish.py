"""Published entries: a folder each with the bundle and what was computed from it, and a row of the ledger."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import StoreError, UsageError
from medbench.publishing.bundle import zip_container
from medbench.publishing.bundle.allowed_texts import check_text, scan
from medbench.publishing.bundle.zip_container import PACKED
from medbench.publishing.entries import entry_check, ledger
from medbench.publishing.entries.ledger import Row
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import evidence
from medbench.publishing.verify.verify_bundle import Verified

BUNDLE, ENTRY, LEDGER = "bundle.medbench.zip", "entry.json", "ledger.jsonl"
LARGEST = 64 * 2**20


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
    lifted = _upgrades_claimed(ledger.rows(folder / LEDGER), entry, place)
    data = bundle.read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["bundle"]["sha256"]:
        raise Refused("MB901", f"{bundle}: was changed after it was checked; check it again.")
    partial, text = folder / f".{entry['id']}.partial", entry_text(entry).encode()
    try:
        shutil.rmtree(partial, ignore_errors=True)
        if not lifted:
            shutil.rmtree(place, ignore_errors=True)  # the ledger does not know it: a publication that was cut off
        partial.mkdir(parents=True)
        (partial / BUNDLE).write_bytes(data)
        (partial / ENTRY).write_bytes(text)
        if lifted:  # the bundle there is the same one, by its SHA-256
            (partial / ENTRY).replace(place / ENTRY)
            shutil.rmtree(partial)
        else:
            partial.rename(place)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror}); give another --to.") from None
    ledger.append(
        folder / LEDGER,
        event="published",
        entry=entry["id"],
        tier=entry["tier"],
        bundle=entry["bundle"]["sha256"],
        detail=f"recomputed by medbench {entry['medbench']}" if lifted else f"by medbench {entry['medbench']}",
        entry_sha256=hashlib.sha256(text).hexdigest(),
        date=date,
    )
    return place


def _upgrades_claimed(known: Sequence[Row], entry: Mapping[str, Any], place: Path) -> bool:
    """Say whether a verified bundle lifts an entry that was published as claimed; refuse what is published otherwise.

    Raises:
        UsageError: If the bundle is published already and nothing is lifted.
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


def id_of(bundle: Path) -> str:
    """Return the id of the entry that a bundle is or would be; "" for what is no file or too large for one."""
    try:
        if not bundle.is_file() or bundle.stat().st_size > PACKED:
            return ""
        return hashlib.sha256(bundle.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


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
    ledger.append(
        folder / LEDGER,
        event="corrected",
        entry=last.entry,
        tier="withdrawn",
        bundle=last.bundle,
        detail=f"replaced by {better.entry}",
        date=date,
    )


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
    return ledger.append(
        folder / LEDGER,
        event="withdrawn",
        entry=last.entry,
        tier="withdrawn",
        bundle=last.bundle,
        detail=reason,
        date=date,
    )


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


def entry_text(entry: Mapping[str, Any]) -> str:
    """Write an entry as its file has it."""
    return json.dumps(entry, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def check_entry(place: Path, verified: Verified) -> str:
    """Compare a published entry with what was computed from its bundle, and with its ledger.

    What cannot be computed here, for want of a data set, a plugin or the signers, is not compared, and said.

    Args:
        place: The entry's folder; the ledger lies beside it.
        verified: Of its bundle, with an entry.

    Returns:
        A sentence.

    Raises:
        Refused: MB951 for an entry that says something else, MB950 for a ledger that does not know it.
    """
    told = read_entry(place)
    try:
        left_out = entry_check.compare_entry(told, verified)
    except Refused as refused:
        raise Refused(refused.code, f"{place / ENTRY}: {refused.message}") from None
    if place.name != told["id"]:
        raise Refused("MB951", f"{place}: the folder of this entry is named {told['id']}; rename it.")
    known = [row for row in ledger.rows(place.parent / LEDGER) if row.entry == told["id"]]
    if not known or any(row.bundle != told["bundle"]["sha256"] for row in known):
        raise Refused("MB950", f"{place.parent / LEDGER}: has no row of this entry; add it with `medbench publish`.")
    for number, row in enumerate(known):
        if why := ledger.why_impossible(row, known[:number]):
            raise Refused("MB950", f"{place.parent / LEDGER}: row {row.row} {why}; restore it from its history.")
    check_reruns(place / BUNDLE, known, place.parent / LEDGER)
    row = ledger.publishing_row(known)
    if told["tier"] != row.tier:
        raise Refused("MB951", f"{place / ENTRY}: tier is {str(told['tier'])[:80]}, row {row.row} of the ledger says "
                      f"{row.tier}; restore the file.")  # fmt: skip
    check_sha256(place / ENTRY, (place / ENTRY).read_bytes(), row)
    said = f"{ENTRY} says what we compute{left_out}; the ledger's chain is whole and knows the entry as "
    said += known[-1].tier
    if known[-1].tier == "withdrawn":
        said += f" since {known[-1].date}, never ranked: {known[-1].detail or 'no reason is given'}"
    return said


def check_reruns(bundle: Path, known: Sequence[Row], path: Path) -> None:
    """Hold what rows say was run again against the bundle of their entry.

    Args:
        bundle: Its file.
        known: Rows of the entry.
        path: Of the ledger, to print.

    Raises:
        Refused: MB950 if a row names another cell than its salt chooses, or other predictions than the bundle holds.
    """
    signed = [(row, row.evidence) for row in known if row.evidence is not None]
    if not signed:
        return
    _, members = zip_container.read(bundle)
    for row, told in signed:
        if why := evidence.why_misfit(told, row.bundle, members):
            raise Refused("MB950", f"{path}: row {row.row} {why}; run the cell again.")


def check_sha256(path: Path, data: bytes, row: Row) -> None:
    """Compare an ``entry.json`` with the row that published it; rows of before there was a SHA-256 say nothing.

    It holds what is recomputed nowhere: the checks and the version of whoever published.

    Raises:
        Refused: MB951 if it was edited.
    """
    found = hashlib.sha256(data).hexdigest()
    if row.entry_sha256 not in ("", found):
        raise Refused("MB951", f"{path}: its SHA-256 is {found[:16]}..., row {row.row} of the ledger has another; "
                      "restore the file.")  # fmt: skip


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
