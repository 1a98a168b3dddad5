"""Toy samples repeat and have the shape asked for."""

from __future__ import annotations

import numpy as np

from medbench.testing import toy_samples


def test_toy_samples_repeat_and_hold_what_is_asked() -> None:
    samples = toy_samples(12, classes=3, channels=2, size=8, dimensions=3)

    assert samples.x.shape == (12, 2, 8, 8, 8)
    assert samples.x.dtype == np.uint8
    assert samples.class_counts.tolist() == [4, 4, 4]
    assert np.array_equal(samples.x, toy_samples(12, classes=3, channels=2, size=8, dimensions=3).x)
