"""Which change each copy of a real image goes through: every image walks through a list in an order of its own."""

from __future__ import annotations

import numpy as np


def choose_changes(numbers: np.ndarray, rows: np.ndarray, *, images: int, seed: int) -> np.ndarray:
    """Return the number of each row's change, ``int64 (n,)``.

    Args:
        numbers: ``int64 (changes,)`` numbers of the changes.
        rows: ``int64 (n,)`` image that each row is a copy of.
        images: How many images there are.
        seed: Orders the changes of every image.
    """
    rng = np.random.default_rng([seed, 1])  # not that of the rows
    order = rng.permuted(np.tile(numbers, (images, 1)), axis=1)  # (images, changes)
    met = np.zeros(images, dtype=np.int64)
    choices = np.empty(len(rows), dtype=np.int64)
    for place, row in enumerate(rows.tolist()):
        choices[place] = order[row, met[row] % len(numbers)]
        met[row] += 1
    return choices
