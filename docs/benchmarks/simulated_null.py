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

--external tests an official cut on patients of another hospital. --fair scores all at a threshold learnt on the tenth
of the training patients that is only watched; there are no words: joint intervals that leave out 0 count as wrong.
--auroc adds the intervals of the gains in macro AUROC, each by itself.
--corruptions N adds N kinds of noise to the tested images: one family of N x 12 gains, and one of what they are more
than on clean images.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from simulated_learners import NULLS, OfCells, simulate

from medbench.statistics.auroc_interval import auroc_intervals
from medbench.statistics.fair_threshold import at_fair_thresholds
from medbench.statistics.gain_intervals import Interval, intervals, rarest
from medbench.statistics.patient_scores import ArmScores, Cell, score
from medbench.statistics.pool_images_by_patient import Units, units_of
from medbench.statistics.power import smallest_gain_seen
from medbench.statistics.student_t import two_sided
from medbench.statistics.verdicts import Evidence, judge

CONTROLS = (0, 0, 0, 0, 0, 2, 2, 2, 2, 3, 3, 6)  # of arm 1, 2, ...; arm 0 is the root


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
    without: int = 0


def main() -> None:
    """Simulate and print."""
    asked = options().parse_args()
    for null in asked.null:
        for patients in asked.patients:
            started = time.perf_counter()
            counts = count(asked, null, patients)
            report(counts, asked, null, patients, time.perf_counter() - started)


def count(asked: argparse.Namespace, null: str, patients: int) -> Counts:
    """Simulate the tables of one design."""
    rng = np.random.default_rng([asked.seed, patients, NULLS.index(null)])
    counts = Counts()
    for _ in range(asked.repetitions):
        table(counts, rng, asked, null, patients)
    return counts


def options() -> argparse.ArgumentParser:
    """Return what the command line may say."""
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
    parser.add_argument("--external", action="store_true", help="an official cut tests patients of another hospital")
    parser.add_argument("--fair", action="store_true", help="score at a threshold learnt on watched patients")
    parser.add_argument("--auroc", action="store_true", help="count the intervals of gains in AUROC too")
    parser.add_argument("--corruptions", type=int, default=0, help="kinds of noise on the tested images")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def table(counts: Counts, rng: np.random.Generator, asked: argparse.Namespace, null: str, patients: int) -> None:
    """Simulate one table and add what it says to the counts."""
    simulated = simulate(rng, asked, null, patients)
    tested = list(simulated.tested)
    if asked.gain:
        tested[-1] = planted(rng, tested[-1], asked.gain / 100, asked)
    cells = units_of_arms(tested, asked)
    failed = [[c for c in made if arm and rng.random() < asked.failed] for arm, made in enumerate(cells)]
    put_stand_ins(cells, failed, asked)
    clean = [score(made, 2) for made in cells]
    evidence = [
        Evidence(
            asked.folds,
            asked.repeats,
            len(cells[0]),
            len(cells[0]),
            rarest(clean[0]),
            patients,
            len(of_arm),
            overlap=overlap_of(asked),
        )
        for of_arm in failed
    ]
    if asked.fair:
        cells = [at_fair_thresholds(*both) for both in zip(cells, units_of_arms(simulated.watched, asked), strict=True)]
        if not all(cells):
            counts.without += 1
            return
        put_stand_ins(cells, failed, asked)
        clean = [score(made, 2) for made in cells]
    families = [pairs_of(clean, "", asked)]
    if asked.corruptions:
        families = [{}, {}]
        for kind, predicted in enumerate(simulated.corrupted):
            of_kind = units_of_arms(predicted, asked)
            put_stand_ins(of_kind, failed, asked)
            scores = [score(made, 2) for made in of_kind]
            further = [replace(s, correct=s.correct - c.correct) for s, c in zip(scores, clean, strict=True)]
            for family, of_arms in zip(families, (scores, further), strict=True):
                family |= pairs_of(of_arms, f"noise {kind} / ", asked)
    if asked.auroc:
        for gain in auroc_intervals(families[0], folds=asked.folds, overlap=overlap_of(asked)).values():
            if gain is not None:
                add_interval(counts, gain, "AUROC: ")
    wrong, outside = 0, set[str]()
    for n, pairs in enumerate(families):
        found = intervals(pairs, folds=asked.folds, overlap=overlap_of(asked))
        for name, (arm_scores, control) in pairs.items():
            arm = int(name.rpartition(" ")[2])
            gain = arm_scores.auroc - control.auroc
            word = judge(found[name], evidence[arm], worth=asked.worth, auroc=gain).word
            if asked.gain and arm == asked.arms:
                counts.found.append(word == "better")
                counts.planted.append(found[name].value)
                counts.sees.append(smallest_gain_seen(found[name]))
                continue
            missed = add_interval(counts, found[name], "more than clean: " if n else "")
            outside |= missed
            if n:
                continue
            counts.words[word or "no verdict"] += 1
            wrong += bool(missed & {"the product's"}) if asked.fair else word in ("better", "worse", "threshold")
    counts.disagree += [disagreement(cells[a], cells[c]) for a, c in enumerate(CONTROLS[: asked.arms], start=1)]
    counts.tables += 1
    counts.wrong_tables += wrong > 0
    counts.outside.update(outside)


