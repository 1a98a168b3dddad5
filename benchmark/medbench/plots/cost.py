"""What an arm costs against what it gains, as a figure: one point an arm, its range as a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from medbench.plots import style
from medbench.text import duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 34


@dataclass(frozen=True)
class Spent:
    """One arm.

    Attributes:
        name: To print.
        seconds: What it costs alone, above 0.
        gain: Points over its own control.
        low: Lower end of the range; -inf where there is none.
        high: Its upper end.
        word: The verdict, or "".
    """

    name: str
    seconds: float
    gain: float
    low: float
    high: float
    word: str


def draw(spent: Sequence[Spent], *, worth: float) -> Figure:
    """Draw gains over seconds, the latter on a logarithmic scale.

    Args:
        spent: At least one.
        worth: Points that matter; the band is ± `worth`.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    with style.settings():
        figure = style.figure(height=3.2)
        ax = figure.subplots()
        ax.set_xscale("log")
        ax.axhspan(-worth, worth, color=style.FAINT, alpha=0.35, linewidth=0)
        ax.axhline(0, color=style.INK, linewidth=0.8)
        known = [v for one in spent for v in (one.gain, one.low, one.high) if isfinite(v)] + [-worth, worth]
        room = 0.08 * (max(known) - min(known))
        low, high = min(known) - room, max(known) + room
        for number, one in enumerate(spent, start=1):
            colour = style.colour_of(one.word)
            ends = max(one.low, low), min(one.high, high)
            ax.plot([one.seconds] * 2, ends, color=colour, linewidth=1.2)
            ax.plot(one.seconds, one.gain, marker="o", color=colour, markersize=5, linestyle="")
            ax.annotate(str(number), (one.seconds, one.gain), (5, 4), textcoords="offset points", fontsize=8)
        listed = "\n".join(f"{n} {style.math_free(one.name, LONGEST)}" for n, one in enumerate(spent, start=1))
        ax.annotate(listed, (1.02, 1), xycoords="axes fraction", va="top", fontsize=7, annotation_clip=False)
        ax.set_ylim(low, high)
        seconds = [one.seconds for one in spent]
        ax.set_xlim(min(seconds) / 1.6, max(seconds) * 1.6)
        ax.xaxis.set_major_locator(FixedLocator(_ticks(min(seconds) / 1.6, max(seconds) * 1.6)))
        ax.xaxis.set_major_formatter(lambda seconds, _: duration(seconds) if seconds >= 1 else f"{seconds:g} s")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("wall time alone, all cells and the stages they need")
        ax.set_ylabel("gain in points, 95 % range")
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
