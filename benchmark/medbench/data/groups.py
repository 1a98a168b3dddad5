"""Groups of rows: what shares a key or is linked belongs together, and so does all that hangs on it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np


class UnionFind:
    """Members 0 to n - 1 that are joined pair by pair: a union-find, in which the smallest member stands for all.

    Args:
        members: How many there are; at first each is by itself.
    """

    def __init__(self, members: int) -> None:
        self._parent = np.arange(members)

    def root(self, member: int) -> int:
        """Return the smallest of those that a member belongs with."""
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]  # halves the way of the next one who asks
            member = int(parent[member])
        return member

    def join(self, one: int, other: int) -> bool:
        """Join all that belongs with two members; say whether they were apart."""
        a, b = self.root(one), self.root(other)
        self._parent[max(a, b)] = min(a, b)
        return a != b

    def join_equal(self, keys: Iterable[Hashable | None]) -> None:
        """Join the members that have one key, given for each of them in turn; None joins nothing."""
        first: dict[Hashable, int] = {}
        for member, key in enumerate(keys):
            if key is not None:
                self.join(member, first.setdefault(key, member))

    def roots(self) -> np.ndarray:
        """Return ``int64 (n,)``: the root of every member."""
        while not np.array_equal(above := self._parent[self._parent], self._parent):
            self._parent = above
        return self._parent.copy()

    def apart(self, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Say of each pair of members whether they are apart."""
        roots = self.roots()
        return roots[ones] != roots[others]


def unite_groups(*keys: Iterable[str]) -> np.ndarray:
    """Unite rows that share any key; an empty key unites nothing.

    Args:
        keys: Columns of equal length, such as patients, studies and hashes of pixels.

    Returns:
        ``str (n,)``: the first row's first key names a group.
    """
    columns = [list(column) for column in keys]
    joined = UnionFind(len(columns[0]))
    for column in columns:
        joined.join_equal(key or None for key in column)
    return np.array([columns[0][row] for row in joined.roots().tolist()], dtype=np.str_)


def link_groups(groups: np.ndarray, links: Sequence[tuple[int, int]]) -> np.ndarray:
    """Unite the groups of linked rows under the name of the one that comes first.

    Args:
        groups: ``str (n,)``.
        links: Pairs of row numbers.

    Returns:
        ``str (n,)``.
    """
    names = groups.tolist()
    joined = UnionFind(len(names))
    joined.join_equal(names)
    for one, other in links:
        joined.join(one, other)
    return np.array([names[row] for row in joined.roots().tolist()], dtype=np.str_)
