"""medbench: does this augmentation help, by how much, at what cost, and can I believe it?

Everything a plugin needs is a name in this module, and so is what a script or notebook needs: :func:`run`,
:func:`plan`, :func:`results` and :func:`claim`. Names are imported when they are first used, so that
``medbench --help`` does not wait for numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medbench.api.claim import claim
    from medbench.api.study import plan, results, run
    from medbench.errors import (
        ContractError,
        DataError,
        Diverged,
        JobLost,
        LeakError,
        MedbenchError,
        PluginError,
        ResourceError,
        Skip,
        StoreError,
        UsageError,
    )
    from medbench.interfaces import (
        Augmenter,
        Budget,
        Card,
        Classifier,
        Context,
        Dataset,
        DrawnAhead,
        Encoding,
        Executor,
        Extractor,
        Generator,
        Index,
        Jobs,
        Loss,
        Metric,
        Predictor,
        Record,
        Sampler,
        Score,
        Stage,
        State,
        TrainingSet,
        Transform,
        outside_identity,
    )
    from medbench.registry.hookspecs import hookimpl
    from medbench.registry.plugins import recipe
    from medbench.samples import UNLABELLED, Samples, balanced_sampling
    from medbench.text import counted
    from medbench.trial.kept_features import KeptFeatures

__version__ = "0.2.0"

_HOMES = (  # the light ones first
    "errors",
    "text",
    "registry.hookspecs",
    "samples",
    "interfaces",
    "registry.plugins",
    "trial.kept_features",
    "api.claim",
    "api.study",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"medbench.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'medbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "UNLABELLED",
    "Augmenter",
    "Budget",
    "Card",
    "Classifier",
    "Context",
    "ContractError",
    "DataError",
    "Dataset",
    "Diverged",
    "DrawnAhead",
    "Encoding",
    "Executor",
    "Extractor",
    "Generator",
    "Index",
    "JobLost",
    "Jobs",
    "KeptFeatures",
    "LeakError",
    "Loss",
    "MedbenchError",
    "Metric",
    "PluginError",
    "Predictor",
    "Record",
    "ResourceError",
    "Sampler",
    "Samples",
    "Score",
    "Skip",
    "Stage",
    "State",
    "StoreError",
    "TrainingSet",
    "Transform",
    "UsageError",
    "__version__",
    "balanced_sampling",
    "claim",
    "counted",
    "hookimpl",
    "outside_identity",
    "plan",
    "recipe",
    "results",
    "run",
]
