"""Pictures that are one picture: re-encoded, resized, brightened, mirrored or turned; and those that only look alike.

Two pictures are one where both correlations reach their threshold in the same of the eight flips and quarter turns:
that of the pictures at 48 pixels, and that of their detail, which is the picture less its own blur. The first alone
takes any two well-aligned radiographs for one; drawn phantoms reach .99 there and .94 in their detail. How the
thresholds were found, and what escapes them, is in docs/explanation/data-audit.md.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medbench.data.groups import UnionFind
from medbench.data.picture_planes import FLAT, SIDE, blur, comparable_planes, flips_and_turns, normalise, resize

WHOLE = 0.97  # correlation of the pictures
DETAIL = 0.96  # and of their detail
DETAIL_OF_FEW = 0.975  # the same below SIDE pixels, where drawn radiographs of two patients reach .96
LOOK_ALIKE = 8  # of the 64 bits of a perceptual hash
BLOCK = 2048  # rows of a matrix product: 16 MB in float32
CHECKED = 4096  # candidate pairs compared at a time
CROWD = 64  # candidates a picture from which on the longer descriptor pays


@dataclass(frozen=True)
class Pair:
    """Two rows.

    Attributes:
        first: The smaller row number.
        second: The larger one.
        value: Correlation of the pictures, or bits in which their hashes differ.
    """

    first: int
    second: int
    value: float


def find_duplicates(
    pixels: np.ndarray,
    known: Sequence[str] | np.ndarray,
    *,
    same: Sequence[str] = (),
    marks: Sequence[Hashable] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Pair]:
    """Find pictures that are one, among those that are not known to belong together or are marked differently.

    Each pair found joins its two groups, and pairs within one group are looked at again only where their marks differ
    and no pair found so far makes one picture of them: so what is returned links the groups and whatever must not
    differ within a picture, and does not list every pair of a large one.

    Candidates come from a descriptor that all eight flips and turns leave alone. It is a projection, so it never puts
    two pictures further apart than they are: no pair is missed.

    Args:
        pixels: ``uint8 (n, channels, *spatial)``; channels are averaged. Of a volume, the planes at a quarter, half and
            three quarters of its first axis are compared, turned within the plane and mirrored along that axis: a small
            volume of the whole has too little detail to tell one brain from another.
        known: ``(n,)`` group of each row, such as patients and studies united with equal pixels.
        same: ``(n,)`` what rows of equal pixels share, empty for a blank picture; left out: no two are equal.
        marks: ``(n,)`` such as label and part of an official cut; left out: all alike.
        progress: Told how many of the rows were compared.

    Returns:
        Pairs in the order of their rows. A picture without contrast (see FLAT), in itself or in its detail, is in none.
    """
    return find_duplicate_planes(comparable_planes(pixels), known, same=same, marks=marks, progress=progress)


def find_duplicate_planes(
    views: np.ndarray,
    known: Sequence[str] | np.ndarray,
    *,
    same: Sequence[str] = (),
    marks: Sequence[Hashable] = (),
    progress: Callable[[int, int], None] | None = None,
) -> list[Pair]:
    """Do as :func:`find_duplicates` with what :func:`comparable_planes` gives."""
    whole, detail = normalise(views), normalise(views - blur(views))
    seen = np.flatnonzero(whole.any((1, 2, 3)) & detail.any((1, 2, 3)))
    if len(seen) < 2:
        return []
    whole, detail = whole[seen], detail[seen]
    joined, pictures = UnionFind(len(seen)), UnionFind(len(seen))
    joined.join_equal(np.asarray(known)[seen].tolist())
    pictures.join_equal(same[row] or None for row in seen.tolist() if same)
    mark = np.unique([repr(marks[row]) if marks else "" for row in seen.tolist()], return_inverse=True)[1]

    def open_(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        apart = joined.apart(i, j)
        within = np.flatnonzero(~apart & (mark[i] != mark[j]))
        apart[within] = pictures.apart(i[within], j[within])
        return apart

    wanted = DETAIL if views.shape[-1] == SIDE else DETAIL_OF_FEW
    found: list[Pair] = []
    for rows, columns in _candidates(whole, detail, wanted, open_, progress):
        for start in range(0, len(rows), CHECKED):
            first, second = rows[start : start + CHECKED], columns[start : start + CHECKED]
            kept = open_(first, second)
            first, second = first[kept], second[kept]
            value = _agreement(whole, detail, first, second, wanted)
            for i, j, v in zip(first.tolist(), second.tolist(), value.tolist(), strict=True):
                if v < WHOLE:
                    continue
                linked, one = joined.join(i, j), pictures.join(i, j)
                if linked or (one and mark[i] != mark[j]):
                    found.append(Pair(int(seen[i]), int(seen[j]), v))
    return sorted(found, key=lambda pair: (pair.first, pair.second))


def find_look_alikes(pixels: np.ndarray, groups: Sequence[str] | np.ndarray) -> list[Pair]:
    """Find pictures of different groups whose perceptual hashes are close: to be looked at, never a verdict.

    On ultrasound and brain slices, 7 % of the pairs that differ in up to 4 bits are different pictures, and half of
    those that differ in up to 10.

    Args:
        pixels: As for :func:`find_duplicates`; of a volume its middle plane. Not turned.
        groups: ``(n,)``; pairs of one group are left out.

    Source:
        The hash of Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010: signs of the
        8 x 8 lowest cosine coefficients at 32 x 32 pixels, less their median.
    """
    views = comparable_planes(pixels)
    middle = resize(views[:, views.shape[1] // 2], 32)
    grid = np.arange(32)
    cosines = np.cos(np.pi * (grid + 0.5)[None] * grid[:8, None] / 32).astype(np.float32)  # (8, 32)
    waves = (cosines @ middle @ cosines.T).reshape(len(middle), 64)
    signs = np.where(waves > np.median(waves[:, 1:], axis=1, keepdims=True), 1.0, -1.0).astype(np.float32)
    varies = np.flatnonzero(middle.std((1, 2)) >= FLAT)
    signs, names = signs[varies], np.unique(np.asarray(groups), return_inverse=True)[1][varies]
    pairs = []
    for start in range(0, len(signs), BLOCK):
        bits = (64 - signs[start : start + BLOCK] @ signs[start:].T) / 2
        i, j = np.nonzero(bits <= LOOK_ALIKE + 0.5)
        kept = (i < j) & (names[start + i] != names[start + j])
        pairs += [
            Pair(int(varies[start + a]), int(varies[start + b]), float(bits[a, b]))
            for a, b in zip(i[kept].tolist(), j[kept].tolist(), strict=True)
        ]
    return pairs


def _invariant(unit: np.ndarray, block: int) -> np.ndarray:
    """Return ``float32 (n, d)`` that no flip or turn changes, and in which no two lie further apart than the pictures.

    The mean over all turns of a picture in blocks, then the lengths of what that leaves of the blocks and of the
    picture.
    """
    n, depth, side, _ = unit.shape
    block = block if side % block == 0 else 1
    coarse = unit.reshape(n, depth, side // block, block, side // block, block).mean((3, 5)) * block
    symmetric = np.zeros_like(coarse)
    turns = list(flips_and_turns(coarse))
    for turn in turns:
        symmetric += turn / len(turns)
    same, middle = (symmetric**2).sum((1, 2, 3)), (coarse**2).sum((1, 2, 3))
    left = np.sqrt(np.maximum(np.stack([middle - same, 1 - middle], axis=1), 0))
    return np.concatenate([symmetric.reshape(n, -1), left], axis=1)


def _candidates(
    whole: np.ndarray,
    detail: np.ndarray,
    wanted: float,
    is_open: Callable[[np.ndarray, np.ndarray], np.ndarray],
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield row numbers of pairs whose descriptors allow the correlations wanted; |a - b|² is 2 - 2 correlation."""
    coarse, other = _fold_repeats(_invariant(detail, 2)), _fold_repeats(_invariant(whole, 4))
    length = (coarse**2).sum(1)
    fine: np.ndarray | None = None
    for start in range(0, len(coarse), BLOCK):
        if progress:
            progress(start, len(coarse))
        rows = slice(start, start + BLOCK)
        product = coarse[rows] @ coarse[start:].T
        # 1e-4: float32 sums of a hundred squares
        bound = (length[rows, None] + length[None, start:]) / 2 - (1 - wanted) - 1e-4
        likely = product >= bound
        if likely.sum() > CROWD * len(likely):
            # Pictures of noise, or with little in them, have nothing coarse to be told apart by: their pixels, each
            # eight that turns exchange put in order, tell what a turn leaves alone, at the price of a longer product.
            fine = _sort_turns(detail) if fine is None else fine
            likely &= fine[rows] @ fine[start:].T >= wanted - 1e-3
        i, j = np.nonzero(likely)
        i, j = i[i < j] + start, j[i < j] + start
        i, j = _close(other, i, j, WHOLE)
        kept = is_open(i, j)
        yield i[kept], j[kept]


