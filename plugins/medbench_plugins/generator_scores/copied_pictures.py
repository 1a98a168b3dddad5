"""Is a synthetic picture a training picture under noise, blur, another contrast, a mirror or a small shift?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from medbench_plugins.contact_sheet import lay_out, middle_slice
from medbench_plugins.generator_scores.likeness import find_most_alike

PERCENTILE = 99.0
MARGIN = 0.25
PAIRS = 10


@dataclass(frozen=True)
class CopiesPixels:
    """Share of synthetic pictures that are closer to a training picture than held-out pictures are; 0 to 0.01 is fair.

    The limit is the 99th percentile of the likeness of held-out pictures to their nearest training picture, and a
    quarter of what is left to 1 on top, since a limit read off a few held-out pictures is often too low. Held-out
    pictures that are themselves twins of training pictures raise it, and hide copies: cut by patient. No extractor is
    involved. Turns by a few degrees, blends and strong noise are not found. Only training pictures that are looked at
    can be recognised. ``docs/benchmarks/memoriser.py`` measures what is found.

    Source:
        Correlation with training pictures as in Akbar et al., 2023, arXiv 2305.07644, at a limit from held-out ones.
    """

    name: ClassVar[str] = "copies-pixels"
    of: ClassVar[str] = "pixels"
    floor: ClassVar[bool] = False  # real training pictures are copies of themselves
    summary: ClassVar[str] = "share of made pictures that are a training picture, changed a little; lower is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare ``uint8 (n, channels, *spatial)``; NaN where any of the three is empty."""
        if not (len(train) and len(held_out) and len(synthetic)):
            return float("nan")
        return float((find_most_alike(synthetic, train)[0] >= copy_limit(held_out, train)).mean())

    def show(self, folder: Path, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> None:
        """Write ``copies.png``: the synthetic pictures most like a training picture above, those below."""
        from PIL import Image

        likeness, which = find_most_alike(synthetic, train)
        worst = np.argsort(-likeness, kind="stable")[:PAIRS]
        rows = [[middle_slice(x) for x in of_kind] for of_kind in (synthetic[worst], train[which[worst]])]
        Image.fromarray(lay_out(rows, columns=len(worst))).save(folder / "copies.png")


def copy_limit(held_out: np.ndarray, train: np.ndarray) -> float:
    """Return the likeness to a training picture from which a picture counts as a copy, at most 1."""
    honest = float(np.percentile(find_most_alike(held_out, train)[0], PERCENTILE, method="weibull"))
    return honest + MARGIN * (1 - honest)
