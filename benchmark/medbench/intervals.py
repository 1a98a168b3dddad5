"""The interval of a gain: patients and training draws, jointly over the comparisons of a board.

The estimand is the expected gain in balanced accuracy when this classifier, at this budget, is trained on so many
patients drawn like these. One interval answers for it::

    d_i     correct of the arm less correct of its control for unit i, mean over repeats and seeds
    gain    mean over classes of the class means of d
    V_pat   variance of the gain under the bootstrap of patients within their class
    V_train variance of the gain between repeats / repeats
    V_both  variance of what moves a patient from repeat to repeat, patients apart, / repeats: it is in V_pat and in
            V_train alike, and a variance of patients and trainings together counts it once
    a       allowance for training sets that share patients: 1 / (K - 1), or over repeats 12 / patients of the rarest
            class, at most .6, where that is more
    SE^2    folds: V_pat + a max(0, V_pat - V_both) + max(0, V_train - V_both)
            an official cut: V_pat + V_train

with Student's t. Over folds its degrees of freedom are n = patients of the rarest class - 1. An official cut has few
training draws and much of its variance from them, so theirs count too (Satterthwaite): SE^4 / (V_pat^2 / n + V_train^2
/ (repeats - 1)). The allowance is taken of what a patient keeps from repeat to repeat; it is no theorem, and neither is
V_both left in on an official cut.
``docs/benchmarks/simulated_null.py`` measures what they are worth. Jointly over a family: max-t under the same draws of
patients for every comparison (Westfall and Young 1993), brought to the degrees of freedom of each comparison, see
:data:`OWN`.

Source:
    The decomposition is that of readers and cases: Gallas, Academic Radiology 13 (2006); Hillis, Statistics in Medicine
    26 (2007), for the degrees of freedom. Trainings take the place of readers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medbench.identity import derive_seed
from medbench.statistics import ArmScores, Cell, Units
from medbench.student import LEVEL, cumulative, quantile, two_sided

DRAWS = 10_000
SCARCE, MOST = 12.0, 0.6
"""Of the allowance: what is learnt from few patients depends more on who they are, and all repeats learn from the same.

Read off simulated tables with 20 and 51 patients of the rarest class: least squares took 7 and 8, small networks 13.
"""
OWN = 0.75
"""Share of a comparison's own V_train in its degrees of freedom for the joint range; the rest is the board's mean.

