"""The ledger: one line an event, each with the SHA-256 of the one before. Lines are added, never changed."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from medbench.errors import StoreError
from medbench.publishing import canonical
from medbench.publishing.refusals import Refused
from medbench.publishing.texts import free

FIRST = "0" * 64
LARGEST = 64 * 2**20

Event = Literal["published", "reproduced", "corrected", "withdrawn"]
Tier = Literal["claimed", "recomputed", "reproduced", "withdrawn"]


class Row(BaseModel):
    """A line of the ledger.

    Attributes:
        row: Its number, from 1.
        previous: `sha256` of the row before; zeros in the first.
        date: Day of the event, UTC.
        event: What happened to the entry.
        entry: Id of the entry.
        tier: What the entry is from now on.
        bundle: SHA-256 of the entry's bundle.
        detail: A sentence.
        sha256: Of this row without this field, in canonical form.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    row: int = Field(ge=1)
    previous: str = Field(pattern=r"^[0-9a-f]{64}$")
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    event: Event
    entry: str = Field(pattern=r"^[0-9a-f]{16}$")
    tier: Tier
    bundle: str = Field(pattern=r"^[0-9a-f]{64}$")
    detail: Annotated[str, AfterValidator(free)] = ""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def rows(path: Path) -> list[Row]:
    """Read a ledger and check its chain; none there is an empty one.

    Raises:
        Refused: MB950, with the number of the first row that is wrong.
    """
    try:
        if not path.exists():
            return []
        if path.stat().st_size > LARGEST:
            raise Refused("MB950", f"{path}: is larger than {LARGEST:,} bytes, which no ledger is.")
        return _chained(path.read_bytes(), path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); give another --to.") from None


def append(path: Path, *, event: Event, entry: str, tier: Tier, bundle: str, detail: str = "", date: str = "") -> Row:
    """Add a row behind the last one.

    Args:
        path: The ledger; made where there is none.
        event: What happened.
        entry: Id of the entry.
        tier: What it is from now on.
        bundle: SHA-256 of its bundle.
        detail: A sentence.
        date: ``2026-01-31``; today where it is empty.

    Raises:
        Refused: MB950 where the chain is broken: nothing is added to it.
    """
    date = date or datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        with path.open("a+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            file.seek(0)
            known = _chained(file.read(), path)
            values = {
                "row": len(known) + 1, "previous": known[-1].sha256 if known else FIRST, "date": date, "event": event,
                "entry": entry, "tier": tier, "bundle": bundle, "detail": detail,
            }  # fmt: skip
            row = Row(**values, sha256=_sha(values))  # type: ignore[arg-type]
            file.write(canonical.dump(row.model_dump()) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); give another --to.") from None
    return row


def tiers(known: list[Row]) -> dict[str, Tier]:
    """Return what every entry is now: the tier of its last row."""
    return {row.entry: row.tier for row in known}


def _chained(data: bytes, path: Path) -> list[Row]:
    found: list[Row] = []
    if data and not data.endswith(b"\n"):
        raise _broken(path, data.count(b"\n") + 1, "is cut off")
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            values = canonical.load(line, f"row {number}")
            row = Row.model_validate_json(line)
        except (Refused, ValidationError) as error:
            first = re.sub(r"\s+", " ", error.message if isinstance(error, Refused) else error.errors()[0]["msg"])
            raise _broken(path, number, f"is no row ({first[:120]})") from None
        told = {key: value for key, value in values.items() if key != "sha256"}
        if row.row != number or row.sha256 != _sha(told):
            raise _broken(path, number, "was changed")
        if row.previous != (found[-1].sha256 if found else FIRST):
            raise _broken(path, number, "does not follow the row before it")
        found.append(row)
    return found


def _sha(values: dict[str, object]) -> str:
    return hashlib.sha256(canonical.dump(values)).hexdigest()


def _broken(path: Path, number: int, why: str) -> Refused:
    return Refused(
        "MB950", f"{path}: row {number} {why}; restore the ledger from its history, corrections are new rows."
    )
