"""Our training steps beside those of others, in one process and in turns, so that what else the machine does hits all.

    python docs/benchmarks/perf.py [--rounds 5] [--steps 60] [--size 32] [--batch 32] [--device cpu] [--threads 1]

Milliseconds a step (of a round the median one on a CPU, the mean on a GPU), medians over rounds, and how many times as
long each takes as ours. The network is that of the quickstart, its optimiser AdamW, images are gray and as large as
`--size`. Rows:

- *bare*: forward, loss, backward, a fused AdamW on one batch that is in place; on a GPU also *captured*, in a graph;
- *ours*, *ours, geometric*: the step of ``fit_network``, as docs/benchmarks/loop.py times it;
- *from disk*, *from memory*: what a user writes: a DataLoader over PNG files, or over the array, torchvision flips and
  affine maps image by image, ``loss.item()`` for a progress bar;
- *MONAI*: its CacheDataset and DataLoader with its flips and affine maps;
- *ours, AC-GAN* and *plain AC-GAN*: the same two networks, with StudioGAN's order of a step: two passes of the
  discriminator, new images for the generator, Adam as torch has it by default, the losses read each step.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loop import WARM_UP, Clock, bare_step, seconds_of, typical, wait
from PIL import Image
from torch import nn
from torch.nn import functional as F

from medbench import TrainingSet
from medbench.interfaces import Budget
from medbench.registry import plugins
from medbench.samples import Samples
from medbench.testing import toy_samples
from medbench_plugins.networks.small import SmallCNN
from medbench_plugins.training.bagging import fit_network

Measure = Callable[[], float]
"""Returns the seconds of a step."""


def of_bare(samples: Samples, asked: argparse.Namespace, *, captured: bool = False) -> Measure:
    """Measure the bare step; on a GPU as a graph where `captured`."""
    device = torch.device(asked.device)
    step = bare_step(SmallCNN(1, 2), (asked.batch, *samples.x.shape[1:]), device, capturable=captured)
    run: Callable[[], object] = step
    if captured:
        side = torch.cuda.Stream(device)
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.synchronize(device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        run = graph.replay

    return lambda: seconds_of(run, asked.steps, device)


def of_ours(samples: Samples, asked: argparse.Namespace, augmenter: str) -> Measure:
    """Measure the step of ``fit_network`` with the transform of an augmenter."""
    context = Clock(Path(tempfile.mkdtemp()), Budget(WARM_UP + asked.steps + 1, asked.batch, threads=asked.threads))
    context.device = asked.device
    training_set: TrainingSet = plugins.load(installed=False).resolve("augmenter", augmenter).fit(samples, context)

    def measure() -> float:
        context.reports.clear()
        fit_network(lambda: SmallCNN(1, 2), training_set, samples.take([]), context)
        return context.seconds()

    return measure


class Pictures(torch.utils.data.Dataset[Any]):
    """Images one at a time, from files or from an array, changed by torchvision."""

    def __init__(self, samples: Samples, folder: Path | None) -> None:
        from torchvision.transforms import v2

        self.samples, self.folder = samples, folder
        self.change = v2.Compose([
            v2.RandomHorizontalFlip(), v2.RandomAffine(15, translate=(0.05, 0.05), scale=(0.9, 1.1), shear=10),
            v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5]),
        ])  # fmt: skip
        if folder is not None:
            for row, x in enumerate(samples.x):
                Image.fromarray(x[0]).save(folder / f"{row}.png")

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        if self.folder is None:
            x = torch.from_numpy(np.array(self.samples.x[row]))
        else:
            with Image.open(self.folder / f"{row}.png") as picture:
                x = torch.from_numpy(np.array(picture)[None])
        return self.change(x), int(self.samples.labels[row])


def of_users(samples: Samples, asked: argparse.Namespace, *, disk: bool) -> Measure:
    """Measure a user's loop."""
    folder = Path(tempfile.mkdtemp()) if disk else None
    return of_loader(Pictures(samples, folder), torch.utils.data.DataLoader, asked)


def of_monai(samples: Samples, asked: argparse.Namespace) -> Measure:
    """Measure a loop over MONAI's cached data set."""
    from monai.data import CacheDataset, DataLoader
    from monai.transforms import Compose, EnsureTyped, Lambdad, RandAffined, RandFlipd

    rows = [{"image": x, "label": int(label)} for x, label in zip(samples.x, samples.labels, strict=True)]
    change = Compose([
        EnsureTyped(["image"], dtype=torch.float32), Lambdad(["image"], lambda x: x / 127.5 - 1),
        RandFlipd(["image"], prob=0.5, spatial_axis=1),
        RandAffined(["image"], prob=0.9, rotate_range=0.26, shear_range=0.17, translate_range=2, scale_range=0.1),
    ])  # fmt: skip
    return of_loader(CacheDataset(rows, change, progress=False), DataLoader, asked)


