"""Which kernels a step has on a GPU, how long they take, and how long the GPU does nothing between them.

    python docs/benchmarks/gpu_kernels.py [ROW ...] [--numerics exact]

A row is ``NETWORK:PIXELS:BATCH:METHOD`` (in 3-D with ``:3`` behind it) or ``gan:GENERATOR:PIXELS``. Ten replayed steps
of a fit are profiled; a step whose span is longer than its kernels waits for something.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from medbench.interfaces import Budget
from medbench.registry import plugins
from medbench.running import devices
from medbench.testing import SandboxContext, toy_samples

ROWS = (
    "small-cnn:32:32:none",
    "small-cnn:32:32:geometric",
    "inception-v3:139:64:none",
    "gan:acgan:64",
    "gan:wgan-clip:64",
)
FIRST, LAST, MOST = 23, 33, 12
CATALOGUE = plugins.load(installed=False)


class Profiled(SandboxContext):
    """A context that profiles the steps from FIRST to LAST."""

    found: Any = None

    def progress(self, step: int, total: int, **values: float) -> None:
        """Begin and end."""
        if step == FIRST:
            torch.cuda.synchronize()
            self.found = profile(activities=[ProfilerActivity.CUDA])
            self.found.__enter__()
        elif step == LAST:
            torch.cuda.synchronize()
            self.found.__exit__(None, None, None)


def run(row: str) -> tuple[Any, str]:
    """Fit, and return what was profiled and how steps were taken."""
    kind, *rest = row.split(":")
    folder = Path(tempfile.mkdtemp())
    if kind == "gan":
        name, size = rest[0], int(rest[1])
        context = Profiled(folder, Budget(1, generator_steps=120, threads=1), "cuda:0")
        CATALOGUE.resolve("generator", name).fit(toy_samples(64, size=size), context)
        return context.found, " ".join(path.read_text().strip() for path in folder.glob("gpu-steps.txt"))
    size, batch, method, axes = int(rest[0]), int(rest[1]), rest[2], int(rest[3]) if len(rest) > 3 else 2
    samples = toy_samples(64 if axes == 2 else 12, size=size, dimensions=axes)
    context = Profiled(folder, Budget(steps=60, batch=batch, threads=1), "cuda:0")
    training_set = CATALOGUE.resolve("augmenter", method).fit(samples, context)
    predictor = CATALOGUE.resolve("classifier", kind).fit(training_set, samples.take([]), context)
    return context.found, predictor.facts.get("gpu_steps", "")


def main() -> None:
    """Print a head and the longest kernels of each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=ROWS)
    parser.add_argument("--numerics", choices=["exact", "fast"], default="exact")
    asked = parser.parse_args()
    devices.use("cuda:0", asked.numerics)
    for row in asked.rows:
        found, how = run(row)
        events = [e for e in found.events() if e.device_type == torch.autograd.DeviceType.CUDA]
        spent, times, steps = Counter[str](), Counter[str](), LAST - FIRST
        for event in events:
            spent[event.name[:100]] += event.time_range.elapsed_us()
            times[event.name[:100]] += 1
        span = max(e.time_range.end for e in events) - min(e.time_range.start for e in events)
        print(f"== {row} ({how}): {len(events) / steps:.0f} kernels a step, {sum(spent.values()) / steps:.0f} us of "
              f"{span / steps:.0f}", flush=True)  # fmt: skip
        for name, us in spent.most_common(MOST):
            print(f"{us / steps:9.1f} us {times[name] / steps:6.1f} x {name}")


if __name__ == "__main__":
    main()
