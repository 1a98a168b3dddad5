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
        clusters: ``str (n,)``: patients, those who share a picture as one; what is drawn together.
        labels: ``int64 (n,)``.
        probabilities: ``float64 (n, n_classes)``, prior-corrected, of the unit.
        raw: The same, uncorrected.
        decisions: ``int64 (n_classes, n_classes)``: images by true class and by argmax of what was predicted,
            uncorrected, whatever the unit; None counts the units.
        frequencies: ``float64 (n_classes,)`` that probabilities were divided by; None where nobody knows.
        images: ``int64 (n,)`` images of each unit; None is one each.
        right: ``int64 (n,)`` images whose argmax, uncorrected, is their class; None is that of `raw`.
    """

    names: np.ndarray
    clusters: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    raw: np.ndarray
    decisions: np.ndarray | None = None
    frequencies: np.ndarray | None = None
    images: np.ndarray | None = None
    right: np.ndarray | None = None


def units(predictions: Predictions, frequencies: Sequence[float], *, by_patient: bool) -> Units:
    """Correct probabilities for the training frequencies and put images of a patient together.

    A patient's probabilities are the normalised geometric mean of the images' (the mean log-probability).
    """
    return units_of([predictions], [frequencies], by_patient=by_patient)[0]


def units_of(
    predictions: Sequence[Predictions], frequencies: Sequence[Sequence[float]], *, by_patient: bool
) -> list[Units]:
    """Return the units of many cells, each as :func:`units` does, in the order given.

    Cells of equal frequencies are computed together; nothing of one enters another.
    """
    found: dict[int, Units] = {}
    alike: dict[tuple[float, ...], list[int]] = {}
    pooled: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for i, seen in enumerate(frequencies):
        alike.setdefault(tuple(seen), []).append(i)
    for seen, places in alike.items():
        cells = [predictions[i] for i in places]
        raw = np.concatenate([p.probabilities for p in cells])
        corrected, decided = correct_prior(raw, np.asarray(seen)), raw.argmax(1)
        if by_patient:
            for p in cells:
                if id(p.patients) not in pooled:  # cells of one fold share the array
                    pooled[id(p.patients)] = np.unique(p.patients, return_index=True, return_inverse=True)
            of_cells = [pooled[id(p.patients)] for p in cells]
            sizes = [len(names) for names, _, _ in of_cells]
            begins = np.cumsum([0, *sizes])
            inverse = np.concatenate([own + begin for (_, _, own), begin in zip(of_cells, begins, strict=False)])
            of_patients = [_geometric_mean(of_images, inverse, begins[-1]) for of_images in (corrected, raw)]
            hits = decided == np.concatenate([p.labels for p in cells])
            numbers = np.bincount(inverse, minlength=begins[-1]), np.bincount(inverse[hits], minlength=begins[-1])
        ends = np.cumsum([len(p.labels) for p in cells])
        for j, (i, p) in enumerate(zip(places, cells, strict=True)):
            images = slice(ends[j] - len(p.labels), ends[j])
            decisions = confusion_matrix(p.labels, decided[images], raw.shape[1])
            if by_patient:
                patients, (names, first, _) = slice(begins[j], begins[j + 1]), of_cells[j]
                corrected_of, raw_of = (of_unit[patients] for of_unit in of_patients)
                drawn = names if p.groups is None else p.groups[first]
                of_class, n, right = p.labels[first], *(number[patients] for number in numbers)
                found[i] = Units(names, drawn, of_class, corrected_of, raw_of, decisions, np.asarray(seen), n, right)
            else:
                own = corrected[images], raw[images]
                drawn = p.patients if p.groups is None else p.groups
                found[i] = Units(p.ids, drawn, p.labels, *own, decisions, np.asarray(seen))
    return [found[i] for i in range(len(predictions))]


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
