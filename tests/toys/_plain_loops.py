"""The training loops as one would write them first: Python draws rows, sets the rate, and counts the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import medbench
from medbench_plugins.generators.adversarial import frozen
from medbench_plugins.generators.image_gans.diff_augment import augment_differentiably
from medbench_plugins.generators.image_gans.losses import clip_weights
from medbench_plugins.training.batches import as_input, draw_rows, memory_format
from medbench_plugins.training.numeric_precision import schedule

Weights = dict[str, torch.Tensor]


class Average:
    """A moving average of a state, by a loop over its tensors."""

    def __init__(self, network: nn.Module, names: set[str]) -> None:
        self.network, self.names = network, names
        self.values = {name: value.clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, decay: float) -> None:
        for name, value in self.network.state_dict().items():
            if name in self.names:
                self.values[name].lerp_(value, 1 - decay)


def floating(network: nn.Module) -> set[str]:
    return {name for name, value in network.state_dict().items() if value.is_floating_point()}


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def plain_classifier(
    build: Callable[[], nn.Module], training_set: medbench.TrainingSet, context: medbench.Context, lr: float
) -> Weights:
    """Return the averaged weights of a classifier."""
    samples, steps, batch = training_set.samples, context.budget.steps, context.budget.batch
    rows = draw_rows(samples.labels, training_set.sampling, steps=steps, batch=batch, seed=context.seed("batch"))
    draws = torch.Generator().manual_seed(context.seed("transform"))
    loss_of = training_set.loss or F.cross_entropy
    classes = torch.eye(len(samples.classes))
    torch.manual_seed(context.seed("init"))
    network = build().to(memory_format=memory_format(samples.x)).train()  # type: ignore[call-overload]
    torch.manual_seed(context.seed("dropout"))
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=lr, fused=True)
    weights = {name for name, _ in network.named_parameters()}
    average = Average(network, weights)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = lr * schedule(step, steps)
        x = as_input(torch.from_numpy(samples.x[rows[step]]))
        y = classes[torch.from_numpy(samples.labels[rows[step]])]
        if training_set.transform is not None:
            with torch.no_grad():
                x, y = training_set.transform(x, y, draws)
        descend(optimiser, loss_of(network(x).float(), y))
        average.update(max(0.0, 1 - 10 / steps))
    return {name: value for name, value in average.values.items() if name in weights}


def balanced(train: medbench.Samples, batch: int, noise: torch.Generator) -> Iterator[Any]:
    order = np.flatnonzero(train.labels >= 0)
    order = order[np.argsort(train.labels[order], kind="stable")]
    counts = torch.from_numpy(train.class_counts)
    starts = counts.cumsum(0) - counts
    step = 0
    while True:
        labels = (torch.arange(batch) + step * batch) % len(counts)
        places = (torch.rand(batch, generator=noise) * counts[labels]).long()
        places = torch.minimum(places, counts[labels] - 1)
        chosen = order[(starts[labels] + places).numpy()]
        yield torch.from_numpy(train.x[chosen]).float() / 127.5 - 1, labels
        step += 1


def plain_gan(recipe: Any, train: medbench.Samples, context: medbench.Context) -> Weights:
    """Return the averaged weights of the generator of one conditional pair of networks."""
    game, shape, steps = recipe.game(), train.x.shape[1:], context.budget.generator_steps
    torch.manual_seed(context.seed("initialise"))
    generator, discriminator = (build(shape, len(train.classes)) for build in (game.generator, game.discriminator))
    for network in (generator, discriminator):
        if game.initialise is not None:
            game.initialise(network)
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last if len(shape) == 3 else torch.channels_last_3d).train()
    noise = torch.Generator().manual_seed(context.seed("noise"))
    batches = balanced(train, recipe.batch if len(shape) == 3 else recipe.batch_3d, noise)
    to_g = game.optimiser(generator.parameters(), lr=recipe.lr_g)
    to_d = game.optimiser(discriminator.parameters(), lr=recipe.lr_d)
    average = Average(generator, floating(generator))

    def judge(x: torch.Tensor, *labels: torch.Tensor) -> object:
        return discriminator(augment_differentiably(x, noise) if game.augment else x, *labels)

    for step in range(1, steps + 1):
        for again in reversed(range(game.critic_steps)):
            real, labels = next(batches)
            z = torch.randn(len(real), recipe.latent, generator=noise)
            with torch.set_grad_enabled(not again):
                fake = generator(z, labels)
            descend(to_d, game.objective.discriminator_loss(judge, real, fake.detach(), labels, noise)[0])
            if game.clip:
                clip_weights(discriminator, game.clip)
        with frozen(discriminator):
            descend(to_g, game.objective.generator_loss(judge, fake, labels)[0])
        average.update(min(recipe.ema, (1 + step) / (10 + step)))
    return {name: average.values[name] for name in floating(generator)}


def plain_diffusion(recipe: Any, train: medbench.Samples, context: medbench.Context) -> Weights:
    """Return the averaged weights of a denoiser of images whose sides need no padding."""
    from monai.networks.schedulers.ddpm import DDPMScheduler

    from medbench_plugins.generators.diffusion_loop import SCHEDULE, Denoiser

    shape, n_classes, steps = train.x.shape[1:], len(train.classes), context.budget.generator_steps
    torch.manual_seed(context.seed("initialise"))
    network = Denoiser(shape, n_classes, width=recipe.width, levels=recipe.levels).train()
    average = Average(network, floating(network))
    noise = torch.Generator().manual_seed(context.seed("noise"))
    batches = balanced(train, recipe.batch, noise)
    scheduler = DDPMScheduler(recipe.timesteps, **SCHEDULE)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.lr, fused=True)
    for step in range(1, steps + 1):
        x, labels = next(batches)
        t = torch.randint(recipe.timesteps, (recipe.batch,), generator=noise)
        e = torch.randn(x.shape, generator=noise)
        labels = labels.masked_fill(torch.rand(recipe.batch, generator=noise) < recipe.drop, n_classes)
        velocity = network(scheduler.add_noise(x, e, t), t, labels)
        descend(optimiser, F.mse_loss(velocity, scheduler.get_velocity(x, e, t)))
        average.update(min(recipe.ema, (1 + step) / (10 + step)))
    return average.values


def plain_unet(
    build: Callable[[], nn.Module], train: medbench.Samples, context: medbench.Context, lr: float
) -> Weights:
    """Return the averaged weights of a U-Net that is trained without flips."""
    from monai.losses.dice import DiceCELoss

    from medbench_plugins.networks.unet import predict_logits, to_input

    assert train.masks is not None
    steps, batch, device = context.budget.steps, context.budget.batch, torch.device("cpu")
    rows = draw_rows(np.zeros(len(train), dtype=np.int64), None, steps=steps, batch=batch, seed=context.seed("batch"))
    loss_of = DiceCELoss(sigmoid=True, batch=True)
    torch.manual_seed(context.seed("init"))
    network = build().train()
    optimiser = torch.optim.Adam(network.parameters(), lr=lr, fused=True)
    weights = {name for name, _ in network.named_parameters()}
    average = Average(network, weights)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = lr * schedule(step, steps)
        x = to_input(train.x[rows[step]], device)
        y = torch.from_numpy(train.masks[rows[step]]).gt(0).unsqueeze(1).float()
        descend(optimiser, loss_of(predict_logits(network, x).float(), y))
        average.update(max(0.0, 1 - 10 / steps))
    return {name: average.values[name] for name in weights}


def plain_feature_gan(recipe: Any, game: Any, train: medbench.Samples, context: medbench.Context) -> Weights:
    """Return the averaged parameters of a generator of features."""
    from medbench_plugins.generators.feature_gans.loop import _prepare, blur

    steps, batch = context.budget.generator_steps, recipe.batch
    generator, discriminator, x, y = _prepare(game, train, context)
    objective = game.objective(x, y)
    weights = 1 / torch.from_numpy(train.class_counts)[y].float()
    names = {name for name, _ in generator.named_parameters()}
    average = Average(generator, names)
    noise = torch.Generator().manual_seed(context.seed("noise"))
    to_g = game.optimiser(generator.parameters(), lr=recipe.lr_g)
    to_d = game.optimiser(discriminator.parameters(), lr=recipe.lr_d)
    for _ in range(steps):
        for again in reversed(range(game.critic_steps)):
            rows = torch.multinomial(weights, batch, replacement=True, generator=noise)
            labels = y[rows]
            z = torch.randn(batch, generator.latent, generator=noise)
            with torch.set_grad_enabled(not again):
                fake = generator(z, labels)
            real, blurred = (blur(part, game.blur, noise) for part in (x[rows], fake))
            descend(to_d, objective.discriminator_loss(discriminator, real, blurred.detach(), labels, noise)[0])
        with frozen(discriminator):
            loss = objective.generator_loss(discriminator, blurred, labels)[0]
            if game.pull:
                loss = loss + game.pull * (fake - generator.draw_start(z, labels)).square().sum(1).mean()
            descend(to_g, loss)
        average.update(max(0.0, 1 - 10 / steps))
    return {name: average.values[name] for name in names}