def _sort_turns(unit: np.ndarray) -> np.ndarray:
    """Return ``float32 (n, d)`` of length 1: what the turns exchange, in order of value.

    Sorting never puts two lists further apart than they are, in whichever order they stood, so this is as safe as
    :func:`_invariant`; it tells pictures of noise apart, and costs as much as the pictures have pixels.
    """
    places = np.arange(unit[0].size).reshape(1, *unit.shape[1:])
    orbits = np.stack([turn[0].ravel() for turn in flips_and_turns(places)])  # (turns, d): where each place goes
    first = np.unique(np.sort(orbits, axis=0).T, axis=0)  # (orbits, turns); a place on an axis stands there twice
    columns = [np.unique(orbit) for orbit in first]
    flat = unit.reshape(len(unit), -1)
    found = np.empty_like(flat)
    for length in {len(orbit) for orbit in columns}:
        of_length = np.array([orbit for orbit in columns if len(orbit) == length])  # (m, length)
        for start in range(0, len(flat), BLOCK):
            rows = slice(start, start + BLOCK)
            block = found[rows]
            block[:, of_length.ravel()] = np.sort(flat[rows][:, of_length], axis=2).reshape(len(block), -1)
            found[rows] = block
    return found


def _close(values: np.ndarray, i: np.ndarray, j: np.ndarray, wanted: float) -> tuple[np.ndarray, np.ndarray]:
    kept = np.zeros(len(i), dtype=bool)
    for start in range(0, len(i), 2**16):
        part = slice(start, start + 2**16)
        kept[part] = ((values[i[part]] - values[j[part]]) ** 2).sum(1) <= 2 * (1 - wanted) + 2e-4
    return i[kept], j[kept]


