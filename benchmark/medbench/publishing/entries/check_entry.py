"""An ``entry.json`` beside what is computed from its bundle here: what both can know must be the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench import __version__
from medbench.publishing.bundle import zip_container
from medbench.publishing.bundle.board_numbers import across_versions, difference
from medbench.publishing.entries import ledger
from medbench.publishing.entries.entry_files import BUNDLE, ENTRY, LEDGER, read_entry
from medbench.publishing.entries.ledger import Row
from medbench.publishing.refusals import Refused
from medbench.publishing.stored_words import in_plain_nouns
from medbench.publishing.verify import evidence
from medbench.publishing.verify.outcome import OTHER_STUDY
from medbench.publishing.verify.verify_bundle import Verified

_ALWAYS = ("schema", "id", "bundle", "method", "study", "environment")
_OURS = ("recomputed", "sentences")  # of a board: what only whoever has the data set can say


def compare_entry(told: Mapping[str, Any], verified: Verified) -> str:
    """Compare an entry with what was computed from its bundle.

    Args:
        told: As ``entry.json`` has it.
        verified: Of its bundle, with an entry.

    Returns:
        What was not compared, as the end of a sentence; "" where everything was.

    Raises:
        Refused: MB951 with the first field that says something else.
    """
    computed = verified.entry or {}
    left_out = []
    unknown = any(check["outcome"] == "unknown" for check in verified.checks)
    for key in _ALWAYS:
        _check_same(computed.get(key), told.get(key), key)
    if told.get("signed_by") and _has_unknown_signer(verified):
        left_out.append("who signed it (give --allowed-signers)")
    else:
        _check_same(computed.get("signed_by"), told.get("signed_by"), "signed_by")
    _check_same_version(told, verified)
    lifts = (told.get("tier"), computed.get("tier")) == ("claimed", "recomputed")
    if not unknown and not lifts:
        hint = "; give --accept-repeated once you looked at them" if computed.get("tier") == "claimed" else ""
        _check_same(computed.get("tier"), told.get("tier"), "tier", hint)
    claimed = told.get("tier") == "claimed"
    versions = {__version__, str(told.get("medbench")), *(told.get("environment") or {}).get("medbench", ())}
    same_words = len(versions) == 1
    ours, theirs = computed.get("cards") or {}, told.get("cards") or {}
    for name in ours.keys() & theirs.keys() if same_words else ():
        # Cards of before say nothing of a modality.
        ours_of = {key: text for key, text in ours[name].items() if key != "modality" or key in theirs[name]}
        _check_same(ours_of, theirs[name], f"cards.{name}")
    missing = _compare_boards(computed.get("boards"), told.get("boards"), claimed=claimed, same_words=same_words)
    if missing:
        left_out.append(f"the tables on {', '.join(missing)}, which could not be recomputed here")
    elif unknown and computed.get("tier") != told.get("tier"):
        left_out.append("what could not be checked")
    if lifts:
        return ", and its numbers could be recomputed: `medbench publish` with its bundle says so in the ledger"
    _compare_flags(computed.get("flags"), told.get("flags"), whole=not unknown)
    return f", but not {' and '.join(left_out)}" if left_out else ""


def _check_same_version(told: Mapping[str, Any], verified: Verified) -> None:
    """Refuse an entry that was recomputed, as it says, by this very version, which finds another study in it.

    Raises:
        Refused: MB951. What an older version found may be so; what a data set or plugin would be needed for, too.
    """
    unknown = [c for c in verified.checks if c["outcome"] == "unknown" and c["code"] == OTHER_STUDY]
    if unknown and told.get("tier") != "claimed" and told.get("medbench") == __version__:
        raise Refused("MB951", f"tier is {str(told.get('tier'))[:80]} by medbench {__version__}, which cannot "
                      f"recompute it: {unknown[0]['detail']}")  # fmt: skip


def _has_unknown_signer(verified: Verified) -> bool:
    """Say whether a signature fits and nobody said whose key it is."""
    outcomes = {(c["outcome"], c["detail"].startswith("it fits")) for c in verified.checks if c["name"] == "signature"}
    return ("note", True) in outcomes


def _compare_boards(ours: Any, theirs: Any, *, claimed: bool, same_words: bool) -> list[str]:
    """Compare boards whatever their order; return the data sets of those that were recomputed there and not here."""
    ours, theirs = _sort_boards(ours), _sort_boards(theirs)
    if len(ours) != len(theirs):
        _check_same(len(ours), len(theirs), "boards (number of)")
    missing = []
    if not same_words:
        ours, theirs = map(across_versions, ours), map(across_versions, theirs)
    for number, (mine, its) in enumerate(zip(ours, theirs, strict=True)):
        here, there = mine.get("recomputed"), its.get("recomputed")
        if (here, there) == (False, True):
            missing.append(str(mine["dataset"]))
        elif not ((here, there) == (True, False) and claimed):
            _check_same(_without_words(mine), _without_words(its), f"boards[{number}]")
        _check_same(_without_own_fields(mine), _without_own_fields(its), f"boards[{number}]")
    return list(dict.fromkeys(missing))


def _without_words(board: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the sentences, which may change with medbench; the ledger holds the entry's hash against an edit."""
    return {key: value for key, value in board.items() if key != "sentences"}


def _sort_boards(boards: Any) -> list[Mapping[str, Any]]:
    """Order boards by what they are of: those that could be recomputed stand first in an entry."""
    if not isinstance(boards, list) or not all(isinstance(board, dict) for board in boards):
        raise Refused("MB951", "boards is no list of boards; publish the bundle again.")
    return sorted(boards, key=lambda board: [str(board.get(key)) for key in ("dataset", "protocol", "classifier")])


def _without_own_fields(board: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in board.items() if key not in _OURS}


def _compare_flags(ours: Any, theirs: Any, *, whole: bool) -> None:
    """Compare flags; where not all could be looked for, those that were found must be there."""
    ours, theirs = ([in_plain_nouns(str(flag)) for flag in flags or ()] for flags in (ours, theirs))
    if whole:
        _check_same(ours, theirs, "flags")
    elif gone := [flag for flag in ours if flag not in theirs]:
        raise Refused("MB951", f"flags lack {gone[0][:80]!r}, which we found.")


def _check_same(ours: Any, theirs: Any, key: str, hint: str = "") -> None:
    if differs := difference(ours, theirs, key):
        where, mine, its = differs
        raise Refused("MB951", f"{where} is {str(its)[:80]}, we compute {str(mine)[:80]}{hint}.")


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
        left_out = compare_entry(told, verified)
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
            raise Refused("MB950", f"{path}: row {row.row} {why}; repeat the training run.")


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