def of_loader(dataset: Any, loader: Any, asked: argparse.Namespace) -> Measure:
    """Measure a loop as users write it over a loader without workers: one step may use one thread, as ours."""
    device = torch.device(asked.device)
    network = SmallCNN(1, 2).to(device).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def batches() -> Iterator[Any]:
        while True:
            yield from loader(dataset, batch_size=asked.batch, shuffle=True, drop_last=True)

    def measure() -> float:
        times = []
        for number, batch in enumerate(batches()):
            if number >= WARM_UP:  # the loss was read: the device has done all it was given
                times.append(wait(device))
            if number == WARM_UP + asked.steps:
                break
            x, y = (batch["image"], batch["label"]) if isinstance(batch, dict) else batch
            x, y = torch.as_tensor(x).to(device, memory_format=torch.channels_last), torch.as_tensor(y).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                loss = F.cross_entropy(network(x).float(), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()
        return typical(times, asked.steps, device.type)

    return measure


def of_our_gan(samples: Samples, asked: argparse.Namespace) -> Measure:
    """Measure a step of the built-in AC-GAN, both halves."""
    from medbench_plugins.generators.image_gans.loop import train_gan

    recipe = plugins.load(installed=False).resolve("generator", "acgan")
    steps = max(6, asked.steps // 4)

    class Steps(Clock):
        def progress(self, step: int, total: int, **values: float) -> None:
            if step in (4, total - 1) or (self.device == "cpu" and 4 < step < total):
                self.reports.append((step, total, {"time": wait(torch.device(self.device))}))

    context = Steps(Path(tempfile.mkdtemp()), Budget(1, generator_steps=steps + 5, threads=asked.threads))
    context.device = asked.device

    def measure() -> float:
        context.reports.clear()
        train_gan(recipe, recipe.game(), samples, context)
        return context.seconds()

    return measure


def of_plain_gan(samples: Samples, asked: argparse.Namespace) -> Measure:
    """Measure an AC-GAN step written plainly."""
    recipe = plugins.load(installed=False).resolve("generator", "acgan")
    game, shape, n = recipe.game(), samples.x.shape[1:], len(samples.classes)
    device, steps = torch.device(asked.device), max(6, asked.steps // 4)
    g: nn.Module = game.generator(shape, n).to(device)
    d: nn.Module = game.discriminator(shape, n).to(device)
    to_g, to_d = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (g, d))
    pixels, labels = torch.from_numpy(np.array(samples.x)), torch.from_numpy(samples.labels)

    def step() -> None:
        rows = torch.randint(len(pixels), (recipe.batch,))
        real, y = (pixels[rows].float() / 127.5 - 1).to(device), labels[rows].to(device)
        fake = g(torch.randn(recipe.batch, recipe.latent, device=device), y).detach()
        to_d.zero_grad()
        (real_source, real_class), (fake_source, fake_class) = d(real), d(fake)
        loss_d = F.softplus(-real_source).mean() + F.softplus(fake_source).mean()
        loss_d = loss_d + F.cross_entropy(real_class, y) + F.cross_entropy(fake_class, y)
        loss_d.backward()
        to_d.step()
        to_g.zero_grad()
        source, classes = d(g(torch.randn(recipe.batch, recipe.latent, device=device), y))
        loss_g = F.softplus(-source).mean() + F.cross_entropy(classes, y)
        loss_g.backward()
        to_g.step()
        loss_d.item(), loss_g.item()

    def measure() -> float:
        for _ in range(3):
            step()
        return seconds_of(step, steps, device)

    return measure


def main() -> None:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in {"size": 32, "batch": 32, "steps": 60, "rounds": 5, "threads": 1}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    samples = toy_samples(320, size=asked.size)
    measures: dict[str, Measure] = {"bare": of_bare(samples, asked)}
    if asked.device.startswith("cuda"):
        measures["captured"] = of_bare(samples, asked, captured=True)
    measures |= {
        "ours": of_ours(samples, asked, "none"), "ours, geometric": of_ours(samples, asked, "geometric"),
        "from disk": of_users(samples, asked, disk=True), "from memory": of_users(samples, asked, disk=False),
        "MONAI": of_monai(samples, asked),
        "ours, AC-GAN": of_our_gan(samples, asked), "plain AC-GAN": of_plain_gan(samples, asked),
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in measures}
    began = time.perf_counter()
    for turn in range(asked.rounds + 1):
        for name, measure in measures.items():
            seconds = measure()
            if turn:  # the first warms up
                times[name].append(seconds)
    against = {"ours, AC-GAN": "ours, AC-GAN", "plain AC-GAN": "ours, AC-GAN", "bare": "ours", "captured": "ours",
               "ours": "ours"}  # fmt: skip
    print(f"{asked.size} px, {asked.batch} a batch, {asked.device}, {asked.threads} threads, {asked.rounds} rounds of "
          f"{asked.steps} steps, {time.perf_counter() - began:.0f} s")  # fmt: skip
    for name, seconds in times.items():
        other = against.get(name, "ours, geometric")
        ratios = np.array(seconds) / np.array(times[other])
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        print(f"{name:<18}{1e3 * np.median(seconds):>9.2f} ms{middle:>9.2f} x {other} [{low:.2f}-{high:.2f}]")


if __name__ == "__main__":
    main()
