"""Scores of made rows that were computed again: kept in ``.measures`` beside the results, which stay as they are.

They stand for the stored ones wherever a result is read, and may be thrown away. What belongs to a result that is no
longer there is not read.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medbench import sealed_records
from medbench.store.trial_files import Stored, read_stored

FOLDER = ".measures"


def digest_of_result(folder: Path) -> str:
    """Return a few digits of a result's SHA-256: a trial that was run again has another result of the same id."""
    try:
        return sealed_records.sum_of(folder / "result.json")[:16]
    except OSError:
        return ""


def read(root: Path, folder: Path) -> Stored:
    """Read a stored trial, with the scores that were computed again in place of its own.

    Args:
        root: Of the store.
        folder: Of the trial.

    Raises:
        StoreError: If a file of the result is missing or damaged, or that of its scores.
    """
    stored = read_stored(folder)
    if stored.status != "done" or not stored.scored or not (place := _place(root, folder)).is_file():
        return stored
    try:
        kept, _ = sealed_records.read(place)
        if kept["of"] != digest_of_result(folder):
            return stored
        own = {name: why for name, why in stored.unmeasured.items() if name.startswith("metric ")}
        return dataclasses.replace(
            stored,
            scores=dict(kept["scores"]),
            scored=dict(kept["scored"]),
            unmeasured={**own, **kept["unmeasured"]},
        )
    except sealed_records.Damaged as error:
        raise sealed_records.damage_error(place.parent, str(error)) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise sealed_records.damage_error(
            place.parent, f"{place.name} cannot be read ({type(error).__name__})"
        ) from None


def write(root: Path, folder: Path, scored: Mapping[str, Any]) -> None:
    """Keep scores that were computed again; half a file is never there.

    Args:
        root: Of the store.
        folder: Of the trial.
        scored: ``scores``, ``scored`` and ``unmeasured``, as results have them.

    Raises:
        OSError: If they cannot be written.
    """
    place = _place(root, folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_suffix(f".{os.getpid()}")
    fresh.write_text(sealed_records.seal({"of": digest_of_result(folder), **scored}))
    fresh.replace(place)


def _place(root: Path, folder: Path) -> Path:
    return root / FOLDER / folder.relative_to(root).with_name(f"{folder.name}.scores.json")
