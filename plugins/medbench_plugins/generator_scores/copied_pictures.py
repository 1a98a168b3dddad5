"""Is a synthetic picture a training picture under noise, blur, another contrast, a mirror or a small shift?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from medbench_plugins.contact_sheet import lay_out, middle_slice
from medbench_plugins.generator_scores.likeness import find_most_alike

PERCENTILE = 99.0
MARGIN = 0.25
PAIRS = 10
LEVEL = 0.005


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
        return float((_likeness(synthetic, train) >= copy_limit(held_out, train)).mean())

    def show(self, folder: Path, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> None:
        """Write ``copies.png``: the synthetic pictures most like a training picture above, those below."""
        from PIL import Image

        likeness, which = find_most_alike(synthetic, train)
        worst = np.argsort(-likeness, kind="stable")[:PAIRS]
        rows = [[middle_slice(x) for x in of_kind] for of_kind in (synthetic[worst], train[which[worst]])]
        Image.fromarray(lay_out(rows, columns=len(worst))).save(folder / "copies.png")


@dataclass(frozen=True)
class CopiesLeast:
    """Share of synthetic pictures that are copies at the very least, with 99.5 % confidence; 0 where nothing shows any.

    Of all likenesses t, the largest lead of the share of synthetic pictures that are as like as t to their nearest
    training picture over that of held-out ones, less what chance makes of it for so many of both. It needs no limit:
    one held-out twin of a training picture, which lifts the limit of `copies-pixels` above all copies, costs it no more
    than one picture.
    ``docs/benchmarks/memoriser.py`` measures what is found.

    Source:
        The bound of Dvoretzky, Kiefer and Wolfowitz with the constant of Massart, Annals of Probability 18 (1990), on
        both distributions.
    """

    name: ClassVar[str] = "copies-least"
    of: ClassVar[str] = "pixels"
    floor: ClassVar[bool] = False
    summary: ClassVar[str] = "share of made pictures that are copies at least, with 99.5 % confidence; 0 is best"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare ``uint8 (n, channels, *spatial)``; NaN where any of the three is empty."""
        if not (len(train) and len(held_out) and len(synthetic)):
            return float("nan")
        return least_share(_likeness(synthetic, train), _likeness(held_out, train))


@dataclass(frozen=True)
class CopiesLimit:
    """Likeness to a training picture from which `copies-pixels` takes a picture for a copy, 0 to 1.

    Above 0.98, a line of ours, held-out pictures are nearly training pictures themselves: no copy can be told.

    Source:
        That of `copies-pixels`.
    """

    name: ClassVar[str] = "copies-limit"
    of: ClassVar[str] = "pixels"
    floor: ClassVar[bool] = False
    summary: ClassVar[str] = "likeness to a training picture that makes a copy; above 0.98 copies cannot be told"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare ``uint8 (n, channels, *spatial)``; NaN where any of the three is empty."""
        if not (len(train) and len(held_out) and len(synthetic)):
            return float("nan")
        return copy_limit(held_out, train)


def least_share(made: np.ndarray, honest: np.ndarray) -> float:
    """Return how many of `made` lie above what `honest` shows, at least, as a share of 0 to 1.

    Args:
        made: ``float64 (m,)`` likenesses of synthetic pictures to their nearest training picture.
        honest: ``float64 (n,)`` likenesses of held-out ones.
    """
    at = np.unique(made)
    above_made = 1 - np.searchsorted(np.sort(made), at, "left") / len(made)
    above_honest = 1 - np.searchsorted(np.sort(honest), at, "left") / len(honest)
    by_chance = np.sqrt(np.log(2 / LEVEL) / 2 * (1 / len(made) + 1 / len(honest)))
    return float(max(0.0, (above_made - above_honest).max() - by_chance))


def _likeness(pictures: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the likeness of each picture to the training picture most like it; what was asked last is known."""
    key = tuple(hashlib.sha256(x.tobytes()).digest() for x in (pictures, train))
    if key not in _KNOWN:
        while len(_KNOWN) >= 4:
            _KNOWN.pop(next(iter(_KNOWN)))
        _KNOWN[key] = find_most_alike(pictures, train)[0]
    return _KNOWN[key]


_KNOWN: dict[tuple[bytes, ...], np.ndarray] = {}


def copy_limit(held_out: np.ndarray, train: np.ndarray) -> float:
    """Return the likeness to a training picture from which a picture counts as a copy, at most 1."""
    honest = float(np.percentile(_likeness(held_out, train), PERCENTILE, method="weibull"))
    return honest + MARGIN * (1 - honest)
