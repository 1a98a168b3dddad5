"""The losses of every step, checked and reported every 50 steps: reading one waits for the device. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

import medbench

EVERY = 50


class LossCurves:
    """Losses of a fit, on the device they are computed on.

    Args:
        names: Of the losses.
        steps: Of the fit.
        at: Number of the step, ``int64 (1,)`` on the device that the losses are on.
        what: Beginning of the message if the fit diverges: what is trained.
        remedy: End of that message: what to try.

    Attributes:
        values: ``float32 (steps, len(names))``, 0 for steps to come.
        done: Number of steps taken, as :meth:`count` was told.
    """

    def __init__(self, names: Sequence[str], steps: int, at: torch.Tensor, *, what: str, remedy: str) -> None:
        self.names, self.steps, self.what, self.remedy = tuple(names), steps, what, remedy
        self.values = torch.zeros(steps, len(self.names), device=at.device)
        self._at = at
        # A GPU's copy to a place that a tensor tells repeats by sorting places; a choice everywhere needs no order.
        self._places = None if at.device.type == "cpu" else torch.arange(steps, device=at.device)[:, None]
        self.done = 0

    def add(self, *losses: torch.Tensor) -> None:
        """Keep the losses of this step; what is captured on a device may hold this call."""
        own = [loss.detach() for loss in losses]
        row = torch.stack(own)[None] if len(own) > 1 else own[0].view(1, 1)
        if self._places is None:
            self.values.index_copy_(0, self._at, row)
        else:
            torch.where(self._places == self._at, row, self.values, out=self.values)

    def count(self) -> None:
        """Know that one more step was taken."""
        self.done += 1

    def report(self) -> dict[str, float]:
        """Return the mean of each loss over the last 50 steps, after every 50th step and the last; else nothing.

        Raises:
            medbench.Diverged: If a loss is not finite.
        """
        if self.done % EVERY and self.done != self.steps:
            return {}
        self.check()
        recent = self.values[max(0, self.done - EVERY) : self.done].mean(0)
        return dict(zip(self.names, recent.tolist(), strict=True))

    def check(self) -> None:
        """Raise :class:`medbench.Diverged` naming the first step with a loss that is not finite."""
        finite = self.values[: self.done].isfinite().all(1)
        if not bool(finite.all()):
            step = int(finite.int().argmin()) + 1
            raise self._divergence(f"the loss is not finite at step {step} of {self.steps}")

    def check_weights(self, network: nn.Module) -> None:
        """Raise :class:`medbench.Diverged` if a weight or buffer of `network` is not finite."""
        if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
            raise self._divergence(f"a weight is not finite after {self.steps} steps")

    def _divergence(self, problem: str) -> medbench.Diverged:
        return medbench.Diverged(f"{self.what}: {problem}; {self.remedy}.")
