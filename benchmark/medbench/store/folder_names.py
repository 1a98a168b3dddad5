"""Names of the folders of a store: which folder is a trial, a stage or a job, and what lies among them by accident."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

TRIAL_NAME = re.compile(r"r\d+-f\d+-s\d+-[0-9a-z]{0,8}(\.failed-\d+)?")
SLUG = re.compile(r"[a-z0-9][a-z0-9.-]*")
JOB_NAME = re.compile(r"[0-9a-f]{12,16}-[0-9a-f]{8}")
STAGE_NAME = re.compile(r"[0-9a-z]{1,16}")
_CLUTTER = frozenset({"desktop.ini", "Thumbs.db"})


@functools.cache
def slug(text: str) -> str:
    """Turn a name with parameters into a folder's name; the full text stands in ``spec.json``."""
    plain = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
    return plain[:96] or "x"


def is_trial(folder: Path) -> bool:
    """Say whether a folder has the name of a result or failure, and anything in it: an empty one holds nothing."""
    return bool(TRIAL_NAME.fullmatch(folder.name)) and holds_files(folder)


def holds_files(folder: Path) -> bool:
    """Say whether a folder holds anything that no file manager left there."""
    try:
        return any(not name.startswith(".") and name not in _CLUTTER for name in os.listdir(folder))
    except NotADirectoryError:
        return False


def holds_record(folder: Path) -> bool:
    """Say whether a folder holds a result or a failure."""
    return (folder / "result.json").is_file() or (folder / "failure.json").is_file()


def attempt_of(name: str) -> int:
    """Return the number of a failed attempt; 0 for a result."""
    number = name.rpartition(".failed-")[2]
    return int(number) if number.isdigit() else 0
