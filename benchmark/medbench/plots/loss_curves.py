"""Loss curves of fitted models as a figure: one panel a model and part, one line a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medbench.plots import style
from medbench.plots.style import math_free

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS = 2
LONGEST = 44
Lines = Mapping[str, Sequence[tuple[float, float]]]
"""Steps and values by name."""


def draw(panels: Sequence[tuple[str, Lines]]) -> Figure:
    """Draw a panel for every model and part.

    Args:
        panels: Title and lines of each, at least one.
    """
    with style.settings():
        figure, grid = style.panels(len(panels), ACROSS, row=2.3, frame=0.3)
        for ax, (title, lines) in zip(grid, panels, strict=True):
            for position, (name, values) in enumerate(lines.items()):
                colour = style.COLOURS[position % len(style.COLOURS)]
                dashes = ("-", "--", ":")[position // len(style.COLOURS) % 3]
                ax.plot(
                    *zip(*values, strict=True), color=colour, linestyle=dashes, linewidth=1.1, label=math_free(name, 20)
                )
            ax.set_title(math_free(title, LONGEST), loc="left", fontsize=8)
            ax.set_xlabel("step", fontsize=7)
            ax.tick_params(labelsize=7)
            ax.legend(fontsize=6, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.28))
    return figure
