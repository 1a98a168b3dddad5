"""What a method costs against what it gains, as a figure: a point a method, its interval as a bar, its name beside."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log10
from typing import TYPE_CHECKING

from medbench.plots import style
from medbench.text import duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 34
LINE = 0.065  # of the height: a line of a label
APART = 0.025  # of the width: between two bars


@dataclass(frozen=True)
class Spent:
    """One method.

    Attributes:
        name: To print.
        seconds: What it costs alone, above 0.
        gain: Points over the method above it.
        low: Lower end of the interval; -inf where there is none.
        high: Its upper end.
        word: The verdict, or "".
    """

    name: str
    seconds: float
    gain: float
    low: float
    high: float
    word: str


def draw(spent: Sequence[Spent], *, worth: float, width: float = style.WIDTH) -> Figure:
    """Draw gains over seconds, the latter on a logarithmic scale.

    Bars that would lie on each other are moved apart to the right, and names stand at the right at the height of their
    gains, moved apart too.

    Args:
        spent: At least one.
        worth: Points that are relevant; the band is ± `worth`.
        width: Of the figure, in inches.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    with style.settings():
        figure = style.figure(height=3.2, width=width)
        ax = figure.subplots()
        ax.axhspan(-worth, worth, color=style.FAINT, alpha=0.35, linewidth=0)
        ax.axhline(0, color=style.INK, linewidth=0.8)
        known = [v for one in spent for v in (one.gain, one.low, one.high) if isfinite(v)] + [-worth, worth]
        room = 0.08 * (max(known) - min(known))
        low, high = min(known) - room, max(known) + room
        least, most = log10(min(one.seconds for one in spent)) - 0.2, log10(max(one.seconds for one in spent)) + 0.2
        places = style.spread([log10(one.seconds) for one in spent], APART * (most - least), least, most)
        heights = style.spread([one.gain for one in spent], LINE * (high - low), low, high)
        for one, x, y in zip(spent, places, heights, strict=True):
            colour = style.colour_of(one.word)
            ends = max(one.low, low), min(one.high, high)
            ax.plot([x, x], ends, color=colour, linewidth=1.2)
            ax.plot(x, one.gain, marker="o", color=colour, markersize=5, linestyle="")
            name = style.math_free(one.name, LONGEST)
            if not style.is_wide(width):
                name = textwrap.fill(name, 16)
            ax.annotate(
                name, (x, one.gain), (1.04, (y - low) / (high - low)), textcoords="axes fraction", fontsize=7,
                va="center", annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": style.FAINT, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4},
            )  # fmt: skip
        ax.set_ylim(low, high)
        ax.set_xlim(least, most)
        ax.xaxis.set_major_locator(FixedLocator([log10(tick) for tick in _ticks(10**least, 10**most)]))
        ax.xaxis.set_major_formatter(lambda x, _: duration(10**x) if x >= 0 else f"{10**x:g} s")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("time of the method alone, its generators included")
        ax.set_ylabel("gain in points, 95 % CI")
    return figure


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers of seconds between two, a few a decade."""
    decades = [10.0**power for power in range(-3, 9)]
    few = [digit * ten for ten in decades for digit in (1, 2, 5) if low <= digit * ten <= high]
    return (
        few
        if len(few) > 1
        else [digit * ten for ten in decades for digit in range(1, 10) if low <= digit * ten <= high]
    )
