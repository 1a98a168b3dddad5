"""Confusion matrices as a figure: one small square a method, rows the actual class, shares of it in the squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medbench.plots import style
from medbench.plots.style import math_free

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS = 3
LONGEST, SHORTEST = 30, 12  # characters of a title, of a class
WRITTEN = 6  # up to so many classes the shares stand in the cells


def draw(matrices: Sequence[tuple[str, np.ndarray]], classes: Sequence[str], *, width: float = style.WIDTH) -> Figure:
    """Draw a matrix for every method.

    Args:
        matrices: Title and ``float64 (n_classes, n_classes)`` counts by actual and by predicted class, of each method.
        classes: Their names.
        width: Of the figure, in inches.
    """
    with style.settings():
        figure, grid = style.panels(len(matrices), ACROSS, row=2.2, frame=0.3, width=width)
        names = [math_free(c, SHORTEST) for c in classes]
        for ax, (title, counts) in zip(grid, matrices, strict=True):
            total = counts.sum(1, keepdims=True)
            shares = np.divide(counts, total, out=np.zeros_like(counts, dtype=float), where=total > 0)
            k = len(classes)
            ax.set_xlim(-0.5, k - 0.5)
            ax.set_ylim(k - 0.5, -0.5)
            for row in range(k):
                for column in range(k):
                    _cell(ax, row, column, float(shares[row, column]), written=k <= WRITTEN)
            ax.set_xticks(range(k), names, fontsize=7)
            ax.set_yticks(range(k), names, fontsize=7)
            ax.tick_params(length=0)
            ax.set_aspect("equal")
            ax.set_title(math_free(title, LONGEST), fontsize=8)
            ax.set_xlabel("predicted", fontsize=7)
            ax.set_ylabel("actual", fontsize=7)
            for spine in ax.spines.values():
                spine.set_visible(False)
    return figure


def _cell(ax, row: int, column: int, share: float, *, written: bool) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=style.BLUE, alpha=share, edgecolor="none"))
    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=style.FAINT, linewidth=0.6))
    if written:
        colour = "#ffffff" if share > 0.6 else style.INK
        ax.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=8)
