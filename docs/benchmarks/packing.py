"""Whether the folds of one recipe should be trained as one packed network.

    python docs/benchmarks/packing.py [--folds 5] [--size 32] [--batch 32] [--steps 20] [--rounds 7] [--device cpu]

On a GPU the step of each way is recorded once as a CUDA graph and replayed, as our loop does it.

The same small-cnn of every fold, from the same weights on the same batches, three ways that take turns in one process:
one network after the other, as we train them; one network whose convolutions have a group a fold; and
``torch.func.vmap`` over stacked weights. Printed are the time of a step of all folds, as a multiple of the separate
ones (median of rounds with quartiles; CPU seconds on a CPU, so that other work on the machine counts less), and how far
weights and probabilities are from those of the separate networks after all steps.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from medbench_plugins.networks.small import SmallCNN

Step = Callable[[int], None]
Weights = Callable[[], list[list[torch.Tensor]]]
"""Of every fold, in the order of the network's parameters."""


def optimiser_of(parameters: list[torch.Tensor]) -> torch.optim.AdamW:
    """Return the optimiser of our loop."""
    return torch.optim.AdamW(parameters, lr=1e-3, fused=True, capturable=parameters[0].is_cuda)


def separate(networks: list[nn.Module], x: torch.Tensor, y: torch.Tensor) -> tuple[Step, Weights]:
    """Train one network after the other."""
    optimisers = [optimiser_of(list(network.parameters())) for network in networks]

    def step(t: int) -> None:
        for fold, (network, optimiser) in enumerate(zip(networks, optimisers, strict=True)):
            loss = F.cross_entropy(network(x[t, fold]), y[t, fold])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

    return step, lambda: [[p.detach() for p in network.parameters()] for network in networks]


def grouped(networks: list[nn.Module], x: torch.Tensor, y: torch.Tensor) -> tuple[Step, Weights]:
    """Train one network with a group a fold: channels of all folds beside each other."""
    folds = len(networks)
    layers: list[nn.Module] = []
    for same in zip(*(network.features for network in networks), strict=True):
        first = copy.deepcopy(same[0])
        if isinstance(first, nn.Conv2d):
            first = nn.Conv2d(folds * first.in_channels, folds * first.out_channels, 3, 2, 1, groups=folds, bias=False)
        elif isinstance(first, nn.BatchNorm2d):
            first = nn.BatchNorm2d(folds * first.num_features)
        for name, parameter in first.named_parameters():
            parameter.data = torch.cat([dict(layer.named_parameters())[name].data for layer in same]).clone()
        layers.append(first)
    features = nn.Sequential(*layers).to(x.device).train()
    weight = nn.Parameter(torch.stack([network.head.weight.data for network in networks]))  # (folds, classes, d)
    bias = nn.Parameter(torch.stack([network.head.bias.data for network in networks]))
    packed = [*features.parameters(), weight, bias]
    optimiser = optimiser_of(packed)

    def step(t: int) -> None:
        maps = features(x[t].transpose(0, 1).flatten(1, 2))  # (B, folds * d, h, w)
        vectors = maps.flatten(2).mean(2).unflatten(1, (folds, -1)).transpose(0, 1)  # (folds, B, d)
        logits = torch.baddbmm(bias[:, None], vectors, weight.transpose(1, 2))
        loss = F.cross_entropy(logits.flatten(0, 1), y[t].flatten(0, 1)) * folds
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def weights() -> list[list[torch.Tensor]]:
        each = [p.detach().chunk(folds) for p in features.parameters()]
        return [[*(part[fold] for part in each), weight.detach()[fold], bias.detach()[fold]] for fold in range(folds)]

    return step, weights


