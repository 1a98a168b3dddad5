"""Dense networks of GANs of features. Imported late, since it needs torch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class DenseGenerator(nn.Module):
    """Noise and a class to a vector of features, by one hidden layer, as f-CLSWGAN has it (arXiv 1712.00981).

    Attributes:
        latent: Length of the noise vector.
        location: ``float32 (d,)`` taken from the training rows, then
        scale: what they were divided by.
    """

    location: torch.Tensor
    scale: torch.Tensor

    def __init__(self, shape: tuple[int, ...], n_classes: int, *, hidden: int, latent: int, positive: bool) -> None:
        """Build for rows of `shape`, which are taken as vectors; `positive` ends in a ReLU."""
        super().__init__()
        d = math.prod(shape)
        self.latent, self.n_classes = latent, n_classes
        self.layers = nn.Sequential(
            nn.Linear(latent + n_classes, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, d),
            nn.ReLU() if positive else nn.Identity(),
        )
        self.register_buffer("location", torch.zeros(d))
        self.register_buffer("scale", torch.ones(d))

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw ``float32 (B, d)`` in the networks' units from ``z (B, latent)`` and ``labels int64 (B,)``."""
        return self.layers(append_class(z, labels, self.n_classes))

    def rows(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw ``float32 (B, d)`` in the units of the training rows."""
        return self(z, labels) * self.scale + self.location


class DenseDiscriminator(nn.Module):
    """Features to a source logit and class logits; every layer has spectral norm (Miyato et al. 2018, 1802.05957)."""

    def __init__(self, d: int, n_classes: int, *, hidden: int) -> None:
        """Build for `d` features."""
        super().__init__()
        self.body = spectral_norm(nn.Linear(d, hidden))
        self.source = spectral_norm(nn.Linear(hidden, 1))
        self.classes = spectral_norm(nn.Linear(hidden, n_classes))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the source logit ``(B,)``, positive for real, and class logits ``(B, n_classes)``."""
        _, source, classes = self.features_and_logits(x)
        return source, classes

    def features_and_logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return hidden units ``(B, hidden)``, source logits ``(B,)`` and class logits ``(B, n_classes)``."""
        features = F.leaky_relu(self.body(x), 0.2)
        return features, self.source(features)[:, 0], self.classes(features)


class DenseCritic(nn.Module):
    """Features and their class to one number, larger for more realistic ones."""

    def __init__(self, d: int, n_classes: int, *, hidden: int) -> None:
        """Build for `d` features."""
        super().__init__()
        self.n_classes = n_classes
        self.layers = nn.Sequential(nn.Linear(d + n_classes, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return ``(B,)`` for ``x (B, d)`` and ``labels int64 (B,)``."""
        return self.layers(append_class(x, labels, self.n_classes))[:, 0]


def append_class(x: torch.Tensor, labels: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return ``x (B, d)`` and one column a class behind it: ``(B, d + n_classes)``."""
    return torch.cat([x, F.one_hot(labels, n_classes).to(x.dtype)], dim=1)
