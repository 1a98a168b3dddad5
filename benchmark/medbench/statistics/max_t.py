"""How far the ranges of a family reach so that all hold at once: max-t under shared draws of patients.

Source:
    Westfall and Young, Resampling-Based Multiple Testing, Wiley 1993.
"""

from __future__ import annotations

import functools

import numpy as np

from medbench.identity.identity import derive_seed
from medbench.statistics.student_t import LEVEL, cumulative, quantile

BLOCK = 2**22  # normals at a time: 16 MiB
KEPT = 2**24  # normals that stay for the next table of as many patients, as a live board asks for: 64 MiB
GROUPS = 4096
DRAWS = 10_000


def same_level(t: float, df: int, own: int) -> float:
    """Return the t that Student's t of `own` degrees of freedom exceeds as often as that of `df` exceeds `t`."""
    return t if own == df else max(t, quantile(min(cumulative(t, df), 1 - 1e-9), own))


def max_t(
    influence: np.ndarray, patients: np.ndarray, trainings: np.ndarray, names: list[str], unseen: int, df: int
) -> float:
    """Return the LEVEL quantile of the largest absolute t of the family.

    Patients are weighed with normal multipliers, the same for every comparison, so what comparisons share counts once.
    Noise of training is drawn apart for every comparison: too few repeats show what of it is shared, and apart is the
    wider assumption. Every stream is keyed by what it stands for, so a further comparison can only raise the quantile.

    Args:
        influence: ``float64 (clusters, comparisons)``: how much each patient moves each gain.
        patients: ``float64 (comparisons,)`` variance between patients.
        trainings: ``float64 (comparisons,)`` variance between trainings; 0 where it is unknown.
        names: Of the comparisons; they seed the draws of trainings.
        unseen: Further comparisons, of which nothing but their number is known.
        df: Degrees of freedom that all share.
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
