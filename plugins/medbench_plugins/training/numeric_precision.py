"""How every training loop computes: kernels that repeat bit for bit, the precision, the rates. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

WARM_UP = 0.05  # of the steps: linear from 0, then a cosine to 0


@contextmanager
def repeatable_kernels() -> Iterator[None]:
    """Search among no kernels, use none whose sums change from run to run, and no TensorFloat-32; also a decorator.

    Where the process was told to multiply in TensorFloat-32, as numerics "fast" have it, cuDNN does all that too.
    """
    fast = torch.get_float32_matmul_precision() != "highest"
    with torch.backends.cudnn.flags(enabled=True, benchmark=fast, deterministic=not fast, allow_tf32=fast):
        yield


def in_bfloat16(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which a GPU that has bfloat16 multiplies in it; elsewhere nothing changes."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def schedule(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at `step` of `steps`: a linear warm-up, then half a cosine to 0."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm + 1) / (steps - warm + 1)))


@dataclass(frozen=True)
class SlowTrunk:
    """The trunk of a network that begins from pretrained weights learns at a lower rate than its head.

    Attributes:
        share: Of the head's rate, from 0 to 1, at every step of the one schedule.
        head: Beginnings of the names of the parameters that make the head; empty for the module of the last one.
    """

    share: float
    head: tuple[str, ...] = ()


class LearningRates:
    """The learning rate of every step, on the device before the first one.

    Args:
        lr: Peak of :func:`schedule`.
        steps: Of the fit.
        at: Number of the step, ``int64 (1,)``.

    Attributes:
        now: The rate of this step, a tensor to build a fused optimiser with.
    """

    def __init__(self, lr: float, steps: int, at: torch.Tensor) -> None:
        # A GPU's kernels read float32; a CPU's compute with the float64 that they are given.
        dtype = torch.float64 if at.device.type == "cpu" else torch.float32
        self._rates = torch.tensor([lr * schedule(step, steps) for step in range(steps)], dtype=dtype, device=at.device)
        self._at, self.now = at, torch.zeros((), dtype=dtype, device=at.device)
        self._in_place = self.now.view(1)

    def set(self) -> None:
        """Make `now` the rate of this step."""
        torch.index_select(self._rates, 0, self._at, out=self._in_place)
