"""How often a rare class is recognised, with and without made features.

    python docs/benchmarks/minority_recall.py [--seeds 5] [--steps 400] [--generator-steps 2000] [--sets vectors maps]

Three sets, each with a class of which training has few rows. *vectors*: 60 numbers that are never negative, from 4 that
nobody sees; 300 rows of one class, 12 of the other. *maps*: 16 channels of noise on 4×4 positions, the class being
where it is bright; 300 rows and 30. *thyroid*: drawn ultrasound of 60 patients, a quarter of them benign, through the
encoder of ``small-cnn``.

Test rows are drawn anew, of other patients, and nothing is chosen by them; all settings are the defaults. How bright
and how rare *maps* is was set on seeds 100 to 102, by ``feature-none`` alone, so that it finds some of the rare class
and not all: at half the brightness and with 12 rows it found none, and no arm could have shown anything. The defaults
of ``feature-acgan`` were set on seeds 100 to 105 of *vectors* and *maps*.

Its last two arms take it apart: ``its start alone`` is ``feature-acgan`` before any training, one Gaussian a class
behind a ReLU; ``from noise`` is the AC-GAN as it was published, which starts from nothing (``start=noise``).

Prints, for each arm, the recall of the rare class and the balanced accuracy, since recall is easily bought with that of
the other class: the mean over seeds, the mean difference from ``feature-none`` on the same seed, its standard error,
and on how many seeds it was above.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import medbench
from medbench.testing import SandboxContext, toy_samples
from medbench_datasets.ddti import DDTI
from medbench_plugins.augmenters.feature_gaussian import FeatureGaussian
from medbench_plugins.augmenters.feature_generative import FeatureGenerative
from medbench_plugins.augmenters.feature_none import FeatureNone
from medbench_plugins.augmenters.feature_smote import FeatureSMOTE
from medbench_plugins.classifiers.encoder import TrainedEncoder
from medbench_plugins.classifiers.heads import ConvHead, LinearHead
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.generators.feature_acgans import FeatureACGAN, RefinedACGAN
from medbench_plugins.generators.placebos import Resample

ARMS: tuple[Any, ...] = (
    FeatureNone(),
    FeatureSMOTE(),
    FeatureGaussian(),
    FeatureGenerative("feature-copies", generator=Resample()),
    FeatureGenerative(),
    FeatureGenerative("its start alone", generator=RefinedACGAN(steps=1, lr_g=0.0)),
    FeatureGenerative("from noise", generator=FeatureACGAN(start="noise")),
)
Rows = tuple[medbench.Samples, medbench.Samples, int]  # training, test, the rare class


def as_samples(x: np.ndarray, labels: np.ndarray) -> medbench.Samples:
    """Return features with labels, a patient a row."""
    samples = toy_samples(len(labels), size=4, images_per_patient=1)
    return replace(samples, x=x.astype(np.float32), labels=labels.astype(np.int64))


def vectors(context: SandboxContext) -> Rows:
    """Draw features of rank 4 with noise, behind a ReLU; class 1 is rare."""
    rng = np.random.default_rng(context.seed("draw"))
    directions, shift = rng.normal(size=(2, 4, 60)), 0.35 * rng.normal(size=60)

    def draw(counts: tuple[int, int]) -> medbench.Samples:
        labels = np.repeat([0, 1], counts)
        hidden = rng.normal(size=(len(labels), 1, 4))
        x = (hidden @ directions[labels])[:, 0] + labels[:, None] * shift + 0.5 * rng.normal(size=(len(labels), 60))
        return as_samples(np.maximum(x + 0.5, 0), labels)

    return draw((300, 12)), draw((1000, 1000)), 1


def maps(context: SandboxContext) -> Rows:
    """Draw maps whose bright patch lies left in class 0, right in class 1, which is rare, and anywhere in height."""
    rng = np.random.default_rng(context.seed("draw"))
    channels = rng.uniform(0, 1, 16)

    def draw(counts: tuple[int, int]) -> medbench.Samples:
        labels = np.repeat([0, 1], counts)
        x = rng.normal(size=(len(labels), 16, 4, 4))
        rows, columns = rng.integers(0, 4, len(labels)), 2 * labels + rng.integers(0, 2, len(labels))
        x[np.arange(len(labels)), :, rows, columns] += 3 * channels
        return as_samples(np.maximum(x, 0), labels)

    return draw((300, 30)), draw((1000, 1000)), 1


def thyroid(context: SandboxContext) -> Rows:
    """Draw two sets of patients, and give the features of an encoder that was trained on the first."""
    drawn = []
    for name, patients in (("train", 60), ("test", 240)):
        root = context.folder / f"{name}-{context.base}"
        dataset = DDTI()
        dataset.phantom(root, seed=context.seed(name) % 2**31, patients=patients, null=False)
        index = dataset.index(root)
        records = [record for record in index.records if record.label >= 0]
        x = np.stack([image for image, _ in dataset.read(root, records, 32)])
        drawn.append(replace(as_samples(x, np.array([r.label for r in records])), x=x, classes=index.classes))
    train, test = drawn
    encode = TrainedEncoder(SmallCNN()).fit(train, context)
    train, test = (replace(s, x=encode(s.x)) for s in (train, test))
    return train, test, int(train.class_counts.argmin())


def scores(rows: Rows, arm: Any, context: SandboxContext) -> tuple[float, float]:
    """Return the recall of the rare class and the balanced accuracy of an arm's head on the test rows."""
    train, test, rare = rows
    head = LinearHead() if train.x.ndim == 2 else ConvHead()
    predict = head.fit(arm.fit(train, context), train.take([]), context)
    found = predict(test.x).argmax(1)
    recalls = [float((found[test.labels == k] == k).mean()) for k in range(len(test.classes))]
    return recalls[rare], float(np.mean(recalls))


def main() -> None:
    """Measure and print."""
    sets: dict[str, Callable[[SandboxContext], Rows]] = {"vectors": vectors, "maps": maps, "thyroid": thyroid}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--generator-steps", type=int, default=2000)
    parser.add_argument("--sets", nargs="+", choices=sets, default=list(sets))
    asked = parser.parse_args()
    budget = medbench.Budget(steps=asked.steps, batch=asked.batch, generator_steps=asked.generator_steps)
    print(f"{asked.seeds} seeds, {asked.steps} steps of {asked.batch}, {asked.generator_steps} of a generator")
    for name in asked.sets:
        found = np.zeros((asked.seeds, len(ARMS), 2))
        for seed in range(asked.seeds):
            with tempfile.TemporaryDirectory() as folder:
                context = SandboxContext(Path(folder), budget, base=seed)
                rows = sets[name](context)
                for k, arm in enumerate(ARMS):
                    found[seed, k] = scores(rows, arm, context)
        print(f"\n{name:16} recall of the rare class            balanced accuracy")
        for k, arm in enumerate(ARMS):
            line = f"{arm.name:16}"
            for of_all in found.transpose(2, 0, 1):
                gain = of_all[:, k] - of_all[:, 0]
                error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
                more = "" if k == 0 else f"{gain.mean():+.3f} ± {error:.3f}, {(gain > 0).sum()} of {len(gain)}"
                line += f" {of_all[:, k].mean():.3f}  {more:28}"
            print(line.rstrip(), flush=True)


if __name__ == "__main__":
    main()
