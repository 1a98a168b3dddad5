"""The ledger: one line an event, each with the SHA-256 of the one before. Lines are added, never changed.

Anybody may propose rows that publish, correct or withdraw; what says *reproduced* is signed by a maintainer.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from medbench.errors import StoreError, UsageError
from medbench.publishing.bundle import canonical_json
from medbench.publishing.bundle.allowed_texts import check_text
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import evidence
from medbench.publishing.verify.evidence import Evidence

FIRST = "0" * 64
LARGEST = 64 * 2**20
_ORDER = ("claimed", "recomputed", "reproduced")
BEFORE_SIGNATURES = frozenset(
    {
        "1457efd4bd4b5f80a79268f62132a0ec3ca12482f9ac1b7f337704b2f744043e",
        "9540cc6d1a8f12734717c82e105be672b69a0b42c8d71e2cf26ba1f637105bdb",
    }
)
"""SHA-256 of the two rows that said reproduced before such rows were signed. They may stand in a ledger, since rows are
never taken away, and count for nothing: a later row of their entry must say what it is."""
TODAY_AT_LEAST = datetime.date(2026, 11, 28)
"""A clock that is behind this code is wrong, and no reason to call an honest row one of the future."""
_BETTER = re.compile(r"replaced by ([0-9a-f]{16})")

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
        entry_sha256: SHA-256 of ``entry.json`` as it is published from then on; "" in other rows, and in those written
            before there was this field. The row on the disk has no such key then.
        evidence: What a row that says reproduced stands on; None, and no such key, in all others.
        signature: Of a maintainer over all of the row but this field and `sha256`, in canonical form: base64 as
            :func:`.one_line` writes it. "", and no such key, where there is no evidence.
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
    detail: Annotated[str, AfterValidator(check_text)] = ""
    entry_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    evidence: Evidence | None = None
    signature: str = Field("", pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=16 * 2**10)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def replaced_by(self) -> str:
        """The entry that stands in this one's place from this row on; "" where there is none."""
        found = _BETTER.fullmatch(self.detail) if (self.event, self.tier) == ("corrected", "withdrawn") else None
        return found[1] if found else ""


def rows(path: Path) -> list[Row]:
    """Read a ledger and check its chain, its dates and its signatures; none there is an empty one.

    Raises:
        Refused: MB950, with the number of the first row that is wrong.
        ResourceError: If rows are signed and ssh-keygen is not installed.
    """
    try:
        if not path.exists():
            return []
        if path.stat().st_size > LARGEST:
            raise Refused("MB950", f"{path}: is larger than {LARGEST:,} bytes, which no ledger is.")
        return _parse(path.read_bytes(), path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); give another --to.") from None


def check_committed(path: Path) -> None:
    """Refuse a ledger that does not begin with the one that git has at HEAD, where git has one.

    The chain shows a change in its middle, and not that rows at its end are gone.

    Raises:
        Refused: MB950.
    """
    git = shutil.which("git")
    if git is None or not path.parent.is_dir():
        return
    done = subprocess.run(  # noqa: S603  reads one object, runs nothing of the repository
        [git, "-C", str(path.parent), "cat-file", "blob", f"HEAD:./{path.name}"], capture_output=True, check=False
    )
    there = path.read_bytes() if path.exists() else b""
    if done.returncode == 0 and not there.startswith(done.stdout):
        raise Refused("MB950", f"{path}: rows that git has at HEAD were changed or taken away; restore it with `git "
                      f"checkout HEAD -- {path.name}` and run the command again.")  # fmt: skip


@dataclass(frozen=True)
class NewRow:
    """What a row that is added says; its other fields follow from the ledger. Attributes are those of :class:`Row`."""

    event: Event
    entry: str
    tier: Tier
    bundle: str
    detail: str = ""
    entry_sha256: str = ""
    evidence: Evidence | None = None


def append(path: Path, new: NewRow, *, date: str = "", sign: Callable[[bytes], str] | None = None) -> Row:
    """Add a row behind the last one.

    Args:
        path: The ledger; made where there is none.
        new: What the row says.
        date: ``2026-01-31``; today where it is empty.
        sign: Signs the row's bytes, as :func:`medbench.publishing.bundle.signatures.one_line` writes it.

    Raises:
        Refused: MB950 where the chain is broken, or the row would break it: nothing is added to it.
        UsageError: If the entry is withdrawn: nothing can follow. If the row would be dated before the last one.
    """
    date = date or _today().isoformat()
    try:
        with path.open("a+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            file.seek(0)
            known = _parse(file.read(), path)
            if tiers(known).get(new.entry) == "withdrawn":  # under the lock: two who withdraw at once add one row
                raise UsageError(f"{path}: {new.entry} is withdrawn already, which is final; publish a new bundle.")
            if known and date < known[-1].date:
                raise UsageError(f"{path}: the last row is of {known[-1].date}, this one would be of {date}; set this "
                                 "machine's clock.")  # fmt: skip
            values: dict[str, object] = {
                "row": len(known) + 1, "previous": known[-1].sha256 if known else FIRST, "date": date,
                "event": new.event, "entry": new.entry, "tier": new.tier, "bundle": new.bundle, "detail": new.detail,
                **({"entry_sha256": new.entry_sha256} if new.entry_sha256 else {}),
                **({"evidence": new.evidence.model_dump()} if new.evidence else {}),
            }  # fmt: skip
            if sign is not None:
                values["signature"] = sign(canonical_json.dump(values))
            line = canonical_json.dump({**values, "sha256": _sha(values)}) + b"\n"
            row = Row.model_validate_json(line)
            _check_row(row, values, known[-1:], evidence.maintainers(path) if new.event == "reproduced" else "", path)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); give another --to.") from None
    return row


