"""Gains with their intervals as a figure: one panel a board, one row a comparison, the band of what is not relevant."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from medbench.plots.style import FAINT, INK, WIDTH, colour_of, figure, is_wide, math_free, settings
from medbench.statistics.verdicts import WORDS
from medbench.tables.forest import Bar, Forest
from medbench.text import clean, columns, cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW, FRAME = 0.24, 0.7
"""Inches: a bar, and what a panel needs besides."""
LEADING = 0.15
"""Inches: a further line of a name."""
COLUMNS = (8, 40, 118)
"""Points right of a panel: gain, range, word."""
CHARACTER = 5.0  # points: as wide as a character is on average
LONGEST = 36  # characters of a name
WORD = 20  # characters a line of a verdict
LINE = 44  # characters of a title in a narrow figure
OUTSIDE = 0.06  # share of the scale left at both ends; ranges without an end reach it


def forest(panels: Sequence[Forest], *, width: float = WIDTH) -> Figure:
    """Draw one panel a board; gains in points of balanced accuracy, numbers and words at the right.

    Args:
        panels: At least one; a panel without bars says so.
        width: Of the figure in inches; in a narrow one names and numbers stand above the bars.
    """
    wide = is_wide(width)
    sizes = [(_row(panel) if wide else 2 * ROW) * max(1, len(panel.bars)) + FRAME for panel in panels]
    with settings():
        drawn = figure(sum(sizes), width)
        axes = drawn.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": sizes})[:, 0]
        lines = [line for panel in panels for bar in panel.bars for line in _lines(bar)] if wide else []
        names = max(map(columns, lines), default=0)
        for panel, ax in zip(panels, axes, strict=True):
            _panel(panel, ax, names)
        label = "gain in points of balanced accuracy, 95 % CI; gray: not relevant"
        axes[-1].set_xlabel(label if wide else "gain in points, 95 % CI; gray: not relevant")
    return drawn


def _panel(panel: Forest, ax: Axes, names: int) -> None:
    """Draw a panel with room for so many characters of names at its left; with 0 they stand above the bars."""
    low, high = panel.limits
    room = OUTSIDE * (high - low)
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(max(1, len(panel.bars)) - 0.5, -0.5 if names else -0.9)  # the first bar on top
    ax.axvspan(-panel.worth, panel.worth, color=FAINT, alpha=0.35, linewidth=0)
    ax.axvline(0, color=INK, linewidth=0.8)
    for y, bar in enumerate(panel.bars):
        _bar(bar, y, ax, (low - room, high + room), wide=names > 0)
    ax.set_yticks(
        range(len(panel.bars)),
        ["\n".join(map(math_free, _lines(bar))) if names else "" for bar in panel.bars],
        ha="left",
    )
    ax.tick_params(axis="y", length=0, pad=CHARACTER * names)
    ax.spines["left"].set_visible(False)
    title = math_free(panel.title)
    ax.set_title(title if names else textwrap.fill(title, LINE), loc="left", fontsize=9)
    if not panel.bars:
        ax.text(0.5, 0.5, "nothing is compared here", transform=ax.transAxes, ha="center", va="center")


def _row(panel: Forest) -> float:
    """Return the inches that a bar takes beside a name of as many lines as the longest has."""
    lines = max((len(_lines(bar)) for bar in panel.bars), default=1)
    return ROW + LEADING * (lines - 1)


def _lines(bar: Bar) -> list[str]:
    """Return a name as the lines that it is broken into, each as far in as the method is down the tree."""
    indent = "\u00a0\u00a0\u00a0" * bar.depth
    return [
        f"{indent}{line}"
        for line in textwrap.wrap(clean(bar.label), max(12, LONGEST - len(indent)), break_on_hyphens=False)
    ] or [indent]


def _label(bar: Bar) -> str:
    text = "\u00a0\u00a0\u00a0" * bar.depth + clean(bar.label)
    return text if columns(text) <= LONGEST else f"{cut(text, LONGEST - 1)}."


def _bar(bar: Bar, y: int, ax: Axes, limits: tuple[float, float], *, wide: bool) -> None:
    said = WORDS[bar.word].text if bar.word in WORDS else bar.word  # type: ignore[index]
    if not wide:
        _above(ax, y, f"{_label(bar)}  {said}" if bar.value is None else _label(bar), 0.0)
    if bar.value is None:
        if wide:
            _beside(ax, y, said, 0)
        return
    colour = colour_of(bar.word)
    ends = [max(bar.low, limits[0]), min(bar.high, limits[1])]
    ax.plot(ends, [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    for end, known, arrow in zip(ends, map(isfinite, (bar.low, bar.high)), "<>", strict=True):
        ax.plot(end, y, marker="|" if known else arrow, color=colour, markersize=6, linestyle="")
    ax.plot(bar.value, y, marker="o", color=colour, markersize=5, linestyle="")
    if not wide:
        _above(ax, y, f"{bar.value:+z.1f}", 1.0)
        _above(ax, y, said, 1.0, below=True)
        return
    _beside(ax, y, f"{bar.value:+z.1f}", 0)
    _beside(ax, y, f"{bar.low:+z.1f} to {bar.high:+z.1f}", 1)
    _beside(ax, y, said, 2, colour)


def _above(ax: Axes, y: int, text: str, side: float, *, below: bool = False) -> None:
    """Write above a bar, or below it, at the left (0) or right (1) end of the panel."""
    ax.annotate(
        math_free(text),
        (side, y),
        (0, -4 if below else 6),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        ha="right" if side else "left",
        va="top" if below else "bottom",
        fontsize=7 if below else 8,
        annotation_clip=False,
    )


def _beside(ax: Axes, y: int, text: str, column: int, colour: str = INK) -> None:
    """Write right of a panel, in points from its edge: so the layout knows how much room that takes."""
    ax.annotate(
        textwrap.fill(math_free(text), WORD),
        (1, y),
        (COLUMNS[column], 0),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        color=colour,
        va="center",
        annotation_clip=False,
    )
