"""Classes with too few patients to be split: which, how many are left once patients are joined, and the way out."""

from __future__ import annotations

import numpy as np

from medbench.samples import Samples
from medbench.text import counted

NEEDED = 3
"""Patients of a class without whom no split has one to train on, one to watch the training and one to test."""
WAY_OUT = (
    "where different patients only look alike, join_near = false under [data] of the study file, or "
    "folder[join_near=false], keeps them apart"
)


def count_groups(samples: Samples) -> list[int]:
    """Return, for each class, the patients that splits count: those who are kept together count as one."""
    return [_different(samples.groups[samples.labels == k]) for k in range(len(samples.classes))]


def say_few(samples: Samples, folds: int = NEEDED) -> str:
    """Name the classes with fewer patients than folds, and say why they are so few; "" where there are none."""
    groups = count_groups(samples)
    few = [k for k, number in enumerate(groups) if number < folds]
    if not few:
        return ""
    own = {k: _different(samples.patients[samples.labels == k]) for k in few}
    named = [
        f"{samples.classes[k]!r} has {counted(own[k], 'patient')}"
        + (f", who count as {groups[k]}" if groups[k] < own[k] else "")
        for k in few
    ]
    joined = _say_joined(samples) if any(groups[k] < own[k] for k in few) else ""
    return "; ".join(filter(None, (f"class {'; '.join(named)}", joined)))


def explain_few(samples: Samples) -> str:
    """Say of the rarest class why so few of its patients are left, and the way out; "" where none was joined."""
    groups = count_groups(samples)
    k = groups.index(min(groups))
    own = _different(samples.patients[samples.labels == k])
    if groups[k] >= own:
        return ""
    return (
        f"Class {samples.classes[k]!r} has {counted(own, 'patient')}, who count as {groups[k]}; {_say_joined(samples)}"
        f". `medbench audit` lists the pictures; {WAY_OUT}."
    )


def _say_joined(samples: Samples) -> str:
    patients, groups = _different(samples.patients), _different(samples.groups)
    return (
        "those who share a picture, the same or nearly, are kept together in every split, so that "
        f"{patients:,} patients of all classes count as {groups:,}"
    )


def _different(column: np.ndarray) -> int:
    return len(set(column.tolist()))
