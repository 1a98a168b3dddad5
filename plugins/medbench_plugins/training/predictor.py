"""A fitted network as a predictor of class probabilities. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

import medbench
from medbench_plugins.networks.small import Resized
from medbench_plugins.training.batches import as_input
from medbench_plugins.training.numeric_precision import repeatable_kernels

PIXELS = 64 * 224**2
"""Of images that are predicted at once: of VGG-16 at 224 pixels they take 1.6 GB, less than a training step of 32."""
MOST_ROWS = 512
"""That are predicted at once, however small they are."""
Evaluation = tuple[int, float, float]
"""Steps done, mean training loss since the evaluation before, validation loss."""


def softmax(logits: torch.Tensor) -> torch.Tensor:
    """Return the probabilities ``(n, n_classes)`` at which logits minimise the expected cross-entropy."""
    return logits.softmax(1)


def get_inverse_link(loss: medbench.Loss | None) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return how a network trained by `loss` turns logits into probabilities, see :class:`medbench.TrainingSet`."""
    return getattr(loss, "inverse_link", softmax)


class NetworkPredictor:
    """A fitted network: call it on ``x (n, channels, *spatial)`` for ``float64 (n, n_classes)`` probabilities.

    It predicts in float32 on every device: probabilities rounded to bfloat16 would tie.

    Attributes:
        inverse_link: ``float64 (n, n_classes)`` logits to probabilities, as the loss has it.
        facts: Facts of the fit: train_loss (mean of the last tenth), steps, parameters; with a
            labelled validation set also validation_loss and still_improving (1 if the last of its validation losses
            was the lowest: the schedule may be too short); and whatever the recipe added.
        learning: Steps done, mean training loss since the evaluation before, validation loss of the averaged weights
            (NaN without a labelled validation set), at each evaluation: ten, or as few as two in a short fit.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        inverse_link: Callable[[torch.Tensor], torch.Tensor] = softmax,
    ) -> None:
        self.network, self.device, self.inverse_link = network, device, inverse_link
        self.facts: dict[str, float | str] = {}
        self.learning: tuple[Evaluation, ...] = ()

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, n_classes)``, rows summing to 1."""
        blocks = np.array_split(np.arange(len(x)), max(1, -(-len(x) // _rows_at_once(self.network, x))))
        with repeatable_kernels():
            logits = [self.network(as_input(torch.from_numpy(x[rows]).to(self.device))).cpu() for rows in blocks]
        return self.inverse_link(torch.cat(logits).double()).numpy()

    def state(self) -> dict[str, np.ndarray]:
        """Return the network's tensors by name; another fit can start from them."""
        network = self.network.network if isinstance(self.network, Resized) else self.network
        return {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}


def _rows_at_once(network: nn.Module, x: np.ndarray) -> int:
    """Return how many rows of images or vectors are predicted together; images count at the size the network sees."""
    least = max((module.size for module in network.modules() if isinstance(module, Resized)), default=0)
    pixels = math.prod(max(side, least) for side in x.shape[2:])
    return max(1, min(MOST_ROWS, PIXELS // pixels))


def cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of minus the log of the probability ``float64 (n, n_classes)`` of each row's own class."""
    likelihood = probabilities[np.arange(len(labels)), labels]
    return 0.0 - float(np.log(np.maximum(likelihood, np.finfo(np.float64).tiny)).mean())  # and no -0.0
