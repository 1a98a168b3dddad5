"""Measure how often a table says a wrong word where no arm helps, and how often the interval covers the truth.

    python docs/benchmarks/simulated_null.py [--repetitions 4000] [--null two] [--folds 5] [--repeats 3] ...

Twelve arms in a tree of controls, patients with several images, one patient in six of the rare class, cells that fail
and take their control's predictions, and the product's own scores, intervals and words. No arm truly gains anything, so
every *better*, *worse* and *threshold* is wrong. Two nulls, and one that is harder than the acceptance asks for:

two     every arm learns from features of its own beside shared ones: different learners of equal skill
same    every arm is the same learner, trained with other random weights of the images; a part of the weights is shared
        by all arms of a cell, as initialisation and batch order are
luck    as same, but one training in four goes badly wrong: its weights spread six times as far

The learners are weighted least squares, or with --learner network small networks of one hidden layer, trained by Adam
from initial weights that all arms of a cell share, as in the product; large networks may have other constants. The full
run: --repetitions 4000 for both nulls, --patients 60 120 298, --repeats 1, and --folds 1. Accepted where at least one
wrong word a table stands in no more than 5 % (the lower 95 % bound decides) and coverage is 94 to 97 %.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from medbench.statistics.gain_intervals import Interval, intervals, rarest
from medbench.statistics.patient_scores import score
from medbench.statistics.pool_images_by_patient import Units, units
from medbench.statistics.power import smallest_gain_seen
from medbench.statistics.student_t import two_sided
from medbench.statistics.verdicts import Evidence, judge
from medbench.trial.trial import Predictions

CONTROLS = (0, 0, 0, 0, 0, 2, 2, 2, 2, 3, 3, 6)  # of arm 1, 2, ...; arm 0 is the root
FEATURES = 10
HIDDEN, STEPS = 8, 60
NULLS = ("two", "same", "luck")


@dataclass
class Counts:
    """What is counted over the repetitions of one design."""

    tables: int = 0
    wrong_tables: int = 0
    outside: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    covered: dict[str, list[float]] = field(default_factory=dict)
    half: dict[str, list[float]] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    disagree: list[float] = field(default_factory=list)
    between: list[tuple[float, float]] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    planted: list[float] = field(default_factory=list)
    sees: list[float] = field(default_factory=list)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200, help="tables a design; 4000 for the acceptance")
    parser.add_argument("--null", nargs="+", choices=NULLS, default=["two", "same"])
    parser.add_argument("--patients", type=int, nargs="+", default=[298])
    parser.add_argument("--prevalence", type=float, default=0.17)
    parser.add_argument("--images", type=int, default=3, help="most images a patient")
    parser.add_argument("--learner", choices=("linear", "network"), default="linear")
    parser.add_argument("--mixed", action="store_true", help="labels differ within patients: images are the unit")
    parser.add_argument("--folds", type=int, default=5, help="1: an official cut")
    parser.add_argument("--test", type=int, default=1000, help="patients of the official test part")
    parser.add_argument(
        "--pool", type=float, default=6, help="patients of the training part over those that a repeat trains on"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--arms", type=int, default=len(CONTROLS), help="comparisons, 12 at most")
    parser.add_argument(
        "--own", type=float, default=0.5, help="part of features or of training noise that is an arm's own"
    )
    parser.add_argument("--noise", type=float, default=1.0, help="spread of the log of training weights, null same")
    parser.add_argument("--shift", type=float, default=0.35, help="distance of the classes in each feature")
    parser.add_argument("--failed", type=float, default=0.02, help="part of the cells that fail")
    parser.add_argument("--gain", type=float, default=0.0, help="points that the last arm truly gains; 0: none")
    parser.add_argument("--worth", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for null in asked.null:
        for patients in asked.patients:
            started = time.perf_counter()
            rng = np.random.default_rng([asked.seed, patients, NULLS.index(null)])
            counts = Counts()
            for _ in range(asked.repetitions):
                table(counts, rng, asked, null, patients)
            report(counts, asked, null, patients, time.perf_counter() - started)


def table(counts: Counts, rng: np.random.Generator, asked: argparse.Namespace, null: str, patients: int) -> None:
    """Simulate one table and add what it says to the counts."""
    predicted, truth = trials(rng, asked, null, patients)
    controls = CONTROLS[: asked.arms]
    if asked.gain:
        predicted[-1] = planted(rng, predicted[-1], asked.gain / 100, by_patient=not asked.mixed)
    failed: list[int] = []
    cells: list[dict[tuple[int, int, int], Units]] = []
    for arm, of_arm in enumerate(predicted):
        made = {c: units(p, [0.5, 0.5], by_patient=not asked.mixed) for c, p in of_arm.items()}
        gone = [c for c in made if arm and rng.random() < asked.failed]
        cells.append(made | {c: cells[controls[arm - 1]][c] for c in gone})
        failed.append(len(gone))
    scores = [score(made, 2) for made in cells]
    pairs = {f"arm {a}": (scores[a], scores[c]) for a, c in enumerate(controls, start=1)}
    found = intervals(pairs, folds=asked.folds, overlap=overlap_of(asked))
    n_cells, rare = len(cells[0]), rarest(scores[0])
    wrong, outside = 0, set()
    for a, (name, (arm_scores, control)) in enumerate(pairs.items(), start=1):
        evidence = Evidence(asked.folds, asked.repeats, n_cells, n_cells, rare, patients, failed[a])
        gain = arm_scores.auroc - control.auroc
        word = judge(found[name], evidence, worth=asked.worth, auroc=gain).word
        if asked.gain and a == len(controls):
            counts.found.append(word == "better")
            counts.planted.append(found[name].value)
            counts.sees.append(smallest_gain_seen(found[name]))
            continue
        counts.words[word or "no verdict"] += 1
        wrong += word in ("better", "worse", "threshold")
        counts.values.append(found[name].value)
        counts.between.append((found[name].between_patients, found[name].between_trainings))
        decided = [
            cells[a][c].probabilities.argmax(1) != cells[controls[a - 1]][c].probabilities.argmax(1) for c in cells[a]
        ]
        counts.disagree.append(float(np.concatenate(decided).mean()))
        for rule, half in rules(found[name]).items():
            counts.covered.setdefault(rule, []).append(abs(found[name].value - truth) <= half)
            counts.half.setdefault(rule, []).append(half)
            joint = half * found[name].critical / two_sided(found[name].df)
            outside |= {rule} if abs(found[name].value - truth) > joint else set()
    counts.tables += 1
    counts.wrong_tables += wrong > 0
    counts.outside.update(outside)


def planted(
    rng: np.random.Generator, of_arm: dict[tuple[int, int, int], Predictions], gain: float, *, by_patient: bool
) -> dict[tuple[int, int, int], Predictions]:
    """Let some patients be decided rightly in every cell, as many as balanced accuracy gains `gain` by on average."""
    right = score({c: units(p, [0.5, 0.5], by_patient=by_patient) for c, p in of_arm.items()}, 2).balanced_accuracy
    persons = np.unique(np.concatenate([p.patients for p in of_arm.values()]))
    chosen = persons[rng.random(len(persons)) < gain / (1 - right)]
    made = {}
    for cell, p in of_arm.items():
        sure = np.where(np.arange(2) == p.labels[:, None], 0.99, 0.01)
        certain = np.isin(p.patients, chosen)[:, None]
        made[cell] = replace(p, probabilities=np.where(certain, sure, p.probabilities))
    return made


def rules(interval: Interval) -> dict[str, float]:
    """Return the half-width of the interval of one comparison, and what it would be of these patients and trainings."""
    t = two_sided(interval.df)
    return {"the product's": t * interval.standard_error, "no training variance": t * interval.between_patients**0.5}


def trials(
    rng: np.random.Generator, asked: argparse.Namespace, null: str, patients: int
) -> tuple[list[dict[tuple[int, int, int], Predictions]], float]:
    """Return the predictions of every arm, the root first, by cell; and the true gain, which is 0.

    An official cut trains each repeat on other `patients` of a pool `asked.pool` times as large, disjoint ones as long
    as there are some, and tests on `asked.test` further ones.
    """
    pool = patients if asked.folds > 1 else round(asked.pool * patients)
    n = pool if asked.folds > 1 else pool + asked.test
    rare = np.zeros(n, dtype=np.int64)
    for start, stop in ((0, pool), (pool, n)):
        rare[start : start + round(asked.prevalence * (stop - start))] = 1
    owner = np.repeat(np.arange(n), rng.integers(1, asked.images + 1, n))  # patient of each image
    labels = rare[owner]
    if asked.mixed:
        labels = np.where(rng.random(len(owner)) < 0.15, 1 - labels, labels)
    n_own = round(FEATURES * asked.own) if null == "two" else 0

    def draw(width: int) -> np.ndarray:
        """Features of the images: half of the variance is the patient's."""
        ofs = rng.standard_normal((n, width))[owner] + rng.standard_normal((len(owner), width))
        return ofs / 2**0.5 + asked.shift * labels[:, None]

    shared, names = draw(FEATURES - n_own), np.array([f"i{i:06d}" for i in range(len(owner))])
    persons = np.array([f"p{i:05d}" for i in range(n)])[owner]
    parts = [(r, f, s) for r in range(asked.repeats) for f in range(asked.folds) for s in range(asked.seeds)]
    tested = (folds_of if asked.folds > 1 else draws_of)(rng, rare, pool, asked)[:, owner]  # (repeats, images)
    in_test = np.stack([tested[r] == f for r, f, _ in parts])
    in_train = np.stack([(tested[r] != f) & (tested[r] >= 0) for r, f, _ in parts])
    common = rng.standard_normal(in_train.shape)
    networks = asked.learner == "network"
    start = rng.standard_normal((len(parts), FEATURES + 2, HIDDEN)) if networks else np.empty(0)
    arms = []
    for _ in range(asked.arms + 1):
        x = np.concatenate([shared, draw(n_own), np.ones((len(owner), 1))], axis=1)
        weights = in_train.astype(np.float64)
        if null != "two":
            own = rng.standard_normal(in_train.shape)
            bad = rng.random((len(parts), 1)) < 0.25
            noise = asked.noise * (np.where(bad, 3.0, 0.5) if null == "luck" else 1.0)
            weights *= np.exp(noise * ((1 - asked.own) ** 0.5 * common + asked.own**0.5 * own))
        for k in (0, 1):  # both classes weigh alike
            weights[:, labels == k] /= weights[:, labels == k].sum(1, keepdims=True)
        logits = trained(x, labels, weights, start) if networks else learn(x, labels, weights)
        arms.append(
            {
                part: Predictions(names[test], persons[test], labels[test], probabilities(logits[c, test]))
                for c, (part, test) in enumerate(zip(parts, in_test, strict=True))
            }
        )
    return arms, 0.0


