"""Training of an AC-GAN: one loop on one screen. Imported late, since it needs torch."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

import medbench
from medbench_plugins.gan_networks import DiscriminatorNetwork, GeneratorNetwork, MovingAverage

if TYPE_CHECKING:
    from medbench_plugins.generators.acgan import ACGAN

CURVES = ("d_source", "d_class", "g_source", "g_class")
CHUNK = 64  # Rows drawn at a time.


@dataclass(frozen=True, eq=False)
class Trained:
    """What a fit leaves behind.

    Attributes:
        network: The averaged generator, on the CPU, in evaluation mode.
        curves: ``float32 (steps, 4)``, columns as in ``CURVES``.
        diversity: After each fifth of the steps, the number of steps done and ``float64 (n_classes,)``, see
            :func:`relative_diversity`.
    """

    network: GeneratorNetwork
    curves: np.ndarray
    diversity: list[tuple[int, np.ndarray]]


# No search among kernels, none whose sums change from run to run, no TensorFloat-32.
@torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
def train_acgan(recipe: ACGAN, train: medbench.Samples, context: medbench.Context) -> Trained:
    """Fit generator and discriminator on the labelled rows of `train`.

    Args:
        recipe: The configuration; all fields are within their ranges.
        train: ``uint8 (n, channels, *spatial)``, at least one labelled row of each class.
        context: Budget, device, seeds, and where progress is reported.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite; the message names the step.

    Source:
        Odena, Olah, Shlens, ICML 2017, arXiv 1610.09585; the variants as ``ACGAN`` describes them.
    """
    torch.set_num_threads(context.budget.threads)
    device = torch.device(context.device)
    shape, n_classes = train.x.shape[1:], len(train.classes)
    steps = min(recipe.steps, context.budget.generator_steps)
    batch = recipe.batch if len(shape) == 3 else recipe.batch_3d
    generator, discriminator = _networks(recipe, shape, n_classes, context.seed("initialise"))
    layout = torch.channels_last if len(shape) == 3 else torch.channels_last_3d
    generator.to(device).to(memory_format=layout).train()
    discriminator.to(device).to(memory_format=layout).train()
    average = MovingAverage(generator, recipe.ema)
    noise = torch.Generator(device).manual_seed(context.seed("noise"))
    batches = _balanced_batches(train, batch, noise, device)
    betas = float(recipe.beta1), float(recipe.beta2)  # Adam refuses an integer 0
    to_g = torch.optim.Adam(generator.parameters(), lr=recipe.lr_g, betas=betas, fused=True)
    to_d = torch.optim.Adam(discriminator.parameters(), lr=recipe.lr_d, betas=betas, fused=True)
    curves = torch.zeros(steps, len(CURVES), device=device)
    diversity = []

    def look(x: torch.Tensor) -> torch.Tensor:
        return shown(x, noise) if recipe.augment else x

    for step in range(steps):
        real, labels = next(batches)
        z = torch.randn(len(real), recipe.latent, generator=noise, device=device)
        fake = generator(z, labels)

        both = torch.cat([real, fake.detach()])
        source, classes = discriminator(look(both))  # (2 B,), (2 B, n_classes)
        d_source = source_loss(source[: len(real)], source[len(real) :], hinge=recipe.variant == "modified")
        d_class = class_loss(classes[: len(real)], classes[len(real) :], labels, variant=recipe.variant)
        to_d.zero_grad()
        (d_source + recipe.class_weight * d_class).backward()
        to_d.step()

        discriminator.requires_grad_(False)  # spares its gradients, which this half throws away
        source, classes = discriminator(look(fake))
        g_source = -source.mean() if recipe.variant == "modified" else F.softplus(-source).mean()
        g_class = F.cross_entropy(classes, labels)
        to_g.zero_grad()
        (g_source + recipe.class_weight * g_class).backward()
        to_g.step()
        discriminator.requires_grad_(True)
        average.update()

        curves[step] = torch.stack([d_source, d_class, g_source, g_class]).detach()
        if (step + 1) % 50 == 0 or step + 1 == steps:  # reading a loss waits for the device
            _check_finite(curves[: step + 1], recipe.name, steps)
            values = dict(zip(CURVES, curves[max(0, step - 49) : step + 1].mean(0).tolist(), strict=True))
            context.progress(step + 1, steps, **values)
        else:
            context.progress(step + 1, steps)
        if (step + 1) % max(1, steps // 5) == 0 or step + 1 == steps:
            diversity.append((step + 1, relative_diversity(average.network, train, context.seed("diversity"))))
    # One memory layout, or a restored generator's samples could differ in the last bit.
    network = average.network.cpu().to(memory_format=torch.contiguous_format)
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        raise medbench.Diverged(f"{recipe.name}: a weight is not finite after {steps} steps; lower lr_g and lr_d.")
    return Trained(network, curves.cpu().numpy(), diversity)


def source_loss(real: torch.Tensor, fake: torch.Tensor, *, hinge: bool) -> torch.Tensor:
    """Return the discriminator's loss on source logits ``(B,)``: hinge (Lim and Ye 2017), or cross-entropy."""
    if hinge:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def class_loss(real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor, *, variant: str) -> torch.Tensor:
    """Return the discriminator's loss on class logits ``(B, n_classes)``, of made images in "odena" only."""
    loss = F.cross_entropy(real, labels)
    return loss + F.cross_entropy(fake, labels) if variant == "odena" else loss


