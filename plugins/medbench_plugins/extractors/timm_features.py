"""Features of any network of timm, with packaged ImageNet weights or those of a file."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

import medbench
from medbench_plugins.classifiers.timm_nets import check_model, get_renaming, input_statistics
from medbench_plugins.extractors.pictures import colour_blocks
from medbench_plugins.networks import packaged_weights
from medbench_plugins.networks import weights as files

ROWS = 16


@dataclass(frozen=True)
class TimmFeatures:
    """What a trained network of timm sees before its head; 2-D images of one or three channels.

    Images are resized with antialiasing and never rounded, and normalised as the weights were trained. Without
    parameters it is EfficientNet-Lite0 with the ImageNet weights of a package, which ``medbench[weights]`` installs;
    get those of others with ``medbench weights fetch``. Nothing is downloaded here. Networks trained on ImageNet rank
    generators of medical images more steadily than those trained on radiographs.

    Attributes:
        model: A name timm knows, such as "resnet50" or "vit_small_patch16_224".
        weights: "imagenet" for those of a package, see the classifier `timm`; or a file as for its `pretrained`, whose
            SHA-256 is part of every score's record.
        size: Pixels along each axis that images are resized to; None is what the weights were trained at.

    Source:
        Which features to use: Woodland et al., 2023, arXiv 2311.13717.
    """

    model: str = "efficientnet_lite0"
    weights: Literal["imagenet"] | Path | None = "imagenet"
    size: int | None = None
    name: ClassVar[str] = "timm-features"
    summary: ClassVar[str] = "a network of timm, trained on ImageNet or with weights of a file"
    takes: ClassVar[frozenset[str]] = frozenset({"2d"})
    kept: ClassVar[bool] = True

    @property
    def facts(self) -> dict[str, float | str]:
        """What a training run on these features records: the SHA-256 of the weights."""
        if isinstance(self.weights, Path):
            return {"encoder": files.sha256(self.weights)}
        return {"encoder": packaged_weights.get_entry(self.model).sha256}

    def check(self) -> None:
        """Look at model, weights and size; imports timm.

        Raises:
            medbench.UsageError: If timm has no such model, no package holds its weights, no file is named, or images
                of this size are too small.
            medbench.ResourceError: If the package is not installed.
            medbench.DataError: If the file cannot be read or holds weights of another network.
        """
        self._trained()

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, d)`` of ``uint8 (n, 1 or 3, height, width)``.

        Raises:
            medbench.Skip: For images of other dimensions or channels.
            medbench.DataError: If the file does not fit the model.
        """
        import torch
        import torch.nn.functional as F

        known = self._trained()
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (known.mean, known.deviation))
        done = []
        with torch.inference_mode():
            for block in colour_blocks(x, ROWS, what=self.name):
                pixels = torch.from_numpy(block.astype(np.float32)) / 255
                pixels = F.interpolate(pixels, size=known.size, mode="bilinear", antialias=True, align_corners=False)
                maps = known.network.forward_features((pixels - mean) / deviation)
                done.append(known.network.forward_head(maps, pre_logits=True).flatten(1).numpy())
        return np.concatenate(done)[: len(x)].astype(np.float64)

    def _trained(self) -> _Trained:
        if self.weights is None:
            raise medbench.UsageError(
                f"{self.name}.weights: no file is named; give one, `medbench weights fetch` helps."
            )
        if self.size is not None and not 32 <= self.size <= 1024:
            raise medbench.UsageError(f"{self.name}.size: got {self.size}; give a number of pixels from 32 to 1024.")
        check_model(self.model)
        if self.weights == "imagenet":
            entry = packaged_weights.get_entry(self.model)
            return _load(entry.network, packaged_weights.find(self.model), entry.sha256, self.size, entry)
        return _load(self.model, self.weights, files.sha256(self.weights), self.size, None)


@dataclass(frozen=True, eq=False)
class _Trained:
    """A network with its weights, and how it sees images."""

    network: Any
    size: tuple[int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@functools.lru_cache(maxsize=1)  # asked for three times a training run
def _load(model: str, path: Path, sha256: str, size: int | None, entry: packaged_weights.Packaged | None) -> _Trained:
    import timm
    import torch

    config = timm.get_pretrained_cfg(model)
    options = {"img_size": size} if size is not None and config is not None and config.fixed_input_size else {}
    with torch.random.fork_rng(devices=[]):
        network: Any = timm.create_model(model, pretrained=False, **options)
    named = network.pretrained_cfg.get("classifier") or ()
    head = tuple(f"{name}." for name in ((named,) if isinstance(named, str) else named))
    files.load(network, path, head=head, rename=packaged_weights.rename if entry else get_renaming(model))
    own = (entry.size,) * 2 if entry else tuple(network.pretrained_cfg["input_size"][1:])
    mean, deviation = input_statistics(model, entry or path) or ((0.5,) * 3, (0.5,) * 3)
    return _Trained(network.eval(), (size, size) if size else (own[0], own[1]), tuple(mean), tuple(deviation))
