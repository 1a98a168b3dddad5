"""Inception score: how sure an extractor is of each image, and how much it varies over images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class InceptionScore:
    """exp of the mean KL divergence of each synthetic image's class probabilities from their mean; higher is better.

    One split over all rows. It lies between 1 and the lesser of the number of classes and of rows and grows with the
    rows, so it is comparable with its floor only: real training images at the same number. Other images are not part of
    it, and the 1008 classes of ImageNet say little about radiographs. Computed only where the extractor gives class
    probabilities.

    Source:
        Salimans et al., NeurIPS 2016, arXiv 1606.03498, section 4; computed by torch-fidelity.
    """

    name: ClassVar[str] = "inception-score"
    by_class: ClassVar[bool] = True
    of: ClassVar[str] = "probabilities"
    summary: ClassVar[str] = "inception score, one split; higher is better, and only beside its floor"

    def score(self, train: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> float:
        """Score ``float64 (n, k)`` class probabilities of synthetic rows; NaN without any."""
        if not len(synthetic):
            return float("nan")
        import torch
        from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

        # Logarithms of probabilities are logits; a probability of 0 adds nothing, as long as its logarithm is finite.
        logits = torch.from_numpy(np.log(np.maximum(synthetic, 1e-300)))
        return float(isc_features_to_metric(logits, splits=1, shuffle=False)[KEY_METRIC_ISC_MEAN])
