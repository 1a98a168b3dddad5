"""Training of a U-Net to tell foreground from background. Import this module inside ``fit``: it needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

import medbench
from medbench_plugins.networks.unet import BLOCK, pad, predict_logits, to_input
from medbench_plugins.training import batch_norms
from medbench_plugins.training.batches import draw_rows
from medbench_plugins.training.descent import Descent
from medbench_plugins.training.loss_curves import LossCurves
from medbench_plugins.training.moving_average import MovingAverage
from medbench_plugins.training.numeric_precision import LearningRates, in_bfloat16, repeatable_kernels
from medbench_plugins.training.steps import Steps, step_number

PROBED = 256  # training rows on which the fact "dice" is measured, at most


# What a fit holds from its first step to its last stands here once, so that the loop reads downward.
@repeatable_kernels()
def fit_unet(
    build: Callable[[], nn.Module], train: medbench.Samples, context: medbench.Context, *, lr: float, augment: bool
) -> tuple[nn.Module, dict[str, float | str]]:
    """Train what `build` returns to tell foreground from background, all steps of the budget.

    Adam under warm-up and cosine; Dice, summed over the batch, and cross-entropy in equal parts; the last averaged
    weights, for which the statistics of the batch norms are measured. There is no early stopping: nothing is held out,
    so there would be nothing to stop by.

    Args:
        build: As :func:`medbench_plugins.networks.unet.build_unet`, with the weights to begin from put in.
        train: ``uint8 (n, channels, *spatial)`` with masks; every label above 0 is foreground. All rows are drawn, also
            those without a class and those without foreground.
        context: Gives steps, batch, threads, device and the seeds "batch", "init", "flips" and "norms".
        lr: Peak learning rate.
        augment: Flip along a random choice of axes; turn by quarters where the last two axes are equally long.

    Returns:
        The averaged network on the CPU in evaluation mode, and facts: steps, parameters, train_loss, and dice, the mean
        over training rows that have foreground; it was fitted to these rows, so it says what was memorised too.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite.
        medbench.UsageError: If a batch norm sees one value a channel.
    """
    from monai.losses import DiceCELoss

    device, steps, batch = torch.device(context.device), context.budget.steps, context.budget.batch
    at = step_number(device)
    batches = _Batches(train, context, augment=augment)
    loss_of = DiceCELoss(sigmoid=True, batch=True)
    what, remedy = "training the U-Net diverged", "lower lr of unet-features"
    losses = LossCurves(("loss",), steps, at, what=what, remedy=remedy)
    torch.set_num_threads(context.budget.threads)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(context.seed("init"))
        network = build().to(device).train()
        rates = LearningRates(lr, steps, at)
        descend = Descent(torch.optim.Adam(network.parameters(), lr=rates.now, fused=True))
        average = MovingAverage.of_last_tenth(network, steps)

        def learn(x: torch.Tensor, y: torch.Tensor) -> None:
            rates.set()
            with in_bfloat16(device), batch_norms.explain_small_batches(network, batch):
                logits = predict_logits(network, x)
            loss = loss_of(logits.float(), y)
            descend(loss)
            average.update()
            losses.add(loss)

        drawn = iter(batches)
        take_step = Steps(lambda: next(drawn), learn, at, optimisers=[descend.optimiser], from_host=True)
        for step in range(steps):
            take_step()
            losses.count()
            context.progress(step + 1, steps, **losses.report())
        average.settle(batches.like_training(), context)

    losses.check_weights(average.network)
    facts: dict[str, float | str] = {
        "steps": steps,
        "parameters": sum(p.numel() for p in average.network.parameters()),
        "train_loss": float(losses.values[-max(1, steps // 10) :, 0].mean()),
        "dice": dice(average.network, train, device),
    }
    if take_step.how:
        facts["gpu_steps"] = take_step.how
    return average.network.cpu(), facts


class _Batches:
    """Images and their foreground, of all rows alike."""

    def __init__(self, train: medbench.Samples, context: medbench.Context, *, augment: bool) -> None:
        assert train.masks is not None
        self.x, self.masks, self.augment = train.x, train.masks, augment
        self.context, self.device = context, torch.device(context.device)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield ``float32 (B, channels, *spatial)`` and ``float32 (B, 1, *spatial)``, 1 for foreground."""
        return self._batches(self.context.budget.steps, ())

    def like_training(self) -> Iterator[tuple[torch.Tensor]]:
        """Yield the padded images of a few batches more, to measure batch norms with."""
        n = min(batch_norms.BATCHES, self.context.budget.steps)
        for x, _ in self._batches(n, ("norms",)):
            yield (pad(x),)

    def _batches(self, n: int, purpose: tuple[str, ...]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        draws = torch.Generator(self.device).manual_seed(self.context.seed(*purpose, "flips"))
        everywhere, seed = np.zeros(len(self.x), dtype=np.int64), self.context.seed(*purpose, "batch")
        for rows in draw_rows(everywhere, None, steps=n, batch=self.context.budget.batch, seed=seed):
            x = to_input(self.x[rows], self.device)
            y = torch.from_numpy(self.masks[rows]).to(self.device).gt(0).unsqueeze(1).float()
            yield flip(x, y, draws) if self.augment else (x, y)


def flip(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Flip each row of two tensors ``(B, ..., *spatial)`` alike, and turn it in the plane of its last two axes."""
    d, shape = x.ndim - 2, (len(x), *[1] * (x.ndim - 1))
    for axis in range(2, 2 + d):
        chosen = (torch.rand(len(x), generator=generator, device=x.device) < 0.5).view(shape)
        x, y = torch.where(chosen, x.flip(axis), x), torch.where(chosen, y.flip(axis), y)
    if x.shape[-1] == x.shape[-2]:  # with the flips, one turn reaches all eight positions of a square
        chosen = (torch.rand(len(x), generator=generator, device=x.device) < 0.5).view(shape)
        x, y = torch.where(chosen, x.transpose(-1, -2), x), torch.where(chosen, y.transpose(-1, -2), y)
    return x, y


@torch.no_grad()
def dice(network: nn.Module, samples: medbench.Samples, device: torch.device) -> float:
    """Return the mean over rows with foreground of ``2 |A and B| / (|A| + |B|)``, 256 rows evenly spaced at most.

    A is the foreground, B where its probability is above one half; nan without such rows.
    """
    assert samples.masks is not None
    has_any = np.flatnonzero(samples.masks.reshape(len(samples), -1).any(1))
    probed = has_any[np.linspace(0, len(has_any) - 1, min(PROBED, len(has_any))).astype(np.int64)]
    scores = []
    for start in range(0, len(probed), BLOCK):
        rows = probed[start : start + BLOCK]
        found = (predict_logits(network, to_input(samples.x[rows], device)) > 0).cpu().numpy()[:, 0]
        there = samples.masks[rows] > 0
        axes = tuple(range(1, there.ndim))
        scores.append(2 * (found & there).sum(axes) / (found.sum(axes) + there.sum(axes)))
    return float(np.concatenate(scores).mean()) if scores else float("nan")
