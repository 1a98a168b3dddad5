"""Features of any network of timm, with weights from a file."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import medbench
from medbench_plugins.classifiers.timm_nets import check_model, get_renaming
from medbench_plugins.extractors.pictures import colour_blocks
from medbench_plugins.networks import weights as files

ROWS = 16


@dataclass(frozen=True)
class TimmFeatures:
    """What a trained network of timm sees before its head; 2-D images of one or three channels.

    Images are resized to the network's own size with antialiasing and never rounded. Get weights with
    ``medbench weights fetch``; nothing is downloaded here. Networks trained on ImageNet rank generators of medical
    images more steadily than those trained on radiographs.

    Attributes:
        model: A name timm knows, such as "resnet50" or "vit_small_patch16_224".
        weights: A file as for a classifier's `pretrained`; its SHA-256 is part of every score's record.

    Source:
        Which features to use: Woodland et al., 2023, arXiv 2311.13717.
    """

    model: str = "resnet50"
    weights: Path | None = None
    name: ClassVar[str] = "timm-features"
    summary: ClassVar[str] = "a network of timm with weights from a file: timm-features[model=resnet50,weights=PATH]"

    def check(self) -> None:
        """Raise :class:`medbench.UsageError` where no file is named or timm has no such model; imports timm."""
        if self.weights is None:
            raise medbench.UsageError(
                f"{self.name}.weights: no file is named; give one, `medbench weights fetch` helps."
            )
        check_model(self.model)

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, d)`` of ``uint8 (n, 1 or 3, height, width)``.

        Raises:
            medbench.Skip: For images of other dimensions or channels.
            medbench.DataError: If the file does not fit the model.
        """
        self.check()
        import torch
        import torch.nn.functional as F

        assert self.weights is not None
        network, size, mean, spread = _network(self.model, self.weights, files.sha256(self.weights))
        done = []
        with torch.inference_mode():
            for block in colour_blocks(x, ROWS, what=self.name):
                pixels = torch.from_numpy(block.astype(np.float32)) / 255
                pixels = F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
                shown = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(spread).view(3, 1, 1)
                done.append(network.forward_head(network.forward_features(shown), pre_logits=True).flatten(1).numpy())
        return np.concatenate(done)[: len(x)].astype(np.float64)


@functools.lru_cache(maxsize=1)  # asked for three times a trial
def _network(model: str, path: Path, sha256: str) -> tuple[Any, tuple[int, int], tuple[float, ...], tuple[float, ...]]:
    import timm
    import torch

    with torch.random.fork_rng(devices=[]):
        network = timm.create_model(model, pretrained=False)
    config = network.pretrained_cfg
    named = config.get("classifier") or ()
    head = tuple(f"{name}." for name in ((named,) if isinstance(named, str) else named))
    files.load(network, path, head=head, rename=get_renaming(model))
    return network.eval(), tuple(config["input_size"][1:]), tuple(config["mean"]), tuple(config["std"])
