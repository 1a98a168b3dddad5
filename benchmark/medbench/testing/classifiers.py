"""The contract of classifiers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medbench.errors import ContractError
from medbench.interfaces import Budget, TrainingSet
from medbench.testing.sandbox import WHOLE, Extent, make_folder
from medbench.testing.unchanged import check_input_is_unchanged, check_recipe_is_unchanged, copy_columns
from medbench.trial.prior_correction import check_probabilities

if TYPE_CHECKING:
    import torch


def check_classifier(classifier: Any, folder: Path, extent: Extent = WHOLE) -> None:
    """Check that a classifier keeps its contract on toy samples of the dimensions it takes.

    It leaves its input as it is, predicts probabilities, each image's without regard to the others, and predicts the
    same after another fit of one seed. One that takes a loss predicts by the loss's ``inverse_link``.

    Raises:
        ContractError: With one sentence on what is wrong.
    """
    name = classifier.name
    dimensions = [d for d in extent.dimensions if f"{d}d" in classifier.takes]
    if not dimensions:
        raise ContractError(f"{name}: takes {sorted(classifier.takes)}, which has neither 2d nor 3d.")
    for d in dimensions:
        train, test = extent.samples(d), extent.samples(d, seed=1, n=12)
        before, test_before = copy_columns(train), copy_columns(test)
        budget = Budget(steps=3, batch=8, generator_steps=3)
        outcomes = []
        for fit in ("one", "other"):
            sandbox = replace(extent.context(make_folder(folder, f"{d}d-{fit}"), d), budget=budget)
            predict = check_recipe_is_unchanged(
                classifier, lambda c=sandbox, t=train, v=test: classifier.fit(TrainingSet(t), v, c), extent
            )
            outcomes.append(check_probabilities(predict(test.x), test, classifier=name))
            check_input_is_unchanged(name, train, before)
            check_input_is_unchanged(name, test, test_before)
        if not np.array_equal(outcomes[0], outcomes[1]):
            raise ContractError(f"{name}: two fits of one seed differ; draw only from context.seed().")
        first = check_probabilities(predict(test.x[:5]), test.take(range(5)), classifier=name)
        if not np.allclose(first, outcomes[1][:5], atol=1e-3):
            raise ContractError(f"{name}: what it predicts for an image depends on the other images of the call.")
    if "loss" in classifier.takes:  # in the last of the dimensions
        swapped = classifier.fit(TrainingSet(train, loss=_Swapped()), test, sandbox)(test.x)
        if not np.allclose(swapped[:, ::-1], outcomes[0], atol=1e-3):
            raise ContractError(
                f"{name}: takes a loss and predicts without its inverse_link; see medbench.TrainingSet."
            )


class _Swapped:
    """Cross-entropy between two classes, under which logits of the one stand for the other."""

    def __call__(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        return functional.cross_entropy(logits, y)

    def inverse_link(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.flip(1).softmax(1)
