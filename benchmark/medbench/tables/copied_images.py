"""The sentence that says how many generated images are copies of training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Copied:
    """What is known of the copies among the images of one method.

    Attributes:
        name: Of the method.
        found: Copies.
        looked_at: Images of which it can be told whether they are copies.
        least: Share that are copies at least; NaN where that is not known.
        untold: Images of which it cannot, as held-out images are themselves nearly training images.
    """

    name: str
    found: int
    looked_at: int
    least: float = nan
    untold: int = 0

    @property
    def count(self) -> str:
        """The copies of all that were looked at, or that none can tell."""
        if not self.looked_at:
            return CANNOT_TELL
        of_others = f", {CANNOT_TELL} of {self.untold:,} others" if self.untold else ""
        return f"{self.found:,} of {self.looked_at:,}{of_others}"


def copies(methods: Sequence[Copied]) -> str:
    """Say how many generated images are copies of training images; "" where none was looked at."""
    compared = [one for one in methods if one.looked_at or one.untold]
    each = ", ".join(
        f"{one.name} {one.count}{'' if isnan(one.least) else f' (at least {100 * one.least:.0f} % by their nearness)'}"
        for one in compared
    )
    chance = " (1 in 100 by chance)" if any(one.looked_at for one in compared) else ""
    twins = any(one.untold for one in compared)
    why = " Cannot tell: held-out images are themselves nearly training images, twins." if twins else ""
    return f"Generated images that are copies of training images: {each}{chance}.{why}" if each else ""
