"""An encoder from any network that ends in a linear layer: trained as a classifier, read before that layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import medbench
from medbench_plugins.classifiers.blueprint import HasBlueprint

if TYPE_CHECKING:
    import torch

    from medbench_plugins.training.predictor import NetworkPredictor


@dataclass(frozen=True)
class TrainedEncoder:
    """A classifier's network trained on the training samples, classes drawn equally often, without validation.

    Features are what the network's last linear layer is given. So the head of an arm of features begins where the
    arms of pixels end, and what an arm gains is gained behind the encoder.

    Attributes:
        classifier: Its network, learning rate and pretrained weights are used.
    """

    classifier: HasBlueprint
    name: ClassVar[str] = "trained-encoder"

    def fit(self, train: medbench.Samples, context: medbench.Context) -> NetworkEncoding:
        """Train all steps on the labelled rows of `train` and keep the last averaged weights.

        Raises:
            medbench.Skip: If the network has no linear layer to cut before.
            medbench.Diverged: If a loss or a weight is not finite.
        """
        training_set = medbench.TrainingSet(train, sampling=medbench.balanced_sampling(train))
        predictor: Any = self.classifier.fit(training_set, train.take([]), context)
        return self._encoding(predictor.network, context.budget.threads, dict(predictor.facts))

    def restore(self, state: medbench.State, train: medbench.Samples) -> NetworkEncoding:
        """Rebuild the encoder from its ``state()``.

        Raises:
            medbench.StoreError: If the state is that of another network.
        """
        what = f"encoder of {self.classifier.name}"
        network = self.classifier.blueprint(train).restore(state, train.x.shape[1:], what=what)
        return self._encoding(network, int(state["encoder.threads"][0]), {})

    def _encoding(self, network: torch.nn.Module, threads: int, facts: dict[str, float | str]) -> NetworkEncoding:
        import torch

        from medbench_plugins.training.predictor import NetworkPredictor

        # One device and one memory layout, or a restored encoder's features could differ in the last bit.
        network = network.cpu().to(memory_format=torch.contiguous_format)
        linear = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
        if not linear:
            raise medbench.Skip(f"{self.classifier.name} has no linear layer that it could be cut before")
        predictor = NetworkPredictor(network, torch.device("cpu"))
        return NetworkEncoding(predictor, linear[-1], threads, facts)


@dataclass(frozen=True, eq=False)
class NetworkEncoding:
    """Turns images into features on the CPU, so that a stored encoder gives the same features everywhere.

    Attributes:
        predictor: The network, on the CPU.
        linear: Its last linear layer.
        threads: CPU threads; stored with the weights, since they change bits.
        facts: Facts of the fit; empty once restored.
    """

    predictor: NetworkPredictor
    linear: torch.nn.Linear
    threads: int
    facts: dict[str, float | str]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Turn pixels ``uint8 (n, channels, *spatial)`` into features ``float32 (n, d)``.

        Raises:
            medbench.Skip: If the network is not one that can be cut there.
        """
        import torch

        if not len(x):
            return self(np.zeros((1, *x.shape[1:]), x.dtype))[:0]
        kept: list[torch.Tensor] = []
        torch.set_num_threads(self.threads)
        hook = self.linear.register_forward_pre_hook(lambda layer, given: kept.append(given[0]))
        try:
            self.predictor(x)
        finally:
            hook.remove()
        features = torch.cat(kept).float().numpy() if kept else np.empty((0, 0), dtype=np.float32)
        if len(features) != len(x) or features.ndim != 2:
            raise medbench.Skip("the network does not end in one linear layer, so it cannot be cut in two")
        return features

    def state(self) -> medbench.State:
        """Return the floating tensors of the network by name, and the number of threads."""
        arrays = {name: array for name, array in self.predictor.state().items() if array.dtype.kind == "f"}
        return {**arrays, "encoder.threads": np.array([self.threads])}
