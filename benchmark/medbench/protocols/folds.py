"""Cuts into training, validation and test, by group or by image.

A group stays together, classes are spread evenly, and the cut is the same on every machine.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from medbench.errors import DataError
from medbench.samples import Samples
from medbench.text import counted

VALIDATION_FOLDS = 10  # a tenth of the training part only watches whether the loss still falls


@dataclass(frozen=True)
class Cut:
    """Which part of which repeat is tested.

    Attributes:
        fold: Part that is tested, 0 to folds - 1.
        folds: Number of parts.
        repeat: Number of the repeat; another repeat is another partition.
    """

    fold: int = 0
    folds: int = 5
    repeat: int = 0


def cut_samples(
    samples: Samples, cut: Cut, *, by: Literal["groups", "ids"] = "groups"
) -> tuple[Samples, Samples, Samples]:
    """Cut into training, validation and test; what shares a group stays together.

    Raises:
        DataError: If there are fewer groups of a class than folds.
    """
    keys = getattr(samples, by)
    if by == "groups":
        _enough_groups(samples, cut.folds)
    folds = _partition(samples, by, cut.folds, cut.repeat)
    rest = np.flatnonzero(folds != cut.fold)
    watched = assign_folds(
        keys[rest], samples.labels[rest], VALIDATION_FOLDS, salt=f"{cut.repeat}|{cut.fold}|validation"
    )
    return samples.take(rest[watched != 0]), samples.take(rest[watched == 0]), samples.take(folds == cut.fold)


@functools.lru_cache(maxsize=8)
def _partition(samples: Samples, by: str, folds: int, repeat: int) -> np.ndarray:
    """Assign the folds of a repeat once for all of them."""
    return assign_folds(getattr(samples, by), samples.labels, folds, salt=str(repeat), evenly=True)


def official_cut(
    samples: Samples, cut: Cut, *, by: Literal["groups", "ids"] = "groups"
) -> tuple[Samples, Samples, Samples]:
    """Use the data set's own test part; a tenth of its training part is validation, another one each repeat.

    Raises:
        DataError: If the data set has no official cut.
    """
    if samples.parts is None or not {"train", "test"} <= set(samples.parts):
        raise DataError("this data set has no official cut into train and test; use --protocol patients.")
    train = samples.take(samples.parts == "train")
    watched = assign_folds(getattr(train, by), train.labels, VALIDATION_FOLDS, salt=f"{cut.repeat}|official")
    return train.take(watched != 0), train.take(watched == 0), samples.take(samples.parts == "test")


def without_overlap(samples: Samples) -> Samples:
    """Leave out the training rows of an official cut that share a group with a row of its test part."""
    if samples.parts is None:
        return samples
    tested = set(samples.groups[samples.parts == "test"].tolist())
    shared = np.array([group in tested for group in samples.groups.tolist()], dtype=bool)
    return samples.take(~shared | (samples.parts == "test"))


def assign_folds(groups: np.ndarray, labels: np.ndarray, folds: int, *, salt: str, evenly: bool = False) -> np.ndarray:
    """Give every row a fold so that groups stay whole and classes are spread evenly.

    Greedy: the largest groups first, ties by hash, each to the fold that holds least of the group's classes, counted in
    rows. Pure Python floats and SHA-256, so the same bits on every machine, for ever.

    Args:
        groups: ``str (n,)``.
        labels: ``int64 (n,)``.
        folds: Number of folds.
        salt: Another text gives another partition.
        evenly: Count in groups where rows leave a fold more than one group of a class off, as where some have a hundred
            rows and most have one; patients are what a range is drawn over.

    Returns:
        ``int64 (n,)`` fold of each row, 0 to folds - 1.
    """
    counts: dict[str, dict[int, int]] = {}
    for group, label in zip(groups.tolist(), labels.tolist(), strict=True):
        of_group = counts.setdefault(group, {})
        of_group[label] = of_group.get(label, 0) + 1
    fold_of = _greedy(counts, folds, salt)
    if evenly and (uneven := _unevenness(counts, fold_of, folds)) > 0:
        # A group counts as one, parted over its classes; scaled by what all sizes divide, so that no fraction is needed
        # and groups of one size are dealt as by rows.
        whole = math.lcm(*{sum(of_group.values()) for of_group in counts.values()})
        shares = {g: {k: n * (whole // sum(of.values())) for k, n in of.items()} for g, of in counts.items()}
        by_groups = _greedy(counts, folds, salt, weights=shares)
        if _unevenness(counts, by_groups, folds) < uneven:
            fold_of = by_groups
    return np.fromiter((fold_of[g] for g in groups.tolist()), dtype=np.int64, count=len(groups))


def _greedy(
    counts: Mapping[str, Mapping[int, int]],
    folds: int,
    salt: str,
    weights: Mapping[str, Mapping[int, int]] | None = None,
) -> dict[str, int]:
    """Deal groups to folds.

    Args:
        counts: Rows of each class, by group.
        folds: Number of folds.
        salt: Orders groups of one size.
        weights: What a group counts of each of its classes; its rows if left out.
    """
    weights = weights or counts
    totals: dict[int, int] = {}
    for of_group in weights.values():
        for label, weight in of_group.items():
            totals[label] = totals.get(label, 0) + weight
    items = {group: sorted(of_group.items()) for group, of_group in weights.items()}
    order = sorted(counts, key=lambda g: (-max(counts[g].values()), -sum(counts[g].values()), shuffled_by(salt, g)))
    held = {label: [0] * folds for label in totals}
    sizes = [0] * folds
    fold_of: dict[str, int] = {}
    for group in order:
        members = items[group]
        if len(members) == 1:  # nearly always: the class held least decides, and no fractions are needed
            loads: list[Any] = held[members[0][0]]
        else:
            loads = [sum(m * held[k][f] / totals[k] ** 2 for k, m in members) for f in range(folds)]
        best = min(zip(loads, sizes, range(folds), strict=True))[2]
        fold_of[group] = best
        sizes[best] += sum(counts[group].values())
        for label, weight in members:
            held[label][best] += weight
    return fold_of


def _unevenness(counts: Mapping[str, Mapping[int, int]], fold_of: Mapping[str, int], folds: int) -> float:
    """Return by how much of an even share a fold's groups of a class are off, the worst of all, beyond one group."""
    held: dict[int, list[int]] = {}
    for group, of_group in counts.items():
        for label in of_group:
            held.setdefault(label, [0] * folds)[fold_of[group]] += 1
    return max((abs(folds * n - sum(of_label)) - folds) / sum(of_label) for of_label in held.values() for n in of_label)


def shuffled_by(salt: str, text: str) -> bytes:
    """Return what texts are sorted by: an order that depends on the salt alone."""
    return hashlib.sha256(f"medbench/1|{salt}|{text}".encode()).digest()


def _enough_groups(samples: Samples, folds: int) -> None:
    groups = [len(set(samples.groups[samples.labels == k].tolist())) for k in range(len(samples.classes))]
    rarest = min(groups)
    if rarest < folds:
        raise DataError(
            f"class {samples.classes[groups.index(rarest)]!r} has {counted(rarest, 'patient')}, too few for "
            f"{counted(folds, 'fold')}; "
            + (f"use --folds {rarest} or fewer." if rarest >= 2 else "it needs at least 2.")
        )
