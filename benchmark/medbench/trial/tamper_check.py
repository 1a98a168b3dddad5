"""Whether a plugin changed the samples that it was handed: digests taken before its call are compared after.

A read-only flag stops an honest mistake at its line. It does not stop ``torch.from_numpy(x).mul_(-1)``, which shares
the memory, nor ``x.setflags(write=True)``; both changed a result without a word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medbench.errors import ContractError, LeakError
from medbench.interfaces import TrainingSet
from medbench.samples import Samples

COLUMNS = ("x", "labels", "ids", "patients", "groups", "masks", "parts")
"""Columns of samples that are arrays; the others are tuples, which nobody can write into."""
TUPLES = ("sources", "classes")


@dataclass(frozen=True, eq=False)
class _Column:
    owner: Any
    column: str
    what: str
    value: Any
    digest: bytes


@dataclass(eq=False)
class TamperCheck:
    """Everything that plugins of a trial were handed so far, and whether it is unchanged.

    One array that stands in several places is read once a comparison: comparing costs about a second a gigabyte.
    """

    _columns: list[_Column] = field(default_factory=list)

    def add(self, what: str, *handed: Samples | TrainingSet) -> None:
        """Remember samples, or training sets with their samples, as they are now; `what` is how errors call them."""
        known = {id(column.value): column.digest for column in self._columns}
        for owner, column in (pair for one in handed for pair in _columns_of(one)):
            value = getattr(owner, column)
            if id(value) not in known:
                known[id(value)] = _digest(value)
            self._columns.append(_Column(owner, column, what, value, known[id(value)]))

    def check(self, plugin: str, *given: str) -> None:
        """Raise an error if anything that is remembered has changed.

        Args:
            plugin: Who ran since the last comparison, as "augmenter 'invert'".
            given: What of it the plugin was handed.

        Raises:
            ContractError: If it changed what it was given.
            LeakError: If it changed what it was not given.
        """
        now: dict[int, bytes] = {}
        for column in sorted(self._columns, key=lambda c: c.what not in given):  # one array may stand in several places
            value = getattr(column.owner, column.column)
            if value is column.value:
                if id(value) not in now:
                    now[id(value)] = _digest(value)
                if now[id(value)] == column.digest:
                    continue
            if column.what in given:
                raise ContractError(
                    f"{plugin} changed the {column.column} of the {column.what} it was given; work on a copy, as "
                    f"{column.column}.copy() is, and return new arrays."
                )
            raise LeakError(
                f"{plugin} changed the {column.column} of the {column.what}, which it is not given: it must not reach "
                "for what the core keeps from it."
            )


@contextmanager
def unchanged(what: str, handed: Samples, plugin: str) -> Iterator[None]:
    """Raise :class:`medbench.ContractError` if the block, which `plugin` names, changes samples it is handed."""
    before = TamperCheck()
    before.add(what, handed)
    yield
    before.check(plugin, what)


def _columns_of(handed: Samples | TrainingSet) -> Iterator[tuple[Any, str]]:
    samples = handed.samples if isinstance(handed, TrainingSet) else handed
    yield from ((samples, column) for column in (*COLUMNS, *TUPLES))
    if isinstance(handed, TrainingSet):
        yield from ((handed, column) for column in ("samples", "sampling", "frequencies", "bags"))


def _digest(value: Any) -> bytes:
    """Return a digest of an array, or of a tuple of arrays; anything else cannot be written into."""
    arrays = value if isinstance(value, tuple) else (value,)
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        if not isinstance(array, np.ndarray):
            break  # sources and classes: tuples of text
        found.update(f"{array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data if array.size else b"")
    return found.digest()
