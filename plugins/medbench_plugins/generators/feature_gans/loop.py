"""GANs of features: dense networks, and the loop that trains any. Imported late, since it needs torch.

A row is a vector here, whatever its shape; networks that want maps shape it themselves, see
:mod:`.map_networks`. The networks work on features in units of their own deviation. Features that are never
negative, as behind a ReLU, are scaled and not centred, and the generator's last layer is a ReLU too: zeros stay zeros,
and many features are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

import medbench
from medbench_plugins.generators.image_gans.loop import mean_distance
from medbench_plugins.generators.image_gans.losses import Judge, Objective, Parts, Wasserstein
from medbench_plugins.row_vectors import flat, spread, spread_of_channels
from medbench_plugins.training import batch_norms
from medbench_plugins.training.average import MovingAverage

if TYPE_CHECKING:
    from medbench_plugins.generators.feature_gans.gaussian_start import StartedGenerator
    from medbench_plugins.generators.feature_gans.map_networks import MapGenerator

    RowGenerator: TypeAlias = "DenseGenerator | MapGenerator | StartedGenerator"


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
        return self.layers(with_class(z, labels, self.n_classes))

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
        _, source, classes = self.judged(x)
        return source, classes

    def judged(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return hidden units ``(B, hidden)``, source logits ``(B,)`` and class logits ``(B, n_classes)``."""
        features = F.leaky_relu(self.body(x), 0.2)
        return features, self.source(features)[:, 0], self.classes(features)


