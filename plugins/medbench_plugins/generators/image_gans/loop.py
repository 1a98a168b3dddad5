"""Training of a generator against a discriminator: one loop on one screen. Imported late, since it needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Literal, Protocol

import numpy as np
import torch
from torch import nn

import medbench
from medbench_plugins.generators.adversarial import frozen
from medbench_plugins.generators.diversity import measure_diversity
from medbench_plugins.generators.image_gans.balanced_batches import BalancedBatches
from medbench_plugins.generators.image_gans.checkpoints import evaluation_steps, hold_out_images
from medbench_plugins.generators.image_gans.diff_augment import augment_differentiably
from medbench_plugins.generators.image_gans.losses import Objective, clip_weights
from medbench_plugins.generators.image_gans.networks import GeneratorNetwork, OneAClass, Pool
from medbench_plugins.generators.image_gans.pool import Moments, as_stored, epochs_of_classes
from medbench_plugins.generators.settings import GANSettings, ImageSettings, steps_to_take
from medbench_plugins.training.descent import Descent
from medbench_plugins.training.loss_curves import LossCurves
from medbench_plugins.training.moving_average import MovingAverage, Network
from medbench_plugins.training.numeric_precision import repeatable_kernels
from medbench_plugins.training.steps import Steps, note_how, step_number

CHUNK = 64  # Rows drawn at a time.
FEW_IMAGES = 2000
"""Below so many real images a discriminator is shown changed ones by default.

Zhao et al. 2020 (arXiv 2006.10738) recommend all three changes, which are the ones here, for sets "as small as" their
100 images, and a part of them for large ones; they gain most at 1,000 faces, and little at 30,000. The line is ours.
"""
LONG = 2000
"""Steps from which on it is shown them.

