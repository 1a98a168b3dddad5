"""Built-in augmenters: none, balanced, geometric, acgan, hybrid."""

from __future__ import annotations

from collections.abc import Iterable

import medbench
from medbench_plugins.augmenters.generative import Generative
from medbench_plugins.augmenters.geometric import Geometric
from medbench_plugins.augmenters.plain import Balanced, Unchanged


@medbench.hookimpl
def register_augmenters() -> Iterable[medbench.Augmenter]:
    """Return the built-in augmenters, each control before what stands on it."""
    return [
        Unchanged(),
        Balanced(),
        Geometric(),
        Generative(),
        Generative("hybrid", base=Geometric()),
    ]
