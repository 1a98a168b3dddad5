"""The check of classifiers catches one that breaks the contract."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medbench
from medbench.testing import CHECKS


@dataclass(frozen=True)
class Classifier:
    """Honest unless told otherwise: `predict` gives one score an image."""

    predict: Callable[[np.ndarray], np.ndarray]
    harm: Callable[[medbench.TrainingSet], Any] = len
    takes: frozenset[str] = frozenset({"2d", "samples"})
    name: str = "cheat"

    def fit(self, training_set: Any, validation: Any, context: Any, start: Any = None) -> Any:
        self.harm(training_set.samples)

        def predict(x: np.ndarray) -> np.ndarray:
            p = np.asarray(self.predict(x))
            return np.stack([p, 1 - p], axis=1)

        return predict


def mean(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.reshape(len(x), -1).mean(1) / 255)


def one_less(x: np.ndarray) -> np.ndarray:
    return mean(x)[1:]


def darkens(x: np.ndarray) -> np.ndarray:
    p = mean(x)
    x[:] = 0
    return p


def ranks(x: np.ndarray) -> np.ndarray:
    return np.asarray(mean(x).argsort().argsort() / len(x))


def guesses(x: np.ndarray) -> np.ndarray:
    return np.random.default_rng(int.from_bytes(os.urandom(8))).random(len(x))


def relabels(samples: medbench.Samples) -> None:
    samples.labels[:] = 0


@pytest.mark.parametrize(
    ("classifier", "says"),
    [
        (Classifier(one_less), "probabilities of shape"),
        (Classifier(lambda x: 2 + mean(x)), "negative or not finite"),
        (Classifier(darkens), "changed the x of the samples"),
        (Classifier(ranks), "depends on the other images"),
        (Classifier(guesses), "two fits of one seed differ"),
        (Classifier(mean, harm=relabels), "changed the labels of the samples"),
        (Classifier(mean, takes=frozenset({"samples"})), "neither 2d nor 3d"),
        (Classifier(mean, takes=frozenset({"2d", "loss"})), "predicts without its inverse_link"),
    ],
)
def test_a_classifier_that_cheats_is_caught(classifier: Classifier, says: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.ContractError, match=says):
        CHECKS["classifier"](classifier, tmp_path)


def test_an_honest_classifier_passes(tmp_path: Path) -> None:
    CHECKS["classifier"](Classifier(mean), tmp_path)
