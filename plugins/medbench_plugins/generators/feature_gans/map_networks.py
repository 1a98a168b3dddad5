"""Networks of a GAN for maps of features, which are small and have many channels. Imported late, since it needs torch.

Both see a row as one vector ``(B, d * positions)``, as the dense networks of :mod:`.loop` do, so
that one loop trains either kind; the shape of a map is known to the networks alone.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from medbench_plugins.generators.feature_gans.dense_networks import append_class
from medbench_plugins.generators.image_gans.networks import PlainBatchNorm, UpsampledConvolution

CHUNK = 64  # rows drawn at a time; fixed, since the size of a block changes bits


class MapGenerator(nn.Module):
    """Noise and a class to maps, by three hidden layers: a projection and two convolutions that double while they can.

    Attributes:
        latent: Length of the noise vector.
        location: ``float32 (d * positions,)`` taken from the training rows, then
        scale: what they were divided by.
    """

    location: torch.Tensor
    scale: torch.Tensor

    def __init__(self, shape: tuple[int, ...], n_classes: int, *, width: int, latent: int, positive: bool) -> None:
        """Build for rows of `shape` ``(d, *spatial)`` of two or three axes; `positive` ends in a ReLU."""
        super().__init__()
        self.latent, self.n_classes = latent, n_classes
        channels, *self.spatial = shape
        axes, k = len(self.spatial), count_doublings(shape)
        conv = (nn.Conv2d, nn.Conv3d)[axes - 2]
        self.base = [-(-side // 2**k) for side in self.spatial]
        self.project = nn.Linear(latent + n_classes, 2 * width * math.prod(self.base))
        self.convs = nn.ModuleList(
            UpsampledConvolution(m, n, axes) if i < k else conv(m, n, 3, padding=1)
            for i, (m, n) in enumerate([(2 * width, 2 * width), (2 * width, width)])
        )
        self.norms = nn.ModuleList(PlainBatchNorm(m, n_classes, axes) for m in (2 * width, 2 * width, width))
        self.to_maps = conv(width, channels, 3, padding=1)
        self.last = nn.ReLU() if positive else nn.Identity()
        self.register_buffer("location", torch.zeros(math.prod(shape)))
        self.register_buffer("scale", torch.ones(math.prod(shape)))

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw ``float32 (B, d * positions)`` in the networks' units from ``z (B, latent)`` and ``int64 (B,)``."""
        x = self.project(append_class(z, labels, self.n_classes)).unflatten(1, (-1, *self.base))
        x = F.leaky_relu(self.norms[0](x, labels), 0.2)
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            x = F.leaky_relu(norm(conv(x), labels), 0.2)
        for axis, side in enumerate(self.spatial, start=2):
            x = x.narrow(axis, 0, side)
        return self.last(self.to_maps(x)).flatten(1)

    def rows(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw ``float32 (B, d * positions)`` in the units of the training rows."""
        drawn = [self(*part) for part in zip(z.split(CHUNK), labels.split(CHUNK), strict=True)]
        return torch.cat(drawn) * self.scale + self.location


class MapDiscriminator(nn.Module):
    """Maps to a source logit and class logits, by three hidden layers; every layer has spectral norm (1802.05957)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, *, width: int) -> None:
        """Build for rows of `shape` ``(d, *spatial)``."""
        super().__init__()
        self.shape = shape
        channels, *spatial = shape
        conv = (nn.Conv2d, nn.Conv3d)[len(spatial) - 2]
        k = count_doublings(shape)
        layers: list[nn.Module] = [spectral_norm(conv(channels, width, 3, padding=1))]
        for i, (m, n) in enumerate([(width, 2 * width), (2 * width, 2 * width)]):
            halving = conv(m, n, 4, stride=2, padding=1)
            layers.append(spectral_norm(halving if i < k else conv(m, n, 3, padding=1)))
        self.convs = nn.ModuleList(layers)
        n_features = 2 * width * math.prod(side // 2**k for side in spatial)
        self.source = spectral_norm(nn.Linear(n_features, 1))
        self.classes = spectral_norm(nn.Linear(n_features, n_classes))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the source logit ``(B,)``, positive for real, and class logits ``(B, n_classes)``."""
        _, source, classes = self.features_and_logits(x)
        return source, classes

    def features_and_logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return hidden units ``(B, n_features)``, source logits ``(B,)`` and class logits ``(B, n_classes)``."""
        x = x.view(len(x), *self.shape)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        features = x.flatten(1)
        return features, self.source(features)[:, 0], self.classes(features)


def count_doublings(shape: tuple[int, ...]) -> int:
    """Return how often the shortest axis of ``(d, *spatial)`` is halved, at most twice, until 2 or 3 are left."""
    return min(2, max(0, min(shape[1:]).bit_length() - 2))
