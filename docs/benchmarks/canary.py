"""How often `medbench audit --canary` would miss a leak, and see one where there is none.

    python docs/benchmarks/canary.py [--seeds 10] [--patients 240] [--steps 60] [--reach 0.2]

Draws the canary's images with other seeds, cuts them by patient in two folds, and trains its network by its budget.
*leaked*: that share of the tested patients is trained on too, with their labels; AUROC of the tested images, mean and
range over seeds, and in how many of them it is more than `reach` above .5, which is what the canary's intervals detect.
*copies*, *synthetic-scored*: the two leaks that must pay, and in how many seeds their AUROC is below the limit.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import medbench
from medbench.analyses.canary import LEAKY_AUROC
from medbench.data.cache import decode
from medbench.data.find_phantom import phantom_root
from medbench.interfaces import Budget
from medbench.protocols.folds import Cut, cut_samples
from medbench.protocols.protocol import protocol
from medbench.registry import plugins
from medbench.testing import SandboxContext

SHARES = (0.0, 0.25, 0.5, 1.0)
LEAKS = {"copies": "patients[leak=copies]", "synthetic-scored": "patients[leak=synthetic-scored/copies]"}
ARM = "copies[ratio=8]"


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of pairs of a positive and a negative that are in order, ties half."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    return float(((positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)).mean())


def main() -> None:
    """Print a row a share and a row a leak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in {"seeds": 10, "patients": 240, "steps": 60, "size": 32}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--reach", type=float, default=0.2)
    asked = parser.parse_args()
    catalogue = plugins.load(installed=False)
    recipe = catalogue.resolve("dataset", "ddti:benign-malignant")
    network = catalogue.resolve("classifier", "small-cnn")
    balanced, copies = (catalogue.resolve("augmenter", text) for text in ("balanced", ARM))
    context = SandboxContext(Path(tempfile.mkdtemp()), Budget(steps=asked.steps, batch=32, size=asked.size, threads=1))

    def fit(training_set: medbench.TrainingSet, validation: medbench.Samples, test: medbench.Samples) -> float:
        predict = network.fit(training_set, validation, context)
        return auroc(test.labels, predict(test.x)[:, 1])

    shared: dict[float, list[float]] = {share: [] for share in SHARES}
    leaking: dict[str, list[float]] = {name: [] for name in LEAKS}
    for seed in range(1, asked.seeds + 1):
        root = phantom_root(recipe, seed=seed, patients=asked.patients, null=True)
        samples = decode(recipe, root, size=asked.size).samples()
        cuts = [Cut(fold, 2, seed) for fold in range(2)]
        for share in SHARES:
            found = []
            for cut in cuts:
                train, validation, test = cut_samples(samples, cut, by="groups")
                tested = np.unique(test.groups)
                known = np.isin(samples.groups, tested[: round(share * len(tested))])
                trained = samples.take(known | np.isin(samples.ids, train.ids))
                found.append(fit(balanced.fit(trained, context), validation, test))
            shared[share].append(float(np.mean(found)))
        for name, text in LEAKS.items():
            parts = [
                protocol(text).arrange(samples, cut, lambda train, *held: (copies.fit(train, context), *held))
                for cut in cuts
            ]
            leaking[name].append(float(np.mean([fit(*part) for part in parts])))
    for share, values in shared.items():
        above = sum(value > 0.5 + asked.reach for value in values)
        print(f"leaked {share:4.0%}        AUROC {_range(values)}   detected in {above} of {len(values)}")
    for name, values in leaking.items():
        below = sum(value < LEAKY_AUROC for value in values)
        print(f"{name:<16}   AUROC {_range(values)}   below {LEAKY_AUROC} in {below} of {len(values)}")


def _range(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
