"""The GPU that is none refuses what a real one would, and lets through what it would."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fake_cuda import fake_cuda

CUDA = "cuda:0"


@pytest.fixture(autouse=True)
def _fake() -> Iterator[None]:
    with fake_cuda():
        torch.cuda.init()
        yield


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: torch.zeros(2, device=CUDA) + torch.zeros(2),
        lambda: torch.zeros(2, device=CUDA).numpy(),
        lambda: torch.zeros(2)[torch.zeros(1, dtype=torch.long, device=CUDA)],
        lambda: torch.stack([torch.zeros((), device=CUDA), torch.zeros(())]),
        lambda: torch.rand(2, device=CUDA, generator=torch.Generator()),
        lambda: torch.rand(2, generator=torch.Generator(CUDA)),
        lambda: torch.nn.Linear(2, 2).to(CUDA)(torch.zeros(1, 2)),
        lambda: torch.nn.Linear(2, 2)(torch.zeros(1, 2, device=CUDA)),
        lambda: F.cross_entropy(torch.zeros(1, 2, device=CUDA), torch.zeros(1, dtype=torch.long)),
        lambda: F.grid_sample(
            torch.zeros(1, 1, 2, 2, device=CUDA, requires_grad=True), torch.zeros(1, 2, 2, 2, device=CUDA)
        ),
        lambda: F.interpolate(torch.zeros(1, 1, 2, 2, device=CUDA, requires_grad=True), 4, mode="bilinear"),
        lambda: F.max_pool3d(torch.zeros(1, 1, 5, 5, 5, device=CUDA, requires_grad=True), 3, 2),
    ],
)
def test_what_a_gpu_refuses_is_refused(wrong: Callable[[], Any]) -> None:
    with pytest.raises((RuntimeError, TypeError)):
        wrong()


def test_what_a_gpu_does_is_done_there() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten()).to(CUDA)
    x = torch.zeros(3, 1, 4, 4)
    network(x.to(CUDA)).sum().backward()
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    optimiser.step()

    assert all(p.grad is not None and p.grad.device == torch.device(CUDA) for p in network.parameters())
    assert all(t.is_cuda for t in network.state_dict().values())
    assert network(x.to(CUDA)).detach().cpu().numpy().shape == (3, 8)
    assert not x.is_cuda
    assert (torch.ones(2, device=CUDA) * torch.tensor(2.0)).sum().item() == 4
    assert torch.eye(3, device=CUDA)[torch.tensor([0, 2])].is_cuda


@pytest.mark.parametrize(
    ("work", "waits"),
    [
        (lambda x, i: x[i], False),
        (lambda x, i: x[1:], False),
        (lambda x, i: x[i.cpu()], True),
        (lambda x, i: x[[0, 2]], True),
        (lambda x, i: x[x > 0], True),
        (lambda x, i: x.__setitem__([0, 2], 1.0), True),
        (lambda x, i: torch.tensor([1.0], device=CUDA), True),
        (lambda x, i: x.sum().item(), True),
    ],
)
def test_what_waits_for_a_gpu_is_told(work: Callable[..., Any], waits: bool) -> None:
    x, i = torch.zeros(3, device=CUDA), torch.zeros(2, dtype=torch.long, device=CUDA)
    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        work(x, i)

    assert any("synchronizing CUDA operation" in str(w.message) for w in noted) is waits


def test_cuda_is_not_there_before_it_is_initialised() -> None:
    with fake_cuda(), pytest.raises(RuntimeError, match="Invalid device argument"):
        torch.cuda.reset_peak_memory_stats(CUDA)
