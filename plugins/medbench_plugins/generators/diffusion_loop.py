"""Denoising diffusion of images and volumes: the network, the training loop and the sampler.

Imported late, since it needs torch and MONAI. A size that is no multiple of 2^(levels - 1) is mirrored a little beyond
its upper edges for the training and cropped after the sampling, so that no pixel is ever interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from monai.networks.blocks import Convolution
from monai.networks.nets.diffusion_model_unet import (
    DiffusionUNetResnetBlock,
    DownBlock,
    UpBlock,
    get_timestep_embedding,
    zero_module,
)
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from torch import nn

import medbench
from medbench_plugins.generators.diversity import measure_diversity
from medbench_plugins.generators.image_gans.balanced_batches import BalancedBatches
from medbench_plugins.generators.image_gans.loop import Trained, as_pixels
from medbench_plugins.generators.image_gans.networks import count_halvings
from medbench_plugins.generators.settings import ImageSettings, steps_to_take
from medbench_plugins.training.descent import Descent
from medbench_plugins.training.loss_curves import LossCurves
from medbench_plugins.training.moving_average import MovingAverage
from medbench_plugins.training.numeric_precision import repeatable_kernels
from medbench_plugins.training.steps import Steps, note_how, step_number

# Cosine: the linear schedule's last steps are noise upon noise below 64 pixels (Nichol and Dhariwal 2021, 2102.09672).
SCHEDULE = {"schedule": "cosine", "prediction_type": "v_prediction"}
BLOCK_PIXELS = 2**14  # Rows drawn at a time: as many as hold these, at most BLOCK_ROWS; samples depend on both.
BLOCK_ROWS = 8


class DiffusionRecipe(ImageSettings, Protocol):
    """The fields that the loop and the sampler read of a recipe."""

    @property
    def width(self) -> int: ...
    @property
    def levels(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def timesteps(self) -> int: ...
    @property
    def sampling_steps(self) -> int: ...
    @property
    def guidance(self) -> float: ...
    @property
    def drop(self) -> float: ...


class Denoiser(nn.Module):
    """A noisy image, the time and a class to the velocity: MONAI's diffusion U-Net without attention.

    Block for block it is ``DiffusionModelUNet`` with one residual block a level, without the attention in its middle:
    that needs einops, which MONAI does not install, and where 6 to 16 positions are left along an axis the ten
    convolutions of the deepest level reach from one end to the other.

    Attributes:
        channels: Of an image.
        spatial: Its sides.
        padded: The sides the network works on.
        n_classes: Number of classes; the label `n_classes` is the null class, "any image".
    """

    def __init__(self, shape: Sequence[int], n_classes: int, *, width: int, levels: int) -> None:
        """Build for rows of `shape` ``(channels, *spatial)``.

        Args:
            shape: Of a row.
            n_classes: Number of classes.
            width: Maps at full size, twice as many below.
            levels: Sizes, each half of the one above; 0 is as many as leave 6 to 16 positions along the shortest axis.
        """
        super().__init__()
        self.channels, *self.spatial = shape
        self.n_classes, self.width = n_classes, width
        levels = levels or count_halvings(self.spatial)
        multiple = 2 ** (levels - 1)
        self.padded = [-(-side // multiple) * multiple for side in self.spatial]
        d, maps = len(self.spatial), [width, *[2 * width] * (levels - 1)]
        common = {"spatial_dims": d, "temb_channels": 4 * width, "norm_num_groups": math.gcd(8, width)}
        conv = partial(Convolution, spatial_dims=d, kernel_size=3, strides=1, padding=1, conv_only=True)
        self.conv_in = conv(in_channels=self.channels, out_channels=width)
        self.time_embed = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))
        self.class_embedding = nn.Embedding(n_classes + 1, 4 * width)
        self.down_blocks = nn.ModuleList(
            DownBlock(in_channels=maps[max(0, i - 1)], out_channels=maps[i], add_downsample=i + 1 < levels, **common)
            for i in range(levels)
        )
        self.middle = nn.ModuleList(
            DiffusionUNetResnetBlock(in_channels=maps[-1], out_channels=maps[-1], **common) for _ in range(2)
        )
        self.up_blocks = nn.ModuleList(
            UpBlock(
                in_channels=maps[max(0, i - 1)],
                prev_output_channel=maps[min(i + 1, levels - 1)],
                out_channels=maps[i],
                num_res_blocks=2,
                add_upsample=i > 0,
                **common,
            )
            for i in reversed(range(levels))
        )
        self.out = nn.Sequential(
            nn.GroupNorm(common["norm_num_groups"], width, eps=1e-6),
            nn.SiLU(),
            zero_module(conv(in_channels=width, out_channels=self.channels)),
        )

    def forward(self, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Predict the velocity.

        Args:
            x: ``float32 (B, channels, *padded)``.
            t: ``int64 (B,)`` from 0, a trace of noise, to timesteps - 1, nothing but noise.
            labels: ``int64 (B,)`` in 0..n_classes.

        Returns:
            ``float32 (B, channels, *padded)``.
        """
        condition = self.time_embed(get_timestep_embedding(t, self.width)) + self.class_embedding(labels)
        x = self.conv_in(x)
        skipped = [x]
        for block in self.down_blocks:
            x, own = block(x, condition)
            skipped += own
        for block in self.middle:
            x = block(x, condition)
        for block in self.up_blocks:
            x = block(x, skipped[-2:], condition)
            skipped = skipped[:-2]
        return self.out(x)


