"""How often the ranges of `medbench leaderboard --table scores` hold together.

    python docs/benchmarks/scores_and_gains.py [--runs 250] [--seed 11]

Generators of different skill and six scores that follow it more or less stay; patients are new in every run. A range
holds where it encloses the mean correlation over all runs. Prints for each design how often all six hold, and each at
least, with the spread of draws widened by what gains drawn again vary more, and without.
"""

from __future__ import annotations

import argparse

import numpy as np

from medbench.statistics.rank_correlation import PairedCell, cell_gains, joint_ranges, rank_correlation, widened

DRAWS, FOLDS, REPEATS = 300, 5, 3
DESIGNS = ((90, 4, 0.3), (180, 4, 0.3), (90, 6, 0.0), (90, 4, 0.8))
"""Patients, generators, and how much their skill moves the share decided rightly."""


def one_run(rng: np.random.Generator, patients: int, skill: np.ndarray, effect: float) -> list[PairedCell]:
    """Draw patients, and what each method and the one above it get right of them."""
    names, labels = np.array([f"p{k}" for k in range(patients)]), (np.arange(patients) % 3 == 0).astype(np.int64)
    difficulty = rng.normal(size=patients)
    found = []
    for _ in range(REPEATS):
        order = rng.permutation(patients)
        for fold in range(FOLDS):
            part = order[fold::FOLDS]
            above = difficulty[part] + rng.normal(0, 0.7, len(part)) < 0.8
            for one in skill:
                right = difficulty[part] + rng.normal(0, 0.7, len(part)) < 0.8 + effect * one
                found.append(PairedCell(names[part], labels[part], right.astype(float) - above, "data"))
    return found


def coverage(patients: int, generators: int, effect: float, *, runs: int, seed: int) -> str:
    """Return how often the ranges hold."""
    rng = np.random.default_rng(seed)
    skill = rng.normal(size=generators)
    of_cells = np.tile(skill, FOLDS * REPEATS)
    scores = np.array([of_cells * w + rng.normal(size=len(of_cells)) for w in np.linspace(0, 1.5, 6)])
    groups = np.zeros(len(of_cells), dtype=np.int64)
    seen, ends = [], {"widened": [], "not": []}
    for _ in range(runs):
        paired = one_run(rng, patients, skill, effect)
        gains = cell_gains(paired, [2] * len(paired), draws=DRAWS)
        drawn = np.array([rank_correlation(one, gains, groups) for one in scores])
        seen.append(drawn[:, 0])
        again = np.array([widened(one[1:], gains, groups) for one in drawn])
        ends["widened"].append(joint_ranges(drawn[:, 0], again, df=patients // 3 - 1))
        ends["not"].append(joint_ranges(drawn[:, 0], drawn[:, 1:], df=patients // 3 - 1))
    truth = np.mean(seen, axis=0)
    said = []
    for name, found in ends.items():
        held = np.array([(low <= truth) & (truth <= high) for low, high in found])
        said.append(f"{name}: all {held.all(1).mean():.3f}, each at least {held.mean(0).min():.3f}")
    return "; ".join(said)


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=250)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    for number, (patients, generators, effect) in enumerate(DESIGNS):
        found = coverage(patients, generators, effect, runs=asked.runs, seed=asked.seed + number)
        print(f"{patients} patients, {generators} generators, effect {effect}: {found}", flush=True)


if __name__ == "__main__":
    main()
