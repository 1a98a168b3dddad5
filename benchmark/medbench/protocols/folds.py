"""Cuts into training, validation and test, by group or by image.

A group stays together, classes are spread evenly, and the cut is the same on every machine.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
    if by == "groups":
        _enough_groups(samples, cut.folds)
    rows, groups = _grouped(samples, by)
    folds = _partition(samples, by, cut.folds, cut.repeat)
    rest = {name: group for name, group in groups.items() if folds[name] != cut.fold}
    watched = _greedy(rest, VALIDATION_FOLDS, salt=f"{cut.repeat}|{cut.fold}|validation")
    # Where the group of each row belongs: 0 is trained on, 1 watches, 2 is tested.
    part = np.array([2 if folds[name] == cut.fold else int(watched[name] == 0) for name in groups])[rows]
    train, validation, test = (samples.take(part == k) for k in range(3))
    return train, validation, test


@functools.lru_cache(maxsize=8)
def _grouped(samples: Samples, by: str) -> tuple[np.ndarray, dict[str, _Group]]:
    """Count the rows of each group once for all cuts; return the place of each row's group too, ``int64 (n,)``."""
    keys = getattr(samples, by)
    groups = _count(keys, samples.labels)
    places = {name: place for place, name in enumerate(groups)}
    return np.array([places[name] for name in keys.tolist()], dtype=np.int64), groups


@functools.lru_cache(maxsize=8)
def _partition(samples: Samples, by: str, folds: int, repeat: int) -> dict[str, int]:
    """Assign the folds of a repeat once for all of them."""
    return _deal(_grouped(samples, by)[1], folds, salt=str(repeat), evenly=True)


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
    fold_of = _deal(_count(groups, labels), folds, salt=salt, evenly=evenly)
    return np.fromiter((fold_of[g] for g in groups.tolist()), dtype=np.int64, count=len(groups))


@dataclass(frozen=True)
class _Group:
    """What stays together.

    Attributes:
        rows: Number of rows of each class, by class.
        size: Number of rows.
        place: What groups are sorted by, those that are dealt first before others.
    """

    rows: tuple[tuple[int, int], ...]
    size: int
    place: tuple[int, int]


def _count(groups: np.ndarray, labels: np.ndarray) -> dict[str, _Group]:
    counts: dict[str, dict[int, int]] = {}
    for group, label in zip(groups.tolist(), labels.tolist(), strict=True):
        of_group = counts.setdefault(group, {})
        of_group[label] = of_group.get(label, 0) + 1
    return {
        name: _Group(tuple(sorted(of.items())), sum(of.values()), (-max(of.values()), -sum(of.values())))
        for name, of in counts.items()
    }


def _deal(groups: Mapping[str, _Group], folds: int, *, salt: str, evenly: bool) -> dict[str, int]:
    """Deal groups to folds as :func:`assign_folds` says; return the fold of each."""
    fold_of = _greedy(groups, folds, salt)
    if evenly and (uneven := _unevenness(groups, fold_of, folds)) > 0:
        # A group counts as one, parted over its classes; scaled by what all sizes divide, so that no fraction is needed
        # and groups of one size are dealt as by rows.
        whole = math.lcm(*{group.size for group in groups.values()})
        shares = {name: tuple((k, n * (whole // g.size)) for k, n in g.rows) for name, g in groups.items()}
        by_groups = _greedy(groups, folds, salt, weights=shares)
        if _unevenness(groups, by_groups, folds) < uneven:
            fold_of = by_groups
    return fold_of


def _greedy(
    groups: Mapping[str, _Group],
    folds: int,
    salt: str,
    weights: Mapping[str, tuple[tuple[int, int], ...]] | None = None,
) -> dict[str, int]:
    """Deal groups to folds.

    Args:
        groups: By name.
        folds: Number of folds.
        salt: Orders groups of one size.
        weights: What a group counts of each of its classes; its rows if left out.
    """
    totals: dict[int, int] = {}
    for members in weights.values() if weights else (group.rows for group in groups.values()):
        for label, weight in members:
            totals[label] = totals.get(label, 0) + weight
    above = 1 + sum(group.size for group in groups.values())  # no fold holds as many rows
    ranks = {label: [0] * folds for label in totals}  # of a fold: above * what it holds of the class + its rows
    of_labels = list(ranks.values())
    fold_of: dict[str, int] = {}
    for _, _, name in sorted([(group.place, shuffled_by(salt, name), name) for name, group in groups.items()]):
        group = groups[name]
        members = weights[name] if weights else group.rows
        if len(members) == 1:  # nearly always: the class held least decides, then the rows, and no fractions are needed
            of_label = ranks[members[0][0]]
            best = of_label.index(min(of_label))
        else:
            loads = [sum(m * (ranks[k][f] // above) / totals[k] ** 2 for k, m in members) for f in range(folds)]
            rows = [rank % above for rank in of_labels[0]]
            best = min(zip(loads, rows, range(folds), strict=True))[2]
        fold_of[name] = best
        for of_label in of_labels:
            of_label[best] += group.size
        for label, weight in members:
            ranks[label][best] += weight * above
    return fold_of


def _unevenness(groups: Mapping[str, _Group], fold_of: Mapping[str, int], folds: int) -> float:
    """Return by how much of an even share a fold's groups of a class are off, the worst of all, beyond one group."""
    held: dict[int, list[int]] = {}
    for name, group in groups.items():
        for label, _ in group.rows:
            held.setdefault(label, [0] * folds)[fold_of[name]] += 1
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
