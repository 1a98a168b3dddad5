"""Pooling of a patient's images: corrected probabilities and one decision a patient, or an image where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medbench.statistics.class_metrics import confusion_matrix
from medbench.trial.prior_correction import correct_prior
from medbench.trial.trial import Predictions


@dataclass(frozen=True, eq=False)
class Units:
    """What is scored in one cell: patients where a patient's labels agree, else images.

    Attributes:
        names: ``str (n,)``: patients, or images.
        clusters: ``str (n,)``: patients; what is drawn together.
        labels: ``int64 (n,)``.
        probabilities: ``float64 (n, n_classes)``, prior-corrected, of the unit.
        raw: The same, uncorrected.
        decisions: ``int64 (n_classes, n_classes)``: images by true class and by argmax of what was predicted,
            uncorrected, whatever the unit; None counts the units.
    """

    names: np.ndarray
    clusters: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    raw: np.ndarray
    decisions: np.ndarray | None = None


def units(predictions: Predictions, frequencies: Sequence[float], *, by_patient: bool) -> Units:
    """Correct probabilities for the training frequencies and put images of a patient together.

    A patient's probabilities are the normalised geometric mean of the images' (the mean log-probability).
    """
    corrected = correct_prior(predictions.probabilities, np.asarray(frequencies))
    p = predictions
    decisions = confusion_matrix(p.labels, p.probabilities.argmax(1), p.probabilities.shape[1])
    if not by_patient:
        return Units(p.ids, p.patients, p.labels, corrected, p.probabilities, decisions)
    names, first, inverse = np.unique(predictions.patients, return_index=True, return_inverse=True)
    return Units(
        names,
        names,
        predictions.labels[first],
        _geometric_mean(corrected, inverse, len(names)),
        _geometric_mean(predictions.probabilities, inverse, len(names)),
        decisions,
    )


def labels_agree(patients: np.ndarray, labels: np.ndarray) -> bool:
    """Say whether every patient has one label."""
    pairs = {(p, label) for p, label in zip(patients.tolist(), labels.tolist(), strict=True)}
    return len(pairs) == len(set(patients.tolist()))


def _geometric_mean(probabilities: np.ndarray, inverse: np.ndarray, n: int) -> np.ndarray:
    logs = np.log(np.maximum(probabilities, 1e-12))
    sums = np.zeros((n, probabilities.shape[1]))
    np.add.at(sums, inverse, logs)
    mean = sums / np.bincount(inverse, minlength=n)[:, None]
    powers = np.exp(mean - mean.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