Where few draws happen to agree, V_train is too small and its degrees of freedom are too many at once. Far out in the
tails, where joint ranges end, that made 6.5 % of the simulated tables of one learner retrained hold a wrong word.
"""
BLOCK = 2**22  # normals at a time: 16 MiB
KEPT = 2**24  # normals that stay for the next table of as many patients, as a live board asks for: 64 MiB
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
        df: Degrees of freedom: patients of the rarest class less one; on an official cut fewer, for few training draws.
        between_patients: V_pat with the allowance for shared training sets.
        between_trainings: What repeats show beyond what is in V_pat; on an official cut the whole of V_train. NaN for
            one repeat, where it cannot be told and is left out.
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
    moved = {name: _influence(*both) for name, both in pairs.items()}  # (repeats, clusters) each
    influence = np.stack([m.mean(0) for m in moved.values()], axis=1)  # (clusters, comparisons)
    df = rarest(first) - 1
    patients = np.array([_between_patients(m, folds, df + 1) for m in moved.values()])
    of_repeats = {name: _by_repeat(*both) for name, both in pairs.items()}
    n_repeats = len(first.correct)
    trainings = np.array([_between_trainings(of_repeats[name], moved[name], folds) for name in pairs])
    seen = np.nan_to_num(trainings)
    errors = np.sqrt(patients + seen)
    joint = two_sided(df) if df > 0 else float("inf")
    if df > 0 and len(pairs) + unseen > 1:
        joint = max(joint, _max_t(influence, patients, seen, list(pairs), unseen, df))
    found = {}
    for j, name in enumerate(pairs):
        value, error = float(of_repeats[name].mean()), float(errors[j])
        own = degrees(patients[j], seen[j], df, n_repeats, folds)
        single = two_sided(own) if df > 0 else joint
        steady = degrees(patients[j], OWN * seen[j] + (1 - OWN) * seen.mean(), df, n_repeats, folds)
        critical = max(single, _same_level(joint, df, steady)) if df > 0 else joint
        half, half_single = (c * error if error else 0.0 for c in (critical, single))
        found[name] = Interval(
            value,
            error,
            value - half,
            value + half,
            value - half_single,
            value + half_single,
            own,
            float(patients[j]),
            float(trainings[j]),
            len(pairs) + unseen,
            critical,
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
    patients = _between_patients(of_repeat, folds, rare + 1)
    trainings = _between_trainings(known, of_repeat, folds)
    value = sum(sum(of_repeat) for of_repeat in gains.values()) / cells
    seen = trainings if trainings == trainings else 0.0
    df = degrees(patients, seen, rare, len(known), folds)
    error, t = float(np.sqrt(patients + seen)), two_sided(df)
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
    """Return ``float64 (repeats, clusters)``: how much each patient moves a repeat's gain, with mean 0 in its stratum.

    The sum of squares of the mean over repeats is the variance of the bootstrap within strata with infinitely many
    draws: exactly where a patient has one label, to first order where a cluster holds several. Patients are in the
    order of their names.
    """
    _, cluster = np.unique(arm.clusters, return_inverse=True)
    classes, label = np.unique(arm.labels, return_inverse=True)
    stratum = np.zeros(cluster.max() + 1, dtype=np.int64)
    np.maximum.at(stratum, cluster, label)
    sizes, of_stratum = np.bincount(label), np.maximum(np.bincount(stratum), 1)
    found = []
    for d in arm.correct - control.correct:
        centred = d - (np.bincount(label, d) / sizes)[label]
        moved = np.bincount(cluster, centred / sizes[label]) / len(classes)
        found.append(moved - (np.bincount(stratum, moved) / of_stratum)[stratum])
    return np.stack(found)


def allowance(folds: int, repeats: int, rare: int) -> float:
    """Return the allowance for training sets that share patients, as a share of what patients keep; 0 without folds.

    1 / (K - 1), or more where few patients of the rarest class are learnt from, see :data:`SCARCE`. One repeat does not
    show what patients keep, so all they vary by is taken for it, and that is enough.
    """
    if folds == 1:
        return 0.0
    return 1 / (folds - 1) if repeats == 1 else max(1 / (folds - 1), min(MOST, SCARCE / rare))


def _between_patients(moved: np.ndarray, folds: int, rare: int) -> float:
    """Return V_pat and its allowance.

    Args:
        moved: ``float64 (repeats, clusters)`` as :func:`_influence` gives it.
        folds: K; 1 for an official cut, which has no allowance.
        rare: Patients of the rarest class.
    """
    patients = float((moved.mean(0) ** 2).sum())
    return patients + allowance(folds, len(moved), rare) * max(0.0, patients - _both(moved))


def _between_trainings(of_repeats: np.ndarray, moved: np.ndarray, folds: int) -> float:
    """Return the variance that trainings add to that of patients; NaN for one repeat.

    Args:
        of_repeats: ``float64 (repeats,)`` gains.
        moved: ``float64 (repeats, clusters)`` as :func:`_influence` gives it.
        folds: K; 1 for an official cut, where nothing is taken off.
    """
    if len(of_repeats) < 2:
        return float("nan")
    trainings = float(of_repeats.var(ddof=1)) / len(of_repeats)
    return trainings if folds == 1 else max(0.0, trainings - _both(moved))


def _both(moved: np.ndarray) -> float:
    """Return V_both, what moves patients from repeat to repeat one by one; 0 for one repeat, where nobody can tell."""
    n = len(moved)
    return float(((moved - moved.mean(0)) ** 2).sum()) / (n * (n - 1)) if n > 1 else 0.0


def degrees(patients: float, trainings: float, rare: int, n_repeats: int, folds: int) -> int:
    """Return the degrees of freedom; those of few training draws count on an official cut (Satterthwaite)."""
    if folds > 1 or not trainings or rare < 1:
        return rare
    total = patients + trainings
    # Shares, since squares of variances of identical arms would vanish.
    own = 1 / ((patients / total) ** 2 / rare + (trainings / total) ** 2 / (n_repeats - 1))
    return max(1, min(rare, int(own + 1e-9)))


def _same_level(t: float, df: int, own: int) -> float:
    """Return the t that Student's t of `own` degrees of freedom exceeds as often as that of `df` exceeds `t`."""
    return t if own == df else max(t, quantile(min(cumulative(t, df), 1 - 1e-9), own))


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
    unit = unit.astype(np.float32)
    if n * DRAWS <= KEPT:
        t = (_multipliers(n) @ unit).astype(np.float64)
    else:
        t = np.empty((DRAWS, len(names)))
        step = max(1, BLOCK // n)
        for start in range(0, DRAWS, step):
            weights = rng.standard_normal((min(step, DRAWS - start), n), dtype=np.float32)
            t[start : start + step] = weights @ unit
    for j, name in enumerate(names):
        t[:, j] += of_trainings[j] * np.random.default_rng(derive_seed("max-t training", name)).standard_normal(DRAWS)
    largest = np.abs(t).max(1)
    for j in range(unseen):
        rng = np.random.default_rng(derive_seed("max-t unseen", j))
        largest = np.maximum(largest, np.abs(rng.standard_normal(DRAWS)))
    shared = np.sqrt(np.random.default_rng(derive_seed("max-t scale", df)).chisquare(df, DRAWS) / df)
    return float(np.quantile(largest / shared, LEVEL))


@functools.lru_cache(maxsize=1)
def _multipliers(n: int) -> np.ndarray:
    """Return ``float32 (DRAWS, n)`` normals, the first of the stream of so many patients."""
    return np.random.default_rng(derive_seed("max-t patients", n)).standard_normal((DRAWS, n), dtype=np.float32)
