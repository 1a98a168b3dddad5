"""A GPU's training steps: ours beside the bare step, as it is and captured, and beside the loop that users write.

    python docs/benchmarks/gpu_steps.py [networks] [gans] [--numerics exact] [--only PART ...] [--seconds 0.4]

Every row is measured in one process, its parts one after the other, twice; the smaller time counts, since what else
happens on a machine only adds. *Bare* is forward, loss, backward and a fused AdamW step on one batch that lies on the
device; *captured* is the same step as a CUDA graph. *Ours* is the step of ``fit_network``, *geometric* with that
transform; *eager* is ours with nothing captured. *User* is a DataLoader of eight processes over images in memory with
torchvision's transforms, one by one. The numerics are those of a training run, for the bare step too. Without a GPU it
runs on the CPU, where nothing is captured: so the script itself can be tried.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from loop import WARM_UP, Clock, wait
from perf import Pictures
from torch import nn
from torch.nn import functional as F

from medbench import TrainingSet
from medbench.interfaces import Budget
from medbench.registry import plugins
from medbench.running import devices
from medbench.samples import Samples
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.training.bagging import fit_network
from medbench_plugins.training.numeric_precision import in_bfloat16, repeatable_kernels
from medbench_plugins.training.steps import Steps

NETWORKS = [  # name, pixels a side, axes, channels, batch
    ("small-cnn", 32, 2, 1, 32), ("small-cnn", 64, 2, 1, 64),
    ("vgg16", 128, 2, 1, 64), ("inception-v3", 139, 2, 1, 64),
    ("vgg16", 224, 2, 1, 64), ("inception-v3", 235, 2, 1, 64),
    ("resnet10-3d", 96, 3, 4, 4), ("densenet121-3d", 64, 3, 4, 8),
]  # fmt: skip
GANS = [  # name, pixels a side, axes, channels
    ("acgan", 64, 2, 1), ("acgan", 128, 2, 1), ("reacgan", 64, 2, 1), ("wgan-clip", 64, 2, 1), ("acgan", 32, 3, 4),
    ("diffusion", 32, 2, 1),
]  # fmt: skip
NOT_CAPTURED = mock.patch.object(Steps, "_is_on_cuda", staticmethod(lambda at: False))
CATALOGUE = plugins.load(installed=False)


def measure_bare(build: Callable[[], nn.Module], samples: Samples, asked: argparse.Namespace, *, layout: Any) -> Any:
    """Return milliseconds of a bare step, as it is and captured (None on a CPU)."""
    device = torch.device(asked.device)
    with repeatable_kernels():
        network = build().to(device).to(memory_format=layout).train()
        x = torch.rand((asked.batch, *samples.x.shape[1:]), device=device).mul_(2).sub_(1)
        x = x.contiguous(memory_format=layout)
        y = torch.eye(2, device=device)[torch.arange(asked.batch) % 2]
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True, capturable=device.type == "cuda")

        def step() -> None:
            with in_bfloat16(device):
                logits = network(x)
            loss = F.cross_entropy(logits.float(), y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

        eager = _time(step, device, asked.seconds)
        if device.type != "cuda":
            return eager, None
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            step()
        torch.cuda.synchronize(device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return eager, _time(graph.replay, device, asked.seconds)


def _time(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return milliseconds of a call: the smaller mean of two rounds of about so many seconds."""
    for _ in range(3):
        run()
    begin = wait(device)
    for _ in range(3):
        run()
    n = max(5, round(3 * seconds / max(1e-6, wait(device) - begin)))
    rounds = []
    for _ in range(2):
        begin = wait(device)
        for _ in range(n):
            run()
        rounds.append(1e3 * (wait(device) - begin) / n)
    return min(rounds)


def measure_ours(
    build: Callable[[], nn.Module],
    samples: Samples,
    asked: argparse.Namespace,
    *,
    augmenter: str,
    min_size: int,
    ms: float,
) -> float:
    """Return milliseconds of our step, the smaller of two fits of so many steps as take about the seconds asked for."""
    steps = min(1000, max(20, round(1e3 * asked.seconds / ms)))
    context = Clock(Path(tempfile.mkdtemp()), Budget(WARM_UP + steps + 1, asked.batch, threads=1))
    context.device = asked.device
    training_set: TrainingSet = CATALOGUE.resolve("augmenter", augmenter).fit(samples, context)
    found = []
    for _ in range(2):
        context.reports.clear()
        fit_network(build, training_set, samples.take([]), context, lr=1e-4, min_size=min_size)
        found.append(1e3 * context.seconds())
    return min(found)


