"""How much of the bare training step's speed our loop keeps.

    python docs/benchmarks/loop.py [--size 32] [--batch 32] [--steps 100] [--pairs 10] [--device cpu] [--threads 1]

Both run in this process and take turns, so that whatever else the machine does hits both. *Bare* is forward, loss,
backward and a fused AdamW step of the same network on one random batch that lies on the device. *Loop* is the step of
``fit_network``: it also gathers rows, turns pixels into floats, follows the schedule, averages the weights, looks at
the losses and reports progress; ``--geometric`` adds that transform. Its first ten steps are not timed (a GPU records
the step in them), nor the end of the fit, where the statistics of batch norms are measured over 30 batches, nor what is
drawn before the first step. On a CPU the median step of each counts, since what else the machine does lengthens some;
on a GPU, which is not asked after each step, the mean.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from medbench import TrainingSet
from medbench.interfaces import Budget
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.networks.small import SmallCNN
from medbench_plugins.training.bagging import fit_network


def wait(device: torch.device) -> float:
    """Return the time at which the device has done all it was given, in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def bare_step(
    network: nn.Module, shape: tuple[int, ...], device: torch.device, *, capturable: bool = False
) -> Callable[[], None]:
    """Return a function that takes one training step on a random batch; a graph may record a capturable one."""
    last = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    network = network.to(device).to(memory_format=last)
    x = torch.rand(shape, device=device).mul_(2).sub_(1).contiguous(memory_format=last)
    y = torch.eye(2, device=device)[torch.arange(shape[0]) % 2]
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True, capturable=capturable)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = network(x)
        loss = F.cross_entropy(logits.float(), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


WARM_UP = 10  # steps


class Clock(SandboxContext):
    """A context that notes when the first and the last step were done, and on a CPU each between."""

    def progress(self, step: int, total: int, **values: float) -> None:
        """Look at the clock where the steps that count begin and end."""
        if step in (WARM_UP, total - 1) or (self.device == "cpu" and WARM_UP < step < total):
            self.reports.append((step, total, {"time": wait(torch.device(self.device))}))

    def seconds(self) -> float:
        """Return the median step on a CPU, the mean one on a GPU."""
        times = [values["time"] for _, _, values in self.reports]
        return typical(times, self.reports[-1][0] - self.reports[0][0], self.device)


def typical(times: list[float], steps: int, device: str) -> float:
    """Return the median of the steps between `times` on a CPU, the mean of all `steps` on a GPU."""
    return float(np.median(np.diff(times))) if device == "cpu" else (times[-1] - times[0]) / steps


def seconds_of(step: Callable[[], object], steps: int, device: torch.device) -> float:
    """Take so many steps and return how long a typical one took."""
    times = [wait(device)]
    for number in range(1, steps + 1):
        step()
        if device.type == "cpu" or number == steps:
            times.append(wait(device))
    return typical(times, steps, device.type)


def main() -> None:
    """Measure and print images a second and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in {"size": 32, "batch": 32, "steps": 100, "pairs": 10, "dimensions": 2, "threads": 1}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--geometric", action="store_true", help="with the transform of the augmenter of that name")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    device = torch.device(asked.device)

    samples = toy_samples(300, size=asked.size, dimensions=asked.dimensions)
    context = Clock(
        Path(tempfile.gettempdir()), Budget(steps=WARM_UP + asked.steps + 1, batch=asked.batch, threads=asked.threads)
    )
    context.device = asked.device
    training_set = TrainingSet(samples)
    if asked.geometric:
        from medbench_plugins.augmenters import register_augmenters

        geometric = next(recipe for recipe in register_augmenters() if recipe.name == "geometric")
        training_set = geometric.fit(samples, context)

    def build() -> nn.Module:
        return SmallCNN(1, 2, spatial_dims=asked.dimensions)

    step = bare_step(build(), (asked.batch, *samples.x.shape[1:]), device)
    rates = []  # (bare, loop) images a second
    for pair in range(asked.pairs + 1):
        bare = seconds_of(step, asked.steps, device)
        context.reports.clear()
        fit_network(build, training_set, samples.take([]), context)
        if pair:  # the first pair warms up
            rates.append(np.array([1 / bare, 1 / context.seconds()]) * asked.batch)

    low, middle, high = np.quantile([loop / bare for bare, loop in rates], [0.25, 0.5, 0.75])
    bare, loop = np.median(rates, axis=0)
    shape = "x".join([str(asked.size)] * asked.dimensions)
    print(
        f"small-cnn {shape}, batch {asked.batch}, {asked.device}, threads {asked.threads}: bare {bare:.0f} images/s, "
        f"loop {loop:.0f}, ratio {middle:.3f} [{low:.3f}-{high:.3f}] over {asked.pairs} pairs of {asked.steps} steps"
    )


if __name__ == "__main__":
    main()