def _fold_repeats(descriptor: np.ndarray) -> np.ndarray:
    """Keep each value that repeats in all rows once, times the root of how often: distances stay as they are."""
    if not len(descriptor):
        return descriptor
    weights = np.random.default_rng(0).normal(size=len(descriptor)) @ descriptor  # equal columns have equal sums
    _, first, counts = np.unique(np.round(weights, 5), return_index=True, return_counts=True)
    columns = descriptor[:, first]
    for position in np.flatnonzero(counts > 1):
        members = np.flatnonzero(np.round(weights, 5) == np.round(weights[first[position]], 5))
        if not np.allclose(descriptor[:, members], columns[:, [position]], atol=1e-5):
            return descriptor
    return np.ascontiguousarray(columns * np.sqrt(counts), dtype=np.float32)


def _agreement(whole: np.ndarray, detail: np.ndarray, i: np.ndarray, j: np.ndarray, wanted: float) -> np.ndarray:
    """Return the best correlation over turns in which the detail agrees too; -1 where it never does."""
    best = np.full(len(i), -1.0)
    if not len(i):
        return best
    a, b = whole[i].reshape(len(i), -1), detail[i].reshape(len(i), -1)
    for other, fine in zip(flips_and_turns(whole[j]), flips_and_turns(detail[j]), strict=True):
        fits = np.einsum("nd,nd->n", b, fine.reshape(len(j), -1)) >= wanted
        if fits.any():
            value = np.einsum("nd,nd->n", a[fits], other[fits].reshape(int(fits.sum()), -1))
            best[fits] = np.maximum(best[fits], value)
    return best
