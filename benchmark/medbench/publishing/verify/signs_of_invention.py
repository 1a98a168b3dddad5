"""Cheap signs that predictions were invented or copied: what training rarely gives, each a sentence for readers.

None of them proves anything and none is sure to show; `reproduce` is what settles it. They are set so that honest
studies carry them next to never: scores must be labels to six digits, calibration better than one study in a thousand
of perfectly calibrated networks has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medbench.protocols.protocol import protocol
from medbench.publishing.bundle import canonical_json, schemas, zip_container
from medbench.publishing.refusals import Refused
from medbench.trial.trial import Trial

NAME = "signs of invention"
FEWEST = 20  # images: fewer can all be right, or alike, by luck
NEAR = 1e-4  # two trainings with other seeds differ by a hundred times that
ALIKE = 1e-6
BINS = 10  # deciles, as Hosmer and Lemeshow (1980) cut them
VARIANCE = 5.0  # of the number of right answers in a bin; below it sure answers fit by themselves
CHANCE = 1e-3  # that a study of perfectly calibrated networks carries the flag


@dataclass
class Signs:
    """Collects what a bundle's trials predicted, then says what is odd."""

    _labels: list[Trial] = field(default_factory=list)
    _answers: dict[tuple[Any, ...], list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    _first: dict[tuple[Any, ...], Trial] = field(default_factory=dict)
    _cells: dict[tuple[Any, ...], list[tuple[Trial, np.ndarray]]] = field(default_factory=dict)

    def add(self, trial: Trial, probabilities: np.ndarray, labels: np.ndarray) -> None:
        """Take one trial.

        Args:
            trial: Its specification.
            probabilities: ``float64 (n, n_classes)``, as predicted.
            labels: ``int64 (n,)``, ours.
        """
        t = trial
        if protocol(t.protocol).is_honest and are_labels(probabilities, labels):  # copies of test images are learnt
            self._labels.append(t)
        arm = (t.dataset, t.protocol, t.augmenter, t.classifier, t.budget, t.repeat, t.seed)
        right = probabilities.argmax(1) == labels
        self._answers.setdefault(arm, []).append((probabilities.max(1), right))
        self._first.setdefault(arm, t)
        if not is_uninformative(probabilities):
            cell = (t.dataset, t.protocol, t.repeat, t.fold)
            self._cells.setdefault(cell, []).append((t, probabilities.astype(np.float32)))

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each kind of sign that was found."""
        if found := self._labels:
            yield f"{_trials(found)} the label and nothing else: one row of probabilities a class; {_first(found[0])}"
        tails = {
            arm: calibration_tail(*map(np.concatenate, zip(*parts, strict=True)))
            for arm, parts in self._answers.items()
        }
        if good := [arm for arm, tail in tails.items() if tail * len(tails) < CHANCE]:
            yield (
                f"{len(good)} of {len(tails)} trainings of all folds are calibrated on the test images better than "
                f"chance allows; {_first(self._first[good[0]])}"
            )
        if near := [pair for cell in self._cells.values() for pair in _near(cell)]:
            yield (
                f"{_trials(near)} what another did to four digits, not to the last one; "
                f"{_first(near[0][1])} as {_name(near[0][0])}"
            )


def are_labels(probabilities: np.ndarray, labels: np.ndarray) -> bool:
    """Say whether predictions hold the label and nothing else: one row of probabilities a class, another for each.

    Args:
        probabilities: ``float64 (n, n_classes)``; rows are the same within ALIKE.
        labels: ``int64 (n,)``.
    """
    classes = [probabilities[labels == k] for k in np.unique(labels)]
    if len(labels) < FEWEST or sum(len(rows) > 1 for rows in classes) < 2:
        return False
    if any(np.ptp(rows, axis=0).max() > ALIKE for rows in classes):
        return False
    means = np.stack([rows[0] for rows in classes])
    return all(np.abs(means[k] - means[:k]).max(1).min() > 10 * ALIKE for k in range(1, len(means)))


def calibration_tail(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return how probable it is that perfectly calibrated answers fit their confidence at least so well by chance.

    Confidence is cut into tenths, never within one value, and what was right in each is held against what was said,
    over its variance. Whoever fits probabilities to the test labels has sums far below a chi-square's.

    Args:
        confidence: ``float64 (n,)`` probability of the class that was chosen.
        right: ``bool (n,)``.

    Returns:
        Lower tail of the chi-square distribution; 1 where fewer than 5 bins say anything.

    Source:
        Hosmer and Lemeshow, Communications in Statistics A9 (1980), the statistic; its lower tail is ours.
    """
    rounded = np.round(confidence, 6)
    values, of_value, counts = np.unique(rounded, return_inverse=True, return_counts=True)
    start = np.cumsum(counts) - counts
    bins = (start * BINS // len(rounded))[of_value] if len(values) else of_value
    gap = np.bincount(bins, right - confidence, BINS)
    variance = np.bincount(bins, confidence * (1 - confidence), BINS)
    told = variance >= VARIANCE
    if told.sum() < 5:
        return 1.0
    return lower_tail(float(np.sum(gap[told] ** 2 / variance[told])), int(told.sum()))


def lower_tail(value: float, freedom: int) -> float:
    """Return the chi-square distribution function by its series, which is exact where it is small.

    Source:
        Abramowitz and Stegun, 6.5.29.
    """
    a, x = freedom / 2, value / 2
    if x <= 0:
        return 0.0
    if x > 5 * a + 50:
        return 1.0
    term = total = math.exp(a * math.log(x) - x - math.lgamma(a + 1))
    for n in range(1, 1000):
        term *= x / (a + n)
        total += term
    return min(1.0, total)


def is_uninformative(probabilities: np.ndarray) -> bool:
    """Say whether predictions are such as many networks give: few, the same for all images, or sure of nearly all."""
    unsure = int((probabilities.max(1) < 0.99).sum())
    return len(probabilities) < FEWEST or unsure < FEWEST // 2 or float(probabilities.std(0).max()) < 0.01


def _near(cell: Sequence[tuple[Trial, np.ndarray]]) -> Iterator[tuple[Trial, Trial]]:
    """Yield trials of a cell that predicted nearly, and not exactly, what another one did, with that one."""
    by_mean = sorted(cell, key=lambda item: float(item[1][:, 0].mean()))  # means differ by no more than predictions
    for number, (trial, p) in enumerate(by_mean):
        for other, q in reversed(by_mean[:number]):
            if p[:, 0].mean() - q[:, 0].mean() > NEAR:
                break
            if 0 < np.abs(p - q).max() <= NEAR:
                yield other, trial
                break


def exact_copies(manifest: bytes, others: Iterable[tuple[str, Path]]) -> tuple[list[str], list[str]]:
    """Look for predictions that earlier entries hold too, byte for byte.

    Args:
        manifest: Of the bundle.
        others: Ids of entries and their bundles.

    Returns:
        Sentences, and the ids of the entries that could not be read.
    """
    mine = _predictions(manifest)
    same: dict[str, str] = {}  # the first entry that holds a trial's predictions, under the same trial
    other: dict[str, str] = {}  # and under another
    unread = []
    for entry, path in others:
        try:
            _, members = zip_container.read(path)
            theirs = _predictions(members[zip_container.MANIFEST].unpack(zip_container.MANIFEST))
        except (Refused, KeyError):
            unread.append(entry)
            continue
        shas = set(theirs.values())
        for key, sha in mine.items():
            if sha in shas:
                (same if theirs.get(key) == sha else other).setdefault(key, entry)
    sentences = []
    for found, whose, meaning in (
        (same, "the same", ": the same run, or a copy of it, and no further evidence"),
        (other, "other", ""),
    ):
        if found:
            entries = list(dict.fromkeys(found.values()))
            more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
            sentences.append(f"{len(found)} of {len(mine)} training runs predicted exactly what {whose} training "
                             f"runs of entry {entries[0]}{more} did{meaning}")  # fmt: skip
    return sentences, unread


def _predictions(manifest: bytes) -> Mapping[str, str]:
    """Return the SHA-256 of every member with predictions, by name."""
    try:
        read = schemas.Manifest.model_validate(canonical_json.load(manifest, zip_container.MANIFEST))
    except ValueError:
        raise Refused("MB909", "manifest.json: is none.") from None
    return {name: told.sha256 for name, told in read.files.items() if name.startswith("predictions/")}


def _trials(found: Sequence[Any]) -> str:
    return f"{len(found)} {'training run' if len(found) == 1 else 'training runs'} predicted"


def _first(trial: Trial) -> str:
    return f"the first is {_name(trial)}"


def _name(trial: Trial) -> str:
    return f"{trial.augmenter} / {trial.classifier}, repeat {trial.repeat}, fold {trial.fold}, seed {trial.seed}"
