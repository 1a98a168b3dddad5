"""What the server process imports once, so that each job starts in a fraction of a second.

The first optimiser of a process imports torch._dynamo and with it sympy: five seconds, a quarter of a short trial.

What starts threads when it is imported stays out: a process forked beside them may inherit a lock that nobody opens.
Polars is such a library, and takes 0.15 s.
"""

from __future__ import annotations

import sklearn.metrics
import torch
import torch._dynamo

from medbench_plugins.generators.image_gans import loop
from medbench_plugins.training import bagging
from medbench_plugins.transforms import affine, intensity

__all__ = ["affine", "bagging", "intensity", "loop", "sklearn", "torch"]
