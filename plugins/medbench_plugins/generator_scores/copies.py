"""Is a synthetic row nearer to a training row than rows that nobody copied are?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medbench_plugins.generator_scores.neighbours import nearest

PERCENTILE = 1.0


@dataclass(frozen=True)
class Copies:
    """Share of synthetic rows that lie nearer to a training row than almost all held-out rows do; 0.01 is fair.

    The limit is the 1st percentile of the distances from held-out rows to their nearest training row, so that about one
    row in a hundred of a generator that copies nothing lies below it. With fewer than 99 held-out rows the limit is the
    nearest of them, and one in (their number + 1) does. Only training rows that are looked at can be recognised:
    where those are a part, so is this share. Rows without detail lie nearer to everything, so a generator that draws
    the mean of its class is flagged too: read it with recall.

    Source:
        The nearest neighbours of Meehan et al., AISTATS 2020, arXiv 2004.05675, at a limit instead of over all ranks.
    """

    name: ClassVar[str] = "copies"
    floor: ClassVar[bool] = False  # real training rows are copies of themselves
    summary: ClassVar[str] = "share of made rows too near to a training row; 0.01 is what chance gives, lower is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare distances to the nearest training row; NaN where any of the three is empty."""
        if not (len(train) and len(held_out) and len(synthetic)):
            return float("nan")
        # Weibull's quantile: the share of fresh rows below the j-th of n is j / (n + 1) on average.
        limit = np.percentile(nearest(held_out, train), PERCENTILE, method="weibull")
        return float((nearest(synthetic, train) <= limit).mean())


@dataclass(frozen=True)
class CopiesAUC:
    """Chance that a synthetic row lies nearer to its nearest training row than a held-out one: 0.5 is fair, 1 copies.

    Below 0.5 synthetic rows lie farther off than real ones: they are no copies, and may be poor.

    Source:
        Meehan et al., AISTATS 2020, arXiv 2004.05675: the rank statistic of their test, over the number of pairs.
    """

    name: ClassVar[str] = "copies-auc"
    floor: ClassVar[bool] = False
    summary: ClassVar[str] = (
        "chance that a made row is nearer to training than a held-out one; 0.5 is best, 1 is copying"
    )

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare distances to the nearest training row; NaN where any of the three is empty."""
        if not (len(train) and len(held_out) and len(synthetic)):
            return float("nan")
        honest, made = np.sort(nearest(held_out, train)), nearest(synthetic, train)
        farther = len(honest) - np.searchsorted(honest, made, side="right")
        as_far = np.searchsorted(honest, made, side="right") - np.searchsorted(honest, made, side="left")
        return float((farther + as_far / 2).mean() / len(honest))