def draw(network: GeneratorNetwork, labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw one image a label.

    Args:
        network: In evaluation mode; the noise is drawn on the CPU wherever it lies.
        labels: ``int64 (n,)``.
        seed: Of the noise.

    Returns:
        ``uint8 (n, channels, *spatial)``, rounded to the grey levels of real images.
    """
    noise = torch.Generator().manual_seed(seed)
    wanted = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
    device = network.project.weight.device
    made = [np.empty((0, network.channels, *network.spatial), dtype=np.uint8)]
    with torch.inference_mode():
        for start in range(0, len(wanted), CHUNK):
            own = wanted[start : start + CHUNK]
            x = network(torch.randn(len(own), network.latent, generator=noise).to(device), own.to(device))
            made.append(((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy())
    return np.concatenate(made)


def relative_diversity(network: GeneratorNetwork, train: medbench.Samples, seed: int, most: int = 16) -> np.ndarray:
    """Return how far samples of a class lie apart, as a fraction of how far its real images do.

    Recognition alone praises a generator that draws one picture a class; this number does not.

    Args:
        network: In evaluation mode.
        train: Real images.
        seed: Of the samples and of the choice of real images.
        most: Largest number of images a class that are compared.

    Returns:
        ``float64 (n_classes,)`` ratio of mean root-mean-square pixel distances; NaN with fewer than two real images.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(train.classes)), most)
    made = draw(network, labels, seed)
    ratios = np.full(len(train.classes), np.nan)
    for label in range(len(train.classes)):
        rows = np.flatnonzero(train.labels == label)
        rows = np.sort(rng.permutation(rows)[:most])
        apart = mean_distance(train.x[rows])
        if apart > 0:
            ratios[label] = mean_distance(made[labels == label]) / apart
    return ratios


def mean_distance(x: np.ndarray) -> float:
    """Return the mean root-mean-square difference between two rows of ``x (n, ...)``; 0 where n < 2."""
    if len(x) < 2:
        return 0.0
    flat = x.reshape(len(x), -1).astype(np.float64)
    squares = (flat**2).sum(1)
    apart = squares[:, None] + squares - 2 * flat @ flat.T
    above = np.triu_indices(len(x), 1)
    return float(np.sqrt(np.maximum(apart[above], 0) / flat.shape[1]).mean())


def write_curves(path: Path, trained: Trained) -> None:
    """Write the losses of every step as CSV, and the mean diversity where it was measured."""
    measured = dict(trained.diversity)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["step", *CURVES, "diversity"])
        for step, losses in enumerate(trained.curves.tolist(), start=1):
            known = measured[step][np.isfinite(measured[step])] if step in measured else np.empty(0)
            rows.writerow([step, *(f"{loss:.5f}" for loss in losses), f"{known.mean():.4f}" if len(known) else ""])


