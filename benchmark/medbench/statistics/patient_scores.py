"""Numbers of an arm and of its gain, per patient and paired.

Balanced accuracy is computed from what was decided after dividing probabilities by the training frequencies; seeds are
averaged within a fold, folds are pooled within a repeat, and repeats are averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from medbench.statistics.class_metrics import (
    confusion_matrix,
    confusion_of_shares,
    macro_aurocs_and_moves,
    macro_f1,
    recalls_of,
)
from medbench.statistics.decide import decide_cells, decide_units
from medbench.statistics.pool_images_by_patient import Units

Cell = tuple[int, int, int]
"""(repeat, fold, seed)."""


@dataclass(frozen=True, eq=False)
class ArmScores:
    """An arm over all its cells.

    Attributes:
        names: ``str (n,)`` units, sorted.
        clusters: ``str (n,)``.
        labels: ``int64 (n,)``.
        correct: ``float64 (repeats, n)``: how often a unit was decided rightly, over seeds.
        balanced_accuracy: Mean over repeats, 0 to 1.
        argmax_balanced_accuracy: The same without prior correction.
        auroc: Macro one-against-rest, mean over the folds that hold every class; NaN where none does.
        recalls: ``float64 (n_classes,)``; NaN for a class that was never tested, which no mean over classes counts.
        macro_f1: From the confusion matrix pooled over the folds of a repeat, mean over repeats.
        decisions: ``float64 (n_classes, n_classes)``: images by true class and by argmax, without prior correction,
            mean over repeats and seeds. What published studies count from.
        aurocs: ``float64 (repeats,)``: macro AUROC of each repeat; NaN where no fold holds every class.
        auroc_moves: ``float64 (repeats, clusters)``: how much each patient, in the order of their names, moves it; the
            mean over the repeats with an AUROC is how much a patient moves `auroc`.
        images: ``float64 (n,)``: images of each unit.
        images_right: ``float64 (n,)``: those of them that argmax without prior correction decides rightly, mean over
            repeats and seeds.
    """

    names: np.ndarray
    clusters: np.ndarray
    labels: np.ndarray
    correct: np.ndarray
    balanced_accuracy: float
    argmax_balanced_accuracy: float
    auroc: float
    recalls: np.ndarray
    macro_f1: float
    decisions: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    aurocs: np.ndarray = field(default_factory=lambda: np.zeros(0))
    auroc_moves: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    images: np.ndarray = field(default_factory=lambda: np.zeros(0))
    images_right: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def accuracy(self) -> float:
        """Share of images that argmax decides rightly, 0 to 1: the measure of most studies; NaN without any image."""
        total = self.decisions.sum()
        return float(np.trace(self.decisions) / total) if total else float("nan")


def score(cells: Mapping[Cell, Units], n_classes: int) -> ArmScores:
    """Put the cells of an arm together. Every repeat must cover the same units.

    Raises:
        ValueError: If two repeats tested different units.
    """
    repeats, seeds = (sorted({cell[k] for cell in cells}) for k in (0, 2))
    by_seed: dict[tuple[int, int], list[Units]] = {(repeat, seed): [] for repeat in repeats for seed in seeds}
    for (repeat, _, seed), of_cell in sorted(cells.items()):
        by_seed[repeat, seed].append(of_cell)
    columns, hits = list[np.ndarray](), list[np.ndarray]()
    balanced, argmax, f1s, recalls = [], [], [], []
    names = clusters = labels = np.zeros(0)
    every = {key: of_seed for key, of_seed in by_seed.items() if of_seed}
    in_order = [u for of_seed in every.values() for u in of_seed]
    shares = dict(zip(map(id, in_order), decide_units(in_order), strict=True))
    plainly = dict(zip(map(id, in_order), decide_cells([u.raw for u in in_order]), strict=True))
    for repeat in repeats:
        correct = np.zeros(0)
        before: list[int] = []
        for seed in seeds:
            of_seed = by_seed[repeat, seed]
            arrays = [id(u.names) for u in of_seed]
            if arrays != before:  # trials of one fold share the array, and then the order
                before = arrays
                together = np.concatenate([u.names for u in of_seed])
                order = np.argsort(together, kind="stable")
                these = together[order]
            truth = np.concatenate([u.labels for u in of_seed])[order]
            decided = np.concatenate([shares[id(u)] for u in of_seed])[order]
            plain = np.concatenate([plainly[id(u)] for u in of_seed])[order]
            if names is not these and len(names) and not np.array_equal(names, these):
                raise ValueError("two repeats of an arm tested different patients")
            names, labels = these, truth
            clusters = np.concatenate([u.clusters for u in of_seed])[order]
            hits.append(np.array([np.concatenate([_image_counts(u)[k] for u in of_seed])[order] for k in range(2)]))
            right = np.take_along_axis(decided, truth[:, None], 1)[:, 0]
            correct = right / len(seeds) + (correct if len(correct) else 0.0)
            confusion = confusion_of_shares(truth, decided)
            recalls.append(recalls_of(confusion))
            balanced.append(np.nanmean(recalls[-1]))
            argmax.append(np.nanmean(recalls_of(confusion_of_shares(truth, plain))))
            f1s.append(macro_f1(confusion))
        columns.append(correct)
    auroc, aurocs, auroc_moves = _aurocs(every, repeats, clusters)
    return ArmScores(
        names,
        clusters,
        labels,
        np.stack(columns),
        float(np.mean(balanced)),
        float(np.mean(argmax)),
        auroc,
        np.mean(recalls, axis=0),
        float(np.mean(f1s)),
        _plain_decisions(cells.values(), n_classes) / (len(repeats) * len(seeds)),
        aurocs,
        auroc_moves,
        *np.mean(hits, axis=0),
    )


def _image_counts(units: Units) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of each unit, and those of them that argmax decides rightly."""
    images = np.ones(len(units.names)) if units.images is None else units.images
    return images, units.raw.argmax(1) == units.labels if units.right is None else units.right


