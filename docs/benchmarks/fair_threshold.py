"""Measure what a threshold learnt on watched patients gives, and how strongly it should be drawn to the plain one.

    python docs/benchmarks/fair_threshold.py [--tables 200] [--seed 1] [--penalties 0.1 0.3 1 3 10]
    python docs/benchmarks/fair_threshold.py --noise

Two methods with binormal scores on the same patients, 5 folds x 3 repeats, a tenth of each training part watched. Every
training run has a threshold of its own around its method's. `moved`: both tell patients apart equally well, the method
above answers the common class for too many; any gain is false. `sharper`: it also tells them apart worse, so that a
part of the gain is true. Printed: balanced accuracy of the method above at the fixed decision, at the fair one,
and where every run's true threshold is known; the gain at each, with its standard deviation over tables.

With --noise labels have nothing to do with images: linear learners are trained, and what is not 50 % would be learnt
from the labels of those tested.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from medbench.statistics.fair_threshold import PENALTY, at_fair_thresholds
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units

FOLDS, REPEATS, WATCHED = 5, 3, 10
DISTANCE, SHARED = 1.5, 0.8
"""Of the class means, in standard deviations; the part of a patient's noise that all training runs share."""
STEEP, JITTER = 2.0, 0.5
"""Probabilities are this much too extreme; thresholds of training runs differ by this standard deviation."""


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patients", type=int, nargs="+", default=[50, 100, 300])
    parser.add_argument("--rare", type=float, nargs="+", default=[0.17, 0.30])
    parser.add_argument("--penalties", type=float, nargs="+", default=[PENALTY])
    parser.add_argument("--noise", action="store_true")
    asked = parser.parse_args()
    for patients in asked.patients:
        for rare in asked.rare:
            begin, rng = time.perf_counter(), np.random.default_rng([asked.seed, patients, int(100 * rare)])
            if asked.noise:
                _noise(rng, asked.tables, patients, rare, asked.penalties[0])
            else:
                for kind in ("moved", "sharper"):
                    _table(rng, asked.tables, patients, rare, kind, asked.penalties)
            print(f"  {time.perf_counter() - begin:.0f} s", flush=True)


def _table(
    rng: np.random.Generator, tables: int, patients: int, rare: float, kind: str, penalties: Sequence[float]
) -> None:
    ways = ["fixed", *(f"fair {p:g}" for p in penalties), "own runs", "oracle"]
    found = np.zeros((tables, len(ways), 2))  # method above, method
    for n in range(tables):
        labels = _labels(rng, patients, rare)
        cells = _cut(rng, labels)
        common = rng.standard_normal(patients)
        for arm, (shift, distance) in enumerate([(-2.0, DISTANCE * (0.8 if kind == "sharper" else 1)), (0, DISTANCE)]):
            tested, watched, known = {}, {}, {}
            for cell, (watch, test) in cells.items():
                own = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * rng.standard_normal(patients)
                moved = shift + JITTER * rng.standard_normal()
                odds = STEEP * ((labels - 0.5) * distance + own) + moved
                tested[cell], watched[cell] = _units(odds, labels, test), _units(odds, labels, watch)
                known[cell] = _units(odds - moved, labels, test)
            results = [tested, *(at_fair_thresholds(tested, watched, p) for p in penalties)]
            alone = {c: at_fair_thresholds({c: tested[c]}, {c: watched[c]}).get(c, tested[c]) for c in tested}
            found[n, :, arm] = [_balanced(cells_of) for cells_of in (*results, alone, known)]
    gains = found[..., 1] - found[..., 0]
    print(f"{kind}, {patients} patients, {rare:.0%} rare: balanced accuracy of the method above, gain (SD)")
    for way, of_way, gain in zip(ways, found.mean(0), gains.T, strict=True):
        print(f"  {way:10} {100 * of_way[0]:5.1f} {100 * gain.mean():+6.2f} ({100 * gain.std():.2f})")


def _noise(rng: np.random.Generator, tables: int, patients: int, rare: float, penalty: float) -> None:
    fixed, fair = [], []
    for _ in range(tables):
        labels = _labels(rng, patients, rare)
        images = np.column_stack([np.ones(patients), rng.standard_normal((patients, 10))])
        tested, watched = {}, {}
        for cell, (watch, test) in _cut(rng, labels).items():
            learnt = np.setdiff1d(np.arange(patients), [*watch, *test])
            weights = 1 / np.bincount(labels[learnt])[labels[learnt]]
            x = images[learnt] * weights[:, None]
            fit = np.linalg.solve(x.T @ images[learnt] + 0.05 * np.eye(11), x.T @ (2 * labels[learnt] - 1))
            tested[cell], watched[cell] = (_units(4 * images @ fit, labels, part) for part in (test, watch))
        fixed.append(_balanced(tested))
        fair.append(_balanced(at_fair_thresholds(tested, watched, penalty)))
    print(f"noise, {patients} patients, {rare:.0%} rare: balanced accuracy (SE)")
    for name, values in (("fixed", fixed), ("fair", fair)):
        print(f"  {name:10} {100 * np.mean(values):.2f} ({100 * np.std(values) / np.sqrt(tables):.2f})")


def _labels(rng: np.random.Generator, patients: int, rare: float) -> np.ndarray:
    return rng.permutation((np.arange(patients) < round(rare * patients)).astype(np.int64))


def _cut(rng: np.random.Generator, labels: np.ndarray) -> dict[Cell, tuple[np.ndarray, np.ndarray]]:
    """Return rows that are watched and rows that are tested, by training run; classes are spread evenly."""
    found = {}
    for repeat in range(REPEATS):
        folds = _deal(rng, labels, np.arange(len(labels)), FOLDS)
        for fold in range(FOLDS):
            rest = np.flatnonzero(folds != fold)
            watch = rest[_deal(rng, labels, rest, WATCHED) == 0]
            found[repeat, fold, 0] = watch, np.flatnonzero(folds == fold)
    return found


def _deal(rng: np.random.Generator, labels: np.ndarray, rows: np.ndarray, parts: int) -> np.ndarray:
    found = np.zeros(len(rows), dtype=np.int64)
    for k in (0, 1):
        of_class = np.flatnonzero(labels[rows] == k)
        found[of_class] = rng.permutation(np.arange(len(of_class)) % parts)
    return found


def _units(odds: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> Units:
    p = 1 / (1 + np.exp(-odds[rows]))
    both = np.stack([1 - p, p], axis=1)
    names = rows.astype(np.str_)
    return Units(names, names, labels[rows], both, both)


def _balanced(cells: dict[Cell, Units]) -> float:
    """Return balanced accuracy over the folds of each repeat, mean over repeats."""
    values = []
    for repeat in range(REPEATS):
        of_repeat = [u for (r, _, _), u in cells.items() if r == repeat]
        labels = np.concatenate([u.labels for u in of_repeat])
        right = np.concatenate([u.probabilities.argmax(1) for u in of_repeat]) == labels
        values.append((right[labels == 0].mean() + right[labels == 1].mean()) / 2)
    return float(np.mean(values))


if __name__ == "__main__":
    main()
