"""Figures as files for a light and for a dark page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from medbench.plots import style
from medbench.tables.blocks import Picture, placeless, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK = {style.INK: "#e8e6e1", style.FAINT: "#5d6470", style.BLUE: "#4aa3df", "#000000": "#e8e6e1"}
"""What colours become on a dark page; the others are seen on both."""
_WRITTEN = re.compile(r">[^<]+</text>")
_COLOUR = re.compile(r"(?<=: )#[0-9a-f]{6}(?=[;\"])")  # a colour in a style, never a text


def figure(draw: Callable[..., Figure], *, alt: str, caption: str) -> Picture:
    """Write a figure as SVG with nothing behind it, for a page and for a phone, each again in the colours of the dark.

    Args:
        draw: Draws it for a width in inches, given as ``width``.
        alt: What it says.
        caption: Stands below it.
    """
    light, dark = _both(draw(width=style.WIDTH))
    return Picture(text_of(alt), text_of(caption), "svg", light, dark, narrow=_both(draw(width=style.NARROW)))


def _both(drawn: Figure) -> tuple[bytes, bytes]:
    drawn.patch.set_visible(False)
    for ax in drawn.axes:
        ax.patch.set_visible(False)
    light = _WRITTEN.sub(lambda found: placeless(found.group()), style.written(drawn, "svg").decode())
    dark = _COLOUR.sub(lambda found: DARK.get(found.group(), found.group()), light)
    return light.encode(), dark.encode()


def sheet(png: bytes, *, alt: str, caption: str) -> Picture:
    """Return a sheet of images."""
    return Picture(text_of(alt), text_of(caption), "png", png)