def _plain_decisions(cells: Iterable[Units], n_classes: int) -> np.ndarray:
    """Count images, or units where nobody counted images, by true class and by argmax without prior correction."""
    counted = [
        u.decisions if u.decisions is not None else confusion_matrix(u.labels, u.raw.argmax(1), n_classes)
        for u in cells
    ]
    return np.asarray(np.sum(counted, axis=0))


def _aurocs(
    by_seed: Mapping[tuple[int, int], Sequence[Units]], repeats: Sequence[int], clusters: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return `auroc`, `aurocs` and `auroc_moves` of :class:`ArmScores`.

    Args:
        by_seed: Units of the folds, by repeat and seed.
        repeats: Their numbers, sorted.
        clusters: Of all units.
    """
    in_order = [u for of_seed in by_seed.values() for u in of_seed]
    of_repeat = np.array([repeats.index(repeat) for (repeat, _), of_seed in by_seed.items() for _ in of_seed])
    values, moves = macro_aurocs_and_moves([u.labels for u in in_order], [u.probabilities for u in in_order])
    persons = np.unique(clusters)
    place: dict[int, np.ndarray] = {}  # cells of one fold share the array
    for u in in_order:
        if id(u.clusters) not in place:
            place[id(u.clusters)] = np.searchsorted(persons, u.clusters)
    of_unit = np.concatenate([place[id(u.clusters)] for u in in_order])
    row = np.repeat(of_repeat, [len(u.labels) for u in in_order])
    moved = np.bincount(row * len(persons) + of_unit, moves, len(repeats) * len(persons))
    known = np.isfinite(values)
    cells = np.bincount(of_repeat[known], minlength=len(repeats))
    sums = np.bincount(of_repeat[known], values[known], len(repeats))
    aurocs = np.divide(sums, cells, out=np.full(len(repeats), np.nan), where=cells > 0)
    scale = (cells > 0).sum() / max(1, cells.sum())
    auroc = float(values[known].mean()) if known.any() else float("nan")
    return auroc, aurocs, moved.reshape(len(repeats), -1) * scale


def average_networks(networks: Sequence[ArmScores]) -> ArmScores:
    """Average the scores of one arm over networks: cell by cell in effect, since every network has the same cells.

    Raises:
        ValueError: If they were not tested on the same units, equally often.
    """
    first = networks[0]
    for other in networks[1:]:
        same = np.array_equal(first.names, other.names) and np.array_equal(first.labels, other.labels)
        if not same or first.correct.shape != other.correct.shape:
            raise ValueError("the networks of an arm were tested on different patients")

    def mean(name: str) -> Any:
        return np.mean([getattr(scores, name) for scores in networks], axis=0)

    numbers: dict[str, Any] = {
        name: float(mean(name)) for name in ("balanced_accuracy", "argmax_balanced_accuracy", "auroc", "macro_f1")
    }
    arrays = {name: mean(name) for name in ("correct", "recalls", "decisions", "aurocs", "auroc_moves", "images_right")}
    return replace(first, **numbers, **arrays)
