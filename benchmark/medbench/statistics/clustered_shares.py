"""Shares of images, as accuracy and recall are, whose images come in clusters: all images of a patient.

Two images of one patient are decided alike more often than two of others, so n images tell as much as fewer. The
variance of a share is that of a ratio of sums over clusters (Taylor linearisation)::

    e_g = (right_g - p * images_g) / sum of images;   V = G / (G - 1) * sum of e_g^2

and the interval is Wilson's with the number of independent images that have the same variance, never more than there
are, and Student's t for the clusters in place of the normal quantile.

Source:
    Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", Survey Methodology 24 (1998); Wilson, JASA 22 (1927).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medbench.statistics.claimed_gain import share_interval
from medbench.statistics.patient_scores import ArmScores
from medbench.statistics.student_t import two_sided

GENERATED = "made:"
"""What the patient of a synthetic image is called, which shows nobody: each is a cluster of its own."""
NORMAL = 1.959963984540054


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """Images and right decisions by cluster and class, mean over repeats and seeds.

    Attributes:
        clusters: ``str (G,)``, sorted: patients, those who share a picture as one, and synthetic images.
        images: ``float64 (G, n_classes)``: tested images by true class.
        right: ``float64 (G, n_classes)``: those of them whose likeliest class, as predicted, is the true one.
    """

    clusters: np.ndarray
    images: np.ndarray
    right: np.ndarray


def count_images(scores: ArmScores, n_classes: int) -> ImageCounts:
    """Add up the images of an arm by cluster and class."""
    generated = np.char.startswith(scores.clusters, GENERATED)
    names, rows = np.unique(np.where(generated, scores.names, scores.clusters), return_inverse=True)
    places = rows * n_classes + scores.labels
    images, right = (
        np.bincount(places, of_unit, len(names) * n_classes).reshape(-1, n_classes)
        for of_unit in (scores.images, scores.images_right)
    )
    return ImageCounts(names, images, right)


def clustered_interval(counts: ImageCounts, label: int | None = None) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy, or of the recall of a class.

    Args:
        counts: With at least one image of the class.
        label: Which class; None is all of them.
    """
    images, right = _of_class(counts, label)
    n, p = float(images.sum()), float(right.sum() / images.sum())
    tested = images > 0
    if images[tested].max() < 1 + 1e-9:
        return share_interval(p * n, n)
    clusters = int(tested.sum())
    if clusters < 2:
        return 0.0, 1.0
    variance = float(np.sum(_moves(images, right)[tested] ** 2)) * clusters / (clusters - 1)
    # All decided alike: as if every cluster were one image.
    alone = min(n, p * (1 - p) / variance) if variance > 0 else float(clusters)
    alone *= (NORMAL / two_sided(clusters - 1)) ** 2
    return share_interval(p * alone, alone)


def difference_error(one: ImageCounts, other: ImageCounts, label: int | None = None) -> float:
    """Return the standard error of the difference of two accuracies or recalls: paired where clusters are the same.

    Args:
        one: Counts of a method.
        other: Of the method it is compared with, of the same patients or of others.
        label: Which class; None is all of them.
    """
    moved: dict[str, float] = {}
    for counts, sign in ((one, 1.0), (other, -1.0)):
        images, right = _of_class(counts, label)
        tested = images > 0
        for name, move in zip(counts.clusters[tested].tolist(), _moves(images, right)[tested].tolist(), strict=True):
            moved[name] = moved.get(name, 0.0) + sign * move
    values = np.array(list(moved.values()))
    return float(np.sqrt(np.sum(values**2) * len(values) / max(1, len(values) - 1)))


def _of_class(counts: ImageCounts, label: int | None) -> tuple[np.ndarray, np.ndarray]:
    if label is None:
        return counts.images.sum(1), counts.right.sum(1)
    return counts.images[:, label], counts.right[:, label]


def _moves(images: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return how much each cluster moves the share."""
    return np.asarray((right - right.sum() / images.sum() * images) / images.sum())
