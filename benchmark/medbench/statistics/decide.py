"""From probabilities to decisions; what is tied, or nearly so for everybody, is decided for no class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medbench.statistics.pool_images_by_patient import Units

TIED = 1e-9
"""Two probabilities that differ by this share or less are the same number, rounded."""


def decide(probabilities: np.ndarray) -> np.ndarray:
    """Return ``float64 (n, n_classes)``: 1 for the likeliest class, or shares of 1 where several are equally likely."""
    highest = probabilities.max(1, keepdims=True)
    tied = probabilities >= highest * (1 - TIED)
    return tied / tied.sum(1, keepdims=True)


def decide_units(cells: Sequence[Units]) -> list[np.ndarray]:
    """Return the decisions of all cells of an arm, each as :func:`decide` does, but of cells that tell nobody apart.

    A test fold holds most of the class that its training part lacks. So a classifier that says the same of everybody,
    divided by that part's own frequencies, would decide for the class that is commonest in the fold and seem to know
    something. Where all units of a cell get one class by its own frequencies and all get another by the arm's mean
    frequencies, both are tied.

    Args:
        cells: Of one arm.
    """
    known = [u.frequencies for u in cells if u.frequencies is not None]
    mean = np.mean(known, axis=0) if len(known) == len(cells) else None
    found = []
    for units in cells:
        decided = decide(units.probabilities)
        if mean is not None and len(decided) and (decided == decided[0]).all():
            found.append(_tie(units, decided, mean))
        else:
            found.append(decided)
    return found


def _tie(units: Units, decided: np.ndarray, mean: np.ndarray) -> np.ndarray:
    assert units.frequencies is not None
    ratio = np.divide(units.frequencies, mean, out=np.zeros_like(mean), where=mean > 0)
    other = decide(units.probabilities * ratio)
    if (other != other[0]).any() or (other[0] == decided[0]).all():
        return decided
    either = (decided[0] > 0) | (other[0] > 0)
    return np.tile(either / either.sum(), (len(decided), 1))
