"""Losses of generators and discriminators, and the objectives that combine them.

Imported late, since it needs torch. A source logit is positive for real; a critic's score is larger for real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import nn

Judge = Callable[..., Any]
"""The discriminator as an objective calls it: images, and labels where it takes them, to its outputs."""

Parts = tuple[torch.Tensor, ...]


class Objective(Protocol):
    """The two losses of a game.

    Attributes:
        curves: Names of the parts, the discriminator's before the generator's.
    """

    @property
    def curves(self) -> tuple[str, ...]: ...

    def discriminator_loss(
        self, judge: Judge, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, noise: torch.Generator
    ) -> tuple[torch.Tensor, Parts]:
        """Return the loss to descend and its parts, from images of the same labels ``int64 (B,)``."""

    def generator_loss(self, judge: Judge, fake: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        """Return the loss to descend and its parts; `fake` carries the generator's graph."""


@dataclass(frozen=True)
class AuxiliaryClassifier:
    """Real or synthetic, and which class: Odena, Olah, Shlens, ICML 2017, arXiv 1610.09585.

    Attributes:
        variant: As ``ACGAN`` describes them.
        class_weight: Weight of the class loss in both networks.
        made_class_weight: Another weight of it in the generator; None takes `class_weight`.
    """

    variant: Literal["odena", "keras", "modified"]
    class_weight: float
    made_class_weight: float | None = None

    curves: ClassVar[tuple[str, ...]] = ("d_source", "d_class", "g_source", "g_class")

    def discriminator_loss(
        self, judge: Judge, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, noise: torch.Generator
    ) -> tuple[torch.Tensor, Parts]:
        """Both halves in one pass."""
        source, classes = judge(torch.cat([real, fake]))  # (2 B,), (2 B, n_classes)
        B = len(real)
        of_source = source_loss(source[:B], source[B:], hinge=self.variant == "modified")
        of_class = class_loss(classes[:B], classes[B:], labels, variant=self.variant)
        return of_source + self.class_weight * of_class, (of_source, of_class)

    def generator_loss(self, judge: Judge, fake: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        """The class loss counts, whatever the variant."""
        source, classes = judge(fake)
        of_source = -source.mean() if self.variant == "modified" else F.softplus(-source).mean()
        of_class = F.cross_entropy(classes, labels)
        weight = self.class_weight if self.made_class_weight is None else self.made_class_weight
        return of_source + weight * of_class, (of_source, of_class)


@dataclass(frozen=True)
class DataToData:
    """Hinge, and D2D-CE on unit-norm embeddings: Kang et al., ReACGAN, NeurIPS 2021, arXiv 2111.01118.

    Attributes:
        class_weight: Weight of D2D-CE in both networks, the paper's lambda.
        margin: The paper's m_p; m_n is one less it.
        temperature: The paper's tau.
    """

    class_weight: float
    margin: float
    temperature: float

    curves: ClassVar[tuple[str, ...]] = ("d_source", "d_class", "g_source", "g_class")

    def discriminator_loss(
        self, judge: Judge, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, noise: torch.Generator
    ) -> tuple[torch.Tensor, Parts]:
        """D2D-CE looks at real images only."""
        B = len(real)
        source, embedded, proxies = judge(torch.cat([real, fake]))
        of_source = source_loss(source[:B], source[B:], hinge=True)
        of_class = d2d_ce(embedded[:B], proxies, labels, margin=self.margin, temperature=self.temperature)
        return of_source + self.class_weight * of_class, (of_source, of_class)

    def generator_loss(self, judge: Judge, fake: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        """D2D-CE among the synthetic images."""
        source, embedded, proxies = judge(fake)
        of_source = -source.mean()
        of_class = d2d_ce(embedded, proxies, labels, margin=self.margin, temperature=self.temperature)
        return of_source + self.class_weight * of_class, (of_source, of_class)


@dataclass(frozen=True)
class NonSaturating:
    """Cross-entropy, the generator's in its non-saturating form: Goodfellow et al. 2014, arXiv 1406.2661, section 3."""

    curves: ClassVar[tuple[str, ...]] = ("d_source", "g_source")

    def discriminator_loss(
        self, judge: Judge, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, noise: torch.Generator
    ) -> tuple[torch.Tensor, Parts]:
        """Two passes: batch normalisation over a mixed batch would tell real from synthetic by itself."""
        loss = source_loss(judge(real, labels), judge(fake, labels), hinge=False)
        return loss, (loss,)

    def generator_loss(self, judge: Judge, fake: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        """The more the discriminator doubts, the larger."""
        loss = F.softplus(-judge(fake, labels)).mean()
        return loss, (loss,)


@dataclass(frozen=True)
class Wasserstein:
    """The distance between real and synthetic estimated by a critic of bounded slope: Arjovsky et al. 2017, 1701.07875.

    Attributes:
        penalty: Weight of the gradient penalty; 0 where clipping bounds the slope.
    """

    penalty: float = 0.0

    curves: ClassVar[tuple[str, ...]] = ("d_distance", "d_penalty", "g_score")

    def discriminator_loss(
        self, judge: Judge, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, noise: torch.Generator
    ) -> tuple[torch.Tensor, Parts]:
        """``d_distance`` is the estimate itself: the smaller, the closer."""
        distance = judge(real, labels).mean() - judge(fake, labels).mean()
        if not self.penalty:
            return -distance, (distance, torch.zeros_like(distance))
        steep = gradient_penalty(lambda x: judge(x, labels), real, fake, noise)
        return self.penalty * steep - distance, (distance, steep)

    def generator_loss(self, judge: Judge, fake: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        """Minus the score of synthetic images."""
        loss = -judge(fake, labels).mean()
        return loss, (loss,)


def source_loss(real: torch.Tensor, fake: torch.Tensor, *, hinge: bool) -> torch.Tensor:
    """Return the discriminator's loss on source logits ``(B,)``: hinge (Lim and Ye 2017), or cross-entropy."""
    if hinge:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def class_loss(real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, *, variant: str) -> torch.Tensor:
    """Return the discriminator's loss on class logits ``(B, n_classes)``, of synthetic images in "odena" only.

    In "keras" it counts twice: Keras' mnist_acgan takes the mean over real and synthetic images of the source loss,
    which is a sum of two means here, and gives real images the weight 2 in the class loss and synthetic ones 0.
    """
    loss = F.cross_entropy(real, labels)
    if variant == "odena":
        return loss + F.cross_entropy(fake, labels)
    return 2 * loss if variant == "keras" else loss


def d2d_ce(
    embedded: torch.Tensor, proxies: torch.Tensor, labels: torch.Tensor, *, margin: float, temperature: float
) -> torch.Tensor:
    """Return the data-to-data cross-entropy: to one's own proxy, away from the images of other classes.

    Args:
        embedded: ``float (B, e)`` embeddings of length 1.
        proxies: ``float (n_classes, e)`` of length 1.
        labels: ``int64 (B,)``.
        margin: m_p in (0, 1]; images nearer to their proxy than that are not pulled, images of two classes less
            alike than 1 - m_p not pushed apart.
        temperature: tau, above 0.

    Returns:
        The mean over the batch of ``a_i + log(exp(-a_i) + sum_j exp([s_ij + m_p - 1]_+ / tau))`` with
        ``a_i = [m_p - s(f_i, v_yi)]_+ / tau`` and j over the images of other classes; 0 where there are none.

    Source:
        Kang et al. 2021, arXiv 2111.01118, the data-to-data cross-entropy, with m_n = 1 - m_p as in the authors' code
        (StudioGAN, ``losses.py``). That code subtracts a row's largest similarity from the negatives alone, which is
        another function; this one is the equation, by a logsumexp over both.
    """
    own = F.embedding(labels, proxies)  # as proxies[labels], with a backward pass that repeats bit for bit
    pull = F.relu(margin - (embedded * own).sum(1)) / temperature  # (B,)
    push = F.relu(embedded @ embedded.T + (margin - 1)) / temperature  # (B, B)
    push = push.masked_fill(labels[:, None] == labels, -torch.inf)
    return (pull + torch.cat([-pull[:, None], push], dim=1).logsumexp(1)).mean()


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, fake: torch.Tensor, noise: torch.Generator
) -> torch.Tensor:
    """Return the mean of (slope - 1) squared at random points between real and synthetic images.

    Args:
        critic: ``(B, channels, *spatial) -> (B,)``; an image's score must not depend on the rest of its batch.
        real: ``float32 (B, channels, *spatial)``.
        fake: The same shape.
        noise: On their device.

    Returns:
        A scalar with a graph back to the critic's weights.

    Source:
        Gulrajani et al. 2017, arXiv 1704.00028, equation 3 and algorithm 1, without the weight.
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=noise, device=real.device)
    between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


@torch.no_grad()
def clip_weights(network: nn.Module, limit: float) -> None:
    """Clamp every weight to [-limit, limit], in place: Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1, line 7."""
    for weight in network.parameters():
        weight.clamp_(-limit, limit)
