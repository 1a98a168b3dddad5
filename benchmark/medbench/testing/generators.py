"""The contract of generators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError, Skip
from medbench.testing.sandbox import WHOLE, Extent
from medbench.testing.unchanged import check_recipe_is_unchanged, fit_twice


def check_generator(generator: Any, folder: Path, extent: Extent = WHOLE) -> None:
    """Check that a generator keeps its contract on toy samples, in 2-D and 3-D as it can.

    It leaves its input as it is, samples one row a label like the training rows, samples the same under the same seed,
    after another fit and after its state was stored and restored. Classes that it skips are left out, as long as it
    draws one.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    name = generator.name
    for train, fitted, again in fit_twice(generator, folder, extent):
        labels = _labels_that_are_drawn(fitted)
        drawn = check_recipe_is_unchanged(generator, lambda f=fitted, k=labels: f.sample(k, 7), extent)
        for n, x in ((len(labels), drawn), (0, fitted.sample(labels[:0], 7))):
            expected = (n, *train.x.shape[1:])
            if x.dtype != train.x.dtype or x.shape != expected:
                raise ContractError(
                    f"{name}: sample gave {x.dtype} {x.shape} for {n} labels, expected {train.x.dtype} {expected}."
                )
        if not np.array_equal(drawn, fitted.sample(labels, 7)):
            raise ContractError(f"{name}: sample gave different rows for one seed.")
        varies = len({row.tobytes() for row in drawn[labels == labels[-1]]}) > 1
        if varies and np.array_equal(drawn, fitted.sample(labels, 8)):
            raise ContractError(f"{name}: sample gave the same rows for two seeds; draw from the seed it is given.")
        if not np.array_equal(drawn, again.sample(labels, 7)):
            raise ContractError(f"{name}: two fits of one seed differ; draw only from context.seed().")
        state = {key: np.array(array) for key, array in fitted.state().items()}
        if not np.array_equal(drawn, generator.restore(state, train).sample(labels, 7)):
            raise ContractError(f"{name}: what restore builds from state() does not sample the same.")


def _labels_that_are_drawn(fitted: Any) -> np.ndarray:
    """Return labels of both toy classes, or of the one that a sampler does not skip.

    Raises:
        Skip: If it skips both.
    """
    labels = np.array([0, 1, 1, 0, 1])
    for part in (labels, labels[labels == 0]):
        try:
            fitted.sample(part, 7)
        except Skip:
            continue
        return part
    fitted.sample(labels[labels == 1], 7)
    return labels[labels == 1]
