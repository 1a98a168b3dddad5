"""How a classifier's network is built: what its fit and its encoder share. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import medbench

if TYPE_CHECKING:
    import torch
    from torch import nn

    from medbench_plugins.training.predictor import NetworkPredictor


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A classifier's network for the images at hand.

    Attributes:
        build: Makes the network with its own initial weights.
        min_size: Smaller images are resized to this many pixels along every axis.
        head: Beginnings of the names that make the head, see :func:`medbench_plugins.networks.weights.insert`.
        rename: Turns the names in a file of weights into the network's, see :func:`.load`.
        packaged: Model whose weights a package holds, where it begins from these; see :mod:`.packaged_weights`.
    """

    build: Callable[[], nn.Module]
    min_size: int = 0
    head: tuple[str, ...] = ()
    rename: Callable[[dict[str, torch.Tensor], nn.Module], dict[str, torch.Tensor]] | None = None
    packaged: str = ""

    def begin(self, file: Path) -> nn.Module:
        """Build the network and put the weights of `file` in.

        Raises:
            medbench.DataError: If they are those of another network; names a tensor or the network.
        """
        import torch

        from medbench_plugins.networks import weights

        with torch.random.fork_rng(devices=[]):
            return weights.load(self.build(), file, head=self.head, rename=self.rename)

    def restore(self, state: medbench.State, shape: tuple[int, ...], *, what: str) -> nn.Module:
        """Build the network as it was when it was trained on images of `shape` ``(channels, *spatial)``.

        Args:
            state: Floating tensors by name; others are as the network is built with.
            shape: Of an image.
            what: Name of the recipe in an error.

        Raises:
            medbench.StoreError: If the state is that of another network.
        """
        import torch

        from medbench_plugins.networks.small import Resized

        with torch.random.fork_rng(devices=[]):  # the first weights are replaced; drawing them moves no generator on
            network: Any = self.build().eval().requires_grad_(False)
        own = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
        if {n: state[n].size for n in state if n in own} != {n: value.numel() for n, value in own.items()}:
            raise medbench.StoreError(f"{what}: the stored weights are those of another network; fit it again.")
        for name, value in own.items():
            value.copy_(torch.from_numpy(np.array(state[name])).view(value.shape))
        return Resized(network, self.min_size) if min(shape[1:]) < self.min_size else network


class HasBlueprint(medbench.Classifier, Protocol):
    """A classifier that describes how its network is built for the images at hand."""

    @property
    def lr(self) -> float: ...
    def blueprint(self, samples: medbench.Samples) -> Blueprint:
        """Return how to build the network for images like these."""


def fit_blueprint(
    self: HasBlueprint,
    training_set: medbench.TrainingSet,
    validation: medbench.Samples,
    context: medbench.Context,
    start: medbench.State | None = None,
) -> NetworkPredictor:
    """Train the network from its own weights, those of a file or those of another fit; see :func:`.fit_network`."""
    from medbench_plugins.networks import weights
    from medbench_plugins.training.bagging import fit_network
    from medbench_plugins.training.numeric_precision import SlowTrunk

    plan = self.blueprint(training_set.samples)
    file, share = find_weights(self, plan), getattr(self, "trunk", None)
    build, facts = weights.build_from(plan.build, pretrained=file, start=start, head=plan.head, rename=plan.rename)
    slow = None
    if file is not None and start is None and share not in (None, 1):
        slow = SlowTrunk(share, plan.head)
    predictor = fit_network(build, training_set, validation, context, lr=self.lr, min_size=plan.min_size, slow=slow)
    predictor.facts |= facts if slow is None else {**facts, "trunk": slow.share}
    return predictor


def find_weights(recipe: HasBlueprint, plan: Blueprint) -> Path | None:
    """Return the file that the network begins from, a package's or one that the recipe names, if any.

    Raises:
        medbench.UsageError: If no package holds weights of this network.
        medbench.ResourceError: If the package is not installed.
        medbench.DataError: If its file holds other bytes.
    """
    from medbench_plugins.networks import packaged_weights

    named = getattr(recipe, "pretrained", None)
    return packaged_weights.find(plan.packaged or recipe.name) if named == "imagenet" else named


def check_batch_of_one(build: Callable[[], nn.Module], shape: tuple[int, ...], *, what: str, min_size: int = 0) -> None:
    """Raise :class:`medbench.UsageError` where a network cannot be trained on one image at a time.

    A batch norm needs two values a channel: a batch of one has them while its map has two positions or more.

    Args:
        build: Makes the network.
        shape: ``(channels, *spatial)`` of an image.
        what: Name of the network in an error.
        min_size: Smaller images are resized to this many pixels along every axis.
    """
    import torch

    spatial = [max(side, min_size) for side in shape[1:]] if min(shape[1:]) < min_size else shape[1:]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            build().train()(torch.zeros(1, shape[0], *spatial))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise medbench.UsageError(
                f"budget batch=1: {what} has batch norms, which learn nothing from a single image of "
                f"{' x '.join(map(str, shape[1:]))} pixels; give --budget batch=2 or more, or a network without "
                "them, such as vgg16."
            ) from None
