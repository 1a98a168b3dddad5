"""Generators of features that start as one Gaussian a class and are refined from there. Imported late, needs torch.

A generator that starts from noise has to find mean and spread of a class by the game alone, and from a dozen rows it
does not: its discriminator has memorised them before. This one has both before the first step; what the game adds is a
correction of each draw, and the correction starts at nothing.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from medbench_plugins.generators.feature_gans.dense_networks import append_class

CHUNK = 64  # rows drawn at a time; fixed, since the size of a block changes bits


class StartedGenerator(nn.Module):
    """Noise and a class to a vector: a draw from the class's Gaussian, plus what a network makes of that draw.

    Attributes:
        latent: Length of the noise vector: `rank` numbers along directions of the class, then one a feature.
        mean: ``float32 (n_classes, d)`` of the Gaussians, in the networks' units,
        factor: ``float32 (n_classes, rank, d)`` their main directions, as long as the deviation along them, and
        rest: ``float32 (n_classes, d)`` the deviation of each feature that no direction tells.
        location: ``float32 (d,)`` taken from the training rows, then
        scale: what they were divided by.
    """

    mean: torch.Tensor
    factor: torch.Tensor
    rest: torch.Tensor
    location: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, shape: tuple[int, ...], n_classes: int, *, correction: nn.Module, rank: int, positive: bool
    ) -> None:
        """Build for rows of `shape`; `positive` ends in a ReLU.

        Args:
            shape: Of a row, without the batch.
            n_classes: Number of classes.
            correction: ``(x (B, d), labels (B,)) -> (B, d)``, 0 before it has learnt anything.
            rank: Most directions a class; fewer where rows have fewer numbers.
            positive: No row has a number below 0.
        """
        super().__init__()
        d = math.prod(shape)
        self.rank = min(rank, d)
        self.latent, self.n_classes, self.positive = self.rank + d, n_classes, positive
        self.correction = correction
        for name, size in (("mean", (d,)), ("factor", (self.rank, d)), ("rest", (d,))):
            self.register_buffer(name, torch.zeros(n_classes, *size))
        self.register_buffer("location", torch.zeros(d))
        self.register_buffer("scale", torch.ones(d))

    def start_from(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Take the moments of each class from ``x float64 (n, d)`` in the networks' units; every class has a row."""
        for label in range(self.n_classes):
            mean, directions, rest = estimate_gaussian(x[labels == label], rank=self.rank)
            if self.positive:
                deviation = np.sqrt((directions**2).sum(0) + rest**2)
                mean, wider = gaussian_before_relu(mean, deviation)
                ratio = np.divide(wider, deviation, out=np.zeros_like(wider), where=deviation > 0)
                directions, rest = directions * ratio, rest * ratio
            parts = (mean, directions, rest)
            for own, part in zip((self.mean, self.factor, self.rest), parts, strict=True):
                own[label].copy_(torch.from_numpy(part))

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw ``float32 (B, d)`` in the networks' units from ``z (B, latent)`` and ``labels int64 (B,)``."""
        x = self._gaussian(z, labels)
        x = x + self.correction(x, labels)
        return F.relu(x) if self.positive else x

    def draw_start(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw what this drew before the first step."""
        x = self._gaussian(z, labels)
        return F.relu(x) if self.positive else x

    def _gaussian(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x = self.mean[labels] + self.rest[labels] * z[:, self.rank :]
        for label in range(self.n_classes):  # a product a class: picking factors by row would copy B of them
            own = (labels == label).to(x.dtype)[:, None]
            x = x + own * (z[:, : self.rank] @ self.factor[label])
        return x

    def rows(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw ``float32 (B, d)`` in the units of the training rows."""
        drawn = [self(*part) for part in zip(z.split(CHUNK), labels.split(CHUNK), strict=True)]
        return torch.cat(drawn) * self.scale + self.location


class DenseCorrection(nn.Module):
    """A row and its class through one hidden layer to what is added to it, 0 at first."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, *, hidden: int) -> None:
        """Build for rows of `shape`, which are taken as vectors."""
        super().__init__()
        d = math.prod(shape)
        self.n_classes = n_classes
        self.inner = nn.Linear(d + n_classes, hidden)
        self.outer = _zero(nn.Linear(hidden, d))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return ``(B, d)`` for ``x (B, d)`` and ``labels int64 (B,)``."""
        return self.outer(F.leaky_relu(self.inner(append_class(x, labels, self.n_classes)), 0.2))


class MapCorrection(nn.Module):
    """A map and its class through two hidden convolutions to what is added to it, 0 at first."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, *, width: int) -> None:
        """Build for rows of `shape` ``(d, *spatial)`` of two or three axes."""
        super().__init__()
        self.shape, self.n_classes = shape, n_classes
        conv = (nn.Conv2d, nn.Conv3d)[len(shape) - 3]
        self.inner = conv(shape[0], width, 3, padding=1)
        self.of_class = nn.Linear(n_classes, width * math.prod(shape[1:]), bias=False)
        self.middle = conv(width, width, 3, padding=1)
        self.outer = _zero(conv(width, shape[0], 3, padding=1))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return ``(B, d * positions)`` for ``x`` of the same shape and ``labels int64 (B,)``."""
        hidden = self.inner(x.view(len(x), *self.shape))
        bias = self.of_class(F.one_hot(labels, self.n_classes).to(x.dtype)).view_as(hidden)
        hidden = F.leaky_relu(self.middle(F.leaky_relu(hidden + bias, 0.2)), 0.2)
        return self.outer(hidden).flatten(1)


def estimate_gaussian(x: np.ndarray, *, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the Gaussian of a class that a generator starts as.

    Its covariance is Ledoit and Wolf's, as in ``feature-gaussian``, with the variance of all but the first `rank`
    directions kept feature by feature.

    Args:
        x: ``float64 (n, d)``, of one class; a single row is returned as it is, without spread.
        rank: Number of directions.

    Returns:
        Mean ``(d,)``, directions ``(rank, d)`` and the remaining deviation ``(d,)``, all float64.
    """
    mean, directions = x.mean(0), np.zeros((rank, x.shape[1]))
    if len(x) < 2:
        return mean, directions, np.zeros_like(mean)
    from sklearn.covariance import ledoit_wolf_shrinkage

    centred = (x - mean) / math.sqrt(len(x))
    shrinkage, variances = float(ledoit_wolf_shrinkage(x)), (centred**2).sum(0)
    gram = centred @ centred.T if len(x) <= x.shape[1] else centred.T @ centred
    strengths, vectors = np.linalg.eigh(gram)  # ascending
    first = np.flatnonzero(strengths > 1e-10 * max(strengths[-1], 1e-300))[::-1][:rank]
    if len(x) <= x.shape[1]:
        found = vectors[:, first].T @ centred
    else:
        found = np.sqrt(strengths[first])[:, None] * vectors[:, first].T
    directions[: len(first)] = math.sqrt(1 - shrinkage) * found
    target = (1 - shrinkage) * variances + shrinkage * variances.mean()
    rest = np.sqrt(np.maximum(target - (directions**2).sum(0), 0))
    return mean, directions, rest


def gaussian_before_relu(mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gaussians that have a given mean and deviation behind a ReLU.

    A ReLU moves the mean of a Gaussian that reaches below 0: features that are mostly 0 would start too large.

    Args:
        mean: ``float64 (d,)``, none below 0.
        deviation: ``float64 (d,)``. Where it is more than some 1,700 times the mean, the mean alone is met.

    Returns:
        Mean and deviation ``float64 (d,)`` of the Gaussians.

    Source:
        Moments of the rectified normal distribution: with t = mean / deviation, density f and distribution F of the
        standard normal, E x = deviation (t F + f) and E x² = deviation² ((t² + 1) F + t f). Their ratio E x² / (E x)²
        falls with t alone, so t is found by bisection.
    """
    from scipy.special import ndtr

    def moments(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        density = np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
        return t * ndtr(t) + density, (t**2 + 1) * ndtr(t) + t * density

    spread = (mean > 0) & (deviation > 0)
    target = 1 + (deviation[spread] / mean[spread]) ** 2
    low, high = np.full(len(target), -5.0), np.maximum(10.0, mean[spread] / deviation[spread] + 1)
    for _ in range(64):
        middle = (low + high) / 2
        first, second = moments(middle)
        above = second / first**2 > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found_mean, found_deviation = np.array(mean), np.zeros_like(deviation)
    found_deviation[spread] = mean[spread] / moments(low)[0]
    found_mean[spread] = low * found_deviation[spread]
    return found_mean, found_deviation


def _zero(layer: nn.Module) -> nn.Module:
    """Return `layer` with zeros for weights."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer
