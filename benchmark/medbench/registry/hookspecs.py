"""The hooks a plugin may implement, one sentence each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from medbench.interfaces import Augmenter, Classifier, Dataset, Executor, Extractor, Generator, Metric, Score

hookspec = pluggy.HookspecMarker("medbench")
hookimpl = pluggy.HookimplMarker("medbench")


@hookspec
def register_datasets() -> Iterable[Dataset]:
    """Return the data sets this plugin provides."""


@hookspec
def register_augmenters() -> Iterable[Augmenter]:
    """Return the augmenters this plugin provides."""


@hookspec
def register_generators() -> Iterable[Generator]:
    """Return the generative models this plugin provides."""


@hookspec
def register_classifiers() -> Iterable[Classifier]:
    """Return the classifiers this plugin provides."""


@hookspec
def register_metrics() -> Iterable[Metric]:
    """Return functions ``(labels, probabilities) -> float``; higher is better."""


@hookspec
def register_scores() -> Iterable[Score]:
    """Return scores of generative models."""


@hookspec
def register_extractors() -> Iterable[Extractor]:
    """Return what turns images into the features that generative models are scored by."""


@hookspec
def register_executors() -> Iterable[Executor]:
    """Return ways to run jobs."""


@hookspec
def register_studies() -> Iterable[Path]:
    """Return study files (TOML); a study is called by the stem of its file."""


@hookspec
def trial_started(trial: Any) -> None:
    """Hear that a trial goes to the executor; it has id, dataset, augmenter, classifier, repeat, fold, seed, budget."""


@hookspec
def trial_finished(trial: Any, result: Any) -> None:
    """Hear that a trial ended; its result (metrics, cost, counts, facts, folder, predictions()) is already stored."""


@hookspec
def trial_failed(trial: Any, error: Exception) -> None:
    """Hear that a trial failed with `error`; the failure is stored and the matrix goes on."""
