"""How often `medbench claim` says that luck does not explain a gain where there is none.

    python docs/benchmarks/claimed_gain.py [--studies 3000] [--seed 77]

*Accuracy*: images of a difficulty that all methods share, and luck of each method by itself; 12 methods and what they
are compared with are equally good, tested on the same images, agreement known. *Other images*: two binomial draws.
*AUROC*: normal scores of two equally good methods that correlate by .5.

Prints the share of studies whose probability of no gain lies below .025: for one method, and for the best of the 12.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from medbench.statistics import claimed_gain as gains
from medbench.statistics.class_count_errors import auroc_gain_error

BELOW, METHODS = 0.025, 12


def of_accuracy(rng: np.random.Generator, studies: int) -> None:
    """Print the shares for images of two amounts of luck."""
    for n in (60, 192, 500):
        for luck in (0.3, 0.7):
            one = best = 0
            agreement = []
            for _ in range(studies):
                difficulty = rng.normal(size=n)
                right = difficulty + rng.normal(0, luck, (METHODS + 1, n)) < 0.8
                b, c = (right[1:] & ~right[0]).sum(1), (~right[1:] & right[0]).sum(1)
                one += gains.probability_of_none(b[0], c[0]) < BELOW
                top = np.argmax(b - c)
                best += gains.as_best_of(gains.probability_of_none(b[top], c[top]), METHODS) < BELOW
                agreement.append(1 - (b + c).mean() / n)
            print(f"accuracy, {n} images, agreement {np.mean(agreement):.2f}: one {one / studies:.4f}, "
                  f"best of {METHODS} {best / studies:.4f}")  # fmt: skip


def of_other_images(rng: np.random.Generator, studies: int) -> None:
    """Print the share for two methods that are tested on different images."""
    pairs = zip(rng.binomial(100, 0.8, studies), rng.binomial(300, 0.8, studies), strict=True)
    found = [gains.probability_of_none_apart(x, 100, y, 300) < BELOW for x, y in pairs]
    print(f"other images, 100 and 300: {np.mean(found):.4f}")


def of_auroc(rng: np.random.Generator, studies: int) -> None:
    """Print the shares for AUROCs, their correlation known or taken as 0."""
    for positive, negative in ((20, 100), (40, 100), (100, 100)):
        labels = np.repeat([1, 0], [positive, negative])
        noise = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], (studies, positive + negative))
        ranks = stats.rankdata(noise + 1.2 * labels[:, None], axis=1)[:, :positive].sum(1)
        found = (ranks - positive * (positive + 1) / 2) / (positive * negative)
        correlation = float(np.corrcoef(found.T)[0, 1])
        shares = []
        for assumed in (correlation, 0.0):
            errors = [auroc_gain_error(x, y, positive, negative, assumed) for x, y in found]
            none = [gains.probability_by_normal(y - x, e) for (x, y), e in zip(found, errors, strict=True)]
            shares.append(np.mean(np.array(none) < BELOW))
        print(f"AUROC, {positive}/{negative}: correlation {correlation:.2f} known {shares[0]:.4f}, 0 {shares[1]:.4f}")


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=77)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    of_accuracy(rng, asked.studies)
    of_other_images(rng, asked.studies)
    of_auroc(rng, 4 * asked.studies)


if __name__ == "__main__":
    main()
