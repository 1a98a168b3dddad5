"""Where a gain goes as a figure: what is left of it after every leak that is closed, in points."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from medbench.analyses.inflation import Inflation
from medbench.plots import style
from medbench.registry.display_names import dataset_name, method_name
from medbench.tables.inflation import rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = 88  # characters a line


def draw(found: Inflation, *, width: float = style.WIDTH) -> Figure:
    """Draw a bar for every row: published, under the study's protocol, a leak less each, and over the controls.

    Args:
        found: A row without values is drawn as a gap that says why.
        width: Of the figure, in inches.
    """
    listed = rows(found)
    with style.settings():
        wide = style.is_wide(width)
        figure = style.figure(height=1.3 + (0.3 if wide else 0.45) * len(listed), width=width)
        axes = figure.subplots()
        axes.axvline(0, color=style.INK, linewidth=0.8)
        known = [100 * step.gain for _, step in listed if step.gain is not None]
        ends = [0.0, *known]
        if found.gain is not None:
            ends += [100 * found.gain.low, 100 * found.gain.high]
        reach = max(ends) - min(ends) or 1.0
        for position, (_, step) in enumerate(listed):
            if step.gain is None:
                axes.text(0.01 * reach, position, step.why, va="center", color=style.INK, style="italic")
                continue
            gain = 100 * step.gain
            colour = style.FAINT if step is found.published else style.ORANGE
            if step is (found.steps[-1] if found.steps else None) or step in found.ours:
                colour = style.BLUE
            axes.barh(position, gain, height=0.62, color=colour)
            is_last = bool(found.ours) and step is found.ours[-1] and found.gain is not None
            if is_last and found.gain is not None:
                low, high = 100 * found.gain.low, 100 * found.gain.high
                axes.plot([low, high], [position, position], color=style.INK, linewidth=1.4, marker="|", markersize=8)
            end = max([gain, *([100 * found.gain.high] if is_last and found.gain else [])], default=gain)
            axes.text(max(end, 0) + 0.015 * reach, position, f"{gain:+.1f}", va="center")
        names = [style.math_free(title) for title, _ in listed]
        shown = names if wide else [textwrap.fill(name, 20) for name in names]
        axes.set_yticks(range(len(listed)), shown, fontsize=9 if wide else 7)
        axes.set_ylim(len(listed) - 0.4, -0.6)
        axes.set_xlim(min(ends) - 0.03 * reach, max(ends) + 0.14 * reach)
        figure.supxlabel(
            "gain in points; last bar: over the method above it, with its 95 % CI"
            if wide
            else "gain in points, last bar with 95 % CI",
            fontsize=9,
        )
        axes.tick_params(axis="y", length=0)
        arm, against = map(method_name, found.names)
        title = f"{dataset_name(found.dataset)}: where the gain of {arm} over {against} goes"
        wrapped = textwrap.fill(style.math_free(title), TITLE if wide else TITLE // 2)
        figure.suptitle(wrapped, x=0.01, ha="left", fontsize=10 if wide else 9)
    return figure
