"""The inception score of thyroid-gan on real images: 46 real ones against 550 samples, and both at equal numbers.

    python docs/benchmarks/thyroid_inception.py FOLDER [--size 32] [--steps 600] [--gan-steps 600] [--seed 0]

FOLDER holds DDTI. Patients are cut in two: the score network learns from one half, so that it has seen none of what it
scores. A patient of the other half gives one image until there are 46; a plain GAN without labels (`dcgan`) learns from
these and draws 550. The weights of the Inception network are not part of medbench and the study does not say which it
used, so the score network is a classifier of the data set's own two classes: its score lies between 1 and 2, and the
published figures stand beside it and are not comparable.

Printed: the score with one split and with ten, and with a 95 % range of one split over subsets drawn without
replacement, where there are more images than are scored. For the 46 themselves the range is a bootstrap, moved by the
bootstrap's own bias, since images drawn twice lower the score.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import medbench
from medbench.registry.plugins import load
from medbench.testing import SandboxContext
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.generator_scores.inception_score import InceptionScore
from medbench_plugins.generators.dcgan import DCGAN
from medbench_plugins.selection.classifier_judge import Selector

REAL, MADE, DRAWS = 46, 550, 400


def read(root: Path, size: int) -> medbench.Samples:
    """Return the labelled images of DDTI, ``uint8 (n, 1, size, size)``."""
    dataset = load(installed=False).resolve("dataset", "ddti:benign-malignant")
    index = dataset.index(root)
    x = np.stack([pixels for pixels, _ in dataset.read(root, index.records, size)])
    return medbench.Samples(
        x=x,
        labels=np.array([record.label for record in index.records]),
        ids=np.array([record.id for record in index.records]),
        patients=np.array([record.patient for record in index.records]),
        groups=np.array([record.patient for record in index.records]),
        sources=((),) * len(x),
        classes=index.classes,
        made_of="ddti",
    )


def inception(told: np.ndarray, splits: int = 1) -> float:
    """Return the inception score of ``float64 (n, k)`` probabilities: the mean over so many equal splits."""
    score = InceptionScore().score
    return float(np.mean([score(part, part, part) for part in np.array_split(told, splits)]))


def over_subsets(told: np.ndarray, n: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the mean and the 95 % range of the score of `n` images out of more."""
    values = [inception(told[rng.permutation(len(told))[:n]]) for _ in range(DRAWS)]
    return float(np.mean(values)), *(float(q) for q in np.percentile(values, (2.5, 97.5)))


def bootstrap(told: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the score and a 95 % range: a bootstrap of the images, moved by its bias, at least 1."""
    value = inception(told)
    drawn = np.array([inception(told[rng.integers(0, len(told), len(told))]) for _ in range(DRAWS)])
    low, high = np.percentile(drawn + value - drawn.mean(), (2.5, 97.5))
    return value, max(1.0, float(low)), float(high)


def line(name: str, told: np.ndarray, found: tuple[float, float, float]) -> str:
    """Write a row of the table."""
    value, low, high = found
    return f"{name:<38}{value:>8.4f}{inception(told, 10):>12.4f}   {low:.4f} to {high:.4f}"


def main() -> None:
    """Print the table and what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, value in (("--size", 32), ("--steps", 600), ("--gan-steps", 600), ("--seed", 0)):
        parser.add_argument(name, type=int, default=value)
    asked = parser.parse_args()
    samples, rng = read(asked.folder, asked.size), np.random.default_rng(asked.seed)
    patients = rng.permutation(np.unique(samples.patients))
    learns = np.isin(samples.patients, patients[: len(patients) // 2])
    scored = samples.take(~learns)
    first = rng.permutation(np.unique(scored.patients, return_index=True)[1])[:REAL]
    with tempfile.TemporaryDirectory() as place:
        budget = medbench.Budget(steps=asked.steps, batch=32, generator_steps=asked.gan_steps)
        context = SandboxContext(Path(place), budget, base=asked.seed)
        judge = Selector(SmallCNN()).fit(samples.take(learns), context)
        gan = DCGAN(per_class=False).fit(scored.take(first), context)
    told = judge.class_probabilities(scored.x)
    real, made = told[first], judge.class_probabilities(gan.sample(np.zeros(MADE, dtype=np.int64), asked.seed))
    others = np.delete(told, first, axis=0)
    right = [float((told.argmax(1) == scored.labels)[scored.labels == k].mean()) for k in range(len(scored.classes))]
    print(f"score network: {SmallCNN().name}, {asked.steps} steps on {learns.sum()} images of other patients, ", end="")
    print(f"balanced accuracy {100 * np.mean(right):.1f} %\nGAN: {asked.gan_steps} steps on {REAL} images\n")
    print(f"{'images':<38}{'1 split':>8}{'10 splits':>12}   95 % range of 1 split")
    print(f"{f'published: {REAL} real (splits unknown)':<38}{1.4298:>8.4f}")
    print(f"{f'published: {MADE} made (splits unknown)':<38}{1.1263:>8.4f}")
    at_equal = over_subsets(made, REAL, rng)
    print(line(f"{REAL} real, as the study had", real, known := bootstrap(real, rng)))
    print(line(f"{MADE} made, as the study had", made, bootstrap(made, rng)))
    print(f"{f'{REAL} made of {MADE}, equal numbers':<38}{at_equal[0]:>8.4f}{'':>12}   ", end="")
    print(f"{at_equal[1]:.4f} to {at_equal[2]:.4f}")
    print(line(f"{len(others)} other real ones", others, bootstrap(others, rng)))
    for n in (10, 20, REAL):
        value, low, high = over_subsets(others, n, rng)
        print(f"{f'  {n} of them':<38}{value:>8.4f}{'':>12}   {low:.4f} to {high:.4f}")
    apart = "differ" if known[1] > at_equal[2] or known[2] < at_equal[1] else "cannot be told apart"
    print(f"\nAt equal numbers real and made images {apart} by this score: {known[0]:.2f} ({known[1]:.2f} to ", end="")
    print(f"{known[2]:.2f}) real,\n{at_equal[0]:.2f} ({at_equal[1]:.2f} to {at_equal[2]:.2f}) made.", end=" ")
    print("Neither likeness nor variety within a class is part of it, and a score\nnetwork that does not ", end="")
    print("tell the classes of unseen patients apart scores its own confidence.")


if __name__ == "__main__":
    main()
