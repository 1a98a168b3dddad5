"""Classifiers on the features of a fixed encoder. They stand above the extractors, which stand above classifiers."""

from __future__ import annotations

from collections.abc import Iterable

import medbench
from medbench_plugins.frozen.classifier import Frozen


@medbench.hookimpl
def register_classifiers() -> Iterable[medbench.Classifier]:
    """Return the classifier whose encoder any fixed extractor can be."""
    return (Frozen(),)
