"""Training on a GPU repeats itself, and images that do not fit on it are streamed with the same result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medbench import Budget, TrainingSet
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.classifiers.small import SmallCNN


def predicted(on_gpu: SandboxContext, dimensions: int) -> np.ndarray:
    samples = toy_samples(24, classes=2, dimensions=dimensions)
    on_gpu.budget = Budget(steps=4, batch=6)
    fitted: Any = SmallCNN().fit(TrainingSet(samples), samples.take([]), on_gpu)
    return fitted(samples.x)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_it_repeats_itself(on_gpu: SandboxContext, dimensions: int) -> None:
    assert np.array_equal(predicted(on_gpu, dimensions), predicted(on_gpu, dimensions))


def test_streamed_images_give_the_bits_of_resident_ones(
    on_gpu: SandboxContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = predicted(on_gpu, 2)
    monkeypatch.setattr("medbench_plugins.training.batches.RESIDENT", 0.0)

    assert np.array_equal(resident, predicted(on_gpu, 2))
