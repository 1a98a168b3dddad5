"""Built-in extractors: what turns images into the features that generators are scored by."""

from __future__ import annotations

from collections.abc import Iterable

import medbench
from medbench_plugins.extractors.imagenet_classes import ImageNetClasses
from medbench_plugins.extractors.inception import Inception
from medbench_plugins.extractors.monai_features import MonaiFeatures
from medbench_plugins.extractors.own_classifier import OwnClassifier
from medbench_plugins.extractors.random_convolutions import RandomConvolutions
from medbench_plugins.extractors.slices import Slices
from medbench_plugins.extractors.timm_features import TimmFeatures


@medbench.hookimpl
def register_extractors() -> Iterable[medbench.Extractor]:
    """Return the built-in extractors; trials are scored with the first one, which needs no file."""
    return [
        RandomConvolutions(),
        TimmFeatures(),
        Inception(),
        OwnClassifier(),
        Slices(),
        ImageNetClasses(),
        MonaiFeatures(),
    ]
