"""Exponential moving averages of a network while it is trained. Needs torch."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import nn

import medbench
from medbench_plugins.training import batch_norms
from medbench_plugins.training.steps import at_step

Network = TypeVar("Network", bound=nn.Module)


class MovingAverage(Generic[Network]):
    """An exponential moving average of a network's weights, and of its floating buffers if asked for.

    Args:
        network: As it is before the first step.
        share: Weight of the present in each update, 0 to 1: a number, or ``float32 (steps,)`` on the network's device.
        buffers: Average them too.
        at: Number of the step, ``int64 (1,)``, which picks from a table of shares.

    Attributes:
        network: The averaged copy, in evaluation mode.
    """

    def __init__(
        self, network: Network, share: float | torch.Tensor, *, buffers: bool, at: torch.Tensor | None = None
    ) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._share, self._at = share, at
        own, current = self.network.state_dict(), network.state_dict()
        weights = {name for name, _ in network.named_parameters()}
        averaged = [name for name in own if name in weights or (buffers and own[name].is_floating_point())]
        self._average, self._current = ([state[name] for name in averaged] for state in (own, current))
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    @classmethod
    def of_last_tenth(cls, network: Network, steps: int) -> MovingAverage[Network]:
        """Average weights over about the last tenth of `steps`.

        The decay is ``1 - 10 / steps``: however many steps there are, exp(-10) of the initial weights is left after
        the last. Buffers are left out, since what they hold belongs to the weights of the moment: ``settle`` before
        use.
        """
        decay = max(0.0, 1 - 10 / steps)
        return cls(network, 1 - decay, buffers=False)

    @classmethod
    def rising(cls, network: Network, decay: float, steps: int, at: torch.Tensor) -> MovingAverage[Network]:
        """Average weights and buffers in each of `steps`, `at` being their number, with a decay that rises to `decay`.

        It starts low, ``min(decay, (1 + t) / (10 + t))``, so that the average of a short fit does not hold on to the
        initialisation. Buffers are averaged too: the batch statistics must belong to the averaged weights.
        """
        shares = [1 - min(decay, (1 + update) / (10 + update)) for update in range(1, steps + 1)]
        return cls(network, torch.tensor(shares, dtype=torch.float32, device=at.device), buffers=True, at=at)

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's present state."""
        if isinstance(self._share, float):
            torch._foreach_lerp_(self._average, self._current, self._share)
        else:
            assert self._at is not None
            share = at_step(self._share, self._at)
            if share.is_cuda:  # a share of each tensor's own is a kernel for each there; these are a few for all
                torch._foreach_sub_(self._average, self._current)
                torch._foreach_mul_(self._average, 1 - share)  # exactly the present where its share is 1
                torch._foreach_add_(self._average, self._current)
            else:
                torch._foreach_lerp_(self._average, self._current, [share] * len(self._average))

    @torch.no_grad()
    def settle(self, batches: Iterable[tuple[torch.Tensor, ...]], context: medbench.Context) -> None:
        """Take the network's present buffers, and measure those of batch norms with the averaged weights.

        Args:
            batches: As for :func:`medbench_plugins.training.batch_norms.recompute`.
            context: Gives the seed "norms".
        """
        for own, current in self._buffers:
            own.copy_(current)
        batch_norms.recompute(self.network, batches, seed=context.seed("norms", "dropout"))