def folds_of(rng: np.random.Generator, rare: np.ndarray, pool: int, asked: argparse.Namespace) -> np.ndarray:
    """Deal patients into folds by class, anew each repeat; return ``int64 (repeats, patients)``."""
    fold = np.zeros((asked.repeats, len(rare)), dtype=np.int64)
    for of_repeat in fold:
        for k in (0, 1):
            members = rng.permutation(np.flatnonzero(rare[:pool] == k))
            of_repeat[members] = np.arange(len(members)) % asked.folds
    return fold


def draws_of(rng: np.random.Generator, rare: np.ndarray, pool: int, asked: argparse.Namespace) -> np.ndarray:
    """Draw who is trained on by class as the product does: one queue after another, disjoint while it lasts.

    Returns:
        ``int64 (repeats, patients)``: 0 is tested, 1 trained on, -1 left out of this repeat.
    """
    fold = np.zeros((asked.repeats, len(rare)), dtype=np.int64)
    fold[:, :pool] = -1
    for k in (0, 1):
        members = np.flatnonzero(rare[:pool] == k)
        size, queue = round(len(members) / asked.pool), rng.permutation(members)
        for r, of_repeat in enumerate(fold):
            place = r % max(1, len(members) // size)
            if r and not place:
                queue = rng.permutation(members)
            of_repeat[queue[place * size : (place + 1) * size]] = 1
    return fold


def overlap_of(asked: argparse.Namespace) -> float:
    """Return the mean part of the training patients that two repeats of an official cut share."""
    if asked.folds > 1 or asked.repeats < 2:
        return 0.0
    queue = [r // max(1, int(asked.pool + 1e-9)) for r in range(asked.repeats)]
    pairs = [(a, b) for a in range(asked.repeats) for b in range(a)]
    return sum(queue[a] != queue[b] for a, b in pairs) / len(pairs) / asked.pool


def learn(x: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fit weighted ridge regressions; return ``(trainings, images)`` logits."""
    target = 2.0 * labels - 1
    p = x.shape[1]
    gram = (weights @ (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)).reshape(-1, p, p) + 0.01 * np.eye(p)
    w = np.linalg.solve(gram, (weights @ (x * target[:, None]))[:, :, None])[:, :, 0]
    return 4 * w @ x.T


def trained(x: np.ndarray, labels: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Train networks of HIDDEN units on weighted cross-entropy by Adam; return ``(trainings, images)`` logits.

    Args:
        x: ``float64 (images, FEATURES + 1)``, the last column 1.
        labels: ``int64 (images,)``, 0 or 1.
        weights: ``float64 (trainings, images)``; 0 leaves an image out.
        start: ``float64 (trainings, FEATURES + 2, HIDDEN)``: initial weights of both layers, standard normal.
    """
    x, weights = x.astype(np.float32), weights.astype(np.float32) / 2
    first, last = start[:, :-1].astype(np.float32) / x.shape[1] ** 0.5, start[:, -1].astype(np.float32) / HIDDEN**0.5
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in (first, last)]
    for step in range(1, STEPS + 1):
        hidden = np.tanh(x @ first)  # (trainings, images, HIDDEN)
        logits = np.einsum("tih,th->ti", hidden, last)
        wrong = weights * (1 / (1 + np.exp(-logits)) - labels)
        inner = wrong[:, :, None] * last[:, None] * (1 - hidden**2)
        gradients = x.T @ inner, np.einsum("ti,tih->th", wrong, hidden)
        for w, gradient, (mean, square) in zip((first, last), gradients, moments, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.01 * (gradient**2 - square)
            w -= 0.05 * mean / (1 - 0.9**step) / ((square / (1 - 0.99**step)) ** 0.5 + 1e-8)
    return np.einsum("tih,th->ti", np.tanh(x @ first), last)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return ``(n, 2)`` probabilities of logits."""
    p = 1 / (1 + np.exp(-logits))
    return np.stack([1 - p, p], axis=1)


def report(counts: Counts, asked: argparse.Namespace, null: str, patients: int, seconds: float) -> None:
    """Print what was counted."""
    design = f"{asked.folds} folds x {asked.repeats} repeats" if asked.folds > 1 else f"official cut x {asked.repeats}"
    print(f"\nnull {null}, {patients} patients, {design}, {asked.arms} arms, {asked.learner}, seed {asked.seed}")
    low, high = wilson(counts.wrong_tables, counts.tables)
    print(f"  {counts.tables} tables in {seconds:.0f} s; arm and control disagree on {np.mean(counts.disagree):.0%}")
    print(f"  at least one wrong word   {counts.wrong_tables / counts.tables:.3f}  ({low:.3f} to {high:.3f})")
    print("  words                     " + ", ".join(f"{w} {n}" for w, n in counts.words.most_common()))
    if counts.found:
        power, (least, most) = np.mean(counts.found), wilson(sum(counts.found), len(counts.found))
        print(
            f"  planted {asked.gain:.1f} points in the last arm: {100 * np.mean(counts.planted):.1f} found on average"
        )
        print(
            f"  it is better in {power:.3f}  ({least:.3f} to {most:.3f}); sees {100 * np.mean(counts.sees):.1f} points"
        )
    true = np.var(counts.values)
    patients_part, training_part = np.nanmean(counts.between, axis=0) if asked.repeats > 1 else (0.0, 0.0)
    estimated = f"{1e4 * patients_part:.2f} + {1e4 * training_part:.2f}"
    print(f"  variance of the gains {1e4 * true:.2f}; estimated {estimated}, points squared")
    print("  95 % intervals            coverage  half-width  tables with a joint one that misses")
    for rule, covered in counts.covered.items():
        missed = counts.outside[rule] / counts.tables
        print(f"    {rule:<24}{np.mean(covered):.3f}  {100 * np.mean(counts.half[rule]):10.1f}  {missed:.3f}")


def wilson(k: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion."""
    z, p = 1.96, k / n
    middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, (middle - spread) / (1 + z * z / n)), (middle + spread) / (1 + z * z / n)


if __name__ == "__main__":
    main()
