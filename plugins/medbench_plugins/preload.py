"""What the server process imports once, so that each job starts in a fraction of a second.

The first optimiser of a process imports torch._dynamo and with it sympy: five seconds, a quarter of a short trial.
"""

from __future__ import annotations

import polars
import sklearn.metrics
import torch
import torch._dynamo

from medbench_plugins import affine, gan_training, intensity, training

__all__ = ["affine", "gan_training", "intensity", "polars", "sklearn", "torch", "training"]
