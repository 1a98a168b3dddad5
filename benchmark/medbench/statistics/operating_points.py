"""Sensitivity at a fixed specificity, of two classes, with its interval.

Inside a fold, since scores of two folds come from two models, like AUROC: the threshold is the lowest at which at least
the wanted share of the fold's negatives is called negative, and who scores above it is called positive. Mean over
folds, seeds and repeats. The threshold is read off those tested, as in most publications: it says what the scores
hold, not what a threshold fixed before would reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units
from medbench.statistics.student_t import two_sided

SPECIFICITIES = (0.90, 0.95)
DRAWS = 500


@dataclass(frozen=True)
class OperatingPoint:
    """Sensitivity of one method, 0 to 1.

    Attributes:
        specificity: That is held.
        sensitivity: Mean over training runs; NaN where no fold holds both classes.
        low: Lower end of its 95 % interval by itself.
        high: Upper end.
    """

    specificity: float
    sensitivity: float
    low: float
    high: float


def operating_points(cells: Mapping[Cell, Units], positive: int) -> tuple[OperatingPoint, ...]:
    """Return the sensitivity at each of SPECIFICITIES.

    The interval is Student's t with the patients of the rarer class less one, and the variance of the patient bootstrap
    within each class plus that between repeats, which holds a part of it again: it is rather long.

    Args:
        cells: Units of every training run.
        positive: Which of two classes is the disease.
    """
    every = [u for u in cells.values() if len(np.unique(u.labels)) == 2]
    unknown = float("nan")
    if not every:
        return tuple(OperatingPoint(wanted, unknown, unknown, unknown) for wanted in SPECIFICITIES)
    repeats = np.array([cell[0] for cell, u in cells.items() if len(np.unique(u.labels)) == 2])
    names, first = np.unique(np.concatenate([u.clusters for u in every]), return_index=True)
    of_class = np.concatenate([u.labels for u in every])[first]
    drawn = _draw(of_class)  # (1 + draws, clusters); the first row is everybody once
    found = np.stack([_sensitivities(u, drawn[:, np.searchsorted(names, u.clusters)], positive) for u in every])
    df = int(np.bincount(of_class).min()) - 1
    points = []
    for j, wanted in enumerate(SPECIFICITIES):
        by_repeat = np.array([found[repeats == r, :, j].mean(0) for r in np.unique(repeats)])
        value = float(by_repeat[:, 0].mean())
        variance = by_repeat[:, 1:].mean(0).var(ddof=1)
        if len(by_repeat) > 1:
            variance += by_repeat[:, 0].var(ddof=1) / len(by_repeat)
        # Never below what one more patient would make of it: 20 of 20 found is not certain for the next.
        variance = max(float(variance), 1 / (np.bincount(of_class)[positive] + 2) ** 2)
        half = two_sided(df) * variance**0.5 if df > 0 else unknown
        points.append(OperatingPoint(wanted, value, max(0.0, value - half), min(1.0, value + half)))
    return tuple(points)


def _draw(of_class: np.ndarray) -> np.ndarray:
    """Return ``int64 (1 + DRAWS, clusters)``: how often each is drawn, within its class."""
    rng = np.random.default_rng(0)
    counts = np.ones((1 + DRAWS, len(of_class)), dtype=np.int64)
    for k in np.unique(of_class):
        rows = np.flatnonzero(of_class == k)
        counts[1:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=DRAWS)
    return counts


def _sensitivities(units: Units, weights: np.ndarray, positive: int) -> np.ndarray:
    """Return ``float64 (draws, specificities)`` of one training run.

    Args:
        units: What was tested.
        weights: ``int64 (draws, n)``: how often each unit is drawn.
        positive: Which class.
    """
    scores, is_ill = units.probabilities[:, positive], units.labels == positive
    order = np.argsort(scores[~is_ill], kind="stable")
    healthy, of_healthy = scores[~is_ill][order], weights[:, ~is_ill][:, order].cumsum(1)
    ill, of_ill = scores[is_ill], weights[:, is_ill]
    found = np.empty((len(weights), len(SPECIFICITIES)))
    for j, wanted in enumerate(SPECIFICITIES):
        needed = wanted * of_healthy[:, -1:] - 1e-9
        threshold = healthy[np.minimum((of_healthy < needed).sum(1), len(healthy) - 1)]
        above = of_ill * (ill[None] > threshold[:, None])
        total = of_ill.sum(1)
        found[:, j] = np.divide(above.sum(1), total, out=np.full(len(total), np.nan), where=total > 0)
    missing = np.isnan(found)
    found[missing] = np.broadcast_to(np.nanmean(found, axis=0), found.shape)[missing]  # a draw without anybody ill
    return found
