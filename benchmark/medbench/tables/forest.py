"""Gains with their ranges as bars on one scale, drawn with characters; :mod:`medbench.plots.forest` draws a figure."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from medbench.statistics.verdicts import WORDS
from medbench.tables.writers.terminal import PIPE, Screen
from medbench.text import columns, cut, pad, wrapped

NAME_WIDTH = 20
"""Columns of the names in 80 columns; longer names stand above their bars, or beside them where there is room."""
CHART = 24
NUMBERS = 36
"""Columns of a gain, its range and a verdict of one word."""


@dataclass(frozen=True)
class Bar:
    """One comparison.

    Attributes:
        label: What is compared.
        value: Gain in points; None where there is none yet.
        low: Lower end of its range; -inf where there is no end.
        high: Its upper end.
        word: The verdict, or a few words on why there is no gain.
        stems: Branches of the tree before the label, in the characters of a terminal.
        depth: How deep it stands in that tree.
    """

    label: str
    value: float | None
    low: float
    high: float
    word: str
    stems: str = ""
    depth: int = 0


@dataclass(frozen=True)
class Forest:
    """Bars that share a scale.

    Attributes:
        title: Where they are from.
        bars: From top to bottom.
        worth: Points that matter; the band is ± `worth`.
    """

    title: str
    bars: tuple[Bar, ...]
    worth: float

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the scale in points: every finite end, the band and zero lie inside."""
        known = [x for bar in self.bars if bar.value is not None for x in (bar.low, bar.high, bar.value) if isfinite(x)]
        low, high = min([-self.worth, *known]), max([self.worth, *known])
        return (low, high) if low < high else (low - 1, high + 1)


def draw(forest: Forest, screen: Screen = PIPE) -> list[str]:
    """Draw bars as lines: name, chart, gain, range, and the verdict, below where it has no room.

    Args:
        forest: What to draw.
        screen: What a terminal can show.
    """
    low, high = forest.limits
    lines = []
    longest = max((columns(f" {bar.stems}{bar.label} ") for bar in forest.bars), default=0)
    width = max(NAME_WIDTH, min(longest, screen.width - CHART - NUMBERS))
    for bar in forest.bars:
        name = f" {bar.stems}{bar.label}"
        if columns(name) >= width:
            lines += [line[1:] for line in wrapped(name, screen.width)] if columns(name) > screen.width else [name]
            name = ""
        numbers, word = _numbers(bar)
        line = f"{pad(name, width)}{_chart(bar, forest, screen.plain)}{numbers}"
        lines.append(f"{line} {word}".rstrip())
        if columns(lines[-1]) > screen.width:
            lines[-1:] = [cut(line, screen.width).rstrip(), pad(cut(word, screen.width), -screen.width)]
    return [*lines, f"{'':{width}}{_axis(low, high)}".rstrip()]


def legend(worth: float, *, plain: bool = False) -> str:
    """Say what the characters of a chart mean."""
    point, band, zero = ("o", ":", "|") if plain else ("●", "░", "│")
    return f"{point} gain with its 95 % CI   {band} within {worth:g} points   {zero} no gain; in points"


def _chart(bar: Bar, forest: Forest, plain: bool) -> str:
    point, band, zero, line, crossing, left, right = "o:|-+[]" if plain else "●░│─┼├┤"
    low, high = forest.limits
    cells = [" "] * CHART
    for column in range(_column(-forest.worth, low, high), _column(forest.worth, low, high) + 1):
        cells[column] = band
    cells[_column(0.0, low, high)] = zero
    if bar.value is None:
        return "".join(cells)
    first, last = _column(bar.low, low, high), _column(bar.high, low, high)
    for column in range(first, last + 1):
        cells[column] = crossing if cells[column] == zero else line
    cells[first] = left if isfinite(bar.low) else "<"
    cells[last] = right if isfinite(bar.high) else ">"
    cells[_column(bar.value, low, high)] = point
    return "".join(cells)


def _column(value: float, low: float, high: float) -> int:
    """Return the column of a value; what lies outside the scale stands at its end."""
    return round((min(max(value, low), high) - low) / (high - low) * (CHART - 1))


def _numbers(bar: Bar) -> tuple[str, str]:
    """Return gain and range, and the verdict as people read it."""
    if bar.value is None:
        return "", f" {bar.word}"
    word = WORDS[bar.word].text if bar.word in WORDS else bar.word  # type: ignore[index]
    return f"{bar.value:+z6.1f}  {f'{bar.low:+z.1f} to {bar.high:+z.1f}':<14}", word


def _axis(low: float, high: float) -> str:
    """Write both ends of the scale, and 0 where it has room."""
    cells = [" "] * CHART
    left, right = f"{low:+z.0f}", f"{high:+z.0f}"
    for start, text in ((0, left), (CHART - len(right), right)):
        cells[start : start + len(text)] = text
    zero = _column(0.0, low, high)
    if all(c == " " for c in cells[max(0, zero - 1) : zero + 2]):
        cells[zero] = "0"
    return "".join(cells)
