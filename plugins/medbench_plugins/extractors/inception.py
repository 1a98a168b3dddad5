"""Features and class probabilities of the Inception network that published FID, KID and IS are computed with."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

import medbench
from medbench_plugins.extractors.pictures import colour_blocks
from medbench_plugins.networks import weights as files

if TYPE_CHECKING:
    from torch import nn

ROWS = 16
PUBLISHED = "weights-inception-2015-12-05-6726825d.pth"


@dataclass(frozen=True)
class Inception:
    """Inception-v3 of 2015 as torch-fidelity has it: 2048 features, 1008 classes; 2-D, one or three channels.

    Images are resized to 299 pixels as that network's first users did, without antialiasing. Nothing is downloaded:
    `weights` is torch-fidelity's ``weights-inception-2015-12-05-6726825d.pth``.

    Attributes:
        weights: The file; its SHA-256 is part of every score's record.

    Source:
        Heusel et al., NeurIPS 2017, arXiv 1706.08500; Salimans et al., NeurIPS 2016, arXiv 1606.03498.
    """

    weights: Path | None = None
    name: ClassVar[str] = "inception"
    summary: ClassVar[str] = "the Inception network of FID and IS, with weights from a file: inception[weights=PATH]"

    def check(self) -> None:
        """Load the file; imports torch.

        Raises:
            medbench.UsageError: Where no file is named.
            medbench.DataError: If it cannot be read or holds other weights.
        """
        self._network()

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, 2048)`` of ``uint8 (n, 1 or 3, height, width)``.

        Raises:
            medbench.Skip: For images of other dimensions or channels.
            medbench.DataError: If the file holds other weights.
        """
        return self._outputs(x)[0]

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, 1008)`` class probabilities, by the logits without bias that scores are computed from.

        Raises:
            medbench.Skip: As for ``features``.
            medbench.DataError: As for ``features``.
        """
        from scipy.special import softmax

        return softmax(self._outputs(x)[1], axis=1)

    def _outputs(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        network = self._network()
        done = []
        with torch.inference_mode():
            for block in colour_blocks(x, ROWS, what=self.name):
                done.append([part.numpy().astype(np.float64) for part in network(torch.from_numpy(block))])
        features, logits = (np.concatenate(parts)[: len(x)] for parts in zip(*done, strict=True))
        return features, logits

    def _network(self) -> nn.Module:
        if self.weights is None:
            raise medbench.UsageError(f"{self.name}.weights: no file is named; give torch-fidelity's {PUBLISHED}.")
        return _network(self.weights, files.sha256(self.weights))


@functools.lru_cache(maxsize=1)  # asked for three times a trial
def _network(path: Path, sha256: str) -> nn.Module:
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # The library would unpickle the file, and run what code it holds. It is handed tensors that were read safely.
    tensors = io.BytesIO()
    torch.save(files.read(path), tensors)
    tensors.seek(0)
    try:
        with torch.random.fork_rng(devices=[]):
            return FeatureExtractorInceptionV3(
                "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=tensors
            )
    except RuntimeError:
        raise medbench.DataError(
            f"{path} holds weights of another network; give torch-fidelity's {PUBLISHED}"
        ) from None
