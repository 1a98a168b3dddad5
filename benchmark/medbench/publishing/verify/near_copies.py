"""Predictions that an earlier entry holds too, but for digits that nobody sees: copies with a little noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medbench.publishing.bundle import canonical_json, zip_container
from medbench.publishing.bundle.predictions_csv import name_of
from medbench.publishing.bundle.read_bundle import Bundle
from medbench.publishing.bundle.zip_container import Member
from medbench.publishing.refusals import Refused
from medbench.publishing.verify.signs_of_invention import NEAR, is_uninformative

ROWS = 64
"""Images of a cell that are compared: two trainings agree on none of them to four digits."""

Cell = tuple[str, str, int, int]
"""(data set, protocol, repeat, fold)."""


def near_copies(bundle: Bundle, others: Iterable[tuple[str, Path]]) -> list[str]:
    """Look for trials that predicted what a trial of an earlier entry did to four digits, and not to the last one.

    Byte for byte is looked for by :func:`.exact_copies`. An entry that cannot be read is passed over
    here, since that says so.

    Args:
        bundle: As read.
        others: Ids of entries and their bundles.

    Returns:
        A sentence for each entry with such trials.
    """
    mine: dict[Cell, list[tuple[bytes, np.ndarray]]] = {}
    for key, trial in bundle.trials.items():
        if key in bundle.results and (head := _first_rows(bundle.members, key)):
            mine.setdefault((trial.dataset, trial.protocol, trial.repeat, trial.fold), []).append(head)
    total = sum(map(len, mine.values()))
    found = []
    for entry, path in others:
        try:
            _, members = zip_container.read(path)
            theirs = dict(_cells(members, mine))
        except (Refused, KeyError, TypeError, ValueError):
            continue
        number = sum(
            any(_are_near(one, other) for other in theirs.get(cell, ())) for cell in mine for one in mine[cell]
        )
        if number:
            found.append(
                f"{number} of {total} training runs predicted what training runs of entry {entry} did to four digits, "
                "not to the last one: the same run on another machine, or a copy of it, and no further evidence"
            )
    return found


def _cells(
    members: Mapping[str, Member], wanted: Mapping[Cell, Any]
) -> Iterator[tuple[Cell, list[tuple[bytes, np.ndarray]]]]:
    trials = canonical_json.load(members["trials.json"].unpack("trials.json"), "trials.json")["trials"]
    made: dict[Cell, list[tuple[bytes, np.ndarray]]] = {}
    for spec in (trial["spec"] for trial in trials):
        cell = (spec["dataset"], spec["protocol"], spec["repeat"], spec["fold"])
        if cell in wanted and (head := _first_rows(members, spec["id"])):
            made.setdefault(cell, []).append(head)
    yield from made.items()


def _first_rows(members: Mapping[str, Member], key: str) -> tuple[bytes, np.ndarray] | None:
    """Return ids and probabilities of a trial's first images; None where networks often agree."""
    name = name_of(key)
    lines = members[name].unpack(name).split(b"\n", ROWS + 1)[1 : ROWS + 1]
    cells = [line.split(b",") for line in lines if line]
    p = np.array([[float(value) for value in row[1:]] for row in cells])
    return None if is_uninformative(p) else (b",".join(row[0] for row in cells), p)


def _are_near(one: tuple[bytes, np.ndarray], other: tuple[bytes, np.ndarray]) -> bool:
    (ids, p), (their_ids, q) = one, other
    return ids == their_ids and p.shape == q.shape and 0 < float(np.abs(p - q).max()) <= NEAR
