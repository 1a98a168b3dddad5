"""The interval of a gain in macro AUROC, by the formula of balanced accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medbench.statistics.gain_intervals import Interval
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units
from medbench.statistics.student_t import two_sided
from medbench.statistics.variances import between_patients, between_trainings, degrees


def auroc_interval(arm: Mapping[Cell, Units], control: Mapping[Cell, Units], *, folds: int) -> Interval | None:
    """Compute the interval of the gain in macro AUROC, by itself; None where no fold holds every class.

    AUROC is taken inside folds, since scores of two folds come from two models; patients are drawn inside their class
    of each fold. The same formula as for balanced accuracy, with the placements of DeLong et al. (Biometrics 1988).

    Args:
        arm: Units of every cell; a failed cell holds its control's.
        control: Of the same cells.
        folds: K; 1 for an official cut.

    Raises:
        ValueError: If the two were not tested in the same cells on the same units.
    """
    if set(arm) != set(control) or any(not np.array_equal(u.names, control[c].names) for c, u in arm.items()):
        raise ValueError("an arm and its control were tested on different patients")
    repeats = sorted({repeat for repeat, _, _ in arm})
    names = np.unique(np.concatenate([u.clusters for u in arm.values()]))
    gains: dict[int, list[float]] = {repeat: [] for repeat in repeats}
    moved, labelled = np.zeros((len(repeats), len(names))), set()
    for cell, units in sorted(arm.items()):
        cluster = np.searchsorted(names, units.clusters)
        labelled |= set(zip(units.labels.tolist(), cluster.tolist(), strict=True))
        value, placed = _placements(units.labels, units.probabilities)
        other, placed_other = _placements(units.labels, control[cell].probabilities)
        if value == value:
            gains[cell[0]].append(value - other)
            np.add.at(moved[repeats.index(cell[0])], cluster, placed - placed_other)
    known = np.array([np.mean(of_repeat) for of_repeat in gains.values() if of_repeat])
    rare = int(np.unique([label for label, _ in labelled], return_counts=True)[1].min()) - 1
    if not len(known) or rare < 1:
        return None
    cells = sum(len(of_repeat) for of_repeat in gains.values())
    of_repeat = moved[[bool(of_repeat) for of_repeat in gains.values()]] * (len(known) / cells)
    patients = between_patients(of_repeat, folds, rare + 1)
    trainings = between_trainings(known, of_repeat, folds)
    value = sum(sum(of_repeat) for of_repeat in gains.values()) / cells
    shown = trainings if trainings == trainings else 0.0
    df = degrees(patients, shown, rare, len(known), folds)
    error, t = float(np.sqrt(patients + shown)), two_sided(df)
    low, high = value - t * error, value + t * error
    return Interval(value, error, low, high, low, high, df, patients, trainings, 1, t)


def _placements(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float, np.ndarray]:
    """Return macro AUROC and ``float64 (n,)``: how much each unit moves it; NaN where a class is absent."""
    n_classes = probabilities.shape[1]
    values, moved = [], np.zeros(len(labels))
    for k in range(n_classes):
        is_k = labels == k
        if is_k.all() or not is_k.any():
            return float("nan"), moved
        positive, negative = np.sort(probabilities[is_k, k]), np.sort(probabilities[~is_k, k])
        above = _share_below(negative, probabilities[is_k, k])  # of each positive: negatives below it, ties half
        under = 1 - _share_below(positive, probabilities[~is_k, k])
        values.append(above.mean())
        moved[is_k] += (above - values[-1]) / len(positive) / n_classes
        moved[~is_k] += (under - values[-1]) / len(negative) / n_classes
    return float(np.mean(values)), moved


def _share_below(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return below / (2 * len(ordered))
