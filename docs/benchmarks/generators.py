"""Which GAN draws better images, on pictures neither its fit nor its settings have seen.

    python docs/benchmarks/generators.py DATA OUT [--steps 5000] [--width 8] [--seeds 3] [--only-score] [--extractor R]

DATA holds one folder of pictures a class, all of one size. A picture belongs to a part by the SHA-256 of its bytes,
so the same picture is never in two: half are for fitting, a quarter for choosing settings by hand, a quarter for the
numbers below. What OUT lacks is fitted, generator after generator within each seed, and kept as
``OUT/NAME-SEED/state.npz``; run it again to go on. Every generator runs the same steps at the same width.

Printed for every fit, none left out:

kid            class by class, then the mean over classes; lower is better
recall         share of held-out pictures that made ones reach, k = 3
coverage       share of held-out pictures with a made one near, k = 5
diversity      how far the pictures of a class lie apart, over how far real ones do: mean and lowest class
recognised     share of made pictures that a classifier of the real ones takes for the class that was asked for
copies         share nearer to a fitted picture than all but 1 % of held-out ones

The last two rows are real pictures of the fit part in place of made ones (the floor), and held-out ones
where only those make sense. Features are those of --extractor, `random-convolutions` unless another is named;
numbers of two extractors have nothing in common but the order of the generators.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import medbench
from medbench.testing import SandboxContext
from medbench.trial.generator_scores import score_synthetic
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.generator_scores import register_scores
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.diversity import measure_diversity
from medbench_plugins.generators.reacgan import ReACGAN
from medbench_plugins.generators.wgan import ClippedWGAN

GENERATORS = (ACGAN, ReACGAN, ClippedWGAN)
PARTS = ("fit", "fit", "tune", "score")
COLUMNS = ("kid", "recall", "coverage", "diversity", "lowest", "recognised", "copies", "seconds")


def read(root: Path) -> dict[str, medbench.Samples]:
    """Return the pictures under `root` by part."""
    classes = tuple(sorted(folder.name for folder in root.iterdir() if folder.is_dir()))
    files = [file for name in classes for file in sorted((root / name).iterdir())]
    ids = np.array([f"{file.parent.name}/{file.name}" for file in files])
    parts = np.array([PARTS[hashlib.sha256(file.read_bytes()).digest()[0] % 4] for file in files])
    everything = medbench.Samples(
        x=np.stack([np.asarray(Image.open(file).convert("L"))[None] for file in files]),  # uint8 (n, 1, H, W)
        labels=np.array([classes.index(file.parent.name) for file in files]),
        ids=ids,
        patients=ids,
        groups=ids,
        sources=((),) * len(files),
        classes=classes,
        made_of="pictures",
    )
    return {part: everything.take(parts == part) for part in dict.fromkeys(PARTS)}


def fit(recipe: Any, seed: int, train: medbench.Samples, folder: Path, steps: int) -> None:
    """Fit one generator; its facts and state are complete once ``state.npz`` is there."""
    folder.mkdir(parents=True, exist_ok=True)
    context = SandboxContext(folder, medbench.Budget(generator_steps=steps, threads=1), base=seed)
    started = time.perf_counter()
    fitted = recipe.fit(train, context)
    facts = {"seconds": time.perf_counter() - started, "steps": steps, "width": recipe.width, **fitted.facts}
    (folder / "facts.json").write_text(json.dumps(facts))
    np.savez(folder / "unfinished.npz", **fitted.state())
    (folder / "unfinished.npz").replace(folder / "state.npz")


def classifier_of(parts: dict[str, medbench.Samples]) -> medbench.Predictor:
    """Return a small network trained on the fit part."""
    with tempfile.TemporaryDirectory() as folder:
        context = SandboxContext(Path(folder), medbench.Budget(steps=600, batch=64, threads=1))
        return SmallCNN().fit(medbench.TrainingSet(parts["fit"]), parts["tune"], context)


def recognised(predict: medbench.Predictor, x: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images that are taken for their class."""
    return float((predict(x).argmax(1) == labels).mean())


