"""Details of one comparison: the corrected t-test, P(better / same / worse), and where the variance comes from.

They stand beside the interval as published cross-checks and never make a word of a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from medbench.statistics.class_metrics import confusion_matrix, recalls_of
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units
from medbench.statistics.student_t import cumulative, two_sided

FEWEST_LEVELS = 3  # fewer draws of a kind do not show its variance


@dataclass(frozen=True)
class CorrectedT:
    """The corrected resampled t-test of one comparison and its Bayesian reading.

    Attributes:
        value: Mean gain of balanced accuracy over folds and repeats, 0 to 1.
        standard_error: With the correction for training sets that share patients.
        low: Lower end of the 95 % range.
        high: Its upper end.
        p: Two-sided.
        df: Folds x repeats less one.
        better: Posterior probability that the gain is above what is worth having.
        same: That it lies within.
        worse: That it lies below.
    """

    value: float
    standard_error: float
    low: float
    high: float
    p: float
    df: int
    better: float
    same: float
    worse: float


@dataclass(frozen=True)
class Spread:
    """Standard deviations of a gain by what was drawn again; None where too few draws tell them apart.

    A component whose estimate is negative, as chance makes it where the true one is small, is 0.

    Attributes:
        folds: Between partitions of the patients, test and training patients together. With one generator a fold, that
            generator's part is in it.
        generators: Between fits of the generator with other seeds, in a fold.
        seeds: Between trainings of the classifier with other seeds, on the same generator.
        buy: Whose part of the variance of the mean is largest, so that more of it helps most; "" where one is unknown.
    """

    folds: float | None
    generators: float | None
    seeds: float | None
    buy: Literal["folds", "generators", "seeds", ""]


def fold_gains(
    arm: Mapping[Cell, Units], control: Mapping[Cell, Units], n_classes: int
) -> dict[tuple[int, int], np.ndarray]:
    """Return the gain of balanced accuracy in every fold, by (repeat, fold): ``float64 (seeds,)``.

    Raises:
        ValueError: If the two were not tested in the same cells on the same units.
    """
    if set(arm) != set(control) or any(not np.array_equal(u.names, control[c].names) for c, u in arm.items()):
        raise ValueError("an arm and its control were tested on different patients")
    found: dict[tuple[int, int], list[float]] = {}
    for (repeat, fold, seed), units in sorted(arm.items()):
        other = control[repeat, fold, seed]
        gain = _balanced_accuracy(units, n_classes) - _balanced_accuracy(other, n_classes)
        found.setdefault((repeat, fold), []).append(gain)
    return {key: np.array(gains) for key, gains in found.items()}


def corrected_t(gains: Mapping[tuple[int, int], np.ndarray], *, ratio: float, worth: float) -> CorrectedT | None:
    """Test the mean gain over folds and repeats, with the correction for shared training sets.

    Seeds are no repeats: they are averaged inside a fold first. The posterior of the correlated t-test with the
    correlation rho = ratio / (1 + ratio) is the same t distribution.

    Args:
        gains: As :func:`fold_gains` returns them.
        ratio: Tested patients by patients trained on, validation left out, mean over cells: .31 for five folds of
            which a fifth is kept for validation, not .25.
        worth: What is worth having, 0 to 1: the region of practical equivalence is ± `worth`.

    Returns:
        None for fewer than two folds: an official cut has none, and this test says nothing there.

    Source:
        Nadeau and Bengio, Machine Learning 52 (2003), equation 9. Benavoli, Corani, Demšar and Zaffalon, JMLR 18
        (2017), section 3.1.
    """
    if len({fold for _, fold in gains}) < 2:
        return None
    of_folds = np.array([seeds.mean() for seeds in gains.values()])
    n = len(of_folds)
    value = float(of_folds.mean())
    error = float(np.sqrt(of_folds.var(ddof=1) * (1 / n + ratio)))
    df, half = n - 1, two_sided(n - 1) * error

    def below(x: float) -> float:
        """Posterior probability that the gain is below x."""
        if not error:
            return float(value < x) if value != x else 0.5
        return cumulative((x - value) / error, df)

    better, worse = 1 - below(worth), below(-worth)
    p = 2 * min(below(0.0), 1 - below(0.0))
    return CorrectedT(value, error, value - half, value + half, p, df, better, max(0.0, 1 - better - worse), worse)


def share_tested(tested: Sequence[int], trained: Sequence[float]) -> float:
    """Return the mean over cells of patients tested by patients trained on: group folds are seldom equal."""
    return float(np.mean(np.asarray(tested) / np.asarray(trained)))


def fold_overlap(folds: np.ndarray) -> float:
    """Say how alike the partitions of different repeats are.

    Args:
        folds: ``int64 (repeats, patients)``: the fold each patient was tested in.

    Returns:
        Share of the pairs of patients tested together in one repeat who are together in another as well; about 1 / K
        for fresh partitions, 1 where the repeats are the same partition and therefore no repeats. NaN for one repeat.
    """
    shares = []
    for one, other in permutations(range(len(folds)), 2):
        n = int(folds.max()) + 1
        both = np.bincount(folds[one] * n + folds[other], minlength=n * n).astype(np.float64)
        alone = np.bincount(folds[one]).astype(np.float64)
        shares.append((both * (both - 1)).sum() / (alone * (alone - 1)).sum())
    return float(np.mean(shares)) if shares else float("nan")


def spread(gains: np.ndarray) -> Spread:
    """Tell the variance of folds, generator seeds and classifier seeds apart.

    Nested analysis of variance by moments (Searle, Casella and McCulloch 1992, chapter 3.6): seeds in generators in
    folds. A block of one fold with 3 generator seeds x 3 classifier seeds is enough for the last two.

    Args:
        gains: ``float64 (folds, generators, seeds)``, repeats counted as further folds.
    """
    n_folds, n_generators, n_seeds = gains.shape
    of_generators = gains.mean(2)
    mean_squares = (
        n_generators * n_seeds * _variance(of_generators.mean(1)),
        n_seeds * float(np.mean([_variance(row) for row in of_generators])),
        float(np.mean([_variance(row) for row in gains.reshape(-1, n_seeds)])),
    )
    seeds = mean_squares[2] if n_seeds >= FEWEST_LEVELS else None
    generators = folds = None
    if n_generators >= FEWEST_LEVELS and seeds is not None:
        generators = max(0.0, (mean_squares[1] - seeds) / n_seeds)
    if n_folds >= FEWEST_LEVELS and n_generators * n_seeds > 1:
        inner = mean_squares[1] if n_generators > 1 else mean_squares[2]
        folds = max(0.0, (mean_squares[0] - inner) / (n_generators * n_seeds))
    counts = n_folds, n_folds * n_generators, n_folds * n_generators * n_seeds
    return _spread(folds, generators, seeds, counts)


def spread_with_block(gains: np.ndarray, block: np.ndarray) -> Spread:
    """Tell the variances apart where generators and classifiers share their seeds, but for one block of a fold.

    The block tells of generators and classifiers, and what they leave of the variance between folds is that of folds.

    Args:
        gains: ``float64 (folds, seeds)``, repeats counted as further folds; one generator and one classifier a seed.
        block: ``float64 (generators, seeds)``: every generator with every classifier seed, on one fold.
    """
    inside = spread(block[None])
    if inside.generators is None or inside.seeds is None:
        return inside
    n_folds, n_seeds = gains.shape
    generators, seeds = inside.generators**2, inside.seeds**2
    folds = None
    if n_folds >= FEWEST_LEVELS:
        folds = max(0.0, _variance(gains.mean(1)) - (generators + seeds) / n_seeds)
    return _spread(folds, generators, seeds, (n_folds, gains.size, gains.size))


def _spread(folds: float | None, generators: float | None, seeds: float | None, counts: tuple[int, int, int]) -> Spread:
    """Take roots of variances; `counts` are how many draws of each the mean is over."""
    buy: Literal["folds", "generators", "seeds", ""] = ""
    if folds is not None and generators is not None and seeds is not None:
        parts = [part / count for part, count in zip((folds, generators, seeds), counts, strict=True)]
        kinds: tuple[Literal["folds", "generators", "seeds"], ...] = ("folds", "generators", "seeds")
        buy = kinds[int(np.argmax(parts))]
    return Spread(_root(folds), _root(generators), _root(seeds), buy)


def _balanced_accuracy(units: Units, n_classes: int) -> float:
    return float(np.nanmean(recalls_of(confusion_matrix(units.labels, units.probabilities.argmax(1), n_classes))))


def _variance(values: np.ndarray) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def _root(variance: float | None) -> float | None:
    return None if variance is None else float(np.sqrt(variance))
