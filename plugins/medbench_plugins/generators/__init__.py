"""Built-in generators: acgan, and resample as the placebo of every generator."""

from __future__ import annotations

from collections.abc import Iterable

import medbench
from medbench_plugins.generators.acgan import ACGAN
from medbench_plugins.generators.resample import Resample


@medbench.hookimpl
def register_generators() -> Iterable[medbench.Generator]:
    """Return the built-in generators."""
    return [ACGAN(), Resample()]