def measure(
    sampler: medbench.Sampler,
    parts: dict[str, medbench.Samples],
    predict: medbench.Predictor,
    extractor: medbench.Extractor,
    seconds: float,
) -> tuple[dict[str, float], dict[str, float]]:
    """Draw as many pictures as were fitted, and return their numbers and the floor's."""
    train = parts["fit"]
    made = sampler.sample(train.labels, 1)
    scored = score_synthetic(
        train.with_synthetic(made, train.labels, maker="made"),
        parts["score"],
        extractor=extractor,
        scores=list(register_scores()),
        seed=0,
    )
    assert scored is not None
    values = scored.values
    apart = measure_diversity(sampler.sample, train, 0, most=32)
    own = {
        "kid": values["kid-by-class"],
        "recall": values["recall"],
        "coverage": values["coverage"],
        "diversity": float(np.nanmean(apart)),
        "lowest": float(np.nanmin(apart)),
        "recognised": recognised(predict, made, train.labels),
        "copies": values["copies"],
        "seconds": seconds,
    }
    floor = {name: values[f"{name}-floor"] for name in ("recall", "coverage")}
    return own, {"kid": values["kid-by-class-floor"], **floor, "diversity": 1.0, "lowest": 1.0}


def line(title: str, values: dict[str, float]) -> str:
    """Return a row of the table."""
    cells = (f"{values[c]:.0f}" if c == "seconds" else f"{values[c]:.3f}" for c in COLUMNS if c in values)
    given = iter(cells)
    return f"{title:<16}" + "".join(f"{next(given) if c in values else '':>11}" for c in COLUMNS)


def main() -> None:
    """Fit what is missing, score everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only-score", action="store_true", help="fit nothing; say what is missing")
    parser.add_argument("--extractor", default="random-convolutions", help="a recipe, such as timm-features")
    options = parser.parse_args()
    extractor = medbench.recipe("extractor", options.extractor)
    parts = read(options.data)
    counts = {part: samples.class_counts.tolist() for part, samples in parts.items()}
    print(f"pictures a class: {counts}; {options.steps} steps, width {options.width}")
    recipes = [generator(width=options.width) for generator in GENERATORS]
    for seed in range(options.seeds):
        for recipe in recipes:
            folder = options.out / f"{recipe.name}-{seed}"
            if not options.only_score and not (folder / "state.npz").is_file():
                fit(recipe, seed, parts["fit"], folder, options.steps)
    predict = classifier_of(parts)
    print(f"{'':<16}" + "".join(f"{column:>11}" for column in COLUMNS))
    floor: dict[str, float] = {}
    for recipe in recipes:
        rows = []
        for seed in range(options.seeds):
            folder = options.out / f"{recipe.name}-{seed}"
            if not (folder / "state.npz").is_file():
                print(f"{recipe.name} {seed}: not fitted")
                continue
            facts = json.loads((folder / "facts.json").read_text())
            if (facts["steps"], facts["width"]) != (options.steps, options.width):
                raise SystemExit(f"{folder}: fitted with {facts['steps']} steps of width {facts['width']}; give those.")
            with np.load(folder / "state.npz") as state:
                sampler = recipe.restore(dict(state), parts["fit"])
            own, floor = measure(sampler, parts, predict, extractor, facts["seconds"])
            rows.append(own)
            print(line(f"{recipe.name} {seed}", own), flush=True)
        if len(rows) > 1:
            print(line(f"{recipe.name} mean", {c: float(np.mean([row[c] for row in rows])) for c in COLUMNS}))
    if floor:
        print(line("real, fit part", floor))
    print(line("real, held out", {"recognised": recognised(predict, parts["score"].x, parts["score"].labels)}))


if __name__ == "__main__":
    main()
