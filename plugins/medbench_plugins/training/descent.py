"""One step of an optimiser along the gradient of a loss, the same in every training loop. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


class Descent:
    """Takes the steps of one optimiser.

    What ``Optimizer.step`` looks up and sorts before it updates a small network takes a CPU as long as the update. The
    state of a fused Adam stays where its first step put it, so the later ones call the same kernels on the same
    tensors with lists that were made once. On a GPU a step is recorded, and what it looked up is not repeated anyway.

    Args:
        optimiser: Of any kind. Nobody else exchanges the moving averages that it has made.
    """

    def __init__(self, optimiser: torch.optim.Optimizer) -> None:
        self.optimiser = optimiser
        self._parameters = [p for group in optimiser.param_groups for p in group["params"]]
        self._groups: list[_Group] = []

    def __call__(self, loss: torch.Tensor) -> None:
        """Take one step along the gradient of `loss`."""
        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()
        # Without a gradient a parameter has no state perhaps, and is left as it is.
        if not self._groups or any(parameter.grad is None for parameter in self._parameters):
            self.optimiser.step()
            self._groups = _groups_of(self.optimiser)
            return
        with torch.no_grad():
            torch._foreach_add_([count for group in self._groups for count in group.counts], 1)
            for group in self._groups:
                group.update()


class _Group:
    """A group of parameters of a fused Adam on a CPU, all of which have moving averages.

    Args:
        group: Of the optimiser.
        states: Of its parameters, in their order.
        kernel: That updates them.
    """

    def __init__(self, group: dict[str, Any], states: Sequence[dict[str, Any]], kernel: Callable[..., None]) -> None:
        self._group, self._parameters, self._kernel = group, list(group["params"]), kernel
        self._means, self._squares, self.counts = (
            [state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")
        )

    def update(self) -> None:
        """Update the parameters, whose `counts` have this step already."""
        group, (beta1, beta2) = self._group, self._group["betas"]
        gradients = [parameter.grad for parameter in self._parameters]
        self._kernel(
            self._parameters, gradients, self._means, self._squares, [], self.counts, lr=group["lr"], beta1=beta1,
            beta2=beta2, weight_decay=group["weight_decay"], eps=group["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip


def _groups_of(optimiser: torch.optim.Optimizer) -> list[_Group]:
    """Return the groups of a fused Adam or AdamW after a step in float32 on a CPU; none of any other optimiser."""
    kernel = {torch.optim.Adam: torch._fused_adam_, torch.optim.AdamW: torch._fused_adamw_}.get(type(optimiser))
    groups = [group for group in optimiser.param_groups if group["params"]]
    parameters = [parameter for group in groups for parameter in group["params"]]
    if (
        kernel is None
        or not all(group["fused"] and not group["amsgrad"] and not group["maximize"] for group in groups)
        or not all(p.device.type == "cpu" and p.dtype == torch.float32 and p in optimiser.state for p in parameters)
    ):
        return []
    return [_Group(group, [optimiser.state[p] for p in group["params"]], kernel) for group in groups]