def units_of_arms(arms: Sequence[OfCells], asked: argparse.Namespace) -> list[dict[Cell, Units]]:
    """Return the units of every arm by training run."""
    every = [p for of_arm in arms for p in of_arm.values()]
    made = iter(units_of(every, [[0.5, 0.5]] * len(every), by_patient=not asked.mixed))
    return [{cell: next(made) for cell in of_arm} for of_arm in arms]


def put_stand_ins(cells: list[dict[Cell, Units]], failed: Sequence[Sequence[Cell]], asked: argparse.Namespace) -> None:
    """Put the predictions of an arm's control where a training run of it failed."""
    for arm, control in enumerate(CONTROLS[: asked.arms], start=1):
        cells[arm] |= {cell: cells[control][cell] for cell in failed[arm]}


def pairs_of(
    scores: Sequence[ArmScores], prefix: str, asked: argparse.Namespace
) -> dict[str, tuple[ArmScores, ArmScores]]:
    """Return every comparison of an arm with its control, by a name that ends in the arm's number."""
    return {f"{prefix}arm {a}": (scores[a], scores[c]) for a, c in enumerate(CONTROLS[: asked.arms], start=1)}


def add_interval(counts: Counts, found: Interval, prefix: str) -> set[str]:
    """Count whether an interval covers the true gain of 0; return the rules whose joint one does not."""
    missed = set()
    if not prefix:
        counts.values.append(found.value)
        counts.between.append((found.between_patients, found.between_trainings))
    for rule, half in rules(found).items():
        counts.covered.setdefault(prefix + rule, []).append(abs(found.value) <= half)
        counts.half.setdefault(prefix + rule, []).append(half)
        joint = half * found.critical / two_sided(found.df)
        missed |= {prefix + rule} if abs(found.value) > joint else set()
    return missed


def disagreement(one: Mapping[Cell, Units], other: Mapping[Cell, Units]) -> float:
    """Return the part of the units that two arms decide differently."""
    decided = [one[c].probabilities.argmax(1) != other[c].probabilities.argmax(1) for c in one]
    return float(np.concatenate(decided).mean())


def planted(rng: np.random.Generator, of_arm: OfCells, gain: float, asked: argparse.Namespace) -> OfCells:
    """Let some patients be decided rightly in every cell, as many as balanced accuracy gains `gain` by on average."""
    right = score(units_of_arms([of_arm], asked)[0], 2).balanced_accuracy
    persons = np.unique(np.concatenate([p.patients for p in of_arm.values()]))
    chosen = persons[rng.random(len(persons)) < gain / (1 - right)]
    made: OfCells = {}
    for cell, p in of_arm.items():
        sure = np.where(np.arange(2) == p.labels[:, None], 0.99, 0.01)
        certain = np.isin(p.patients, chosen)[:, None]
        made[cell] = replace(p, probabilities=np.where(certain, sure, p.probabilities))
    return made


def rules(interval: Interval) -> dict[str, float]:
    """Return the half-width of the interval of one comparison, and what it would be of these patients and trainings."""
    t = two_sided(interval.df)
    return {"the product's": t * interval.standard_error, "no training variance": t * interval.between_patients**0.5}


def overlap_of(asked: argparse.Namespace) -> float:
    """Return the mean part of the training patients that two repeats of an official cut share."""
    if asked.folds > 1 or asked.repeats < 2:
        return 0.0
    queue = [r // max(1, int(asked.pool + 1e-9)) for r in range(asked.repeats)]
    pairs = [(a, b) for a in range(asked.repeats) for b in range(a)]
    return sum(queue[a] != queue[b] for a, b in pairs) / len(pairs) / asked.pool


def report(counts: Counts, asked: argparse.Namespace, null: str, patients: int, seconds: float) -> None:
    """Print what was counted."""
    more = "".join(f", {w}" for w in ("external", "fair") if getattr(asked, w))
    more += f", {asked.corruptions} corruptions" if asked.corruptions else ""
    design = f"{asked.folds} folds x {asked.repeats} repeats" if asked.folds > 1 else f"official cut x {asked.repeats}"
    print(f"\nnull {null}, {patients} patients, {design}, {asked.arms} arms, {asked.learner}, seed {asked.seed}{more}")
    low, high = wilson(counts.wrong_tables, counts.tables)
    if counts.without:
        print(f"  {counts.without} tables without a fair threshold, left out")
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
    print("  95 % intervals                           coverage  half-width  tables with a joint one that misses")
    for rule, covered in counts.covered.items():
        missed = counts.outside[rule] / counts.tables
        print(f"    {rule:<39}{np.mean(covered):.3f}  {100 * np.mean(counts.half[rule]):10.1f}  {missed:.3f}")


def wilson(k: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion."""
    z, p = 1.96, k / n
    middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, (middle - spread) / (1 + z * z / n)), (middle + spread) / (1 + z * z / n)


if __name__ == "__main__":
    main()
