"""One trial: cut, prepare, audit, fit, predict. Every arm and every protocol goes through this one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medbench.interfaces import (
    Budget,
)
from medbench.protocols.folds import Cut
from medbench.protocols.protocol_text import seeded_as


@dataclass(frozen=True)
class Trial:
    """What one trial is, as text and numbers.

    Attributes:
        dataset: Name and parameters of the data set; ``phantom:`` before it for a phantom.
        protocol: Name and parameters of the evaluation protocol.
        repeat: Which partition.
        fold: Which part of it is tested.
        folds: Number of parts.
        seed: Seed of the classifier.
        stage_seed: Seed of generators and other stages.
        augmenter: Name and parameters.
        classifier: Name and parameters.
        budget: What the fit may spend.
        data: Fingerprint of the decoded data set.
        arm: SHA-256 over the recipes, the code they reach, the core's and the libraries': rows of one arm on a
            leaderboard share it.
        id: SHA-256 over everything that can change the result.
        extractor: Text of what the synthetic samples are scored with; empty for the first registered one, and in arms
            that make none. It is no part of `id`, since scores are computed again from stored generators; one that is
            trained counts through `arm`.
    """

    dataset: str
    protocol: str
    repeat: int
    fold: int
    folds: int
    seed: int
    stage_seed: int
    augmenter: str
    classifier: str
    budget: Budget
    data: str = ""
    arm: str = ""
    id: str = ""
    extractor: str = ""

    @property
    def cut(self) -> Cut:
        """Fold, folds and repeat together."""
        return Cut(self.fold, self.folds, self.repeat)

    @property
    def split(self) -> tuple[str | int, ...]:
        """What seeds are derived from: the cut and its data set, never the arm, nor which leaks are on."""
        return (self.dataset, seeded_as(self.protocol), self.repeat, self.fold, self.folds)

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values, the extractor where one is named, the numerics where they are not exact."""
        budget = {key: value for key, value in vars(self.budget).items() if (key, value) != ("numerics", "exact")}
        fields = {**vars(self), "budget": budget}
        return fields if self.extractor else {key: value for key, value in fields.items() if key != "extractor"}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Trial:
        """Rebuild a trial from ``to_json``."""
        return Trial(**{**value, "budget": Budget(**value["budget"])})


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one trial, rows as in its test part, or in the part that is watched while it trains.

    Attributes:
        ids: ``str (n,)``.
        patients: ``str (n,)``.
        labels: ``int64 (n,)``.
        probabilities: ``float64 (n, n_classes)``.
        groups: ``str (n,)`` of patients who share a picture, and so are drawn together; None where none do.
    """

    ids: np.ndarray
    patients: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """The record of a finished trial.

    Attributes:
        trial: What was asked for.
        ids: ``str (n,)`` of the test samples.
        patients: ``str (n,)``.
        labels: ``int64 (n,)``.
        probabilities: ``float64 (n, n_classes)`` as predicted, before any correction.
        frequencies: ``float64 (n_classes,)`` class frequencies the classifier was trained on.
        classes: Names of the classes.
        metrics: Number by metric, from prior-corrected probabilities; None where a metric gave none.
        leaks: Leaks that were found, all of them declared by the protocol.
        cost: ``seconds`` (wall), ``peak_mb``, ``device`` of this trial alone, without its stages.
        stages: SHA-256 of each stage's arrays by stage key.
        facts: What the predictor says of its training.
        learning: Steps done, training and validation loss at each look at the training; empty where it told of none.
        counts: Rows in training (real, made), validation and test.
        scores: Number by score of the made rows and by ``NAME-floor``; empty where none were made of pixels.
        scored: How: extractor, its SHA-256, features and rows, as :class:`.GeneratorScores` has it.
        metric_keys: By metric, what it was computed with: :func:`medbench.trial.metrics.measure_key`.
        unmeasured: Why a number is missing, by ``metric NAME``, ``score NAME`` or ``extractor NAME``.
        groups: ``str (n,)`` of patients who share a picture, and so are drawn together; None where none do.
        watched: Predictions of the validation part, which nothing is learnt from; None where the protocol leaks, or
            the part is empty.
        corrupted: ``float64 (n, n_classes)`` as predicted for the corrupted test images, by kind and severity; empty
            where the protocol asks for none.
    """

    trial: Trial
    ids: np.ndarray
    patients: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    frequencies: np.ndarray
    classes: tuple[str, ...]
    metrics: Mapping[str, float | None]
    leaks: tuple[str, ...]
    cost: Mapping[str, float | str]
    stages: Mapping[str, str]
    facts: Mapping[str, float | str] = field(default_factory=dict)
    learning: Sequence[tuple[int, float, float]] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    scored: Mapping[str, str | int] = field(default_factory=dict)
    metric_keys: Mapping[str, str] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    groups: np.ndarray | None = None
    watched: Predictions | None = None
    corrupted: Mapping[tuple[str, int], np.ndarray] = field(default_factory=dict)