def guide(
    network: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    t: torch.Tensor,
    labels: torch.Tensor,
    *,
    null: int,
    guidance: float,
) -> torch.Tensor:
    """Return ``(1 + guidance) * network(class) - guidance * network(null)``, ``float32`` in the shape of `x`.

    Source:
        Ho and Salimans 2022, equation 6, for the noise. The velocity is a linear function of noise and `x`, and the
        two weights add up to 1, so the equation holds for it unchanged.
    """
    if not guidance:
        return network(x, t, labels)
    both = network(torch.cat([x, x]), torch.cat([t, t]), torch.cat([labels, torch.full_like(labels, null)]))
    of_class, of_any = both.chunk(2)
    return (1 + guidance) * of_class - guidance * of_any


@repeatable_kernels()
def train_diffusion(recipe: DiffusionRecipe, train: medbench.Samples, context: medbench.Context) -> Trained[Denoiser]:
    """Fit a denoiser on the labelled rows of `train`, classes drawn equally often.

    The diversity is measured once, at the end: drawing takes many passes through the network.

    Args:
        recipe: Its fields are within their ranges.
        train: ``uint8 (n, channels, *spatial)``, at least one labelled row of each class.
        context: Budget, device, seeds, and where progress is reported.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite; the message names the step.
    """
    torch.set_num_threads(context.budget.threads)
    device = torch.device(context.device)
    shape, n_classes = train.x.shape[1:], len(train.classes)
    steps = steps_to_take(recipe, context.budget)
    with torch.random.fork_rng(devices=[]):  # initialisation draws from the global generator alone
        torch.manual_seed(context.seed("initialise"))
        network = Denoiser(shape, n_classes, width=recipe.width, levels=recipe.levels)
    network.to(device).train()
    at = step_number(device)
    average = MovingAverage.rising(network, recipe.ema, steps, at)
    noise = torch.Generator(device).manual_seed(context.seed("noise"))
    batch = recipe.batch if len(shape) == 3 else recipe.batch_3d
    batches = BalancedBatches(_pad(train, network.padded), batch, noise, device)
    scheduler = DDPMScheduler(recipe.timesteps, **SCHEDULE)
    descend = Descent(torch.optim.Adam(network.parameters(), lr=recipe.lr, fused=True))
    losses = LossCurves(("loss",), steps, at, what=recipe.name, remedy="lower lr")

    def learn() -> None:
        x, labels = batches.draw()
        t = torch.randint(recipe.timesteps, (batch,), generator=noise, device=device)
        e = torch.randn(x.shape, generator=noise, device=device)
        dropped = torch.rand(batch, generator=noise, device=device) < recipe.drop
        labels = labels.masked_fill(dropped, n_classes)
        v = network(scheduler.add_noise(x, e, t), t, labels)
        loss = F.mse_loss(v, scheduler.get_velocity(x, e, t))
        descend(loss)
        average.update()
        losses.add(loss)

    take_step = Steps(tuple, learn, at, optimisers=[descend.optimiser], generators=[noise])
    for step in range(steps):
        take_step()
        losses.count()
        context.progress(step + 1, steps, **losses.report())
    note_how(context.folder, recipe.name, take_step.how)
    losses.check_weights(average.network)
    most = 16 if len(shape) == 3 else 8  # a volume takes long to draw
    diversity = measure_diversity(partial(draw, recipe, average.network), train, context.seed("diversity"), most)
    return Trained(average.network.cpu(), "all", losses.names, losses.values.cpu().numpy(), [(steps, diversity)])


