"""What a plugin author needs to test a recipe: toy samples, a context, and one contract check a kind of plugin."""

from __future__ import annotations

from typing import Any

from medbench.testing.augmenters import check_augmenter
from medbench.testing.classifiers import check_classifier
from medbench.testing.datasets import check_dataset, check_study
from medbench.testing.executors import check_executor, job_for_checks
from medbench.testing.generators import check_generator
from medbench.testing.sandbox import WHOLE, Extent, SandboxContext, quick
from medbench.testing.scores import check_extractor, check_metric, check_score
from medbench.testing.toys import toy_samples
from medbench.testing.unchanged import check_recipe_is_unchanged

CHECKS: dict[str, Any] = {
    "augmenter": check_augmenter,
    "generator": check_generator,
    "classifier": check_classifier,
    "dataset": check_dataset,
    "metric": check_metric,
    "score": check_score,
    "extractor": check_extractor,
    "executor": check_executor,
    "study": check_study,
}
"""Check by kind of plugin: ``check(item, folder)``."""

__all__ = [
    "CHECKS",
    "WHOLE",
    "Extent",
    "SandboxContext",
    "check_augmenter",
    "check_classifier",
    "check_dataset",
    "check_executor",
    "check_extractor",
    "check_generator",
    "check_metric",
    "check_recipe_is_unchanged",
    "check_score",
    "check_study",
    "job_for_checks",
    "quick",
    "toy_samples",
]
