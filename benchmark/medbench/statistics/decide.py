"""From probabilities to decisions; what is tied, or nearly so for everybody, is decided for no class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medbench.statistics.pool_images_by_patient import Units

TIED = 1e-9
"""Two probabilities that differ by this share or less are the same number, rounded."""

MANY = 0.25
"""Share of the units of a cell near the threshold from which on it hardly tells apart."""

BEYOND = 0.1
"""How much further near reaches, as a share of the distance of the two thresholds: rounding must not decide."""


def decide(probabilities: np.ndarray) -> np.ndarray:
    """Return ``float64 (n, n_classes)``: 1 for the likeliest class, or shares of 1 where several are equally likely."""
    by_class = np.ascontiguousarray(probabilities.T)  # a maximum over a few columns is slow
    tied = by_class >= by_class.max(0) * (1 - TIED)
    return np.ascontiguousarray((tied / tied.sum(0)).T)


def decide_cells(cells: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the decisions of many cells, each as :func:`decide` does, computed together."""
    ends = np.cumsum([len(probabilities) for probabilities in cells])
    return np.split(decide(np.concatenate(cells)), ends[:-1]) if cells else []


def decide_units(cells: Sequence[Units]) -> list[np.ndarray]:
    """Return the decisions of all cells of an arm, each as :func:`decide` does, but of cells that hardly tell apart.

    A test fold holds most of the class that its training part lacks. So a classifier that says nearly the same of
    everybody, divided by that part's own frequencies, would decide for the class that is commonest in the fold and seem
    to know something. The arm's mean frequencies lean to no fold. A unit is near the threshold if it is no further from
    that of the mean frequencies, on either side, than that of the cell's own ones is. Where MANY or more units of a
    cell are, they are tied between the classes that they are near to; where fewer are, the classifier tells apart, and
    its decisions stand.

    Args:
        cells: Of one arm.
    """
    if not cells:
        return []
    known = [u.frequencies for u in cells if u.frequencies is not None]
    of_all = np.concatenate([u.probabilities for u in cells])
    sizes = np.array([len(u.probabilities) for u in cells])
    decided = decide(of_all)
    if len(known) == len(cells) and len(of_all):
        decided = _tie_near(of_all, sizes, np.stack(known), decided)
    return np.split(decided, np.cumsum(sizes)[:-1])


def _tie_near(probabilities: np.ndarray, sizes: np.ndarray, frequencies: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """Return `decided (n, n_classes)` for the units of all cells, but tied in cells of which many are near."""
    mean, cell = frequencies.mean(0), np.repeat(np.arange(len(sizes)), sizes)
    ratio = np.divide(frequencies, mean, out=np.ones_like(frequencies), where=(mean > 0) & (frequencies > 0))
    # Thresholds from the cell's own (0) over that of the mean (1) to as far on its other side (2), and a little beyond.
    own, middle, *ends = (decide(probabilities * (ratio**step)[cell]) for step in (0, 1, -BEYOND, 2 + BEYOND))
    near = (ends[0] != ends[1]).any(1)
    many = np.bincount(cell, near, len(sizes)) >= MANY * sizes
    between = (own + middle + ends[0] + ends[1]) > 0
    return np.where((near & many[cell])[:, None], between / between.sum(1, keepdims=True), decided)
