"""Precision, recall, density and coverage of synthetic rows against held-out ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medbench_plugins.generator_scores import neighbours


@dataclass(frozen=True)
class Precision:
    """Share of synthetic rows within the reach of held-out ones; higher is better, and below 1 for perfect ones.

    Attributes:
        k: Neighbours a ball holds.

    Source:
        Kynkaanniemi et al., NeurIPS 2019, arXiv 1904.06991.
    """

    k: int = 3
    name: ClassVar[str] = "precision"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "share of made rows that look real (k nearest neighbours); higher is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where there are no more than k held-out ones."""
        return neighbours.precision(held_out, synthetic, self.k)


@dataclass(frozen=True)
class Recall:
    """Share of held-out rows within the reach of synthetic ones; higher is better, and below 1 for perfect ones.

    Attributes:
        k: Neighbours a ball holds.

    Source:
        Kynkaanniemi et al., NeurIPS 2019, arXiv 1904.06991.
    """

    k: int = 3
    name: ClassVar[str] = "recall"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "share of real rows that made ones reach (k nearest neighbours); higher is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where there are no more than k synthetic ones."""
        return neighbours.recall(held_out, synthetic, self.k)


@dataclass(frozen=True)
class Density:
    """How many balls of held-out rows a synthetic row lies in, over k; about 1 for perfect ones, and may be above.

    Attributes:
        k: Neighbours a ball holds.

    Source:
        Naeem et al., ICML 2020, arXiv 2002.09797.
    """

    k: int = 5
    name: ClassVar[str] = "density"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "how densely made rows lie where real ones do; about 1 is best, rare rows lower it"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where there are no more than k held-out ones."""
        return neighbours.density(held_out, synthetic, self.k)


@dataclass(frozen=True)
class Coverage:
    """Share of held-out rows with a made one in their ball; higher is better. Copies of training rows score well.

    Attributes:
        k: Neighbours a ball holds.

    Source:
        Naeem et al., ICML 2020, arXiv 2002.09797.
    """

    k: int = 5
    name: ClassVar[str] = "coverage"
    by_class: ClassVar[bool] = True
    summary: ClassVar[str] = "share of real rows with a made one near; higher is better"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Compare synthetic and held-out rows; NaN where there are no more than k held-out ones."""
        return neighbours.coverage(held_out, synthetic, self.k)
