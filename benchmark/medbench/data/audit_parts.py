"""Whether the two parts of an official cut show the same: what tells them apart, and what the nearest picture gives.

A test part from another scanner, year or source is told apart from the training part by what no disease has: then a
method that is right in cross-validation may be wrong on it. Asked within each class, since parts may hold classes in
other proportions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medbench.data import audit_shortcuts as shortcuts
from medbench.data.audit_findings import Shortcut
from medbench.protocols.folds import assign_folds


def measure_parts(
    pixels: np.ndarray, labels: np.ndarray, groups: np.ndarray, parts: Sequence[str], headers: np.ndarray, classes: int
) -> tuple[tuple[Shortcut, ...], Shortcut | None]:
    """Measure how far what is no image content tells the training part from the test part.

    Args:
        pixels: ``uint8 (n, channels, *spatial)``.
        labels: ``int64 (n,)``; rows with -1 are left out.
        groups: ``str (n,)``, what no cut may part; training rows that share one with the test part are left out.
        parts: "train", "test" or something else.
        headers: ``int64 (n, 4)`` as :func:`medbench.data.audit_shortcuts.read_header` gives them.
        classes: Number of classes.

    Returns:
        For each thing looked at, its AUROC for train against test within a class, mean over the classes that have
        enough groups in both parts; and the class that the nearest training picture gives to test images. Nothing
        where there is no such cut.
    """
    part = np.asarray(parts)
    tested = set(groups[part == "test"].tolist())
    kept = (labels >= 0) & ((part == "test") | ((part == "train") & ~np.isin(groups, sorted(tested))))
    rows = np.flatnonzero(kept)
    if len(set(part[rows].tolist())) < 2:
        return (), None
    rows = rows[shortcuts.draw_rows(labels[rows], groups[rows])]
    labels, groups, is_test = labels[rows], groups[rows], (part[rows] == "test").astype(np.int64)
    plane = shortcuts.plane_of(pixels, rows)
    pictures = shortcuts.crop_common(plane)
    features = [*shortcuts.features_of(pictures, headers[rows]), ("padding", shortcuts.padding_of(plane))]
    found: dict[str, list[Shortcut]] = {}
    for k in range(classes):
        of_class = labels == k
        each = [len(set(groups[of_class & (is_test == side)].tolist())) for side in (0, 1)]
        if min(each) < shortcuts.FOLDS:
            continue
        folds = assign_folds(groups[of_class], is_test[of_class], shortcuts.FOLDS, salt="parts")
        draws = shortcuts.draw_groups(groups[of_class], is_test[of_class])
        for name, values in features:
            values = values[of_class]
            varies = values.std(0) > 1e-9
            if varies.any():
                scores = shortcuts.regress(values[:, varies], is_test[of_class], folds, 2)
                found.setdefault(name, []).append(shortcuts.score(name, scores, is_test[of_class], draws))
    return tuple(_mean(of_it) for of_it in found.values()), _nearest(pictures, labels, groups, is_test, classes)


def _nearest(
    pictures: np.ndarray, labels: np.ndarray, groups: np.ndarray, is_test: np.ndarray, classes: int
) -> Shortcut | None:
    tested = is_test == 1
    if len(set(labels[tested].tolist())) < 2 or len(set(labels[~tested].tolist())) < 2:
        return None
    scores = shortcuts.nearest(pictures, labels, np.where(tested, 0, 1), classes, folds_tested=1)[tested]
    draws = shortcuts.draw_groups(groups[tested], labels[tested])
    return shortcuts.score("the nearest training picture", scores, labels[tested], draws)


def _mean(found: Sequence[Shortcut]) -> Shortcut:
    """Return the mean over classes; of intervals too, which is wider than that of the mean."""

    def mean(key: str) -> float:
        return float(np.mean([getattr(one, key) for one in found]))

    return replace(found[0], auroc=mean("auroc"), low=mean("low"), high=mean("high"), accuracy=mean("accuracy"))
