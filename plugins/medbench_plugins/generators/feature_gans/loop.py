"""The loop that trains GANs of features, whatever their networks. Imported late, since it needs torch.

A row is a vector here, whatever its shape; networks that want maps shape it themselves, see :mod:`.map_networks`. The
networks work on features in units of their own deviation. Features that are never negative, as behind a ReLU, are
scaled and not centred, and the generator's last layer is a ReLU too: zeros stay zeros, and many features are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

import medbench
from medbench_plugins.generators.adversarial import frozen
from medbench_plugins.generators.diversity import measure_diversity
from medbench_plugins.generators.image_gans.losses import Objective
from medbench_plugins.generators.settings import GANSettings, steps_to_take
from medbench_plugins.row_vectors import as_vectors, channel_units, feature_units
from medbench_plugins.training import batch_norms
from medbench_plugins.training.descent import Descent
from medbench_plugins.training.loss_curves import LossCurves
from medbench_plugins.training.moving_average import MovingAverage
from medbench_plugins.training.numeric_precision import repeatable_kernels
from medbench_plugins.training.steps import Steps, note_how, step_number


class RowGenerator(Protocol):
    """A module that turns noise and a class into rows.

    One that starts from the training rows also has ``start_from`` and ``draw_start``, see :class:`.StartedGenerator`.

    Attributes:
        latent: Length of the noise vector.
        location: ``float32 (d,)`` taken from the training rows, then
        scale: what they were divided by.
    """

    latent: int
    location: torch.Tensor
    scale: torch.Tensor

    def __call__(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw ``float32 (B, d)`` in the networks' units from ``z (B, latent)`` and ``labels int64 (B,)``."""

    def rows(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Draw ``float32 (B, d)`` in the units of the training rows."""

    def state_dict(self) -> dict[str, Any]:
        """Return the tensors by name, as a torch module does."""


@dataclass(frozen=True, eq=False)
class DenseGame:
    """In what one GAN of features differs from another.

    Attributes:
        objective: Made from the real rows ``float32 (n, d)`` in the networks' units and their ``int64 (n,)`` labels.
        generator: Builds for the shape of a row and the number of classes, see :class:`RowGenerator`.
        discriminator: Builds for the same.
        optimiser: Builds for ``(parameters, lr=...)``.
        critic_steps: Steps of the discriminator for each of the generator.
        by_channel: One unit a channel of rows ``(d, *spatial)``, all its positions alike; else one a number.
        blur: Deviation, in the networks' units, of noise that real and synthetic rows get before the discriminator sees
            them (instance noise, Sonderby et al., ICLR 2017, arXiv 1610.04490).
        pull: Weight, in the generator's loss, of the squared distance between a synthetic row and what the generator's
            start had made of the same noise. Where a discriminator's slope is at most 1, as spectral norm has it, its
            wish moves a row by ``1 / (2 pull)`` units at most. Other than 0 it wants a generator with ``draw_start``.
    """

    objective: Callable[[torch.Tensor, torch.Tensor], Objective]
    generator: Callable[..., RowGenerator]
    discriminator: Callable[[tuple[int, ...], int], nn.Module]
    optimiser: Callable[..., torch.optim.Optimizer]
    critic_steps: int = 1
    by_channel: bool = False
    blur: float = 0.0
    pull: float = 0.0


# What a fit holds from its first step to its last stands here once, so that the loop reads downward.
@repeatable_kernels()
def train_dense_gan(
    recipe: GANSettings, game: DenseGame, train: medbench.Samples, context: medbench.Context
) -> tuple[RowGenerator, nn.Module, LossCurves]:
    """Fit the networks of `game` on the labelled rows of `train`, classes drawn equally often.

    Returns:
        The averaged generator on the CPU in evaluation mode, its batch norms measured, the discriminator as the
        last step left it, and the losses.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite; the message names the step.
    """
    torch.set_num_threads(context.budget.threads)
    device, batch = torch.device(context.device), recipe.batch
    steps = steps_to_take(recipe, context.budget)
    generator, discriminator, x, y = _prepare(game, train.take(train.labels >= 0), context)
    objective = game.objective(x, y)
    weights = 1 / torch.from_numpy(train.class_counts).to(device)[y].float()
    at = step_number(device)
    average = MovingAverage.of_last_tenth(generator, steps)
    noise = torch.Generator(device).manual_seed(context.seed("noise"))
    descend_g = Descent(game.optimiser(generator.parameters(), lr=recipe.lr_g))
    descend_d = Descent(game.optimiser(discriminator.parameters(), lr=recipe.lr_d))
    losses = LossCurves(objective.curves, steps, at, what=recipe.name, remedy="lower lr_g and lr_d")

    def learn() -> None:
        for again in reversed(range(game.critic_steps)):
            rows = torch.multinomial(weights, batch, replacement=True, generator=noise)
            labels = y[rows]
            z = torch.randn(batch, generator.latent, generator=noise, device=device)
            with torch.set_grad_enabled(not again):  # the last turn's rows teach the generator too
                fake = generator(z, labels)
            real, blurred_fake = (blur(part, game.blur, noise) for part in (x[rows], fake))
            d_loss, d_parts = objective.discriminator_loss(discriminator, real, blurred_fake.detach(), labels, noise)
            descend_d(d_loss)
        with frozen(discriminator):
            g_loss, g_parts = objective.generator_loss(discriminator, blurred_fake, labels)
            if game.pull:
                moved = fake - generator.draw_start(z, labels)
                g_loss = g_loss + game.pull * moved.square().sum(1).mean()
            descend_g(g_loss)
        average.update()
        losses.add(*d_parts, *g_parts)

    take_step = Steps(tuple, learn, at, optimisers=[descend_g.optimiser, descend_d.optimiser], generators=[noise])
    for step in range(steps):
        take_step()
        losses.count()
        context.progress(step + 1, steps, **losses.report())

    note_how(context.folder, recipe.name, take_step.how)

    def like_training() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        again = torch.Generator(device).manual_seed(context.seed("norms"))
        for _ in range(min(batch_norms.BATCHES, steps)):
            rows = torch.multinomial(weights, batch, replacement=True, generator=again)
            yield torch.randn(batch, generator.latent, generator=again, device=device), y[rows]

    average.settle(like_training(), context)
    network = average.network.cpu()
    losses.check_weights(network)
    return network, discriminator, losses


def _prepare(
    game: DenseGame, train: medbench.Samples, context: medbench.Context
) -> tuple[Any, nn.Module, torch.Tensor, torch.Tensor]:
    """Build both networks and return them, the rows ``float32 (n, d)`` in their units, and the labels, on the device.

    The generator is both a torch module and a :class:`RowGenerator`.
    """
    device, values = torch.device(context.device), as_vectors(train.x)
    with torch.random.fork_rng(devices=[]):  # initialisation draws from the global generator alone
        torch.manual_seed(context.seed("initialise"))
        generator: Any = build_generator(game, train)
        discriminator = game.discriminator(train.x.shape[1:], len(train.classes)).to(device)
    mean, deviation = feature_units(values)
    if game.by_channel:
        positions = values.shape[1] // train.x.shape[1]
        mean, deviation = (np.repeat(of_channel, positions) for of_channel in channel_units(train.x))
    location = np.zeros_like(mean) if is_positive(train) else mean
    units = (values - location) / deviation
    generator.location.copy_(torch.from_numpy(location))
    generator.scale.copy_(torch.from_numpy(deviation))
    if start_from := getattr(generator, "start_from", None):
        start_from(units, train.labels)
    return (
        generator.to(device),
        discriminator,
        torch.from_numpy(units).float().to(device),
        torch.from_numpy(train.labels).to(device),
    )


def blur(x: torch.Tensor, deviation: float, noise: torch.Generator) -> torch.Tensor:
    """Return ``x (B, d)`` with Gaussian noise of that deviation; itself where it is 0."""
    return x + deviation * torch.randn(x.shape, generator=noise, device=x.device) if deviation else x


def build_generator(game: DenseGame, train: medbench.Samples) -> RowGenerator:
    """Build the generator for rows like those of `train`; nothing of it is fitted."""
    return game.generator(train.x.shape[1:], len(train.classes), positive=is_positive(train))


def is_positive(train: medbench.Samples) -> bool:
    """Return whether no labelled row has a number below 0."""
    return bool((train.x[train.labels >= 0] >= 0).all())


def draw(network: RowGenerator, labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw one row a label on the CPU: ``float32 (n, d)``."""
    noise = torch.Generator().manual_seed(seed)
    classes = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
    with torch.inference_mode():
        return network.rows(torch.randn(len(classes), network.latent, generator=noise), classes).numpy()


def relative_diversity(network: RowGenerator, train: medbench.Samples, seed: int, most: int = 64) -> np.ndarray:
    """Return :func:`.measure_diversity` what `network`, on the CPU, draws of each class with the same noise."""

    def sample(labels: np.ndarray, seed: int) -> np.ndarray:
        return np.concatenate([draw(network, labels[labels == label], seed) for label in np.unique(labels)])

    return measure_diversity(sample, train, seed, most)