class DenseCritic(nn.Module):
    """Features and their class to one number, larger for what looks more real."""

    def __init__(self, d: int, n_classes: int, *, hidden: int) -> None:
        """Build for `d` features."""
        super().__init__()
        self.n_classes = n_classes
        self.layers = nn.Sequential(nn.Linear(d + n_classes, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return ``(B,)`` for ``x (B, d)`` and ``labels int64 (B,)``."""
        return self.layers(with_class(x, labels, self.n_classes))[:, 0]


@dataclass(frozen=True, eq=False)
class ClassifiedWasserstein:
    """Wasserstein with a gradient penalty, and what a frozen classifier says of made features.

    Attributes:
        wasserstein: The critic's half, and the first part of the generator's.
        classify: ``(B, d) -> (B, n_classes)`` logits; its weights never change.
        class_weight: The paper's beta.

    Source:
        Xian et al., CVPR 2018, arXiv 1712.00981, f-CLSWGAN: minus the mean of log P(y | x) over made features, weighted
        and added to the generator's loss.
    """

    wasserstein: Wasserstein
    classify: Callable[[torch.Tensor], torch.Tensor]
    class_weight: float

    curves: ClassVar[tuple[str, ...]] = (*Wasserstein.curves, "g_class")

    def of_discriminator(
        self, judge: Judge, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, noise: torch.Generator
    ) -> tuple[torch.Tensor, Parts]:
        """The critic's loss knows no classifier."""
        return self.wasserstein.of_discriminator(judge, real, fake, labels, noise)

    def of_generator(self, judge: Judge, fake: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Parts]:
        """Minus the score, and the weighted cross-entropy."""
        score, parts = self.wasserstein.of_generator(judge, fake, labels)
        of_class = F.cross_entropy(self.classify(fake), labels)
        return score + self.class_weight * of_class, (*parts, of_class)


class Settings(Protocol):
    """The fields that the loop reads of a recipe."""

    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def lr_g(self) -> float: ...
    @property
    def lr_d(self) -> float: ...


@dataclass(frozen=True, eq=False)
class DenseGame:
    """In what one GAN of features differs from another.

    Attributes:
        objective: Made from the real rows ``float32 (n, d)`` in the networks' units and their ``int64 (n,)`` labels.
        generator: Builds for the shape of a row and the number of classes, see :class:`DenseGenerator`.
        discriminator: Builds for the same.
        optimiser: Builds for ``(parameters, lr=...)``.
        critic_steps: Steps of the discriminator for each of the generator.
        by_channel: One unit a channel of rows ``(d, *spatial)``, all its positions alike; else one a number.
        blur: Deviation, in the networks' units, of noise that real and made rows get before the discriminator sees
            them (instance noise, Sonderby et al., ICLR 2017, arXiv 1610.04490).
        pull: Weight, in the generator's loss, of the squared distance between a made row and what the generator's start
            had made of the same noise. Where a discriminator's slope is at most 1, as spectral norm has it, its wish
            moves a row by ``1 / (2 pull)`` units at most. Other than 0 it wants a generator with ``begun``.
    """

    objective: Callable[[torch.Tensor, torch.Tensor], Objective]
    generator: Callable[..., RowGenerator]
    discriminator: Callable[[tuple[int, ...], int], nn.Module]
    optimiser: Callable[..., torch.optim.Optimizer]
    critic_steps: int = 1
    by_channel: bool = False
    blur: float = 0.0
    pull: float = 0.0


# No search among kernels, none whose sums change from run to run, no TensorFloat-32.
@torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
def train_dense_gan(
    recipe: Settings, game: DenseGame, train: medbench.Samples, context: medbench.Context
) -> tuple[RowGenerator, nn.Module, tuple[str, ...], np.ndarray]:
    """Fit the networks of `game` on the labelled rows of `train`, classes drawn equally often.

    Returns:
        The averaged generator on the CPU in evaluation mode, its batch norms measured, the discriminator as the
        last step left it, the names of the losses, and ``float32 (steps, losses)``.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite; the message names the step.
    """
    torch.set_num_threads(context.budget.threads)
    device = torch.device(context.device)
    train = train.take(train.labels >= 0)
    values, n_classes = flat(train.x), len(train.classes)
    steps = min(recipe.steps, context.budget.generator_steps)
    with torch.random.fork_rng(devices=[]):  # initialisation knows only the global generator
        torch.manual_seed(context.seed("initialise"))
        generator = build_generator(game, train)
        discriminator = game.discriminator(train.x.shape[1:], n_classes).to(device)
    mean, deviation = spread(values)
    if game.by_channel:
        positions = values.shape[1] // train.x.shape[1]
        mean, deviation = (np.repeat(of_channel, positions) for of_channel in spread_of_channels(train.x))
    location = np.zeros_like(mean) if is_positive(train) else mean
    units = (values - location) / deviation
    generator.location.copy_(torch.from_numpy(location))
    generator.scale.copy_(torch.from_numpy(deviation))
    if begin := getattr(generator, "begin", None):
        begin(units, train.labels)
    generator.to(device)
    x = torch.from_numpy(units).float().to(device)
    y = torch.from_numpy(train.labels).to(device)
    objective = game.objective(x, y)
    weights = 1 / torch.from_numpy(train.class_counts).to(device)[y].float()
    average = MovingAverage.of_last_tenth(generator, steps)
    noise = torch.Generator(device).manual_seed(context.seed("noise"))
    to_g = game.optimiser(generator.parameters(), lr=recipe.lr_g)
    to_d = game.optimiser(discriminator.parameters(), lr=recipe.lr_d)
    curves = torch.zeros(steps, len(objective.curves), device=device)

    for step in range(steps):
        for again in reversed(range(game.critic_steps)):
            rows = torch.multinomial(weights, recipe.batch, replacement=True, generator=noise)
            labels = y[rows]
            z = torch.randn(recipe.batch, generator.latent, generator=noise, device=device)
            with torch.set_grad_enabled(not again):  # the last turn's rows teach the generator too
                fake = generator(z, labels)
            real, made = (blurred(part, game.blur, noise) for part in (x[rows], fake))
            d_loss, d_parts = objective.of_discriminator(discriminator, real, made.detach(), labels, noise)
            to_d.zero_grad()
            d_loss.backward()
            to_d.step()

        discriminator.requires_grad_(False)  # spares its gradients, which this half throws away
        g_loss, g_parts = objective.of_generator(discriminator, made, labels)
        if game.pull:
            moved = fake - cast("StartedGenerator", generator).begun(z, labels)
            g_loss = g_loss + game.pull * moved.square().sum(1).mean()
        to_g.zero_grad()
        g_loss.backward()
        to_g.step()
        discriminator.requires_grad_(True)
        average.update()

        curves[step] = torch.stack([*d_parts, *g_parts]).detach()
        news = {}
        if (step + 1) % 50 == 0 or step + 1 == steps:  # reading a loss waits for the device
            finite = curves[: step + 1].isfinite().all(1)
            if not bool(finite.all()):
                first = int(finite.int().argmin()) + 1
                raise _diverged(recipe.name, f"the loss is not finite at step {first} of {steps}")
            news = dict(zip(objective.curves, curves[max(0, step - 49) : step + 1].mean(0).tolist(), strict=True))
        context.progress(step + 1, steps, **news)

    def like_training() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        again = torch.Generator(device).manual_seed(context.seed("norms"))
        for _ in range(min(batch_norms.BATCHES, steps)):
            rows = torch.multinomial(weights, recipe.batch, replacement=True, generator=again)
            yield torch.randn(recipe.batch, generator.latent, generator=again, device=device), y[rows]

    average.settle(like_training(), context)
    network = average.network.cpu()
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        raise _diverged(recipe.name, f"a weight is not finite after {steps} steps")
    return network, discriminator, objective.curves, curves.cpu().numpy()


def blurred(x: torch.Tensor, deviation: float, noise: torch.Generator) -> torch.Tensor:
    """Return ``x (B, d)`` with Gaussian noise of that deviation; itself where it is 0."""
    return x + deviation * torch.randn(x.shape, generator=noise, device=x.device) if deviation else x


def build_generator(game: DenseGame, train: medbench.Samples) -> RowGenerator:
    """Build the generator for rows like those of `train`; nothing of it is fitted."""
    return game.generator(train.x.shape[1:], len(train.classes), positive=is_positive(train))


def is_positive(train: medbench.Samples) -> bool:
    """Say whether no labelled row has a number below 0."""
    return bool((train.x[train.labels >= 0] >= 0).all())


def with_class(x: torch.Tensor, labels: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return ``x (B, d)`` and one column a class behind it: ``(B, d + n_classes)``."""
    return torch.cat([x, F.one_hot(labels, n_classes).to(x.dtype)], dim=1)


def linear_softmax(x: torch.Tensor, labels: torch.Tensor, n_classes: int) -> nn.Linear:
    """Fit a softmax regression that weighs all classes alike, and freeze it.

    Args:
        x: ``float32 (n, d)``.
        labels: ``int64 (n,)``; every class has a row.
        n_classes: At least 2.

    Returns:
        ``(B, d) -> (B, n_classes)`` logits, on the device of `x`: scikit-learn's, with its penalty of C = 1.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(class_weight="balanced", max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a classifier not quite at its optimum teaches as well
        fitted.fit(x.cpu().double().numpy(), labels.cpu().numpy())
    weight, bias = fitted.coef_, fitted.intercept_
    if n_classes == 2:  # one logit there, of the second class against the first
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    with torch.random.fork_rng(devices=[]):  # its first weights are replaced
        layer = nn.Linear(x.shape[1], n_classes).requires_grad_(False)
    layer.weight.copy_(torch.from_numpy(weight))
    layer.bias.copy_(torch.from_numpy(bias))
    return layer.to(x.device)


def draw(network: RowGenerator, labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw one row a label on the CPU: ``float32 (n, d)``."""
    noise = torch.Generator().manual_seed(seed)
    wanted = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
    with torch.inference_mode():
        return network.rows(torch.randn(len(wanted), network.latent, generator=noise), wanted).numpy()


def relative_diversity(network: RowGenerator, train: medbench.Samples, seed: int, most: int = 64) -> np.ndarray:
    """Return how far made rows of a class lie apart, as a fraction of how far its real ones do.

    Args:
        network: On the CPU.
        train: Real rows.
        seed: Of the draws.
        most: Largest number of rows a class that are compared.

    Returns:
        ``float64 (n_classes,)``; near 0 is a collapse, NaN a class with fewer than two different rows.
    """
    rng = np.random.default_rng(seed)
    ratios = np.full(len(train.classes), np.nan)
    for label in range(len(train.classes)):
        rows = np.sort(rng.permutation(np.flatnonzero(train.labels == label))[:most])
        apart = mean_distance(train.x[rows])
        if apart > 0:
            ratios[label] = mean_distance(draw(network, np.full(most, label), seed)) / apart
    return ratios


def _diverged(name: str, what: str) -> medbench.Diverged:
    return medbench.Diverged(f"{name}: {what}; lower lr_g and lr_d.")
