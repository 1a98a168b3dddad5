"""Evaluation protocols: in which order samples are cut and training sets prepared.

The order is the whole difference between an honest number and a leaky one. Honest protocols cut first and prepare the
training part; leaky ones, kept to rerun published studies, prepare first or cut what belongs together. Every protocol
declares its leaks; anything found beyond them stops the run.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.interfaces import TrainingSet
from medbench.recipes import configure, did_you_mean, listing, parse
from medbench.samples import Samples

VALIDATION_FOLDS = 10  # a tenth of the training part only watches whether the loss still falls

Prepare = Callable[..., tuple[Any, ...]]
"""``prepare(train, *held_out) -> (training set, *held_out)``."""


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


@dataclass(frozen=True)
class EvaluationProtocol:
    """One of the orders below.

    Attributes:
        name: What it is called on the command line.
        train: Subsample of the training part, wanted images a class in the order of the classes, as in
            "1000/140/52"; drawn by group, another draw each repeat. Empty: all.
    """

    name: Literal["patients", "official", "images", "select-on-test", "augment-first"] = "patients"
    train: str = ""

    @property
    def leaks(self) -> frozenset[str]:
        """Leaks that this protocol is known for; empty for an honest one."""
        return _LEAKS[self.name]

    @property
    def is_honest(self) -> bool:
        """Whether the protocol declares no leak, so that its numbers may be ranked."""
        return not self.leaks

    def folds(self, wanted: int) -> int:
        """Return the number of folds: an official cut has one, whatever was wanted."""
        return 1 if self.name == "official" else wanted

    def arrange(self, samples: Samples, cut: Cut, prepare: Prepare) -> tuple[TrainingSet, Samples, Samples]:
        """Cut samples and prepare the training set, in this protocol's order.

        Args:
            samples: All labelled samples of the data set.
            cut: Fold and repeat.
            prepare: Called once, with the samples to learn from first and held-out samples behind them.

        Returns:
            Training set, validation, test.
        """
        if self.name == "augment-first":
            if self.train:
                samples = subsample(samples, self.train, salt=str(cut.repeat))
            (made,) = prepare(samples)
            train, validation, test = cut_samples(made.samples, cut, by="ids")
            return _restrict(made, train), validation, test
        by: Literal["groups", "ids"] = "ids" if self.name == "images" else "groups"
        cutter = official_cut if self.name == "official" else cut_samples
        train, validation, test = cutter(samples, cut, by=by)
        if self.train:
            train = subsample(train, self.train, salt=f"{cut.repeat}|{cut.fold}")
        if self.name == "select-on-test":
            validation = test
        training_set, validation, test = prepare(train, validation, test)
        return training_set, validation, test


_LEAKS: dict[str, frozenset[str]] = {
    "patients": frozenset(),
    "official": frozenset(),
    "images": frozenset({"same-patient"}),
    "select-on-test": frozenset({"selected-on-test"}),
    "augment-first": frozenset({"same-patient", "copy", "synthetic-scored", "fitted-on-test"}),
}
PROTOCOLS = tuple(_LEAKS)


def protocol(text: str) -> EvaluationProtocol:
    """Resolve ``patients``, ``official[train=1000/140/52]`` and so on.

    Raises:
        UsageError: For an unknown protocol or parameter.
    """
    spec = parse(text)
    if spec.name not in _LEAKS:
        raise UsageError(
            f"no protocol is named {spec.name!r}{did_you_mean(spec.name, PROTOCOLS)}; there are: {listing(PROTOCOLS)}."
        )

    def no_recipes(kind: str, name: str) -> Any:
        raise UsageError(f"a protocol has no {kind}: {name!r}.")

    found: EvaluationProtocol = configure(EvaluationProtocol(spec.name), spec.parameters, no_recipes)  # type: ignore[arg-type]
    if found.train and not re.fullmatch(r"[0-9]{1,9}(/[0-9]{1,9})*", found.train):
        raise UsageError(f"{text}: train={found.train!r} is not counts with slashes; write train=1000/140/52.")
    return found


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
    return assign_folds(getattr(samples, by), samples.labels, folds, salt=str(repeat))


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


def assign_folds(groups: np.ndarray, labels: np.ndarray, folds: int, *, salt: str) -> np.ndarray:
    """Give every row a fold so that groups stay whole and classes are spread evenly.

    Greedy: the largest groups first, ties by hash, each to the fold that holds least of the group's classes. Pure
    Python floats and SHA-256, so the same bits on every machine, for ever.

    Args:
        groups: ``str (n,)``.
        labels: ``int64 (n,)``.
        folds: Number of folds.
        salt: Another text gives another partition.

    Returns:
        ``int64 (n,)`` fold of each row, 0 to folds - 1.
    """
    counts: dict[str, dict[int, int]] = {}
    totals: dict[int, int] = {}
    for group, label in zip(groups.tolist(), labels.tolist(), strict=True):
        of_group = counts.setdefault(group, {})
        of_group[label] = of_group.get(label, 0) + 1
        totals[label] = totals.get(label, 0) + 1
    items = {group: sorted(of_group.items()) for group, of_group in counts.items()}
    order = sorted(counts, key=lambda g: (-max(counts[g].values()), -sum(counts[g].values()), _hash(salt, g)))
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
        for label, n in members:
            held[label][best] += n
            sizes[best] += n
    return np.fromiter((fold_of[g] for g in groups.tolist()), dtype=np.int64, count=len(groups))


def subsample(train: Samples, wanted: str, *, salt: str) -> Samples:
    """Draw whole groups until each class has the wanted number of images.

    A group that would give a class more than is wanted is passed over, so a class may end a few images short where
    its groups are large.

    Raises:
        DataError: If a class has fewer images than wanted, or the number of counts is not the number of classes.
    """
    targets = [int(part) for part in wanted.split("/")]
    if len(targets) != len(train.classes):
        raise DataError(
            f"train={wanted} names {len(targets)} classes, the data set has {len(train.classes)}: "
            f"{', '.join(train.classes)}; give one count a class."
        )
    for name, target, available in zip(train.classes, targets, train.class_counts.tolist(), strict=True):
        if available < target:
            raise DataError(f"train={wanted} wants {target} images of {name!r}, the training part has {available}.")
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(train.groups.tolist()):
        rows.setdefault(group, []).append(row)
    left = list(targets)
    kept: list[int] = []
    for group in sorted(rows, key=lambda g: _hash(f"{salt}|subsample", g)):
        classes = train.labels[rows[group]].tolist()
        if all(label >= 0 and classes.count(label) <= left[label] for label in set(classes)):
            kept += rows[group]
            for label in classes:
                left[label] -= 1
    return train.take(sorted(kept))


def _enough_groups(samples: Samples, folds: int) -> None:
    groups = [len(set(samples.groups[samples.labels == k].tolist())) for k in range(len(samples.classes))]
    rarest = min(groups)
    if rarest < folds:
        raise DataError(
            f"class {samples.classes[groups.index(rarest)]!r} has {rarest} patients, too few for {folds} folds; "
            + (f"use --folds {rarest} or fewer." if rarest >= 2 else "it needs at least 2.")
        )


def _restrict(made: TrainingSet, train: Samples) -> TrainingSet:
    sampling = made.sampling
    if sampling is not None:
        position = {name: row for row, name in enumerate(made.samples.ids.tolist())}
        kept = sampling[[position[name] for name in train.ids.tolist()]]
        sampling = kept / kept.sum()
    bags = made.bags
    if bags is not None:
        place = {name: row for row, name in enumerate(train.ids.tolist())}
        there = np.array([place.get(name, -1) for name in made.samples.ids.tolist()], dtype=np.int64)
        left = [there[rows][there[rows] >= 0] for rows in bags]
        bags = tuple(rows for rows in left if len(rows))
        if not bags:
            raise DataError("the cut left no row in any bag of the training set; use fewer folds.")
    return TrainingSet(train, made.transform, sampling, made.loss, made.frequencies, bags)


def _hash(salt: str, text: str) -> bytes:
    return hashlib.sha256(f"medbench/1|{salt}|{text}".encode()).digest()


def groups_united(*keys: Iterable[str]) -> np.ndarray:
    """Unite rows that share any key; an empty key unites nothing.

    Args:
        keys: Columns of equal length, such as patients, studies and hashes of pixels.

    Returns:
        ``str (n,)``: the first row's first key names a group.
    """
    columns = [list(column) for column in keys]
    parent = list(range(len(columns[0])))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for number, column in enumerate(columns):
        first: dict[tuple[int, str], int] = {}
        for row, key in enumerate(column):
            if key:
                one, other = root(row), root(first.setdefault((number, key), row))
                parent[max(one, other)] = min(one, other)
    return np.array([columns[0][root(row)] for row in range(len(parent))], dtype=np.str_)
