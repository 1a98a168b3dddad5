"""Features of volumes from MONAI's 3-D ResNets with weights of a file, such as MedicalNet's."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import medbench
from medbench_plugins.classifiers.monai_nets import RESNETS
from medbench_plugins.networks import weights as files

ROWS = 4


@dataclass(frozen=True)
class MonaiFeatures:
    """What a trained 3-D ResNet sees before its head: means over positions of its last maps.

    Each volume is shown less its mean, over its deviation, as MedicalNet's are. Nothing is downloaded.

    Attributes:
        model: "resnet10", "resnet18", ... "resnet200".
        weights: The file, one of MedicalNet or a saved state_dict of MONAI's network; its SHA-256 is part of every
            record.
        size: Voxels along each axis that volumes are resized to; None leaves them as they are.

    Source:
        Chen et al., Med3D, 2019, arXiv 1904.00625, networks as MONAI has them. Deliberate differences: mean and
        deviation are those of all voxels, where the authors leave out what is 0 and fill it with noise; the first
        stride is 1.
    """

    model: str = "resnet10"
    weights: Path | None = None
    size: int | None = None
    name: ClassVar[str] = "monai-features"
    summary: ClassVar[str] = (
        "a 3-D ResNet with weights of a file, such as MedicalNet's: monai-features[model=resnet10,weights=PATH]"
    )
    takes: ClassVar[frozenset[str]] = frozenset({"3d"})
    kept: ClassVar[bool] = True

    @property
    def facts(self) -> dict[str, float | str]:
        """What a training run on these features records: the SHA-256 of the weights."""
        return {} if self.weights is None else {"encoder": files.sha256(self.weights)}

    def check(self) -> None:
        """Look at model, weights and size; imports MONAI.

        Raises:
            medbench.UsageError: If there is no such model, no file is named, or the size is out of its range.
            medbench.DataError: If the file cannot be read or holds weights of another network.
        """
        self._network(1)

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return ``float64 (n, d)`` of ``uint8 (n, channels, depth, height, width)``.

        Raises:
            medbench.Skip: For images that are no volumes.
            medbench.DataError: If the file does not fit the model.
        """
        import torch
        import torch.nn.functional as F

        if x.ndim != 5:
            raise medbench.Skip(f"{self.name} takes volumes, not images of shape {x.shape[1:]}")
        network = self._network(x.shape[1])
        done = []
        with torch.inference_mode():
            for start in range(0, max(1, len(x)), ROWS):
                part = x[start : start + ROWS]
                # Filled up with zeros: bits may depend on the number of rows, and a volume's features should not.
                block = np.zeros((ROWS, *x.shape[1:]), dtype=np.float32)
                block[: len(part)] = part
                axes = (1, 2, 3, 4)
                deviation = block.std(axes, keepdims=True)
                block = (block - block.mean(axes, keepdims=True)) / np.where(deviation > 0, deviation, 1)
                voxels = torch.from_numpy(block)
                if self.size is not None:
                    voxels = F.interpolate(voxels, [self.size] * 3, mode="trilinear", align_corners=False)
                done.append(network(voxels).flatten(1).numpy())
        return np.concatenate(done)[: len(x)].astype(np.float64)

    def _network(self, channels: int) -> Any:
        if self.model not in RESNETS:
            raise medbench.UsageError(f"{self.name}.model: got {self.model!r}; give one of {', '.join(RESNETS)}.")
        if self.weights is None:
            raise medbench.UsageError(
                f"{self.name}.weights: no file is named; `medbench weights list` says where MedicalNet's are."
            )
        if self.size is not None and not 16 <= self.size <= 256:
            raise medbench.UsageError(f"{self.name}.size: got {self.size}; give a number of voxels from 16 to 256.")
        return _load(self.model, self.weights, files.sha256(self.weights), channels)


@functools.lru_cache(maxsize=1)  # asked for three times a training run
def _load(model: str, path: Path, sha256: str, channels: int) -> Any:
    import torch
    from monai.networks import nets
    from monai.networks.nets.resnet import get_medicalnet_pretrained_resnet_args

    bias, shortcut = get_medicalnet_pretrained_resnet_args(int(model.removeprefix("resnet")))
    with torch.random.fork_rng(devices=[]):
        network = getattr(nets, model)(
            spatial_dims=3,
            n_input_channels=channels,
            feed_forward=False,
            bias_downsample=bias,
            shortcut_type=shortcut,
        )
    # MedicalNet was trained for segmentation: its files have conv_seg where a classifier has fc.
    return files.load(network, path, head=("fc.", "conv_seg.")).eval()
