"""Judges score how well a synthetic sample matches its class; a GAN's own discriminator is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

BLOCK = 64  # rows at a time; fixed, since the size of a block changes bits


class Judge(Protocol):
    """What scores rows like those it was trained on."""

    def class_probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities ``float64 (n, n_classes)``, rows summing to 1."""

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return what the last layer is given, ``float64 (n, d)``."""


@dataclass(frozen=True, eq=False)
class Discriminator:
    """The discriminator of a GAN after its last step, on the CPU, so that its scores are the same everywhere.

    Attributes:
        network: In evaluation mode; its ``features_and_logits(x)`` gives features, source logits and class logits.
        as_input: Rows like the training rows to ``float32`` as the network wants them.
        temperature: What class logits are divided by, above 0: ReACGAN's are cosines.
    """

    network: nn.Module
    as_input: Callable[[np.ndarray], np.ndarray]
    temperature: float = 1.0

    def class_probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities.

        Args:
            x: ``(n, ...)`` in the dtype and shape of the training rows.

        Returns:
            ``float64 (n, n_classes)``, rows summing to 1: the softmax of the class logits.
        """
        logits = self._outputs(x)[2] / self.temperature
        odds = np.exp(logits - logits.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    def realness(self, x: np.ndarray) -> np.ndarray:
        """Return the source logits ``float64 (n,)`` of rows ``x``, larger for more realistic ones."""
        return self._outputs(x)[1]

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return what the class layer is given, ``float64 (n, d)``, of rows ``x``."""
        return self._outputs(x)[0]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the floating tensors of the network by name, behind "judge."; to write to one changes the network."""
        own = self.network.state_dict().items()
        return {f"judge.{name}": value for name, value in own if value.is_floating_point()}

    def _outputs(self, x: np.ndarray) -> list[np.ndarray]:
        import torch

        network: Any = self.network
        starts = range(0, max(1, len(x)), BLOCK)  # no row makes one empty block, which gives the shapes
        with torch.inference_mode():
            blocks = [
                network.features_and_logits(torch.from_numpy(self.as_input(x[start : start + BLOCK])))
                for start in starts
            ]
        return [torch.cat(part).double().numpy() for part in zip(*blocks, strict=True)]


def make_judge(
    discriminator: nn.Module, as_input: Callable[[np.ndarray], np.ndarray], *, temperature: float = 1.0
) -> Discriminator | None:
    """Bring a discriminator to the CPU and return it as a judge; None where it tells no classes apart."""
    import torch

    if not hasattr(discriminator, "features_and_logits"):
        return None
    # One memory layout, or a restored judge's scores could differ in the last bit.
    network = discriminator.cpu().to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
    return Discriminator(network, as_input, temperature)
