"""Loss curves of fitted models as a figure: a panel a model and part, all on the same axes, names beside the lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medbench.plots import style
from medbench.plots.style import math_free

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 2
LONGEST = 44
LINE = 0.085  # of the height of a panel: a label
ROOM = 0.5  # of the width of the curves: the labels at their right
NAMES: Mapping[str, str] = {
    "d_source": "critic: real or not",
    "d_class": "critic: class",
    "g_source": "generator: real or not",
    "g_class": "generator: class",
    "d_distance": "critic: distance",
    "d_penalty": "critic: penalty",
    "g_score": "generator: score",
    "diversity": "generator: diversity",
    "loss": "loss",
    "training loss": "training",
    "validation loss": "validation",
}
"""What a figure calls a loss; others keep the name of their file."""
Lines = Mapping[str, Sequence[tuple[float, float]]]
"""Steps and values by name."""


def draw(panels: Sequence[tuple[str, Lines]], *, width: float = style.WIDTH) -> Figure:
    """Draw a panel for every model and part.

    Args:
        panels: Title and lines of each, at least one.
        width: Of the figure, in inches.
    """
    with style.settings():
        figure, grid = style.panels(len(panels), ACROSS, row=2.0, frame=0.2, width=width)
        known = [point for _, lines in panels for values in lines.values() for point in values] or [(0.0, 0.0)]
        steps, values = [step for step, _ in known], [value for _, value in known]
        low, high = _between(values)
        first, last = min(steps), max(steps)
        for ax, (title, lines) in zip(grid, panels, strict=True):
            _panel(ax, lines, low, high)
            ax.set_xlim(first, last + ROOM * max(last - first, 1.0))
            ax.set_ylim(low, high)
            ax.set_xticks([tick for tick in ax.get_xticks() if first <= tick <= last])
            ax.set_title(math_free(title, LONGEST), loc="left", fontsize=8)
            ax.set_xlabel("training step", fontsize=7)
            ax.tick_params(labelsize=7)
    return figure


def _between(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _panel(ax: Axes, lines: Lines, low: float, high: float) -> None:
    drawn = [(name, values) for name, values in lines.items() if values]
    heights = style.spread([values[-1][1] for _, values in drawn], LINE * (high - low), low, high)
    for position, ((name, values), height) in enumerate(zip(drawn, heights, strict=True)):
        colour = style.COLOURS[position % len(style.COLOURS)]
        dashes = ("-", "--", ":")[position // len(style.COLOURS) % 3]
        ax.plot(*zip(*values, strict=True), color=colour, linestyle=dashes, linewidth=1.1)
        end, said = values[-1], math_free(NAMES.get(name, name), 24)
        ax.annotate(
            said, end, (end[0] + 0.08 * max(end[0], 1.0), height), fontsize=6.5, va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
