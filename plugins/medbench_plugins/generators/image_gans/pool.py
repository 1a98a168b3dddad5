"""One network at several moments of its training, from all of which images are drawn. Needs torch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from medbench_plugins.generators.image_gans.networks import GeneratorNetwork, Pool

EPOCHS = 200  # equal parts of a fit: the spine preprint's, which trained for as many


@dataclass(eq=False)
class Moments:
    """Keeps a network as it is after each of some steps.

    Attributes:
        steps: After which, the last of the fit among them; none: nothing is kept.
    """

    steps: frozenset[int]
    _kept: list[GeneratorNetwork] = field(default_factory=list)

    @classmethod
    def of_last_epochs(cls, epochs: int, steps: int) -> Moments:
        """Keep the ends of the last `epochs` of EPOCHS equal parts of `steps`; fewer where several end at one step."""
        return cls(frozenset(-(-steps * (EPOCHS - k) // EPOCHS) for k in range(epochs)))

    def keep(self, step: int, network: GeneratorNetwork) -> None:
        """Copy `network` to the CPU if this is one of the steps."""
        if step in self.steps:
            self._kept.append(as_stored(copy.deepcopy(network)))

    def pool(self) -> Pool:
        """Return all that were kept."""
        return Pool(self._kept)


def as_stored(network: GeneratorNetwork) -> GeneratorNetwork:
    """Move `network` to the CPU, in one memory layout, or a restored one's samples could differ in the last bit."""
    return network.cpu().to(memory_format=torch.contiguous_format)


def epochs_of_classes(most: int, counts: Sequence[int]) -> list[int]:
    """Return from how many of its last epochs each class draws: the rarest from `most`, others from fewer.

    An epoch makes as many images of a class as there are real ones, so fewer epochs do where there are more.

    Args:
        most: 1 or more.
        counts: Real images of each class, all above 0.

    Source:
        Sivakumar and Anand, medRxiv 10.64898/2026.04.15.26350121, slides: of 200 epochs the last 18 for 52 images, the
        last 6 for 140.
    """
    return [max(1, most * min(counts) // count) for count in counts]