def vmapped(networks: list[nn.Module], x: torch.Tensor, y: torch.Tensor) -> tuple[Step, Weights]:
    """Train stacked weights by ``torch.func``, which cannot write running statistics of batch norms: left out."""
    base = copy.deepcopy(networks[0])
    for layer in base.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
            layer.num_batches_tracked = None
    names = [name for name, _ in base.named_parameters()]
    every = [dict(network.named_parameters()) for network in networks]
    stacked = {name: nn.Parameter(torch.stack([own[name].data for own in every])) for name in names}
    optimiser = optimiser_of(list(stacked.values()))

    def loss(parameters: dict[str, torch.Tensor], images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(torch.func.functional_call(base, parameters, (images,)), target)

    gradients = torch.func.vmap(torch.func.grad(loss))

    def step(t: int) -> None:
        found = gradients({name: p.detach() for name, p in stacked.items()}, x[t], y[t])
        for name, p in stacked.items():
            p.grad = found[name]
        optimiser.step()

    return step, lambda: [[stacked[name].detach()[fold] for name in names] for fold in range(len(networks))]


def captured(step: Step, x: torch.Tensor, y: torch.Tensor, *, of: tuple[torch.Tensor, torch.Tensor]) -> Step:
    """Return a step that copies the batches of step t into the buffers `of`, and replays what `step` does with them."""
    side = torch.cuda.Stream(x.device)
    side.wait_stream(torch.cuda.current_stream(x.device))
    with torch.cuda.stream(side):
        for _ in range(3):
            step(0)
    torch.cuda.current_stream(x.device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(0)

    def replay(t: int) -> None:
        of[0].copy_(x[t : t + 1])
        of[1].copy_(y[t : t + 1])
        graph.replay()

    return replay


WAYS = {"separate": separate, "grouped": grouped, "vmap": vmapped}


def now(device: torch.device) -> float:
    """Return seconds: of this process on a CPU, of the clock once a GPU has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def main() -> None:
    """Measure and print times and differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in {"folds": 5, "size": 32, "batch": 32, "steps": 20, "rounds": 7, "threads": 1}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    device = torch.device(asked.device)
    torch.manual_seed(0)
    shape = (asked.steps, asked.folds, asked.batch, 1, asked.size, asked.size)
    x = torch.rand(shape, device=device).mul_(2).sub_(1)
    labels = torch.arange(asked.batch, device=device) % 2
    x[..., labels == 1, :, : asked.size // 2, :] += 0.5  # something to learn
    y = torch.eye(2, device=device)[labels].expand(asked.steps, asked.folds, -1, -1)
    first = [SmallCNN(1, 2).to(device).train() for _ in range(asked.folds)]
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    ends = {}
    for number in range(asked.rounds + 1):  # the first one warms up
        for name in list(WAYS)[:: 1 - 2 * (number % 2)]:
            networks = copy.deepcopy(first)
            if name == "separate":  # as our loop has them
                networks = [network.to(memory_format=torch.channels_last) for network in networks]
            if device.type == "cuda":
                buffers = x[:1].clone(), y[:1].clone()
                step, weights = WAYS[name](networks, *buffers)
                step = captured(step, x, y, of=buffers)
            else:
                step, weights = WAYS[name](networks, x, y)
            began = now(device)
            for t in range(asked.steps):
                step(t)
            spent[name].append((now(device) - began) / asked.steps)
            ends[name] = weights()
    print(f"{asked.folds} x small-cnn {asked.size} px, {asked.batch} a batch, {asked.device}, {asked.threads} threads, "
          f"{asked.rounds} rounds of {asked.steps} steps, torch {torch.__version__}")  # fmt: skip
    held_out = x[0, 0]
    for name, times in spent.items():
        ratios = [a / b for a, b in zip(times[1:], spent["separate"][1:], strict=True)]
        low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
        apart, probability = distance(first[0], ends["separate"], ends[name], held_out)
        print(f"{name:10} {1e3 * np.median(times[1:]):7.2f} ms a step of all, {middle:.2f} x separate "
              f"[{low:.2f}-{high:.2f}]; weights apart {apart:.1e}, probabilities {probability:.1e}")  # fmt: skip


def distance(
    network: nn.Module, one: list[list[torch.Tensor]], other: list[list[torch.Tensor]], x: torch.Tensor
) -> tuple[float, float]:
    """Return how far weights are apart at most, relative to the largest of each tensor, and probabilities."""
    apart = max(
        float((a - b).abs().max() / a.abs().max()) for of_a, of_b in zip(one, other, strict=True)
        for a, b in zip(of_a, of_b, strict=True)
    )  # fmt: skip
    probabilities = []
    for weights in (one[0], other[0]):
        own = copy.deepcopy(network).train()  # batch norms by the batch, since vmap has no other statistics
        for parameter, value in zip(own.parameters(), weights, strict=True):
            parameter.data = value.clone()
        with torch.no_grad():
            probabilities.append(own(x).softmax(1))
    return apart, float((probabilities[0] - probabilities[1]).abs().max())


if __name__ == "__main__":
    main()
