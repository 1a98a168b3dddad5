"""How every training loop computes: kernels that repeat bit for bit, the precision, one step. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

WARM_UP = 0.05  # of the steps: linear from 0, then a cosine to 0


@contextmanager
def repeatable_kernels() -> Iterator[None]:
    """Search among no kernels, use none whose sums change from run to run, and no TensorFloat-32; also a decorator."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def in_bfloat16(device: torch.device) -> torch.autocast:
    """Return a context in which a GPU that has bfloat16 multiplies in it; elsewhere nothing changes."""
    is_supported = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=is_supported)


def schedule(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at `step` of `steps`: a linear warm-up, then half a cosine to 0."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm + 1) / (steps - warm + 1)))


def set_learning_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = lr


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Take one step along the gradient of `loss`."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
