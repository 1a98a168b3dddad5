"""Batches of real images in which classes take turns. Needs torch."""

from __future__ import annotations

import numpy as np
import torch

import medbench


class BalancedBatches:
    """Batches in which classes take turns, drawn on the device, where all images stay as uint8.

    Args:
        train: ``uint8 (n, channels, *spatial)``.
        batch: Rows of each.
        noise: What is drawn from, on `device`.
        device: Where to.
    """

    def __init__(self, train: medbench.Samples, batch: int, noise: torch.Generator, device: torch.device) -> None:
        rows = np.flatnonzero(train.labels >= 0)
        rows = rows[np.argsort(train.labels[rows], kind="stable")]
        self._pixels = torch.from_numpy(np.array(train.x[rows])).to(device)
        self._counts = torch.from_numpy(train.class_counts).to(device)
        self._starts = self._counts.cumsum(0) - self._counts
        self._turns = torch.arange(batch, device=device)
        self._noise, self._batch = noise, batch

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``float32 (batch, channels, *spatial)`` in [-1, 1] and ``int64 (batch,)``."""
        labels = self._turns % len(self._counts)
        counts = self._counts[labels]
        places = (torch.rand(self._batch, generator=self._noise, device=labels.device) * counts).long()
        places = torch.minimum(places, counts - 1)  # a product just below 1 may round up
        self._turns += self._batch
        return self._pixels[self._starts[labels] + places].float() / 127.5 - 1, labels
