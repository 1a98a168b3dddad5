"""What all figures share: size, colours, and files that are the same bytes for the same values."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from medbench.errors import UsageError
from medbench.statistics.verdicts import WORDS
from medbench.tables.blocks import placeless
from medbench.text import clean, columns, cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
WIDTH = 7.2  # inches: the text width of a page
NARROW = 3.7  # inches: what a phone shows without making letters smaller
# Okabe and Ito (2008): told apart with every common kind of colour blindness, and in print.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442",
)  # fmt: skip
INK, FAINT = "#222222", "#b8b8b8"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW)
SETTINGS = {
    "svg.hashsalt": "medbench",  # ids in an SVG are random otherwise
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 100,
}
_NO_DATES = {"svg": {"Date": None, "Creator": "medbench"}, "pdf": {"CreationDate": None, "Producer": None}}


def figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure that needs no display; draw it inside :func:`settings`.

    Args:
        height: In inches.
        width: In inches.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.transforms import Bbox

    class Repeatable(ConstrainedLayoutEngine):
        """Constrained layout whose last bits do not hang on where in memory the solver's variables lie."""

        def execute(self, fig: Figure) -> None:
            super().execute(fig)
            for ax in fig.axes:
                counts = ax.get_in_layout()
                ax.set_position(Bbox(ax.get_position(original=True).get_points().round(6)), which="original")
                ax.set_in_layout(counts)  # whoever sets a position takes the panel out of the layout

    return Figure(figsize=(width, height), layout=Repeatable())


def settings() -> AbstractContextManager[None]:
    """Return the context manager under which everything is drawn and written."""
    import matplotlib

    return matplotlib.rc_context(SETTINGS)


def panels(count: int, across: int, row: float, frame: float, width: float = WIDTH) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with so many panels, to be drawn inside :func:`settings`; places that are left over stay empty.

    Args:
        count: Panels.
        across: Beside each other on a page; a narrow figure has one.
        row: Inches of a row of panels.
        frame: Inches besides.
        width: In inches.
    """
    across = across if is_wide(width) else 1
    down = -(-count // across)
    drawn = figure(height=frame + row * down, width=width)
    grid = drawn.subplots(down, across, squeeze=False).ravel()
    for ax in grid[count:]:
        ax.set_axis_off()
    return drawn, list(grid[:count])


def is_wide(width: float) -> bool:
    """Say whether names fit beside a figure; in a narrow one they stand above what they name."""
    return width > NARROW


def spread(places: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Move numbers apart, so that labels at them do not touch, and keep their order.

    Args:
        places: In any order.
        least: Distance between two.
        low: Least value where there is room.
        high: Greatest value where there is room.
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = [0.0] * len(places)
    before = low - least
    for index in order:
        before = moved[index] = max(places[index], before + least)
    after = high + least
    for index in reversed(order):
        after = moved[index] = min(moved[index], after - least)
    return moved


def colour_of(word: str) -> str:
    """Return the colour of a verdict; that of ink for other texts and for verdicts that do not stand out."""
    return WORDS[word].colour or INK if word in WORDS else INK  # type: ignore[index]


def math_free(text: str, longest: int | None = None) -> str:
    """Write a text of others without folders, and so that no dollar sign starts a formula, cut to `longest` columns.

    What is to be broken into lines goes through here first: a folder broken in two would not be known as one.
    """
    text = placeless(clean(text))
    if longest is not None and columns(text) > longest:
        text = f"{cut(text, longest - 1)}."
    return text.replace("$", r"\$")


def written(drawn: Figure, form: str) -> bytes:
    """Return a figure as the bytes of a file, without a date in it.

    Args:
        drawn: Drawn under :func:`settings`.
        form: Member of FORMATS.
    """
    out = io.BytesIO()
    with settings(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in another script is drawn as boxes
        drawn.savefig(out, format=form, dpi=160, metadata=_NO_DATES.get(form))
    return out.getvalue()


def form_of(path: Path) -> str:
    """Return the format that a file's name asks for.

    Raises:
        UsageError: For another ending than one of FORMATS.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise UsageError(f"{path}: a figure is written as {', '.join(FORMATS)}; end the name with one of them.")
    return form
