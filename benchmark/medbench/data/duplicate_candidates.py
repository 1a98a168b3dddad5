"""Which pairs of pictures may be one: told by descriptors that all flips and turns leave alone, so that none is missed.

A descriptor is a projection, or a list in order of value: neither puts two pictures further apart than they are. A
crowd of pictures that are all one is compared with its first alone, and what cannot be told apart is met in blocks of
rows that are as small as memory wants, so that pictures with nothing in them cost no more than others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from medbench.data.groups import UnionFind
from medbench.data.picture_planes import flips_and_turns

BLOCK = 2048  # rows and columns of a matrix product: 16 MB in float32
CROWD = 4  # candidates a row from which on longer descriptors pay
MOST = 2**21  # candidates in memory; where a block of rows has more, fewer rows are taken
PART = 0.25  # of the places that turns exchange: what noise is told apart by
AT_ONCE = 256  # rows that are put in order at a time
SLACK, SLACK_OF_MANY = 1e-4, 1e-3  # float32 sums of a hundred squares, and of some thousand


class Belongs:
    """Which rows belong together, and which show one picture, as far as is known.

    Args:
        known: Group of each row.
        same: What rows of equal pixels share, None for none; empty where no two are equal.
        marks: What must not differ within a picture.
    """

    def __init__(self, known: Sequence[str], same: Sequence[str | None], marks: Sequence[str]) -> None:
        self._groups, self._pictures = UnionFind(len(known)), UnionFind(len(known))
        self._groups.join_equal(known)
        self._pictures.join_equal(same)
        self._marks = np.unique(np.asarray(marks), return_inverse=True)[1]

    def join(self, i: int, j: int) -> bool:
        """Make one picture of two rows, and say whether that links two groups or two marks of a group."""
        linked, one = self._groups.join(i, j), self._pictures.join(i, j)
        return linked or (one and bool(self._marks[i] != self._marks[j]))

    def open(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Say of pairs whether they are looked at; `i` and `j` broadcast."""
        groups, pictures = self._groups.roots(), self._pictures.roots()
        found: np.ndarray = groups[i] != groups[j]
        if self._marks.any():
            found |= (self._marks[i] != self._marks[j]) & (pictures[i] != pictures[j])
        return found


