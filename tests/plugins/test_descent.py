from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from medbench_plugins.training.descent import Descent


class Twins(nn.Module):
    """Two layers of which a step may use one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, *, only_first: bool) -> torch.Tensor:
        out: torch.Tensor = self.first(x) if only_first else self.first(x) + self.second(x)
        return out


def two_groups(network: nn.Module) -> list[dict[str, object]]:
    """Return matrices, which decay, and vectors, with a rate that is a tensor."""
    rate = torch.tensor(0.02, dtype=torch.float64)
    parts = [[p for p in network.parameters() if (p.ndim > 1) is decays] for decays in (True, False)]
    return [{"params": part, "weight_decay": decay, "lr": rate} for part, decay in zip(parts, (0.1, 0.0), strict=True)]


OPTIMISERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "adam": lambda network: torch.optim.Adam(network.parameters(), lr=0.01, betas=(0.5, 0.9), fused=True),
    "adamw, groups": lambda network: torch.optim.AdamW(two_groups(network), lr=0.01, fused=True),
    "amsgrad": lambda network: torch.optim.Adam(network.parameters(), lr=0.01, amsgrad=True, fused=True),
    "uphill": lambda network: torch.optim.Adam(network.parameters(), lr=0.01, maximize=True, fused=True),
    "not fused": lambda network: torch.optim.AdamW(network.parameters(), lr=0.01),
    "rmsprop": lambda network: torch.optim.RMSprop(network.parameters(), lr=0.01),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("unused", [set[int](), {0, 1}, {3}, set(range(9))], ids=["none", "first", "later", "all"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_are_those_of_the_optimiser(name: str, unused: set[int], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    ours = Twins().to(dtype)
    plain = copy.deepcopy(ours)
    of_ours, of_plain = OPTIMISERS[name](ours), OPTIMISERS[name](plain)
    descend = Descent(of_ours)
    for step, x in enumerate(torch.randn(9, 4, 3, dtype=dtype)):
        loss_of = partial(lambda network, x, only: network(x, only_first=only).square().mean(), only=step in unused)
        for optimiser in (of_ours, of_plain):  # a schedule that sets the rate, as torch's do
            for group in optimiser.param_groups:
                group["lr"] = group["lr"] * 0.9
        descend(loss_of(ours, x))
        of_plain.zero_grad()
        loss_of(plain, x).backward()
        of_plain.step()
    for own, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.equal(own, theirs)
    counts = [[float(state["step"]) for state in o.state.values()] for o in (of_ours, of_plain)]
    assert counts[0] == counts[1]


def test_later_steps_of_a_fused_adam_ask_the_optimiser_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Twins()
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    descend, asked = Descent(optimiser), list[int]()
    step = optimiser.step
    monkeypatch.setattr(optimiser, "step", lambda: (asked.append(1), step())[1])
    for _ in range(3):
        descend(network(torch.randn(4, 3), only_first=False).square().mean())
    assert len(asked) == 1
