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
    highest = probabilities.max(1, keepdims=True)
    tied = probabilities >= highest * (1 - TIED)
    return tied / tied.sum(1, keepdims=True)


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
    known = [u.frequencies for u in cells if u.frequencies is not None]
    mean = np.mean(known, axis=0) if len(known) == len(cells) else None
    return [_tie_near(u, mean) if mean is not None and len(u.probabilities) else decide(u.probabilities) for u in cells]


def _tie_near(units: Units, mean: np.ndarray) -> np.ndarray:
    assert units.frequencies is not None
    decided = decide(units.probabilities)
    ratio = np.divide(units.frequencies, mean, out=np.ones_like(mean), where=(mean > 0) & (units.frequencies > 0))
    # Thresholds from the cell's own (0) over that of the mean (1) to as far on its other side (2), and a little beyond.
    own, middle, *ends = (decide(units.probabilities * ratio**step) for step in (0, 1, -BEYOND, 2 + BEYOND))
    near = (ends[0] != ends[1]).any(1)
    if near.mean() < MANY:
        return decided
    between = (own + middle + ends[0] + ends[1]) > 0
    return np.where(near[:, None], between / between.sum(1, keepdims=True), decided)
