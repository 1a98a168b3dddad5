"""medbench: does this augmentation help, by how much, at what cost, and can I believe it?

Everything a plugin needs is a name in this module.
"""

from medbench.errors import (
    ContractError,
    DataError,
    Diverged,
    LeakError,
    MedbenchError,
    PluginError,
    ResourceError,
    Skip,
    StoreError,
    UsageError,
)
from medbench.hookspecs import hookimpl
from medbench.interfaces import (
    Augmenter,
    Budget,
    Card,
    Classifier,
    Context,
    Dataset,
    Executor,
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
)
from medbench.samples import UNLABELLED, Samples

__version__ = "0.1.0"

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
    "Executor",
    "Generator",
    "Index",
    "Jobs",
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
    "hookimpl",
]
