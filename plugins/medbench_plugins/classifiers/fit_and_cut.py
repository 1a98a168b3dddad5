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


@medbench.outside_identity
def look_at_weights(self: OfImages, samples: medbench.Samples) -> dict[str, str]:
    """Put the weights into the network for images like `samples` and say what became of them.

    Raises:
        medbench.UsageError: If the recipe names no weights.
        medbench.DataError: As :func:`check_images`.
    """
    blueprint = self.blueprint(samples)
    file = find_weights(self, blueprint)
    if file is None:
        raise medbench.UsageError(f"{self.name} begins from scratch; write pretrained=... to look at weights.")
    from medbench_plugins.networks import weights

    network = blueprint.begin(file)
    given, own = weights.read_for(network, file, blueprint.rename), network.state_dict()
    head = weights.name_head(network, blueprint.head)
    kept = sorted({n.rpartition(".")[0] for n in own if n not in given or given[n].shape != own[n].shape})
    to_statistics = getattr(network, "to_statistics", None)
    told = {
        "network": weights.name_network(network),
        "tensors": f"{len(own)} of the network, {len(given)} of the file",
        "file": str(file),
        "sha256": weights.sha256(file),
        "head": f"new: {', '.join(n for n in kept if f'{n}.'.startswith(head)) or 'none'}",
        "adapted": ", ".join(n for n in kept if not f"{n}.".startswith(head)) or "nothing",
        "images": f"{' x '.join(map(str, samples.x.shape[1:]))} pixels"
        + (f", enlarged to {blueprint.min_size}" if min(samples.x.shape[2:]) < blueprint.min_size else ""),
        "pixels": "from -1 to 1",
    }
    if to_statistics is not None:
        deviation = 0.5 / to_statistics.factor
        mean = 0.5 - to_statistics.term * deviation
        numbers = (" ".join(f"{v:.4g}" for v in values.tolist()) for values in (mean, deviation))
        told["pixels"] = "from 0 to 1, less {}, over {}".format(*numbers)
    return told


def cut(self: HasBlueprint) -> tuple[TrainedEncoder, LinearHead]:
    """Return what arms of features work between."""
    return TrainedEncoder(self), LinearHead()
