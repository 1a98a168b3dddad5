"""The interval of a gain: patients and training draws, jointly over the comparisons of a board.

The estimand is the expected gain in balanced accuracy when this classifier, at this budget, is trained on so many
patients drawn like these. One interval answers for it::

    d_i     correct of the arm less correct of its control for unit i, mean over repeats and seeds
    gain    mean over classes of the class means of d
    V_pat   variance of the gain under the bootstrap of patients within their class
    V_train variance of the gain between repeats / repeats
    SE^2    V_pat K / (K - 1) + V_train;   an official cut has no folds, and the factor is 1

with Student's t of (patients of the rarest class - 1) degrees of freedom. K / (K - 1) is an allowance for training
sets that share patients, not a theorem; ``docs/benchmarks/simulated_null.py`` measures what it is worth. Jointly over a
family: max-t under the same draws of patients for every comparison (Westfall and Young 1993).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medbench.identity import derive_seed
from medbench.statistics import ArmScores, Cell, Units
from medbench.student import LEVEL, two_sided

DRAWS = 10_000
BLOCK = 2**22  # normals at a time: 16 MiB
GROUPS = 4096


@dataclass(frozen=True)
class Interval:
    """A gain of balanced accuracy, 0 to 1, with its ranges and what they are made of.

    Attributes:
        value: Arm less control.
        standard_error: Square root of `between_patients` + `between_trainings`.
        low: Lower end of the range that holds jointly over the family; what tables print and verdicts are read off.
        high: Its upper end.
        low_single: Lower end of the range of this comparison by itself.
        high_single: Its upper end.
        df: Degrees of freedom: patients of the rarest class less one.
        between_patients: V_pat times the allowance for shared training sets.
        between_trainings: V_train; NaN for one repeat, where it cannot be told and is left out.
        comparisons: Size of the family.
        critical: Standard errors from `value` to `low`.
    """

    value: float
    standard_error: float
    low: float
    high: float
    low_single: float
    high_single: float
    df: int
    between_patients: float
    between_trainings: float
    comparisons: int
    critical: float


def intervals(pairs: Mapping[str, tuple[ArmScores, ArmScores]], *, folds: int, unseen: int = 0) -> dict[str, Interval]:
    """Compute the interval of every comparison of a family.

    Args:
        pairs: Arm and control of each comparison, by a name that stays the same: it seeds the draws of V_train.
        folds: K; 1 for an official cut.
        unseen: Comparisons once made on these folds whose scores are not at hand. They widen the ranges as
            comparisons that have nothing in common with the others would.

    Raises:
        ValueError: If the comparisons were not all made on the same units with the same repeats.
    """
    if not pairs:
        return {}
    first = next(iter(pairs.values()))[0]
    for name, both in pairs.items():
        for scores in both:
            if not np.array_equal(scores.names, first.names) or scores.correct.shape != first.correct.shape:
                raise ValueError(f"{name}: every arm of a family is tested on the same patients, equally often")
    influence = np.stack([_influence(*both) for both in pairs.values()], axis=1)  # (clusters, comparisons)
    df = rarest(first) - 1
    allowance = folds / (folds - 1) if folds > 1 else 1.0
    patients = allowance * (influence**2).sum(0)
    of_repeats = {name: _by_repeat(*both) for name, both in pairs.items()}
    n_repeats = len(first.correct)
    trainings = np.array([v.var(ddof=1) / n_repeats if n_repeats > 1 else 0.0 for v in of_repeats.values()])
    errors = np.sqrt(patients + trainings)
    single = two_sided(df) if df > 0 else float("inf")
    joint = single
    if df > 0 and len(pairs) + unseen > 1:
        joint = max(single, _max_t(influence, patients, trainings, list(pairs), unseen, df))
    found = {}
    for j, name in enumerate(pairs):
        value, error = float(of_repeats[name].mean()), float(errors[j])
        half, half_single = (c * error if error else 0.0 for c in (joint, single))
        found[name] = Interval(
            value,
            error,
            value - half,
            value + half,
            value - half_single,
            value + half_single,
            df,
            float(patients[j]),
            float(trainings[j]) if n_repeats > 1 else float("nan"),
            len(pairs) + unseen,
            joint,
        )
    return found


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
    moved, labelled = np.zeros(len(names)), set()
    for cell, units in sorted(arm.items()):
        cluster = np.searchsorted(names, units.clusters)
        labelled |= set(zip(units.labels.tolist(), cluster.tolist(), strict=True))
        value, placed = _placements(units.labels, units.probabilities)
        other, placed_other = _placements(units.labels, control[cell].probabilities)
        if value == value:
            gains[cell[0]].append(value - other)
            np.add.at(moved, cluster, placed - placed_other)
    known = [np.mean(of_repeat) for of_repeat in gains.values() if of_repeat]
    df = int(np.unique([label for label, _ in labelled], return_counts=True)[1].min()) - 1
    if not known or df < 1:
        return None
    cells = sum(len(of_repeat) for of_repeat in gains.values())
    allowance = folds / (folds - 1) if folds > 1 else 1.0
    patients = allowance * float((moved**2).sum()) / cells**2
    trainings = float(np.var(known, ddof=1)) / len(known) if len(known) > 1 else float("nan")
    value = sum(sum(of_repeat) for of_repeat in gains.values()) / cells
    error, t = float(np.sqrt(patients + (trainings if trainings == trainings else 0.0))), two_sided(df)
    low, high = value - t * error, value + t * error
    return Interval(value, error, low, high, low, high, df, patients, trainings, 1, t)


def rarest(scores: ArmScores) -> int:
    """Return the number of patients of the class that fewest patients have, among those tested."""
    pairs = np.unique(np.stack([np.unique(scores.clusters, return_inverse=True)[1], scores.labels]), axis=1)
    return int(np.unique(pairs[1], return_counts=True)[1].min())


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


def _by_repeat(arm: ArmScores, control: ArmScores) -> np.ndarray:
    """Return ``float64 (repeats,)``: the gain of each repeat."""
    d = arm.correct - control.correct
    return np.mean([d[:, arm.labels == k].mean(1) for k in np.unique(arm.labels)], axis=0)


def _influence(arm: ArmScores, control: ArmScores) -> np.ndarray:
    """Return ``float64 (clusters,)``: how much each patient moves the gain, with mean 0 in its stratum.

    The sum of squares is the variance of the bootstrap within strata with infinitely many draws: exactly where a
    patient has one label, to first order where a cluster holds several. Patients are in the order of their names.
    """
    d = (arm.correct - control.correct).mean(0)
    _, cluster = np.unique(arm.clusters, return_inverse=True)
    classes, label = np.unique(arm.labels, return_inverse=True)
    stratum = np.zeros(cluster.max() + 1, dtype=np.int64)
    np.maximum.at(stratum, cluster, label)
    sizes = np.bincount(label)
    centred = d - (np.bincount(label, d) / sizes)[label]
    moved = np.bincount(cluster, centred / sizes[label]) / len(classes)
    return moved - (np.bincount(stratum, moved) / np.maximum(np.bincount(stratum), 1))[stratum]


def _max_t(
    influence: np.ndarray, patients: np.ndarray, trainings: np.ndarray, names: list[str], unseen: int, df: int
) -> float:
    """Return the LEVEL quantile of the largest absolute t of the family.

    Patients are weighed with normal multipliers, the same for every comparison, so what comparisons share counts once.
    Noise of training is drawn apart for every comparison: too few repeats show what of it is shared, and apart is the
    wider assumption. Every stream is keyed by what it stands for, so a further comparison can only raise the quantile.
    """
    errors = np.sqrt(patients + trainings)
    of_patients = np.divide(np.sqrt(patients), errors, out=np.zeros_like(errors), where=errors > 0)
    of_trainings = np.divide(np.sqrt(trainings), errors, out=np.zeros_like(errors), where=errors > 0)
    n = len(influence)
    rng = np.random.default_rng(derive_seed("max-t patients", n))
    if n > GROUPS:
        # Signed sums of random groups keep every correlation to 1 / sqrt(GROUPS); 100,000 patients would take 20 s.
        group, sign = rng.integers(0, GROUPS, n), rng.choice([-1.0, 1.0], n)
        sums = [np.bincount(group, sign * influence[:, j], GROUPS) for j in range(influence.shape[1])]
        influence, n = np.stack(sums, axis=1), GROUPS
    norms = np.sqrt((influence**2).sum(0))
    unit = np.divide(influence, norms, out=np.zeros_like(influence), where=norms > 0) * of_patients
    t = np.empty((DRAWS, len(names)))
    step = max(1, BLOCK // n)
    for start in range(0, DRAWS, step):
        weights = rng.standard_normal((min(step, DRAWS - start), n), dtype=np.float32)
        t[start : start + step] = weights @ unit.astype(np.float32)
    for j, name in enumerate(names):
        t[:, j] += of_trainings[j] * np.random.default_rng(derive_seed("max-t training", name)).standard_normal(DRAWS)
    largest = np.abs(t).max(1)
    for j in range(unseen):
        rng = np.random.default_rng(derive_seed("max-t unseen", j))
        largest = np.maximum(largest, np.abs(rng.standard_normal(DRAWS)))
    shared = np.sqrt(np.random.default_rng(derive_seed("max-t scale", df)).chisquare(df, DRAWS) / df)
    return float(np.quantile(largest / shared, LEVEL))
