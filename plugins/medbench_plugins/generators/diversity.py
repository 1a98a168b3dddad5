"""How far samples of a generator lie apart, as a fraction of how far real ones do: near 0 is a collapse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import medbench


def measure_diversity(
    sample: Callable[[np.ndarray, int], np.ndarray], train: medbench.Samples, seed: int, most: int = 16
) -> np.ndarray:
    """Return how far samples of a class lie apart, as a fraction of how far its real ones do.

    Recognition alone praises a generator that draws one picture a class; this number does not.

    Args:
        sample: Draws one sample a label, given ``int64 (n,)`` labels and a seed.
        train: Real samples.
        seed: Of the samples and of the choice of real ones.
        most: Largest number of samples a class that are compared.

    Returns:
        ``float64 (n_classes,)`` ratio of mean root-mean-square distances; NaN with fewer than two different real
        samples.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(train.classes)), most)
    samples = sample(labels, seed)
    ratios = np.full(len(train.classes), np.nan)
    for label in range(len(train.classes)):
        rows = np.flatnonzero(train.labels == label)
        rows = np.sort(rng.permutation(rows)[:most])
        apart = mean_distance(train.x[rows])
        if apart > 0:
            ratios[label] = mean_distance(samples[labels == label]) / apart
    return ratios


def mean_distance(x: np.ndarray) -> float:
    """Return the mean root-mean-square difference between two rows of ``x (n, ...)``; 0 where n < 2."""
    if len(x) < 2:
        return 0.0
    flat = x.reshape(len(x), -1).astype(np.float64)
    squares = (flat**2).sum(1)
    apart = squares[:, None] + squares - 2 * flat @ flat.T
    above = np.triu_indices(len(x), 1)
    return float(np.sqrt(np.maximum(apart[above], 0) / flat.shape[1]).mean())


COLLAPSED = 0.2
"""A worst class with less diversity than this is a collapse: its samples lie less than a fifth as far apart as its real
images. A convention, not a measurement; fits on the phantoms that were fine had 0.74 and more."""


def diversity_facts(diversity: np.ndarray) -> dict[str, float]:
    """Return the mean and the least of ``diversity (n_classes,)``, and whether that is a collapse (1) or not (0).

    Classes without one are left out.
    """
    known = diversity[np.isfinite(diversity)]
    if not len(known):
        return {}
    lowest = float(known.min())
    return {"diversity": float(known.mean()), "diversity_lowest": lowest, "collapsed": float(lowest < COLLAPSED)}
