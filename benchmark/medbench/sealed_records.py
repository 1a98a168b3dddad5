"""Sealed records: JSON that holds the SHA-256 of its own content and of the files beside it.

One changed bit is noticed when a file is read. Line ends are not content: clients that copy files may change them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medbench.errors import StoreError

SEAL = "seal"
SUMS = "sums"
TEXT = (".json", ".csv")
_NOT_SUMMED = frozenset({"task.json", "progress.json", "log.txt", "result.json", "failure.json", "stage.json"})
_SEALED = re.compile(rb'\{\n "seal": "([0-9a-f]{64})",\n')


class Damaged(ValueError):  # noqa: N818  what is the matter with a file
    """Says which file is not what was stored."""


def sum_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits, of JSON and CSV with one kind of line ends."""
    if path.suffix in TEXT:
        return _sum_of_text(path.read_bytes())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the sums of files of a folder by name."""
    return {name: sum_of(folder / name) for name in sorted(names)}


def sums_of_job(folder: Path) -> dict[str, str]:
    """Return the sums of all files that a finished job leaves in its folder, but for its record and its log."""
    return sums_of(folder, (p.name for p in folder.iterdir() if p.is_file() and p.name not in _NOT_SUMMED))


def damage_error(folder: Path, why: str) -> StoreError:
    """Return the error that names a folder of a store, what is wrong with it, and the way out."""
    return StoreError(f"{folder}: {why}; run `medbench store repair`, which loses nothing, then the same command.")


def seal(record: Mapping[str, Any], sums: Mapping[str, str] | None = None) -> str:
    """Write a record as JSON whose first line is the SHA-256 of all that follows it.

    Args:
        record: JSON values.
        sums: Of files beside it, as :func:`sums_of` gives them.
    """
    rest = json.dumps({**record, SUMS: dict(sums or {})}, indent=1, sort_keys=True).removeprefix("{\n")
    return f'{{\n "{SEAL}": "{hashlib.sha256(rest.encode()).hexdigest()}",\n{rest}'


def parse(content: bytes) -> Any:
    """Read JSON as the standard library does, in half of its time where that can be.

    Raises:
        ValueError: If it is none.
        RecursionError: If it is nested too deeply.
    """
    from pydantic_core import from_json  # not at the top: commands that read no record do not wait for it

    try:
        return from_json(content)
    except ValueError:  # as are a byte order mark and half a surrogate pair, which json reads
        return json.loads(content)


def unseal(content: bytes) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Read a record and the sums of the files beside it; None for sums where it was stored before there were any.

    Raises:
        Damaged: If it is no JSON object, or not what was sealed.
    """
    content = content.replace(b"\r\n", b"\n")
    try:
        record = parse(content)
    except (ValueError, RecursionError):
        raise Damaged("is no JSON") from None
    if not isinstance(record, dict):
        raise Damaged("is no JSON object")
    if SEAL not in record and SUMS not in record:
        return record, None
    seal_line = _SEALED.match(content)
    if seal_line is None or hashlib.sha256(content[seal_line.end() :]).hexdigest() != seal_line[1].decode():
        raise Damaged("changed since it was stored")
    del record[SEAL]
    return record, record.pop(SUMS)


def read(path: Path) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Read a record from a file, as :func:`unseal` does.

    Raises:
        Damaged: With the file's name.
    """
    try:
        return unseal(path.read_bytes())
    except FileNotFoundError:
        raise Damaged(f"{path.name} is missing") from None
    except Damaged as error:
        raise Damaged(f"{path.name} {error}") from None


def check(folder: Path, sums: Mapping[str, str] | None, *names: str, content: bytes | None = None) -> None:
    """Compare files of a folder with their sums; nothing is compared where there are none.

    Args:
        folder: Where they lie.
        sums: As they stand in a record.
        names: Of those to look at; all that are listed by default.
        content: The bytes of the one file named, where they were read already.

    Raises:
        Damaged: With the name of the first that is missing or changed.
    """
    if sums is None:
        return
    for name in names or sums:
        if name not in sums:
            raise Damaged(f"{name} was not there when it was stored")
        try:
            found = sum_of(folder / name) if content is None else _sum_of(name, content)
        except FileNotFoundError:
            raise Damaged(f"{name} is missing") from None
        if found != sums[name]:
            raise Damaged(f"{name} changed since it was stored")


def _sum_of(name: str, content: bytes) -> str:
    return _sum_of_text(content) if name.endswith(TEXT) else hashlib.sha256(content).hexdigest()


def _sum_of_text(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
