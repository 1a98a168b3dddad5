"""What the server process imports once, so that each job starts in a fraction of a second."""

from __future__ import annotations

import sklearn.metrics
import torch

__all__ = ["sklearn", "torch"]
