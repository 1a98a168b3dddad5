"""What every classifier of images that has a blueprint does: train its network, and be cut in two.

The functions are used as methods, ``fit = fit_and_cut.fit``: shared without a base class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import medbench
from medbench_plugins.classifiers.blueprint import HasBlueprint, check_batch_of_one, find_weights, fit_blueprint
from medbench_plugins.classifiers.encoder import TrainedEncoder
from medbench_plugins.classifiers.heads import LinearHead

TRUNK = 0.1  # of the head's rate, for what begins from pretrained weights
_FITTING: set[tuple[object, ...]] = set()  # files that were seen to fit; a plan asks once a data set and method


class OfImages(HasBlueprint, Protocol):
    """A classifier that may begin from a file of weights."""

    @property
    def pretrained(self) -> Literal["imagenet"] | Path | None: ...
    @property
    def trunk(self) -> float | None: ...


fit = fit_blueprint


def settle_trunk(self: OfImages) -> None:
    """Give `trunk` its value: TRUNK with pretrained weights where none was given, and none without them.

    So recipes without pretrained weights are what they were, and what one with them is trained by stands in its
    identity: a result from before the trunk had a rate of its own is another one's.
    """
    share = None if self.pretrained is None else TRUNK if self.trunk is None else self.trunk
    if share is not None and not 0 <= share <= 1:
        raise medbench.UsageError(f"{self.name}.trunk: got {share:g}; give a part of lr, from 0 to 1.")
    object.__setattr__(self, "trunk", share)


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

    if self.pretrained == "imagenet":
        packaged_weights.find(str(getattr(self, "model", self.name)))
    else:
        weights.read(self.pretrained)


def check_images(self: OfImages, samples: medbench.Samples, budget: medbench.Budget) -> None:
    """Put the weights into the network for such images, if it begins from some, and try a batch of one if asked for.

    Raises:
        medbench.UsageError: If a batch leaves the network's batch norms a single value a channel.
        medbench.DataError: If the weights are those of another network; names a tensor or the network.
    """
    if self.pretrained is None and budget.batch > 1:
        return
    blueprint, shape = self.blueprint(samples), samples.x.shape[1:]
    if (file := find_weights(self, blueprint)) is not None:
        place = file.stat()
        key = (self, shape, len(samples.classes), file, place.st_mtime_ns, place.st_size)
        if key not in _FITTING:
            blueprint.begin(file)
            _FITTING.add(key)
    if budget.batch == 1:
        check_batch_of_one(blueprint.build, shape, what=self.name, min_size=blueprint.min_size)


def cut(self: HasBlueprint) -> tuple[TrainedEncoder, LinearHead]:
    """Return what arms of features work between."""
    return TrainedEncoder(self), LinearHead()
