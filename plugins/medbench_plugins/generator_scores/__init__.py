"""Built-in scores of generative models; all but the inception score work with any extractor."""

from __future__ import annotations

from collections.abc import Iterable

import medbench
from medbench_plugins.generator_scores.by_class import DomainInceptionScore, Origin, TrainedOnMade, TriedOnMade
from medbench_plugins.generator_scores.copied_pictures import CopiesLeast, CopiesLimit, CopiesPixels
from medbench_plugins.generator_scores.copies import Copies, CopiesAUC
from medbench_plugins.generator_scores.fid import FID
from medbench_plugins.generator_scores.inception_score import InceptionScore
from medbench_plugins.generator_scores.kid import KID, KIDByClass
from medbench_plugins.generator_scores.neighbours import Coverage, Density, Precision, Recall


@medbench.hookimpl
def register_scores() -> Iterable[medbench.Score]:
    """Return the built-in scores, the one to read first before the others."""
    return [
        KIDByClass(),
        KID(),
        Precision(),
        Recall(),
        Density(),
        Coverage(),
        FID(),
        InceptionScore(),
        DomainInceptionScore(),
        TrainedOnMade(),
        TriedOnMade(),
        Origin(),
        CopiesPixels(),
        CopiesLeast(),
        CopiesLimit(),
        Copies(),
        CopiesAUC(),
    ]
