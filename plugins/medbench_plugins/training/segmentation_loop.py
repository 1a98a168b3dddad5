"""A U-Net that learns where the foreground is: the network, its training, what it finds at its bottom.

Import this module inside ``fit``: it needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import medbench
from medbench_plugins.training import batch_norms
from medbench_plugins.training.classifier_loop import Average, draw_rows, schedule

HALVINGS = 4  # of MONAI's BasicUNet, and of the study's U-Net
LOOK = 50  # steps between two looks at the loss: to look makes the device wait
PROBED = 256  # training rows on which the fact "dice" is measured, at most
BLOCK = 16  # images at a time where nothing is learnt; fixed, since the size of a block changes bits


def build_unet(channels: int, *, width: int, spatial_dims: int) -> nn.Module:
    """Build MONAI's BasicUNet with one output: pairs of convolutions, four max-pools, and the way back up.

    Batch norms, since an instance norm would give every map of the bottom the same mean, and the mean over its
    positions is what becomes a feature. ReLU, so that features are never negative, as in the study.

    Args:
        channels: Of an image.
        width: Channels of the first level; the bottom has sixteen times as many.
        spatial_dims: 2 or 3.
    """
    from monai.networks.nets import BasicUNet

    levels = [width * 2**level for level in range(HALVINGS + 1)]
    return BasicUNet(
        spatial_dims=spatial_dims,
        in_channels=channels,
        out_channels=1,
        features=(*levels, width),
        act=("relu", {"inplace": True}),
        norm="batch",
    )


def logits_of(network: Any, x: torch.Tensor) -> torch.Tensor:
    """Return logits of being foreground ``(B, 1, *spatial)`` for ``float32 (B, channels, *spatial)`` in [-1, 1]."""
    logits = network(padded(x))
    for axis, side in enumerate(x.shape[2:], start=2):
        logits = logits.narrow(axis, 0, side)
    return logits


def maps_of(network: Any, x: torch.Tensor) -> torch.Tensor:
    """Return what the bottom of the U-Net holds: ``(B, 16 * width, *spatial)``, each side a sixteenth, rounded up."""
    x = network.conv_0(padded(x))
    for down in (network.down_1, network.down_2, network.down_3, network.down_4):
        x = down(x)
    return x


def padded(x: torch.Tensor) -> torch.Tensor:
    """Append black to every axis of ``(B, channels, *spatial)`` up to a multiple of 16, which halves evenly."""
    missing = [-side % 2**HALVINGS for side in x.shape[2:]]
    if not any(missing):
        return x
    return F.pad(x, [n for side in reversed(missing) for n in (0, side)], value=-1.0)


# No search among kernels, none whose sums change from run to run, no TensorFloat-32.
@torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
def fit_unet(
    build: Callable[[], nn.Module], train: medbench.Samples, context: medbench.Context, *, lr: float, augment: bool
) -> tuple[nn.Module, dict[str, float | str]]:
    """Train what `build` returns to tell foreground from background, all steps of the budget.

    Adam under warm-up and cosine; Dice, summed over the batch, and cross-entropy in equal parts; the last averaged
    weights, for which the statistics of the batch norms are measured. There is no early stopping: nothing is held out,
    so there would be nothing to stop by.

    Args:
        build: As :func:`build_unet`, with the weights to begin from put in.
        train: ``uint8 (n, channels, *spatial)`` with masks; every label above 0 is foreground. All rows are drawn, also
            those without a class and those without foreground.
        context: Gives steps, batch, threads, device and the seeds "batch", "init", "flips" and "norms".
        lr: Peak learning rate.
        augment: Flip along a random choice of axes; turn by quarters where the last two axes are equally long.

    Returns:
        The averaged network on the CPU in evaluation mode, and facts: steps, parameters, train_loss, and dice, the mean
        over training rows that have foreground; it was fitted to these rows, so it says what was learnt by heart too.

    Raises:
        medbench.Diverged: If a loss or a weight is not finite.
        medbench.UsageError: If a batch norm sees one value a channel.
    """
    from monai.losses import DiceCELoss

    device, steps, batch = torch.device(context.device), context.budget.steps, context.budget.batch
    assert train.masks is not None
    masks, everywhere = train.masks, np.zeros_like(train.labels)
    rows = draw_rows(everywhere, None, steps=steps, batch=batch, seed=context.seed("batch"))
    flips = torch.Generator(device).manual_seed(context.seed("flips"))
    in_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    loss_of = DiceCELoss(sigmoid=True, batch=True)
    torch.set_num_threads(context.budget.threads)

    def drawn(chosen: np.ndarray, flips: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        x = _as_input(train.x[chosen], device)
        y = torch.from_numpy(masks[chosen]).to(device).gt(0).unsqueeze(1).float()  # (B, 1, *spatial)
        return flipped(x, y, flips) if augment else (x, y)

    def like_training() -> Iterator[tuple[torch.Tensor]]:
        again = torch.Generator(device).manual_seed(context.seed("norms", "flips"))
        n = min(batch_norms.BATCHES, steps)
        for chosen in draw_rows(everywhere, None, steps=n, batch=batch, seed=context.seed("norms", "batch")):
            yield (padded(drawn(chosen, again)[0]),)

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(context.seed("init"))
        network = build().to(device).train()
        optimiser = torch.optim.Adam(network.parameters(), lr=lr, fused=True)
        average = Average(network, steps)
        losses = torch.zeros(steps, device=device)

        for step, chosen in enumerate(rows):
            for group in optimiser.param_groups:
                group["lr"] = lr * schedule(step, steps)
            x, y = drawn(chosen, flips)
            with (
                torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16),
                batch_norms.trained_with(network, batch),
            ):
                logits = logits_of(network, x)
            loss = loss_of(logits.float(), y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            average.update()
            losses[step] = loss.detach()

            done, news = step + 1, dict[str, float]()
            if done % LOOK == 0 or done == steps:
                fresh = losses[max(0, done - LOOK) : done].cpu().numpy()
                if not np.isfinite(fresh).all():
                    first = done - len(fresh) + int(np.isfinite(fresh).argmin()) + 1
                    raise _diverged(f"the loss is not finite at step {first} of {steps}")
                news["loss"] = float(fresh.mean())
            context.progress(done, steps, **news)
        average.settle(like_training(), context)

    found = average.network  # still on the device
    if not all(bool(v.isfinite().all()) for v in found.state_dict().values() if v.is_floating_point()):
        raise _diverged(f"a weight is not finite after step {steps} of {steps}")
    facts: dict[str, float | str] = {
        "steps": steps,
        "parameters": sum(p.numel() for p in found.parameters()),
        "train_loss": float(losses[-max(1, steps // 10) :].mean()),
        "dice": dice(found, train, device),
    }
    return found.cpu(), facts


def flipped(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
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
        found = (logits_of(network, _as_input(samples.x[rows], device)) > 0).cpu().numpy()[:, 0]
        there = samples.masks[rows] > 0
        axes = tuple(range(1, there.ndim))
        scores.append(2 * (found & there).sum(axes) / (found.sum(axes) + there.sum(axes)))
    return float(np.concatenate(scores).mean()) if scores else float("nan")


@torch.no_grad()
def encode(network: nn.Module, x: np.ndarray, *, spatial: bool) -> np.ndarray:
    """Return the bottom's maps of pixels ``uint8 (n, channels, *spatial)``, or their means, as ``float32`` on the CPU.

    Args:
        network: On the CPU, in evaluation mode.
        x: At least one row.
        spatial: Maps ``(n, d, *spatial / 16)``; else their means ``(n, d)``.
    """
    blocks = []
    for start in range(0, len(x), BLOCK):
        maps = maps_of(network, _as_input(x[start : start + BLOCK], torch.device("cpu")))
        blocks.append(maps.numpy() if spatial else maps.flatten(2).mean(2).numpy())
    return np.concatenate(blocks)


def _as_input(x: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x)).to(device).float().div_(127.5).sub_(1)


def _diverged(what: str) -> medbench.Diverged:
    return medbench.Diverged(f"training the U-Net diverged: {what}; lower lr of unet-features.")
