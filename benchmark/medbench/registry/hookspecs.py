"""The hooks a plugin may implement."""

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
    """Return the extractors of the features that generative models are scored by."""


@hookspec
def register_executors() -> Iterable[Executor]:
    """Return ways to run jobs."""


@hookspec
def register_studies() -> Iterable[Path]:
    """Return study files (TOML); a study is called by the stem of its file."""


@hookspec
def trial_started(trial: Any) -> None:
    """Called when a training run is submitted to the executor.

    Args:
        trial: Has ``id, dataset, augmenter, classifier, repeat, fold, seed, budget``.
    """


@hookspec
def trial_finished(trial: Any, result: Any) -> None:
    """Called when a training run has finished and its result is stored.

    Args:
        trial: As for ``trial_started``.
        result: Has ``metrics, cost, counts, facts, folder`` and ``predictions()``.
    """


@hookspec
def trial_failed(trial: Any, error: Exception) -> None:
    """Called when a training run has failed with `error` and the failure is stored; the others go on."""
