"""Generators and discriminators for images and volumes of any size.

Imported late, since it needs torch. ``d`` is the number of spatial axes, ``k`` the number of count_halvings between the
working size and a map of 4 to 8 positions along the shortest axis. A size that is no multiple of 2^k is drawn a little
too large and cropped, so that no synthetic pixel is ever interpolated: blur would distinguish it from real ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation with a gain and a bias of its own for each class (de Vries et al. 2017, arXiv 1707.00683)."""

    def __init__(self, channels: int, n_classes: int, d: int) -> None:
        super().__init__()
        self.norm = _of(d, nn.BatchNorm2d, nn.BatchNorm3d)(channels, affine=False)
        self.gain = nn.Embedding(n_classes, channels)
        self.bias = nn.Embedding(n_classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Normalise ``x (B, channels, *spatial)`` for ``labels int64 (B,)``."""
        over_pixels = (len(x), -1, *[1] * (x.ndim - 2))
        return self.norm(x) * self.gain(labels).view(over_pixels) + self.bias(labels).view(over_pixels)


class PlainBatchNorm(nn.Module):
    """Batch normalisation that ignores the class, behind the same signature."""

    def __init__(self, channels: int, n_classes: int, d: int) -> None:
        super().__init__()
        self.norm = _of(d, nn.BatchNorm2d, nn.BatchNorm3d)(channels)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Normalise ``x (B, channels, *spatial)``."""
        return self.norm(x)


class UpsampledConvolution(nn.Module):
    """Nearest upsampling by two, then a convolution of kernel 3, computed as one transposed convolution.

    The two are equal: four output positions share an input, so kernel 3 on the large map is kernel 4 at stride 2 on the
    small one. A third of the time on one CPU thread, at 16^3 to 32^3 with 32 maps: 130 ms instead of 424 ms.
    """

    def __init__(self, maps: int, out_maps: int, d: int) -> None:
        super().__init__()
        self.conv = _of(d, nn.Conv2d, nn.Conv3d)(maps, out_maps, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, maps, *spatial)`` to ``(B, out_maps, *2 * spatial)``."""
        d = x.ndim - 2
        kernel = self.conv.weight.transpose(0, 1).flip(tuple(range(2, 2 + d)))
        for axis in range(d):
            kernel = F.pad(kernel, _one_side_padding(axis, d, 0)) + F.pad(kernel, _one_side_padding(axis, d, 1))
        transposed = F.conv_transpose2d if d == 2 else F.conv_transpose3d
        return transposed(x, kernel, self.conv.bias, stride=2, padding=1)


class GeneratorNetwork(nn.Module):
    """Noise and a class to an image: nearest upsampling and convolutions.

    Nearest upsampling, since its backward pass is deterministic on a GPU and it leaves no checkerboard
    (Odena et al. 2016, doi 10.23915/distill.00003).

    Attributes:
        latent: Length of the noise vector.
        n_classes: Number of classes.
    """

    def __init__(
        self, shape: Sequence[int], n_classes: int, *, width: int, latent: int, conditional_norm: bool
    ) -> None:
        """Build for rows of `shape` ``(channels, *spatial)``; `width` is the number of maps at full size."""
        super().__init__()
        self.channels, *self.spatial = shape
        d = len(self.spatial)
        k = count_halvings(self.spatial)
        maps = [min(width * 2**i, 16 * width) for i in range(k, -1, -1)]
        norm = ConditionalBatchNorm if conditional_norm else PlainBatchNorm
        conv = _of(d, nn.Conv2d, nn.Conv3d)
        self.latent, self.n_classes = latent, n_classes
        self.base = [-(-side // 2**k) for side in self.spatial]
        self.project = nn.Linear(latent + n_classes, maps[0] * math.prod(self.base))
        self.norms = nn.ModuleList(norm(m, n_classes, d) for m in maps)
        self.convs = nn.ModuleList(UpsampledConvolution(m, n, d) for m, n in pairwise(maps))
        self.to_pixels = conv(maps[-1], self.channels, 3, padding=1)

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw images.

        Args:
            z: ``float32 (B, latent)`` standard normal.
            labels: ``int64 (B,)``.

        Returns:
            ``float32 (B, channels, *spatial)`` in (-1, 1).
        """
        condition = F.one_hot(labels, self.n_classes).to(z.dtype)
        x = self.project(torch.cat([z, condition], dim=1)).view(len(z), -1, *self.base)
        x = F.relu(self.norms[0](x, labels))
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            x = F.relu(norm(conv(x), labels))  # (B, maps, *2 * spatial)
        x = torch.tanh(self.to_pixels(x))
        for axis, side in enumerate(self.spatial, start=2):
            x = x.narrow(axis, 0, side)
        return x


class Pool(nn.Module):
    """Several states of one generator behind the interface of one, each image drawn from one of them, all as often.

    The last number of an image's noise says from which, so that an image depends on nothing but its own noise.

    Attributes:
        networks: In the order of their training.
        latent: Length of the noise vector, one more than theirs.
    """

    def __init__(self, networks: Sequence[GeneratorNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.channels, self.spatial, self.latent = networks[0].channels, networks[0].spatial, networks[0].latent + 1

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw each row's image with the network that the last number of its noise picks."""
        x = z.new_empty(len(z), self.channels, *self.spatial)
        n = len(self.networks)
        which = (torch.special.ndtr(z[:, -1].double()) * n).long().clamp(max=n - 1)
        for k, network in enumerate(self.networks):
            rows = which == k
            if rows.any():
                x[rows] = network(z[rows, :-1], labels[rows])
        return x


class OneAClass(nn.Module):
    """Several unconditional generators behind the interface of a conditional one.

    Attributes:
        networks: One a class; or a single one, which serves every class alike.
    """

    def __init__(self, networks: Sequence[GeneratorNetwork | Pool]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.channels, self.spatial, self.latent = networks[0].channels, networks[0].spatial, networks[0].latent

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw each label's image with the network of that class."""
        x = z.new_empty(len(z), self.channels, *self.spatial)
        whose = labels if len(self.networks) > 1 else torch.zeros_like(labels)
        for k, network in enumerate(self.networks):
            rows = whose == k
            if rows.any():
                x[rows] = network(z[rows], torch.zeros_like(labels[rows]))
        return x


class ImageFeatures(nn.Module):
    """The body of every discriminator: convolutions that halve, one that mixes, all leaky.

    Attributes:
        n_features: Length of a feature vector.
    """

    def __init__(self, shape: Sequence[int], *, width: int, norm: Literal["spectral", "batch", "none"]) -> None:
        """Build for rows of `shape` ``(channels, *spatial)``; `width` is the number of maps of the first layer."""
        super().__init__()
        channels, *spatial = shape
        d = len(spatial)
        conv = _of(d, nn.Conv2d, nn.Conv3d)
        wrap = spectral_norm if norm == "spectral" else _as_it_is
        k = count_halvings(spatial)
        maps = [channels, *[min(width * 2**i, 16 * width) for i in range(k)]]
        # Kernel 4, stride 2, padding 1 halves, rounding down.
        self.convs = nn.ModuleList(wrap(conv(m, n, 4, stride=2, padding=1)) for m, n in pairwise(maps))
        self.mix = wrap(conv(maps[-1], 2 * maps[-1], 3, padding=1))
        after = [*maps[1:], 2 * maps[-1]]
        batch_norm = _of(d, nn.BatchNorm2d, nn.BatchNorm3d)
        has_norm = [norm == "batch" and i > 0 for i in range(len(after))]  # the first has none: Radford et al. 2016
        self.norms = nn.ModuleList(
            batch_norm(m) if has else nn.Identity() for m, has in zip(after, has_norm, strict=True)
        )
        self.n_features = after[-1] * math.prod([side // 2**k for side in spatial])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(B, channels, *spatial)`` to ``(B, n_features)``."""
        for conv, norm in zip([*self.convs, self.mix], self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return x.flatten(1)


class DiscriminatorNetwork(nn.Module):
    """An image to a source logit and class logits; every layer has spectral norm (Miyato et al. 2018, 1802.05957)."""

    def __init__(self, shape: Sequence[int], n_classes: int, *, width: int) -> None:
        """Build for rows of `shape` ``(channels, *spatial)``; `width` is the number of maps of the first layer."""
        super().__init__()
        self.body = ImageFeatures(shape, width=width, norm="spectral")
        self.source = spectral_norm(nn.Linear(self.body.n_features, 1))
        self.classes = spectral_norm(nn.Linear(self.body.n_features, n_classes))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the source logit ``(B,)``, positive for real, and class logits ``(B, n_classes)``."""
        _, source, classes = self.features_and_logits(x)
        return source, classes

    def features_and_logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return features ``(B, n_features)``, source logits ``(B,)`` and class logits ``(B, n_classes)``."""
        features = self.body(x)
        return features, self.source(features)[:, 0], self.classes(features)


class EmbeddingDiscriminator(nn.Module):
    """An image to a source logit and a point on the unit sphere, where each class has a proxy (ReACGAN)."""

    def __init__(self, shape: Sequence[int], n_classes: int, *, width: int, embedding: int) -> None:
        """Build for rows of `shape` ``(channels, *spatial)``; the sphere lies in `embedding` dimensions."""
        super().__init__()
        self.body = ImageFeatures(shape, width=width, norm="spectral")
        self.source = spectral_norm(nn.Linear(self.body.n_features, 1))
        self.embed = spectral_norm(nn.Linear(self.body.n_features, embedding))
        self.proxies = nn.Embedding(n_classes, embedding)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return source logits ``(B,)``, embeddings ``(B, embedding)`` and proxies ``(n_classes, embedding)``."""
        features = self.body(x)
        return self.source(features)[:, 0], F.normalize(self.embed(features)), F.normalize(self.proxies.weight)

    def features_and_logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return embeddings ``(B, embedding)``, source logits ``(B,)``, cosines with the proxies ``(B, n_classes)``."""
        source, embedded, proxies = self(x)
        return embedded, source, embedded @ proxies.T


class Critic(nn.Module):
    """An image to one number; several classes enter as a projection (Miyato and Koyama 2018, arXiv 1802.05637)."""

    def __init__(self, shape: Sequence[int], n_classes: int, *, width: int, norm: Literal["batch", "none"]) -> None:
        """Build for rows of `shape` ``(channels, *spatial)``."""
        super().__init__()
        self.body = ImageFeatures(shape, width=width, norm=norm)
        self.score = nn.Linear(self.body.n_features, 1)
        self.classes = nn.Embedding(n_classes, self.body.n_features) if n_classes > 1 else None
        if self.classes is not None:
            nn.init.zeros_(self.classes.weight)  # an embedding's N(0, 1) would drown the score at first

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return ``(B,)``, larger for what looks more real, given ``labels int64 (B,)``."""
        features = self.body(x)
        score = self.score(features)[:, 0]
        return score if self.classes is None else score + (features * self.classes(labels)).sum(1)


def initialise_as_dcgan(network: nn.Module) -> None:
    """Draw weights from N(0, 0.02), gains from N(1, 0.02), biases 0: Radford et al. 2016, section 4, and its code."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def count_halvings(spatial: Sequence[int]) -> int:
    """Return how often the shortest axis is halved, at least twice, until 4 to 8 positions are left."""
    return max(2, (min(spatial) // 4).bit_length() - 1)


def _as_it_is(layer: nn.Module) -> nn.Module:
    return layer


def _of(d: int, for_images: Any, for_volumes: Any) -> Any:
    return {2: for_images, 3: for_volumes}[d]


def _one_side_padding(axis: int, d: int, side: int) -> list[int]:
    """Return the argument of ``F.pad`` for one more position at one side of a kernel's axis."""
    padding = [0] * (2 * d)  # pairs, the last axis first
    padding[2 * (d - 1 - axis) + 1 - side] = 1
    return padding
