"""Gain against training size as a figure: one panel per method, the curves of those they are compared with last."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from medbench.analyses.learning_curves import LearningCurve, OfArm
from medbench.planning.arm_names import control_names
from medbench.plots import style
from medbench.statistics.verdicts import WORDS
from medbench.tables.board_notes import name_of_source
from medbench.tables.learning_curves import extra, name
from medbench.text import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 2
PANEL = 1.95  # inches
NEAR = 1.25  # sizes nearer than this have no room for two labels
LONGEST = 92  # characters of a title
TITLE = 40  # characters a line of the title of a panel
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def draw(growth: LearningCurve, *, width: float = style.WIDTH) -> Figure:
    """Draw the gain of every method over the number of training patients, in points, with its interval.

    Above each gain stands how many further patients would give the same to the method above it. The last panel holds
    the curves of those methods, off which these numbers are read.

    Args:
        growth: A size without a gain is drawn as a gap.
        width: Of the figure, in inches.
    """
    with style.settings():
        figure, grid = style.panels(len(growth.arms) + 1, ACROSS, row=PANEL, frame=0.5, width=width)
        reach = _reach(growth)
        for arm, axes in zip(growth.arms, grid, strict=False):
            _gains(arm, axes, growth.study.worth, reach)
        _curves(growth, grid[-1])
        for axes in grid:
            axes.set_xscale("log")
            axes.set_xlim(min(growth.sizes) / 1.25, max(growth.sizes) * 1.25)
            axes.set_xticks(growth.sizes, _labels(growth.sizes))
            axes.minorticks_off()
        wide = style.is_wide(width)
        said = "training patients; above each gain with its 95 % CI: as many further patients would give the same"
        figure.supxlabel(said if wide else "training patients", fontsize=9)
        data = name_of_source(growth.source)
        title = cut(style.math_free(f"{data}: gain in points by training patients"), LONGEST if wide else LONGEST // 2)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10 if wide else 9)
    return figure


def _labels(sizes: Sequence[float]) -> list[str]:
    """Write sizes beside each other; of two that would touch, the larger."""
    pairs = itertools.pairwise([*sizes, inf])
    return [f"{size:,.0f}" if after / size > NEAR else "" for size, after in pairs]


def _reach(growth: LearningCurve) -> tuple[float, float]:
    """Return ends of the gains' axis in points, the same in all panels."""
    known = [
        100 * end
        for arm in growth.arms
        for point in arm.points
        if point.judged and point.judged.gain
        for end in (point.judged.gain.low, point.judged.gain.high)
    ]
    low, high = min([-growth.study.worth, *known]), max([growth.study.worth, *known])
    return low - 0.05 * (high - low), high + 0.22 * (high - low)  # above: the worths


def _gains(arm: OfArm, axes: Axes, worth: float, reach: tuple[float, float]) -> None:
    axes.axhspan(-worth, worth, color=style.FAINT, alpha=0.35, linewidth=0)
    axes.axhline(0, color=style.INK, linewidth=0.8)
    drawn = [(p, p.judged.gain, p.judged.verdict.word) for p in arm.points if p.judged and p.judged.gain]
    axes.plot([p.patients for p, _, _ in drawn], [100 * g.value for _, g, _ in drawn], color=style.FAINT, linewidth=1)
    for colour in dict.fromkeys(style.colour_of(word) for _, _, word in drawn):
        alike = [(p.patients, g) for p, g, word in drawn if style.colour_of(word) == colour]
        axes.errorbar(
            [size for size, _ in alike],
            [100 * g.value for _, g in alike],
            yerr=[[100 * (g.value - g.low) for _, g in alike], [100 * (g.high - g.value) for _, g in alike]],
            color=colour,
            fmt="o",
            markersize=5,
            elinewidth=1.6,
            capsize=3,
        )
    for point, gain, word in drawn:
        axes.annotate(
            extra(point.worth),
            (point.patients, 100 * gain.high),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
        if word and word != "can't tell":
            axes.annotate(
                WORDS[word].text,
                (point.patients, 100 * gain.value),
                (6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=style.colour_of(word),
            )
    axes.set_ylim(*reach)
    axes.set_title(textwrap.fill(style.math_free(name(arm)), TITLE), loc="left", fontsize=8)


def _curves(growth: LearningCurve, axes: Axes) -> None:
    names = control_names([arm.arm for arm in growth.arms])
    of_controls = {names[arm.arm.control_key]: arm.curve for arm in growth.arms if arm.curve}
    # Curves do not fall, so the lower right corner is free for their names; the highest end is named on top.
    by_end = sorted(of_controls.items(), key=lambda item: item[1].values[-1], reverse=True)
    for number, (control, curve) in enumerate(by_end):
        colour, marker = style.COLOURS[number % len(style.COLOURS)], MARKERS[number % len(MARKERS)]
        heights = [100 * value for value in curve.values]
        label = style.math_free(control)
        axes.plot(curve.sizes, heights, color=colour, marker=marker, markersize=4, linewidth=1.4, label=label)
    if by_end:
        axes.legend(loc="lower right", fontsize=7.5, frameon=False, labelspacing=0.25, handlelength=1.2)
    axes.set_title("the methods above, balanced accuracy, %", loc="left", fontsize=9)