def _orbits(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return what flips and turns exchange in pictures of a shape: ``int64 (orbits, length)`` for each length."""
    places = np.arange(math.prod(shape)).reshape(1, *shape)
    turned = np.stack([turn[0].ravel() for turn in flips_and_turns(places)])  # (turns, d): where each place goes
    first = np.unique(np.sort(turned, axis=0).T, axis=0)  # (orbits, turns); a place on an axis stands there twice
    columns = [np.unique(orbit) for orbit in first]
    lengths = sorted({len(orbit) for orbit in columns})
    return [np.array([orbit for orbit in columns if len(orbit) == length]) for length in lengths]


def _in_blocks(unit: np.ndarray, block: int) -> np.ndarray:
    """Return ``float32 (n, planes, side / block, side / block)``: the part of each picture that is even in blocks."""
    n, depth, side, _ = unit.shape
    block = block if side % block == 0 else 1
    coarse = np.empty((n, depth, side // block, side // block), dtype=np.float32)
    for start in range(0, n, BLOCK):
        part = unit[start : start + BLOCK]
        blocks = part.reshape(len(part), depth, side // block, block, side // block, block)
        coarse[start : start + BLOCK] = blocks.mean((3, 5)) * block
    return coarse


def _invariant(unit: np.ndarray, block: int) -> np.ndarray:
    """Return ``float32 (n, d)`` of length 1 that no flip or turn changes, no two further apart than the pictures.

    The mean of a picture in blocks over all turns, each value of which stands once for all places that it fills, times
    the root of their number; then the lengths of what that leaves of the blocks and of the picture.
    """
    coarse = _in_blocks(unit, block)
    flat = coarse.reshape(len(coarse), -1)
    of_orbits = [flat[:, orbits].sum(2) / math.sqrt(orbits.shape[1]) for orbits in _orbits(coarse.shape[1:])]
    symmetric = np.concatenate(of_orbits, axis=1)
    same, middle = (symmetric**2).sum(1), (flat**2).sum(1)
    left = np.sqrt(np.maximum(np.stack([middle - same, 1 - middle], axis=1), 0))
    return np.concatenate([symmetric, left], axis=1)


def candidates(
    whole: np.ndarray,
    detail: np.ndarray,
    belongs: Belongs,
    *,
    of_whole: float,
    of_detail: float,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield row numbers of open pairs whose descriptors allow the correlations wanted, in the order of their rows.

    Descriptors have length 1, so that their product bounds the correlation. What is yielded is compared, and joined,
    before the next is looked for: a crowd of pictures that are all one is compared with its first picture alone.

    Args:
        whole: ``float32 (n, planes, side, side)`` of mean 0 and length 1.
        detail: The same of the detail.
        belongs: Tells which pairs are open.
        of_whole: Correlation of the pictures from which on they may be one.
        of_detail: The same of their detail.
        progress: Told how many of the rows are done.
    """
    coarse, other = _invariant(detail, 2), _invariant(whole, 4)
    longer: list[np.ndarray] = []

    def in_order(rows: slice, columns: slice) -> np.ndarray:
        # Pictures of noise have nothing coarse to be told apart by: their pixels, each eight that turns exchange put in
        # order, tell what a turn leaves alone. A part of them is enough to see that.
        if not longer:
            longer.append(_sort_turns(detail))
        return longer[0][rows] @ longer[0][columns].T >= of_detail - SLACK_OF_MANY

    def by_turns(rows: slice, columns: slice) -> np.ndarray:
        return _compare_turns(whole, detail, rows, columns, of_whole, of_detail)

    screens: tuple[Screen, ...] = (
        (0, lambda rows, columns: coarse[rows] @ coarse[columns].T >= of_detail - SLACK),
        (CROWD, lambda rows, columns: other[rows] @ other[columns].T >= of_whole - SLACK),
        (CROWD, in_order),
        (8 * CROWD, by_turns),
    )
    n, start, step = len(detail), 0, BLOCK
    while start < n:
        if progress:
            progress(start, n)
        rows = slice(start, min(n, start + step))
        found = _screen(rows, n, screens, belongs, MOST if step > 1 else n)
        if found is None:
            step = max(1, step // 8)
            continue
        i, j = found
        kept = belongs.open(i, j)
        i, j = i[kept], j[kept]
        for descriptor, least in ((coarse, of_detail - SLACK), (other, of_whole - SLACK)):
            kept = _products(descriptor, i, j) >= least
            i, j = i[kept], j[kept]
        yield i, j
        start, step = rows.stop, min(BLOCK, 2 * step)


Screen = tuple[int, Callable[[slice, slice], np.ndarray]]
"""Candidates a row from which on it pays, and what says of rows and columns ``bool`` which pairs may be one."""


def _screen(
    rows: slice, n: int, screens: Sequence[Screen], belongs: Belongs, most: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the likely pairs of some rows and all that come after each, or None where there are more than `most`.

    Args:
        rows: Up to BLOCK of them.
        n: How many rows there are.
        screens: The first is asked of every pair, each further one where many are left.
        belongs: Tells which pairs are open; asked where many are left.
        most: Pairs that may be returned.
    """
    left: list[tuple[np.ndarray, np.ndarray]] = []
    count = 0
    for at in range(rows.start, n, BLOCK):
        columns = slice(at, min(n, at + BLOCK))
        (_, first), *further = screens
        likely = first(rows, columns)
        likely = np.triu(likely, 1) if at == rows.start else likely
        if np.count_nonzero(likely) > CROWD * len(likely):
            likely &= belongs.open(np.arange(n)[rows, None], np.arange(n)[columns])
        for crowd, may_be_one in further:
            if np.count_nonzero(likely) > crowd * len(likely):
                likely &= may_be_one(rows, columns)
        count += int(np.count_nonzero(likely))
        if count > most:
            return None
        i, j = np.nonzero(likely)
        left.append((i + rows.start, j + at))
    i, j = (np.concatenate(part) for part in zip(*left, strict=True))
    order = np.lexsort((j, i))
    return i[order], j[order]


def _compare_turns(
    whole: np.ndarray, detail: np.ndarray, rows: slice, columns: slice, of_whole: float, of_detail: float
) -> np.ndarray:
    """Return ``bool (rows, columns)``: which pairs correlate as wanted under one turn, give or take the sums."""
    found = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
    blocks, of_blocks = _in_blocks(whole[rows], 4), _in_blocks(whole[columns], 4)
    left, of_left = (np.sqrt(np.maximum(1 - (x**2).sum((1, 2, 3)), 0)) for x in (blocks, of_blocks))
    coarse, fine = of_blocks.reshape(len(of_blocks), -1), detail[columns].reshape(len(of_blocks), -1)
    least = of_whole - SLACK - left[:, None] * of_left  # what is not even in blocks adds no more than that
    for turned, turned_detail in zip(flips_and_turns(blocks), flips_and_turns(detail[rows]), strict=True):
        fits = turned.reshape(len(turned), -1) @ coarse.T >= least
        of_rows = np.flatnonzero(fits.any(1))
        if len(of_rows):
            product = turned_detail[of_rows].reshape(len(of_rows), -1) @ fine.T
            found[of_rows] |= fits[of_rows] & (product >= of_detail - SLACK_OF_MANY)
    return found


def _products(values: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return ``float32 (m,)``: the products of rows `i` and rows `j` of ``(n, d)``."""
    found = np.empty(len(i), dtype=np.float32)
    for start in range(0, len(i), BLOCK):
        part = slice(start, start + BLOCK)
        found[part] = np.einsum("nd,nd->n", values[i[part]], values[j[part]])
    return found


def _sort_turns(unit: np.ndarray) -> np.ndarray:
    """Return ``float32 (n, d)`` of length 1: what the turns exchange, in order of value, of a PART of the places.

    Sorting never puts two lists further apart than they are, in whichever order they stood, so this is as safe as
    :func:`_invariant`; it tells pictures of noise apart. It takes the places that vary most, and the length
    of all others.
    """
    flat = unit.reshape(len(unit), -1)
    spread = flat.std(0)
    kept = []
    for orbits in _orbits(unit.shape[1:]):
        most = np.argsort(-spread[orbits].mean(1), kind="stable")
        kept.append(orbits[most[: max(1, round(PART * len(orbits)))]])
    found = np.empty((len(flat), sum(orbits.size for orbits in kept) + 1), dtype=np.float32)
    for start in range(0, len(flat), AT_ONCE):
        block = _in_order(flat[start : start + AT_ONCE], kept)
        found[start : start + AT_ONCE, :-1] = block
        found[start : start + AT_ONCE, -1] = np.sqrt(np.maximum(1 - (block**2).sum(1), 0))
    return found


def _in_order(flat: np.ndarray, orbits: Sequence[np.ndarray]) -> np.ndarray:
    """Return ``float32 (n, places)``: those of ``(n, d)`` that stand in `orbits`, each orbit in order of value."""
    return np.concatenate([np.sort(flat[:, of], axis=2).reshape(len(flat), -1) for of in orbits], axis=1)