def build_generator(recipe: ACGAN, shape: tuple[int, ...], n_classes: int) -> GeneratorNetwork:
    """Build the generator of `recipe` for rows of `shape` ``(channels, *spatial)``."""
    return GeneratorNetwork(
        shape, n_classes, width=recipe.width, latent=recipe.latent, conditional_norm=recipe.variant == "modified"
    )


def _networks(
    recipe: ACGAN, shape: tuple[int, ...], n_classes: int, seed: int
) -> tuple[GeneratorNetwork, DiscriminatorNetwork]:
    # Initialisation knows only the global generator; it is put back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = build_generator(recipe, shape, n_classes)
        discriminator = DiscriminatorNetwork(shape, n_classes, width=recipe.width)
    return generator, discriminator


def _balanced_batches(
    train: medbench.Samples, batch: int, noise: torch.Generator, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield ``float32 (batch, channels, *spatial)`` in [-1, 1] and ``int64 (batch,)``, classes taking turns."""
    rows = np.flatnonzero(train.labels >= 0)
    rows = rows[np.argsort(train.labels[rows], kind="stable")]
    pixels = torch.from_numpy(np.array(train.x[rows])).to(device)  # stays there as uint8
    counts = torch.from_numpy(train.class_counts).to(device)
    starts = counts.cumsum(0) - counts
    n_classes = len(counts)
    turns = torch.arange(batch, device=device)
    step = 0
    while True:
        labels = (turns + step * batch) % n_classes
        places = (torch.rand(batch, generator=noise, device=device) * counts[labels]).long()
        places = torch.minimum(places, counts[labels] - 1)  # a product just below 1 may round up
        yield pixels[starts[labels] + places].float() / 127.5 - 1, labels
        step += 1


def shown(x: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
    """Change brightness and contrast, move and cut out, differentiably and without non-deterministic kernels.

    Args:
        x: ``float32 (B, channels, *spatial)`` in [-1, 1].
        noise: On the device of `x`.

    Source:
        Zhao et al. 2020, DiffAugment, arXiv 2006.10738, policy "color,translation,cutout", without saturation,
        which does nothing to a grey image.
    """
    B, d = len(x), x.ndim - 2
    drawn = torch.rand(B, 2 + 2 * d, generator=noise, device=x.device)
    over_pixels = (B, *[1] * (d + 1))
    x = x + (drawn[:, 0].view(over_pixels) - 0.5)
    mean = x.flatten(1).mean(1).view(over_pixels)
    x = (x - mean) * (drawn[:, 1].view(over_pixels) + 0.5) + mean
    outside = torch.ones(over_pixels, dtype=torch.bool, device=x.device)
    for axis in range(d):
        side = x.shape[2 + axis]
        place = torch.arange(side, device=x.device)
        # A move along an axis as a product with a shifted identity: its backward pass is a product too.
        move = ((2 * drawn[:, 2 + axis] - 1) * (side / 8)).round().long()
        shifted = (place[:, None] + move[:, None, None] == place).to(x.dtype)  # (B, from, to)
        x = torch.einsum("bc...i,bij->bc...j", x.movedim(2 + axis, -1), shifted).movedim(-1, 2 + axis)
        start = (drawn[:, 2 + d + axis] * (side + 1)).long() - side // 4
        cut = (place >= start[:, None]) & (place < start[:, None] + side // 2)  # (B, side)
        outside = outside & cut.view(B, 1, *[side if a == axis else 1 for a in range(d)])
    return x * ~outside


def _check_finite(curves: torch.Tensor, name: str, steps: int) -> None:
    finite = torch.isfinite(curves).all(1)
    if not bool(finite.all()):
        step = int(torch.argmin(finite.int())) + 1
        raise medbench.Diverged(f"{name}: the loss is not finite at step {step} of {steps}; lower lr_g and lr_d.")
