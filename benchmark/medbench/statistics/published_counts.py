"""Which counts of images a published accuracy can stand for: some cannot be a share of so many at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number as it was published.

    Attributes:
        text: As it was written, such as ``70.0``.
        value: 0 to 1.
        step: What one unit of its last digit is, 0 to 1: .001 for 70.0 %.
        percent: Whether it counts to 100.
    """

    text: str
    value: float
    step: float
    percent: bool = True


def figure(text: str, *, percent: bool) -> Figure:
    """Read a published share; the digits that it was given with say how exactly it is known.

    Args:
        text: ``70.0`` for percent, ``.700`` for a share.
        percent: Whether it counts to 100.

    Raises:
        ValueError: If it is no number from 0 to 1, or to 100.
    """
    scale = 100 if percent else 1
    value = float(text) / scale
    if not 0 <= value <= 1:
        raise ValueError(text)
    digits = len(text.partition(".")[2]) if "e" not in text.lower() else 6
    return Figure(text, value, 10.0**-digits / scale, percent)


@dataclass(frozen=True)
class Counts:
    """What a figure says of how many images are right.

    Attributes:
        fewest: The smallest count that is printed like this; the nearest one where there is none.
        most: The largest.
        how: "rounded" where a count gives it by rounding, "cut" where one does only if further digits are dropped,
            "" where no count does.
        below: Largest count below it.
        above: Smallest count above it.
    """

    fewest: int
    most: int
    how: str
    below: int
    above: int


def counts_of(given: Figure, n: int) -> Counts:
    """Find the counts of `n` images that are printed as a figure.

    Source:
        Brown and Heathers, "The GRIM test", Social Psychological and Personality Science 8 (2017), of means of whole
        numbers; a share is one.
    """
    slack = 1e-9 * given.step
    below, above = math.floor(given.value * n + slack * n), math.ceil(given.value * n - slack * n)
    for how, low, high in (
        ("rounded", given.value - given.step / 2, given.value + given.step / 2),
        ("cut", given.value, given.value + given.step - 2 * slack),
    ):
        fewest, most = math.ceil(n * (low - slack)), math.floor(n * (high + slack))
        if fewest <= most:
            return Counts(max(0, fewest), min(n, most), how, below, above)
    nearest = below if given.value * n - below <= above - given.value * n else above
    return Counts(nearest, nearest, "", below, above)


def fewest_images(figures: Sequence[Figure], most: int) -> int | None:
    """Return the smallest number of images of which every figure is a rounded share; None for none up to `most`."""
    sizes = range(1, most + 1)
    return next((n for n in sizes if all(counts_of(given, n).how == "rounded" for given in figures)), None)
