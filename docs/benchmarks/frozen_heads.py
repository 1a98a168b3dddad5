"""How strong is each head on frozen features: those of `frozen`, and logistic regression over a range of penalties.

    python docs/benchmarks/frozen_heads.py 'medmnist[flag=breastmnist]' FOLDER
    python docs/benchmarks/frozen_heads.py 'medmnist[flag=adrenalmnist3d]' FOLDER \
        --encoder 'slices[extractor=timm-features[size=128]]'

Three folds by group, classes drawn equally often, two classes; mean AUROC and balanced accuracy over the folds. Heads
are shown on the same folds, so the best line is the best of many looks: it says how much is left, and chooses nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

import medbench
from medbench.data.cache import decode
from medbench.testing import SandboxContext
from medbench_plugins.classifiers.heads import LinearHead, MLPHead
from medbench_plugins.frozen.nearest import NearestHead
from medbench_plugins.frozen.penalised_linear import PenalisedLinear

Fit = Callable[[medbench.Samples], Callable[[np.ndarray], np.ndarray]]


def fit_head(head: medbench.Classifier, steps: int) -> Fit:
    """Return a fit of one of medbench's heads."""

    def fit(train: medbench.Samples) -> Callable[[np.ndarray], np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            context = SandboxContext(Path(folder), medbench.Budget(steps=steps, batch=32, threads=1))
            sampling = medbench.balanced_sampling(train)
            return head.fit(medbench.TrainingSet(train, sampling=sampling), train.take([]), context)

    return fit


def fit_regression(penalty: float) -> Fit:
    """Return a fit of logistic regression: mean loss plus half of `penalty` times the squared weights.

    That of ``frozen`` is written otherwise: its penalty of 1 is here twice the number of features over that of rows.
    """

    def fit(train: medbench.Samples) -> Callable[[np.ndarray], np.ndarray]:
        scaler = StandardScaler().fit(train.x)
        model = LogisticRegression(C=1 / (penalty * len(train)), class_weight="balanced", max_iter=500)
        model.fit(scaler.transform(train.x), train.labels)
        return lambda x: model.predict_proba(scaler.transform(x))

    return fit


def heads(steps: int) -> Iterator[tuple[str, Fit]]:
    """Yield what is compared."""
    yield "linear-head of trained networks", fit_head(LinearHead(), steps)
    for penalty in (0.1, 0.3, 1.0, 3.0, 10.0):
        yield f"frozen, penalty={penalty:g}", fit_head(PenalisedLinear(penalty), steps)
    yield "mlp-head", fit_head(MLPHead(), steps)
    yield "nearest-head", fit_head(NearestHead(), steps)
    for penalty in (0.001, 0.01, 0.1, 1.0, 10.0):
        yield f"logistic regression, penalty={penalty:g}", fit_regression(penalty)


def main() -> None:
    """Compute the features, fit every head on every fold, print a line a head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="timm-features")
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset = medbench.recipe("dataset", options.dataset)
    samples = decode(dataset, options.folder, size=dataset.size).samples()
    extractor = medbench.recipe("extractor", options.encoder)
    seen = np.concatenate([extractor.features(np.asarray(samples.x[k : k + 64])) for k in range(0, len(samples), 64)])
    rows = replace(samples, x=seen.astype(np.float32), masks=None)
    folds = list(StratifiedGroupKFold(3, shuffle=True, random_state=7).split(rows.x, rows.labels, rows.groups))
    for name, fit in heads(options.steps):
        scored = []
        for train, test in folds:
            probabilities, labels = fit(rows.take(train))(rows.x[test]), rows.labels[test]
            scored.append((roc_auc_score(labels, probabilities[:, 1]),
                           balanced_accuracy_score(labels, probabilities.argmax(1))))  # fmt: skip
        auroc, balanced = np.mean(scored, axis=0)
        print(f"{name:<36} AUROC {auroc:.3f}, balanced accuracy {100 * balanced:.1f}", flush=True)


if __name__ == "__main__":
    main()
