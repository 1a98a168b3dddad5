"""What every classifier of images that has a blueprint does: train its network, and be cut in two.

The functions are used as methods, ``fit = fit_and_cut.fit``: shared without a base class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import medbench
from medbench_plugins.classifiers.blueprint import HasBlueprint, check_batch_of_one, fit_blueprint
from medbench_plugins.classifiers.encoder import TrainedEncoder
from medbench_plugins.classifiers.heads import LinearHead


class OfImages(HasBlueprint, Protocol):
    """A classifier that may begin from a file of weights."""

    @property
    def pretrained(self) -> Literal["imagenet"] | Path | None: ...


fit = fit_blueprint


def check(self: OfImages) -> None:
    """Read the weights that the network begins from, if any; imports torch then.

    Raises:
        medbench.UsageError: If no package holds ImageNet weights of this network.
        medbench.ResourceError: If the package that does is not installed.
        medbench.DataError: If the file cannot be read.
    """
    if self.pretrained is None:
        return
    from medbench_plugins.networks import packaged_weights, weights

    if str(self.pretrained) == "imagenet" and not Path("imagenet").is_file():
        packaged_weights.find(str(getattr(self, "model", self.name)))
    else:
        weights.read(Path(self.pretrained))


def check_images(self: HasBlueprint, samples: medbench.Samples, budget: medbench.Budget) -> None:
    """Raise :class:`medbench.UsageError` where a batch leaves the network's batch norms a single value a channel."""
    if budget.batch == 1:
        blueprint, shape = self.blueprint(samples), samples.x.shape[1:]
        check_batch_of_one(blueprint.build, shape, what=self.name, min_size=blueprint.min_size)


def cut(self: HasBlueprint) -> tuple[TrainedEncoder, LinearHead]:
    """Return what arms of features work between."""
    return TrainedEncoder(self), LinearHead()
