"""Samples: images, labels and where they came from, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medbench.errors import DataError

UNLABELLED = -1


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of images or features with their labels and their origin.

    Attributes:
        x: ``(n, channels, *spatial)``. ``uint8`` pixels, read as [-1, 1], with two or three spatial axes; or
            ``float32`` features. May be memory-mapped and read-only.
        labels: ``int64 (n,)`` class numbers, -1 where a row has no label.
        ids: ``str (n,)``, unique over all data sets.
        patients: ``str (n,)``, the unit of scoring.
        groups: ``str (n,)``, what no cut may part: patient, study and duplicates united.
        sources: One tuple a row: empty for a real image, else the ids of the real images it was made from.
        classes: Names of the classes; a label is a position in it.
        made_of: SHA-256 of the data set the rows were taken from.
        masks: ``uint8 (n, *spatial)`` with 0 as background, or None where the data set has none.
        parts: ``str (n,)`` part of an official cut ("train", "test"), or None where there is none.
        sides: Whether classes are sides of the body, so that a picture mirrored left to right shows another class.
        scaled_by: ``float32 (m, ...)`` features by whose mean and deviation a classifier standardises, where a protocol
            takes them from other rows than these; None is from the real ones of these.
    """

    x: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    patients: np.ndarray
    groups: np.ndarray
    sources: tuple[tuple[str, ...], ...]
    classes: tuple[str, ...]
    made_of: str = ""
    masks: np.ndarray | None = None
    parts: np.ndarray | None = None
    sides: bool = False
    scaled_by: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.labels)
        for field in ("x", "ids", "patients", "groups", "sources", "masks", "parts"):
            column = getattr(self, field)
            if column is not None and len(column) != n:
                raise ValueError(f"{field} has {len(column)} rows, labels have {n}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_real(self) -> np.ndarray:
        """``bool (n,)``: True for rows read from a file, False for rows that were made."""
        return np.fromiter((not s for s in self.sources), dtype=bool, count=len(self.sources))

    @property
    def class_counts(self) -> np.ndarray:
        """``int64 (n_classes,)``: labelled rows of each class."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))

    def take(self, rows: np.ndarray | Sequence[int]) -> Samples:
        """Return the given rows, in that order; a boolean mask works too."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64, copy=False)
        return replace(
            self,
            x=self.x[rows],
            labels=self.labels[rows],
            ids=self.ids[rows],
            patients=self.patients[rows],
            groups=self.groups[rows],
            sources=tuple(self.sources[i] for i in rows),
            masks=None if self.masks is None else self.masks[rows],
            parts=None if self.parts is None else self.parts[rows],
        )

    def with_synthetic(
        self,
        x: np.ndarray,
        labels: np.ndarray,
        *,
        maker: str,
        sources: Sequence[tuple[str, ...]] | None = None,
    ) -> Samples:
        """Append made rows behind the rows there are.

        Args:
            x: ``(m, channels, *spatial)`` of this object's dtype and shape.
            labels: ``int64 (m,)``.
            maker: Short name of what made them; part of the new ids.
            sources: Ids of the real rows each was made from, where that is known; None names all real rows here and
                what the made ones come from.

        Returns:
            n + m rows. The new ones carry neither mask nor part.
        """
        if x.shape[1:] != self.x.shape[1:] or x.dtype != self.x.dtype:
            raise ValueError(
                f"{maker} made {x.dtype} {x.shape[1:]}; the training images are {self.x.dtype} {self.x.shape[1:]}"
            )
        real = self.is_real
        if sources is None:
            made_from = {id(s): s for s in self.sources}.values()  # made rows usually share one tuple
            every = dict.fromkeys((*map(str, self.ids[real]), *(name for s in made_from for name in s)))
            sources = (tuple(every),) * len(x)
        if len(sources) != len(x) or not all(sources):
            raise ValueError(f"{maker} made {len(x)} rows and named sources of {sum(map(bool, sources))} of them")
        first = int((~real).sum())  # rows made before may be of the same maker
        ids = np.array([f"{maker}#{first + i}" for i in range(len(x))], dtype=np.str_)
        made = np.full(len(x), f"made:{maker}", dtype=np.str_)
        return replace(
            self,
            x=np.concatenate([self.x, x]),
            labels=np.concatenate([self.labels, np.asarray(labels, dtype=np.int64)]),
            ids=np.concatenate([self.ids, ids]),
            patients=np.concatenate([self.patients, made]),
            groups=np.concatenate([self.groups, made]),
            sources=(*self.sources, *sources),
            masks=None,
            parts=None,
        )


def joins_patients(samples: Samples) -> bool:
    """Say whether some patients are one group, as those who share a picture are: they are drawn together then."""
    return len(set(samples.groups.tolist())) < len(set(samples.patients.tolist()))


def balanced_sampling(samples: Samples) -> np.ndarray:
    """Return the probability of each row under which all classes that have rows are equally likely.

    Returns:
        ``float64 (n,)`` summing to 1; rows of a class are equally likely, unlabelled rows are never drawn.

    Raises:
        DataError: If no row has a label.
    """
    counts = samples.class_counts
    present = np.count_nonzero(counts)
    if not present:
        raise DataError(
            f"labels: none of the {len(samples)} training rows has one, so no class can be drawn; check the labels."
        )
    weights = 1 / (present * np.maximum(counts, 1))
    return np.where(samples.labels >= 0, weights[samples.labels], 0.0)