What they mend is a discriminator that knows its few images by heart, which takes time: after 600 steps on 160 images
they had made every score worse (``docs/how-to/tune-equally.md``). The line is ours.
"""


@dataclass(frozen=True, eq=False)
class Game:
    """Everything in which one GAN differs from another.

    Attributes:
        objective: The two losses.
        generator: Builds for ``(shape, n_classes)``.
        discriminator: The same.
        optimiser: Builds for ``(parameters, lr=...)``.
        split: "conditional" is one pair of networks that knows the class; "class" one pair a class; "none" one pair
            for all images, labels ignored.
        critic_steps: Steps of the discriminator for each of the generator.
        clip: The discriminator's weights are clamped to this after each of its steps; 0 leaves them.
        augment: Show the discriminator changed images, see :func:`.augment_differentiably`; "auto" does so below
            FEW_IMAGES real ones in a fit of LONG steps or more.
        initialise: Called on each new network; None keeps torch's own initialisation.
        pool: Of how many of the last of 200 equal parts of a fit the weights are kept, see
            :mod:`medbench_plugins.generators.image_gans.pool`; 1 keeps the last ones.
        checkpoint: "last" keeps the last averaged weights; "kid" the best of ten evaluations of them, see
            :mod:`medbench_plugins.generators.image_gans.checkpoints`.
    """

    objective: Objective
    generator: Callable[[tuple[int, ...], int], GeneratorNetwork]
    discriminator: Callable[[tuple[int, ...], int], nn.Module]
    optimiser: Callable[..., torch.optim.Optimizer]
    split: Literal["conditional", "class", "none"] = "conditional"
    critic_steps: int = 1
    clip: float = 0.0
    augment: bool | Literal["auto"] = False
    initialise: Callable[[nn.Module], None] | None = None
    checkpoint: Literal["last", "kid"] = "last"
    pool: int = 1

    def sampler_network(
        self, shape: tuple[int, ...], n_classes: int, moments: Sequence[int] = ()
    ) -> GeneratorNetwork | OneAClass:
        """Build what a fit leaves behind, with weights yet to be filled in.

        Args:
            shape: ``(channels, *spatial)``.
            n_classes: How many.
            moments: Of each network, how many moments of its training were kept where they are pooled.
        """
        if self.split == "conditional":
            return self.generator(shape, n_classes)
        if moments:
            return OneAClass([Pool([self.generator(shape, 1) for _ in range(n)]) for n in moments])
        return OneAClass([self.generator(shape, 1) for _ in range(n_classes if self.split == "class" else 1)])


class GANRecipe(ImageSettings, GANSettings, Protocol):
    """The fields that every recipe of a GAN of images has."""

    @property
    def latent(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Trained(Generic[Network]):
    """What a fit leaves behind.

    Attributes:
        network: The averaged generator, on the CPU, in evaluation mode.
        part: What it was fitted on: a class's name, or "all".
        names: Names of the losses.
        curves: ``float32 (steps, len(names))``.
        diversity: After each fifth of the steps, the number of steps done and ``float64 (n_classes,)``, see
            :func:`relative_diversity`.
        discriminator: As its last step left it, where it was trained; None where there was none.
        kept: Steps behind the weights that were kept; 0 where that is not said.
        distances: Steps done and kernel distance of each evaluation, where weights were chosen by it.
    """

    network: Network
    part: str
    names: tuple[str, ...]
    curves: np.ndarray
    diversity: list[tuple[int, np.ndarray]]
    discriminator: nn.Module | None = None
    kept: int = 0
    distances: Sequence[tuple[int, float]] = ()


def train_gan(
    recipe: GANRecipe, game: Game, train: medbench.Samples, context: medbench.Context
) -> list[Trained[GeneratorNetwork | Pool]]:
    """Fit the networks of `game` on the labelled rows of `train`: one pair, or one a class in turn.

    The cap on the generator's steps holds for all pairs together, each getting an equal share. So as many images pass
    through as where one conditional pair takes every step, in about the same time. Steps of a critic beyond one for
    each of the generator are not counted and cost extra.

    Args:
        recipe: Its fields are within their ranges.
        game: What `recipe` plays.
        train: ``uint8 (n, channels, *spatial)``, at least one labelled row of each class.
        context: Budget, device, seeds, and where progress is reported.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite; the message names the step.
    """
    parts = [train]
    if game.split == "none":
        parts = [_as_one_class(train.take(train.labels >= 0), "all")]
    elif game.split == "class":
        parts = [_as_one_class(train.take(train.labels == k), name) for k, name in enumerate(train.classes)]
    steps = max(1, steps_to_take(recipe, context.budget) // len(parts))
    game = replace(game, augment=shows_changed_images(game, train, steps))
    epochs = epochs_of_classes(game.pool, [int((part.labels >= 0).sum()) for part in parts])
    turns = [_Turn(k, len(parts), steps, epochs[k]) for k in range(len(parts))]
    return [_train_pair(recipe, game, part, context, turn) for part, turn in zip(parts, turns, strict=True)]


def shows_changed_images(game: Game, train: medbench.Samples, steps: int) -> bool:
    """Say whether a discriminator that learns from the labelled rows of `train` for `steps` is shown changed images."""
    if game.augment != "auto":
        return game.augment
    return steps >= LONG and int((train.labels >= 0).sum()) < FEW_IMAGES


@dataclass(frozen=True)
class _Turn:
    """Which of several pairs of networks is trained, for how many steps each, and how many epochs are pooled."""

    number: int
    of: int
    steps: int
    epochs: int


@repeatable_kernels()
def _train_pair(
    recipe: GANRecipe, game: Game, train: medbench.Samples, context: medbench.Context, turn: _Turn
) -> Trained[GeneratorNetwork | Pool]:
    """Fit one pair of networks."""
    torch.set_num_threads(context.budget.threads)
    device, shape, steps = torch.device(context.device), train.x.shape[1:], turn.steps
    purpose = (turn.number,) if game.split == "class" else ()
    part, name = ("all", recipe.name) if game.split == "conditional" else _named_part(recipe, train)
    checkpoints = hold_out_images(train, context.seed("checkpoint", *purpose)) if game.checkpoint == "kid" else None
    train = train if checkpoints is None else checkpoints.rest
    generator, discriminator = _build_pair(game, train, context, purpose)
    at = step_number(device)
    average = MovingAverage.rising(generator, recipe.ema, steps, at)
    noise = torch.Generator(device).manual_seed(context.seed("noise", *purpose))
    batches = BalancedBatches(train, recipe.batch if len(shape) == 3 else recipe.batch_3d, noise, device)
    descend_g = Descent(game.optimiser(generator.parameters(), lr=recipe.lr_g))
    descend_d = Descent(game.optimiser(discriminator.parameters(), lr=recipe.lr_d))
    losses = LossCurves(game.objective.curves, steps, at, what=name, remedy="lower lr_g and lr_d")
    moments = Moments.of_last_epochs(turn.epochs if game.pool > 1 else 0, steps)
    diversity = []

    def judge(x: torch.Tensor, *labels: torch.Tensor) -> object:
        return discriminator(augment_differentiably(x, noise) if game.augment else x, *labels)

    def learn() -> None:
        for again in reversed(range(game.critic_steps)):
            real, labels = batches.draw()
            z = torch.randn(len(real), recipe.latent, generator=noise, device=device)
            with torch.set_grad_enabled(not again):  # the last turn's images teach the generator too
                fake = generator(z, labels)
            d_loss, d_parts = game.objective.discriminator_loss(judge, real, fake.detach(), labels, noise)
            descend_d(d_loss)
            if game.clip:
                clip_weights(discriminator, game.clip)
        with frozen(discriminator):
            g_loss, g_parts = game.objective.generator_loss(judge, fake, labels)
            descend_g(g_loss)
        average.update()
        losses.add(*d_parts, *g_parts)

    take_step = Steps(tuple, learn, at, optimisers=[descend_g.optimiser, descend_d.optimiser], generators=[noise])
    for step in range(1, steps + 1):
        take_step()
        losses.count()
        context.progress(turn.number * steps + step, turn.of * steps, **losses.report())
        if step % max(1, steps // 5) == 0 or step == steps:
            diversity.append((step, relative_diversity(average.network, train, context.seed("diversity"))))
        if checkpoints is not None and step in evaluation_steps(steps):
            checkpoints.evaluate(step, average.network, partial(draw, average.network))
        moments.keep(step, average.network)
    note_how(context.folder, name, take_step.how)
    if checkpoints is not None:
        checkpoints.restore_best(average.network)
        diversity.append((checkpoints.best, relative_diversity(average.network, train, context.seed("diversity"))))
    network = moments.pool() if moments.steps else as_stored(average.network)
    losses.check_weights(network)
    if moments.steps:
        diversity.append((steps, relative_diversity(network, train, context.seed("diversity"))))
    kept, distances = (steps, []) if checkpoints is None else (checkpoints.best, checkpoints.distances)
    return Trained(network, part, losses.names, losses.values.cpu().numpy(), diversity, discriminator, kept, distances)


def draw(network: GeneratorNetwork | Pool | OneAClass, labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw one image a label.

    Args:
        network: In evaluation mode; the noise is drawn on the CPU wherever it lies.
        labels: ``int64 (n,)``.
        seed: Of the noise.

    Returns:
        ``uint8 (n, channels, *spatial)``, rounded to the grey levels of real images.
    """
    noise = torch.Generator().manual_seed(seed)
    classes = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
    device = next(network.parameters()).device
    blocks = [np.empty((0, network.channels, *network.spatial), dtype=np.uint8)]
    with torch.inference_mode():
        for start in range(0, len(classes), CHUNK):
            own = classes[start : start + CHUNK]
            x = network(torch.randn(len(own), network.latent, generator=noise).to(device), own.to(device))
            blocks.append(as_pixels(x))
    return np.concatenate(blocks)


