"""What portable numerics cost, and whether their bits agree with those of another processor.

    python docs/benchmarks/numerics.py [--pairs 5] [NETWORK ...]
    python docs/benchmarks/numerics.py --under "qemu-x86_64 -cpu Haswell" [NETWORK ...]

Variables must stand in the environment before libraries are imported, and portable numerics exchange kernels for
the rest of a process, so each numerics has a process of its own.
Without ``--under``, the two take turns, each first in every other pair, and the median ratio of CPU seconds a step is
printed with its quartiles. With it, portable numerics are run once as they are and once under the
command, which may emulate another processor (qemu 10 or later: 7.2 computes AVX wrongly), and the SHA-256 of what was
trained are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from medbench import Budget
from medbench.registry import plugins
from medbench.running import numerics
from medbench.testing import SandboxContext, toy_samples

WORK = {  # name: kind, pixels a side, axes, batch, steps to be timed, steps to compare bits
    "small-cnn": ("classifier", 32, 2, 32, 60, 3),
    "acgan": ("generator", 32, 2, 32, 12, 2),
    "inception-v3": ("classifier", 96, 2, 8, 4, 1),
    "vgg16": ("classifier", 64, 2, 8, 2, 1),
    "timm[model=resnet10t]": ("classifier", 32, 2, 4, 6, 1),
    "resnet10-3d": ("classifier", 32, 3, 4, 4, 1),
    "resnet18-3d": ("classifier", 32, 3, 4, 4, 1),
    "densenet121-3d": ("classifier", 32, 3, 4, 4, 1),
    "reacgan": ("generator", 32, 2, 32, 12, 2),
    "wgan-clip": ("generator", 32, 2, 32, 12, 2),
    "wgan-gp": ("generator", 32, 2, 32, 6, 1),
    "dcgan": ("generator", 32, 2, 32, 12, 2),
    "diffusion": ("generator", 32, 2, 32, 4, 1),
}


def measure(name: str, kind_of_numerics: str, *, briefly: bool) -> None:
    """Train `name` whenever a line comes in; print CPU seconds a step and the SHA-256 of what was trained."""
    numerics.hold_libraries(Budget(numerics=kind_of_numerics))
    kind, size, axes, batch, steps, few = WORK[name]
    steps = few if briefly else steps
    size, batch = (16, 2) if briefly and axes == 3 else (size, batch)  # an emulator is slow
    recipe = plugins.load(installed=False).resolve(kind, name)
    samples = toy_samples(32 if axes == 2 else 8, size=size, dimensions=axes, channels=1)
    for _ in sys.stdin:
        with tempfile.TemporaryDirectory() as folder:
            context = SandboxContext(Path(folder), Budget(steps=steps, batch=batch, generator_steps=steps))
            began = time.process_time()
            arrays = _train(kind, recipe, samples, context)
            seconds = (time.process_time() - began) / steps
        sha = hashlib.sha256()
        for array in arrays:
            sha.update(np.ascontiguousarray(array).tobytes())
        print(json.dumps({"seconds": seconds, "sha256": sha.hexdigest()}), flush=True)


def _train(kind: str, recipe, samples, context):
    if kind == "generator":
        state = recipe.fit(samples, context).state()
    else:
        transformed = plugins.load(installed=False).resolve("augmenter", "geometric").fit(samples, context)
        predictor = recipe.fit(transformed, samples.take([]), context)
        state = {**predictor.state(), "predictions": predictor(samples.x)}
    return [state[name] for name in sorted(state)]


class Process:
    """A process that begins with the variables of some numerics and runs :func:`measure`."""

    def __init__(self, name: str, kind: str, *, under: str = "", briefly: bool = False) -> None:
        kept = {key: value for key, value in os.environ.items() if key not in numerics.NAMES}
        variables = numerics.variables(Budget(numerics=kind)) or {"OMP_NUM_THREADS": "1"}
        command = [
            *shlex.split(under),
            sys.executable,
            __file__,
            "--measure",
            name,
            "--numerics",
            kind,
            *["--briefly"] * briefly,
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**kept, **variables})  # fmt: skip

    def ask(self) -> dict:
        """Have it train once more."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self.process.communicate()


def main() -> None:
    """Compare one network after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(WORK)}")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--under", default="", metavar="COMMAND")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--numerics", default="exact", help=argparse.SUPPRESS)
    parser.add_argument("--briefly", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.numerics, briefly=given.briefly)
        return
    print(f"{numerics.instruction_set()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    for name in given.networks or WORK:
        if given.under:
            compare_bits(name, given.under)
        else:
            compare_speed(name, given.pairs)


def compare_bits(name: str, under: str) -> None:
    """Train under portable numerics as it is, and under the command."""
    shas = []
    for command in ("", under):
        process = Process(name, "portable", under=command, briefly=True)
        shas.append(process.ask()["sha256"])
        process.close()
    print(f"{name:20} {shas[0][:12]} {shas[1][:12]} {'same' if shas[0] == shas[1] else 'OTHER'}", flush=True)


def compare_speed(name: str, pairs: int) -> None:
    """Let exact and portable numerics take turns; the first pair only warms up."""
    processes = {kind: Process(name, kind) for kind in ("exact", "portable")}
    found = []
    for n in range(pairs + 1):
        order = ("exact", "portable")[:: 1 - 2 * (n % 2)]
        seconds = {kind: processes[kind].ask()["seconds"] for kind in order}
        found.append((seconds["exact"], seconds["portable"]))
    for process in processes.values():
        process.close()
    low, middle, high = np.quantile([b / a for a, b in found[1:]], (0.25, 0.5, 0.75))
    exact = statistics.median(a for a, _ in found[1:])
    print(f"{name:20} exact {1e3 * exact:7.1f} ms a step, portable {middle:.2f} times [{low:.2f}-{high:.2f}] "
          f"over {pairs} pairs", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
