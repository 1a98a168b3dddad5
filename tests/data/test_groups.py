"""Groups: whatever shares a key or is linked ends in one group, named by its first row, as scipy's components say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medbench.data.groups import UnionFind, link_groups, unite_groups

KEYS = st.sampled_from(["", "a", "b", "c", "d", "e", "f", "g"])


def smallest(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Return the smallest member of everyone's component, by scipy."""
    one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    of = connected_components(coo_array((np.ones(len(pairs)), (one, other)), shape=(n, n)), directed=False)[1]
    return [int(np.flatnonzero(of == component)[0]) for component in of]


def sharing(column: list[str]) -> list[tuple[int, int]]:
    return [(i, j) for j, key in enumerate(column) for i in range(j) if key == column[i]]


def test_any_shared_key_unites() -> None:
    groups = unite_groups(["a", "b", "c", "d"], ["s1", "s2", "", ""], ["x", "", "x", ""])

    assert groups.tolist() == ["a", "b", "a", "d"]


def test_links_unite_whole_groups_under_the_first_name() -> None:
    groups = link_groups(np.array(["b", "a", "b", "c", "d"]), [(4, 1), (2, 4)])

    assert groups.tolist() == ["b", "b", "b", "c", "b"]


def test_nothing_gives_nothing() -> None:
    assert unite_groups([], []).tolist() == link_groups(np.array([], dtype=np.str_), []).tolist() == []


@given(st.lists(st.tuples(KEYS, KEYS, KEYS), min_size=1, max_size=30))
def test_shared_keys_give_the_connected_components(rows: list[tuple[str, str, str]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]

    groups = unite_groups(*columns)

    pairs = [(i, j) for column in columns for i, j in sharing(column) if column[i]]
    assert groups.tolist() == [columns[0][root] for root in smallest(len(rows), pairs)]


@given(st.lists(KEYS, min_size=1, max_size=30), st.data())
def test_links_give_the_connected_components(names: list[str], data: st.DataObject) -> None:
    row = st.integers(0, len(names) - 1)
    links = data.draw(st.lists(st.tuples(row, row), max_size=20))

    groups = link_groups(np.array(names), links)

    assert groups.tolist() == [names[root] for root in smallest(len(names), [*links, *sharing(names)])]


@given(st.integers(1, 30), st.data())
def test_a_join_says_whether_two_were_apart(n: int, data: st.DataObject) -> None:
    member = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(member, member), max_size=40))
    joined = UnionFind(n)

    for done, (one, other) in enumerate(pairs):
        before = smallest(n, pairs[:done])
        assert joined.apart(np.array([one]), np.array([other])).tolist() == [before[one] != before[other]]
        assert joined.join(one, other) == (before[one] != before[other])

    assert joined.roots().tolist() == smallest(n, pairs) == [joined.root(i) for i in range(n)]
