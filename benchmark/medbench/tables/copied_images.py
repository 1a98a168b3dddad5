"""The sentence that says how many generated images are copies of training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

TWINS = 0.98
"""A limit of likeness above this is that of held-out images which are nearly training images themselves."""


@dataclass(frozen=True)
class Copied:
    """What is known of the copies among the images of one method.

    Attributes:
        name: Of the method.
        found: Copies.
        looked_at: Images that were compared.
        least: Share that are copies at least; NaN where that is not known.
        twins: Whether held-out images are so near to training images that no copy can be told.
    """

    name: str
    found: int
    looked_at: int
    least: float = nan
    twins: bool = False


def copies(methods: Sequence[Copied]) -> str:
    """Say how many generated images are copies of training images; "" where none was looked at."""
    each = ", ".join(
        f"{one.name} {'cannot tell' if one.twins else f'{one.found:,} of {one.looked_at:,}'}"
        f"{'' if isnan(one.least) else f' (at least {100 * one.least:.0f} % by their nearness)'}"
        for one in methods
        if one.looked_at
    )
    twins = any(one.twins and one.looked_at for one in methods)
    why = " Cannot tell: held-out images are themselves nearly training images, twins." if twins else ""
    return f"Generated images that are copies of training images: {each} (1 in 100 by chance).{why}" if each else ""