def tiers(known: list[Row]) -> dict[str, Tier]:
    """Return what every entry is now: the tier of its last row."""
    return {row.entry: row.tier for row in known}


def why_impossible(row: Row, before: Sequence[Row]) -> str:
    """Say why a row cannot follow those of its entry; "" where it can.

    Args:
        row: The row.
        before: Earlier rows of the same entry.
    """
    if row.bundle[:16] != row.entry:
        return "names another bundle than its entry's"
    if row.event == "published" and before and not _upgrades_claimed(row, before[-1]):
        return "publishes an entry twice"
    if row.event != "published" and not before:
        return f"says {row.event} of an entry that was not published"
    if row.event == "published" and row.tier not in ("claimed", "recomputed"):
        return f"publishes an entry as {row.tier}"
    if row.event == "withdrawn" and row.tier != "withdrawn":
        return f"withdraws an entry, and its tier is {row.tier}"
    if row.tier == "reproduced" and not any(r.event == "reproduced" for r in (*before, row)):
        return "calls an entry reproduced that nobody reproduced"
    if not before:
        return ""
    now = before[-1].tier
    if now == "withdrawn":
        return "follows the withdrawal of its entry, which is final"
    if row.event == "reproduced" and row.tier != "reproduced":
        return f"says reproduced, and its tier is {row.tier}"
    if row.event == "reproduced" and now == "claimed":
        return "reproduces an entry whose numbers nobody recomputed"
    if row.event == "corrected" and row.tier != "withdrawn" and _ORDER.index(row.tier) > _ORDER.index(now):
        return f"lifts an entry from {now} to {row.tier} as a correction"
    return ""


def _upgrades_claimed(row: Row, last: Row) -> bool:
    """Say whether a row publishes as recomputed what was published as claimed; no correction is undone by that."""
    was_claimed = (last.event, last.tier) == ("published", "claimed")
    return was_claimed and row.tier == "recomputed" and bool(row.entry_sha256)


def publishing_row(known: Sequence[Row]) -> Row:
    """Return the row that ``entry.json`` follows, of all rows of its entry: the last that published it."""
    return next((row for row in reversed(known) if row.event == "published"), known[0])


def _parse(data: bytes, path: Path) -> list[Row]:
    found: list[Row] = []
    signers = evidence.maintainers(path)
    sealed = False  # the first rows were written before there was an entry_sha256
    if data and not data.endswith(b"\n"):
        raise _refusal(path, data.count(b"\n") + 1, "is cut off")
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            values = canonical_json.load(line, "it", fix="")
            row = Row.model_validate_json(line)
        except (Refused, ValidationError) as error:
            first = re.sub(
                r"\s+", " ", error.message.partition(";")[0] if isinstance(error, Refused) else error.errors()[0]["msg"]
            )
            raise _refusal(path, number, f"is no row ({first[:120]})") from None
        told = {key: value for key, value in values.items() if key != "sha256"}
        if row.row != number or row.sha256 != _sha(told):
            raise _refusal(path, number, "was changed")
        if row.previous != (found[-1].sha256 if found else FIRST):
            raise _refusal(path, number, "does not follow the row before it")
        sealed = sealed or bool(row.entry_sha256)
        if sealed and row.event == "published" and not row.entry_sha256:
            raise _refusal(path, number, "lacks the SHA-256 of entry.json, which rows before it have")
        _check_row(row, told, found[-1:], signers, path)
        found.append(row)
    for row in {row.entry: row for row in found}.values():
        if row.sha256 in BEFORE_SIGNATURES:
            raise _refusal(path, row.row, "says reproduced without a signature, and the row that corrects it is gone")
    return found


def _check_row(row: Row, values: Mapping[str, object], before: Sequence[Row], signers: str, path: Path) -> None:
    """Refuse a row that is dated wrongly, or says reproduced without a maintainer's signature.

    Args:
        row: The row.
        values: Its JSON values without `sha256`.
        before: The row before it, if there is one.
        signers: Who may sign.
        path: Of the ledger.
    """
    try:
        date = datetime.date.fromisoformat(row.date)
    except ValueError:
        raise _refusal(path, row.row, f"is of {row.date}, which is no day") from None
    if before and row.date < before[0].date:
        raise _refusal(path, row.row, f"is of {row.date}, a day before the row before it")
    if date > max(_today(), TODAY_AT_LEAST) + datetime.timedelta(days=1):  # it is tomorrow elsewhere
        raise _refusal(path, row.row, f"is of {row.date}, a day to come")
    if row.event != "reproduced":
        if row.evidence is not None or row.signature:
            raise _refusal(path, row.row, f"says {row.event} and is signed, which rows that say reproduced are")
    elif row.sha256 not in BEFORE_SIGNATURES:
        statement = canonical_json.dump({key: value for key, value in values.items() if key != "signature"})
        if why := evidence.why_unsigned(statement, row.signature, row.evidence, signers, row.date):
            raise _refusal(path, row.row, why)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _sha(values: dict[str, object]) -> str:
    return hashlib.sha256(canonical_json.dump(values)).hexdigest()


def _refusal(path: Path, number: int, why: str) -> Refused:
    return Refused(
        "MB950", f"{path}: row {number} {why}; restore the ledger from its history, corrections are new rows."
    )
