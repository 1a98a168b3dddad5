"""Pictures that are one picture: re-encoded, resized, brightened, mirrored or turned; and those that only look alike.

Two pictures are one where both correlations reach their threshold in the same of the eight flips and quarter turns:
that of the pictures at 48 pixels, and that of their detail, which is the picture less its own blur. The first alone
takes any two well-aligned radiographs for one; drawn phantoms reach .99 there and .94 in their detail. How the
thresholds were found, and what escapes them, is in docs/explanation/data-audit.md.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from medbench.data.duplicate_candidates import BLOCK, Belongs, candidates
from medbench.data.picture_planes import FLAT, SIDE, comparable_planes, flips_and_turns, resize, whole_and_detail

WHOLE = 0.97  # correlation of the pictures
DETAIL = 0.96  # and of their detail
DETAIL_OF_FEW = 0.975  # the same below SIDE pixels, where drawn radiographs of two patients reach .96
LOOK_ALIKE = 8  # of the 64 bits of a perceptual hash
CHECKED = 4096  # candidate pairs compared at a time
AT_ONCE = 256  # of them whose turns are in memory at once
LISTED = 100_000  # pairs that look alike and are listed; more are counted


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
    seen, whole, detail = whole_and_detail(views)
    if len(seen) < 2:
        return []
    belongs = Belongs(
        np.asarray(known)[seen].tolist(),
        [same[row] or None for row in seen.tolist()] if len(same) else [],
        [repr(marks[row]) if len(marks) else "" for row in seen.tolist()],
    )
    wanted = DETAIL if views.shape[-1] == SIDE else DETAIL_OF_FEW
    found: list[Pair] = []
    for rows, columns in candidates(whole, detail, belongs, of_whole=WHOLE, of_detail=wanted, progress=progress):
        for start in range(0, len(rows), CHECKED):
            first, second = rows[start : start + CHECKED], columns[start : start + CHECKED]
            kept = belongs.open(first, second)
            first, second = first[kept], second[kept]
            value = _agreement(whole, detail, first, second, wanted)
            near = np.flatnonzero(value >= WHOLE)
            for i, j, v in zip(first[near].tolist(), second[near].tolist(), value[near].tolist(), strict=True):
                if belongs.join(i, j):
                    found.append(Pair(int(seen[i]), int(seen[j]), v))
    return sorted(found, key=lambda pair: (pair.first, pair.second))


def find_look_alikes(pixels: np.ndarray, groups: Sequence[str] | np.ndarray) -> tuple[list[Pair], int]:
    """Find pictures of different groups whose perceptual hashes are close: to be looked at, never a verdict.

    On ultrasound and brain slices, 7 % of the pairs that differ in up to 4 bits are different pictures, and half of
    those that differ in up to 10.

    Args:
        pixels: As for :func:`find_duplicates`; of a volume its middle plane. Not turned.
        groups: ``(n,)``; pairs of one group are left out.

    Returns:
        The first LISTED pairs, and how many there are.

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
    pairs: list[Pair] = []
    count = 0
    for start in range(0, len(signs), BLOCK):
        rows = slice(start, start + BLOCK)
        of_rows = []
        for at in range(start, len(signs), BLOCK):
            columns = slice(at, at + BLOCK)
            bits = (64 - signs[rows] @ signs[columns].T) / 2
            alike = bits <= LOOK_ALIKE + 0.5
            alike &= names[rows, None] != names[columns]
            alike = np.triu(alike, 1) if at == start else alike
            count += (of_tile := int(np.count_nonzero(alike)))
            if of_tile and len(pairs) < LISTED:
                i, j = np.nonzero(alike)
                of_rows.append((start + i, at + j, bits[i, j]))
        if of_rows:
            i, j, differ = map(np.concatenate, zip(*of_rows, strict=True))
            order = np.lexsort((j, i))[: LISTED - len(pairs)]
            listed = zip(varies[i[order]].tolist(), varies[j[order]].tolist(), differ[order].tolist(), strict=True)
            pairs += [Pair(*pair) for pair in listed]
    return pairs, count


def _agreement(whole: np.ndarray, detail: np.ndarray, i: np.ndarray, j: np.ndarray, wanted: float) -> np.ndarray:
    """Return the best correlation over turns in which the detail agrees too; -1 where it never does."""
    best = np.full(len(i), -1.0)
    for start in range(0, len(i), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        of_part, one, other = best[part], i[part], j[part]
        a, b = whole[one].reshape(len(one), -1), detail[one].reshape(len(one), -1)
        for turned, fine in zip(flips_and_turns(whole[other]), flips_and_turns(detail[other]), strict=True):
            fits = np.einsum("nd,nd->n", b, fine.reshape(len(one), -1)) >= wanted
            if fits.any():
                value = np.einsum("nd,nd->n", a[fits], turned[fits].reshape(int(fits.sum()), -1))
                of_part[fits] = np.maximum(of_part[fits], value)
    return best