def measure_user(build: Callable[[], nn.Module], samples: Samples, asked: argparse.Namespace, ms: float) -> float:
    """Return milliseconds of a step of the loop that users write, with eight processes that load."""
    device, steps = torch.device(asked.device), min(200, max(20, round(1e3 * asked.seconds / ms)))

    class Enough(Pictures):
        def __len__(self) -> int:
            return asked.batch * (steps + WARM_UP)

        def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
            return super().__getitem__(row % len(self.samples))

    loader = torch.utils.data.DataLoader(
        Enough(samples, None), batch_size=asked.batch, shuffle=True, num_workers=min(8, os.cpu_count() or 1),
        pin_memory=device.type == "cuda", drop_last=True,
    )  # fmt: skip
    network = build().to(device).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    begin = 0.0
    for number, (images, labels) in enumerate(loader):
        if number == WARM_UP:
            begin = wait(device)
        x = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        y = labels.to(device, non_blocking=True)
        with in_bfloat16(device):
            loss = F.cross_entropy(network(x).float(), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
    return 1e3 * (wait(device) - begin) / steps


def networks(asked: argparse.Namespace) -> None:
    """Print a row a network."""
    print("ms a step             batch    bare captured     ours geometric  eager eager-geo    user | ours/captured "
          "geometric/captured user/geometric eager/ours   GPU MiB", flush=True)  # fmt: skip
    for name, size, axes, channels, asked.batch in NETWORKS:
        label = f"{name} {size}{'^3' if axes == 3 else ''}"
        if asked.only and not any(part in label for part in asked.only):
            continue
        samples = toy_samples(256 if axes == 2 else 12, size=size, dimensions=axes, channels=channels)
        blueprint = CATALOGUE.resolve("classifier", name).blueprint(samples)
        first = blueprint.build()
        cuda = asked.device.startswith("cuda")

        def build(of: nn.Module = first) -> nn.Module:  # to draw weights anew takes longer than a fit
            import copy

            return copy.deepcopy(of)

        usual = torch.channels_last if axes == 2 else torch.contiguous_format
        bare, captured = measure_bare(build, samples, asked, layout=usual)
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        whole = {"min_size": blueprint.min_size, "ms": captured or bare}
        ours = measure_ours(build, samples, asked, augmenter="none", **whole)
        geometric = measure_ours(build, samples, asked, augmenter="geometric", **whole)
        peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else 0
        eager = eager_geometric = user = float("nan")
        if cuda and asked.eager:
            with NOT_CAPTURED:
                eager = measure_ours(build, samples, asked, augmenter="none", **(whole | {"ms": bare}))
                eager_geometric = measure_ours(build, samples, asked, augmenter="geometric", **(whole | {"ms": bare}))
        if axes == 2 and not asked.no_user:
            user = measure_user(build, samples, asked, bare)
        best = captured or bare
        print(f"{label:22}{asked.batch:>5}{bare:>8.2f}{best:>9.2f}{ours:>9.2f}{geometric:>10.2f}{eager:>7.2f}"
              f"{eager_geometric:>10.2f}{user:>8.2f} |{best / ours:>10.2f}{best / geometric:>14.2f}"
              f"{user / geometric:>16.2f}{eager / ours:>13.2f}{peak:>14.0f}", flush=True)  # fmt: skip
        if axes == 3:
            last, last_captured = measure_bare(build, samples, asked, layout=torch.channels_last_3d)
            print(f"  channels last: bare {last:.2f}, captured {last_captured or last:.2f}", flush=True)


class Between(SandboxContext):
    """A context that looks at the clock between the looks at diversity, a fifth of the steps apart."""

    per_pair = 0

    def progress(self, step: int, total: int, **values: float) -> None:
        """Look at the clock just behind each look and just before the next."""
        fifth = self.per_pair // 5
        if step < self.per_pair and step % fifth in (1, fifth - 1):
            self.reports.append((step, total, {"time": wait(torch.device(self.device))}))


def measure_gan(recipe: Any, samples: Samples, asked: argparse.Namespace, steps: int) -> float:
    """Return milliseconds of a step of a generator's own loop: the smallest of four fifths of a fit."""
    per_class = getattr(getattr(recipe, "game", lambda: None)(), "split", "") == "class"
    context = Between(Path(tempfile.mkdtemp()), Budget(1, generator_steps=steps * (2 if per_class else 1), threads=1))
    context.device, context.per_pair = asked.device, steps
    recipe.fit(samples, context)
    seen = {step: values["time"] for step, _, values in context.reports}
    fifth = steps // 5
    starts = [step for step in seen if step % fifth == 1 and step > fifth]  # the first fifth warms up
    return min(1e3 * (seen[step + fifth - 2] - seen[step]) / (fifth - 2) for step in starts if step + fifth - 2 in seen)


def gans(asked: argparse.Namespace) -> None:
    """Print a row a generator."""
    print("ms a step                    ours    eager | eager/ours   GPU MiB", flush=True)
    for name, size, axes, channels in GANS:
        label = f"{name} {size}{'^3' if axes == 3 else ''}"
        if asked.only and not any(part in label for part in asked.only):
            continue
        cuda = asked.device.startswith("cuda")
        samples = toy_samples(256 if axes == 2 else 32, size=size, dimensions=axes, channels=channels)
        recipe = CATALOGUE.resolve("generator", name)
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        steps = round(300 * asked.seconds / 0.4) if cuda else 20
        ours = measure_gan(recipe, samples, asked, max(20, steps))
        peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else 0
        with NOT_CAPTURED if cuda else nullcontext():
            eager = measure_gan(recipe, samples, asked, max(20, steps // 5)) if cuda else float("nan")
        print(f"{label:24}{ours:>9.2f}{eager:>9.2f} |{eager / ours:>11.2f}{peak:>10.0f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=["networks", "gans", []], default=["networks", "gans"])
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--numerics", choices=["exact", "fast"], default="exact")
    parser.add_argument("--seconds", type=float, default=0.4, help="about as long is each measurement")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the rows' names")
    parser.add_argument("--eager", action="store_true", help="also our classifiers' loop with nothing captured")
    parser.add_argument("--no-user", action="store_true")
    asked = parser.parse_args()
    devices.use(asked.device, asked.numerics)
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if asked.device.startswith("cuda") else "CPU"
    print(f"{name}, torch {torch.__version__}, numerics {asked.numerics}", flush=True)
    for what in asked.what:
        began = time.perf_counter()
        {"networks": networks, "gans": gans}[what](asked)
        print(f"{what}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
