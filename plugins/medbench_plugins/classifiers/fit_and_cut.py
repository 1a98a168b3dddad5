"""What every classifier of images that has a blueprint does: train its network, and be cut in two.

The functions are used as methods, ``fit = fit_and_cut.fit``: shared without a base class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import medbench
from medbench_plugins.classifiers.blueprint import HasBlueprint, check_batch_of_one, fit_blueprint
from medbench_plugins.classifiers.encoder import TrainedEncoder
from medbench_plugins.classifiers.heads import LinearHead


class OfImages(HasBlueprint, Protocol):
    """A classifier that may begin from a file of weights."""

    @property
    def pretrained(self) -> Path | None: ...


fit = fit_blueprint


def check(self: OfImages) -> None:
    """Raise :class:`medbench.DataError` where the file of weights cannot be read; imports torch if there is one."""
    if self.pretrained is not None:
        from medbench_plugins.networks import weights

        weights.read(self.pretrained)


def check_images(self: HasBlueprint, samples: medbench.Samples, budget: medbench.Budget) -> None:
    """Raise :class:`medbench.UsageError` where a batch leaves the network's batch norms a single value a channel."""
    if budget.batch == 1:
        blueprint, shape = self.blueprint(samples), samples.x.shape[1:]
        check_batch_of_one(blueprint.build, shape, what=self.name, min_size=blueprint.min_size)


def cut(self: HasBlueprint) -> tuple[TrainedEncoder, LinearHead]:
    """Return what arms of features work between."""
    return TrainedEncoder(self), LinearHead()