def draw(recipe: DiffusionRecipe, network: Denoiser, labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw one image a label: noise, denoised in ``recipe.sampling_steps`` strides by DDIM with eta = 0.

    Rows are made in blocks of a fixed size, a last block filled up and cut. So a row depends on the seed, its place
    and its label, whatever comes after it.

    Args:
        recipe: Says timesteps, sampling_steps and guidance.
        network: In evaluation mode; the noise is drawn on the CPU wherever it lies.
        labels: ``int64 (n,)``.
        seed: Of the noise.

    Returns:
        ``uint8 (n, channels, *spatial)``, rounded to the grey levels of real images.

    Source:
        Song et al. 2021, equation 12, as MONAI's ``DDIMScheduler`` has it for equal strides.
    """
    noise = torch.Generator().manual_seed(seed)
    classes = torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64))
    device = next(network.parameters()).device
    rows = max(1, min(BLOCK_ROWS, BLOCK_PIXELS // math.prod(network.padded)))
    signal = DDIMScheduler(recipe.timesteps, **SCHEDULE).alphas_cumprod.to(device)
    times = choose_timesteps(recipe.timesteps, recipe.sampling_steps)
    blocks = [np.empty((0, network.channels, *network.spatial), dtype=np.uint8)]
    with torch.inference_mode():
        for start in range(0, len(classes), rows):
            own = classes[start : start + rows]
            full = F.pad(own, (0, rows - len(own))).to(device)
            x = torch.randn(rows, network.channels, *network.padded, generator=noise).to(device)
            for t, following in zip(times, [*times[1:], None], strict=True):
                now = torch.full_like(full, t)
                v = guide(network, x, now, full, null=network.n_classes, guidance=recipe.guidance)
                image = (signal[t].sqrt() * x - (1 - signal[t]).sqrt() * v).clamp(-1, 1)
                direction = signal[t].sqrt() * v + (1 - signal[t]).sqrt() * x
                left = signal[following] if following is not None else torch.ones_like(signal[t])
                x = left.sqrt() * image + (1 - left).sqrt() * direction
            for axis, side in enumerate(network.spatial, start=2):
                x = x.narrow(axis, 0, side)
            blocks.append(as_pixels(x[: len(own)]))
    return np.concatenate(blocks)


def choose_timesteps(timesteps: int, sampling_steps: int) -> list[int]:
    """Return the timesteps that are visited from noise to image, close together where detail is decided.

    Their distances grow with the noise, as squares do. Of noise as fine as .05 of half the grey levels, an exact
    denoiser keeps .89 of the deviation in 25 of 1,000 steps; in equal strides .54.

    Args:
        timesteps: Grades of noise, of which the last, pure noise, comes first.
        sampling_steps: How many of them, at most all.

    Source:
        Song et al. 2021, appendix D.2, "quadratic".
    """
    return [
        max(math.ceil(timesteps * (k / sampling_steps) ** 2), k) - 1  # each at least one further than the one before
        for k in range(sampling_steps, 0, -1)
    ]


def _pad(train: medbench.Samples, sides: Sequence[int]) -> medbench.Samples:
    beyond = [(0, padded - side) for padded, side in zip(sides, train.x.shape[2:], strict=True)]
    if not any(more for _, more in beyond):
        return train
    return replace(train, x=np.pad(train.x, [(0, 0), (0, 0), *beyond], mode="symmetric"))