def as_pixels(x: torch.Tensor) -> np.ndarray:
    """Round ``x`` in [-1, 1] to ``uint8`` of the same shape, on the CPU."""
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def relative_diversity(
    network: GeneratorNetwork | Pool, train: medbench.Samples, seed: int, most: int = 16
) -> np.ndarray:
    """Return :func:`measure_diversity` what `network`, in evaluation mode, draws."""
    return measure_diversity(partial(draw, network), train, seed, most)


def _named_part(recipe: GANRecipe, train: medbench.Samples) -> tuple[str, str]:
    return train.classes[0], f"{recipe.name} of {train.classes[0]}"


def _as_one_class(train: medbench.Samples, name: str) -> medbench.Samples:
    return replace(train, labels=np.zeros_like(train.labels), classes=(name,))


def _build_pair(
    game: Game, train: medbench.Samples, context: medbench.Context, purpose: tuple[int, ...]
) -> tuple[GeneratorNetwork, nn.Module]:
    """Build both networks on the device, in training mode."""
    shape, n_classes = train.x.shape[1:], len(train.classes)
    # Initialisation draws from the global generator alone; it is restored.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed("initialise", *purpose))
        generator, discriminator = game.generator(shape, n_classes), game.discriminator(shape, n_classes)
        if game.initialise is not None:
            game.initialise(generator)
            game.initialise(discriminator)
    layout = torch.channels_last if len(shape) == 3 else torch.channels_last_3d
    for network in (generator, discriminator):
        network.to(torch.device(context.device)).to(memory_format=layout).train()
    return generator, discriminator
