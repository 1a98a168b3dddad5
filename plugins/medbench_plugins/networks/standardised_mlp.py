"""A small network with one hidden layer on standardised features."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class StandardisedMLP(nn.Module):
    """Two linear layers with a ReLU and dropout between them; maps are averaged over their positions first.

    Args:
        mean: ``float64 (d,)`` taken from each feature.
        deviation: ``float64 (d,)`` above 0 that each is divided by.
        n_classes: Logits.
        hidden: Units between the layers.
        dropout: Share of them that is left out of a step.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: np.ndarray, deviation: np.ndarray, n_classes: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("deviation", torch.from_numpy(deviation).float())
        self.body = nn.Sequential(nn.Linear(len(mean), hidden), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(hidden, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits ``(B, n_classes)`` of features ``(B, d)`` or ``(B, d, *spatial)``."""
        x = x.reshape(*x.shape[:2], -1).mean(2)  # (B, d)
        return self.head(self.body((x - self.mean) / self.deviation))
