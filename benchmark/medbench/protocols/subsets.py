"""Training on fewer patients: draws of whole groups, another draw for another salt."""

from __future__ import annotations

from collections import Counter

import numpy as np

from medbench.errors import DataError, Skip
from medbench.protocols.folds import shuffled_by
from medbench.samples import Samples
from medbench.text import counted


def draw_images(train: Samples, counts: str, *, salt: str) -> Samples:
    """Draw whole groups until each class has the wanted number of images.

    A group that would give a class more than is wanted is passed over, so a class may end a few images short where
    its groups are large.

    Raises:
        DataError: If a class has fewer images than wanted, or the number of counts is not the number of classes.
    """
    targets = [int(part) for part in counts.split("/")]
    if len(targets) != len(train.classes):
        raise DataError(
            f"train={counts} names {len(targets)} classes, the data set has {len(train.classes)}: "
            f"{', '.join(train.classes)}; give one count a class."
        )
    for name, target, available in zip(train.classes, targets, train.class_counts.tolist(), strict=True):
        if available < target:
            raise DataError(
                f"train={counts} wants {counted(target, 'image')} of {name!r}, the training part has {available}."
            )
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(train.groups.tolist()):
        rows.setdefault(group, []).append(row)
    left = list(targets)
    kept: list[int] = []
    for group in sorted(rows, key=lambda g: shuffled_by(f"{salt}|subsample", g)):
        classes = train.labels[rows[group]].tolist()
        if all(label >= 0 and classes.count(label) <= left[label] for label in set(classes)):
            kept += rows[group]
            for label in classes:
                left[label] -= 1
    return train.take(sorted(kept))


def draw_share(train: Samples, share: float, *, salt: str) -> Samples:
    """Draw a share of the groups of every class, at least one of each; a larger share holds every smaller one.

    A group whose rows differ in label counts for the set of its labels.

    Args:
        train: What is drawn from.
        share: Of the groups, above 0 to 1; 1 gives `train` as it is.
        salt: Another text gives another draw.
    """
    if share >= 1:
        return train
    strata = _strata(train, f"{salt}|share")
    kept = {group for groups in strata.values() for group in groups[: max(1, round(share * len(groups)))]}
    return train.take(np.array([group in kept for group in train.groups.tolist()]))


def draw_patients(train: Samples, number: int, *, salt: str, draw: int = 0) -> Samples:
    """Draw groups, classes in their proportion and one of each at least.

    Draws are disjoint while there are groups left, then begin anew in another order: what overlapping draws have in
    common, no further draw takes away. Draw 0 of a larger number holds that of every smaller one. Group i of the m of
    its class stands at (i + 1/2) / m of one queue, i = 0 in front: as many as wanted are counted off its head, so a
    class is off its share by less than one group. A group whose rows differ in label counts for the set of its labels;
    patients who share pixels are one.

    Args:
        train: What is drawn from.
        number: Groups wanted.
        salt: Another text gives other draws.
        draw: Which one, 0 or more.

    Raises:
        Skip: If there are fewer groups, or fewer are wanted than there are classes.
    """
    strata = _strata(train, f"{salt}|patients")
    available = sum(map(len, strata.values()))
    if number > available:
        raise Skip(f"the training part has {counted(available, 'patient')}")
    queue = sorted(
        ((2 * i + 1) / (2 * len(groups)) if i else 0.0, labels)
        for labels, groups in strata.items()
        for i in range(len(groups))
    )
    wanted = Counter(labels for _, labels in queue[:number])
    disjoint = min(len(strata[labels]) // n for labels, n in wanted.items())
    if block := draw // disjoint:
        strata = _strata(train, f"{salt}|patients|{block}")
    place = draw % disjoint
    kept = {group for labels, n in wanted.items() for group in strata[labels][place * n : (place + 1) * n]}
    drawn = train.take(np.array([group in kept for group in train.groups.tolist()]))
    if set(drawn.labels.tolist()) < set(train.labels.tolist()):
        raise Skip(f"{counted(number, 'patient', 'leave')} a class out of training")
    return drawn


def _strata(train: Samples, salt: str) -> dict[tuple[int, ...], list[str]]:
    """Return the groups by the set of their labels, in an order that depends on the salt alone."""
    labels: dict[str, set[int]] = {}
    for group, label in zip(train.groups.tolist(), train.labels.tolist(), strict=True):
        labels.setdefault(group, set()).add(label)
    strata: dict[tuple[int, ...], list[str]] = {}
    for group in sorted(labels, key=lambda g: shuffled_by(salt, g)):
        strata.setdefault(tuple(sorted(labels[group])), []).append(group)
    return strata
