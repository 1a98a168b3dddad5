"""The seed block: one fold, three generator seeds times three classifier seeds.

Everywhere else the generator of a cell takes the seed of its classifier, since a cell is one draw of both. Which of the
two a gain owes its noise to shows only where each is drawn again while the other stays.

Source:
    Bouthillier et al., Accounting for variance in machine learning benchmarks, MLSys 2021, for drawing one source of
    noise again at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from medbench.interfaces import needs
from medbench.planning.arms import Arm
from medbench.registry.catalogue import Catalogue

SEEDS = range(3)
"""Of generators and of classifiers."""
BLOCK = (0, 0)
"""Repeat and fold."""


def in_block(arms: Sequence[Arm], catalogue: Catalogue) -> tuple[Arm, ...]:
    """Return the arms that were asked for and fit a generator, and the controls they stand on."""
    known = {arm.key: arm for arm in arms}
    chosen: dict[tuple[str, str], Arm] = {}
    for arm in arms:
        control = known.get(arm.control_key)
        if arm.asked and control is not None and any(needs(catalogue.resolve("augmenter", arm.augmenter))):
            chosen |= {control.key: control, arm.key: arm}
    return tuple(chosen.values())
