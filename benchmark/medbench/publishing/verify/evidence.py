"""What a row that says *reproduced* stands on: which cell was run again, what it predicted, and who vouches for it.

Whoever can write a file can write a row. So this one is signed, with a key that ``maintainers`` beside the ledger
lists; that file changes by reviewed changes to the repository only, never by a change that publishes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from medbench.errors import StoreError
from medbench.publishing.bundle import signatures
from medbench.publishing.bundle.schemas import NonEmpty, Sha
from medbench.publishing.bundle.zip_container import Member

NAMESPACE = "medbench-ledger"
MAINTAINERS = "maintainers"
"""Allowed signers of rows, as ``man ssh-keygen`` describes them; where it is missing, nobody is."""
LARGEST = 2**20


class Evidence(BaseModel):
    """What was run again, by whom.

    Attributes:
        by: The name that ``maintainers`` gives the signer.
        salt: What chose the cell, together with the bundle's SHA-256.
        trial: Id of the cell in the bundle.
        published: SHA-256 of the cell's predictions in the bundle, ``predictions/ID.csv`` unpacked.
        rerun: The same of what was predicted this time; the same sum where every bit agreed.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    by: NonEmpty
    salt: NonEmpty
    trial: Sha
    published: Sha
    rerun: Sha


def choose_cell(keys: Sequence[str], bundle: str, salt: str) -> str:
    """Return the id of the trial that is run again: hash of bundle and salt choose, so that its author cannot.

    Args:
        keys: Ids of the bundle's trials that have a result.
        bundle: SHA-256 of the bundle.
        salt: Text that its author could not know.
    """
    number = int(hashlib.sha256(f"medbench-reproduce|{bundle}|{salt}".encode()).hexdigest(), 16)
    return sorted(keys)[number % len(keys)]


def why_misfit(told: Evidence, bundle: str, members: Mapping[str, Member]) -> str:
    """Say why evidence is none of a bundle; "" where it is.

    Args:
        told: Of a row.
        bundle: SHA-256 of the bundle.
        members: Of the bundle.
    """
    folder, ending = "predictions/", ".csv"
    keys = [name.removeprefix(folder).removesuffix(ending) for name in members if name.startswith(folder)]
    if not keys or choose_cell(keys, bundle, told.salt) != told.trial:
        return "names another training run than its salt chooses"
    name = f"{folder}{told.trial}{ending}"
    if hashlib.sha256(members[name].unpack(name)).hexdigest() != told.published:
        return "names other predictions than the bundle holds"
    return ""


def maintainers(ledger: Path) -> str:
    """Return the allowed signers of a ledger; "" where nobody is.

    Raises:
        StoreError: If the file cannot be read.
    """
    path = ledger.parent / MAINTAINERS
    try:
        if not path.exists():
            return ""
        if path.stat().st_size > LARGEST:
            raise StoreError(f"{path}: is larger than {LARGEST:,} bytes; list one key a line, see man ssh-keygen.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); see man ssh-keygen, ALLOWED SIGNERS.") from None


def why_unsigned(statement: bytes, signature: str, told: Evidence | None, signers: str, date: str) -> str:
    """Say why a row is not signed by a maintainer; "" where it is.

    Args:
        statement: The row without its signature and SHA-256, in canonical form.
        signature: As :func:`medbench.publishing.bundle.signatures.one_line` writes it.
        told: Its evidence.
        signers: What :func:`maintainers` returned.
        date: Of the row.
    """
    if told is None or not signature:
        return f"says reproduced without evidence and the signature of a key that {MAINTAINERS} lists"
    if not signers.strip():
        return f"says reproduced, and no {MAINTAINERS} beside the ledger lists whose signature counts"
    return signatures.why_not_by(statement, signature, told.by, signers, namespace=NAMESPACE, date=date)
